//! What a pass may take, and what it came to.

use std::time::{Duration, Instant};

/// Where a pass ends, at the latest.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// With the event, or the few hundred events, in which so many are reached.
    pub events: usize,
    /// After so much time, setting up included, give or take a few hundred events.
    pub time: Duration,
    /// Whether the first refusal ends it.
    pub until_refused: bool,
}

impl Limit {
    /// So many events, whatever comes.
    #[must_use]
    pub const fn events(events: usize) -> Self {
        Self { events, time: Duration::MAX, until_refused: false }
    }
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass {
    /// How many events were done and timed.
    pub events: usize,
    /// How many allocations and reallocations were refused.
    pub refused: usize,
    /// How long the events took.
    pub elapsed: Duration,
    /// Why it ended before the limit of events, if it did.
    pub stop: Option<Stop>,
}

/// Why a pass ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time was up.
    Time,
    /// A request was refused, or the region was too small to begin with.
    Refused,
    /// The allocator panicked.
    Panic,
}

impl Pass {
    /// A pass that ended before it began.
    #[must_use]
    pub fn ended(stop: Stop) -> Self {
        let refused = usize::from(stop == Stop::Refused);
        Self { refused, stop: Some(stop), ..Self::default() }
    }

    /// Nanoseconds per event.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "events are far fewer than 2^53")]
    pub fn ns_per_event(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e9 / self.events as f64
    }
}

/// Measures a pass while it runs.
#[derive(Debug)]
pub struct Meter {
    limit: Limit,
    began: Instant,
    since: Instant,
    pass: Pass,
}

impl Meter {
    /// A meter whose time begins now.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let now = Instant::now();
        Self { limit, began: now, since: now, pass: Pass::default() }
    }

    /// The limit of events.
    #[must_use]
    pub fn most_events(&self) -> usize {
        self.limit.events
    }

    /// Whether there should be another lap.
    #[must_use]
    pub fn more(&self) -> bool {
        self.pass.stop.is_none() && self.pass.events < self.limit.events
    }

    /// Begins to take the time.
    #[inline]
    pub fn start(&mut self) {
        self.since = Instant::now();
    }

    /// So many events were done since [`Self::start`] or the last call. Whether to go on, be it in
    /// the middle of a lap.
    #[inline]
    pub fn stop(&mut self, events: usize) -> bool {
        let now = Instant::now();
        self.pass.elapsed += now - self.since;
        self.pass.events += events;
        self.since = now;
        self.look(now);
        self.more()
    }

    /// Whether to go on with what is not timed.
    #[inline]
    pub fn goes_on(&mut self) -> bool {
        self.look(Instant::now());
        self.pass.stop.is_none()
    }

    /// The time counts only while there is something left to do.
    fn look(&mut self, now: Instant) {
        if self.more() && now - self.began > self.limit.time {
            self.pass.stop = Some(Stop::Time);
        }
    }

    /// Counts requests: refused unless served. Whether to go on.
    #[inline]
    pub fn served(&mut self, served: bool) -> bool {
        if !served {
            self.pass.refused += 1;
            if self.limit.until_refused {
                self.pass.stop = Some(Stop::Refused);
                return false;
            }
        }
        true
    }

    /// The result.
    #[must_use]
    pub fn finish(self) -> Pass {
        self.pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_go_on_until_there_are_enough_events() {
        let mut meter = Meter::new(Limit::events(250));
        let mut laps = 0;
        while meter.more() {
            laps += 1;
            meter.start();
            meter.stop(100);
        }
        let pass = meter.finish();
        assert_eq!((laps, pass.events, pass.stop), (3, 300, None));
    }

    #[test]
    fn time_ends_what_is_not_done() {
        let limit = Limit { time: Duration::ZERO, ..Limit::events(100) };
        let mut meter = Meter::new(limit);
        meter.start();
        assert!(!meter.stop(50));
        assert!(!meter.more() && !meter.goes_on());
        assert_eq!(meter.finish().stop, Some(Stop::Time));
        let mut meter = Meter::new(limit);
        meter.start();
        meter.stop(100);
        assert_eq!(meter.finish().stop, None);
    }

    #[test]
    fn refusals_are_counted_or_end_it() {
        let mut meter = Meter::new(Limit::events(100));
        assert!(meter.served(true) && meter.served(false) && meter.more());
        assert_eq!(meter.finish().refused, 1);
        let mut meter = Meter::new(Limit { until_refused: true, ..Limit::events(100) });
        assert!(!meter.served(false) && !meter.more());
    }
}
