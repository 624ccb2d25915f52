//! `replay`: traces of real programs through all allocators; time per event, failures.

use super::{Error, Options, load_workloads, write_head, write_sheets};
use crate::arena::Arena;
use crate::csv::Row;
use crate::figure::Sheet;
use crate::measure::{Effort, Heaps, measure};
use crate::peers::contestants;
use crate::progress::Progress;
use crate::random::Random;
use crate::table::Table;
use crate::workloads::Workload;
use std::io::Write;

const NOTES: &str = "\
Each pass begins with a fresh allocator in the same memory; of each block the first byte is written.
Requests of several threads are replayed in their total order by one. The system's allocator and
others without a fixed region take memory where they like, and keep it from pass to pass.";

/// Runs the command.
///
/// # Errors
/// If a trace or an allocator cannot be had, there is no memory, or `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    let contestants = contestants(&options.alloc)?;
    let workloads = load_workloads(options)?;
    let effort = Effort::of(options.quick);
    let heap = workloads.iter().map(|workload| workload.heap_bytes).max().unwrap_or(0);
    let mut arena = Arena::new(heap)?;
    let entrants: Vec<_> = contestants.iter().map(|contestant| contestant.entrant).collect();
    write_head(out, "replay", options, &entrants)?;
    writeln!(out, "{}", traces(&workloads))?;
    let mut random = Random::new(options.seed);
    let progress = Progress::new(workloads.len() * effort.steps(contestants.len()));
    let column = |workload: &Workload| {
        let mut heaps = Heaps { workload, contestants: &contestants, arena: &mut arena };
        (workload.name.clone(), measure(&mut heaps, &effort, &mut random, &progress))
    };
    let columns = workloads.iter().map(column).collect();
    progress.finish();
    let rounds = effort.rounds;
    let title = format!(
        "Time per event, ns: median of up to {rounds} rounds (± half the width of the middle half)"
    );
    let sheet = Sheet { title, columns, is_rate: false, decimals: 1, has_mean: true };
    write_sheets(out, "replay", &[sheet], NOTES)
}

/// What the traces are.
pub(super) fn traces(workloads: &[Workload]) -> Table {
    let names = workloads.iter().map(|workload| workload.name.clone());
    let mut table = Table::new("Traces", [String::new()].into_iter().chain(names).collect());
    let traces: Vec<_> = workloads.iter().filter_map(Workload::trace).collect();
    let mut row = |name: &str, cells: Vec<String>| {
        table.row([name.to_owned()].into_iter().chain(cells).collect());
    };
    row("events", traces.iter().map(|trace| trace.events.len().to_string()).collect());
    row("threads", traces.iter().map(|trace| trace.threads.to_string()).collect());
    let peaks = traces.iter().map(|trace| mebibytes(trace.peak_bytes));
    row("peak of live bytes, MiB", peaks.collect());
    let heaps = workloads.iter().map(|workload| mebibytes(workload.heap_bytes));
    row("memory given, MiB", heaps.collect());
    table
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn mebibytes(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
