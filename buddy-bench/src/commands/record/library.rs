//! Finding the library to preload, and building it where its source is at hand.

use super::RecordError;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "buddy-record-preload";
const FILE: &str = "libbuddy_record_preload.so";

/// The library: beside this program, and built anew if this is a checkout.
pub(super) fn find() -> Result<PathBuf, RecordError> {
    let folder = env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let folder = folder.unwrap_or_default();
    // The tests' programs lie one folder deeper.
    let folder = if folder.ends_with("deps") { folder.join("..") } else { folder };
    let manifest = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    if manifest.exists() {
        build(manifest, &folder)?;
    }
    let library = folder.join(FILE);
    library.canonicalize().map_err(|_| RecordError::NoLibrary(library))
}

/// Builds it into `folder`, as whatever lies there was built.
fn build(manifest: &Path, folder: &Path) -> Result<(), RecordError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", PACKAGE, "--manifest-path"]).arg(manifest);
    command.arg("--target-dir").arg(folder.join(".."));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    match command.status() {
        Ok(status) if !status.success() => Err(RecordError::Build),
        // Without cargo, the library that lies there will do.
        _ => Ok(()),
    }
}
