#!/usr/bin/env bash
# How much of buddy-core its own tests and buddy-checks reach: the table of cargo-llvm-cov. Without rustup's llvm-tools
# those of the system do, if they are of the compiler's version of LLVM.
set -euo pipefail
cd "$(dirname "$0")/.."

llvm="$(rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')"
tools="/usr/lib/llvm-$llvm/bin"
if [[ -x "$tools/llvm-cov" && -x "$tools/llvm-profdata" ]]; then
    export LLVM_COV="${LLVM_COV:-$tools/llvm-cov}" LLVM_PROFDATA="${LLVM_PROFDATA:-$tools/llvm-profdata}"
fi
if ! cargo llvm-cov --version >/dev/null 2>&1; then
    echo "SKIPPED: ci/coverage.sh needs cargo-llvm-cov and the llvm tools" >&2
    exit 0
fi
cargo llvm-cov --package buddy-core --package buddy-checks --no-default-features --features buddy-core/alloc \
    --tests --ignore-filename-regex '(buddy-checks|buddy-alloc-api|tests)/' "$@"
