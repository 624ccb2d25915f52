//! The commands, one module each, and what they have in common.

mod destination;
pub mod latency;
pub mod map;
pub mod micro;
pub mod minheap;
pub mod record;
pub mod replay;
pub mod report;
pub mod scale;
pub mod threads;

use crate::arena::NoMemory;
use crate::csv::{CsvError, Row};
use crate::figure::{MARKS, Sheet};
use crate::machine;
use crate::peers::{Contestant, Entrant, Memory, UnknownName, contestants};
use crate::trace::{self, Trace, TraceError};
use crate::workloads::Workload;
use clap::Args;
use destination::Destination;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Only these allocators (names as in the tables)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub alloc: Vec<String>,
    /// Only these traces: names as in the tables, or files
    #[arg(long, value_name = "NAME|PATH", value_delimiter = ',')]
    pub trace: Vec<String>,
    /// Fewer rounds, shorter time limits, rougher searches
    #[arg(long)]
    pub quick: bool,
    /// Varies the work, the contents of blocks and the order of the allocators in each round
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Also write all figures to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A trace could not be had.
    #[error("trace {name}: {source}")]
    Trace {
        /// What was asked for.
        name: String,
        /// Why not.
        source: TraceError,
    },
    /// An allocator could not be had.
    #[error(transparent)]
    Allocator(#[from] UnknownName),
    /// There is no memory to measure in.
    #[error(transparent)]
    Memory(#[from] NoMemory),
    /// A file could not be written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Figures could not be written or read.
    #[error("{path}: {source}", path = path.display())]
    Csv {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: CsvError,
    },
    /// There is no picture.
    #[error(transparent)]
    Map(#[from] map::MapError),
    /// There is no report.
    #[error(transparent)]
    Report(#[from] report::ReportError),
    /// A program could not be recorded.
    #[error(transparent)]
    Record(#[from] record::RecordError),
    /// A command that replays nothing was given traces.
    #[error("`{command}` has work of its own, and takes no --trace")]
    NoTraces {
        /// Which command.
        command: &'static str,
    },
    /// A command that varies the heap was given nobody who has one.
    #[error("`{command}` needs heaps of given sizes: the allocators chosen have no fixed region")]
    NoHeaps {
        /// Which command.
        command: &'static str,
    },
    /// The tables could not be written.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

/// A command: prints its tables and returns its figures.
pub type Command<'a> = dyn Fn(&Options, &mut dyn Write) -> Result<Vec<Row>, Error> + 'a;

/// Runs a command, and writes its figures to the file that was asked for.
///
/// # Errors
/// Those of the command, and if the file cannot be written; that is told before the work if it can
/// be known then.
pub fn execute(options: &Options, out: &mut dyn Write, command: &Command) -> Result<(), Error> {
    let destination = options.csv.as_deref().map(Destination::at).transpose()?;
    let rows = command(options, out)?;
    if let Some(destination) = destination {
        destination.write([&machine::row()].into_iter().chain(&rows))?;
    }
    Ok(())
}

/// The traces of the options, or all that come with the program.
fn load(options: &Options) -> Result<Vec<Trace>, Error> {
    let all = || trace::NAMES.iter().map(|&name| name.to_owned()).collect();
    let names = if options.trace.is_empty() { all() } else { options.trace.clone() };
    let load = |name: String| trace::load(&name).map_err(|source| Error::Trace { name, source });
    names.into_iter().map(load).collect()
}

/// The traces of the options as workloads.
fn load_workloads(options: &Options) -> Result<Vec<Workload>, Error> {
    Ok(load(options)?.into_iter().map(Workload::of_trace).collect())
}

/// Those of the options that manage a fixed region.
fn fixed_contestants(
    options: &Options,
    command: &'static str,
) -> Result<Vec<&'static Contestant>, Error> {
    let mut contestants = contestants(&options.alloc)?;
    contestants.retain(|contestant| contestant.entrant.memory == Memory::Fixed);
    if contestants.is_empty() { Err(Error::NoHeaps { command }) } else { Ok(contestants) }
}

/// What stands above all tables.
fn write_head(
    out: &mut dyn Write,
    command: &str,
    options: &Options,
    entrants: &[Entrant],
) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    let (cpu, cores, rustc) = (machine::cpu_model(), machine::cores(), machine::RUSTC);
    let unit = if cores == 1 { "core" } else { "cores" };
    writeln!(out, "buddy-bench {version} {command}, seed {}", options.seed)?;
    writeln!(out, "machine   {cpu}, {cores} {unit}; {rustc}")?;
    if cfg!(debug_assertions) {
        writeln!(out, "warning   a debug build: its figures mean nothing; use --release")?;
    }
    let mut packages: Vec<&str> = Vec::new();
    for entrant in entrants {
        if !packages.contains(&entrant.package) {
            packages.push(entrant.package);
        }
    }
    writeln!(out, "versions  {}\n", packages.join(", "))?;
    Ok(())
}

/// Sheets of one command: all tables, what was wrong, and notes; returns the lines for the file.
fn write_sheets(
    out: &mut dyn Write,
    command: &str,
    sheets: &[Sheet],
    notes: &str,
) -> Result<Vec<Row>, Error> {
    for sheet in sheets {
        writeln!(out, "{}", sheet.table())?;
    }
    // Of several sheets of the same work, each line once.
    let faults: BTreeSet<String> = sheets.iter().flat_map(Sheet::faults).collect();
    for fault in faults {
        writeln!(out, "! {fault}")?;
    }
    writeln!(out, "{MARKS}\n{notes}")?;
    let figures = sheets.iter().flat_map(|sheet| &sheet.columns).flat_map(|(_, figures)| figures);
    Ok(figures.map(|figure| figure.row(command)).collect())
}
