//! Taking blocks: from the stack, the slab that was taken from before, any slab, a new one.

use super::{LookUp, Names, Record, Supply, record};
use crate::class::Class;
use crate::tree::{Policy, Storage, Tree, Word};
use core::ops::Range;

/// A slab is raised at the first request of its class only if so many times its size is free.
pub(super) const FREE_FOR_A_SLAB: usize = 1 << 12;
/// If so many times its size is free, after some requests.
pub(super) const FREE_ON_DEMAND: usize = 1 << 4;
/// After how many.
pub(super) const DEMAND: usize = 8;
/// A block that grows is likely to grow again, and is small only if so many times its size is free,
const FREE_FOR_A_SMALL_BLOCK: usize = 1 << 13;
/// or if it has no more leaves than this.
pub(super) const SMALL_BLOCK: usize = 64;

/// A block that was allocated from a new slab.
pub(crate) struct Supplied {
    pub(crate) first: usize,
    /// The slab's leaves.
    pub(crate) fresh: Range<usize>,
}

impl<'t, S: Storage, P: Policy, N: Names> Supply<'t, S, P, N> {
    /// Takes a free slot of a slab with that tag: the word before.
    #[inline(always)]
    fn take_from(word: &S::Word, tag: usize) -> Option<usize> {
        // One comparison: the tag is right, and a slot is free.
        let has_free = |old: usize| (old ^ tag).wrapping_sub(1) < Self::ALL_SLOTS;
        word.update(|old| has_free(old).then_some(old & old.wrapping_sub(1))).ok()
    }

    /// Takes a block of the class that was freed last, or from the slab that the lane took from before:
    /// its name.
    #[inline(always)]
    pub(crate) fn take(self, class: Class) -> Option<usize> {
        let LookUp::Found(record) = self.look_up(class) else {
            return None;
        };
        if Self::ONE_THREAD {
            if let Some(name) = record.stack().pop() {
                return Some(name);
            }
        }
        let at = self.hint(record, class, Self::lane())?.load();
        let word = self.words().get(at)?;
        if Self::ONE_THREAD {
            // A slab's (M5): above the bits of slots it has some that are set.
            let old = word.load();
            let slot = old.trailing_zeros() as usize;
            if slot >= Self::MOST_SLOTS {
                return None;
            }
            word.store(old & old.wrapping_sub(1));
            record.stack().resume();
            return Some(record.at(record::AIM).wrapping_add(slot * N::step(class.leaves)));
        }
        let old = Self::take_from(word, record.tag())?;
        let first = Self::first_leaf(class, Self::number(record, at));
        self.names.name(first + old.trailing_zeros() as usize * class.leaves)
    }

    /// Whether a block of the class is so small that it is better moved than grown.
    pub(crate) fn is_small(self, class: Class) -> bool {
        class.leaves <= SMALL_BLOCK.max(self.tree.free_leaves() / FREE_FOR_A_SMALL_BLOCK)
    }

    /// Takes a block of the class from any slab, or, with several CPUs, from any where the calling one
    /// searches the tree: its first leaf. From the next slab behind the hint, if that is well used, else from
    /// the lowest.
    #[inline(never)]
    pub(crate) fn take_marked(self, class: Class) -> Option<usize> {
        let record = self.slabs_of(class)?;
        if Self::ONE_THREAD {
            return self.take_found(class, record);
        }
        let slabs = if P::CPUS <= 1 {
            0..usize::MAX
        } else {
            let own = self.tree.own();
            let shift = class.natural + Tree::<S, P>::SLAB_HEIGHT;
            own.start >> shift..own.end.div_ceil(1 << shift)
        };
        let next = self.next_slab(class, record).filter(|slab| slabs.contains(slab));
        let taken = next.and_then(|slab| self.take_of(class, record, slab));
        taken.or_else(|| self.take_behind(class, record, slabs))
    }

