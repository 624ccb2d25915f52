#!/usr/bin/env bash
# Prints all features that a stable compiler can build, `crate/feature,..`: for `--features`, where
# `--all-features` would turn `nightly` on.
set -euo pipefail
cd "$(dirname "$0")/.."

# Of the libraries: buddy-bench has peers in other languages, which take minutes to build.
for manifest in buddy-{core,global,alloc-api}/Cargo.toml; do
    sed -n '/^\[features\]/,/^\[/s/^\([a-z0-9-]*\) = .*/\1/p' "$manifest" |
        { grep -vx -e default -e nightly || true; } |
        sed "s|^|${manifest%%/*}/|"
done | paste -sd,
