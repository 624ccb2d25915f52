//! Placing blocks where little is left over: in the smallest gap of free blocks side by side.

use super::Tree;
use super::block::Block;
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
        let first = if leaves < Self::PACKED_ALIGNED {
            let (align, size) = (align.max(above.leaves()), above.leaves());
            let place = |block: Block, _: &Range<usize>| block.first().next_multiple_of(align);
            self.find_gap(size, above.get(), place, |length| length < size * Self::SMALL_GAP)
        } else {
            // A gap of so many leaves has an aligned block of at least a quarter of the next power of two.
            let low = above.get().saturating_sub(2);
            let place = |_: Block, gap: &Range<usize>| gap.start.next_multiple_of(align);
            self.find_gap(leaves, low, place, |length| length == leaves)
        };
        self.take_gap(first?, leaves)
    }

    /// Blocks of fewer leaves lie aligned to the next power of two also where they are packed.
    const PACKED_ALIGNED: usize = 8;
    /// A gap of less than so many times a small block's size is not large.
    const SMALL_GAP: usize = 8;

    /// A place for `leaves` leaves in a gap among those around the lowest free blocks of each order from
    /// `low` up: in the first whose length is good enough, else in the smallest. `place` says from which
    /// leaf on, of a free block and its gap.
    fn find_gap(
        &self,
        leaves: usize,
        low: u32,
        place: impl Fn(Block, &Range<usize>) -> usize,
        is_good: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for order in Order::range(low, self.geometry.top) {
            let mut from = 0;
            for _ in 0..Self::GAPS {
                let Some(block) = self.find(order, from) else { break };
                let gap = self.gap_around(block);
                from = (gap.end >> order.get()).max(block.index() + 1);
                let first = place(block, &gap);
                let fits = first < gap.end && gap.end - first >= leaves;
                if fits && is_good(gap.len()) {
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

    /// Allocates the leaves from `first` on; `None` if others took some of them meanwhile.
    pub(super) fn take_gap(&self, first: usize, leaves: usize) -> Option<usize> {
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
        while let Some(block) = self.free_block_before(start) {
            start = block.first();
        }
        while let Some(block) = self.free_block_from(end) {
            end = block.end();
        }
        start..end
    }

    /// The free block that ends before a leaf.
    fn free_block_before(&self, end: usize) -> Option<Block> {
        let last = end.checked_sub(1).filter(|last| self.range().contains(last))?;
        self.free_block_up_to(end.trailing_zeros().min(self.geometry.top), last)
    }
}
