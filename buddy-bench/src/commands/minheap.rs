//! `minheap`: the smallest heap in which each allocator completes a trace.

use super::{Error, Options, fixed_contestants, load_workloads, write_head, write_sheets};
use crate::arena::Arena;
use crate::csv::Row;
use crate::figure::{Figure, Sheet, Status};
use crate::meter::{Limit, Stop};
use crate::peers::{Contestant, ON_REQUEST};
use crate::progress::Progress;
use crate::smallest::{Attempt, Search, Smallest, smallest};
use crate::statistics::Summary;
use crate::trace::{Trace, peak_bytes};
use crate::workloads::Workload;
use std::io::Write;
use std::time::Duration;

const NOTES: &str = "\
Metadata and the allocator's own value are counted. A heap marked ~ is a multiple of the peak of the
part that was done.";

/// Runs the command.
///
/// # Errors
/// If a trace or an allocator cannot be had, there is no memory, or `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    let contestants = fixed_contestants(options, "minheap")?;
    let workloads = load_workloads(options)?;
    let heap = workloads.iter().map(|workload| workload.heap_bytes).max().unwrap_or(0);
    let mut arena = Arena::new(heap)?;
    let entrants: Vec<_> = contestants.iter().map(|contestant| contestant.entrant).collect();
    write_head(out, "minheap", options, &entrants)?;
    let progress = Progress::new(workloads.len() * contestants.len());
    let tolerance = if options.quick { 0.02 } else { 0.005 };
    let mut measured = Vec::new();
    for (workload, trace) in workloads.iter().filter_map(|work| Some((work, work.trace()?))) {
        let mut search = Searches { workload, trace, arena: &mut arena, tolerance };
        let found = |contestant: &&'static Contestant| {
            progress.doing(format!("{}: {}", trace.name, contestant.entrant.name));
            let found = search.of(contestant);
            progress.done(1);
            found
        };
        measured.push((trace.name.clone(), contestants.iter().map(found).collect::<Vec<_>>()));
    }
    progress.finish();
    let percent = tolerance * 100.0;
    let columns = |figure: fn(&Found) -> &Figure| {
        let column = |(name, found): &(String, Vec<Found>)| {
            (name.clone(), found.iter().map(figure).cloned().collect())
        };
        measured.iter().map(column).collect()
    };
    let sheet = |title: &str, figure: fn(&Found) -> &Figure, decimals| Sheet {
        title: format!("Smallest heap that completes the trace, {title} (to {percent} %)"),
        columns: columns(figure),
        is_rate: false,
        decimals,
        has_mean: true,
    };
    let sheets = [
        sheet("as a multiple of the peak of live bytes", |found| &found.ratio, 3),
        sheet("KiB", |found| &found.kibibytes, 0),
    ];
    write_sheets(out, "minheap", &sheets, NOTES)
}

/// One smallest heap, told twice.
struct Found {
    ratio: Figure,
    kibibytes: Figure,
}

struct Searches<'a> {
    workload: &'a Workload,
    trace: &'a Trace,
    arena: &'a mut Arena,
    tolerance: f64,
}

impl Searches<'_> {
    fn of(&mut self, contestant: &'static Contestant) -> Found {
        let check = self.check(contestant);
        let events = check.1;
        let peak = peak_bytes(&self.trace.events[..events], self.trace.slots);
        let (bytes, status) = match check.0 {
            Status::Failed(_) => (None, check.0),
            status => match self.search(contestant, events, peak) {
                Smallest::Bytes(bytes) => (Some(bytes + contestant.control_bytes), status),
                Smallest::NotEnough => {
                    (None, Status::Failed(format!("{} bytes refused", self.workload.heap_bytes)))
                }
                Smallest::OutOfTime => (None, Status::part(0, 1)),
            },
        };
        #[expect(clippy::cast_precision_loss, reason = "heaps are far smaller than 2^53")]
        let figure = |metric, unit: &str, divisor: usize| Figure {
            workload: self.workload.name.clone(),
            parameter: String::new(),
            entrant: contestant.entrant,
            metric,
            unit: unit.to_owned(),
            summary: bytes.and_then(|bytes| Summary::of(&[bytes as f64 / divisor as f64])),
            status: status.clone(),
        };
        Found {
            ratio: figure("heap / peak", "ratio", peak),
            kibibytes: figure("heap", "KiB", 1 << 10),
        }
    }

    /// Whether the allocator may be searched with, and how many events it gets done.
    fn check(&mut self, contestant: &Contestant) -> (Status, usize) {
        let Workload { work, heap_bytes, .. } = self.workload;
        let (all, time) = (self.trace.events.len(), self.patience(contestant));
        let limit = Limit { time, ..Limit::events(all) };
        let pass = (contestant.time)(work, self.arena, *heap_bytes, limit);
        if pass.events == 0 {
            return (Status::Failed("nothing was done".to_owned()), 0);
        }
        // Slow ones on a quarter of what they come to: some twenty passes follow.
        let events = if pass.stop == Some(Stop::Time) { pass.events / 4 } else { all };
        let status = if events == all { Status::Ok } else { Status::part(events, all) };
        let limit = Limit { time: time * 20, ..Limit::events(events) };
        let check = (contestant.check)(work, self.arena, *heap_bytes, limit, 1);
        let faults = check.faults(0).filter(|_| !check.is_usable());
        (faults.map_or(status, Status::Failed), events)
    }

    /// How long an attempt may take: those that are there for their heaps' size only may take long.
    fn patience(&self, contestant: &Contestant) -> Duration {
        let factor = if ON_REQUEST.contains(&contestant.entrant.name) { 50 } else { 1 };
        self.workload.label().patience() * factor
    }

    fn search(&mut self, contestant: &Contestant, events: usize, peak: usize) -> Smallest {
        let Workload { work, heap_bytes, .. } = self.workload;
        let time = self.patience(contestant) + Duration::from_millis(100);
        let limit = Limit { events, time, until_refused: true };
        let search = Search { low: peak, high: *heap_bytes, tolerance: self.tolerance };
        smallest(search, |bytes| match (contestant.time)(work, self.arena, bytes, limit).stop {
            None => Attempt::Enough,
            Some(Stop::Time) => Attempt::OutOfTime,
            Some(_) => Attempt::TooSmall,
        })
    }
}
