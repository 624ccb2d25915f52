//! A pass of an allocator over some work: checked, timed, or with each call timed for itself.
//!
//! All begin with a fresh allocator in the same memory, created and dropped outside the time that is
//! measured, and survive an allocator's panic.

use crate::arena::Arena;
use crate::calls::{Call, Timed};
use crate::checked::{Check, Checked};
use crate::holder::Holder;
use crate::meter::{Limit, Meter, Pass, Stop};
use crate::peers::{Allocator, Memory, Peer};
use crate::workloads::Work;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A timed pass in the first `len` bytes of the arena.
///
/// Refused requests are counted and passed over. The allocator should have passed [`check`].
pub fn time<P: Peer>(work: &Work, arena: &mut Arena, len: usize, limit: Limit) -> Pass {
    with_fresh::<P>(arena, len, |allocator| pass(work, allocator, limit, P::MEMORY))
}

/// A pass in which each block's place, alignment and contents are looked at; `seed` varies the
/// contents. The floor, which is no allocator, is not looked at.
pub fn check<P: Peer>(
    work: &Work,
    arena: &mut Arena,
    len: usize,
    limit: Limit,
    seed: u64,
) -> Check {
    let mut found = Check::default();
    if P::MEMORY == Memory::Floor {
        return Check { events: limit.events, ..found };
    }
    let region = (P::MEMORY == Memory::Fixed).then(|| arena.region(len));
    let pass = with_fresh::<P>(arena, len, |allocator| {
        let mut checked = Checked::new(allocator, region, seed, &mut found);
        let pass = pass(work, &mut checked, limit, P::MEMORY);
        checked.finish();
        pass
    });
    let refused = found.refused.max(usize::from(pass.stop == Some(Stop::Refused)));
    Check { events: pass.events, refused, stop: pass.stop, ..found }
}

/// A pass in which each call is timed for itself, as long as there is room in `calls`.
pub fn calls<P: Peer>(
    work: &Work,
    arena: &mut Arena,
    len: usize,
    limit: Limit,
    calls: &mut Vec<Call>,
) -> Pass {
    with_fresh::<P>(arena, len, |allocator| {
        pass(work, &mut Timed::new(allocator, calls), limit, P::MEMORY)
    })
}

/// How long it takes to create the allocator in the first `len` bytes of the arena; `None` if it
/// refuses.
pub fn create<P: Peer>(arena: &mut Arena, len: usize) -> Option<Duration> {
    let region = arena.region(len);
    let start = Instant::now();
    // SAFETY: the arena is borrowed, and nobody else knows the region.
    let allocator = black_box(unsafe { P::create(region) });
    allocator.map(|_| start.elapsed())
}

fn with_fresh<P: Peer>(arena: &mut Arena, len: usize, pass: impl FnOnce(&mut P) -> Pass) -> Pass {
    let region = arena.region(len);
    let all = AssertUnwindSafe(|| {
        // SAFETY: the arena is borrowed, and nobody else knows the region.
        let allocator = unsafe { P::create(region) };
        allocator.map_or(Pass::ended(Stop::Refused), |mut allocator| pass(&mut allocator))
    });
    catch_unwind(all).unwrap_or(Pass::ended(Stop::Panic))
}

fn pass<A: Allocator>(work: &Work, allocator: &mut A, limit: Limit, memory: Memory) -> Pass {
    let mut holder = Holder::new(allocator, work.slots());
    let mut meter = Meter::new(limit);
    work.run(&mut holder, &mut meter);
    if memory == Memory::Own {
        // It outlives the pass.
        holder.free_all();
    }
    meter.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::Kind::{Allocate, Free, Grow, Shrink};
    use crate::peers::ROSTER;
    use crate::random::Random;
    use crate::toys::{Bump, Panicking, trace};
    use crate::trace::Op;
    use crate::workloads::Churn;

    const UNLIMITED: Limit = Limit::events(usize::MAX);

    fn timed<P: Peer>(events: &[(Op, u32, u32)], limit: Limit) -> Pass {
        let mut arena = Arena::new(1 << 16).unwrap();
        time::<P>(&Work::Trace(trace(events)), &mut arena, 2048, limit)
    }

    #[test]
    fn all_peers_are_sound() {
        let heap = 1 << 20;
        let churn = Work::Churn(Churn::new(16, 1024, heap / 2, &mut Random::new(1)));
        let mut arena = Arena::new(heap).unwrap();
        for contestant in ROSTER {
            let found = (contestant.check)(&churn, &mut arena, heap, Limit::events(20_000), 1);
            assert!(found.is_clean(), "{}: {found:?}", contestant.entrant.name);
            assert!(found.events >= 20_000);
        }
    }

    #[test]
    fn refused_requests_are_counted_and_the_rest_is_replayed() {
        let events =
            [(Op::Alloc, 0, 1000), (Op::Alloc, 1, 4000), (Op::Free, 1, 0), (Op::Alloc, 1, 16)];
        let pass = timed::<Bump>(&events, UNLIMITED);
        assert_eq!((pass.events, pass.refused, pass.stop), (4, 1, None));
        let pass = timed::<Bump>(&events, Limit { until_refused: true, ..UNLIMITED });
        assert_eq!((pass.refused, pass.stop), (1, Some(Stop::Refused)));
    }

    #[test]
    fn a_realloc_that_is_refused_keeps_the_block() {
        let events = [(Op::Alloc, 0, 100), (Op::Realloc, 0, 4000), (Op::Free, 0, 0)];
        let pass = timed::<Bump>(&events, UNLIMITED);
        assert_eq!((pass.events, pass.refused, pass.stop), (3, 1, None));
    }

    #[test]
    fn a_replay_ends_at_its_limits() {
        let events: Vec<_> = (0..1000).map(|slot| (Op::Alloc, slot, 1)).collect();
        assert_eq!(timed::<Bump>(&events, Limit::events(700)).events, 700);
        let pass = timed::<Bump>(&events, Limit { time: Duration::ZERO, ..Limit::events(1000) });
        assert_eq!((pass.events, pass.stop), (256, Some(Stop::Time)));
    }

    #[test]
    fn a_panic_ends_the_pass_and_not_the_program() {
        assert_eq!(timed::<Panicking>(&[(Op::Alloc, 0, 100)], UNLIMITED).stop, Some(Stop::Panic));
    }

    #[test]
    fn each_call_is_noted_while_there_is_room() {
        let events =
            [(Op::Alloc, 0, 8), (Op::Realloc, 0, 16), (Op::Realloc, 0, 8), (Op::Free, 0, 0)];
        let mut arena = Arena::new(1 << 16).unwrap();
        let mut noted = |room| {
            let mut noted = Vec::with_capacity(room);
            let work = Work::Trace(trace(&events));
            calls::<Bump>(&work, &mut arena, 2048, UNLIMITED, &mut noted);
            noted.iter().map(|call| call.kind).collect::<Vec<_>>()
        };
        assert_eq!(noted(4), [Allocate, Grow, Shrink, Free]);
        assert_eq!(noted(2), [Allocate, Grow]);
    }
}
