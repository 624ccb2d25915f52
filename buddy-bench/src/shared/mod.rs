//! Allocators that threads share: lock-free ones and global ones as they are, others behind locks.

mod heap;
mod locked;

pub use heap::SharedBuddy;
pub use locked::{Lock, Locked, Mutex, Spin};

use crate::arena::{Arena, Region};
use crate::checked::Check;
use crate::measure::{Field, Label};
use crate::meter::{Limit, Pass, Stop};
use crate::peers::{
    Buddy, BuddyAlloc, BuddySystem, Entrant, Global, GoodMemory, LinkedList, Memory, Named, Peer,
    Rlsf, Talc, UnknownName, WithFastPath, select,
};
use crate::workloads::Exchange;
use buddy_core::tree::Lazy;
use buddy_global::PerThread;
use std::alloc::{Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// An allocator that threads share.
pub trait SharedPeer: Sync + Sized {
    /// The package and version it comes from.
    const PACKAGE: &'static str;
    /// Where its blocks come from.
    const MEMORY: Memory;

    /// An allocator for `region`, or `None` if that is too small for it.
    ///
    /// # Safety
    /// Until the allocator is dropped, the region is valid, and used by nobody but the allocator and
    /// the holders of its blocks.
    unsafe fn create(region: Region) -> Option<Self>;

    /// A block for `layout`, whose size is not zero.
    fn alloc(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes a block back.
    ///
    /// # Safety
    /// The block is of this allocator, live, with that layout, and not used any more.
    unsafe fn dealloc(&self, block: NonNull<u8>, layout: Layout);
}

impl<G: Named> SharedPeer for Global<G> {
    const PACKAGE: &'static str = G::PACKAGE;
    const MEMORY: Memory = Memory::Own;

    unsafe fn create(region: Region) -> Option<Self> {
        // SAFETY: the caller's duties.
        unsafe { <Self as Peer>::create(region) }
    }

    #[inline]
    fn alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    #[inline]
    unsafe fn dealloc(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block with that layout, which is not used any more.
        unsafe { self.0.dealloc(block.as_ptr(), layout) }
    }
}

/// One peer, with its passes compiled for it.
#[derive(Clone, Copy, Debug)]
pub struct SharedContestant {
    /// Who it is.
    pub entrant: Entrant,
    /// A pass in which each block's place, alignment and contents are looked at.
    pub check: fn(&Exchange, &mut Arena, Limit) -> Check,
    /// A timed pass.
    pub time: fn(&Exchange, &mut Arena, Limit) -> Pass,
}

impl SharedContestant {
    /// The entry of a peer, with the name that `--alloc` and the tables have for it.
    #[must_use]
    pub const fn of<P: SharedPeer>(name: &'static str) -> Self {
        Self {
            entrant: Entrant { name, package: P::PACKAGE, memory: P::MEMORY },
            check: check::<P>,
            time: time::<P>,
        }
    }
}

type SpinLocked<P> = Locked<Spin<P>>;
type MutexLocked<P> = Locked<Mutex<P>>;

/// Threads are spread over so many lanes: twice as many as a small machine has cores.
const LANES: usize = 4;

/// All of them; the first is the one that is compared with the others.
pub const SHARED: &[SharedContestant] = &[
    SharedContestant::of::<SharedBuddy<PerThread<LANES>>>("buddy"),
    SharedContestant::of::<SharedBuddy<Lazy>>("buddy-one-lane"),
    SharedContestant::of::<SpinLocked<Buddy<Lazy>>>("buddy-spin"),
    SharedContestant::of::<MutexLocked<Buddy<Lazy>>>("buddy-mutex"),
    SharedContestant::of::<SpinLocked<BuddySystem>>("buddy_system-spin"),
    SharedContestant::of::<MutexLocked<BuddySystem>>("buddy_system-mutex"),
    SharedContestant::of::<SpinLocked<BuddyAlloc>>("buddy-alloc-spin"),
    SharedContestant::of::<MutexLocked<BuddyAlloc>>("buddy-alloc-mutex"),
    SharedContestant::of::<SpinLocked<WithFastPath>>("buddy-alloc-fast-spin"),
    SharedContestant::of::<MutexLocked<WithFastPath>>("buddy-alloc-fast-mutex"),
    SharedContestant::of::<SpinLocked<Talc>>("talc-spin"),
    SharedContestant::of::<MutexLocked<Talc>>("talc-mutex"),
    SharedContestant::of::<SpinLocked<Rlsf>>("rlsf-spin"),
    SharedContestant::of::<MutexLocked<Rlsf>>("rlsf-mutex"),
    SharedContestant::of::<SpinLocked<LinkedList>>("linked_list-spin"),
    SharedContestant::of::<MutexLocked<LinkedList>>("linked_list-mutex"),
    SharedContestant::of::<SpinLocked<GoodMemory>>("good_memory-spin"),
    SharedContestant::of::<MutexLocked<GoodMemory>>("good_memory-mutex"),
    SharedContestant::of::<Global<System>>("system"),
    #[cfg(feature = "mimalloc")]
    SharedContestant::of::<Global<mimalloc::MiMalloc>>("mimalloc"),
    #[cfg(feature = "jemalloc")]
    SharedContestant::of::<Global<tikv_jemallocator::Jemalloc>>("jemalloc"),
    #[cfg(feature = "snmalloc")]
    SharedContestant::of::<Global<snmalloc_rs::SnMalloc>>("snmalloc"),
];

/// The contestants of those names: see [`select`].
///
/// # Errors
/// If a name is not in the roster.
pub fn shared_contestants(names: &[String]) -> Result<Vec<&'static SharedContestant>, UnknownName> {
    select(SHARED, |contestant| &contestant.entrant, names)
}

/// Work for threads, those who can serve them, and the memory.
#[derive(Debug)]
pub struct Shared<'a> {
    /// What is done.
    pub exchange: &'a Exchange,
    /// By whom.
    pub contestants: &'a [&'static SharedContestant],
    /// Where.
    pub arena: &'a mut Arena,
}

