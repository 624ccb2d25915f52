//! Finding a free block, or a slab with a free slot: pyramids of bits over words that may have one.
//!
//! The lowest summary has a bit for every word, the next a bit for every word of that, up to one or
//! two words. Each order has a pyramid over its words of nodes that tells which have a free block; a
//! supply has others over the same words, which tell where slabs of a class have a free slot
//! ([`Level`]). A search climbs from where it starts until a bit is set, then descends by
//! find-first-set: at most two loads a level; a search of all begins at the top. Bits are kept exact
//! (T4) by whoever makes a word empty or non-empty. With many threads they are hints: a bit is set
//! after its word became non-empty, and cleared before its word is read once more, so that a set that
//! was overtaken is repeated; a search that finds a bit without substance clears it and goes on.

use super::block::Block;
use super::geometry::{Span, header, record};
use super::node::{self, FREE, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, max_value, node_shift};
use super::{Taken, Tree, slab};

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
        let near =
            if start == self.geometry.first { near } else { near.or_else(|| self.find(order, 0)) };
        // What is free in an active word need not be indexed.
        let active = self.active_block(order);
        let is_first = |active: &Block| near.is_none_or(|indexed| active.index() < indexed.index());
        active.filter(is_first).or(near)
    }

    /// Makes the caller the owner of `block` if it is free, and leaves its node in `state`.
    #[inline]
    pub(super) fn claim(&self, block: Block, state: usize) -> bool {
        let (word, shift) = self.node(block);
        let claimed = word.update(|old| {
            (node::state::<S::Word>(old, shift) == FREE)
                .then(|| node::with_state(old, shift, state))
        });
        if let Ok(old) = claimed {
            self.record(block.order())[record::FREE].sub(1);
            let now = node::with_state(old, shift, NONE);
            self.note_taken(block.order(), block.word_number::<S::Word>(), now);
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

    /// The words of nodes of `order`, and the summaries of their free blocks.
    fn level(&self, order: Order) -> Level {
        let words = self.nodes(order);
        Level { words, above: words.start + words.len(), offer: Offer::Blocks }
    }

    /// The first indexed free block of `order` with an index of at least `from`.
    pub(super) fn find(&self, order: Order, from: usize) -> Option<Block> {
        let shift = node_shift::<S::Word>();
        // Before the range's first block there is none: the search is one of all then.
        let from = if from > self.geometry.first >> order.get() { from } else { 0 };
        let offset = (from & ((1 << shift) - 1)) as u32 * 2;
        let (number, nodes) = self.search(self.level(order), from >> shift, offset)?;
        Some(Block::new(order, (number << shift) + nodes.trailing_zeros() as usize / 2))
    }

    /// The first word, from `number` on, that has something to offer, and what; of the word `number`
    /// itself from bit `offset` on.
    pub(super) fn search(
        &self,
        level: Level,
        number: usize,
        offset: u32,
    ) -> Option<(usize, usize)> {
        let is_all = number <= level.words.low && offset == 0;
        loop {
            // Not one function: the way from the top down needs little of what the other does.
            let probe =
                if is_all { self.lowest(level) } else { self.behind(level, number, offset) };
            match probe {
                Probe::Found(number, offered) => return Some((number, offered)),
                Probe::Nothing => return None,
                // The bit that led here promised too much.
                Probe::Stale(place) => {
                    let _transit = self.transit();
                    self.withdraw(place);
                }
            }
        }
    }

    /// The first word, from `number` on, that has something to offer.
    #[inline(never)]
    fn behind(&self, level: Level, mut number: usize, offset: u32) -> Probe {
        let bits = <S::Word as Word>::BITS as usize;
        if number > level.words.high {
            return Probe::Nothing;
        }
        let offered = self.offered(level, number) >> offset << offset;
        if offered != 0 {
            return Probe::Found(number, offered);
        }
        // Up: to the first word behind `number` that is not empty, or the lowest summary that knows it.
        let (mut at, mut height) = (level, 0);
        loop {
            number += 1;
            if number > at.words.high {
                return Probe::Nothing;
            }
            if at.words.is_top() {
                break;
            }
            let summary = at.summary::<S::Word>();
            let above = self.word(summary.words.at(number / bits)).load() >> (number % bits);
            if above != 0 {
                number += above.trailing_zeros() as usize;
                break;
            }
            (at, height, number) = (summary, height + 1, number / bits);
        }
        self.descend(level, at, height, number)
    }

    /// The first word of all that has something to offer: from the top down, one load a level.
    #[inline]
    fn lowest(&self, level: Level) -> Probe {
        let (mut at, mut height) = (level, 0);
        while !at.words.is_top() {
            (at, height) = (at.summary::<S::Word>(), height + 1);
        }
        let first = self.offered(at, at.words.low);
        let number = if first != 0 { at.words.low } else { at.words.high };
        self.descend(level, at, height, number)
    }

    /// Down from a word of a level so many above: the first set bit of each summary, then what the word
    /// offers.
    #[inline]
    fn descend(&self, level: Level, mut at: Level, mut height: u32, mut number: usize) -> Probe {
        let bits = <S::Word as Word>::BITS as usize;
        while height > 0 {
            let words = self.word(at.words.at(number)).load();
            if words == 0 {
                return Self::nothing(at, number);
            }
            number = number * bits + words.trailing_zeros() as usize;
            height -= 1;
            at = if height == 0 { level } else { at.before::<S::Word>(&level, height) };
        }
        match self.offered(level, number) {
            0 => Self::nothing(level, number),
            offered => Probe::Found(number, offered),
        }
    }

    /// A word was found to have nothing to offer.
    fn nothing(level: Level, number: usize) -> Probe {
        if level.words.is_top() { Probe::Nothing } else { Probe::Stale(Place { level, number }) }
    }

    /// What a word has to offer.
    #[inline]
    pub(super) fn offered(&self, level: Level, number: usize) -> usize {
        level.offer.of::<S::Word>(self.word(level.words.at(number)).load())
    }

    /// Brings the summaries above a word of nodes up to date.
    #[inline(always)]
    pub(super) fn set_summary(&self, order: Order, number: usize, has_free: bool) {
        if order.get() < self.geometry.single {
            let (lowest, bit) = self.lowest_summary(order, number);
            if (lowest.load() & bit != 0) != has_free {
                self.change_summary(order, number, has_free);
            }
        }
    }

    /// The word of the lowest summary that tells of a word of nodes, and the bit.
    #[inline(always)]
    fn lowest_summary(&self, order: Order, number: usize) -> (&S::Word, usize) {
        let bits = <S::Word as Word>::BITS as usize;
        let base = self.record(order)[record::SUMMARY].load();
        let lowest = self.word(base.wrapping_add(number / bits) & max_value::<S::Word>());
        (lowest, 1 << (number % bits))
    }

    #[inline(never)]
    fn change_summary(&self, order: Order, number: usize, has_free: bool) {
        let below = self.word_of(order, number);
        self.tell(self.lowest_summary(order, number), below, Offer::Blocks, has_free, || Place {
            level: self.level(order),
            number,
        });
    }

    /// Makes a bit of a lowest summary say whether the word below has something to offer: the first step of
    /// `update_summary`, which mostly is the only one. `place` is the word's.
    #[inline(always)]
    pub(super) fn tell(
        &self,
        (summary, bit): (&S::Word, usize),
        below: &S::Word,
        offer: Offer,
        has_some: bool,
        place: impl FnOnce() -> Place,
    ) {
        let old = if has_some { summary.set(bit) } else { summary.clear(bit) };
        let now = offer.of::<S::Word>(below.reread()) != 0;
        let is_alone = old & !bit == 0;
        if now != has_some {
            // Meanwhile others may have relied on this first step for what is above.
            self.update_summary(place(), now, is_alone);
        } else if is_alone {
            let Place { level, number } = place();
            let number = number / <S::Word as Word>::BITS as usize;
            self.update_summary(Place { level: level.summary::<S::Word>(), number }, now, false);
        }
    }

    fn withdraw(&self, place: Place) {
        let bits = <S::Word as Word>::BITS as usize;
        if <S::Word as Word>::SHARED {
            return self.update_summary(place, false, false);
        }
        // For one thread mostly all there is to do.
        let above = place.level.summary::<S::Word>();
        let (bit, number) = (1 << (place.number % bits), place.number / bits);
        if self.word(above.words.at(number)).clear(bit) & !bit == 0 {
            self.update_summary(Place { level: above, number }, false, false);
        }
    }

    /// Makes the bit of a word in the summary above say whether the word has something, and so on
    /// upward where that makes a word empty or non-empty. `has_some` is what was seen of the word;
    /// it is read again after the bit was written, so that whoever writes a bit last, with many
    /// threads, has seen what the bit says. `is_alone`: the caller wrote the bit before, and that
    /// made the summary's word empty or non-empty.
    fn update_summary(&self, mut place: Place, mut has_some: bool, mut is_alone: bool) {
        let bits = <S::Word as Word>::BITS as usize;
        while !place.level.words.is_top() {
            let above = place.level.summary::<S::Word>();
            let (bit, number) = (1 << (place.number % bits), place.number / bits);
            let summary = self.word(above.words.at(number));
            loop {
                let old = if has_some { summary.set(bit) } else { summary.clear(bit) };
                is_alone |= old & !bit == 0;
                let below = self.word(place.level.words.at(place.number)).reread();
                let now = place.level.offer.of::<S::Word>(below) != 0;
                if now == has_some {
                    break;
                }
                has_some = now;
            }
            if !is_alone {
                return;
            }
            (place, is_alone) = (Place { level: above, number }, false);
        }
    }
}

enum Probe {
    /// A word's number, and what it offers.
    Found(usize, usize),
    Nothing,
    Stale(Place),
}

/// What a word may have to offer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// Free blocks, among nodes.
    Blocks,
    /// Free slots, if it is a slab's with these upper bits.
    Slots(usize),
    /// Words of the level below, in a summary.
    Words,
}

