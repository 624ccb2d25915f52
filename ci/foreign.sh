#!/usr/bin/env bash
# The tests of buddy-core on a 32-bit machine (i686, run natively) and a big-endian one (s390x, under
# qemu-user), with Debian's rustc 1.85. Needs Debian 12 on x86-64 with the packages gcc-i686-linux-gnu,
# gcc-s390x-linux-gnu, libc6-dev-i386-cross, libc6-dev-s390x-cross and qemu-user; fetches the compiler
# and both standard libraries into the target folder, without installing them.
#
# The arguments name the architectures; without any, both run.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED: ci/foreign.sh needs $1" >&2
    exit 0
}
for tool in apt-get dpkg i686-linux-gnu-gcc s390x-linux-gnu-gcc qemu-s390x; do
    command -v "$tool" >/dev/null || skip "$tool"
done

target="${CARGO_TARGET_DIR:-$PWD/target}"
foreign="$target/foreign"
version="1.85.0+dfsg3-1~deb12u3"

# Lists of its own, so that the machine's package manager learns of no other architecture.
if [ ! -x "$foreign/rustc" ]; then
    mkdir -p "$foreign"/{lists/partial,archives/partial,debs,root}
    options=(-o Dir::State::lists="$foreign/lists" -o Dir::Cache="$foreign/archives")
    for architecture in amd64 i386 s390x; do
        options+=(-o "APT::Architectures::=$architecture")
    done
    # A list that does not arrive is left out; if it was needed, the download below fails.
    apt-get "${options[@]}" update || echo "not all package lists could be had" >&2
    packages=("rustc-web:amd64=$version" "libstd-rust-web-1.85:amd64=$version" libllvm19:amd64)
    for architecture in amd64 i386 s390x; do
        packages+=("libstd-rust-web-dev:$architecture=$version")
    done
    (cd "$foreign/debs" && apt-get "${options[@]}" download "${packages[@]}") ||
        skip "Debian's rustc-web $version"
    for package in "$foreign"/debs/*.deb; do
        dpkg -x "$package" "$foreign/root"
    done
    # Finds its libraries where they were unpacked.
    cat >"$foreign/rustc" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH="$foreign/root/usr/lib/x86_64-linux-gnu:$foreign/root/usr/lib/llvm-19/lib"
exec "$foreign/root/usr/bin/rustc" "\$@"
EOF
    chmod +x "$foreign/rustc"
fi

export RUSTC="$foreign/rustc"
export CARGO_TARGET_DIR="$foreign/target"
export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc
export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Ctarget-feature=+crt-static"
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Ctarget-feature=+crt-static"
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER=qemu-s390x
# Emulated, each case takes long.
export PROPTEST_CASES="${PROPTEST_CASES:-16}"

for architecture in "${@:-i686 s390x}"; do
    for one in $architecture; do
        echo "--- $one: units and tests of buddy-core"
        # The larger searches of all states take an hour there, and are the same on any machine.
        skipped=()
        if [ "$one" = s390x ]; then skipped=(--skip six_and_seven_leaves --skip up_to_ten_leaves); fi
        cargo test --target "$one-unknown-linux-gnu" --package buddy-core --lib \
            --test tree --test shadow --test anywhere --test owned --test heap_misuse --test heap_in_place \
            --test heap_regions --test heap_slabs --test heap_zeroed --test heap_threads \
            --test hardened --test frames --test texts -- "${skipped[@]}"
        echo "ran: $one"
    done
done
