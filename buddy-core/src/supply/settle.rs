//! Giving everything that rests back to the tree: when memory is short, or somebody wants to look.

use super::{Names, Record, Supply};
use crate::class::Class;
use crate::tree::{Order, Policy, Storage, Word};

impl<'t, S: Storage, P: Policy, N: Names> Supply<'t, S, P, N> {
    /// Attempts to take something from the tree; if there is not enough, once more while no slot of
    /// a slab is free.
    pub(crate) fn insist<T>(self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        attempt().or_else(|| {
            let pressure = self.words().get(self.shape.pressure).filter(|_| !self.shape.is_none());
            if let Some(pressure) = pressure {
                pressure.add(1);
            }
            self.settle();
            let taken = attempt();
            if let Some(pressure) = pressure {
                pressure.sub(1);
            }
            taken
        })
    }

    /// Frees the blocks of a class that rest on its stack.
    pub(super) fn unstack(self, class: Class, record: Record<'t, S::Word>) {
        if !Self::ONE_THREAD {
            return;
        }
        while let Some(name) = record.stack().pop() {
            if let Some(first) = self.names.first(name) {
                // Nobody else could free it.
                self.free(first, class, record, false);
            }
        }
        record.stack().clear(N::none::<S::Word>());
    }

    /// Frees all blocks that rest on stacks, and what is behind blocks that have rooms.
    fn unstack_all(self) {
        self.close_rooms();
        self.records().for_each(|(class, record)| self.unstack(class, record));
    }

    /// Makes trees again of all slabs with a free slot. O(classes), and O(slots * orders) for each.
    pub(crate) fn settle(self) {
        self.unstack_all();
        self.open_marked();
    }

    /// As [`Self::settle`], where nothing rests on a stack.
    fn open_marked(self) {
        for (class, record) in self.classes() {
            for number in self.hint_with_free(record).into_iter().chain(self.marked(class, record))
            {
                // Another call may be at it.
                self.open(class, record, number);
            }
            if let Some(counts) = self.counts(record) {
                counts.store(0);
            }
        }
    }

    /// Makes trees again of all slabs. O(words).
    pub(crate) fn dissolve(self) {
        self.unstack_all();
        let highest = self.classes().map(|(class, _)| class.natural).max();
        let orders = highest.into_iter().flat_map(|highest| 0..=highest).filter_map(Order::new);
        for slab in orders.flat_map(|natural| self.tree.slabs(natural)) {
            let class = Self::class_of(&slab);
            if let Some(record) = self.slabs_of(class) {
                self.open(class, record, slab.number);
            }
        }
        self.open_marked();
    }
}
