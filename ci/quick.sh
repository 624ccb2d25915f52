#!/usr/bin/env bash
# The main job, `cargo run --release`, on a small part of its work.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo run --release -- --quick
