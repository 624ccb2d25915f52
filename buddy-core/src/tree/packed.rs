//! Placing blocks where little is left over: in the smallest gap of free blocks side by side.

use super::Tree;
use super::block::Block;
use super::node::{FREE, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::Storage;
use core::ops::Range;

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Allocates exactly `leaves` leaves, as one block, at a multiple of `align`, a power of two, where
    /// little is left over: in the smallest gap that was found.
    ///
    /// Small blocks lie aligned to the next power of two, in a gap that is not large: so what is left
    /// over is of use for others, and what they leave merges. [`GAPS`](Self::GAPS) free blocks of each
    /// order are looked around, O(orders) for each.
    #[inline(never)]
    pub(crate) fn try_packed(&self, leaves: usize, align: usize) -> Option<usize> {
        let above = Order::for_leaves(leaves)?;
        // What is free in active words is found then, and merged.
        self.settle();
        if leaves < Self::PACKED_ALIGNED {
            let align = align.max(above.leaves());
            return self.take_gap(self.find_small_gap(above, align)?, leaves);
        }
        // A gap of so many leaves has an aligned block of at least a quarter of the next power of two.
        let low = above.get().saturating_sub(2);
        self.take_gap(self.find_gap(leaves, align, low)?, leaves)
    }

    /// Blocks of fewer leaves lie aligned to the next power of two also where they are packed.
    const PACKED_ALIGNED: usize = 8;
    /// A gap of less than so many times a small block's size is not large.
    const SMALL_GAP: usize = 8;

    /// The place for a block in the smallest gap of those around the lowest free blocks of
    /// each order from `low` up.
    fn find_gap(&self, leaves: usize, align: usize, low: u32) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for order in Order::range(low, self.geometry.top) {
            let mut from = 0;
            for _ in 0..Self::GAPS {
                let Some(block) = self.find(order, from) else { break };
                let gap = self.gap_around(block);
                from = (gap.end >> order.get()).max(block.index() + 1);
                let first = gap.start.next_multiple_of(align);
                let fits = first < gap.end && gap.end - first >= leaves;
                if fits && gap.len() == leaves {
                    return Some(first);
                }
                if fits && best.is_none_or(|(length, _)| gap.len() < length) {
                    best = Some((gap.len(), first));
                }
            }
            // With a block of the next order a gap is no smaller.
            if best.is_some_and(|(length, _)| length <= 2 * order.leaves()) {
                break;
            }
        }
        Some(best?.1)
    }

    /// The lowest place for a block of `order` in a gap that is not large, of the smallest order that has
    /// one; else in the smallest gap of those that were looked at.
    fn find_small_gap(&self, order: Order, align: usize) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for found in Order::range(order.get(), self.geometry.top) {
            let mut from = 0;
            for _ in 0..Self::GAPS {
                let Some(block) = self.find(found, from) else { break };
                let gap = self.gap_around(block);
                from = (gap.end >> found.get()).max(block.index() + 1);
                let first = block.first().next_multiple_of(align);
                let fits = first < gap.end && gap.end - first >= order.leaves();
                if fits && gap.len() < order.leaves() * Self::SMALL_GAP {
                    return Some(first);
                }
                if fits && best.is_none_or(|(length, _)| gap.len() < length) {
                    best = Some((gap.len(), first));
                }
            }
            if best.is_some_and(|(length, _)| length <= 2 * found.leaves()) {
                break;
            }
        }
        Some(best?.1)
    }

    /// Allocates the leaves from `first` on; `None` if others took some of them meanwhile.
    fn take_gap(&self, first: usize, leaves: usize) -> Option<usize> {
        let _transit = self.transit();
        self.claim_range(first, first + leaves).ok()?;
        self.mark_run(first, first + leaves);
        self.count_used(leaves, 1);
        Some(first)
    }

    /// The free leaves side by side that a free block is among.
    fn gap_around(&self, block: Block) -> Range<usize> {
        let Range { mut start, mut end } = block.first()..block.end();
        // Free blocks side by side rise in order, then fall: fewer than two an order.
        let before = |start: usize| self.free_block_beside(start.checked_sub(1)?, start);
        while let Some(block) = before(start) {
            start = block.first();
        }
        while let Some(block) = self.free_block_beside(end, end) {
            end = block.end();
        }
        start..end
    }

    /// The free block that a leaf lies in, if an edge of it is at leaf `edge`.
    pub(super) fn free_block_beside(&self, leaf: usize, edge: usize) -> Option<Block> {
        if !self.range().contains(&leaf) {
            return None;
        }
        let highest = edge.trailing_zeros().min(self.geometry.top);
        for order in Order::range(0, highest) {
            let block = Block::containing(order, leaf);
            match self.state(block) {
                NONE => {}
                FREE => return Some(block),
                _ => return None,
            }
        }
        None
    }
}
