#!/usr/bin/env bash
# All tests: units, integration, doctests, the README's examples; then the adapter's with the features that are
# off by default. (Those of buddy-global are on here, for buddy-bench.)
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace
cargo test --package buddy-alloc-api --features "$(ci/stable_features.sh)"
