//! One trace through all contestants: checked, timed in turn, and in ever smaller heaps.

use crate::arena::Arena;
use crate::peers::Contestant;
use crate::progress::Progress;
use crate::random::Random;
use crate::replay::{Check, Limit, Stop};
use crate::smallest::{Attempt, Search, Smallest, smallest};
use crate::statistics::Summary;
use crate::trace::{Trace, peak_bytes};
use std::time::Duration;

/// How much work is put in. The time limits are for a slow allocator's share: it is measured on
/// as much of the trace as it gets done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Timed passes of each allocator, at most.
    pub(super) rounds: usize,
    /// Limit for a checked pass.
    check: Duration,
    /// Limit for a timed pass.
    pass: Duration,
    /// An allocator that was timed for so long in all sits out the further rounds, if there were
    /// three.
    passes: Duration,
    /// Limit for one attempt at a heap size.
    attempt: Duration,
    /// Of the smallest heap.
    pub(super) tolerance: f64,
}

const LEAST_ROUNDS: usize = 3;

impl Effort {
    pub(super) const FULL: Self = Self {
        rounds: 15,
        check: Duration::from_millis(1500),
        pass: Duration::from_millis(300),
        passes: Duration::from_millis(800),
        attempt: Duration::from_secs(1),
        tolerance: 0.005,
    };

    pub(super) const QUICK: Self = Self {
        rounds: 3,
        check: Duration::from_millis(200),
        pass: Duration::from_millis(60),
        passes: Duration::from_millis(150),
        attempt: Duration::from_millis(250),
        tolerance: 0.02,
    };
}

/// What was measured with one trace.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) trace: String,
    pub(super) events: usize,
    pub(super) threads: u64,
    pub(super) peak_bytes: usize,
    /// What each allocator had in the checked and the timed passes.
    pub(super) arena_bytes: usize,
    /// In the order of the contestants.
    pub(super) outcomes: Vec<Outcome>,
}

/// What was measured with one trace and one contestant.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) contestant: &'static Contestant,
    pub(super) check: Check,
    /// How many events were timed: all, or as many as the time limit allowed.
    pub(super) timed_events: usize,
    /// How many requests were refused in a timed pass.
    pub(super) refused: usize,
    /// Nanoseconds per event; `None` if the check forbade it.
    pub(super) time: Option<Summary>,
    /// `None` if it has no region of its own, or the check forbade it.
    pub(super) smallest: Option<Heap>,
}

/// The smallest heap that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heap {
    /// The region and the allocator's value.
    pub(super) bytes: Smallest,
    /// The peak of live bytes over the events replayed.
    peak_bytes: usize,
}

impl Heap {
    /// The heap as a multiple of the peak of live bytes.
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub(super) fn ratio(&self) -> Option<f64> {
        match self.bytes {
            Smallest::Bytes(bytes) => Some(bytes as f64 / self.peak_bytes as f64),
            Smallest::NotEnough | Smallest::OutOfTime => None,
        }
    }
}

/// The region for a trace: four to eight times its peak of live bytes, at least a megabyte.
pub(super) fn arena_bytes(trace: &Trace) -> usize {
    trace
        .peak_bytes
        .saturating_mul(4)
        .max(1 << 20)
        .checked_next_power_of_two()
        .unwrap_or(usize::MAX)
}

