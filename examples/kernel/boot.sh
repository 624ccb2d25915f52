#!/usr/bin/env bash
# Boots a kernel image in QEMU: `boot.sh IMAGE [WORDS OF THE COMMAND LINE..]`, so also `cargo run`.
# MEMORY (default 128M) and CPUS (default 2) choose the machine, LIMIT how many seconds it has.
# With STEP=1 an interrupt may come between any two instructions, not only where QEMU looks for one; that
# takes long, so tell the kernel to be `short`.
# Succeeds only if the kernel says so itself: a reset, as after a triple fault, ends QEMU with 0.
set -euo pipefail

image="$1"
shift
accelerator=(-accel "tcg,thread=multi")
if [[ -n "${STEP:-}" ]]; then
    # The option's name before QEMU 8.1, and since.
    if qemu-system-x86_64 --help | grep -q -e '^-singlestep'; then
        accelerator+=(-singlestep)
    else
        accelerator=(-accel "tcg,thread=multi,one-insn-per-tb=on")
    fi
fi
status=0
timeout "${LIMIT:-120}" qemu-system-x86_64 "${accelerator[@]}" -machine q35 -cpu max \
    -m "${MEMORY:-128M}" -smp "${CPUS:-2}" -kernel "$image" -append "$*" \
    -nodefaults -display none -no-reboot -serial stdio \
    -device isa-debug-exit,iobase=0xf4,iosize=0x04 || status=$?
case "$status" in
33) exit 0 ;;
3) echo "boot.sh: the kernel failed" >&2 ;;
0) echo "boot.sh: the machine was reset" >&2 ;;
124) echo "boot.sh: no end after ${LIMIT:-120} seconds" >&2 ;;
*) echo "boot.sh: QEMU ended with $status" >&2 ;;
esac
exit 1
