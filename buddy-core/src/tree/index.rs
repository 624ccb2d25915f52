//! Finding a free block: per order, a pyramid of bits over the words of nodes.
//!
//! The lowest summary has a bit for every word of nodes, the next a bit for every word of that,
//! up to one or two words. A search climbs from where it starts until a bit is set, then descends by
//! find-first-set: at most two loads a level. Bits are kept exact (T4) by whoever makes a word
//! empty or non-empty. With many threads they are hints: a bit is set after its word became
//! non-empty, and cleared before its word is read once more, so that a set that was overtaken is
//! repeated; a search that finds a bit without substance clears it and goes on.

use super::block::Block;
use super::geometry::{Span, header, record};
use super::node::{self, FREE, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, max_value, node_shift};
use super::{Taken, Tree};

/// Enough for any level: every summary divides the words by at least 32.
const MAX_HEIGHT: usize = 14;

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Takes an indexed free block of `order` and leaves its node in `state`.
    pub(super) fn take_indexed(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        loop {
            let block = self.find_near(order)?;
            let transit = self.transit();
            if self.claim(block, state) {
                return Some(Taken { block, transit: (state == NONE).then_some(transit) });
            }
        }
    }

    /// A free block of `order`: the first from where the calling CPU searches, else the first.
    pub(super) fn find_near(&self, order: Order) -> Option<Block> {
        let start = self.start();
        let near = self.find(order, start >> order.get());
        if start == self.geometry.first { near } else { near.or_else(|| self.find(order, 0)) }
    }

    /// Makes the caller the owner of `block` if it is free, and leaves its node in `state`.
    #[inline]
    pub(super) fn claim(&self, block: Block, state: usize) -> bool {
        let (word, shift) = self.node(block);
        let claimed = word.update(|old| {
            (node::state(old, shift) == FREE).then(|| node::with_state(old, shift, state))
        });
        if let Ok(old) = claimed {
            self.record(block.order())[record::FREE].sub(1);
            if node::free_nodes(node::with_state(old, shift, NONE)) == 0 {
                self.set_summary(block.order(), block.word_number::<S::Word>(), false);
            }
        }
        claimed.is_ok()
    }

    /// Counts blocks that were made free.
    #[inline(always)]
    pub(super) fn count_free(&self, order: Order, count: usize) {
        self.record(order)[record::FREE].add(count);
        self.remember_order(order);
    }

    #[inline(always)]
    pub(super) fn remember_order(&self, order: Order) {
        let orders = &self.header()[header::ORDERS];
        if orders.load() >> order.get() & 1 == 0 {
            orders.set(1 << order.get());
        }
    }

    /// A search found nothing of `order`: later searches need not look.
    pub(super) fn forget_order(&self, order: Order) {
        let _transit = self.transit();
        self.header()[header::ORDERS].clear(1 << order.get());
        // Another thread may have freed a block in between.
        if self.record(order)[record::FREE].reread() != 0 {
            self.remember_order(order);
        }
    }

    /// The nodes of `order` in the metadata.
    pub(super) fn nodes(&self, order: Order) -> Span {
        let span = self.geometry.nodes::<S::Word>(order.get(), 0);
        let base = self.record(order)[record::NODES].load();
        Span { start: base.wrapping_add(span.low) & max_value::<S::Word>(), ..span }
    }

    /// The first indexed free block of `order` with an index of at least `from`.
    pub(super) fn find(&self, order: Order, from: usize) -> Option<Block> {
        let nodes = self.nodes(order);
        let from = from.max(nodes.low << node_shift::<S::Word>());
        loop {
            match self.probe(nodes, from) {
                Probe::Found(index) => return Some(Block::new(order, index)),
                Probe::Nothing => return None,
                // The bit that led here promised too much.
                Probe::Stale(place) => {
                    let _transit = self.transit();
                    self.update_summary(place, false, false);
                }
            }
        }
    }

    fn probe(&self, nodes: Span, from: usize) -> Probe {
        let shift = node_shift::<S::Word>();
        let bits = <S::Word as Word>::BITS as usize;
        let mut number = from >> shift;
        if number > nodes.high {
            return Probe::Nothing;
        }
        let offset = (from & ((1 << shift) - 1)) * 2;
        let free = node::free_nodes(self.word(nodes.at(number)).load()) >> offset;
        if free != 0 {
            return Probe::Found(from + free.trailing_zeros() as usize / 2);
        }
        // Up: to the first word behind `number` that is not empty, or the lowest summary that knows it.
        let mut spans = [nodes; MAX_HEIGHT];
        let mut height = 0;
        loop {
            number += 1;
            if number > spans[height].high {
                return Probe::Nothing;
            }
            if spans[height].is_top() {
                break;
            }
            spans[height + 1] = spans[height].summary::<S::Word>();
            let above = self.word(spans[height + 1].at(number / bits)).load() >> (number % bits);
            if above != 0 {
                number += above.trailing_zeros() as usize;
                break;
            }
            height += 1;
            number /= bits;
        }
        // Down: the first set bit of each summary, then the first free node.
        for height in (1..=height).rev() {
            let word = self.word(spans[height].at(number)).load();
            if word == 0 {
                return if spans[height].is_top() {
                    Probe::Nothing
                } else {
                    Probe::Stale(Place { words: spans[height], is_nodes: false, number })
                };
            }
            number = number * bits + word.trailing_zeros() as usize;
        }
        let free = node::free_nodes(self.word(nodes.at(number)).load());
        if free == 0 && nodes.is_top() {
            return Probe::Nothing;
        }
        if free == 0 {
            return Probe::Stale(Place { words: nodes, is_nodes: true, number });
        }
        Probe::Found((number << shift) + free.trailing_zeros() as usize / 2)
    }

    /// Brings the summaries above a word of nodes up to date.
    #[inline]
    pub(super) fn set_summary(&self, order: Order, number: usize, has_free: bool) {
        if order.get() >= self.geometry.single {
            return;
        }
        let bits = <S::Word as Word>::BITS as usize;
        let base = self.record(order)[record::SUMMARY].load();
        let lowest = self.word(base.wrapping_add(number / bits) & max_value::<S::Word>());
        let bit = 1 << (number % bits);
        if (lowest.load() & bit != 0) == has_free {
            return;
        }
        // The first step of `update_summary`, which mostly is the only one.
        let old = if has_free { lowest.set(bit) } else { lowest.clear(bit) };
        let now = node::free_nodes(self.word_of(order, number).reread()) != 0;
        let (is_alone, words) = (old & !bit == 0, || self.nodes(order));
        if now != has_free {
            // Meanwhile others may have relied on this first step for what is above.
            self.update_summary(Place { words: words(), is_nodes: true, number }, now, is_alone);
        } else if is_alone {
            let words = words().summary::<S::Word>();
            let place = Place { words, is_nodes: false, number: number / bits };
            self.update_summary(place, has_free, false);
        }
    }

    /// Makes the bit of a word in the summary above say whether the word has something, and so on
    /// upward where that makes a word empty or non-empty. `has_some` is what was seen of the word;
    /// it is read again after the bit was written, so that whoever writes a bit last, with many
    /// threads, has seen what the bit says. `is_alone`: the caller wrote the bit before, and that
    /// made the summary's word empty or non-empty.
    fn update_summary(&self, mut place: Place, mut has_some: bool, mut is_alone: bool) {
        let bits = <S::Word as Word>::BITS as usize;
        while !place.words.is_top() {
            let above = place.words.summary::<S::Word>();
            let (bit, number) = (1 << (place.number % bits), place.number / bits);
            let summary = self.word(above.at(number));
            loop {
                let old = if has_some { summary.set(bit) } else { summary.clear(bit) };
                is_alone |= old & !bit == 0;
                let below = self.word(place.words.at(place.number)).reread();
                let now = if place.is_nodes { node::free_nodes(below) != 0 } else { below != 0 };
                if now == has_some {
                    break;
                }
                has_some = now;
            }
            if !is_alone {
                return;
            }
            (place, is_alone) = (Place { words: above, is_nodes: false, number }, false);
        }
    }
}

enum Probe {
    Found(usize),
    Nothing,
    Stale(Place),
}

/// A word of nodes, or of a summary.
#[derive(Clone, Copy)]
struct Place {
    words: Span,
    is_nodes: bool,
    number: usize,
}
