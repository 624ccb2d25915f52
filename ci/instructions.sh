#!/usr/bin/env bash
# Counts the instructions of the paths of buddy-core/examples/instructions.rs, which do not depend on
# how busy the machine is, and compares them with ci/instructions.txt: more than 3 % above is an
# error. `ci/instructions.sh --write` writes that file anew.
set -euo pipefail
cd "$(dirname "$0")/.."

expected=ci/instructions.txt
if [[ "$(uname -m)" != x86_64 ]]; then
    echo "SKIPPED: the counts are those of x86-64"
    exit 0
fi
if ! command -v valgrind >/dev/null; then
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes \
        --no-install-recommends valgrind libc6-dbg; }; then
        echo "SKIPPED: valgrind is not installed, and Debian's packages cannot be had"
        exit 0
    fi
fi
# Counts of another compiler are others.
compiler="$(rustc --version | cut -d' ' -f1,2)"
if [[ "${1:-}" != --write ]] && ! grep -qxF "# $compiler" "$expected"; then
    echo "SKIPPED: $expected is not of $compiler: $(head -n 1 "$expected")"
    exit 0
fi

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
export CARGO_PROFILE_RELEASE_DEBUG=0
unset RUSTFLAGS
cargo build --quiet --release --package buddy-core --example instructions
program="$CARGO_TARGET_DIR/release/examples/instructions"

# counts NAME TIMES
counts() {
    local said
    said="$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1)" || {
        echo "$said" >&2
        return 1
    }
    sed -n 's/^==[0-9]*== Collected : //p' <<<"$said"
}

found="$(mktemp)"
trap 'rm -f "$found"' EXIT
echo "# $compiler" >"$found"
for name in $("$program"); do
    few="$(counts "$name" 1000)"
    many="$(counts "$name" 3000)"
    printf '%s %d\n' "$name" "$(((many - few + 1000) / 2000))" >>"$found"
done

if [[ "${1:-}" == --write ]]; then
    cp "$found" "$expected"
    cat "$expected"
    exit 0
fi
awk '
    NR == FNR { expected[$1] = $2; next }
    FNR == 1 { next }
    !($1 in expected) { print $1 ": not in the file"; failed = 1; next }
    {
        bound = expected[$1] * 1.03 + 1
        verdict = $2 > bound ? "MORE" : $2 < expected[$1] * 0.97 - 1 ? "less: write the file anew" : ""
        printf "%-24s %6d instructions, expected %6d %s\n", $1, $2, expected[$1], verdict
        if ($2 > bound) failed = 1
    }
    END { exit failed }
' "$expected" "$found"
