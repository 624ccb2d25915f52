//! A row: one word, which says which group of nodes the row stands for, and of each of its blocks
//! whether it is a member, and whether it rests.
//!
//! ```text
//! | BUSY: 1 bit | MARKED: 1 bit | tag: the rest of the half | MEMBERS: a quarter | RESTING: a quarter |
//! ```

use crate::tree::{Word, group_shift};
use core::marker::PhantomData;

/// What the word of a row says.
pub(super) struct State<W>(PhantomData<W>);

impl<W: Word> State<W> {
    /// How many nodes a group has.
    pub(super) const NODES: u32 = 1 << group_shift::<W>();
    /// The bits of blocks that rest.
    pub(super) const RESTING: usize = (1 << Self::NODES) - 1;
    /// The bits of blocks that are members.
    #[cfg(test)]
    pub(super) const MEMBERS: usize = Self::RESTING << Self::NODES;
    /// Whoever sets this bit changes the row step by step; until then others may end memberships.
    pub(super) const BUSY: usize = 1 << (W::BITS - 1);
    /// The row's mark is set. Without it, whoever lays a block here has to set the mark.
    pub(super) const MARKED: usize = 1 << (W::BITS - 2);
    const TAG_SHIFT: u32 = 2 * Self::NODES;
    const TAGS: usize = ((Self::BUSY - 1) & !Self::MARKED) >> Self::TAG_SHIFT << Self::TAG_SHIFT;
    /// Numbers of groups that have a tag are smaller.
    pub(super) const NUMBERS: usize = (Self::TAGS >> Self::TAG_SHIFT) + 1;

    /// The tag of a group, in its place. A row of zeros has the tag of group 0, of which it has nothing.
    #[inline(always)]
    pub(super) const fn tag(number: usize) -> usize {
        number << Self::TAG_SHIFT
    }

    /// The number of the group that a row in this state stands for.
    #[inline(always)]
    pub(super) const fn number(state: usize) -> usize {
        (state & Self::TAGS) >> Self::TAG_SHIFT
    }

    /// Whether the state is of that tag.
    #[inline(always)]
    pub(super) const fn is_of(state: usize, tag: usize) -> bool {
        (state ^ tag) & Self::TAGS == 0
    }
}

/// Blocks of a group: its tag, and a bit a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) tag: usize,
    pub(super) blocks: usize,
}

impl Place {
    /// Whether a state says of any of the blocks that it rests.
    #[inline(always)]
    pub(super) fn rests<W: Word>(self, state: usize) -> bool {
        state & self.blocks != 0 && State::<W>::is_of(state, self.tag)
    }

    /// Whether a state says of any of the blocks that it is a member.
    #[inline(always)]
    pub(super) fn is_member<W: Word>(self, state: usize) -> bool {
        state & self.members::<W>() != 0 && State::<W>::is_of(state, self.tag)
    }

    /// The bits of the blocks as members.
    #[inline(always)]
    pub(super) const fn members<W: Word>(self) -> usize {
        self.blocks << State::<W>::NODES
    }

    /// A state in which these blocks are members, and those of `resting` rest, but which is not to be
    /// believed yet.
    #[inline(always)]
    pub(super) const fn stocked<W: Word>(self, resting: usize) -> usize {
        State::<W>::BUSY | self.tag | self.members::<W>() | resting
    }
}

/// Takes the lowest block that rests; returns the state before.
#[inline(always)]
pub(super) fn take<W: Word>(row: &W) -> Result<usize, usize> {
    row.update(|old| {
        // One comparison: not busy, and something rests.
        let relevant = old & (State::<W>::BUSY | State::<W>::RESTING);
        let is_ready = relevant.wrapping_sub(1) < State::<W>::RESTING;
        is_ready.then_some(old & old.wrapping_sub(1))
    })
}

/// Lays a member that does not rest to rest; returns the state before.
#[inline(always)]
pub(super) fn lay<W: Word>(row: &W, place: Place) -> Result<usize, usize> {
    let member = place.members::<W>();
    // One comparison: the tag, not busy, a member, not at rest.
    let relevant = State::<W>::BUSY | State::<W>::TAGS | member | place.blocks;
    row.update(|old| ((old ^ (place.tag | member)) & relevant == 0).then_some(old | place.blocks))
}

/// Ends the membership of a block that the caller has detached from the tree; `false` if it rests.
pub(super) fn dismiss<W: Word>(row: &W, place: Place) -> bool {
    let dismissed = row.update(|old| {
        let is_held = place.is_member::<W>(old) && !place.rests::<W>(old);
        is_held.then_some(old & !place.members::<W>())
    });
    dismissed.map_or_else(|old| !place.rests::<W>(old), |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    fn check<W: Word>(most: usize) {
        assert_eq!(State::<W>::NUMBERS, most);
        for number in (0..200).chain(most - 100..most) {
            let tag = State::<W>::tag(number);
            let full = tag | State::<W>::MEMBERS | State::<W>::RESTING;
            for state in [full, full | State::<W>::BUSY, full | State::<W>::MARKED] {
                assert_eq!(State::<W>::number(state), number);
                assert!(State::<W>::is_of(state, tag));
                assert!(!State::<W>::is_of(state, State::<W>::tag(number ^ 1)));
            }
        }
    }

    #[test]
    fn a_group_is_told_by_its_tag() {
        check::<Plain32>(1 << 14);
        check::<Plain>(1 << (usize::BITS / 2 - 2));
    }

    /// Whatever a row says, one bit decides what a call does to a block of it.
    #[test]
    fn only_what_is_held_is_laid_to_rest_and_only_what_rests_is_taken() {
        let tag = State::<Plain32>::tag(5);
        let place = Place { tag, blocks: 0b100 };
        let (member, busy) = (place.members::<Plain32>(), State::<Plain32>::BUSY);
        let row = Plain32::zero();
        for (state, laid, taken, dismissed) in [
            (0, None, None, true),
            (tag, None, None, true),
            (tag | member, Some(tag | member | 0b100), None, true),
            (tag | member | 0b1, Some(tag | member | 0b101), Some(tag | member), true),
            (tag | member | 0b111, None, Some(tag | member | 0b110), false),
            (tag | busy | member, None, None, true),
            (tag | busy | member | 0b100, None, None, false),
            (State::<Plain32>::tag(4) | member, None, None, true),
        ] {
            row.store(state);
            assert_eq!(lay(&row, place).is_ok(), laid.is_some(), "{state:x}");
            assert_eq!(row.load(), laid.unwrap_or(state));
            row.store(state);
            assert_eq!(take(&row).is_ok(), taken.is_some(), "{state:x}");
            assert_eq!(row.load(), taken.unwrap_or(state));
            row.store(state);
            assert_eq!(dismiss(&row, place), dismissed, "{state:x}");
            let ends = dismissed && State::<Plain32>::is_of(state, tag);
            assert_eq!(row.load(), if ends { state & !member } else { state });
        }
    }
}
