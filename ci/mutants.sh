#!/usr/bin/env bash
# Mutation testing of buddy-core: which changes of the source does no test notice? Hours for all of it;
# the arguments say for which files, for example: ci/mutants.sh -f 'buddy-core/src/tree/order.rs'
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo mutants --version >/dev/null 2>&1; then
    echo "SKIPPED: ci/mutants.sh needs cargo-mutants" >&2
    exit 0
fi
cargo mutants --package buddy-core --jobs 1 --output "${CARGO_TARGET_DIR:-target}" "$@"
