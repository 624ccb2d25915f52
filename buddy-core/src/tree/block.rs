//! Blocks: an order and an index, and their kin in the tree.

use super::order::Order;
use super::word::{Word, node_shift};

/// A node of the tree: the block of `order` that covers leaves `index << order` onward.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    order: Order,
    index: usize,
}

impl Block {
    #[inline(always)]
    pub(super) const fn new(order: Order, index: usize) -> Self {
        Self { order, index }
    }

    /// The block of `order` that contains `leaf`.
    #[inline(always)]
    pub(super) const fn containing(order: Order, leaf: usize) -> Self {
        Self { order, index: leaf >> order.get() }
    }

    #[inline(always)]
    pub(super) const fn order(self) -> Order {
        self.order
    }

    #[inline(always)]
    pub(super) const fn index(self) -> usize {
        self.index
    }

    /// The first leaf.
    #[inline(always)]
    pub(super) const fn first(self) -> usize {
        self.index << self.order.get()
    }

    /// One past the last leaf.
    #[inline(always)]
    pub(super) const fn end(self) -> usize {
        (self.index + 1) << self.order.get()
    }

    /// The other half of the parent.
    #[inline(always)]
    pub(super) const fn buddy(self) -> Self {
        Self { order: self.order, index: self.index ^ 1 }
    }

    /// The block that this one is a half of.
    #[inline(always)]
    pub(super) const fn parent(self) -> Self {
        Self { order: self.order.up(), index: self.index >> 1 }
    }

    /// The lower half; its buddy is the upper half. The order must not be 0.
    #[inline(always)]
    pub(super) const fn lower_half(self) -> Self {
        Self { order: self.order.down(), index: self.index << 1 }
    }

    /// The block of the same order behind this one.
    #[inline(always)]
    pub(super) const fn next(self) -> Self {
        Self { order: self.order, index: self.index + 1 }
    }

    /// The number of the word of its order that holds the block's node.
    #[inline(always)]
    pub(super) const fn word_number<W: Word>(self) -> usize {
        self.index >> node_shift::<W>()
    }

    /// Where in that word the node lies.
    #[inline(always)]
    pub(super) const fn shift<W: Word>(self) -> u32 {
        (self.index & ((1 << node_shift::<W>()) - 1)) as u32 * 2
    }

    /// Whether this is its parent's upper half.
    #[inline(always)]
    pub(super) const fn is_upper(self) -> bool {
        self.index & 1 == 1
    }
}

/// The fewest aligned blocks that cover `first..end`, in address order (from the back, too).
///
/// Their orders rise, then fall, so there are fewer than two per order.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    first: usize,
    end: usize,
}

impl Pieces {
    #[inline(always)]
    pub(super) const fn of(first: usize, end: usize) -> Self {
        Self { first, end }
    }
}

impl Iterator for Pieces {
    type Item = Block;

    #[inline]
    fn next(&mut self) -> Option<Block> {
        if self.first >= self.end {
            return None;
        }
        let block = Block::containing(Order::largest_at_start(self.first, self.end), self.first);
        self.first = block.end();
        Some(block)
    }
}

impl DoubleEndedIterator for Pieces {
    #[inline]
    fn next_back(&mut self) -> Option<Block> {
        if self.first >= self.end {
            return None;
        }
        let block = Block::containing(Order::largest_at_end(self.first, self.end), self.end - 1);
        self.end = block.first();
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn pieces_are_the_same_from_both_ends_and_cover_the_range() {
        for first in 0..40 {
            for end in first..80 {
                let forward: Vec<_> = Pieces::of(first, end).collect();
                let mut backward: Vec<_> = Pieces::of(first, end).rev().collect();
                backward.reverse();
                assert_eq!(forward, backward);
                let mut at = first;
                for piece in forward {
                    assert_eq!(piece.first(), at);
                    at = piece.end();
                }
                assert_eq!(at, end);
            }
        }
    }

    #[test]
    fn buddies_are_halves_of_one_block() {
        let block = Block::containing(Order::new(2).unwrap(), 13);
        assert_eq!((block.index(), block.first(), block.end()), (3, 12, 16));
        assert_eq!(block.buddy().index(), 2);
        assert_eq!(Block::containing(Order::new(3).unwrap(), 8).lower_half(), block.buddy());
    }
}
