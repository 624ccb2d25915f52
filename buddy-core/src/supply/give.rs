//! Giving blocks back: to the stack, to their slab, to the tree.

use super::{LookUp, Names, Record, Seat, Supply, record, stack};
use crate::class::Class;
use crate::tree::{Policy, SlabKind, Storage, Word};

/// Slabs of a class are kept that together are no more than this part of what is free.
pub(super) const FREE_FOR_KEPT: usize = 1 << 8;
/// So many blocks of a class without slabs rest,
pub(super) const LARGE_BLOCKS: usize = 2;
/// which together are no more than this part of what is free.
const FREE_FOR_LARGE_BLOCKS: usize = 1 << 7;

impl<'t, S: Storage, P: Policy, N: Names> Supply<'t, S, P, N> {
    /// Frees the block of the class at `first`, if it is one; says whether it was.
    #[inline(always)]
    pub(crate) fn give(self, first: usize, class: Class) -> bool {
        self.give_plain(class, || self.names.name(first), || Some(first << N::FINE))
            || self.give_slow(first, class)
    }

    /// As [`Self::give`], of the block with that name at that position, if nothing is to be done but to put a
    /// block on the stack, or free a slot in its slab.
    #[inline(always)]
    pub(crate) fn give_plain(
        self,
        class: Class,
        name: impl FnOnce() -> Option<usize>,
        position: impl Fn() -> Option<usize>,
    ) -> bool {
        let LookUp::Found(record) = self.look_up(class) else {
            return false;
        };
        if !Self::ONE_THREAD {
            return position().is_some_and(|at| self.give_shared(at, class, record).is_some());
        }
        let Some(name) = name() else {
            return false;
        };
        let stack = record.stack();
        if stack.put_back_last(name) {
            return true;
        }
        if stack.is_bypassed() {
            return position()
                .is_some_and(|at| self.give_unknown(name, at, record, false).is_some());
        }
        match stack.put_back(name) {
            Some(false) => {
                position().is_some_and(|at| self.give_unknown(name, at, record, true).is_some())
            }
            is_back => is_back.is_some(),
        }
    }

    /// As [`Self::give_plain`], of a block that is not known to the stack. (`may_rest` is known where this is compiled.)
    #[inline(always)]
    fn give_unknown(
        self,
        name: usize,
        position: usize,
        record: Record<'t, S::Word>,
        may_rest: bool,
    ) -> Option<()> {
        let Seat { word, at, bit } = self.seat(position, record)?;
        // What is free of the slab, before and then: of another's word there is something above the slots.
        let (tag, slots) = (record.tag(), record.at(record::SLOTS));
        let free = word.load() ^ tag;
        let free_then = free | bit;
        if free_then == free || free_then > slots {
            return None;
        }
        if may_rest && record.stack().push(name, stack::MOST) {
            return Some(());
        }
        let now = free_then ^ tag;
        // The first slot to be free, or the last; of the slab that is taken from both are as others (M2).
        if (free == 0 || free_then == slots) && record.at(record::HINT) != at {
            let is_done = Self::give_edge(self.tree, self.shape, self.names, record, at, now);
            return is_done.then_some(());
        }
        word.store(now);
        Some(())
    }

    /// As [`Self::give_plain`], where there are no stacks.
    #[inline(always)]
    fn give_shared(self, position: usize, class: Class, record: Record<'t, S::Word>) -> Option<()> {
        let Seat { word, at, bit } = self.seat(position, record)?;
        let (tag, slots) = (record.tag(), record.at(record::SLOTS));
        let has_free = |old: usize| old != tag;
        let is_marked = || S::Word::SHARED && self.is_marked(record, Self::number(record, at));
        let hint = self.hint(record, class, Self::lane())?;
        // The slab has another free slot or is marked nevertheless (M2), and does not become whole, unless
        // the lane takes from it.
        let is_plain = |old: usize| {
            let free = old ^ tag;
            let is_held = free & bit == 0 && free | bit <= slots;
            let stays = free | bit != slots || hint.load() == at;
            is_held && stays && (has_free(old) || is_marked())
        };
        let old = word.update(|old| is_plain(old).then_some(old | bit)).ok()?;
        // Whoever cleared the mark in between, or is short of memory, has seen this slot, or else has
        // changed the word before, so that this call sees what it did.
        if S::Word::SHARED && !has_free(old) && (!is_marked() || self.is_short()) {
            self.mark_late(class.number(), Self::number(record, at));
        }
        Some(())
    }

    /// Whether a slab is marked as having a free slot; not, if its class has no marks.
    #[inline(always)]
    fn is_marked(self, record: Record<'t, S::Word>, slab: usize) -> bool {
        self.tree.is_slab_marked(record.at(record::MARKS), slab)
    }

