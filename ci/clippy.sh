#!/usr/bin/env bash
# No warnings, with all features on; ci/features.sh has the other combinations.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --workspace --all-targets --features "$(ci/stable_features.sh)" -- -D warnings
