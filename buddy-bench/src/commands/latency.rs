//! `latency`: how long single calls take: the middle, and the tail, of each kind of call.

use super::{Error, Options, load_workloads, write_head, write_sheets};
use crate::arena::Arena;
use crate::calls::{Call, Kind};
use crate::clock;
use crate::csv::Row;
use crate::figure::{Figure, Sheet, Status};
use crate::meter::Limit;
use crate::peers::{Contestant, Memory, contestants};
use crate::progress::Progress;
use crate::random::Random;
use crate::statistics::Summary;
use crate::workloads::{Churn, Work, Workload};
use std::io::Write;

const NOTES: &str = "\
Each call is timed for itself, between fences, and the time of reading the clock taken off. What is
called least is computed from the shortest time of each single call in all runs: the same call does
the same work in each, so that what remains is the allocator's, and not an interrupt's.";

/// The parts of a distribution that are told.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// Those of the shortest times.
const LEAST: [(&str, f64); 2] = [("p99.99 least", 0.9999), ("max least", 1.0)];

/// Runs the command.
///
/// # Errors
/// If a trace or an allocator cannot be had, there is no memory, or `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    let contestants = contestants(&options.alloc)?;
    let traces = if options.trace.is_empty() { Vec::new() } else { load_workloads(options)? };
    let workloads = if options.trace.is_empty() { vec![churn(options.seed)] } else { traces };
    let heap = workloads.iter().map(|workload| workload.heap_bytes).max().unwrap_or(0);
    let arena = Arena::new(heap)?;
    let entrants: Vec<_> = contestants.iter().map(|contestant| contestant.entrant).collect();
    write_head(out, "latency", options, &entrants)?;
    let (rounds, events) = if options.quick { (3, 1 << 16) } else { (7, 1 << 19) };
    let progress = Progress::new(workloads.len() * contestants.len() * (rounds + 1));
    let random = Random::new(options.seed);
    let mut bench = Bench { contestants, arena, rounds, events, random, progress };
    let sheets: Vec<Sheet> = workloads.iter().flat_map(|workload| bench.sheets(workload)).collect();
    bench.progress.finish();
    write_sheets(out, "latency", &sheets, NOTES)
}

fn churn(seed: u64) -> Workload {
    let heap_bytes = 64 << 20;
    let churn = Churn::new(16, 64 << 10, heap_bytes, &mut Random::new(seed));
    let name = "churn 16 B..64 KiB in 64 MiB".to_owned();
    Workload { work: Work::Churn(churn), name, parameter: String::new(), heap_bytes }
}

struct Bench {
    contestants: Vec<&'static Contestant>,
    arena: Arena,
    rounds: usize,
    /// Of a pass, at most.
    events: usize,
    random: Random,
    progress: Progress,
}

/// What was measured of one contestant.
struct Outcome {
    contestant: &'static Contestant,
    status: Status,
    /// By kind and quantile: one number a run.
    quantiles: [[Vec<f64>; QUANTILES.len()]; Kind::ALL.len()],
    /// Each call in its shortest time.
    least: Vec<Call>,
}

impl Bench {
    fn sheets(&mut self, workload: &Workload) -> Vec<Sheet> {
        let first = |contestant: &&'static Contestant| Outcome {
            contestant,
            status: Status::Ok,
            quantiles: Default::default(),
            least: Vec::new(),
        };
        let mut outcomes: Vec<Outcome> = self.contestants.iter().map(first).collect();
        for outcome in &mut outcomes {
            self.check(workload, outcome);
        }
        let mut order: Vec<usize> = (0..outcomes.len()).collect();
        for _ in 0..self.rounds {
            self.random.shuffle(&mut order);
            for &index in &order {
                self.round(workload, &mut outcomes[index]);
            }
        }
        let sheet = |kind: &Kind| sheet(workload, &outcomes, *kind);
        Kind::ALL.iter().filter_map(sheet).collect()
    }

    fn limit(&self, workload: &Workload) -> Limit {
        let events = self.events.min(workload.work.lap());
        Limit { time: workload.label().patience() * 4, ..Limit::events(events) }
    }

    fn check(&mut self, workload: &Workload, outcome: &mut Outcome) {
        let contestant = outcome.contestant;
        self.progress.doing(format!("{}: {} is checked", workload.name, contestant.entrant.name));
        let (limit, seed) = (self.limit(workload), self.random.next());
        let (work, heap_bytes) = (&workload.work, workload.heap_bytes);
        let found = (contestant.check)(work, &mut self.arena, heap_bytes, limit, seed);
        if let Some(faults) = found.faults(0) {
            outcome.status = Status::Failed(faults);
        } else if contestant.entrant.memory == Memory::Floor {
            outcome.status = Status::Floor;
        }
        self.progress.done(1);
    }

    fn round(&mut self, workload: &Workload, outcome: &mut Outcome) {
        let contestant = outcome.contestant;
        self.progress.doing(format!("{}: {} is timed", workload.name, contestant.entrant.name));
        self.progress.done(1);
        // What is unsound may still be timed if only requests were refused.
        if matches!(&outcome.status, Status::Failed(words) if !words.ends_with("refused")) {
            return;
        }
        let limit = self.limit(workload);
        let mut calls = Vec::with_capacity(2 * (limit.events + workload.work.slots()));
        let (work, heap_bytes) = (&workload.work, workload.heap_bytes);
        let pass = (contestant.calls)(work, &mut self.arena, heap_bytes, limit, &mut calls);
        if pass.events < limit.events && outcome.status == Status::Ok {
            outcome.status = Status::part(pass.events, limit.events);
        }
        outcome.note(&calls);
    }
}

