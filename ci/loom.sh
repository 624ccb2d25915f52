#!/usr/bin/env bash
# The models of many threads: every interleaving up to a bound on preemptions, by loom. With --all also the
# two that take minutes each.
set -euo pipefail
cd "$(dirname "$0")/.."

models=()
if [ "${1:-}" = --all ]; then models=(--include-ignored); fi

# A directory of its own: the flag would rebuild everything in the usual one, back and forth.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
RUSTFLAGS="--cfg loom" cargo test -p buddy-core --release --lib loom
RUSTFLAGS="--cfg loom" cargo test -p buddy-core --release --test loom -- "${models[@]}"
