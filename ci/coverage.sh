#!/usr/bin/env bash
# How much of buddy-core its own tests and buddy-checks reach: the table of cargo-llvm-cov.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo llvm-cov --version >/dev/null 2>&1; then
    echo "SKIPPED: ci/coverage.sh needs cargo-llvm-cov and the llvm tools" >&2
    exit 0
fi
cargo llvm-cov --package buddy-core --package buddy-checks --no-default-features --features buddy-core/alloc \
    --tests --ignore-filename-regex '(buddy-checks|buddy-alloc-api|tests)/' "$@"
