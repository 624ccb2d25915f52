//! Requests for more alignment than a leaf has.

use super::Heap;
use super::region::Region;
use crate::tree::{Order, Policy, Storage, Tree};
use core::sync::atomic::Ordering::Relaxed;

/// How many aligned places are tried one by one where no free block is large enough to be aligned
/// by nature. Bounds the cost of a request that cannot be served.
const PLACES: usize = 32;

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// Allocates `leaves` leaves at an address that is a multiple of `align`, a power of two above
    /// `MIN_BLOCK`.
    ///
    /// Numbers that are aligned by nature come first; where addresses follow the numbers only up to
    /// a smaller alignment, or no free block is as large as the alignment, the first [`PLACES`]
    /// aligned addresses; then, cut from it, a block so large that it contains an aligned one.
    #[inline]
    pub(super) fn allocate_aligned(
        &self,
        tree: &Tree<S, P>,
        leaves: usize,
        align: usize,
    ) -> Option<usize> {
        if align <= self.natural.load(Relaxed) {
            let order = Order::for_leaves(align / MIN_BLOCK)?;
            if let Ok(first) = tree.allocate_aligned(leaves, order) {
                return Some(first);
            }
        }
        self.allocate_at_aligned_place(tree, leaves, align)
            .or_else(|| self.cut_from_larger(tree, leaves, align))
    }

    #[cold]
    fn allocate_at_aligned_place(
        &self,
        tree: &Tree<S, P>,
        leaves: usize,
        align: usize,
    ) -> Option<usize> {
        let places =
            self.regions.iter().flat_map(|region| region.aligned_leaves(align, leaves, MIN_BLOCK));
        places.take(PLACES).find(|first| tree.allocate_at(*first, leaves).is_ok())
    }

    #[cold]
    fn cut_from_larger(&self, tree: &Tree<S, P>, leaves: usize, align: usize) -> Option<usize> {
        // Any address has a multiple of `align` less than `align` bytes behind it.
        let slack = align / MIN_BLOCK - 1;
        let start = tree.allocate_exact(leaves.checked_add(slack)?).ok()?;
        let before = self.regions.pointer_to(start)?.addr().get().wrapping_neg() & (align - 1);
        let first = start + before / MIN_BLOCK;
        let end = first + leaves;
        // The parts lie inside a block that was just allocated, so they can be freed.
        let _ = tree.free_part(end, start + leaves + slack - end);
        let _ = tree.free_part(start, first - start);
        Some(first)
    }

    /// The largest alignment at which an empty heap has room for `leaves` leaves.
    pub(super) fn served_alignment(&self, leaves: usize) -> usize {
        let has_place = |align: &usize| {
            let places = |region: &Region| region.aligned_leaves(*align, leaves, MIN_BLOCK).next();
            self.regions.iter().any(|region| places(&region).is_some())
        };
        let alignments = (0..usize::BITS).rev().map(|shift| 1 << shift);
        alignments.take_while(|align| *align >= MIN_BLOCK).find(has_place).unwrap_or(MIN_BLOCK)
    }
}
