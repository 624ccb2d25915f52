//! Freeing, in whole and in part, checked.

use super::Frames;
use super::address::Frame;
use super::error::{FreeError, FreeManyError};
use crate::tree::{self, Order, Policy, Word};

/// Freeing.
impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    /// Frees a block of one frame.
    ///
    /// # Errors
    /// If no allocated block of one frame starts there; nothing has changed then.
    #[inline]
    pub fn free_one(&self, frame: Frame<FRAME_SIZE>) -> Result<(), FreeError> {
        self.free_sized(frame, 1)
    }

    /// Frees the block that starts at a frame, and returns how many frames it had.
    ///
    /// # Errors
    /// If no allocated block starts there; nothing has changed then.
    pub fn free(&self, first: Frame<FRAME_SIZE>) -> Result<usize, FreeError> {
        self.managed_pool(first)?.give_all(first.number()).map_err(Self::free_error)
    }

    /// Frees the block of `count` frames that starts at a frame.
    ///
    /// # Errors
    /// If no allocated block of exactly that size starts there; nothing has changed then.
    #[inline]
    pub fn free_sized(&self, first: Frame<FRAME_SIZE>, count: usize) -> Result<(), FreeError> {
        let number = first.number();
        // Behind the range nothing is in a slab.
        let pool = self.highest_pool().filter(|pool| pool.tree().holds(number, 1));
        if pool.is_some_and(|pool| pool.give_plain(number, count)) {
            return Ok(());
        }
        self.free_other(first, count)
    }

    /// As [`Self::free_sized`], wherever the block is.
    #[inline(never)]
    fn free_other(&self, first: Frame<FRAME_SIZE>, count: usize) -> Result<(), FreeError> {
        self.managed_pool(first)?.give(first.number(), count).map_err(Self::free_error)
    }

    /// Frees `count` frames of an allocated block. What is left of it before and behind them stays
    /// allocated, each part as a block of its own. Only the block's holder may do this.
    ///
    /// # Errors
    /// If the frames are not all inside one allocated block; nothing has changed then.
    pub fn free_part(&self, first: Frame<FRAME_SIZE>, count: usize) -> Result<(), FreeError> {
        self.managed_pool(first)?.give_part(first.number(), count).map_err(Self::free_error)
    }

    /// Frees blocks of `2^order` frames each, in turn. O(orders + summary levels) for each.
    ///
    /// # Errors
    /// At the first that is refused; those before it are free then, those behind it are not.
    pub fn free_many(
        &self,
        order: Order,
        blocks: &[Frame<FRAME_SIZE>],
    ) -> Result<(), FreeManyError> {
        for (freed, first) in blocks.iter().enumerate() {
            self.free_sized(*first, order.leaves())
                .map_err(|error| FreeManyError { freed, error })?;
        }
        Ok(())
    }

    /// Splits the block of `count` frames at `first` into blocks of `each` frames, the last of what is
    /// left, and returns how many they are. Each is freed by itself, by whoever has it.
    /// O(orders of `each`) for every block.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Order, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let huge = frames.allocate(Order::new(9).unwrap())?;
    /// assert_eq!(frames.split(huge, 512, 1)?, 512); // a huge page becomes pages
    /// frames.free_one(huge.saturating_add(77))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such block, or `each` is 0; nothing has changed then.
    pub fn split(
        &self,
        first: Frame<FRAME_SIZE>,
        count: usize,
        each: usize,
    ) -> Result<usize, FreeError> {
        self.managed_pool(first)?.divide(first.number(), count, each).map_err(Self::free_error)
    }

    #[cold]
    fn free_error(error: tree::FreeError) -> FreeError {
        use tree::FreeError as Tree;
        let address = Self::address;
        match error {
            Tree::OutOfRange { leaf } => FreeError::NotManaged { address: address(leaf) },
            Tree::NotStart { leaf, block } => {
                FreeError::NotStart { address: address(leaf), block: address(block) }
            }
            Tree::AlreadyFree { leaf } => FreeError::AlreadyFree { address: address(leaf) },
            Tree::Reserved { leaf } => FreeError::Reserved { address: address(leaf) },
            Tree::WrongSize { leaf, given, actual } => {
                FreeError::WrongSize { address: address(leaf), given, actual }
            }
            Tree::ZeroSize => FreeError::ZeroSize,
        }
    }
}
