//! `micro`: what single kinds of work cost: pairs, batches, churn, scans, growth, page frames.

use super::{Error, Options, load_workloads, write_head, write_sheets};
use crate::arena::Arena;
use crate::csv::Row;
use crate::figure::{Figure, Sheet};
use crate::measure::{Effort, measure};
use crate::peers::{Contestant, contestants};
use crate::progress::Progress;
use crate::random::Random;
use crate::workloads::{Workload, suite};
use std::io::Write;

const NOTES: &str = "\
Each pass begins with a fresh allocator in the same memory; of each block the first byte is written.
The floor hands out addresses in turn, and takes nothing back: it is what the work costs by itself.";

/// Runs the command.
///
/// # Errors
/// If a trace or an allocator cannot be had, there is no memory, or `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    let contestants = contestants(&options.alloc)?;
    let traces = if options.trace.is_empty() { Vec::new() } else { load_workloads(options)? };
    let workloads = if traces.is_empty() { suite(options.seed) } else { traces };
    let effort = Effort::of(options.quick);
    let heap = workloads.iter().map(|workload| workload.heap_bytes).max().unwrap_or(0);
    let arena = Arena::new(heap)?;
    let entrants: Vec<_> = contestants.iter().map(|contestant| contestant.entrant).collect();
    write_head(out, "micro", options, &entrants)?;
    let random = Random::new(options.seed);
    let progress = Progress::new(workloads.len() * effort.steps(&contestants));
    let mut bench = Bench { contestants, effort, arena, random, progress };
    let sheets: Vec<Sheet> = workloads
        .chunk_by(|one, other| one.name == other.name)
        .map(|workloads| bench.sheet(workloads))
        .collect();
    bench.progress.finish();
    write_sheets(out, "micro", &sheets, NOTES)
}

struct Bench {
    contestants: Vec<&'static Contestant>,
    effort: Effort,
    arena: Arena,
    random: Random,
    progress: Progress,
}

impl Bench {
    /// The sheet of workloads of one name.
    fn sheet(&mut self, workloads: &[Workload]) -> Sheet {
        let title = workloads.first().map_or(String::new(), |workload| {
            format!("{}, ns per {}", workload.name, workload.work.event())
        });
        let columns =
            workloads.iter().map(|workload| (workload.parameter.clone(), self.figures(workload)));
        Sheet { title, columns: columns.collect(), is_rate: false, decimals: 1 }
    }

    fn figures(&mut self, workload: &Workload) -> Vec<Figure> {
        let Self { contestants, effort, arena, random, progress } = self;
        let outcomes = measure(workload, contestants, arena, effort, random, progress);
        outcomes.iter().map(|outcome| outcome.figure(workload)).collect()
    }
}
