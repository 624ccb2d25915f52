//! One workload through all contestants: checked, then timed in turn.

use crate::arena::Arena;
use crate::checked::Check;
use crate::figure::{Figure, Status};
use crate::meter::{Limit, Pass, Stop};
use crate::peers::{Contestant, Memory};
use crate::progress::Progress;
use crate::random::Random;
use crate::statistics::Summary;
use crate::workloads::Workload;
use std::time::Duration;

/// How much work is put in.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Timed passes of each allocator, at most.
    pub rounds: usize,
    /// An allocator that was timed for so long in all sits out the further rounds, if there were
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

    /// How many steps of progress [`measure`] makes.
    #[must_use]
    pub fn steps(&self, contestants: &[&Contestant]) -> usize {
        contestants.len() * (self.rounds + 2)
    }
}

/// What was measured with one workload and one contestant.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Who.
    pub contestant: &'static Contestant,
    /// What the checked pass found.
    pub check: Check,
    /// How many events a timed pass has: whole laps, or as many as the time limit allowed.
    pub timed_events: usize,
    /// How many events of a lap were reached at most.
    reached: usize,
    lap: usize,
    /// How many requests were refused in a timed pass.
    refused: usize,
    /// Nanoseconds per event; `None` if the check forbade it.
    pub time: Option<Summary>,
}

impl Outcome {
    /// Whether the figures may be compared, and if not, why.
    #[must_use]
    pub fn status(&self) -> Status {
        let check = &self.check;
        let refused = check.refused.max(self.refused);
        let counts =
            [(refused, "refused"), (check.misaligned, "misaligned"), (check.damaged, "damaged")];
        let wrong = counts.iter().filter(|(count, _)| *count > 0);
        let mut words: Vec<String> = wrong.map(|(count, what)| format!("{count} {what}")).collect();
        if check.stop == Some(Stop::Panic) {
            words.push("panic".to_owned());
        }
        words.extend(check.first.map(|fault| format!("first in {fault}")));
        if !words.is_empty() {
            Status::Failed(words.join(", "))
        } else if self.contestant.entrant.memory == Memory::Floor {
            Status::Floor
        } else if self.reached < self.lap {
            Status::part(self.reached, self.lap)
        } else {
            Status::Ok
        }
    }

    /// The time as a figure.
    #[must_use]
    pub fn figure(&self, workload: &Workload) -> Figure {
        Figure {
            workload: workload.name.clone(),
            parameter: workload.parameter.clone(),
            entrant: self.contestant.entrant,
            metric: "time",
            unit: format!("ns/{}", workload.work.event()),
            summary: self.time,
            status: self.status(),
        }
    }
}

/// Measures one workload.
pub fn measure(
    workload: &Workload,
    contestants: &[&'static Contestant],
    arena: &mut Arena,
    effort: &Effort,
    random: &mut Random,
    progress: &Progress,
) -> Vec<Outcome> {
    let mut bench = Bench { workload, arena, effort, progress };
    let first = |contestant: &&'static Contestant| bench.first_passes(contestant, random);
    let mut outcomes: Vec<Outcome> = contestants.iter().map(first).collect();
    bench.timed_rounds(&mut outcomes, random);
    outcomes
}

/// The time for a pass over a lap, above which an allocator is called slow: 400 ns an event, ten
/// times what the good ones take.
#[must_use]
pub fn patience(workload: &Workload) -> Duration {
    let events = u32::try_from(workload.work.lap()).unwrap_or(u32::MAX);
    Duration::from_millis(100) + Duration::from_nanos(400) * events
}

struct Bench<'a> {
    workload: &'a Workload,
    arena: &'a mut Arena,
    effort: &'a Effort,
    progress: &'a Progress,
}

