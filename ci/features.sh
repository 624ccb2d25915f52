#!/usr/bin/env bash
# Every combination of the library crates' features builds, without warnings.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-hack >/dev/null; then
    cargo install cargo-hack --locked --version '^0.6'
fi
cargo hack clippy --workspace --exclude buddy-bench --feature-powerset -- -D warnings
