#!/usr/bin/env bash
# Prints all features that a stable compiler can build, `crate/feature,..`: for `--features`, where
# `--all-features` would turn `nightly` on.
set -euo pipefail
cd "$(dirname "$0")/.."

for manifest in buddy-*/Cargo.toml; do
    sed -n '/^\[features\]/,/^\[/s/^\([a-z0-9-]*\) = .*/\1/p' "$manifest" |
        { grep -vx -e default -e nightly || true; } |
        sed "s|^|${manifest%%/*}/|"
done | paste -sd,
