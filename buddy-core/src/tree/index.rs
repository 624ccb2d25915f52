//! Finding a free block: per order, a pyramid of bits over the words of nodes.
//!
//! The lowest summary has a bit for every word of nodes, the next a bit for every word of that,
//! up to a single word. A search climbs from where it starts until a bit is set, then descends by
//! find-first-set: at most two loads a level. Bits are kept exact (T4) by whoever makes a word
//! empty or non-empty. With many threads they are hints: a bit is set after its word became
//! non-empty, and cleared before its word is read once more, so that a set that was overtaken is
//! repeated; a search that finds a bit without substance clears it and goes on.

use super::Tree;
use super::block::Block;
use super::geometry::{Span, header, record};
use super::node::{self, FREE, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, max_value, node_shift};

/// Enough for the summaries of any level: each divides the words by at least 32.
const MAX_SUMMARIES: usize = 13;

/// One order's words: `span.words` of nodes from metadata index `start`, then its summaries.
pub(super) struct Level {
    pub(super) start: usize,
    pub(super) span: Span,
}

impl<S: Storage, P: Policy> Tree<S, P> {
    pub(super) fn level(&self, order: Order) -> Level {
        let span = self.geometry.span::<S::Word>(order.get());
        let base = self.record(order, record::NODES).load();
        Level { start: base.wrapping_add(span.low) & max_value::<S::Word>(), span }
    }

    /// Takes a free block of `order` that is indexed or deferred and leaves its node in `state`.
    #[inline]
    pub(super) fn take(&self, order: Order, state: usize) -> Option<Block> {
        if let Some(block) = self.take_deferred(order, state) {
            return Some(block);
        }
        loop {
            let block = self.find(order, 0)?;
            if self.claim(block, state) {
                return Some(block);
            }
        }
    }

    /// Makes the caller the owner of `block` if it is free, and leaves its node in `state`.
    #[inline]
    pub(super) fn claim(&self, block: Block, state: usize) -> bool {
        let (word, shift) = self.node(block);
        let claimed = word.update(|old| {
            (node::state(old, shift) == FREE).then(|| node::with_state(old, shift, state))
        });
        match claimed {
            Ok(old) => {
                self.uncount_free(block, node::with_state(old, shift, NONE));
                true
            }
            Err(_) => false,
        }
    }

    /// A free block of `order` was taken, and its word is now `left` (up to nodes not free).
    #[inline]
    pub(super) fn uncount_free(&self, block: Block, left: usize) {
        self.record(block.order(), record::FREE).sub(1);
        if node::free_nodes(left) == 0 {
            self.clear_summary(block);
        }
    }

    /// A block was made free: counts it and makes it findable.
    #[inline]
    pub(super) fn count_free(&self, block: Block) {
        self.record(block.order(), record::FREE).add(1);
        self.set_summary(block);
        self.remember_order(block.order());
    }

    /// A free block that was deferred is to be findable.
    pub(super) fn index_free(&self, block: Block) {
        self.set_summary(block);
    }

    #[inline(always)]
    pub(super) fn remember_order(&self, order: Order) {
        let orders = self.word(header::ORDERS);
        if orders.load() >> order.get() & 1 == 0 {
            orders.set(1 << order.get());
        }
    }

    /// A search found nothing of `order`: later searches need not look.
    pub(super) fn forget_order(&self, order: Order) {
        self.word(header::ORDERS).clear(1 << order.get());
        // Another thread may have freed a block in between.
        if self.record(order, record::FREE).reread() != 0 {
            self.remember_order(order);
        }
    }

    /// The first indexed free block of `order` with an index of at least `from`.
    pub(super) fn find(&self, order: Order, from: usize) -> Option<Block> {
        let level = self.level(order);
        let from = from.max(level.span.low << node_shift::<S::Word>());
        loop {
            match self.probe(&level, from) {
                Probe::Found(index) => return Some(Block::new(order, index)),
                Probe::Nothing => return None,
                // The bit that led here promised too much.
                Probe::Stale(position) => self.clear_stale(&level, position),
            }
        }
    }

