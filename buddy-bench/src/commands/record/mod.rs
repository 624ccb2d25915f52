//! `record`: what a program asks its allocator for, as a trace that replays like those built in.

mod convert;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod library;

use super::Error;
use super::destination::Destination;
use crate::table::Table;
use crate::trace::{Op, Trace};
use buddy_record::format::{HEAD_BYTES, Log, LogError, written_bytes};
use clap::Args;
use convert::{Converted, LeftOut, convert};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// What to record, and where to.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The trace to write; unset, the program's name in this folder
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only the first process whose program file has this name, rather than the first of all
    #[arg(long, value_name = "NAME")]
    pub process: Option<OsString>,
    /// Stop recording after so many calls (each takes 24 bytes on the disk meanwhile)
    #[arg(long, value_name = "NUMBER", default_value_t = buddy_record::DEFAULT_RECORDS)]
    pub events: u64,
    /// The library to preload, if it is not to be built
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// Make a trace of a log that a program with the recorder inside wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "process", "events", "library"])]
    pub log: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "log")]
    pub command: Vec<OsString>,
}

/// Why a program could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The log cannot be written or read.
    #[error("the log of the recording: {0}")]
    Log(io::Error),
    /// It is none.
    #[error("the log of the recording: {0}")]
    NoLog(#[from] LogError),
    /// There is no library to preload.
    #[error("no library to preload: {} does not exist; `--library` names another one", .0.display())]
    NoLibrary(PathBuf),
    /// Its build failed.
    #[error("no library to preload: it could not be built; `--library` names another one")]
    Build,
    /// A path that the loader would take for two.
    #[error("{}: a library to preload must not have a space or a colon in its path", .0.display())]
    Separator(PathBuf),
    /// No program is named.
    #[error("no program is named")]
    NoProgram,
    /// The program did not start.
    #[error("{program:?} cannot be run: {source}")]
    Run {
        /// What was to be run.
        program: OsString,
        /// Why it was not.
        source: io::Error,
    },
    /// The recorder never ran.
    #[error(
        "nothing was recorded: no process {0} that is dynamically linked, or has the recorder inside"
    )]
    NotBegun(String),
    /// It did, and nothing came to it.
    #[error(
        "nothing was recorded: the program asked the C library for no memory; \
         perhaps it has an allocator of its own inside"
    )]
    Empty,
    /// There is no preloading here.
    #[error("programs are recorded on Linux only; `--log` works everywhere")]
    System,
}

/// Records, writes the trace, and tells on `out` what it has.
///
/// # Errors
/// If there is nothing to be recorded, or no room for it.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), Error> {
    let (output, name) = output(options);
    let destination = Destination::at(&output)?;
    let log = match &options.log {
        Some(path) => {
            let failed = |source| Error::File { path: path.clone(), source };
            read(File::open(path).map_err(failed)?)?
        }
        None => launch(options, out)?,
    };
    let converted = trace(&name, &log, options)?;
    let bytes = converted.trace.to_file();
    destination.write_bytes(&bytes)?;
    tell(out, &converted, &output, bytes.len())?;
    Ok(())
}

/// Where the trace is written, and what it is called.
fn output(options: &Options) -> (PathBuf, String) {
    let source = options.process.as_ref().or(options.command.first());
    let source = source.map(Path::new).or(options.log.as_deref()).unwrap_or(Path::new("recorded"));
    let default =
        || PathBuf::from(source.file_stem().unwrap_or_default()).with_extension("trc.zst");
    let output = options.output.clone().unwrap_or_else(default);
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.trim_end_matches(".zst").trim_end_matches(".trc").to_owned();
    (output, stem)
}

#[cfg(target_os = "linux")]
fn launch(options: &Options, out: &mut impl Write) -> Result<Vec<u8>, Error> {
    let library = match &options.library {
        Some(path) => path.canonicalize().map_err(|_| RecordError::NoLibrary(path.clone()))?,
        None => library::find()?,
    };
    let (command, process, limit) = (&options.command, options.process.as_deref(), options.events);
    let (log, status) = launch::Launch { command, library: &library, process, limit }.run()?;
    if !status.success() {
        writeln!(out, "the program ended with {status}")?;
    }
    Ok(read(log)?)
}

#[cfg(not(target_os = "linux"))]
fn launch(_: &Options, _: &mut impl Write) -> Result<Vec<u8>, Error> {
    Err(RecordError::System.into())
}

/// The written part of a log.
fn read(mut file: File) -> Result<Vec<u8>, RecordError> {
    let mut bytes = Vec::new();
    file.rewind().map_err(RecordError::Log)?;
    let mut take = |bytes: &mut Vec<u8>, len: u64| {
        (&mut file).take(len).read_to_end(bytes).map_err(RecordError::Log)
    };
    take(&mut bytes, HEAD_BYTES as u64)?;
    let len = written_bytes(&bytes)?;
    take(&mut bytes, len - HEAD_BYTES as u64)?;
    Ok(bytes)
}

fn trace(name: &str, log: &[u8], options: &Options) -> Result<Converted, RecordError> {
    let log = Log::new(log)?;
    if !log.begun {
        let process = options.process.as_ref().or(options.command.first());
        return Err(RecordError::NotBegun(format!("{:?}", process.cloned().unwrap_or_default())));
    }
    let converted = convert(name, &log);
    if converted.trace.events.is_empty() { Err(RecordError::Empty) } else { Ok(converted) }
}

fn tell(
    out: &mut impl Write,
    converted: &Converted,
    output: &Path,
    bytes: usize,
) -> io::Result<()> {
    let Converted { trace, left_out } = converted;
    let mut table = Table::new(
        format!("Recorded {}", output.display()),
        vec![String::new(), "count".to_owned()],
    );
    let mut row = |name: &str, figure: u64| table.row(vec![name.to_owned(), figure.to_string()]);
    let count = |op| trace.events.iter().filter(|event| event.op == op).count() as u64;
    row("events", trace.events.len() as u64);
    row("  allocations", count(Op::Alloc));
    row("  zeroed allocations", count(Op::AllocZeroed));
    row("  reallocations", count(Op::Realloc));
    row("  frees", count(Op::Free));
    row("threads", trace.threads);
    row("blocks live at the end", live_at_end(trace));
    row("peak of live bytes", trace.peak_bytes as u64);
    row("bytes in the file", bytes as u64);
    write!(out, "{table}")?;
    let LeftOut { unknown, lost, large, cut } = *left_out;
    for (count, what) in [
        (unknown as u64, "frees of blocks from before the recording"),
        (lost as u64, "calls of threads that were killed"),
        (large as u64, "blocks of 4 GiB and above"),
        (cut, "calls after the last one with room in the log (`--events`)"),
    ] {
        if count > 0 {
            writeln!(out, "left out: {count} {what}")?;
        }
    }
    writeln!(out, "replay it with: cargo run --release -- --trace {}", output.display())
}

fn live_at_end(trace: &Trace) -> u64 {
    let change = |event: &crate::trace::Event| match event.op {
        Op::Alloc | Op::AllocZeroed => 1,
        Op::Free => -1,
        Op::Realloc => 0,
    };
    trace.events.iter().map(change).sum::<i64>().unsigned_abs()
}
