//! Allocators of ranges of numbers, such as page frames: one file each, behind one trait. What the
//! numbers stand for is never touched.

mod ascending;
mod buddy_system_allocator;
mod frames;
mod offset_allocator;
mod tree;

pub use ascending::Ascending;
pub use buddy_system_allocator::BuddySystemFrames;
pub use frames::{KernelFrames, PlainFrames, SharedFrames};
pub use offset_allocator::Offsets;
pub use tree::{BuddyTree, SharedTree};

use crate::checked::Check;
use crate::measure::{Field, Label};
use crate::meter::{Limit, Meter, Pass, Stop};
use crate::peers::{Entrant, Memory, UnknownName, select};
use crate::workloads::Frames;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something that gives blocks of `2^order` frames and takes them back.
pub trait RangeAllocator {
    /// What a block is freed by.
    type Block: Copy;

    /// A block, if there is one.
    fn alloc(&mut self, order: u32) -> Option<Self::Block>;

    /// A block's first frame.
    fn first(block: Self::Block) -> usize;

    /// Takes a live block of that order back.
    fn free(&mut self, block: Self::Block, order: u32);
}

/// An allocator of ranges that can be measured.
pub trait RangePeer: RangeAllocator + Sized {
    /// What `--alloc` and the tables call it.
    const NAME: &'static str;
    /// The package and version it comes from.
    const PACKAGE: &'static str;
    /// Whether it is an allocator, or the floor.
    const MEMORY: Memory = Memory::Fixed;

    /// An allocator for so many frames, numbered from 0 on.
    fn create(frames: usize) -> Option<Self>;
}

/// One peer, with its passes compiled for it.
#[derive(Clone, Copy, Debug)]
pub struct RangeContestant {
    /// Who it is.
    pub entrant: Entrant,
    /// A pass in which each block's place and alignment are looked at.
    pub check: fn(&Frames, Limit) -> Check,
    /// A timed pass.
    pub time: fn(&Frames, Limit) -> Pass,
}

impl RangeContestant {
    /// The entry of a peer.
    #[must_use]
    pub const fn of<P: RangePeer>() -> Self {
        Self {
            entrant: Entrant { name: P::NAME, package: P::PACKAGE, memory: P::MEMORY },
            check: check::<P>,
            time: time::<P>,
        }
    }
}

/// All of them; the first is the one that is compared with the others.
pub const RANGES: &[RangeContestant] = &[
    RangeContestant::of::<BuddyTree>(),
    RangeContestant::of::<SharedTree>(),
    RangeContestant::of::<PlainFrames>(),
    RangeContestant::of::<SharedFrames>(),
    RangeContestant::of::<BuddySystemFrames>(),
    RangeContestant::of::<Offsets>(),
    RangeContestant::of::<Ascending>(),
];

/// The contestants of those names: see [`select`].
///
/// # Errors
/// If a name is not in the roster.
pub fn range_contestants(names: &[String]) -> Result<Vec<&'static RangeContestant>, UnknownName> {
    select(RANGES, |contestant| &contestant.entrant, names)
}

/// Page frames, and those who can allocate them.
#[derive(Debug)]
pub struct Ranges<'a> {
    /// What is done.
    pub frames: &'a Frames,
    /// By whom.
    pub contestants: &'a [&'static RangeContestant],
}

impl Field for Ranges<'_> {
    fn label(&self) -> Label {
        self.frames.label()
    }

    fn entrants(&self) -> Vec<Entrant> {
        self.contestants.iter().map(|contestant| contestant.entrant).collect()
    }

    fn check(&mut self, entrant: usize, limit: Limit, _seed: u64) -> Check {
        (self.contestants[entrant].check)(self.frames, limit)
    }

    fn time(&mut self, entrant: usize, limit: Limit) -> Pass {
        (self.contestants[entrant].time)(self.frames, limit)
    }
}

