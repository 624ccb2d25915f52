//! Replaying a trace through an allocator, on one thread, in the trace's total order.
//!
//! - [`check`] believes nothing: every block's place, alignment and contents are looked at.
//! - [`run`] measures; of each block it touches the first byte, as any program would.
//! - [`until_refused`] does the same only until the first request is refused.
//!
//! All three begin with a fresh allocator, and create and drop it outside the time they measure.

mod check;
mod pattern;

pub use check::{Check, Fault, FaultKind, check};

use crate::arena::{Arena, Region};
use crate::peers::Peer;
use crate::trace::{Event, Op, Trace};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

const _: () = assert!(usize::BITS >= 64, "layouts of traces must fit into isize");

/// The clock is read once in this many events.
const EVENTS_PER_LOOK: usize = 256;

/// Where a replay ends, at the latest.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// After so many events.
    pub events: usize,
    /// After so much time, give or take a few hundred events.
    pub time: Duration,
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass {
    /// How many events were replayed.
    pub events: usize,
    /// How many allocations and reallocations were refused.
    pub refused: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it ended before the limit of events, if it did.
    pub stop: Option<Stop>,
}

/// Why a replay ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time was up.
    Time,
    /// A request was refused, or the region was too small to begin with.
    Refused,
    /// A block lay outside the region: nothing can be checked any more.
    OutOfBounds,
    /// The allocator panicked.
    Panic,
}

impl Pass {
    /// Nanoseconds per event.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "events are far fewer than 2^53")]
    pub fn ns_per_event(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e9 / self.events as f64
    }
}

/// Replays a trace in the first `len` bytes of the arena, and measures the time.
///
/// Refused requests are counted and passed over. The allocator should have passed [`check`].
pub fn run<P: Peer>(trace: &Trace, arena: &mut Arena, len: usize, limit: Limit) -> Pass {
    caught::<P, false>(trace, arena.region(len), limit)
}

/// Replays a trace in the first `len` bytes of the arena until a request is refused.
pub fn until_refused<P: Peer>(trace: &Trace, arena: &mut Arena, len: usize, limit: Limit) -> Pass {
    caught::<P, true>(trace, arena.region(len), limit)
}

fn caught<P: Peer, const ONCE: bool>(trace: &Trace, region: Region, limit: Limit) -> Pass {
    let pass = catch_unwind(AssertUnwindSafe(|| replay::<P, ONCE>(trace, region, limit)));
    pass.unwrap_or(Pass { stop: Some(Stop::Panic), ..Pass::default() })
}

/// A slot of the trace: a block, if it has one.
#[derive(Clone, Copy, Debug)]
struct Slot {
    block: Option<NonNull<u8>>,
    size: u32,
    align_log2: u8,
}

impl Slot {
    const EMPTY: Self = Self { block: None, size: 0, align_log2: 0 };

    fn layout(self) -> Layout {
        layout(self.size, self.align_log2)
    }
}

/// The layout of a block of a trace.
#[inline(always)]
fn layout(size: u32, align_log2: u8) -> Layout {
    // SAFETY: a trace's alignments are powers of two up to 2^31, and its sizes below 2^32, so that
    // the rounded size is far from isize::MAX.
    unsafe { Layout::from_size_align_unchecked(size as usize, 1 << align_log2) }
}

fn replay<P: Peer, const ONCE: bool>(trace: &Trace, region: Region, limit: Limit) -> Pass {
    // SAFETY: the arena is borrowed by our caller, and nobody else knows the region.
    let Some(mut allocator) = (unsafe { P::create(region) }) else {
        return Pass { refused: 1, stop: Some(Stop::Refused), ..Pass::default() };
    };
    let mut slots = vec![Slot::EMPTY; trace.slots];
    let events = &trace.events[..limit.events.min(trace.events.len())];
    let pass = drive::<P, ONCE>(&mut allocator, events, &mut slots, limit.time);
    if !P::FIXED {
        free_all(&mut allocator, &mut slots);
    }
    pass
}

