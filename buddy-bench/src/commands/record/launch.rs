//! Running a program with a log.

use super::RecordError;
use buddy_record::{LOG, PROCESS, writer};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, ExitStatus, id};

/// What to run, and how.
pub(super) struct Launch<'a> {
    pub(super) command: &'a [OsString],
    pub(super) library: &'a Path,
    pub(super) process: Option<&'a OsStr>,
    pub(super) limit: u64,
}

impl Launch<'_> {
    /// Runs the program to its end.
    ///
    /// The log is a file without a name: whatever happens, none is left behind.
    pub(super) fn run(&self) -> Result<(File, ExitStatus), RecordError> {
        let log = tempfile::tempfile().map_err(RecordError::Log)?;
        writer::prepare(&log, self.limit).map_err(RecordError::Log)?;
        let [program, arguments @ ..] = self.command else { return Err(RecordError::NoProgram) };
        let mut command = Command::new(program);
        command.args(arguments).env("LD_PRELOAD", self.preload()?);
        command.env(LOG, format!("/proc/{}/fd/{}", id(), log.as_raw_fd()));
        match self.process {
            Some(name) => command.env(PROCESS, name),
            None => command.env_remove(PROCESS),
        };
        // An interrupt is for the program; what it did until then is a trace, too.
        let _ = ctrlc::set_handler(|| ());
        let failed = |source| RecordError::Run { program: program.clone(), source };
        let status = command.status().map_err(failed)?;
        Ok((log, status))
    }

    /// This library before those that are there already.
    fn preload(&self) -> Result<OsString, RecordError> {
        let library = self.library.as_os_str();
        if library.as_encoded_bytes().iter().any(|byte| b" :".contains(byte)) {
            return Err(RecordError::Separator(self.library.to_owned()));
        }
        let mut all = library.to_owned();
        if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
            all.push(":");
            all.push(others);
        }
        Ok(all)
    }
}
