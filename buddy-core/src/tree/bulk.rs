//! Many blocks of one order at once: a word of nodes at a time.

use super::Tree;
use super::block::Block;
use super::geometry::record;
use super::node::{self, HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, node_shift};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Allocates up to `out.len()` blocks of `order`, writes their first leaves to `out`, and
    /// returns how many there were: fewer only when no more are to be had.
    ///
    /// All free blocks of a word of nodes are taken by one change of it, and a larger block is
    /// split into a whole word of them by another. O(`out.len()` + orders + summary levels) for
    /// every word.
    pub fn allocate_many(&self, order: Order, out: &mut [usize]) -> usize {
        if order.get() > self.geometry.top {
            return 0;
        }
        let mut taken = self.take_all_deferred(order, out);
        let mut settled = P::DEFER == 0;
        while taken < out.len() {
            let rest = &mut out[taken..];
            let got = match self.find(order, 0) {
                Some(block) => self.take_from_word(block, rest),
                None => self.split_into(order, rest),
            };
            taken += got;
            // A found block may be gone to another thread; only a failed split is final.
            if got == 0 && self.find(order, 0).is_none() {
                if settled {
                    break;
                }
                self.settle();
                settled = true;
            }
        }
        self.count_used(taken << order.get(), taken);
        taken
    }

    fn take_all_deferred(&self, order: Order, out: &mut [usize]) -> usize {
        let mut taken = 0;
        while taken < out.len() {
            let Some(block) = self.take_deferred(order, HEAD) else { break };
            out[taken] = block.first();
            taken += 1;
        }
        taken
    }

    /// Takes free blocks from the word of `block`, the lowest first.
    fn take_from_word(&self, block: Block, out: &mut [usize]) -> usize {
        let order = block.order();
        let (word, _) = self.node(block);
        let lowest = |free: usize| {
            let (mut left, mut chosen) = (free, 0);
            for _ in 0..out.len().min(1 << node_shift::<S::Word>()) {
                chosen |= left & left.wrapping_neg();
                left &= left.wrapping_sub(1);
            }
            chosen
        };
        let changed = word.update(|old| {
            let chosen = lowest(node::free_nodes(old));
            (chosen != 0).then_some(old ^ (chosen | chosen << 1))
        });
        let Ok(old) = changed else { return 0 };
        let mut chosen = lowest(node::free_nodes(old));
        let left = node::free_nodes(old) ^ chosen;
        let word_first = block.index() >> node_shift::<S::Word>() << node_shift::<S::Word>();
        let mut taken = 0;
        while chosen != 0 {
            let index = word_first + chosen.trailing_zeros() as usize / 2;
            out[taken] = index << order.get();
            taken += 1;
            chosen &= chosen - 1;
        }
        self.uncount_many(block, taken, left);
        taken
    }

    /// Takes a larger block and allocates as many blocks of `order` of it as are asked for.
    fn split_into(&self, order: Order, out: &mut [usize]) -> usize {
        let wanted = Order::for_leaves(out.len()).map_or(0, Order::get);
        let most = wanted.min(node_shift::<S::Word>()).min(self.geometry.top - order.get());
        for height in (1..=most).rev().chain([0]) {
            let Some(above) = Order::new(order.get() + height) else { continue };
            let Some(block) = self.take_or_split(above, NONE) else { continue };
            let count = out.len().min(1 << height);
            let lowest = Block::containing(order, block.first());
            let (word, shift) = self.node(lowest);
            word.set(node::repeat(HEAD, count, shift));
            for (slot, index) in out.iter_mut().zip(lowest.index()..lowest.index() + count) {
                *slot = index << order.get();
            }
            self.give_back((lowest.index() + count) << order.get(), block.end());
            return count;
        }
        0
    }

    /// `count` free blocks of the word of `block` were taken, and `left` are free there still.
    fn uncount_many(&self, block: Block, count: usize, left: usize) {
        if count > 1 {
            self.record(block.order(), record::FREE).sub(count - 1);
        }
        self.uncount_free(block, left);
    }
}
