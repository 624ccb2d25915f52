//! Links without an operating system's start-up code and libraries.

fn main() {
    println!("cargo:rerun-if-changed=link.ld");
    let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets this");
    let script = format!("-Wl,-T,{directory}/link.ld");
    for argument in [
        "-nostdlib",
        "-static",
        "-no-pie",
        &script,
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
        "-Wl,--gc-sections",
        "-Wl,--no-eh-frame-hdr",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
