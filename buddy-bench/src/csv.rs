//! The one format in which all commands write their figures: comma-separated values (RFC 4180),
//! a head, and one line for each figure.
//!
//! ```text
//! command,workload,parameter,allocator,package,metric,unit,median,low,high,runs,status
//! machine,AMD EPYC,,,rustc 1.95.0 (..),cores,,2.0,2.0,2.0,1,ok
//! replay,git-log,,buddy,buddy-core 0.1.0,time,ns/event,14.2,13.9,14.6,15,ok
//! minheap,git-log,,talc,talc 5.1.1,heap / peak,ratio,1.016,1.016,1.016,1,ok
//! micro,pair,64 B,rlsf,rlsf 0.2.3,time,ns/pair,7.6,7.5,7.7,15,ok
//! scale,churn 16 B..1 KiB,16 GiB,linked_list,linked_list_allocator 0.10.6,time,ns/step,438.0,430.1,446.0,15,part: 3.1 % of the work
//! ```
//!
//! | command | workload | parameter | metrics and units |
//! |---|---|---|---|
//! | replay | trace | | time, ns/event |
//! | minheap | trace | | heap / peak, ratio; heap, KiB |
//! | micro | pair, churn, .. | sizes | time, ns/pair, ns/call, ns/step, ns/free, ns/realloc |
//! | latency | churn or trace | kind of call | p50, p99, p99.9, p99.99, max, p99.99 least, max least; cycles or ns |
//! | scale | churn or trace; create | heap | time, ns/step, ns/event; µs |
//! | threads | how blocks are freed | how many threads | rate, Mops/s: larger is better |
//! | map | trace | event | live, used, free, largest free, bytes; fragmentation, %; refused |
//!
//! - The first line after the head is the machine's: its processor is the `workload`, its compiler
//!   the `package`, its cores the figure. Files of several commands may be joined: further lines of
//!   machines may follow.
//! - `workload` and `parameter` together name what was done; lines are in the order of the tables.
//! - `low` and `high` bound the middle half of the runs, and the median lies between. All three are
//!   empty where there is no figure; `runs` is then 0. Decimals are three at most.
//! - `status` is `ok`, or says in words why a figure must not be compared, or is not there:
//!   `part: ..` (too slow, the figure is of the first part), `failed: ..` (blocks that overlap, lost
//!   contents, requests refused, a panic), `floor: ..` (not an allocator, the least possible time).
//!   The word before the colon is one of these.

use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// One figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which command measured it.
    pub command: String,
    /// What was done.
    pub workload: String,
    /// With what sizes, how many threads, in what heap; may be empty.
    pub parameter: String,
    /// The allocator's name in the tables.
    pub allocator: String,
    /// Its package and version.
    pub package: String,
    /// What was measured.
    pub metric: String,
    /// In which unit.
    pub unit: String,
    /// The median of the runs.
    pub median: Option<f64>,
    /// Where the middle half of the runs begins.
    pub low: Option<f64>,
    /// Where it ends.
    pub high: Option<f64>,
    /// How many runs there were.
    pub runs: usize,
    /// [`OK`], or what is wrong.
    pub status: String,
}

/// The status of a figure that may be compared.
pub const OK: &str = "ok";

/// The command of the lines that tell the machine.
pub const MACHINE: &str = "machine";

/// Why a file of figures could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CsvError(#[from] csv::Error);

impl CsvError {
    /// Whether the file could not be written or read, rather than understood.
    #[must_use]
    pub fn is_io(&self) -> bool {
        self.0.is_io_error()
    }
}

/// Writes a head and all rows.
///
/// # Errors
/// If `out` cannot be written.
pub fn write<'a>(out: impl Write, rows: impl IntoIterator<Item = &'a Row>) -> Result<(), CsvError> {
    let mut writer = csv::Writer::from_writer(out);
    for row in rows {
        writer.serialize(row)?;
    }
    writer.flush().map_err(csv::Error::from)?;
    Ok(())
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// If `input` cannot be read, a column is missing, or a line is cut or no figure.
pub fn read(input: impl Read) -> Result<Vec<Row>, CsvError> {
    let rows = csv::Reader::from_reader(input).into_deserialize();
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Rounded to the three decimals that are written.
#[must_use]
pub fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            command: "micro".to_owned(),
            workload: "say \"so\"".to_owned(),
            parameter: "1,5".to_owned(),
            median: Some(rounded(1.000_49)),
            runs: 3,
            status: OK.to_owned(),
            ..Row::default()
        }
    }

    fn written(rows: &[Row]) -> String {
        let mut out = Vec::new();
        write(&mut out, rows).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let rows = [row(), Row::default()];
        assert_eq!(read(written(&rows).as_bytes()).unwrap(), rows);
    }

    #[test]
    fn the_head_is_as_described_and_fields_are_quoted() {
        let text = written(&[row()]);
        let head =
            "command,workload,parameter,allocator,package,metric,unit,median,low,high,runs,status";
        assert_eq!(text.lines().next(), Some(head));
        assert_eq!(text.lines().nth(1), Some("micro,\"say \"\"so\"\"\",\"1,5\",,,,,1.0,,,3,ok"));
    }

    #[test]
    fn missing_columns_and_cut_lines_are_errors() {
        let text = written(&[row()]);
        assert!(read(text.replace(",runs", "").as_bytes()).is_err());
        assert!(read(&text.as_bytes()[..text.len() - 6]).is_err());
        assert!(read(text.replace("1.0", "x").as_bytes()).is_err());
        assert!(!read(&b"\x89PNG"[..]).is_ok_and(|rows| !rows.is_empty()));
    }
}
