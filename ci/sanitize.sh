#!/usr/bin/env bash
# AddressSanitizer over the tests of buddy-core and buddy-checks, LeakSanitizer over those of them whose
# heaps end, ThreadSanitizer over the soak program (the test harness itself is reported by it). Needs a
# nightly compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: ci/sanitize.sh needs a nightly compiler, and there is none" >&2
    exit 0
fi
target="$(rustc -vV | sed -n 's/^host: //p')"
base="${CARGO_TARGET_DIR:-target}"

# With few random cases, and without the searches of all states, which are safe code alone: these run in
# full elsewhere. Some tests leak their memory on purpose,
# to have it for ever; some ask the system for more than there is.
asan="detect_leaks=0:allocator_may_return_null=1"
echo "--- address: tests of buddy-core and buddy-checks"
RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS="$asan" CARGO_TARGET_DIR="$base/address" \
    PROPTEST_CASES=32 cargo +nightly test --target "$target" --package buddy-core --lib --tests -- \
    --skip exhaustive::
RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS="$asan" CARGO_TARGET_DIR="$base/address" \
    cargo +nightly test --target "$target" --package buddy-checks --no-default-features --tests

echo "--- leak: the owned heap, and the corpus"
RUSTFLAGS="-Zsanitizer=leak" LSAN_OPTIONS="allocator_may_return_null=1" CARGO_TARGET_DIR="$base/leak" \
    cargo +nightly test --target "$target" --package buddy-core --test owned
RUSTFLAGS="-Zsanitizer=leak" LSAN_OPTIONS="allocator_may_return_null=1" CARGO_TARGET_DIR="$base/leak" \
    cargo +nightly test --target "$target" --package buddy-checks --no-default-features --test corpus

echo "--- thread: the soak program"
RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" CARGO_TARGET_DIR="$base/thread" \
    TSAN_OPTIONS="halt_on_error=1:suppressions=$PWD/ci/tsan.supp" \
    cargo +nightly run --release --target "$target" --package buddy-checks --no-default-features \
    --example soak -- --seconds "${SOAK_SECONDS:-20}"
echo "ran: address, leak, thread"