impl Offer {
    /// What a word that holds `word` offers.
    #[inline]
    fn of<W: Word>(self, word: usize) -> usize {
        match self {
            Self::Blocks => node::free_nodes::<W>(word),
            Self::Slots(tag) => slab::free_slots::<W>(word, tag).unwrap_or(0),
            Self::Words => word,
        }
    }
}

/// Words, and the summary above them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) words: Span,
    /// The metadata index of the first word of the summary; the next follows that.
    pub(super) above: usize,
    pub(super) offer: Offer,
}

impl Level {
    /// The summary, of words that are not the top.
    #[inline]
    pub(super) fn summary<W: Word>(&self) -> Self {
        let words = Span { start: self.above, ..self.words.summary::<W>() };
        Self { words, above: words.start + words.len(), offer: Offer::Words }
    }

    /// The summary that is stored before this one, the one so many above a level.
    #[inline]
    fn before<W: Word>(&self, level: &Self, height: u32) -> Self {
        let shift = height * W::BITS.ilog2();
        let (low, high) = (level.words.low >> shift, level.words.high >> shift);
        let above = self.words.start;
        Self {
            words: Span { start: above - (high - low + 1), low, high },
            above,
            offer: Offer::Words,
        }
    }
}

/// A word of a level.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) level: Level,
    pub(super) number: usize,
}
