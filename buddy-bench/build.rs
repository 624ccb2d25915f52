//! Hands the versions of the peers (as Cargo.lock has them) and of the compiler to the program.

use std::process::Command;
use std::{env, fs};

const LOCK: &str = "../Cargo.lock";

/// Package name, and the variable that tells its version.
const PACKAGES: [(&str, &str); 6] = [
    ("buddy-core", "VERSION_BUDDY_CORE"),
    ("buddy-alloc", "VERSION_BUDDY_ALLOC"),
    ("buddy_system_allocator", "VERSION_BUDDY_SYSTEM_ALLOCATOR"),
    ("linked_list_allocator", "VERSION_LINKED_LIST_ALLOCATOR"),
    ("rlsf", "VERSION_RLSF"),
    ("talc", "VERSION_TALC"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = fs::read_to_string(LOCK).unwrap_or_default();
    for (package, variable) in PACKAGES {
        println!("cargo::rustc-env={variable}={}", locked_version(&lock, package));
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
