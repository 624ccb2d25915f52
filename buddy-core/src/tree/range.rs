//! Given leaves: allocating at a place, reserving and releasing, moving the range's end.

use super::block::{Block, Pieces};
use super::error::{AllocError, RangeError};
use super::geometry::header;
use super::node::{CONT, FREE, HEAD, NODE, NONE};
use super::order::Order;
use super::policy::Policy;
use super::transit::Transit;
use super::word::{Storage, Word};
use super::{Kind, Tree};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Allocates the `leaves` leaves from `first` on, as one block, if all of them are free.
    /// O(orders) for each free block that they lie in.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_at(13, 10)?;
    /// assert!(tree.allocate_at(22, 1).is_err());
    /// assert_eq!(tree.free(13)?, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::ZeroSize`], [`AllocError::OutOfRange`], [`AllocError::Occupied`] with the
    /// first leaf that is not free; no leaf has changed hands then.
    pub fn allocate_at(&self, first: usize, leaves: usize) -> Result<(), AllocError> {
        if leaves == 0 {
            return Err(AllocError::ZeroSize);
        }
        let end = self.end_of(first, leaves).ok_or(AllocError::OutOfRange { first, leaves })?;
        let _transit =
            self.claim_given(first, end).map_err(|leaf| AllocError::Occupied { leaf })?;
        self.mark_run(first, end);
        self.count_used(leaves, 1);
        Ok(())
    }

    /// Allocates exactly `leaves` leaves, as one block: aligned as [`Self::allocate_exact`] does where
    /// that can be, else across free blocks side by side, at any place.
    ///
    /// Gaps are looked for around [`GAPS`](Self::GAPS) free blocks of each of the two orders that such
    /// a gap must have one of; O(orders) for each.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// assert!(tree.allocate_exact(90).is_err()); // no aligned block of 128
    /// let block = tree.allocate_anywhere(90)?;
    /// assert_eq!(tree.free(block)?, 90);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::allocate_exact`]; with many gaps, also where one would do that was not looked at.
    pub fn allocate_anywhere(&self, leaves: usize) -> Result<usize, AllocError> {
        self.try_anywhere(leaves).ok_or_else(|| self.refuse_size(leaves))
    }

    /// As [`Self::allocate_anywhere`]; without asking why, if there is no place.
    #[inline]
    pub(crate) fn try_anywhere(&self, leaves: usize) -> Option<usize> {
        let taken = self.try_exact(leaves).or_else(|| self.allocate_in_gap(leaves));
        // What was left unmerged is in no gap yet.
        taken.or_else(|| self.insist(0, || self.allocate_in_gap(leaves).ok_or(())).ok())
    }

    /// How many free blocks of an order [`Self::allocate_anywhere`] looks around.
    pub const GAPS: usize = 32;

    #[cold]
    fn allocate_in_gap(&self, leaves: usize) -> Option<usize> {
        // A gap of so many leaves has an aligned block of at least a quarter of the next power of two.
        let above = Order::for_leaves(leaves)?.get();
        let (low, high) = (above.saturating_sub(2), above.saturating_sub(1));
        for order in Order::range(low, high.min(self.geometry.top)).rev() {
            let mut from = 0;
            for _ in 0..Self::GAPS {
                let Some(block) = self.find(order, from) else { break };
                from = block.index() + 1;
                let first = self.gap_start(block);
                // A look first: what is claimed in vain is merged again.
                if self.are_free(first, leaves) {
                    let taken = self.take_gap(first, leaves);
                    if taken.is_some() {
                        return taken;
                    }
                }
            }
        }
        None
    }

    /// Whether the leaves are free now.
    fn are_free(&self, first: usize, leaves: usize) -> bool {
        let end = first.saturating_add(leaves);
        let mut at = first;
        while at < end && end <= self.end() {
            match self.free_block_containing(at) {
                Some(block) => at = block.end(),
                None => return false,
            }
        }
        at >= end
    }

    /// Where the free leaves begin that a free block is the end of.
    fn gap_start(&self, block: Block) -> usize {
        let mut first = block.first();
        // Free blocks side by side rise in order, then fall: fewer than two an order.
        while first > self.geometry.first {
            match self.free_block_containing(first - 1) {
                Some(before) => first = before.first(),
                None => break,
            }
        }
        first
    }

    /// Takes the `leaves` leaves from `first` on out of the range (a hole, firmware, a bad page) if
    /// all of them are free. O(orders) for each free block that they lie in.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.reserve(10, 3)?;
    /// assert!(tree.allocate_at(12, 1).is_err());
    /// assert_eq!(tree.free_leaves(), 97);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a leaf is not free or outside the range; no leaf has changed hands then.
    pub fn reserve(&self, first: usize, leaves: usize) -> Result<(), RangeError> {
        let end = self.checked_range(first, leaves)?;
        let _transit =
            self.claim_given(first, end).map_err(|leaf| RangeError::Occupied { leaf })?;
        self.mark_reserved(first, end);
        self.header()[header::RESERVED].add(leaves);
        Ok(())
    }

    /// Makes `leaves` reserved leaves from `first` on free. O(orders) for each block that was
    /// reserved by a call of its own.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.reserve(10, 20)?;
    /// tree.release(15, 5)?;
    /// assert!(tree.release(15, 5).is_err());
    /// assert_eq!(tree.free_leaves(), 85);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a leaf is not reserved or outside the range; nothing has changed then.
    pub fn release(&self, first: usize, leaves: usize) -> Result<(), RangeError> {
        let end = self.checked_range(first, leaves)?;
        let mut at = first;
        while at < end {
            let extent = self.extent_containing(at);
            if extent.kind != Kind::Reserved {
                return Err(RangeError::NotReserved { leaf: at });
            }
            at = extent.end();
        }
        let _transit = self.transit();
        self.release_leaves(first, end);
        self.header()[header::RESERVED].sub(leaves);
        Ok(())
    }

    /// Moves the range's end up by `leaves` leaves, which become free. O(orders).
    ///
    /// The metadata must have room: build the tree over the largest range it shall ever have, and
    /// [`Self::cut`] it to what is there at first.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.cut(40)?;
    /// tree.extend(30)?;
    /// assert!(tree.extend(30).is_err());
    /// assert_eq!(tree.range(), 0..90);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RangeError::Capacity`] beyond what the metadata can record; nothing has changed then.
    pub fn extend(&self, leaves: usize) -> Result<(), RangeError> {
        let end = self.end();
        let available = self.geometry.capacity - end;
        if leaves > available {
            return Err(RangeError::Capacity { leaves, available });
        }
        let _transit = self.transit();
        self.header()[header::END].store(end + leaves);
        self.release_leaves(end, end + leaves);
        Ok(())
    }

    /// Moves the range's end down by `leaves` leaves, all of which must be free, and at least one
    /// must stay. O(orders) for each free block among them.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_at(50, 1)?;
    /// assert!(tree.cut(60).is_err());
    /// tree.cut(49)?;
    /// assert_eq!(tree.range(), 0..51);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a leaf is not free, or none would stay; nothing has changed then.
    pub fn cut(&self, leaves: usize) -> Result<(), RangeError> {
        let (end, total) = (self.end(), self.end() - self.geometry.first);
        if leaves >= total {
            return Err(RangeError::OutOfRange { first: self.geometry.first, leaves });
        }
        let first = end - leaves;
        let _transit =
            self.claim_given(first, end).map_err(|leaf| RangeError::Occupied { leaf })?;
        self.mark_reserved(first, end);
        self.header()[header::END].store(first);
        Ok(())
    }

    /// The end of a range of leaves, if it lies in the tree's range.
    fn end_of(&self, first: usize, leaves: usize) -> Option<usize> {
        let end = first.checked_add(leaves)?;
        (first >= self.geometry.first && end <= self.end()).then_some(end)
    }

    fn checked_range(&self, first: usize, leaves: usize) -> Result<usize, RangeError> {
        if leaves == 0 {
            return Err(RangeError::ZeroSize);
        }
        self.end_of(first, leaves).ok_or(RangeError::OutOfRange { first, leaves })
    }

    /// Makes the caller the owner of free leaves that were asked for by number; on `Err`, with the
    /// first leaf that is not free nor was in anybody's hands, nothing has changed.
    fn claim_given(&self, first: usize, end: usize) -> Result<Transit<'_, S::Word>, usize> {
        let attempt = || {
            let transit = self.transit();
            self.claim_range(first, end).map(|()| transit)
        };
        attempt().or_else(|_| self.insist(1, attempt))
    }

    /// Makes the caller the owner of free leaves; on `Err`, with the first leaf that is not free,
    /// everything is given back.
    pub(super) fn claim_range(&self, first: usize, end: usize) -> Result<(), usize> {
        let mut at = first;
        while at < end {
            let block = self.free_block_from(at).or_else(|| self.free_block_containing(at));
            let Some(block) = block else {
                self.give_back(first, at);
                return Err(at);
            };
            if self.claim(block, NONE) {
                self.put_back(block.first(), first.max(block.first()));
                self.put_back(end.min(block.end()), block.end());
                at = block.end();
            }
        }
        Ok(())
    }

    /// As [`Self::give_back`], of a part of a block at its start or its end, while the rest is the
    /// caller's, so that nothing can merge.
    fn put_back(&self, first: usize, end: usize) {
        for piece in Pieces::of(first, end).rev() {
            self.set_free(piece);
            self.publish(piece.order(), piece.word_number::<S::Word>());
        }
    }

    /// Whether the leaf is free now at which an allocated block ends.
    pub(crate) fn is_free_behind(&self, end: usize) -> bool {
        self.free_block_from(end).is_some()
    }

    /// The free block that starts at a leaf. Down from the highest order: blocks that are looked for
    /// are rarely small.
    #[inline]
    pub(super) fn free_block_from(&self, first: usize) -> Option<Block> {
        if !self.range().contains(&first) {
            return None;
        }
        let highest = first.trailing_zeros().min(self.geometry.top);
        self.free_block_among(Order::range(0, highest).rev(), first)
    }

    fn free_block_containing(&self, leaf: usize) -> Option<Block> {
        self.free_block_up_to(self.geometry.top, leaf)
    }

    /// The free block of at most order `highest` that a leaf lies in.
    pub(super) fn free_block_up_to(&self, highest: u32, leaf: usize) -> Option<Block> {
        self.free_block_among(Order::range(0, highest), leaf)
    }

    /// The free block of one of the orders that a leaf lies in; they are looked at in turn, up to one that
    /// says something.
    #[inline(always)]
    fn free_block_among(&self, orders: impl Iterator<Item = Order>, leaf: usize) -> Option<Block> {
        for order in orders {
            let block = Block::containing(order, leaf);
            match self.state(block) {
                NONE => {}
                FREE => return Some(block),
                _ => return None,
            }
        }
        None
    }

    /// Marks owned leaves, whose nodes are `NONE`, as reserved (T3).
    pub(super) fn mark_reserved(&self, first: usize, end: usize) {
        for piece in Pieces::of(first, end).filter(|piece| piece.order().get() > 0) {
            self.set_halves(piece.lower_half(), HEAD, CONT);
        }
    }

    /// Frees leaves that are known to be reserved.
    fn release_leaves(&self, first: usize, end: usize) {
        let mut at = first;
        while at < end {
            let extent = self.extent_containing(at);
            if extent.leaves > 1 {
                let halves = extent.leaves.trailing_zeros() - 1;
                if let Some(order) = Order::new(halves) {
                    let (word, shift) = self.node(Block::containing(order, extent.first));
                    word.clear((NODE | NODE << 2) << shift);
                }
            }
            self.mark_reserved(extent.first, at);
            self.mark_reserved(end.min(extent.end()), extent.end());
            at = extent.end();
        }
        self.give_back(first, end);
    }
}