/// The loop that is measured.
#[inline(never)]
fn drive<P: Peer, const ONCE: bool>(
    allocator: &mut P,
    events: &[Event],
    slots: &mut [Slot],
    time: Duration,
) -> Pass {
    let mut pass = Pass::default();
    let start = Instant::now();
    for chunk in events.chunks(EVENTS_PER_LOOK) {
        for event in chunk {
            let served = step(allocator, event, &mut slots[event.slot as usize]);
            pass.refused += usize::from(!served);
            if ONCE && !served {
                pass.stop = Some(Stop::Refused);
                return pass;
            }
        }
        pass.events += chunk.len();
        pass.elapsed = start.elapsed();
        if pass.elapsed > time && pass.events < events.len() {
            pass.stop = Some(Stop::Time);
            break;
        }
    }
    pass
}

/// One event; whether it was served. What concerns a block that was refused is passed over.
#[inline(always)]
fn step<P: Peer>(allocator: &mut P, event: &Event, slot: &mut Slot) -> bool {
    let new = layout(event.size, event.align_log2);
    let block = match (event.op, slot.block) {
        (Op::Alloc, _) => allocator.alloc(new),
        (Op::AllocZeroed, _) => allocator.alloc_zeroed(new),
        // SAFETY: the slot has a live block with its layout, and gets the new one.
        (Op::Realloc, Some(block)) => unsafe { allocator.realloc(block, slot.layout(), new) },
        (Op::Free, Some(block)) => {
            // SAFETY: the slot has a live block with its layout, and loses it.
            unsafe { allocator.dealloc(block, slot.layout()) };
            slot.block = None;
            return true;
        }
        (_, None) => return true,
    };
    let Some(block) = block else { return false };
    // SAFETY: the allocator gave the block, of at least one byte.
    unsafe { block.write_volatile(0xa5) };
    *slot = Slot { block: Some(block), size: event.size, align_log2: event.align_log2 };
    true
}

/// Gives back what is left at the end, to an allocator that outlives the pass.
fn free_all<P: Peer>(allocator: &mut P, slots: &mut [Slot]) {
    for slot in slots {
        if let Some(block) = slot.block.take() {
            // SAFETY: the slot had a live block with its layout.
            unsafe { allocator.dealloc(block, slot.layout()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toys::{Bump, Panicking, trace};

    const UNLIMITED: Limit = Limit { events: usize::MAX, time: Duration::MAX };

    #[test]
    fn refused_requests_are_counted_and_the_rest_is_replayed() {
        let mut arena = Arena::new(4096).unwrap();
        let trace = trace(&[
            (Op::Alloc, 0, 1000),
            (Op::Alloc, 1, 4000),
            (Op::Free, 1, 0),
            (Op::Alloc, 1, 16),
        ]);
        let pass = run::<Bump>(&trace, &mut arena, 2048, UNLIMITED);
        assert_eq!((pass.events, pass.refused, pass.stop), (4, 1, None));
        let pass = until_refused::<Bump>(&trace, &mut arena, 2048, UNLIMITED);
        assert_eq!((pass.refused, pass.stop), (1, Some(Stop::Refused)));
    }

    #[test]
    fn a_realloc_that_is_refused_keeps_the_block() {
        let mut arena = Arena::new(4096).unwrap();
        let trace = trace(&[(Op::Alloc, 0, 100), (Op::Realloc, 0, 4000), (Op::Free, 0, 0)]);
        let pass = run::<Bump>(&trace, &mut arena, 2048, UNLIMITED);
        assert_eq!((pass.events, pass.refused, pass.stop), (3, 1, None));
    }

    #[test]
    fn a_replay_ends_at_its_limits() {
        let mut arena = Arena::new(1 << 20).unwrap();
        let events: Vec<_> = (0..1000).map(|slot| (Op::Alloc, slot, 16)).collect();
        let trace = trace(&events);
        let limit = Limit { events: 700, ..UNLIMITED };
        assert_eq!(run::<Bump>(&trace, &mut arena, 1 << 20, limit).events, 700);
        let limit = Limit { time: Duration::ZERO, ..UNLIMITED };
        let pass = run::<Bump>(&trace, &mut arena, 1 << 20, limit);
        assert_eq!((pass.events, pass.stop), (EVENTS_PER_LOOK, Some(Stop::Time)));
    }

    #[test]
    fn a_panic_ends_the_pass_and_not_the_program() {
        let mut arena = Arena::new(4096).unwrap();
        let trace = trace(&[(Op::Alloc, 0, 100)]);
        let pass = run::<Panicking>(&trace, &mut arena, 2048, UNLIMITED);
        assert_eq!(pass.stop, Some(Stop::Panic));
    }
}
