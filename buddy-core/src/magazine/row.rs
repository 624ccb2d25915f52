//! A row: two words of the same form, which say which word of nodes the row stands for, and of each
//! of its blocks whether it is a member, and whether it rests.
//!
//! ```text
//! | BUSY: 1 bit | tag: half the bits less one | a bit a node: half the bits |
//! ```

use crate::tree::Word;
use core::marker::PhantomData;

/// The bits of blocks, and of what is above them.
pub(super) struct State<W>(PhantomData<W>);

impl<W: Word> State<W> {
    /// How many nodes a word has.
    pub(super) const NODES: u32 = W::BITS / 2;
    /// The bits of the blocks.
    pub(super) const BLOCKS: usize = (1 << Self::NODES) - 1;
    /// Whoever sets this bit gives the row's blocks away; until then nobody else changes the row.
    pub(super) const BUSY: usize = 1 << (W::BITS - 1);
    /// Tags are smaller.
    const TAGS: usize = 1 << (Self::NODES - 1);

    /// The tag of a word of nodes, in its place: the number + 1, so that 0 is the tag of no word;
    /// `None` if the number is too large.
    #[inline(always)]
    pub(super) const fn tag(number: usize) -> Option<usize> {
        if number < Self::TAGS - 1 { Some((number + 1) << Self::NODES) } else { None }
    }

    /// The number of the word of nodes of a state with a tag, which is not busy.
    #[inline(always)]
    pub(super) const fn number(state: usize) -> usize {
        (state >> Self::NODES).wrapping_sub(1)
    }

    /// Whether the state is of that tag, and not busy.
    #[inline(always)]
    pub(super) const fn is_of(state: usize, tag: usize) -> bool {
        (state ^ tag) >> Self::NODES == 0
    }
}

/// Blocks of a word of nodes: its tag, and their bits.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) tag: usize,
    pub(super) blocks: usize,
}

/// The words of a row.
pub(super) struct RowWords<'w, W> {
    pub(super) members: &'w W,
    pub(super) resting: &'w W,
}

/// Takes the lowest block that rests; returns the state before.
#[inline(always)]
pub(super) fn take<W: Word>(resting: &W) -> Result<usize, usize> {
    resting.update(|old| {
        let has_some = old & State::<W>::BLOCKS != 0 && old & State::<W>::BUSY == 0;
        has_some.then_some(old & old.wrapping_sub(1))
    })
}

impl<W: Word> RowWords<'_, W> {
    /// Whether all the blocks are members.
    #[inline(always)]
    pub(super) fn has_members(&self, place: Place) -> bool {
        let members = self.members.load();
        State::<W>::is_of(members, place.tag) && members & place.blocks == place.blocks
    }

    /// Whether any of the blocks rests.
    pub(super) fn has_resting(&self, place: Place) -> bool {
        Self::rests(self.resting.load(), place)
    }

    /// Whether any of the blocks rests in that state.
    pub(super) fn rests(resting: usize, place: Place) -> bool {
        State::<W>::is_of(resting, place.tag) && resting & place.blocks != 0
    }

    /// Makes blocks members that the caller owns.
    pub(super) fn enroll(&self, place: Place) {
        // What was a member for another word of nodes is forgotten.
        let _ = self.members.update(|old| {
            let others = if State::<W>::is_of(old, place.tag) { old } else { place.tag };
            Some(others | place.blocks)
        });
    }

    /// Ends the membership of blocks that the caller owns.
    pub(super) fn dismiss(&self, place: Place) {
        let _ = self.members.update(|old| {
            let are_members = State::<W>::is_of(old, place.tag) && old & place.blocks != 0;
            are_members.then_some(old & !place.blocks)
        });
    }

    /// Makes blocks rest that do not, if the row stands for their word of nodes and nobody empties
    /// it; returns the state before.
    #[inline(always)]
    pub(super) fn lay(&self, place: Place) -> Result<usize, usize> {
        self.resting.update(|old| {
            let is_free = State::<W>::is_of(old, place.tag) && old & place.blocks == 0;
            is_free.then_some(old | place.blocks)
        })
    }

    /// Leaves the row in state `next` if nothing rests in it; else makes it busy, and what rests the
    /// caller's, who ends that by a store of `next`. Returns the state before; `Err` if it was busy.
    pub(super) fn seize(&self, next: usize) -> Result<usize, usize> {
        self.resting.update(|old| {
            let has_some = old & State::<W>::BLOCKS != 0;
            // Without their bits: as soon as the tree has the blocks, others may hold them.
            let seized = old & !State::<W>::BLOCKS | State::<W>::BUSY;
            let seized = if has_some { seized } else { next };
            (old & State::<W>::BUSY == 0).then_some(seized)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    fn check<W: Word>(most: usize) {
        for number in (0..200).chain(most - 100..most) {
            let Some(tag) = State::<W>::tag(number) else {
                panic!("{number} has no tag");
            };
            let full = tag | State::<W>::BLOCKS;
            assert_eq!(State::<W>::number(full), number);
            assert!(State::<W>::is_of(full, tag) && !State::<W>::is_of(0, tag));
            assert!(!State::<W>::is_of(full | State::<W>::BUSY, tag));
        }
        assert_eq!(State::<W>::tag(most), None);
        assert_eq!(State::<W>::tag(usize::MAX >> 4), None);
    }

    #[test]
    fn a_word_of_nodes_is_told_by_its_tag() {
        check::<Plain32>((1 << 15) - 1);
        check::<Plain>((1 << (usize::BITS / 2 - 1)) - 1);
    }
}
