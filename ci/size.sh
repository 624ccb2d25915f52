#!/usr/bin/env bash
# How many bytes of code and constants a heap for one thread is, built for size (ci/size): building it,
# allocating, freeing and resizing, with all checks.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/size"
for features in "" eager; do
    cargo rustc --quiet --release --manifest-path ci/size/Cargo.toml --features "$features" -- \
        -C link-arg=-nostdlib
    printf '%-6s ' "${features:-lazy}"
    size -A "$CARGO_TARGET_DIR/release/libsize.so" |
        awk '/^\.(text|rodata) / {printf "%s %d bytes  ", $1, $2} END {print ""}'
done