/// How many steps of progress [`measure`] makes.
pub(super) fn steps(contestants: &[&'static Contestant], effort: &Effort) -> usize {
    contestants.len() * (effort.rounds + 3)
}

/// Measures one trace.
pub(super) fn measure(
    trace: &Trace,
    contestants: &[&'static Contestant],
    arena: &mut Arena,
    effort: &Effort,
    random: &mut Random,
    progress: &Progress,
) -> Measured {
    let arena_bytes = arena_bytes(trace);
    let mut bench = Bench { trace, arena, arena_bytes, effort, progress };
    let mut outcomes: Vec<Outcome> =
        contestants.iter().map(|contestant| bench.first_passes(contestant, random)).collect();
    bench.timed_rounds(&mut outcomes, random);
    for outcome in &mut outcomes {
        outcome.smallest = bench.smallest_heap(outcome);
    }
    let Trace { threads, peak_bytes, .. } = *trace;
    let events = trace.events.len();
    Measured { trace: trace.name.clone(), events, threads, peak_bytes, arena_bytes, outcomes }
}

struct Bench<'a> {
    trace: &'a Trace,
    arena: &'a mut Arena,
    arena_bytes: usize,
    effort: &'a Effort,
    progress: &'a Progress,
}

impl Bench<'_> {
    fn doing(&self, contestant: &Contestant, what: &str) {
        self.progress.doing(format!("{}: {} {what}", self.trace.name, contestant.name));
    }

    /// The checked pass, and a first timed one, which shows how far the allocator gets.
    fn first_passes(&mut self, contestant: &'static Contestant, random: &mut Random) -> Outcome {
        let (trace, len, events) = (self.trace, self.arena_bytes, self.trace.events.len());
        self.doing(contestant, "is checked");
        let limit = Limit { events, time: self.effort.check };
        let check = (contestant.check)(trace, self.arena, len, limit, random.next());
        let mut timed_events = 0;
        if check.is_usable() {
            let limit = Limit { events: check.events, time: self.effort.pass };
            timed_events = (contestant.time)(trace, self.arena, len, limit).events;
        }
        self.progress.done(2);
        Outcome { contestant, check, timed_events, refused: 0, time: None, smallest: None }
    }

    /// Rounds in which each contestant is timed once, in an order that changes.
    fn timed_rounds(&mut self, outcomes: &mut [Outcome], random: &mut Random) {
        let mut samples = vec![Vec::new(); outcomes.len()];
        let mut spent = vec![Duration::ZERO; outcomes.len()];
        let mut order: Vec<usize> = (0..outcomes.len()).collect();
        for round in 0..self.effort.rounds {
            random.shuffle(&mut order);
            for &index in &order {
                let outcome = &mut outcomes[index];
                let enough = round >= LEAST_ROUNDS && spent[index] > self.effort.passes;
                if outcome.timed_events == 0 || enough {
                    continue;
                }
                self.doing(outcome.contestant, &format!("is timed, round {}", round + 1));
                let limit = Limit { events: outcome.timed_events, time: self.effort.pass * 4 };
                let time = outcome.contestant.time;
                let pass = time(self.trace, self.arena, self.arena_bytes, limit);
                spent[index] += pass.elapsed;
                if pass.stop != Some(Stop::Panic) {
                    samples[index].push(pass.ns_per_event());
                    outcome.refused = outcome.refused.max(pass.refused);
                }
            }
            self.progress.done(outcomes.len());
        }
        for (outcome, samples) in outcomes.iter_mut().zip(&samples) {
            outcome.time = Summary::of(samples);
        }
    }

    /// The smallest heap for the events that the allocator got done in a timed pass.
    fn smallest_heap(&mut self, outcome: &Outcome) -> Option<Heap> {
        let (contestant, events) = (outcome.contestant, outcome.timed_events);
        self.doing(contestant, "in ever smaller heaps");
        self.progress.done(1);
        if !contestant.fixed || events == 0 {
            return None;
        }
        let peak_bytes = peak_bytes(&self.trace.events[..events], self.trace.slots);
        let limit = Limit { events, time: self.effort.attempt };
        let search =
            Search { low: peak_bytes, high: self.arena_bytes, tolerance: self.effort.tolerance };
        let found = smallest(search, |bytes| {
            match (contestant.probe)(self.trace, self.arena, bytes, limit).stop {
                None => Attempt::Enough,
                Some(Stop::Time) => Attempt::OutOfTime,
                Some(_) => Attempt::TooSmall,
            }
        });
        let bytes = match found {
            Smallest::Bytes(bytes) => Smallest::Bytes(bytes + contestant.control_bytes),
            other => other,
        };
        Some(Heap { bytes, peak_bytes })
    }
}
