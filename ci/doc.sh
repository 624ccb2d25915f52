#!/usr/bin/env bash
# The documentation builds without warnings; no link in it is dead.
set -euo pipefail
cd "$(dirname "$0")/.."

RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --features "$(ci/stable_features.sh)"
