//! What the allocators are given to do: the same seeded work for each, whoever asks for it, a
//! command or a criterion bench.

mod batch;
mod churn;
mod exchange;
mod frames;
mod grow;
mod pair;
mod replay;
mod scan;
mod sizes;
mod suite;

pub use batch::{Batch, Order};
pub use churn::Churn;
pub use exchange::Exchange;
pub use frames::Frames;
pub use grow::{Grow, Growth};
pub use pair::Pair;
pub use scan::Scan;
pub use suite::{bytes, exchanges, frames, suite};

use crate::holder::Holder;
use crate::measure::Label;
use crate::meter::Meter;
use crate::peers::Allocator;
use crate::trace::Trace;

/// Something to do, and with what sizes.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What is done, with all its numbers.
    pub work: Work,
    /// What the tables call it: its kind.
    pub name: String,
    /// Its sizes; may be empty.
    pub parameter: String,
    /// The heap for it.
    pub heap_bytes: usize,
}

/// The kinds of work.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is told where it is defined")]
pub enum Work {
    Pair(Pair),
    Batch(Batch),
    Churn(Churn),
    Scan(Scan),
    Grow(Grow),
    Trace(Trace),
}

impl Workload {
    /// A trace as a workload; its heap is four to eight times its peak of live bytes, at least a
    /// megabyte.
    #[must_use]
    pub fn of_trace(trace: Trace) -> Self {
        let bytes = trace.peak_bytes.saturating_mul(4).max(1 << 20);
        let heap_bytes = bytes.checked_next_power_of_two().unwrap_or(usize::MAX);
        let (name, parameter) = (trace.name.clone(), String::new());
        Self { work: Work::Trace(trace), name, parameter, heap_bytes }
    }

    /// The trace, if it is one.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        if let Work::Trace(trace) = &self.work { Some(trace) } else { None }
    }

    /// What is told of it.
    #[must_use]
    pub fn label(&self) -> Label {
        let (workload, parameter) = (self.name.clone(), self.parameter.clone());
        let (event, lap, repeats) = (self.work.event(), self.work.lap(), self.work.repeats());
        Label { workload, parameter, event, lap, repeats }
    }
}

impl Work {
    /// Events of a lap: the least that can be done of it and be the whole of it.
    #[must_use]
    pub fn lap(&self) -> usize {
        match self {
            Self::Pair(_) => pair::LAP,
            Self::Batch(batch) => 2 * batch.blocks(),
            Self::Churn(churn) => churn.lap(),
            Self::Scan(scan) => scan.blocks,
            Self::Grow(grow) => grow.lap(),
            Self::Trace(trace) => trace.events.len(),
        }
    }

    /// Whether a pass may have several laps.
    #[must_use]
    pub fn repeats(&self) -> bool {
        !matches!(self, Self::Trace(_))
    }

    /// What an event is.
    #[must_use]
    pub fn event(&self) -> &'static str {
        match self {
            Self::Pair(_) => "pair",
            Self::Batch(_) => "call",
            Self::Churn(_) => "step",
            Self::Scan(_) => "free",
            Self::Grow(_) => "realloc",
            Self::Trace(_) => "event",
        }
    }

    /// How many blocks are held.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::Pair(pair) => pair.live.len(),
            Self::Batch(batch) => batch.blocks(),
            Self::Churn(churn) => churn.slots(),
            Self::Scan(scan) => scan.blocks,
            Self::Grow(grow) => grow.vectors,
            Self::Trace(trace) => trace.slots,
        }
    }

    /// Does it until the meter says that it is enough.
    pub(crate) fn run<A: Allocator>(&self, holder: &mut Holder<A>, meter: &mut Meter) {
        match self {
            Self::Pair(pair) => pair.run(holder, meter),
            Self::Batch(batch) => batch.run(holder, meter),
            Self::Churn(churn) => churn.run(holder, meter),
            Self::Scan(scan) => scan.run(holder, meter),
            Self::Grow(grow) => grow.run(holder, meter),
            Self::Trace(trace) => replay::run(trace, holder, meter),
        }
    }
}
