#!/usr/bin/env bash
# All tests: units, integration, doctests, the README's examples.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace --features "$(ci/stable_features.sh)"
