#!/usr/bin/env bash
# All tests: units, integration, doctests, the README's examples; then the adapters' with the features
# that are off by default.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace
cargo test --package buddy-alloc-api --package buddy-global --features "$(ci/stable_features.sh)"
