//! Many blocks of one order at once: a word of nodes at a time.

use super::Tree;
use super::block::Block;
use super::geometry::record;
use super::node::{self, FREE, HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, node_shift};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Allocates up to `out.len()` blocks of `order`, writes their first leaves to `out`, and
    /// returns how many there were: fewer only when no more are to be had.
    ///
    /// All free blocks of a word of nodes are taken by one change of it, and a larger block is
    /// split into a whole word of them by another. O(`out.len()`), and O(orders + summary levels)
    /// for every word.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let mut blocks = [0; 60];
    /// let had = tree.allocate_many(buddy_core::Order::new(1).unwrap(), &mut blocks);
    /// assert_eq!(had, 50); // all 100 leaves
    /// tree.free_sized(blocks[7], 2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allocate_many(&self, order: Order, out: &mut [usize]) -> usize {
        if order.get() > self.geometry.top {
            return 0;
        }
        let mut taken = 0;
        let mut is_settled = !P::LAZY;
        while taken < out.len() {
            let got = self.take_some(order, &mut out[taken..]);
            taken += got;
            if got == 0 {
                if is_settled {
                    break;
                }
                self.settle();
                is_settled = true;
            }
        }
        self.count_used(taken << order.get(), taken);
        taken
    }

    /// Allocates at least one block of `order` into `out` if one is to be had without settling.
    fn take_some(&self, order: Order, out: &mut [usize]) -> usize {
        if P::LAZY {
            let active = self.record(order)[record::ACTIVE].load();
            let got = if active == 0 { 0 } else { self.take_from_word(order, active - 1, out) };
            if got > 0 {
                return got;
            }
        }
        while let Some(block) = self.find(order, 0) {
            // 0 if another thread was faster.
            let got = self.take_from_word(order, block.word_number::<S::Word>(), out);
            if got > 0 {
                return got;
            }
        }
        self.split_into(order, out)
    }

    /// Takes free blocks from a word of nodes, the lowest first.
    fn take_from_word(&self, order: Order, number: usize, out: &mut [usize]) -> usize {
        let nodes_per_word = 1 << node_shift::<S::Word>();
        let lowest = |free: usize| {
            let mut rest = free;
            for _ in 0..out.len().min(nodes_per_word) {
                rest &= rest.wrapping_sub(1);
            }
            free & !rest
        };
        let changed = self.word_of(order, number).update(|old| {
            let chosen = lowest(node::free_nodes(old));
            (chosen != 0).then_some(old ^ (chosen * (FREE ^ HEAD)))
        });
        let Ok(old) = changed else { return 0 };
        let free = node::free_nodes(old);
        let mut chosen = lowest(free);
        let is_emptied = chosen == free;
        let mut taken = 0;
        while chosen != 0 {
            let index = number * nodes_per_word + chosen.trailing_zeros() as usize / 2;
            out[taken] = index << order.get();
            taken += 1;
            chosen &= chosen - 1;
        }
        self.record(order)[record::FREE].sub(taken);
        if is_emptied {
            self.set_summary(order, number, false);
        }
        taken
    }

    /// Takes a larger block and allocates as many blocks of `order` of it as are asked for.
    fn split_into(&self, order: Order, out: &mut [usize]) -> usize {
        let wanted = Order::for_leaves(out.len()).map_or(0, Order::get);
        let most = wanted.min(node_shift::<S::Word>()).min(self.geometry.top - order.get());
        for height in (0..=most).rev() {
            let Some(block) = self.take_or_split(order.above(height), NONE) else { continue };
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

    /// How many orders above `order` to stop splitting an owned block one by one, and fill a word
    /// instead: as many as a word's nodes span, but no more than 1/64 of the range at once.
    pub(super) fn fill_height(&self, block: Block, order: Order) -> u32 {
        if !P::LAZY {
            return 0;
        }
        let below = block.order().get() - order.get();
        let modest = self.geometry.top.saturating_sub(order.get() + 6);
        below.min(node_shift::<S::Word>()).min(modest)
    }

    /// Splits an owned block into blocks of `order` by one change of the word that holds their
    /// nodes: the lowest gets `state`, the others are free, and the word becomes the active one.
    pub(super) fn fill(&self, block: Block, order: Order, state: usize) -> Block {
        let lowest = Block::containing(order, block.first());
        let count = 1 << (block.order().get() - order.get());
        let (word, shift) = self.node(lowest);
        word.set(node::repeat(FREE, count, shift) ^ ((FREE ^ state) << shift));
        self.count_free(order, count - 1);
        self.activate(order, lowest.word_number::<S::Word>());
        lowest
    }
}
