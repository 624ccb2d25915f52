//! The commands, one module each.

pub mod map;
pub mod record;
pub mod replay;

use crate::arena::NoMemory;
use crate::csv::CsvError;
use crate::peers::UnknownName;
use crate::trace::TraceError;
use std::io;
use std::path::PathBuf;

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
    /// A program could not be recorded.
    #[error(transparent)]
    Record(#[from] record::RecordError),
    /// The tables could not be written.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}
