#!/usr/bin/env bash
# The minimum supported Rust is stated once, in [workspace.package]; the README repeats it; and the
# library crates build with that very version, where Debian has it.
set -euo pipefail
cd "$(dirname "$0")/.."

msrv="$(sed -n '/^\[workspace\.package\]/,/^\[workspace\./s/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)"
if [[ ! "$msrv" =~ ^[0-9]+\.[0-9]+$ ]]; then
    echo "[workspace.package] in Cargo.toml states no rust-version" >&2
    exit 1
fi
for manifest in Cargo.toml */Cargo.toml; do
    statements="$(grep -c '^rust-version *=' "$manifest" || true)"
    wanted=0
    if [[ "$manifest" == Cargo.toml ]]; then
        wanted=1
    elif grep -q '^\[workspace\]$' "$manifest"; then
        continue # a workspace of its own, for nightly: nothing to inherit
    elif ! grep -q '^rust-version\.workspace = true$' "$manifest"; then
        echo "$manifest does not inherit rust-version" >&2
        exit 1
    fi
    if [[ "$statements" != "$wanted" ]]; then
        echo "$manifest states rust-version $statements times, not $wanted" >&2
        exit 1
    fi
done
if ! grep -qF "Rust $msrv " README.md; then
    echo "README.md does not name Rust $msrv" >&2
    exit 1
fi
echo "the minimum Rust is $msrv, stated once"

target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target/msrv"
root="$(cd "$target/msrv" && pwd)"

runs() {
    [[ -x "$root/rustc" && "$("$root/rustc" --version)" == "rustc $msrv."* ]]
}

# Debian's compiler of that version, unpacked beside the build, never installed.
fetch() (
    cd "$root" &&
        command -v apt-get apt-cache dpkg >/dev/null &&
        apt-get update -qq &&
        version="$(apt-cache madison rustc-web | awk -v want="$msrv" 'index($3, want ".") == 1 {print $3}')" &&
        [[ -n "$version" ]] &&
        apt-get download -qq "rustc-web=$version" "libstd-rust-web-dev=$version" \
            "libstd-rust-web-$msrv=$version" libllvm19 &&
        find . -name '*.deb' -exec dpkg -x {} . \; -delete &&
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' \
            "$root/usr/lib/$(uname -m)-linux-gnu" "$root/usr/bin/rustc" >rustc &&
        chmod +x rustc
)

if ! runs && ! { fetch && runs; }; then
    echo "SKIPPED: the build with Rust $msrv: Debian's compiler of that version cannot be had"
    exit 0
fi
echo "checking with $("$root/rustc" --version)"
RUSTC="$root/rustc" CARGO_TARGET_DIR="$root/build" \
    cargo check --workspace --exclude buddy-bench --exclude buddy-checks --features "$(ci/stable_features.sh)"
