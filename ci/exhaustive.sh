#!/usr/bin/env bash
# Every call with every argument from every reachable state of trees of 8 leaves; prints the counts.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --release --package buddy-core --test tree -- --ignored --nocapture
