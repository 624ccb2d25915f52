//! Allocating within constraints: addresses, boundaries, larger alignments.

use super::block::Block;
use super::error::AllocError;
use super::node::{HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::Storage;
use super::{Taken, Tree};
use core::ops::Range;

/// Where a block may lie, for [`Tree::allocate_within`].
///
/// ```
/// use buddy_core::{Constraints, Order};
///
/// // Below 16 MiB in 4 KiB frames, not across a multiple of 64 KiB.
/// let dma = Constraints::new().below(4096).boundary(Order::new(4).unwrap());
/// # let _ = dma;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Constraints {
    align: Order,
    range: Range<usize>,
    boundary: Option<Order>,
}

impl Default for Constraints {
    fn default() -> Self {
        Self::new()
    }
}

impl Constraints {
    /// No constraints.
    #[must_use]
    pub const fn new() -> Self {
        Self { align: Order::MIN, range: 0..usize::MAX, boundary: None }
    }

    /// The block starts at a multiple of this order's leaves.
    ///
    /// ```
    /// let page = buddy_core::Order::new(9).unwrap(); // 512 leaves
    /// let _aligned = buddy_core::Constraints::new().align(page);
    /// ```
    #[must_use]
    pub const fn align(mut self, align: Order) -> Self {
        self.align = align;
        self
    }

    /// All leaves lie inside this range.
    #[must_use]
    pub const fn range(mut self, range: Range<usize>) -> Self {
        self.range = range;
        self
    }

    /// All leaves lie below this one.
    #[must_use]
    pub const fn below(mut self, end: usize) -> Self {
        self.range.end = end;
        self
    }

    /// The block does not cross a multiple of this order's leaves.
    #[must_use]
    pub const fn boundary(mut self, boundary: Order) -> Self {
        self.boundary = Some(boundary);
        self
    }
}

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Allocates exactly `leaves` leaves that meet the constraints, at the lowest such place of
    /// the smallest order that has one, and returns the first.
    ///
    /// A whole aligned block (of the larger of the next power of two and the alignment) must be
    /// free inside the constraints' range; what of it is not asked for is given back at once.
    /// [`Self::settle`], then O(orders * summary levels).
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let low = buddy_core::Constraints::new().range(30..50).boundary(buddy_core::Order::new(3).unwrap());
    /// let block = tree.allocate_within(6, &low)?;
    /// assert!(block >= 30 && block + 6 <= 50 && block / 8 == (block + 5) / 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::ZeroSize`], [`AllocError::TooLarge`], [`AllocError::Alignment`],
    /// [`AllocError::Boundary`], [`AllocError::OutOfMemory`] if no free block meets the constraints
    /// (`largest_free` may still be larger); nothing has changed then.
    pub fn allocate_within(
        &self,
        leaves: usize,
        constraints: &Constraints,
    ) -> Result<usize, AllocError> {
        let Some(size) = Order::for_leaves(leaves) else {
            return Err(self.refuse_size(leaves));
        };
        if constraints.align > self.max_order() {
            let (requested, served) = (constraints.align, self.max_order());
            return Err(AllocError::Alignment { requested, served });
        }
        // An aligned block crosses no multiple of a power of two that is as large as itself.
        if let Some(boundary) = constraints.boundary.filter(|boundary| size > *boundary) {
            return Err(AllocError::Boundary { leaves, boundary });
        }
        let order = size.max(constraints.align);
        let attempt = || self.claim_within(order, &constraints.range).ok_or(());
        let taken = self.insist(0, attempt).map_err(|()| self.refusal(leaves))?;
        self.carve(taken.block, leaves, HEAD);
        self.count_used(leaves, 1);
        Ok(taken.block.first())
    }

    /// Makes the caller the owner of an aligned block of `order` inside `range`.
    fn claim_within(&self, order: Order, range: &Range<usize>) -> Option<Taken<'_, S>> {
        let low = range.start.max(self.geometry.first);
        let high = range.end.min(self.geometry.capacity);
        for found in self.orders().skip(order.get() as usize) {
            // The free block around `low` may reach far enough behind it; else the lowest behind.
            let mut from = low >> found.get();
            while let Some(block) = self.find(found, from) {
                let first = block.first().max(low).next_multiple_of(order.leaves());
                let fits = first + order.leaves() <= high.min(block.end());
                let transit = fits.then(|| self.transit());
                if fits && self.claim(block, NONE) {
                    self.give_back(block.first(), first);
                    self.give_back(first + order.leaves(), block.end());
                    return Some(Taken { block: Block::containing(order, first), transit });
                }
                if !fits && block.first() >= low {
                    break;
                }
                from = if fits { from } else { block.index() + 1 };
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_add_up() {
        let (align, boundary) = (Order::new(3).unwrap(), Order::new(5).unwrap());
        let all = Constraints::new().align(align).boundary(boundary).range(16..100).below(70);
        assert_eq!((all.align, all.boundary, all.range), (align, Some(boundary), 16..70));
    }
}
