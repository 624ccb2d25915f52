//! Freeing: a block merges with its buddy while the buddy is free, at once or deferred.
//!
//! Deferred frees (policies with `DEFER > 0`) go to a small ring of slots per order. They are free
//! to the tree (`FREE`, counted), only not merged and not indexed; the next request of their size
//! takes them back first. The slot that a new one overwrites gives up its old entry, which is then
//! merged, so what is left undone is bounded by the slots. An entry may be out of date (its block
//! was merged from the other side, or found by a search): the node decides (T2).

use super::Tree;
use super::block::{Block, Pieces};
use super::geometry::record;
use super::node::{self, CONT, FREE, HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Merges everything that the policy left unmerged.
    /// O(`DEFER` * orders) merges, each O(summary levels).
    pub fn settle(&self) {
        if P::DEFER == 0 {
            return;
        }
        for order in self.orders() {
            for slot in 0..P::DEFER {
                let entry = self.record(order, record::SLOTS + slot).swap(0);
                self.merge_deferred(order, entry);
            }
        }
    }

    /// Frees `block` if it is allocated as one piece; says whether it was.
    #[inline]
    pub(super) fn free_block(&self, block: Block) -> bool {
        let (word, shift) = self.node(block);
        // In the last node of a word the run's continuation is not in sight.
        if shift + 2 == <S::Word as Word>::BITS && self.continues(block) {
            return false;
        }
        let freed = word.update(|old| {
            let here = old >> shift;
            let is_whole = here & 3 == HEAD && here >> 2 & 3 != CONT;
            is_whole.then(|| Self::freed_word(old, shift))
        });
        match freed {
            Ok(old) => {
                let buddy = node::buddy_shift(shift);
                if P::DEFER > 0 {
                    self.defer(block);
                } else if node::state(old, buddy) == FREE {
                    self.uncount_free(block.buddy(), Self::freed_word(old, shift));
                    self.insert(block.parent(), Order::MAX);
                } else {
                    self.count_free(block);
                }
                true
            }
            Err(_) => false,
        }
    }

    /// The word after the owned node at `shift` was given up: free, or merged with its buddy.
    #[inline(always)]
    fn freed_word(old: usize, shift: u32) -> usize {
        let buddy = node::buddy_shift(shift);
        if P::DEFER == 0 && node::state(old, buddy) == FREE {
            node::with_state(node::with_state(old, shift, NONE), buddy, NONE)
        } else {
            node::with_state(old, shift, FREE)
        }
    }

    /// Gives up the leaves `first..end`, which the caller owns and whose nodes are `NONE`; all
    /// is merged. O(orders).
    pub(super) fn give_back(&self, first: usize, end: usize) {
        for piece in Pieces::of(first, end).rev() {
            self.insert(piece, Order::MAX);
        }
    }

    /// Gives up an owned block whose node is `NONE`: merges it while its order is below `limit`
    /// and its buddy is free. At `limit` it is deferred, below it is indexed.
    pub(super) fn insert(&self, mut block: Block, limit: Order) {
        loop {
            let (word, shift) = self.node(block);
            let buddy = node::buddy_shift(shift);
            let may_merge = block.order() < limit;
            let merges = |old| may_merge && node::state(old, buddy) == FREE;
            let changed = word.update(|old| {
                Some(if merges(old) {
                    node::with_state(old, buddy, NONE)
                } else {
                    node::with_state(old, shift, FREE)
                })
            });
            let (Ok(old) | Err(old)) = changed;
            if !merges(old) {
                return if may_merge { self.count_free(block) } else { self.defer(block) };
            }
            self.uncount_free(block.buddy(), node::with_state(old, buddy, NONE));
            block = block.parent();
        }
    }

    /// Keeps a block that was just made free for the next request of its order.
    #[inline]
    fn defer(&self, block: Block) {
        let order = block.order();
        self.record(order, record::FREE).add(1);
        self.remember_order(order);
        let cursor = self.record(order, record::CURSOR);
        // Always below DEFER; the remainder only keeps a corrupt word from leading astray.
        let slot = cursor.load() % P::DEFER.max(1);
        let entry = self.record(order, record::SLOTS + slot).swap(block.index() + 1);
        cursor.store((slot + 1) % P::DEFER.max(1));
        if entry != 0 {
            self.merge_deferred(order, entry);
        }
    }

    /// Takes back a block of `order` whose merge was deferred, the last one first.
    #[inline]
    pub(super) fn take_deferred(&self, order: Order, state: usize) -> Option<Block> {
        for _ in 0..P::DEFER {
            let cursor = self.record(order, record::CURSOR);
            let slot = (cursor.load() + P::DEFER - 1) % P::DEFER;
            let entry = self.record(order, record::SLOTS + slot).swap(0);
            if entry == 0 {
                return None;
            }
            cursor.store(slot);
            let block = Block::new(order, entry - 1);
            if self.claim(block, state) {
                return Some(block);
            }
        }
        None
    }

    /// Does for a slot's former entry what was deferred, if it is still to be done.
    fn merge_deferred(&self, order: Order, entry: usize) {
        if entry == 0 {
            return;
        }
        let block = Block::new(order, entry - 1);
        let (word, shift) = self.node(block);
        let buddy = node::buddy_shift(shift);
        let merged = word.update(|old| {
            let both_free = node::state(old, shift) == FREE && node::state(old, buddy) == FREE;
            both_free.then(|| node::with_state(node::with_state(old, shift, NONE), buddy, NONE))
        });
        match merged {
            Ok(old) => {
                let left = node::with_state(node::with_state(old, shift, NONE), buddy, NONE);
                self.record(order, record::FREE).sub(1);
                self.uncount_free(block.buddy(), left);
                self.insert(block.parent(), Order::MAX);
            }
            Err(old) if node::state(old, shift) == FREE => self.index_free(block),
            Err(_) => {}
        }
    }
}
