#!/usr/bin/env bash
# Every fuzz target for so many seconds (the first argument, 60 if there is none), from the committed
# corpus on. Needs a nightly compiler and cargo-fuzz. What is found lies in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-60}"
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "SKIPPED: ci/fuzz.sh needs a nightly compiler and cargo-fuzz" >&2
    exit 0
fi
for target in tree frames heap collections traces; do
    features=""
    if [ "$target" = traces ]; then features="traces"; fi
    mkdir -p "fuzz/corpus/$target"
    echo "--- $target: $seconds s"
    cargo +nightly fuzz run --features "$features" "$target" \
        "fuzz/corpus/$target" "buddy-checks/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=3000 -print_final_stats=1
done
echo "ran: tree, frames, heap, collections, traces, $seconds s each"
