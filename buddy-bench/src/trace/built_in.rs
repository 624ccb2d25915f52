//! The traces that come with the program, and others from files.

use super::decode::{MOST_BYTES, decode, decompress};
use super::{Trace, TraceError};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

macro_rules! traces {
    ($($name:literal),* $(,)?) => {
        /// The traces that come with the program.
        pub const NAMES: &[&str] = &[$($name),*];

        const FILES: &[&[u8]] =
            &[$(include_bytes!(concat!("../../traces/", $name, ".trc.zst"))),*];
    };
}

traces!["cc1plus", "git-log", "perl-text", "python-stdlib", "rustc-threads", "sqlite-sql"];

/// The trace of that name, or in that file.
///
/// # Errors
/// If there is neither, or the file is no trace.
pub fn load(name: &str) -> Result<Trace, TraceError> {
    if let Some(index) = NAMES.iter().position(|&known| known == name) {
        return decode(name, &decompress(FILES[index])?);
    }
    let file = match File::open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(TraceError::Unknown { name: name.to_owned(), known: NAMES });
        }
        Err(error) => return Err(TraceError::Read(error)),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(TraceError::Read)?;
    let file_name = Path::new(name).file_name().map_or(name.into(), |name| name.to_string_lossy());
    let stem = file_name.trim_end_matches(".zst").trim_end_matches(".trc");
    decode(stem, &decompress(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_traces_that_come_with_the_program_are_sound() {
        let lengths = NAMES.iter().map(|name| load(name).unwrap().events.len());
        let expected = [2_000_000, 173_259, 478_265, 1_475_880, 765_845, 1_185_576];
        assert!(lengths.eq(expected));
    }

    #[test]
    fn a_file_is_read_and_named_after_its_stem() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/git-log.trc.zst");
        let trace = load(path.to_str().unwrap()).unwrap();
        assert_eq!((trace.name.as_str(), trace.threads), ("git-log", 1));
    }

    #[test]
    fn an_unknown_name_tells_the_known_ones() {
        let error = load("no-such-trace").unwrap_err();
        assert!(matches!(error, TraceError::Unknown { .. }));
        assert!(error.to_string().contains("no-such-trace"));
        assert!(error.to_string().contains("cc1plus, git-log"));
    }

    #[test]
    fn a_directory_cannot_be_read() {
        assert!(matches!(load(env!("CARGO_MANIFEST_DIR")), Err(TraceError::Read(_))));
    }
}
