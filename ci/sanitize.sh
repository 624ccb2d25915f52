#!/usr/bin/env bash
# AddressSanitizer and LeakSanitizer over the tests of buddy-core and buddy-checks, ThreadSanitizer over
# the soak program (the test harness itself is reported by it). Needs a nightly compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: ci/sanitize.sh needs a nightly compiler, and there is none" >&2
    exit 0
fi
target="$(rustc -vV | sed -n 's/^host: //p')"
base="${CARGO_TARGET_DIR:-target}"

# With few random cases: the same tests run with many elsewhere.
for sanitizer in address leak; do
    echo "--- $sanitizer: tests of buddy-core and buddy-checks"
    RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR="$base/$sanitizer" PROPTEST_CASES=32 \
        cargo +nightly test --target "$target" --package buddy-core --tests
    RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR="$base/$sanitizer" \
        cargo +nightly test --target "$target" --package buddy-checks --no-default-features --tests
done

echo "--- thread: the soak program"
RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" CARGO_TARGET_DIR="$base/thread" \
    TSAN_OPTIONS="halt_on_error=1" \
    cargo +nightly run --release --target "$target" --package buddy-checks --no-default-features \
    --example soak -- --seconds "${SOAK_SECONDS:-20}"
echo "ran: address, leak, thread"
