#!/usr/bin/env bash
# The library crates need neither `std` nor, without features, `alloc`: a freestanding library built
# on all of them links with a panic handler of its own, which clashes with that of `std` wherever a
# crate brings it in. Bare targets are checked where they are installed.
set -euo pipefail
cd "$(dirname "$0")/.."

target_dir="$PWD/target"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$target_dir}"
manifest=ci/no_std/Cargo.toml

cargo build --manifest-path "$manifest"

installed=""
if command -v rustup >/dev/null; then
    installed="$(rustup target list --installed)"
fi
for target in thumbv7m-none-eabi thumbv6m-none-eabi; do
    if ! grep -qx "$target" <<<"$installed"; then
        echo "SKIPPED: $target is not installed"
        continue
    fi
    cargo build --package buddy-core --no-default-features --target "$target"
    if [[ "$target" == thumbv7m-none-eabi ]]; then
        cargo build --manifest-path "$manifest" --target "$target"
    fi
done
