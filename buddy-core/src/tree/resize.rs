//! Changing an allocated block in place: growing, shrinking, freeing a part.

use super::block::Block;
use super::error::{FreeError, GrowError};
use super::geometry::header;
use super::node::HEAD;
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word};
use super::{Extent, Kind, Tree};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Grows the block of `old` leaves at leaf `first` to `new` leaves, into free leaves behind it,
    /// wherever these lie in the tree. O(orders) for each free block that it grows into.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(5)?;
    /// tree.grow(block, 5, 30)?;
    /// assert_eq!(tree.leaves_of(block)?, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such block, or a leaf behind it is not free; the block is unchanged then.
    pub fn grow(&self, first: usize, old: usize, new: usize) -> Result<(), GrowError> {
        self.sized_head(first, old)?;
        if new <= old {
            return if new == old { Ok(()) } else { Err(GrowError::Smaller { old, new }) };
        }
        self.grow_detached(first, old, new)
    }

    /// As [`Self::grow`], of a block that may be detached and is attached then, to a larger size.
    pub(crate) fn grow_detached(
        &self,
        first: usize,
        old: usize,
        new: usize,
    ) -> Result<(), GrowError> {
        let end = first.saturating_add(new);
        if end > self.end() {
            return Err(GrowError::OutOfRange { end });
        }
        let _transit = self.transit();
        self.claim_range(first + old, end).map_err(|leaf| GrowError::Occupied { leaf })?;
        self.remark_run(first, first + old, end);
        self.count_used(new - old, 0);
        Ok(())
    }

    /// Shrinks the block of `old` leaves at leaf `first` to its first `new` leaves. O(orders).
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(30)?;
    /// tree.shrink(block, 30, 7)?;
    /// assert_eq!(tree.used(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such block, or `new` is 0 or above `old`; the block is unchanged then.
    pub fn shrink(&self, first: usize, old: usize, new: usize) -> Result<(), FreeError> {
        self.sized_head(first, old)?;
        if new == 0 {
            return Err(FreeError::ZeroSize);
        }
        if new > old {
            return Err(FreeError::WrongSize { leaf: first, given: new, actual: old });
        }
        if new < old {
            self.shrink_detached(first, old, new);
        }
        Ok(())
    }

    /// As [`Self::shrink`], of a block that may be detached and is attached then, to a smaller size
    /// above 0.
    pub(crate) fn shrink_detached(&self, first: usize, old: usize, new: usize) {
        let _transit = self.transit();
        let end = first + old;
        self.remark_run(first, end, first + new);
        self.give_back(first + new, end);
        self.header()[header::USED].sub(old - new);
    }

    /// Frees `leaves` leaves from `first` on, all inside one allocated block. What is left of the
    /// block before and behind them stays allocated, each as a block of its own. O(orders), and
    /// [`Self::extent_at`].
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(8)?;
    /// tree.free_part(block + 2, 3)?;
    /// assert_eq!((tree.leaves_of(block)?, tree.leaves_of(block + 5)?), (2, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the leaves are not all inside one allocated block; nothing has changed then.
    pub fn free_part(&self, first: usize, leaves: usize) -> Result<(), FreeError> {
        if leaves == 0 {
            return Err(FreeError::ZeroSize);
        }
        let extent = self.extent_at(first).ok_or(FreeError::OutOfRange { leaf: first })?;
        match extent.kind {
            Kind::Free => return Err(FreeError::AlreadyFree { leaf: first }),
            Kind::Reserved => return Err(FreeError::Reserved { leaf: first }),
            Kind::Used => {}
        }
        let actual = extent.end() - first;
        if leaves > actual {
            return Err(FreeError::WrongSize { leaf: first, given: leaves, actual });
        }
        if leaves == extent.leaves {
            return self.free_sized(first, leaves);
        }
        if !self.detach(extent.first, extent.leaves) {
            return Err(FreeError::AlreadyFree { leaf: first });
        }
        self.free_part_detached(&extent, first, leaves);
        Ok(())
    }

    /// As [`Self::free_part`], of a block that is detached; what is left of it is attached then.
    pub(crate) fn free_part_detached(&self, block: &Extent, first: usize, leaves: usize) {
        let _transit = self.transit();
        let end = first + leaves;
        self.unmark_run(block.first, block.end());
        self.header()[header::USED].sub(leaves);
        if block.first < first && end < block.end() {
            self.header()[header::BLOCKS].add(1);
        }
        self.mark_run(block.first, first);
        self.mark_run(end, block.end());
        self.give_back(first, end);
    }

    /// The head of the block of exactly `leaves` leaves at leaf `first`.
    pub(super) fn sized_head(&self, first: usize, leaves: usize) -> Result<Block, FreeError> {
        if leaves > 0 && self.holds(first, leaves) {
            let order = Order::largest_at_start(first, first + leaves);
            if order.get() <= self.geometry.top {
                let head = Block::containing(order, first);
                if self.state(head) == HEAD && self.run_leaves(head) == Some(leaves) {
                    return Ok(head);
                }
            }
        }
        Err(self.why_not_sized(first, leaves))
    }

    #[cold]
    pub(super) fn why_not_sized(&self, first: usize, given: usize) -> FreeError {
        match self.leaves_of(first) {
            Ok(actual) => FreeError::WrongSize { leaf: first, given, actual },
            Err(error) => error,
        }
    }
}
