//! `micro`: what single kinds of work cost: pairs, batches, churn, scans, growth, page frames.

use super::{Error, Options, load_workloads, write_head, write_sheets};
use crate::arena::Arena;
use crate::csv::Row;
use crate::figure::{Figure, Sheet};
use crate::measure::{Effort, Field, Heaps, Label, measure};
use crate::peers::{Contestant, UnknownName, contestants};
use crate::progress::Progress;
use crate::random::Random;
use crate::ranges::{RangeContestant, Ranges, range_contestants};
use crate::workloads::{frames, suite};
use std::io::Write;
use std::slice;

const NOTES: &str = "\
Each pass begins with a fresh allocator in the same memory; of each block the first byte is written.
The floor hands out addresses in turn, and takes nothing back: it is what the work costs by itself.";

/// Runs the command.
///
/// # Errors
/// If a trace or an allocator cannot be had, there is no memory, or `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    let (heaps, ranges) = select(&options.alloc)?;
    let is_suite = options.trace.is_empty();
    let workloads = if is_suite { suite(options.seed) } else { load_workloads(options)? };
    let frames = if is_suite { frames(options.seed) } else { Vec::new() };
    let effort = Effort::of(options.quick);
    let heap = workloads.iter().map(|workload| workload.heap_bytes).max().unwrap_or(0);
    let mut arena = Arena::new(heap)?;
    let entrants = heaps.iter().map(|heap| heap.entrant);
    let entrants: Vec<_> = entrants.chain(ranges.iter().map(|range| range.entrant)).collect();
    write_head(out, "micro", options, &entrants)?;
    let steps =
        workloads.len() * effort.steps(heaps.len()) + frames.len() * effort.steps(ranges.len());
    let (random, progress) = (Random::new(options.seed), Progress::new(steps));
    let mut bench = Bench { effort, random, progress };
    let mut sheets = Vec::new();
    if !heaps.is_empty() {
        for workloads in workloads.chunk_by(|one, other| one.name == other.name) {
            let columns = workloads.iter().map(|workload| {
                bench.column(&mut Heaps { workload, contestants: &heaps, arena: &mut arena })
            });
            sheets.extend(sheet(columns.collect()));
        }
    }
    if !ranges.is_empty() {
        let columns =
            frames.iter().map(|frames| bench.column(&mut Ranges { frames, contestants: &ranges }));
        sheets.extend(sheet(columns.collect()));
    }
    bench.progress.finish();
    write_sheets(out, "micro", &sheets, NOTES)
}

type Rosters = (Vec<&'static Contestant>, Vec<&'static RangeContestant>);

/// The heaps and the ranges of those names: a name may be of either.
fn select(names: &[String]) -> Result<Rosters, UnknownName> {
    let of_heaps = |name: &String| contestants(slice::from_ref(name)).is_ok();
    let of_ranges = |name: &String| range_contestants(slice::from_ref(name)).is_ok();
    if let Some(unknown) = names.iter().find(|name| !of_heaps(name) && !of_ranges(name)) {
        contestants(slice::from_ref(unknown))?;
    }
    if names.is_empty() {
        return Ok((contestants(names)?, range_contestants(names)?));
    }
    let some = |is_known: &dyn Fn(&String) -> bool| -> Vec<String> {
        names.iter().filter(|name| is_known(name)).cloned().collect()
    };
    let (heaps, ranges) = (some(&of_heaps), some(&of_ranges));
    let heaps = if heaps.is_empty() { Vec::new() } else { contestants(&heaps)? };
    let ranges = if ranges.is_empty() { Vec::new() } else { range_contestants(&ranges)? };
    Ok((heaps, ranges))
}

struct Bench {
    effort: Effort,
    random: Random,
    progress: Progress,
}

impl Bench {
    /// The title and a column of a sheet.
    fn column(&mut self, field: &mut dyn Field) -> (String, (String, Vec<Figure>)) {
        let Label { workload, parameter, event, .. } = field.label();
        let figures = measure(field, &self.effort, &mut self.random, &self.progress);
        (format!("{workload}, ns per {event}"), (parameter, figures))
    }
}

/// Columns of one title in a sheet.
fn sheet(columns: Vec<(String, (String, Vec<Figure>))>) -> Option<Sheet> {
    let title = columns.first()?.0.clone();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Some(Sheet { title, columns, is_rate: false, decimals: 1, has_mean: true })
}
