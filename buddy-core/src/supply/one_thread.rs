//! For one thread: which slabs have a free slot, without a look at them.

use super::{Names, Record, Shape, Supply, record};
use crate::class::Class;
use crate::tree::{Order, Policy, Storage, Tree, Word, max_value};

impl<'t, S: Storage, P: Policy, N: Names> Supply<'t, S, P, N> {
    /// Takes a slot of a slab that is marked, which is the hint from now on: its first leaf.
    pub(super) fn take_found(self, class: Class, record: Record<'t, S::Word>) -> Option<usize> {
        let (natural, marks) = (Record::<S::Word>::natural(class), record.at(record::MARKS));
        let behind = Self::number(record, record.at(record::HINT)).wrapping_add(1);
        let next = self.tree.first_marked(natural, marks, behind);
        let next = next.filter(|slab| self.is_well_used(record, *slab));
        let slab = next.or_else(|| self.tree.first_marked(natural, marks, 0))?;
        self.tree.clear_mark(natural, marks, slab);
        let word = self.words().get(Self::place(record, slab))?;
        let old = word.load();
        word.store(old & old.wrapping_sub(1));
        if old == record.whole() {
            self.keep_less(record);
        }
        self.begin(class, record, slab);
        Some(Self::first_leaf(class, slab) + old.trailing_zeros() as usize * class.leaves)
    }

    /// A slab that is not marked is the hint from now on.
    pub(super) fn begin(self, class: Class, record: Record<'t, S::Word>, slab: usize) {
        let old = record.at(record::HINT);
        if self.has_free(old) {
            self.set_mark(record, Self::number(record, old));
        }
        if let Some(name) = self.names.name(Self::first_leaf(class, slab)) {
            record.0[record::AIM].store(name);
            record.0[record::HINT].store(Self::place(record, slab));
        } else {
            self.set_mark(record, slab);
        }
    }

    /// Whether the slab with its word there has a free slot; if there is one.
    fn has_free(self, at: usize) -> bool {
        self.words().get(at).is_some_and(|word| word.load() & Self::ALL_SLOTS != 0)
    }

    /// Frees a slot where the slab's word becomes `now`: the first that is free, or the last. Not, if the slab
    /// goes back to the tree. (The supply in pieces, which are passed in registers.)
    #[inline(never)]
    pub(super) fn give_edge(
        tree: &'t Tree<S, P>,
        shape: &'t Shape,
        names: N,
        record: Record<'t, S::Word>,
        at: usize,
        now: usize,
    ) -> bool {
        let supply = Self::new(tree, shape, names);
        let is_whole = now == record.whole();
        if is_whole {
            if !record.stack().is_bypassed() {
                supply.bypass_stack(record);
            }
            if !supply.keep(record) {
                return false;
            }
        }
        if let Some(word) = supply.words().get(at) {
            word.store(now);
        }
        if !is_whole {
            supply.set_mark(record, Self::number(record, at));
        }
        true
    }

    /// Frees the blocks on a class's stack; those that are freed from now on do not rest, until one is taken.
    fn bypass_stack(self, record: Record<'t, S::Word>) {
        self.unstack(Class::at(self.class_number(record), P::PRECISION), record);
        record.stack().bypass();
    }

    /// Marks a slab that has a free slot, and is not the hint.
    pub(super) fn set_mark(self, record: Record<'t, S::Word>, slab: usize) {
        let natural = Self::slab_height(record).checked_sub(Tree::<S, P>::SLAB_HEIGHT);
        let natural = natural.and_then(Order::new).unwrap_or(Order::MAX);
        self.tree.set_mark(natural, record.at(record::MARKS), slab);
    }

    /// Makes a tree of a slab, which nobody finds any more; says whether it was one.
    pub(super) fn open(self, class: Class, record: Record<'t, S::Word>, slab: usize) -> bool {
        let (natural, marks) = (Record::<S::Word>::natural(class), record.at(record::MARKS));
        if Self::ONE_THREAD {
            self.tree.clear_mark(natural, marks, slab);
            if record.at(record::HINT) == Self::place(record, slab) {
                record.0[record::HINT].store(max_value::<S::Word>());
            }
        }
        self.tree.open_slab(&record.kind(class), slab)
    }

    /// The hint, if it has a free slot.
    pub(super) fn hint_with_free(self, record: Record<'t, S::Word>) -> Option<usize> {
        let at = record.at(record::HINT);
        (Self::ONE_THREAD && self.has_free(at)).then(|| Self::number(record, at))
    }
}
