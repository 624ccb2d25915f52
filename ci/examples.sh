#!/usr/bin/env bash
# Every example runs and exits with 0.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob

for path in */examples/*; do
    package="${path%%/*}"
    name="$(basename "$path" .rs)"
    printf -- '--- %s: %s\n' "$package" "$name"
    features="$(ci/stable_features.sh | tr , '\n' | { grep "^$package/" || true; } | paste -sd,)"
    cargo run --quiet --package "$package" --features "$features" --example "$name"
done