impl Field for Shared<'_> {
    fn label(&self) -> Label {
        self.exchange.label()
    }

    fn entrants(&self) -> Vec<Entrant> {
        self.contestants.iter().map(|contestant| contestant.entrant).collect()
    }

    fn check(&mut self, entrant: usize, limit: Limit, _seed: u64) -> Check {
        (self.contestants[entrant].check)(self.exchange, self.arena, limit)
    }

    fn time(&mut self, entrant: usize, limit: Limit) -> Pass {
        (self.contestants[entrant].time)(self.exchange, self.arena, limit)
    }
}

fn time<P: SharedPeer>(exchange: &Exchange, arena: &mut Arena, limit: Limit) -> Pass {
    let region = arena.region(exchange.heap_bytes());
    let all = AssertUnwindSafe(|| {
        // SAFETY: the arena is borrowed, and nobody else knows the region.
        let peer = unsafe { P::create(region) };
        peer.map_or(Pass::ended(Stop::Refused), |peer| exchange.run(&peer, limit))
    });
    catch_unwind(all).unwrap_or(Pass::ended(Stop::Panic))
}

fn check<P: SharedPeer>(exchange: &Exchange, arena: &mut Arena, limit: Limit) -> Check {
    let region = arena.region(exchange.heap_bytes());
    let bounds = (P::MEMORY == Memory::Fixed).then_some(region);
    let mut found = Check::default();
    let all = AssertUnwindSafe(|| {
        // SAFETY: the arena is borrowed, and nobody else knows the region.
        let peer = unsafe { P::create(region) };
        let Some(peer) = peer else { return Pass::ended(Stop::Refused) };
        let (pass, damaged) = exchange.check(&peer, bounds, limit);
        found.damaged = damaged;
        pass
    });
    let pass = catch_unwind(all).unwrap_or(Pass::ended(Stop::Panic));
    Check { events: pass.events, refused: pass.refused, stop: pass.stop, ..found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn all_peers_are_sound() {
        let exchange = Exchange::new("exchange", 2, 4, &mut Random::new(1));
        let mut arena = Arena::new(exchange.heap_bytes()).unwrap();
        for contestant in SHARED {
            let found = (contestant.check)(&exchange, &mut arena, Limit::events(8000));
            assert!(found.is_clean(), "{}: {found:?}", contestant.entrant.name);
            assert!(found.events >= 8000);
        }
    }
}
