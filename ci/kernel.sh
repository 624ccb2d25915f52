#!/usr/bin/env bash
# Builds examples/kernel and boots it: several memory sizes and numbers of processors, which must all
# succeed, then planted faults, each of which must fail in its own way.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ "$(uname -m)" != x86_64 ]]; then
    echo "SKIPPED: the kernel is for x86-64, and built with the host's own target"
    exit 0
fi
if ! command -v qemu-system-x86_64 >/dev/null; then
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes \
        --no-install-recommends qemu-system-x86 seabios ipxe-qemu; }; then
        echo "SKIPPED: booting the kernel: QEMU is not installed, and Debian's packages cannot be had"
        exit 0
    fi
fi

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/kernel"
# The settings in .cargo/config.toml are found from that folder, and flags from outside replace them.
unset RUSTFLAGS
cd examples/kernel
cargo fmt --check
cargo clippy --release --locked -- -D warnings
cargo build --locked
cargo build --release --locked
images="$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# boots PROFILE MEMORY CPUS [WORD]
boots() {
    if ! MEMORY="$2" CPUS="$3" ./boot.sh "$images/$1/kernel" "${4:-}" >"$log" 2>&1 ||
        ! grep -qx "$3 of them: $(($3 - 1)) started at 0x.*" "$log" ||
        ! grep -qx "Nothing was lost." "$log"; then
        cat "$log"
        echo "FAILED: $1, $2, $3 processors" >&2
        exit 1
    fi
    local inside
    inside="$(sed -n 's/.* \([0-9]*\) inside a call; .*/\1/p' "$log" | paste -sd+ | sed 's/+/ + /g')"
    echo "boots in $2 with $3 processors ($1); interrupts inside a call on each: $inside"
}

# fails WORD MESSAGE REASON: the run says the message, and boot.sh the reason.
fails() {
    if MEMORY=64M CPUS=2 LIMIT="${4:-60}" ./boot.sh "$images/release/kernel" "fault=$1" >"$log" 2>&1 ||
        ! grep -q "$2" "$log" || ! grep -q "^boot.sh: $3" "$log"; then
        cat "$log"
        echo "FAILED: the planted fault $1 was not seen as \"$2\", \"$3\"" >&2
        exit 1
    fi
    echo "the planted fault $1 is seen: $2; $3"
}

boots release 128M 2
cat "$log"
boots release 16M 1
boots release 16M 4
boots release 64M 2
boots release 256M 4
boots release 1G 1
boots release 3G 2
boots release 6G 4
boots debug 64M 2
# With interrupts between any two instructions.
STEP=1 boots release 64M 1 short

fails leak "frames were lost" "the kernel failed"
fails double "the second free: AlreadyFree" "the kernel failed"
fails smash "the metadata is damaged" "the kernel failed"
fails scribble "has another holder" "the kernel failed"
fails lock "waits for a lock that is held by the code it interrupted" "the kernel failed"
fails silent "no interrupt came inside a call" "the kernel failed"
fails wild "^FAULT 14 " "the kernel failed"
fails reset "is put back" "the machine was reset"
fails hang "This takes for ever" "no end after 5 seconds" 5
