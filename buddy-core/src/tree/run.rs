//! Exact sizes: allocating any number of leaves, and reading how many a block has.
//!
//! A request of `n` leaves takes a block of the next power of two and gives back the tail at once:
//! 5 of 8 leaves keeps blocks of 4 and 1 and frees 1 and 2. The kept pieces are one run (T3):
//!
//! ```text
//! order 3 |               .               |      . NONE, H HEAD, C CONT, F FREE
//! order 2 |       H       |       C       |      H: the first piece; C: the run goes on here
//! order 1 |   .   |   .   |   .   |   F   |      F: given back
//! order 0 | . | . | . | . | C | F | . | . |      C: the last piece; F: given back
//! ```

use super::block::{Block, Pieces};
use super::error::{AllocError, FreeError};
use super::node::{CONT, FREE, HEAD, NODE, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word};
use super::{Kind, Tree};
use core::cmp::Ordering::{Equal, Greater, Less};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Allocates exactly `leaves` leaves, aligned to the next power of two, and returns the first.
    ///
    /// O(orders + summary levels); when the tree is exhausted also [`Self::settle`].
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(5)?;
    /// assert_eq!(tree.used(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::ZeroSize`], [`AllocError::TooLarge`], [`AllocError::OutOfMemory`] (no free
    /// block of the next power of two); nothing has changed then.
    #[inline]
    pub fn allocate_exact(&self, leaves: usize) -> Result<usize, AllocError> {
        self.try_exact(leaves).ok_or_else(|| self.refuse_size(leaves))
    }

    /// As [`Self::allocate_exact`]; without asking why, if there is no block.
    #[inline]
    pub(crate) fn try_exact(&self, leaves: usize) -> Option<usize> {
        let order = Order::for_leaves(leaves)?;
        if leaves == order.leaves() { self.try_order(order) } else { self.try_run(leaves, order) }
    }

    /// Allocates exactly `leaves` leaves at a multiple of the larger of `align` and the next power
    /// of two. Cost as [`Self::allocate_exact`].
    ///
    /// Served from free blocks of at least the alignment's order.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_aligned(3, buddy_core::Order::new(5).unwrap())?;
    /// assert_eq!(block % 32, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::allocate_exact`], and [`AllocError::Alignment`] if `align` is above
    /// [`Self::max_order`].
    pub fn allocate_aligned(&self, leaves: usize, align: Order) -> Result<usize, AllocError> {
        let Some(order) = Order::for_leaves(leaves) else {
            return Err(self.refuse_size(leaves));
        };
        if align > self.max_order() {
            return Err(AllocError::Alignment { requested: align, served: self.max_order() });
        }
        if align <= order {
            return self.allocate_exact(leaves);
        }
        self.try_run(leaves, align).ok_or_else(|| self.refusal(leaves))
    }

    /// How many leaves the block that starts at leaf `first` has. O(orders).
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(5)?;
    /// assert_eq!(tree.leaves_of(block)?, 5);
    /// assert!(tree.leaves_of(block + 1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If no allocated block starts there.
    pub fn leaves_of(&self, first: usize) -> Result<usize, FreeError> {
        let head = self.head_at(first)?;
        self.run_leaves(head).ok_or(FreeError::Reserved { leaf: first })
    }

    fn try_run(&self, leaves: usize, order: Order) -> Option<usize> {
        let taken = self.obtain(order, NONE)?;
        self.carve(taken.block, leaves, HEAD);
        self.count_used(leaves, 1);
        Some(taken.block.first())
    }

    #[cold]
    pub(super) fn refuse_size(&self, leaves: usize) -> AllocError {
        if leaves == 0 { AllocError::ZeroSize } else { self.refusal(leaves) }
    }

    /// Allocates the first `leaves` leaves of an owned block, whose node is `NONE`, and frees the
    /// rest: one change of one word for each order below. The first piece gets the state `head`.
    pub(super) fn carve(&self, block: Block, leaves: usize, head: usize) {
        if leaves == block.order().leaves() {
            let (word, shift) = self.node(block);
            word.set(head << shift);
            return;
        }
        let (mut parent, mut left, mut piece) = (block, leaves, head);
        loop {
            let lower = parent.lower_half();
            let half = lower.order().leaves();
            match left.cmp(&half) {
                Less => {
                    self.set_halves(lower, NONE, FREE);
                    parent = lower;
                }
                Equal => {
                    self.set_halves(lower, piece, FREE);
                    return;
                }
                Greater => {
                    self.set_halves(lower, piece, CONT);
                    left -= half;
                    piece = CONT;
                    parent = lower.buddy();
                }
            }
        }
    }

    /// Marks owned leaves, whose nodes are `NONE`, as one run (T3). The head comes last: with it the
    /// run is anybody's to find, and must be whole.
    pub(super) fn mark_run(&self, first: usize, end: usize) {
        self.mark_pieces(first, end, HEAD);
    }

    fn mark_pieces(&self, first: usize, end: usize, head: usize) {
        for piece in Pieces::of(first, end).rev() {
            if piece.end() < end {
                let (word, shift) = self.node(piece.next());
                word.set(CONT << shift);
            }
            let state = if piece.first() == first { head } else { CONT };
            let (word, shift) = self.node(piece);
            word.set(state << shift);
        }
    }

    /// Makes the detached run up to `old` one up to `new`, of owned leaves, and attaches it. Pieces that
    /// both have stay as they are.
    pub(super) fn remark_run(&self, first: usize, old: usize, new: usize) {
        let both = Pieces::of(first, old).zip(Pieces::of(first, new));
        let last = both.take_while(|(old, new)| old == new).last();
        let Some((last, _)) = last else {
            self.unmark_run(first, old);
            return self.mark_run(first, new);
        };
        let at = last.end();
        self.unmark_run(at, old);
        self.mark_pieces(at, new, CONT);
        let (word, shift) = self.node(last.next());
        if at < new {
            word.set(CONT << shift);
        } else {
            word.clear(NODE << shift);
        }
        self.reattach(first, new - first);
    }

    /// Undoes [`Self::mark_run`]: the leaves are the caller's, their nodes `NONE`.
    pub(super) fn unmark_run(&self, first: usize, end: usize) {
        for piece in Pieces::of(first, end) {
            let (word, shift) = self.node(piece);
            word.clear(NODE << shift);
            if piece.end() < end {
                let (word, shift) = self.node(piece.next());
                word.clear(NODE << shift);
            }
        }
    }

    /// Whether a run goes on behind its piece.
    #[inline]
    pub(super) fn continues(&self, piece: Block) -> bool {
        let next = piece.next();
        next.first() < self.geometry.capacity && self.state(next) == CONT
    }

    /// How many leaves the run with this head has; `None` if it is a reserved block.
    pub(super) fn run_leaves(&self, head: Block) -> Option<usize> {
        let mut piece = head;
        while self.continues(piece) {
            piece = self.next_piece(piece)?;
        }
        Some(piece.end() - head.first())
    }

    /// The piece behind one that is known to be followed by another. Pieces rise in order, then
    /// fall (T3), so all searches along a run together look at O(orders) nodes.
    fn next_piece(&self, piece: Block) -> Option<Block> {
        let at = piece.end();
        let is_piece = |order: &Order| self.state(Block::containing(*order, at)) == CONT;
        let order = piece.order().get();
        if piece.is_upper() {
            let highest = at.trailing_zeros().min(self.geometry.top);
            let larger = Order::range(order + 1, highest).rev().find(is_piece);
            if let Some(order) = larger {
                return Some(Block::containing(order, at));
            }
        }
        let smaller =
            if order == 0 { None } else { Order::range(0, order - 1).rev().find(is_piece) };
        match smaller {
            Some(order) => Some(Block::containing(order, at)),
            None => piece.is_upper().then(|| piece.next()),
        }
    }

    /// The head of the block that starts at leaf `first`.
    pub(super) fn head_at(&self, first: usize) -> Result<Block, FreeError> {
        if !self.range().contains(&first) {
            return Err(FreeError::OutOfRange { leaf: first });
        }
        let highest = first.trailing_zeros().min(self.geometry.top);
        for order in Order::range(0, highest) {
            let block = Block::containing(order, first);
            match self.state(block) {
                NONE => {}
                HEAD => return Ok(block),
                _ => break,
            }
        }
        Err(self.why_no_block(first))
    }

    #[cold]
    fn why_no_block(&self, leaf: usize) -> FreeError {
        match self.extent_at(leaf) {
            None => FreeError::OutOfRange { leaf },
            Some(extent) => match extent.kind {
                Kind::Free => FreeError::AlreadyFree { leaf },
                Kind::Used => FreeError::NotStart { leaf, block: extent.first },
                Kind::Reserved => FreeError::Reserved { leaf },
            },
        }
    }
}
