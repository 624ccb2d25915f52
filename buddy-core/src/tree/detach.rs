//! Detaching an allocated block from the tree, to free it, to change it or to attach it again.
//!
//! Whoever changes the `HEAD` of a block to `NONE` has *detached* it: of several callers that want to
//! free, resize or keep one block, one succeeds. In the counters a detached block is allocated.

use super::Tree;
use super::block::Block;
use super::error::FreeError;
use super::node::{self, CONT, HEAD, NODE, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Whether an allocated block of exactly `leaves` leaves starts at leaf `first`.
    #[inline]
    pub(crate) fn has_block(&self, first: usize, leaves: usize) -> bool {
        let head = self.head_of(first, leaves);
        head.is_some_and(|head| self.state(head) == HEAD && self.goes_on_to(head, leaves))
    }

    /// Detaches the allocated block of exactly `leaves` leaves at leaf `first`, if there is one; says
    /// whether there was.
    pub(crate) fn detach(&self, first: usize, leaves: usize) -> bool {
        let Some(head) = self.head_of(first, leaves) else { return false };
        if self.state(head) != HEAD || !self.goes_on_to(head, leaves) {
            return false;
        }
        let (word, shift) = self.node(head);
        let taken = word.update(|old| {
            (node::state::<S::Word>(old, shift) == HEAD)
                .then_some(node::with_state(old, shift, NONE))
        });
        if taken.is_err() {
            return false;
        }
        // Since the look at what is behind the head others may have freed it, and allocated another.
        if <S::Word as Word>::SHARED && !self.goes_on_to(head, leaves) {
            word.set(HEAD << shift);
            return false;
        }
        true
    }

    /// As [`Self::detach`], of a block that was found there: for one thread it still is.
    #[inline]
    pub(crate) fn detach_found(&self, first: usize, leaves: usize) -> bool {
        if <S::Word as Word>::SHARED {
            return self.detach(first, leaves);
        }
        let Some(head) = self.head_of(first, leaves) else { return false };
        let (word, shift) = self.node(head);
        word.clear(NODE << shift);
        true
    }

    /// Undoes [`Self::detach`].
    pub(crate) fn reattach(&self, first: usize, leaves: usize) {
        if let Some(head) = self.head_of(first, leaves) {
            let (word, shift) = self.node(head);
            word.set(HEAD << shift);
        }
    }

    /// Frees a detached block.
    pub(crate) fn free_detached(&self, first: usize, leaves: usize) {
        let _transit = self.transit();
        match Order::for_leaves(leaves) {
            Some(order) if first.trailing_zeros() >= order.get() => {
                if leaves == order.leaves() {
                    self.insert_active(Block::containing(order, first));
                } else {
                    self.free_cut(first, leaves, order);
                }
            }
            _ => {
                self.unmark_run(first, first + leaves);
                self.give_back(first, first + leaves);
            }
        }
        self.count_freed(leaves, 1);
    }

    /// Frees a block of `leaves` leaves that need not be one piece.
    #[inline(never)]
    pub(super) fn free_sized_run(&self, first: usize, leaves: usize) -> Result<(), FreeError> {
        if self.detach(first, leaves) {
            self.free_detached(first, leaves);
            return Ok(());
        }
        Err(self.why_not_sized(first, leaves))
    }

    /// The block that is the first piece of `leaves` leaves from leaf `first` on, if the tree has it.
    #[inline]
    fn head_of(&self, first: usize, leaves: usize) -> Option<Block> {
        if leaves == 0 || !self.holds(first, leaves) {
            return None;
        }
        let order = Order::largest_at_start(first, first + leaves);
        (order.get() <= self.geometry.top).then(|| Block::containing(order, first))
    }

    /// Whether the run with this head has `leaves` leaves, as far as its other nodes tell.
    #[inline]
    fn goes_on_to(&self, head: Block, leaves: usize) -> bool {
        if leaves == head.order().leaves() {
            return !self.continues(head);
        }
        let first = head.first();
        match Order::for_leaves(leaves) {
            Some(order) if first.trailing_zeros() >= order.get() => self.is_cut(head, leaves),
            _ => self.run_leaves(head) == Some(leaves),
        }
    }

    /// The same of a run that was cut from a block of the next power of two. Its pieces fall in order,
    /// so each is a lower half, with the mark behind it in its word.
    fn is_cut(&self, head: Block, leaves: usize) -> bool {
        let (mut at, mut left, mut is_head) = (head.first(), leaves, true);
        while left != 0 {
            let block = Block::containing(Order::largest(left), at);
            let (word, shift) = self.node(block);
            let word = word.load();
            left -= block.order().leaves();
            let goes_on = node::state::<S::Word>(word, shift + 2) == CONT;
            if goes_on != (left != 0) || !(is_head || node::state::<S::Word>(word, shift) == CONT) {
                return false;
            }
            at = block.end();
            is_head = false;
        }
        true
    }

    /// Gives up the leaves of a run that is detached, together with what was given back when it was cut
    /// from a block of `order`; where that is not free any more, piece by piece. One change of one
    /// word for each order below.
    fn free_cut(&self, first: usize, leaves: usize, order: Order) {
        let (last, lowest) = (first + leaves - 1, leaves.trailing_zeros());
        // Where the leaves end that are the caller's and have a neighbour that is not.
        let mut stuck = None;
        for level in Order::range(lowest, order.get() - 1) {
            let block = Block::containing(level, last);
            if block.is_upper() {
                // Here is a piece, or the mark behind one, or nothing any more.
                let (word, shift) = self.node(block);
                word.clear((NODE | NODE << 2) << (shift - 2));
            } else if stuck.is_some() || !self.claim(block.buddy(), NONE) {
                if level.get() == lowest {
                    let (word, shift) = self.node(block);
                    word.clear(NODE << shift);
                }
                stuck = stuck.or(Some(block.end()));
            } else if level.get() == lowest {
                let (word, shift) = self.node(block);
                word.clear(NODE << shift);
            }
        }
        // Only now: what is given up may merge with others' blocks into a node that was marked.
        match stuck {
            Some(end) => self.give_back(first, end),
            None => self.insert_active(Block::containing(order, first)),
        }
    }
}
