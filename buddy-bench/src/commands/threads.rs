//! `threads`: allocators shared by more and more threads, which free each other's blocks.

use super::{Error, Options, write_head, write_sheets};
use crate::arena::Arena;
use crate::csv::Row;
use crate::figure::{Figure, Sheet};
use crate::machine;
use crate::measure::{Effort, measure};
use crate::progress::Progress;
use crate::random::Random;
use crate::shared::{Shared, shared_contestants};
use crate::workloads::{Exchange, exchanges};
use std::io::Write;

const NOTES: &str = "\
Each thread frees and allocates blocks of 16 B to 1 KiB, of which it holds 1000. Rates are of all
threads together, allocations and frees, from the first one's start to the last one's end.
-spin: behind a spin lock; -mutex: behind parking_lot's mutex; the others as they are.";

/// Runs the command. It has work of its own: traces say nothing of what threads do at once.
///
/// # Errors
/// If an allocator cannot be had, there is no memory, or `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    if !options.trace.is_empty() {
        return Err(Error::NoTraces { command: "threads" });
    }
    let contestants = shared_contestants(&options.alloc)?;
    let works = exchanges(machine::cores(), options.seed);
    let heap = works.iter().map(Exchange::heap_bytes).max().unwrap_or(0);
    let mut arena = Arena::new(heap)?;
    let entrants: Vec<_> = contestants.iter().map(|contestant| contestant.entrant).collect();
    write_head(out, "threads", options, &entrants)?;
    // Threads that begin a moment apart are to matter little.
    let effort = Effort::of(options.quick).with_longer_passes(8);
    let mut random = Random::new(options.seed);
    let progress = Progress::new(works.len() * effort.steps(contestants.len()));
    let mut sheets = Vec::new();
    for works in works.chunk_by(|one, other| one.name() == other.name()) {
        let column = |exchange: &Exchange| {
            let mut shared = Shared { exchange, contestants: &contestants, arena: &mut arena };
            let times = measure(&mut shared, &effort, &mut random, &progress);
            (exchange.label().parameter, times.into_iter().map(rate).collect())
        };
        let title = format!("{}, millions of calls a second", works[0].name());
        let columns = works.iter().map(column).collect();
        sheets.push(Sheet { title, columns, is_rate: true, decimals: 1, has_mean: false });
    }
    progress.finish();
    write_sheets(out, "threads", &sheets, NOTES)
}

/// Millions of calls a second, of nanoseconds per call.
fn rate(figure: Figure) -> Figure {
    let summary = figure.summary.map(|time| time.rate(1000.0));
    Figure { metric: "rate", unit: "Mops/s".to_owned(), summary, ..figure }
}