    /// The next slab behind the hint that has a free slot, if it is well used.
    fn next_slab(self, class: Class, record: Record<'t, S::Word>) -> Option<usize> {
        let hint = self.hint(record, class, Self::lane())?.load();
        let behind = Self::number(record, hint).wrapping_add(1);
        let next = self.tree.find_slab(&record.kind(class), record.at(record::MARKS), behind)?;
        Some(next).filter(|slab| self.is_well_used(record, *slab))
    }

    /// Whether at least half of a slab's slots are held. Others are left alone while there are lower ones, so that
    /// they may become whole.
    pub(super) fn is_well_used(self, record: Record<'t, S::Word>, slab: usize) -> bool {
        let Some(word) = self.words().get(Self::place(record, slab)) else { return false };
        let (free, slots) = (word.load() & Self::ALL_SLOTS, record.at(record::SLOTS));
        free != slots && free.count_ones() * 2 <= slots.count_ones()
    }

    /// Takes a slot of that slab, from which the lane takes from now on.
    fn take_of(self, class: Class, record: Record<'t, S::Word>, slab: usize) -> Option<usize> {
        let at = Self::place(record, slab);
        // `None` if others were faster.
        let old = Self::take_from(self.words().get(at)?, record.tag())?;
        self.aim(class, record, slab);
        if old == record.whole() {
            self.keep_less(record);
        }
        let slot = old.trailing_zeros() as usize;
        Some(Self::first_leaf(class, slab) + slot * class.leaves)
    }

    /// A slab is taken from that was kept with all slots free, if it was counted.
    pub(super) fn keep_less(self, record: Record<'t, S::Word>) {
        if let Some(counts) = self.counts(record) {
            let _ = counts.update(|now| now.checked_sub(record::KEPT));
        }
    }

    /// With several CPUs: takes a block of the class from any slab at all.
    pub(crate) fn take_others(self, class: Class) -> Option<usize> {
        let record = self.slabs_of(class).filter(|_| P::CPUS > 1)?;
        self.take_behind(class, record, 0..usize::MAX)
    }

    /// Takes a slot of the first slab that has one, of those with these numbers.
    pub(super) fn take_behind(
        self,
        class: Class,
        record: Record<'t, S::Word>,
        slabs: Range<usize>,
    ) -> Option<usize> {
        let (kind, marks) = (record.kind(class), record.at(record::MARKS));
        loop {
            let slab = self.tree.find_slab(&kind, marks, slabs.start)?;
            if slab >= slabs.end {
                return None;
            }
            let taken = self.take_of(class, record, slab);
            if taken.is_some() {
                return taken;
            }
        }
    }

    /// Takes a block of the class from a slab that is made for it; `None` if it is not worth one, or
    /// there is no block for one.
    pub(crate) fn raise(self, class: Class) -> Option<Supplied> {
        let record = self.slabs_of(class)?;
        if !self.is_worth_a_slab(class, record) || self.is_short() {
            return None;
        }
        self.raise_for(class, record)
    }

    pub(super) fn raise_for(self, class: Class, record: Record<'t, S::Word>) -> Option<Supplied> {
        let kind = record.kind(class);
        let (number, _transit) = self.tree.raise_slab(&kind)?;
        if Self::ONE_THREAD {
            self.begin(class, record, number);
        } else {
            self.aim(class, record, number);
            self.mark(&kind, record, number);
        }
        let first = Self::first_leaf(class, number);
        Some(Supplied { first, fresh: first..first + kind.leaves * kind.count() })
    }

    fn is_worth_a_slab(self, class: Class, record: Record<'t, S::Word>) -> bool {
        let (free, slab) = (self.tree.free_leaves(), Self::first_leaf(class, 1));
        if slab <= free / FREE_FOR_A_SLAB {
            return true;
        }
        let Some(counts) = self.counts(record) else { return false };
        let is_wanted = counts.load() % record::KEPT >= DEMAND;
        if !is_wanted {
            counts.add(1);
        }
        is_wanted && slab <= free / FREE_ON_DEMAND
    }
}
