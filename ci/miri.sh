#!/usr/bin/env bash
# Miri over the tests of buddy-core that finish in it: undefined behaviour, wrong borrows, data races.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "SKIPPED: ci/miri.sh needs a nightly compiler with miri and rust-src" >&2
    exit 0
fi
export MIRIFLAGS="-Zmiri-strict-provenance"
cargo +nightly miri test --package buddy-core --test heap_misuse --test heap_in_place --test heap_zeroed
PROPTEST_CASES=4 MIRIFLAGS="$MIRIFLAGS -Zmiri-disable-isolation" \
    cargo +nightly miri test --package buddy-core --test shadow
echo "ran: heap_misuse, heap_in_place, heap_zeroed, shadow"