impl Outcome {
    fn note(&mut self, calls: &[Call]) {
        for (kind, quantiles) in Kind::ALL.iter().zip(&mut self.quantiles) {
            let sorted = sorted(calls, *kind);
            for (samples, (_, part)) in quantiles.iter_mut().zip(QUANTILES) {
                samples.extend(quantile(&sorted, part));
            }
        }
        if self.least.is_empty() {
            self.least = calls.to_vec();
        }
        // A slow one may have come less far.
        self.least.truncate(calls.len());
        for (least, call) in self.least.iter_mut().zip(calls) {
            least.ticks = least.ticks.min(call.ticks);
        }
    }

    /// All figures of one kind of call.
    fn figures(&self, workload: &Workload, kind: Kind) -> Vec<Figure> {
        let least = sorted(&self.least, kind);
        let measured = &self.quantiles[kind as usize];
        let measured = QUANTILES
            .iter()
            .zip(measured)
            .map(|((metric, _), samples)| (*metric, Summary::of(samples)));
        let least = LEAST.iter().map(|&(metric, part)| {
            (metric, quantile(&least, part).and_then(|ticks| Summary::of(&[ticks])))
        });
        let figure = |(metric, summary)| Figure {
            workload: workload.name.clone(),
            parameter: kind.name().to_owned(),
            entrant: self.contestant.entrant,
            metric,
            unit: clock::UNIT.to_owned(),
            summary,
            status: self.status.clone(),
        };
        measured.chain(least).map(figure).collect()
    }
}

fn sorted(calls: &[Call], kind: Kind) -> Vec<u32> {
    let calls = calls.iter().filter(|call| call.kind == kind);
    let mut ticks: Vec<u32> = calls.map(|call| call.ticks).collect();
    ticks.sort_unstable();
    ticks
}

/// The least time that is not exceeded by this part of the calls.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "there are far fewer than 2^53 calls"
)]
fn quantile(sorted: &[u32], part: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.max(1) - 1).map(|&ticks| f64::from(ticks))
}

/// The sheet of one kind of call, if there were such calls.
fn sheet(workload: &Workload, outcomes: &[Outcome], kind: Kind) -> Option<Sheet> {
    let all: Vec<_> = outcomes.iter().map(|outcome| outcome.figures(workload, kind)).collect();
    all.iter().flatten().find(|figure| figure.summary.is_some())?;
    let names = QUANTILES.iter().chain(&LEAST).enumerate();
    let columns = names.map(|(index, (name, _))| {
        (name.to_string(), all.iter().map(|figures| figures[index].clone()).collect())
    });
    let title = format!("{}, {}, {}", workload.name, kind.name(), clock::UNIT);
    Some(Sheet { title, columns: columns.collect(), is_rate: false, decimals: 0, has_mean: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_calls_that_there_are() {
        let sorted: Vec<u32> = (1..=1000).collect();
        let found = QUANTILES.map(|(_, part)| quantile(&sorted, part));
        assert_eq!(found, [500.0, 990.0, 999.0, 1000.0, 1000.0].map(Some));
        assert_eq!((quantile(&[7], 0.5), quantile(&[], 0.5)), (Some(7.0), None));
    }
}