    fn probe(&self, level: &Level, from: usize) -> Probe {
        let shift = node_shift::<S::Word>();
        let bits = <S::Word as Word>::BITS as usize;
        let mut position = (from >> shift) - level.span.low;
        if position >= level.span.words {
            return Probe::Nothing;
        }
        let first_word = node::free_nodes(self.word(level.start + position).load());
        let offset = (from & ((1 << shift) - 1)) * 2;
        if first_word >> offset != 0 {
            let at = (first_word >> offset << offset).trailing_zeros() as usize / 2;
            return Probe::Found(((level.span.low + position) << shift) + at);
        }
        // Up: the first set bit behind `position`, in the lowest summary that has one.
        let mut bases = [level.start; MAX_SUMMARIES];
        let (mut length, mut height) = (level.span.words, 0);
        position += 1;
        loop {
            if length == 1 {
                return Probe::Nothing;
            }
            bases[height + 1] = bases[height] + length;
            height += 1;
            length = length.div_ceil(bits);
            if position / bits >= length {
                return Probe::Nothing;
            }
            let word = self.word(bases[height] + position / bits).load();
            if word >> (position % bits) != 0 {
                position += (word >> (position % bits)).trailing_zeros() as usize;
                break;
            }
            position = position / bits + 1;
        }
        // Down: the first set bit of each summary, then the first free node.
        while height > 1 {
            height -= 1;
            let word = self.word(bases[height] + position).load();
            if word == 0 {
                return Probe::Stale(Place { base: bases[height], height, position });
            }
            position = position * bits + word.trailing_zeros() as usize;
        }
        let free = node::free_nodes(self.word(level.start + position).load());
        if free == 0 {
            return Probe::Stale(Place { base: level.start, height: 0, position });
        }
        Probe::Found(((level.span.low + position) << shift) + free.trailing_zeros() as usize / 2)
    }

    /// The block's word has a free node: sets the bits that lead to it.
    #[inline]
    fn set_summary(&self, block: Block) {
        let level = self.level(block.order());
        if level.span.words > 1 {
            let position = (block.index() >> node_shift::<S::Word>()) - level.span.low;
            let base = level.start + level.span.words;
            self.set_bits_above(base, level.span.words, position);
        }
    }

    /// The block's word has no free node left: clears the bits that lead to it.
    #[inline]
    fn clear_summary(&self, block: Block) {
        let level = self.level(block.order());
        if level.span.words > 1 {
            let position = (block.index() >> node_shift::<S::Word>()) - level.span.low;
            let bits = <S::Word as Word>::BITS as usize;
            let summary = self.word(level.start + level.span.words + position / bits);
            if summary.load() >> (position % bits) & 1 == 1 {
                self.clear_stale(&level, Place { base: level.start, height: 0, position });
            }
        }
    }

    /// Sets the bit for `position` in the summary at `base` over `length` words, and above it where
    /// a word was empty before.
    fn set_bits_above(&self, mut base: usize, mut length: usize, mut position: usize) {
        let bits = <S::Word as Word>::BITS as usize;
        while length > 1 {
            let (word, bit) = (self.word(base + position / bits), 1 << (position % bits));
            if word.load() & bit != 0 || word.set(bit) != 0 {
                return;
            }
            length = length.div_ceil(bits);
            base += length;
            position /= bits;
        }
    }

    /// The word at `empty` was seen empty: clears its bit in the summary above, and further up
    /// where that makes a word empty.
    fn clear_stale(&self, level: &Level, empty: Place) {
        let bits = <S::Word as Word>::BITS as usize;
        let mut length = level.span.words;
        for _ in 0..empty.height {
            length = length.div_ceil(bits);
        }
        let Place { mut base, mut height, mut position } = empty;
        while length > 1 {
            let above = base + length;
            let (word, bit) = (self.word(above + position / bits), 1 << (position % bits));
            let left = word.clear(bit) & !bit;
            let below = self.word(base + position).reread();
            let refilled = if height == 0 { node::free_nodes(below) != 0 } else { below != 0 };
            if refilled {
                return self.set_bits_above(above, length, position);
            }
            if left != 0 {
                return;
            }
            (base, length) = (above, length.div_ceil(bits));
            position /= bits;
            height += 1;
        }
    }
}

enum Probe {
    Found(usize),
    Nothing,
    Stale(Place),
}

/// A word of a level: number `position` from `base` on, at `height` 0 of nodes, 1 the lowest summary.
#[derive(Clone, Copy)]
struct Place {
    base: usize,
    height: usize,
    position: usize,
}
