#!/usr/bin/env bash
# Every combination of the library crates' features builds, without warnings; with `nightly` in it,
# where a nightly compiler is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-hack >/dev/null; then
    cargo install cargo-hack --locked --version '^0.6'
fi
cargo hack clippy --workspace --exclude buddy-bench --feature-powerset --skip nightly -- -D warnings

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: the feature \`nightly\`: no nightly compiler is installed"
    exit 0
fi
# A folder of its own, so that the compilers do not throw away each other's work.
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/nightly"
export CARGO_TARGET_DIR
RUSTFLAGS=-Dwarnings cargo +nightly hack check --package buddy-alloc-api --feature-powerset --features nightly
# hashbrown, which the tests use, has to know that allocator-api2 0.2 is the core trait now.
cargo +nightly test --package buddy-alloc-api --tests --all-features --features hashbrown/nightly
# Only a nightly compiler compares the error codes of examples that must not compile.
cargo +nightly test --package buddy-alloc-api --doc
