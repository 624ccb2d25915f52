//! Raw memory that is to become a region, and the numbers it gets.

use core::ptr::NonNull;

/// Blocks up to this alignment are aligned by address wherever the region starts, if it is that
/// long. Larger alignments the numbering follows only as far as the region's start has them.
pub(super) const PAGE: usize = 4096;

/// How far it is from an address up to the next multiple of a power of two.
pub(super) const fn distance_to_multiple(address: usize, align: usize) -> usize {
    address.wrapping_neg() & (align - 1)
}

/// Raw memory cut to whole blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// A multiple of the minimum block.
    pub(super) base: NonNull<u8>,
    /// How many bytes there are from `base` on.
    pub(super) bytes: usize,
}

impl Span {
    /// Rounds the start of `bytes` bytes at `start` up to a multiple of `min_block`; `None` if no
    /// block is left.
    ///
    /// # Safety
    /// `start` points to at least `bytes` bytes of one allocation.
    pub(super) unsafe fn new(start: NonNull<u8>, bytes: usize, min_block: usize) -> Option<Self> {
        let skipped = distance_to_multiple(start.addr().get(), min_block);
        if bytes < min_block || bytes - min_block < skipped {
            return None;
        }
        // SAFETY: `skipped` is less than `bytes`, all of which are of one allocation.
        let base = unsafe { start.add(skipped) };
        Some(Self { base, bytes: bytes - skipped })
    }

    pub(super) const fn leaves(&self, min_block: usize) -> usize {
        self.bytes / min_block
    }

    /// The number for the span's first leaf: at least `from`, and so that all its leaves have
    /// numbers below `capacity`; `None` if there is no room.
    ///
    /// Two things are wanted. Numbers shall be congruent to addresses modulo [`PAGE`], so that the
    /// tree's natural alignment is alignment by address. And the span's first page boundary shall
    /// have a number that is a multiple of a large power of two, so that large blocks fit. Where
    /// the numbers left are few, large blocks are given up first, then alignment.
    pub(super) fn first_leaf(
        &self,
        min_block: usize,
        from: usize,
        capacity: usize,
    ) -> Option<usize> {
        let leaves = self.leaves(min_block);
        let largest = leaves.ilog2();
        let page = (PAGE / min_block).max(1).ilog2();
        (0..=largest).rev().find_map(|order| {
            let align = min_block << order.min(page);
            let head = distance_to_multiple(self.base.addr().get(), align) / min_block;
            let boundary = from.checked_add(head)?.checked_next_multiple_of(1 << order)?;
            let first = boundary - head;
            (first <= capacity && capacity - first >= leaves).then_some(first)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    /// A span for arithmetic only.
    fn span(address: usize, bytes: usize) -> Span {
        let base = NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        Span { base, bytes }
    }

    fn natural_alignment(span: Span, min_block: usize, first: usize) -> usize {
        let origin = span.base.addr().get().wrapping_sub(first * min_block);
        if origin == 0 { usize::MAX } else { 1 << origin.trailing_zeros() }
    }

    #[test]
    fn a_region_on_a_page_boundary_starts_with_number_0() {
        for bytes in [4096, 5000, 1 << 20, 3 << 20] {
            assert_eq!(span(0x7000, bytes).first_leaf(16, 0, usize::MAX), Some(0));
        }
    }

    #[test]
    fn numbers_follow_addresses_up_to_a_page() {
        for min_block in [8, 16, 64, 4096, 65536] {
            for blocks in [1, 2, 3, 5, 100, 1000] {
                for at in 1..300 {
                    let span = span(at * min_block, blocks * min_block);
                    let first = span.first_leaf(min_block, 0, usize::MAX).unwrap();
                    let wanted = (1 << span.bytes.ilog2()).min(PAGE).max(min_block);
                    assert!(natural_alignment(span, min_block, first) >= wanted);
                }
            }
        }
    }

    #[test]
    fn the_first_page_boundary_has_a_number_that_starts_large_blocks() {
        let first = span(0x1010, (1 << 20) + 4096).first_leaf(16, 0, usize::MAX);
        assert_eq!(first, Some((1 << 16) - (4096 - 16) / 16));
    }

    #[test]
    fn where_numbers_are_few_a_region_still_fits() {
        let span = span(0x1010, 1000 * 16);
        for from in [0, 1, 7, 300] {
            for spare in 0..5000 {
                let first = span.first_leaf(16, from, from + 1000 + spare).unwrap();
                assert!(first >= from && first + 1000 <= from + 1000 + spare);
            }
            assert_eq!(span.first_leaf(16, from, from + 999), None);
        }
        assert_eq!(span.first_leaf(16, usize::MAX - 1, usize::MAX), None);
    }
}
