//! Many blocks of one order at once: a word of nodes at a time.

use super::block::Block;
use super::geometry::{record, rests};
use super::node::{self, FREE, HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, node_shift};
use super::{Taken, Tree};

/// Blocks whose nodes lie in one word.
#[derive(Clone, Copy)]
struct Group {
    number: usize,
    /// The lower bits of their nodes.
    nodes: usize,
}

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
        while taken < out.len() {
            let some = || self.take_some(order, out.len() - taken);
            let Some(group) = some().or_else(|| self.insist(0, || some().ok_or(())).ok()) else {
                break;
            };
            let before = taken;
            let lowest = group.number << node_shift::<S::Word>();
            for (slot, shift) in out[taken..].iter_mut().zip(node::bits(group.nodes)) {
                *slot = (lowest + shift / 2) << order.get();
                taken += 1;
            }
            self.count_used((taken - before) << order.get(), taken - before);
        }
        taken
    }

    /// Allocates blocks of `order`, at most `most` and at least one, if one is to be had without
    /// settling.
    fn take_some(&self, order: Order, most: usize) -> Option<Group> {
        for _ in 0..rests::WORDS {
            let active = if Self::RESTS { self.record(order)[record::ACTIVE].load() } else { 0 };
            let group = active.checked_sub(1).and_then(|at| self.take_from_word(order, at, most));
            if group.is_some() {
                return group;
            }
            if !self.revive(order) {
                break;
            }
        }
        while let Some(block) = self.find_near(order) {
            // `None` if another thread was faster.
            let number = block.word_number::<S::Word>();
            let group = self.take_from_word(order, number, most);
            if group.is_some() {
                return group;
            }
        }
        self.split_into(order, most)
    }

    /// Takes free blocks from a word of nodes, the lowest first.
    fn take_from_word(&self, order: Order, number: usize, most: usize) -> Option<Group> {
        let lowest = |free: usize| {
            if most >= free.count_ones() as usize {
                return free;
            }
            let mut rest = free;
            for _ in 0..most {
                rest &= rest.wrapping_sub(1);
            }
            free & !rest
        };
        let _transit = self.transit();
        let changed = self.word_of(order, number).update(|old| {
            let chosen = lowest(node::free_nodes::<S::Word>(old));
            (chosen != 0).then_some(old ^ (chosen * (FREE ^ HEAD)))
        });
        let free = node::free_nodes::<S::Word>(changed.ok()?);
        let nodes = lowest(free);
        self.record(order)[record::FREE].sub(nodes.count_ones() as usize);
        if nodes == free {
            self.set_summary(order, number, false);
        }
        Some(Group { number, nodes })
    }

    /// Takes a larger block and as many blocks of `order` of it as are asked for, but no more than
    /// its word has; the rest stays free.
    fn split_into(&self, order: Order, most: usize) -> Option<Group> {
        let wanted = Order::for_leaves(most).map_or(0, Order::get);
        let height = wanted.min(node_shift::<S::Word>()).min(self.geometry.top - order.get());
        for height in (0..=height).rev() {
            // One that was split for this: what is left of it has no buddy that is free.
            let Some(Taken { block, transit: _transit }) =
                self.take_or_split(order.above(height), NONE)
            else {
                continue;
            };
            let lowest = Block::containing(order, block.first());
            let count = most.min(1 << height);
            let (word, shift) = self.node(lowest);
            word.set(node::repeat(HEAD, count, shift));
            self.give_back((lowest.index() + count) << order.get(), block.end());
            let nodes = node::repeat(1, count, shift);
            let number = lowest.word_number::<S::Word>();
            return Some(Group { number, nodes });
        }
        None
    }

    /// How many orders above `order` to stop splitting an owned block one by one, and fill a word
    /// instead: as many as a word's nodes span, but no more than 1/64 of the range at once.
    pub(super) fn fill_height(&self, block: Block, order: Order) -> u32 {
        if !Self::RESTS {
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
