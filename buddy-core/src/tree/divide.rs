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
        self.sized_head(first, leaves)?;
        if each == 0 {
            return Err(FreeError::ZeroSize);
        }
        let (end, count) = (first + leaves, leaves.div_ceil(each));
        if count > 1 {
            self.unmark_run(first, end);
            for at in (first..end).step_by(each) {
                self.mark_run(at, end.min(at.saturating_add(each)));
            }
            self.header()[header::BLOCKS].add(count - 1);
        }
        Ok(count)
    }
}