impl Bench<'_> {
    fn doing(&self, contestant: &Contestant, what: &str) {
        let (work, name) = (self.workload.title(), contestant.entrant.name);
        self.progress.doing(format!("{work}: {name} {what}"));
    }

    /// The checked pass, and a first timed one, which shows how far the allocator gets.
    fn first_passes(&mut self, contestant: &'static Contestant, random: &mut Random) -> Outcome {
        let (seed, lap, patience) =
            (random.next(), self.workload.work.lap(), patience(self.workload));
        self.doing(contestant, "is checked");
        let mut check = self.check(contestant, lap, patience, seed);
        let mut first = self.time(contestant, &check, patience);
        if check.stop == Some(Stop::Time) {
            // Was it the allocator, or the looking? It is looked at as far as it would get alone.
            let reach = reach(&first, patience).min(lap);
            if reach > check.events {
                check = self.check(contestant, reach, patience * 20, seed);
                first = self.time(contestant, &check, patience);
            }
        }
        let slow_events = reach(&first, self.effort.slow_time).min(first.events);
        let timed_events = if first.events < lap {
            slow_events
        } else if self.workload.work.repeats() {
            (reach(&first, self.effort.pass_time) / lap).max(1) * lap
        } else {
            lap
        };
        self.progress.done(2);
        let reached = timed_events.min(lap);
        Outcome { contestant, check, timed_events, reached, lap, refused: 0, time: None }
    }

    fn check(
        &mut self,
        contestant: &Contestant,
        events: usize,
        time: Duration,
        seed: u64,
    ) -> Check {
        let Workload { work, heap_bytes, .. } = self.workload;
        let limit = Limit { time, ..Limit::events(events) };
        (contestant.check)(work, self.arena, *heap_bytes, limit, seed)
    }

    /// A timed pass over no more events than were checked.
    fn time(&mut self, contestant: &Contestant, check: &Check, time: Duration) -> Pass {
        if !check.is_usable() || check.events == 0 {
            return Pass::default();
        }
        let Workload { work, heap_bytes, .. } = self.workload;
        let limit = Limit { time, ..Limit::events(check.events) };
        (contestant.time)(work, self.arena, *heap_bytes, limit)
    }

    /// Rounds in which each contestant is timed once, in an order that changes.
    fn timed_rounds(&mut self, outcomes: &mut [Outcome], random: &mut Random) {
        let Workload { work, heap_bytes, .. } = self.workload;
        let mut samples = vec![Vec::new(); outcomes.len()];
        let mut spent = vec![Duration::ZERO; outcomes.len()];
        let mut order: Vec<usize> = (0..outcomes.len()).collect();
        for round in 0..self.effort.rounds {
            random.shuffle(&mut order);
            for &index in &order {
                let outcome = &mut outcomes[index];
                let enough = round >= LEAST_ROUNDS && spent[index] > self.effort.rounds_time;
                if outcome.timed_events == 0 || enough {
                    continue;
                }
                self.doing(outcome.contestant, &format!("is timed, round {}", round + 1));
                let time = patience(self.workload) * 4;
                let limit = Limit { time, ..Limit::events(outcome.timed_events) };
                let pass = (outcome.contestant.time)(work, self.arena, *heap_bytes, limit);
                spent[index] += pass.elapsed;
                outcome.refused = outcome.refused.max(pass.refused);
                outcome.reached = outcome.reached.min(pass.events);
                if pass.events > 0 {
                    samples[index].push(pass.ns_per_event());
                }
            }
            self.progress.done(outcomes.len());
        }
        for (outcome, samples) in outcomes.iter_mut().zip(&samples) {
            outcome.time = Summary::of(samples);
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
    use crate::figure::Status;
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
        let toys: Vec<_> = TOYS.iter().collect();
        let (effort, progress) = (Effort::QUICK, Progress::new(1));
        let outcomes =
            measure(&workload, &toys, &mut arena, &effort, &mut Random::new(1), &progress);
        assert_eq!(outcomes[0].status(), Status::Ok);
        let words = |index: usize| outcomes[index].status().to_string();
        assert!(words(1).starts_with("failed: 20 misaligned"), "{}", words(1));
        assert!(words(2).starts_with("failed: 1 damaged"), "{}", words(2));
        assert_eq!(words(3), "failed: panic");
        let timed = outcomes.iter().map(|outcome| outcome.time.is_some());
        assert!(timed.eq([true, true, false, false]));
    }
}
