//! Hands the versions of the peers (as Cargo.lock has them) and of the compiler to the program.

use std::process::Command;
use std::{env, fs};

const LOCK: &str = "../Cargo.lock";

/// Packages whose versions are told.
const PACKAGES: [&str; 12] = [
    "buddy-core",
    "buddy-alloc",
    "buddy_system_allocator",
    "good_memory_allocator",
    "linked_list_allocator",
    "mimalloc",
    "offset-allocator",
    "parking_lot",
    "rlsf",
    "snmalloc-rs",
    "talc",
    "tikv-jemallocator",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = fs::read_to_string(LOCK).unwrap_or_default();
    for package in PACKAGES {
        let variable = package.to_uppercase().replace('-', "_");
        println!("cargo::rustc-env=VERSION_{variable}={}", locked_version(&lock, package));
    }
    println!("cargo::rustc-env=RUSTC_VERSION={}", rustc_version());
}

fn locked_version<'a>(lock: &'a str, package: &str) -> &'a str {
    let start = format!("name = \"{package}\"\nversion = \"");
    let rest = lock.split_once(&start).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once('"')).map_or("?", |(version, _)| version)
}

fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.map_or_else(|_| "rustc ?".into(), |text| text.trim().to_owned())
}
