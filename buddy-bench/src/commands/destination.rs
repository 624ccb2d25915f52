//! A file of figures: all of it is there in the end, or what was there before.

use super::Error;
use crate::csv::{self, Row};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Where figures are to be written.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    /// It exists and is no regular file, which cannot be replaced: a pipe, a terminal.
    is_special: bool,
}

impl Destination {
    /// A path that can be written to, as far as that can be known; nothing is left there.
    pub(super) fn at(path: &Path) -> Result<Self, Error> {
        let refused = |source| Error::File { path: path.to_owned(), source };
        let is_special = match fs::metadata(path) {
            Ok(found) => {
                let _writable = OpenOptions::new().append(true).open(path).map_err(refused)?;
                !found.is_file()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(refused(error)),
        };
        let destination = Self { path: path.to_owned(), is_special };
        if !is_special {
            destination.beside().map_err(refused)?;
        }
        Ok(destination)
    }

    /// Writes a file of figures.
    pub(super) fn write<'a>(&self, rows: impl IntoIterator<Item = &'a Row>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let unwritten = |source| Error::Csv { path: self.path.clone(), source };
        csv::write(&mut bytes, rows).map_err(unwritten)?;
        self.write_bytes(&bytes)
    }

    /// Writes the file.
    pub(super) fn write_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        self.try_write(bytes).map_err(|source| Error::File { path: self.path.clone(), source })
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<()> {
        if self.is_special {
            return OpenOptions::new().write(true).open(&self.path)?.write_all(bytes);
        }
        let mut file = self.beside()?;
        file.write_all(bytes)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// A file in the same directory, gone when dropped.
    fn beside(&self) -> io::Result<NamedTempFile> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let readable = Permissions::from_mode(0o666);
        let mut builder = tempfile::Builder::new();
        builder.permissions(readable).tempfile_in(directory.unwrap_or(Path::new(".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("figures.csv");
        let destination = Destination::at(&path).unwrap();
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
        for rows in [vec![Row::default(); 3], vec![Row::default()]] {
            destination.write(&rows).unwrap();
            assert_eq!(csv::read(fs::File::open(&path).unwrap()).unwrap(), rows);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_beforehand() {
        for path in ["/", "/no/such/directory/file.csv", "/proc/version/file.csv"] {
            let error = Destination::at(Path::new(path)).unwrap_err().to_string();
            assert!(error.starts_with(path), "{error}");
        }
    }

    #[test]
    fn a_device_without_space_is_told_and_stays() {
        let destination = Destination::at(Path::new("/dev/full")).unwrap();
        let error = destination.write(&[Row::default()]).unwrap_err().to_string();
        assert!(error.contains("No space"), "{error}");
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }
}