    /// As [`Self::give`], of a block that is no slot, or the first to be free, or in a slab that is opened.
    #[inline(never)]
    pub(crate) fn give_slow(self, first: usize, class: Class) -> bool {
        if let Some(is_freed) = self.give_room(first, class) {
            return is_freed;
        }
        let Some(record) = self.record(class) else {
            return self.tree.free_sized(first, class.leaves).is_ok();
        };
        let name = self.names.name(first).filter(|_| Self::ONE_THREAD);
        let is_back = name.map_or(Some(false), |name| record.stack().put_back(name));
        is_back.is_some_and(|is_back| is_back || self.free(first, class, record, true))
    }

    /// Frees a block that does not rest: a slot in its slab; others may rest from now on, or are freed in the
    /// tree.
    pub(super) fn free(
        self,
        first: usize,
        class: Class,
        record: Record<'t, S::Word>,
        may_rest: bool,
    ) -> bool {
        let tag = record.tag();
        let seat = self.seat_of(first, record);
        if let Some(seat) = seat.filter(|seat| Self::is_own(seat.word.load(), tag)) {
            match self.free_slot(class, record, &seat) {
                Ok(()) => return true,
                Err(now) if Self::is_own(now, tag) => return false,
                // It is a tree by now.
                Err(_) => {}
            }
        }
        may_rest && self.rest(first, class, record)
            || self.tree.free_sized(first, class.leaves).is_ok()
    }

    /// Puts a block of the tree on its class's stack, if it is held and has room there, and the class has no
    /// slabs; says whether it did.
    fn rest(self, first: usize, class: Class, record: Record<'t, S::Word>) -> bool {
        // Aligned as slots are, side by side.
        let is_aligned = first.trailing_zeros() >= class.leaves.trailing_zeros();
        Self::ONE_THREAD
            && !self.has_slabs(class)
            && is_aligned
            && (record.stack().len() + 1) * class.leaves
                <= self.tree.free_leaves() / FREE_FOR_LARGE_BLOCKS
            && self.tree.has_block(first, class.leaves)
            && self.names.name(first).is_some_and(|name| record.stack().push(name, LARGE_BLOCKS))
    }

    /// Frees a slot in its slab; if it is not held there, the slab's word.
    fn free_slot(
        self,
        class: Class,
        record: Record<'t, S::Word>,
        seat: &Seat<'t, S>,
    ) -> Result<(), usize> {
        // Before the first of its slots is free (M2).
        let _transit = self.tree.transit();
        let (tag, bit) = (record.tag(), seat.bit);
        let is_held = |old: usize| Self::is_own(old, tag) && old & bit == 0;
        let old = seat.word.update(|old| is_held(old).then_some(old | bit))?;
        if old & SlabKind::opening::<S::Word>() == 0 {
            self.note_freed(class, record, Self::number(record, seat.at), old);
        }
        Ok(())
    }

    /// The first slot of a slab was freed, or another; its word was `old` before.
    fn note_freed(self, class: Class, record: Record<'t, S::Word>, slab: usize, old: usize) {
        let (kind, at) = (record.kind(class), Self::place(record, slab));
        let is_hint = self.is_hint(class, record, at);
        if !Self::ONE_THREAD {
            self.mark(&kind, record, slab);
        } else if old == kind.tag && !is_hint {
            self.set_mark(record, slab);
        }
        let is_whole = (old ^ kind.tag ^ kind.slots).is_power_of_two();
        if is_whole && !is_hint && !self.keep(record) {
            if Self::ONE_THREAD {
                self.tree.clear_mark(kind.natural, record.at(record::MARKS), slab);
            }
            self.tree.raze_slab(&kind, slab);
        }
    }

    /// Keeps for later a slab of which all slots are free, and from which no lane takes, if there are not too
    /// many: whether it does. Others go back to the tree.
    pub(super) fn keep(self, record: Record<'t, S::Word>) -> bool {
        let most = (self.tree.free_leaves() / FREE_FOR_KEPT) >> Self::slab_height(record);
        let add = |now: usize| (now / record::KEPT < most).then_some(now + record::KEPT);
        self.counts(record).is_some_and(|counts| counts.update(add).is_ok())
    }

    /// Marks a slab of which a slot was freed while a search cleared the mark.
    #[cold]
    fn mark_late(self, class: usize, slab: usize) {
        let class = Class::at(class, P::PRECISION);
        if let Some(record) = self.record(class) {
            let _transit = self.tree.transit();
            self.mark(&record.kind(class), record, slab);
        }
    }
}
