//! What a leaf belongs to, and what rests: slots of slabs first, then the tree's blocks.

use super::{Names, Record, Seat, Supply};
use crate::class::Class;
use crate::tree::{Extent, FreeError, Kind, Policy, Slab, SlabKind, Storage, Tree, Word};

/// A slot, and whose it is.
struct Tenure {
    class: Class,
    first: usize,
    is_free: bool,
}

/// What a leaf belongs to.
impl<S: Storage, P: Policy, N: Names> Supply<'_, S, P, N> {
    /// The class of a slab's slots.
    pub(super) fn class_of(slab: &Slab) -> Class {
        let ranks = SlabKind::ranks::<S::Word>();
        Class::ranked(slab.natural.get(), slab.rank, ranks, P::PRECISION)
    }

    /// The slot that a leaf lies in. O(orders).
    fn slot_around(self, leaf: usize) -> Option<Tenure> {
        if self.shape.is_none() {
            return None;
        }
        let slab = self.tree.slab_around(leaf)?;
        let class = Self::class_of(&slab);
        let record = self.slabs_of(class)?;
        let number = (leaf - Self::first_leaf(class, slab.number)) / class.leaves;
        let first = Self::first_leaf(class, slab.number) + number * class.leaves;
        (number < record.kind(class).count()).then(|| Tenure {
            class,
            first,
            is_free: slab.free >> number & 1 == 1 || self.rests(record, first),
        })
    }

    /// What a leaf belongs to; a free slot is an extent of its own. O(orders) but for long runs.
    pub(crate) fn extent_at(self, leaf: usize) -> Option<Extent> {
        if let Some(Tenure { class, first, is_free }) = self.slot_around(leaf) {
            let kind = if is_free { Kind::Free } else { Kind::Used };
            return Some(Extent { first, leaves: class.leaves, kind });
        }
        let extent = self.part_of_room(self.tree.extent_at(leaf)?, leaf);
        let rests = extent.kind == Kind::Used && self.block_rests(extent.first, extent.leaves);
        Some(if rests { Extent { kind: Kind::Free, ..extent } } else { extent })
    }

    /// Whether an allocated block of the tree rests.
    fn block_rests(self, first: usize, leaves: usize) -> bool {
        let class = Class::of(leaves, P::PRECISION);
        let record = class.and_then(|class| self.record(class));
        record.is_some_and(|record| self.rests(record, first))
    }

    /// How many leaves the allocated block at `first` has. O(orders).
    pub(crate) fn leaves_of(self, first: usize) -> Result<usize, FreeError> {
        match self.slot_around(first) {
            Some(slot) if slot.is_free => Err(FreeError::AlreadyFree { leaf: first }),
            Some(slot) if slot.first != first => {
                Err(FreeError::NotStart { leaf: first, block: slot.first })
            }
            Some(slot) => Ok(slot.class.leaves),
            None => {
                if let Some(leaves) = self.leaves_in_room(first) {
                    return Ok(leaves);
                }
                let found = self.tree.leaves_of(first);
                let rests = match found {
                    Ok(leaves) => self.block_rests(first, leaves),
                    Err(FreeError::NotStart { block, .. }) => {
                        let leaves = self.tree.leaves_of(block);
                        leaves.is_ok_and(|leaves| self.block_rests(block, leaves))
                    }
                    Err(_) => false,
                };
                if rests { Err(FreeError::AlreadyFree { leaf: first }) } else { found }
            }
        }
    }

    /// Where a block of the class is known that is allocated at `first`; `None` if none is.
    pub(crate) fn find(self, first: usize, class: Class) -> Option<Place> {
        if let Some(record) = self.record(class) {
            if self.rests(record, first) {
                return None;
            }
        }
        if let Some(is_held) = self.find_slot(first, class) {
            return is_held.then_some(Place::Slab);
        }
        if let Some(leaves) = self.leaves_in_room(first) {
            return (leaves == class.leaves).then_some(Place::Room);
        }
        self.tree.has_block(first, class.leaves).then_some(Place::Tree)
    }

    /// Detaches the block of the class at `first` from the tree, if one is allocated there; of a slab
    /// with it a tree is made before. Says whether there was one.
    pub(crate) fn detach(self, first: usize, class: Class) -> bool {
        for _ in 0..=P::PATIENCE {
            let Some(Place::Slab) = self.find(first, class) else { break };
            let Some(record) = self.slabs_of(class) else { break };
            self.unstack(class, record);
            let number = first >> (class.natural + Tree::<S, P>::SLAB_HEIGHT);
            if self.open(class, record, number) {
                break;
            }
            // Another call is at it.
            core::hint::spin_loop();
        }
        self.detach_from_tree(first, class)
    }

    /// As [`Self::detach`], of a block that was found there.
    pub(crate) fn detach_found(self, first: usize, class: Class, place: Place) -> bool {
        if place == Place::Slab {
            return self.detach(first, class);
        }
        self.forget(first, class) && self.tree.detach_found(first, class.leaves)
    }

    /// As [`Self::detach`], of a block that is no slot. (A slot is one until its slab's word says otherwise, even if a
    /// call that is opening the slab has stopped behind the nodes.)
    pub(crate) fn detach_from_tree(self, first: usize, class: Class) -> bool {
        let is_slot = S::Word::SHARED && self.find_slot(first, class).is_some();
        !is_slot && self.forget(first, class) && self.tree.detach(first, class.leaves)
    }

    /// Whether the slot of the class at `first` is held, if there is one.
    fn find_slot(self, first: usize, class: Class) -> Option<bool> {
        let record = self.record(class)?;
        let Seat { word, bit, .. } = self.seat_of(first, record)?;
        let word = word.load();
        Self::is_own(word, record.tag()).then_some(word & bit == 0)
    }

    /// Sees to it that the class's stack does not know the block at `first`, and it has no room; `false` if it
    /// rests.
    fn forget(self, first: usize, class: Class) -> bool {
        self.close_room(first);
        self.forget_name(first, class)
    }

    /// Sees to it that the class's stack does not know the block at `first`; `false` if it rests.
    pub(super) fn forget_name(self, first: usize, class: Class) -> bool {
        let record = self.record(class).filter(|_| Self::ONE_THREAD);
        let name = self.names.name(first);
        record
            .zip(name)
            .is_none_or(|(record, name)| record.stack().forget(name, N::none::<S::Word>()))
    }

    /// Leaves of free slots, of what rests on stacks, and of rooms behind their blocks. Nothing changes hands.
    /// O(classes + slabs that have some).
    pub(crate) fn resting(self) -> usize {
        let slots = |(class, record): (Class, Record<'_, S::Word>)| {
            let place = |number| self.words().get(Self::place(record, number));
            let free = |number| {
                (place(number).map_or(0, Word::load) & record.kind(class).slots).count_ones()
                    as usize
            };
            let hint = self.hint_with_free(record);
            // A search looks at the word itself where it begins, so the hint may be found.
            let marked = self.marked(class, record).filter(|number| Some(*number) != hint);
            hint.into_iter().chain(marked).map(free).sum::<usize>() * class.leaves
        };
        let stacked = |(class, record): (Class, Record<'_, S::Word>)| {
            if Self::ONE_THREAD { record.stack().len() * class.leaves } else { 0 }
        };
        self.classes().map(slots).sum::<usize>()
            + self.records().map(stacked).sum::<usize>()
            + self.spare()
    }
}

/// Where an allocated block is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// It is a slot of a slab.
    Slab,
    /// In the tree's nodes.
    Tree,
    /// There, with more leaves: it has a room.
    Room,
}
