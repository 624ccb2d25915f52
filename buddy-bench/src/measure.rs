//! Some work through all who can do it: checked, then timed in turn.

use crate::arena::Arena;
use crate::checked::Check;
use crate::figure::{Figure, Status};
use crate::meter::{Limit, Pass, Stop};
use crate::peers::{Contestant, Entrant, Memory};
use crate::progress::Progress;
use crate::random::Random;
use crate::statistics::Summary;
use crate::workloads::Workload;
use std::time::{Duration, Instant};

/// How much work is put in.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Timed passes of each allocator, at most.
    pub rounds: usize,
    /// An allocator that took so long in all, setting up included, sits out the further rounds, if there were
    /// [`LEAST_ROUNDS`].
    rounds_time: Duration,
    /// A slow allocator is measured on as much of the work as it gets done in this time.
    slow_time: Duration,
    /// Laps are added to a pass until it takes about so long.
    pass_time: Duration,
}

const LEAST_ROUNDS: usize = 3;

impl Effort {
    /// For figures that are to be told.
    pub const FULL: Self = Self {
        rounds: 15,
        rounds_time: Duration::from_millis(800),
        slow_time: Duration::from_millis(250),
        pass_time: Duration::from_millis(6),
    };

    /// For a look.
    pub const QUICK: Self = Self {
        rounds: 3,
        rounds_time: Duration::ZERO,
        slow_time: Duration::from_millis(60),
        pass_time: Duration::from_millis(1),
    };

    /// Full or quick.
    #[must_use]
    pub const fn of(quick: bool) -> Self {
        if quick { Self::QUICK } else { Self::FULL }
    }

    /// With passes that are so many times as long.
    #[must_use]
    pub const fn with_longer_passes(self, factor: u32) -> Self {
        Self { pass_time: self.pass_time.saturating_mul(factor), ..self }
    }

    /// How many steps of progress [`measure`] makes.
    #[must_use]
    pub fn steps(&self, entrants: usize) -> usize {
        entrants * (self.rounds + 2)
    }
}

/// Some work and those who can do it.
pub trait Field {
    /// What is done.
    fn label(&self) -> Label;
    /// Who can do it.
    fn entrants(&self) -> Vec<Entrant>;
    /// A checked pass of one of them; the seed varies what is checked.
    fn check(&mut self, entrant: usize, limit: Limit, seed: u64) -> Check;
    /// A timed pass.
    fn time(&mut self, entrant: usize, limit: Limit) -> Pass;
}

/// What is done.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its kind.
    pub workload: String,
    /// Its sizes; may be empty.
    pub parameter: String,
    /// What an event is.
    pub event: &'static str,
    /// Events of a lap: the least that can be done of it and be the whole of it.
    pub lap: usize,
    /// Whether a pass may have several laps.
    pub repeats: bool,
}

impl Label {
    /// Kind and sizes.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.workload, self.parameter).trim_end().to_owned()
    }

    /// The time for a lap, above which an allocator is called slow: 400 ns an event, ten times what
    /// the good ones take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let events = u32::try_from(self.lap).unwrap_or(u32::MAX);
        Duration::from_millis(100) + Duration::from_nanos(400) * events
    }
}

/// A heap workload, the contestants, and the memory.
#[derive(Debug)]
pub struct Heaps<'a> {
    /// What is done.
    pub workload: &'a Workload,
    /// By whom.
    pub contestants: &'a [&'static Contestant],
    /// Where.
    pub arena: &'a mut Arena,
}

impl Field for Heaps<'_> {
    fn label(&self) -> Label {
        self.workload.label()
    }

    fn entrants(&self) -> Vec<Entrant> {
        self.contestants.iter().map(|contestant| contestant.entrant).collect()
    }

    fn check(&mut self, entrant: usize, limit: Limit, seed: u64) -> Check {
        let Workload { work, heap_bytes, .. } = self.workload;
        (self.contestants[entrant].check)(work, self.arena, *heap_bytes, limit, seed)
    }

    fn time(&mut self, entrant: usize, limit: Limit) -> Pass {
        let Workload { work, heap_bytes, .. } = self.workload;
        (self.contestants[entrant].time)(work, self.arena, *heap_bytes, limit)
    }
}

/// Measures all entrants of a field: nanoseconds per event.
pub fn measure(
    field: &mut dyn Field,
    effort: &Effort,
    random: &mut Random,
    progress: &Progress,
) -> Vec<Figure> {
    let (label, entrants) = (field.label(), field.entrants());
    let mut bench = Bench { field, label, effort, progress };
    let first = |(index, &entrant)| bench.first_passes(index, entrant, random);
    let mut outcomes: Vec<Outcome> = entrants.iter().enumerate().map(first).collect();
    bench.timed_rounds(&mut outcomes, random);
    outcomes.iter().map(|outcome| outcome.figure(&bench.label)).collect()
}

/// What was measured of one entrant.
#[derive(Debug)]
struct Outcome {
    entrant: Entrant,
    check: Check,
    /// How many events a timed pass has: whole laps, or as many as the time limit allowed.
    timed_events: usize,
    /// How many events of a lap were reached in every pass.
    reached: usize,
    /// How many requests were refused in a timed pass.
    refused: usize,
    /// Nanoseconds per event.
    samples: Vec<f64>,
    spent: Duration,
}

