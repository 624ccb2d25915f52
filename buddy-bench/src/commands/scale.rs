//! `scale`: the same work in ever larger heaps, whose pages are touched only where they are used.

use super::{Error, Options, fixed_contestants, load_workloads, write_head, write_sheets};
use crate::arena::Arena;
use crate::csv::Row;
use crate::figure::{Figure, Sheet, Status};
use crate::measure::{Effort, Heaps, measure};
use crate::peers::Contestant;
use crate::progress::Progress;
use crate::random::Random;
use crate::statistics::Summary;
use crate::workloads::{Churn, Work, Workload, bytes};
use std::io::Write;

const NOTES: &str = "\
Every pass begins with fresh pages, which this project's heap is told are zero; nobody else's
constructor takes that.";

/// Log2 of the heaps' bytes: 1 MiB to 16 GiB.
const FULL: &[u32] = &[20, 22, 24, 26, 28, 30, 32, 34];
const QUICK: &[u32] = &[20, 26, 30, 34];

/// Times that a heap is created.
const CREATIONS: usize = 3;

/// Runs the command.
///
/// # Errors
/// If a trace or an allocator cannot be had, there is no address space, or `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    let contestants = fixed_contestants(options, "scale")?;
    let traces = if options.trace.is_empty() { Vec::new() } else { load_workloads(options)? };
    let workloads = if options.trace.is_empty() { vec![churn(options.seed)] } else { traces };
    let sizes: Vec<usize> =
        if options.quick { QUICK } else { FULL }.iter().map(|&log2| 1 << log2).collect();
    let arena = Arena::reserved(sizes.iter().copied().max().unwrap_or(0))?;
    let entrants: Vec<_> = contestants.iter().map(|contestant| contestant.entrant).collect();
    write_head(out, "scale", options, &entrants)?;
    let effort = Effort::of(options.quick);
    let random = Random::new(options.seed);
    let steps = workloads.len() * sizes.len() * effort.steps(contestants.len());
    let progress = Progress::new(steps);
    let mut bench = Bench { contestants, arena, sizes, effort, random, progress };
    let mut sheets: Vec<Sheet> =
        workloads.into_iter().map(|workload| bench.sheet(workload)).collect();
    sheets.push(bench.creation());
    bench.progress.finish();
    write_sheets(out, "scale", &sheets, NOTES)
}

/// A quarter of a megabyte of live blocks, whatever the heap.
fn churn(seed: u64) -> Workload {
    let churn = Churn::new(16, 1024, 1 << 19, &mut Random::new(seed));
    let name = "churn 16 B..1 KiB".to_owned();
    Workload { work: Work::Churn(churn), name, parameter: String::new(), heap_bytes: 0 }
}

struct Bench {
    contestants: Vec<&'static Contestant>,
    arena: Arena,
    sizes: Vec<usize>,
    effort: Effort,
    random: Random,
    progress: Progress,
}

impl Bench {
    /// One workload in heaps of all sizes; a trace in those that are large enough.
    fn sheet(&mut self, workload: Workload) -> Sheet {
        let least = workload.heap_bytes;
        let title = format!("{}, ns per {}, by heap", workload.name, workload.work.event());
        let mut workload = workload;
        let mut columns = Vec::new();
        for &heap_bytes in self.sizes.iter().filter(|&&size| size >= least) {
            workload.heap_bytes = heap_bytes;
            workload.parameter = bytes(heap_bytes);
            let Self { contestants, arena, effort, random, progress, .. } = self;
            let mut heaps = Heaps { workload: &workload, contestants, arena };
            let figures = measure(&mut heaps, effort, random, progress);
            columns.push((workload.parameter.clone(), figures));
        }
        Sheet { title, columns, is_rate: false, decimals: 1, has_mean: true }
    }

    /// How long creating a heap takes.
    fn creation(&mut self) -> Sheet {
        let Self { contestants, arena, sizes, progress, .. } = self;
        let mut column = |&size: &usize| {
            let figure = |contestant: &&'static Contestant| {
                progress.doing(format!(
                    "{} is created in {}",
                    contestant.entrant.name,
                    bytes(size)
                ));
                creation(contestant, arena, size)
            };
            (bytes(size), contestants.iter().map(figure).collect())
        };
        let columns = sizes.iter().map(&mut column).collect();
        let title = "Creating a heap, µs".to_owned();
        Sheet { title, columns, is_rate: false, decimals: 1, has_mean: true }
    }
}

fn creation(contestant: &Contestant, arena: &mut Arena, size: usize) -> Figure {
    let times: Vec<f64> = (0..CREATIONS)
        .filter_map(|_| (contestant.create)(arena, size))
        .map(|time| time.as_secs_f64() * 1e6)
        .collect();
    let refused = || Status::Failed(format!("refused {}", bytes(size)));
    Figure {
        workload: "create".to_owned(),
        parameter: bytes(size),
        entrant: contestant.entrant,
        metric: "time",
        unit: "µs".to_owned(),
        summary: Summary::of(&times),
        status: if times.len() == CREATIONS { Status::Ok } else { refused() },
    }
}
