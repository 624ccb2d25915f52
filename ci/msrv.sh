#!/usr/bin/env bash
# The minimum supported Rust is stated once, in [workspace.package]; the README repeats it; and the
# library crates build with that very version, where Debian has it.
set -euo pipefail
cd "$(dirname "$0")/.."

msrv="$(sed -n '/^\[workspace\.package\]/,/^\[workspace\./s/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)"
if [[ ! "$msrv" =~ ^[0-9]+\.[0-9]+$ ]]; then
    echo "[workspace.package] in Cargo.toml states no rust-version" >&2
    exit 1
fi
for manifest in Cargo.toml */Cargo.toml; do
    statements="$(grep -c '^rust-version *=' "$manifest" || true)"
    wanted=0
    if [[ "$manifest" == Cargo.toml ]]; then
        wanted=1
    elif ! grep -q '^rust-version\.workspace = true$' "$manifest"; then
        echo "$manifest does not inherit rust-version" >&2
        exit 1
    fi
    if [[ "$statements" != "$wanted" ]]; then
        echo "$manifest states rust-version $statements times, not $wanted" >&2
        exit 1
    fi
done
if ! grep -qF "Rust $msrv " README.md; then
    echo "README.md does not name Rust $msrv" >&2
    exit 1
fi
echo "the minimum Rust is $msrv, stated once"

target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target/msrv"
root="$(cd "$target/msrv" && pwd)"

# Debian's compiler of that version, unpacked beside the build, never installed.
fetch() (
    cd "$root" &&
        command -v apt-get dpkg >/dev/null &&
        apt-get update -qq &&
        apt-get download -qq rustc-web libstd-rust-web-dev "libstd-rust-web-$msrv" libllvm19 &&
        find . -name '*.deb' -exec dpkg -x {} . \; -delete &&
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' \
            "$root/usr/lib/$(uname -m)-linux-gnu" "$root/usr/bin/rustc" >rustc &&
        chmod +x rustc
)

if [[ ! -x "$root/rustc" ]] && ! fetch; then
    echo "SKIPPED: the build with Rust $msrv: Debian's packages cannot be had"
    exit 0
fi
if ! version="$("$root/rustc" --version)" || [[ "$version" != "rustc $msrv."* ]]; then
    echo "SKIPPED: the build with Rust $msrv: found ${version:-no compiler that runs}"
    exit 0
fi
echo "checking with $version"
RUSTC="$root/rustc" CARGO_TARGET_DIR="$root/build" \
    cargo check --workspace --exclude buddy-bench --all-features