fn time<P: RangePeer>(frames: &Frames, limit: Limit) -> Pass {
    let all = AssertUnwindSafe(|| {
        let Some(mut peer) = P::create(frames.count()) else { return Pass::ended(Stop::Refused) };
        let mut meter = Meter::new(limit);
        frames.run(&mut peer, &mut meter);
        meter.finish()
    });
    catch_unwind(all).unwrap_or(Pass::ended(Stop::Panic))
}

fn check<P: RangePeer>(frames: &Frames, limit: Limit) -> Check {
    if P::MEMORY == Memory::Floor {
        return Check { events: limit.events, ..Check::default() };
    }
    let mut found = Check::default();
    let all = AssertUnwindSafe(|| {
        let Some(mut peer) = P::create(frames.count()) else { return Pass::ended(Stop::Refused) };
        let taken = vec![false; frames.count()];
        let mut checked = Checked { allocator: &mut peer, taken, found: &mut found };
        let mut meter = Meter::new(limit);
        frames.run(&mut checked, &mut meter);
        meter.finish()
    });
    let pass = catch_unwind(all).unwrap_or(Pass::ended(Stop::Panic));
    let refused = found.refused.max(pass.refused);
    Check { events: pass.events, refused, stop: pass.stop, ..found }
}

/// An allocator whose blocks are looked at.
struct Checked<'a, A> {
    allocator: &'a mut A,
    /// Which frames are allocated.
    taken: Vec<bool>,
    found: &'a mut Check,
}

impl<A: RangeAllocator> Checked<'_, A> {
    /// Marks the frames of a block, which must exist and not be so marked.
    fn mark(&mut self, block: A::Block, order: u32, taken: bool) {
        let first = A::first(block);
        let end = first.saturating_add(1 << order);
        match self.taken.get_mut(first..end) {
            Some(frames) if frames.iter().all(|&frame| frame != taken) => frames.fill(taken),
            _ => self.found.damaged += 1,
        }
    }
}

impl<A: RangeAllocator> RangeAllocator for Checked<'_, A> {
    type Block = A::Block;

    fn alloc(&mut self, order: u32) -> Option<A::Block> {
        let block = self.allocator.alloc(order)?;
        self.mark(block, order, true);
        Some(block)
    }

    fn first(block: A::Block) -> usize {
        A::first(block)
    }

    fn free(&mut self, block: A::Block, order: u32) {
        self.mark(block, order, false);
        self.allocator.free(block, order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Hands out frame 0 again and again, or what lies behind the end.
    struct Wrong<const FIRST: usize>;

    impl<const FIRST: usize> RangeAllocator for Wrong<FIRST> {
        type Block = usize;

        fn alloc(&mut self, _order: u32) -> Option<usize> {
            Some(FIRST)
        }

        fn first(block: usize) -> usize {
            block
        }

        fn free(&mut self, _block: usize, _order: u32) {}
    }

    impl<const FIRST: usize> RangePeer for Wrong<FIRST> {
        const NAME: &'static str = "wrong";
        const PACKAGE: &'static str = "test 0";

        fn create(_frames: usize) -> Option<Self> {
            Some(Self)
        }
    }

    #[test]
    fn all_peers_are_sound() {
        let frames = Frames::new(1 << 14, "64 MiB", &mut Random::new(1));
        for contestant in RANGES {
            let found = (contestant.check)(&frames, Limit::events(frames.label().lap));
            assert!(found.is_clean(), "{}: {found:?}", contestant.entrant.name);
            let pass = (contestant.time)(&frames, Limit::events(frames.label().lap));
            assert_eq!((pass.events, pass.refused), (frames.label().lap, 0));
        }
    }

    #[test]
    fn overlapping_and_missing_frames_are_found() {
        let frames = Frames::new(1 << 10, "4 MiB", &mut Random::new(1));
        let damaged =
            |check: fn(&Frames, Limit) -> Check| check(&frames, Limit::events(100)).damaged;
        assert!(damaged(check::<Wrong<0>>) > 0);
        assert!(damaged(check::<Wrong<1024>>) > 0);
        assert!(damaged(check::<Wrong<{ usize::MAX }>>) > 0);
    }
}