impl Outcome {
    fn figure(&self, label: &Label) -> Figure {
        Figure {
            workload: label.workload.clone(),
            parameter: label.parameter.clone(),
            entrant: self.entrant,
            metric: "time",
            unit: format!("ns/{}", label.event),
            summary: Summary::of(&self.samples),
            status: self.status(label),
        }
    }

    fn status(&self, label: &Label) -> Status {
        match self.check.faults(self.refused) {
            Some(words) => Status::Failed(words),
            None if self.entrant.memory == Memory::Floor => Status::Floor,
            None if self.reached < label.lap => Status::part(self.reached, label.lap),
            None => Status::Ok,
        }
    }
}

struct Bench<'a> {
    field: &'a mut dyn Field,
    label: Label,
    effort: &'a Effort,
    progress: &'a Progress,
}

impl Bench<'_> {
    fn doing(&self, entrant: &Entrant, what: &str) {
        self.progress.doing(format!("{}: {} {what}", self.label.title(), entrant.name));
    }

    /// The checked pass, and a first timed one, which shows how far the allocator gets.
    fn first_passes(&mut self, index: usize, entrant: Entrant, random: &mut Random) -> Outcome {
        let (seed, lap, patience) = (random.next(), self.label.lap, self.label.patience());
        self.doing(&entrant, "is checked");
        let limit = |events, time| Limit { time, ..Limit::events(events) };
        let mut check = self.field.check(index, limit(lap, patience), seed);
        let mut first = self.first_timed(index, &check);
        // Was it the allocator, or the looking? Who would be done alone is given more time.
        if check.stop == Some(Stop::Time) && reach(&first, patience) >= lap {
            check = self.field.check(index, limit(lap, patience * 4), seed);
            first = self.first_timed(index, &check);
        }
        let timed_events = if first.events < lap {
            reach(&first, self.effort.slow_time).min(first.events)
        } else if self.label.repeats {
            (reach(&first, self.effort.pass_time) / lap).max(1) * lap
        } else {
            lap
        };
        self.progress.done(2);
        let reached = timed_events.min(lap);
        let (samples, spent) = (Vec::new(), Duration::ZERO);
        if first.stop == Some(Stop::Panic) {
            check.stop = first.stop;
        }
        Outcome { entrant, check, timed_events, reached, refused: 0, samples, spent }
    }

    /// A timed pass over no more events than were checked.
    fn first_timed(&mut self, index: usize, check: &Check) -> Pass {
        if !check.is_usable() || check.events == 0 {
            return Pass::default();
        }
        self.field.time(index, Limit { time: self.label.patience(), ..Limit::events(check.events) })
    }

    /// Rounds in which each entrant is timed once, in an order that changes.
    fn timed_rounds(&mut self, outcomes: &mut [Outcome], random: &mut Random) {
        let mut order: Vec<usize> = (0..outcomes.len()).collect();
        let time = self.label.patience() * 4;
        for round in 0..self.effort.rounds {
            random.shuffle(&mut order);
            for &index in &order {
                let outcome = &mut outcomes[index];
                let enough = round >= LEAST_ROUNDS && outcome.spent > self.effort.rounds_time;
                if outcome.timed_events == 0 || enough {
                    continue;
                }
                self.doing(&outcome.entrant, &format!("is timed, round {}", round + 1));
                let limit = Limit { time, ..Limit::events(outcome.timed_events) };
                let start = Instant::now();
                let pass = self.field.time(index, limit);
                outcome.spent += start.elapsed();
                outcome.refused = outcome.refused.max(pass.refused);
                outcome.reached = outcome.reached.min(pass.events);
                if pass.stop == Some(Stop::Panic) {
                    outcome.check.stop = pass.stop;
                    outcome.timed_events = 0;
                    continue;
                }
                outcome.samples.extend((pass.events > 0).then(|| pass.ns_per_event()));
            }
            self.progress.done(outcomes.len());
        }
    }
}

/// How many events a pass would come to in this time.
fn reach(pass: &Pass, time: Duration) -> usize {
    let events = pass.events as u128 * time.as_nanos() / pass.elapsed.as_nanos().max(1);
    usize::try_from(events).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toys::{Bump, Misaligned, Overlapping, Panicking, trace};
    use crate::trace::Op;

    const TOYS: [Contestant; 4] = [
        Contestant::of::<Bump>(),
        Contestant::of::<Misaligned>(),
        Contestant::of::<Overlapping>(),
        Contestant::of::<Panicking>(),
    ];

    #[test]
    fn an_outcome_says_what_was_wrong_and_who_was_not_timed() {
        let events: Vec<_> = (0..20).map(|slot| (Op::Alloc, slot, 100)).collect();
        let workload = Workload::of_trace(trace(&events));
        let mut arena = Arena::new(workload.heap_bytes).unwrap();
        let contestants: Vec<_> = TOYS.iter().collect();
        let mut heaps = Heaps { workload: &workload, contestants: &contestants, arena: &mut arena };
        let progress = Progress::new(1);
        let figures = measure(&mut heaps, &Effort::QUICK, &mut Random::new(1), &progress);
        assert_eq!(figures[0].status, Status::Ok);
        let words = |index: usize| figures[index].status.to_string();
        assert!(words(1).starts_with("failed: 20 misaligned"), "{}", words(1));
        assert!(words(2).starts_with("failed: 19 damaged"), "{}", words(2));
        assert_eq!(words(3), "failed: panic");
        let timed = figures.iter().map(|figure| figure.summary.is_some());
        assert!(timed.eq([true, true, false, false]));
    }
}
