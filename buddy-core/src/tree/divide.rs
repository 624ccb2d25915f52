//! Dividing an allocated block into blocks that are freed one by one.

use super::Tree;
use super::error::FreeError;
use super::geometry::header;
use super::policy::Policy;
use super::word::{Storage, Word};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Divides the block of `leaves` leaves at leaf `first` into allocated blocks of `each` leaves, the
    /// last of what is left, and returns how many they are. Each is freed by itself, by any thread.
    /// O(orders), and O(orders of `each`) for every block.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(10)?;
    /// assert_eq!(tree.divide(block, 10, 4)?, 3);
    /// tree.free_sized(block + 4, 4)?;
    /// tree.free_sized(block + 8, 2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such block, or `each` is 0; nothing has changed then.
    pub fn divide(&self, first: usize, leaves: usize, each: usize) -> Result<usize, FreeError> {
        if each == 0 {
            return Err(FreeError::ZeroSize);
        }
        if !self.detach(first, leaves) {
            return Err(self.why_not_sized(first, leaves));
        }
        Ok(self.divide_detached(first, leaves, each))
    }

    /// As [`Self::divide`], of a block that is detached, into blocks of at least one leaf.
    pub(crate) fn divide_detached(&self, first: usize, leaves: usize, each: usize) -> usize {
        let end = first + leaves;
        self.unmark_run(first, end);
        // What is marked is another's to free at once.
        self.header()[header::BLOCKS].add(leaves.div_ceil(each) - 1);
        for at in (first..end).step_by(each) {
            self.mark_run(at, end.min(at.saturating_add(each)));
        }
        leaves.div_ceil(each)
    }
}
