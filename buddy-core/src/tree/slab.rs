//! Slabs: blocks whose one word of nodes says which of their slots are free.
//!
//! A slab is a block of as many blocks of a *natural* order as a word has nodes. So the nodes of that
//! order which lie inside it are one word, and that word is the slab's: it has the slab's tag, and a
//! bit for each of the *slots*, which lie side by side from the slab's first leaf on. A slot has the
//! natural order's leaves, or fewer, down to half of them; so no slot needs a node of that order while
//! the slab is a slab, and there may be more slots than the word had nodes.
//!
//! ```text
//! | 1101 | rank: 3 bits, or 2 | OPENING | a bit a slot: free |
//! ```
//!
//! What is behind the last slot is less than the natural order's leaves, and free in the tree. To the
//! rest of the tree a slab's word is empty, and the slab's leaves are in somebody's hands: nobody can
//! free or take them by their nodes (T7).
//!
//! - A slot's bit is a token as FREE is (T2): whoever clears it owns the slot's leaves.
//! - Whoever clears the word while all slots are free owns the slab.
//! - Whoever sets OPENING makes a tree of it again, of which the holders notice nothing: the slots that
//!   are not free become allocated blocks. Meanwhile slots are freed, but not taken.

use super::Tree;
use super::block::Block;
use super::geometry::record;
use super::index::{Level, Offer, Place};
use super::marks::Mark;
use super::node::{self, HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::transit::Transit;
use super::word::{Storage, Word, max_value, node_shift};

/// The bits that tell the kinds of slabs of one natural order apart.
const fn rank_bits<W: Word>() -> u32 {
    if W::BITS < 64 { 2 } else { 3 }
}

/// The bits of a slab's word above those of the slots.
const fn upper_bits<W: Word>() -> u32 {
    node::SLAB_BITS + rank_bits::<W>() + 1
}

/// The slots that are free in a word, if it is that of a slab with this tag that nobody opens.
#[inline(always)]
pub(super) const fn free_slots<W: Word>(word: usize, tag: usize) -> Option<usize> {
    let slots = word ^ tag;
    if slots >> (W::BITS - upper_bits::<W>()) == 0 { Some(slots) } else { None }
}

/// What the slabs of a class have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SlabKind {
    /// The order of the word of nodes that is the slab's.
    pub(crate) natural: Order,
    /// The leaves of a slot.
    pub(crate) leaves: usize,
    /// The word of a slab without free slots.
    pub(crate) tag: usize,
    /// The bits of its slots.
    pub(crate) slots: usize,
}

impl SlabKind {
    /// Set in the word of a slab that somebody makes a tree of again.
    pub(crate) const fn opening<W: Word>() -> usize {
        1 << (W::BITS - upper_bits::<W>())
    }

    /// How many kinds of one natural order can be told apart.
    pub(crate) const fn ranks<W: Word>() -> u32 {
        1 << rank_bits::<W>()
    }

    /// How many slots a word has bits for.
    pub(crate) const fn most_slots<W: Word>() -> usize {
        (W::BITS - upper_bits::<W>()) as usize
    }

    /// The bits of so many slots.
    pub(crate) const fn all_slots<W: Word>() -> usize {
        (1 << Self::most_slots::<W>()) - 1
    }

    /// The slabs of slots of `leaves` leaves, at most those of the order `natural` and more than half of
    /// them; told from others of that order by `rank`, modulo [`Self::ranks`].
    pub(crate) fn new<W: Word>(natural: Order, leaves: usize, rank: usize) -> Self {
        let count = (natural.leaves() << node_shift::<W>()) / leaves;
        let slots = (1 << count.min(Self::most_slots::<W>())) - 1;
        let tag = node::SLAB << (W::BITS - node::SLAB_BITS);
        let rank = rank & (Self::ranks::<W>() as usize - 1);
        let rank = rank << (W::BITS - upper_bits::<W>() + 1);
        Self { natural, leaves, tag: tag | rank, slots }
    }

    /// How many slots there are.
    pub(crate) const fn count(&self) -> usize {
        self.slots.count_ones() as usize
    }

    /// The order of the slabs.
    pub(crate) const fn order<W: Word>(&self) -> Order {
        self.natural.above(node_shift::<W>())
    }
}

/// A slab that a leaf lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slab {
    /// The order of its word of nodes.
    pub(crate) natural: Order,
    /// What tells its kind from others of that order.
    pub(crate) rank: u32,
    /// The number of its word.
    pub(crate) number: usize,
    /// The bits of its free slots.
    pub(crate) free: usize,
}

impl<S: Storage, P: Policy> Tree<S, P> {
    /// `log2` of how many blocks of its natural order a slab has.
    pub(crate) const SLAB_HEIGHT: u32 = node_shift::<S::Word>();

    /// The metadata index of word number 0 of the nodes of an order (wrapping).
    pub(crate) fn slab_base(&self, natural: Order) -> usize {
        self.record(natural)[record::NODES].load()
    }

    /// How many words of summaries say which slabs have a free slot, for one kind of slabs.
    pub(crate) fn slab_summary_words(&self, natural: Order) -> usize {
        let (mut words, mut count) = (self.nodes(natural), 0);
        while !words.is_top() {
            words = words.summary::<S::Word>();
            count += words.len();
        }
        count
    }

    /// What [`Self::find_slab`] and [`Self::publish_slab`] are told of summaries that begin at metadata
    /// index `above`: the index of the word with the bit of slab number 0 (wrapping), or one that there is
    /// not, if there are no summaries.
    pub(crate) fn slab_marks(&self, natural: Order, above: usize) -> usize {
        let words = self.nodes(natural);
        let base = if words.is_top() {
            max_value::<S::Word>()
        } else {
            above.wrapping_sub(words.low >> S::Word::BITS.ilog2())
        };
        base & max_value::<S::Word>()
    }

    /// Whether the summaries say that a slab has a free slot; not, if there are none.
    #[inline(always)]
    pub(crate) fn is_slab_marked(&self, marks: usize, number: usize) -> bool {
        self.mark_of(marks, number).is_some_and(|mark| mark.word.load() & mark.bit != 0)
    }

    /// The pyramid over the slabs of a kind.
    #[inline]
    fn slab_level(&self, kind: &SlabKind, marks: usize) -> Level {
        let words = self.nodes(kind.natural);
        let above = Self::marks_above(words, marks).start;
        Level { words, above, offer: Offer::Slots(kind.tag) }
    }

    /// The first slab of the kind with a free slot, from number `from` on, of those that are marked: its number.
    pub(crate) fn find_slab(&self, kind: &SlabKind, marks: usize, from: usize) -> Option<usize> {
        let level = self.slab_level(kind, marks);
        let (above, bits) = (level.summary::<S::Word>(), S::Word::BITS as usize);
        // Before the first slab there is none: the search is one of all then.
        let from = if from > level.words.low { from } else { 0 };
        loop {
            let (number, marked) = self.search(above, from / bits, (from % bits) as u32)?;
            for slab in node::bits(marked).map(|bit| number * bits + bit) {
                if self.offered(level, slab) != 0 {
                    return Some(slab);
                }
                // The mark promised too much.
                let _transit = self.transit();
                self.mark_slab(kind, marks, slab, false);
            }
        }
    }

    /// As [`Self::find_slab`]. A slab that it passes is left as it is only if whoever frees the first slot
    /// of it afterwards sees what the caller did before.
    pub(crate) fn find_every_slab(
        &self,
        kind: &SlabKind,
        marks: usize,
        from: usize,
    ) -> Option<usize> {
        let level = self.slab_level(kind, marks);
        let from = from.max(level.words.low);
        // Where a search begins it looks at the word itself, and those with a mark that have nothing lose it.
        if from <= level.words.high {
            self.word(level.words.at(from)).reread();
        }
        Some(self.search(level, from, 0)?.0)
    }

    /// Makes a slab with a free slot findable.
    pub(crate) fn publish_slab(&self, kind: &SlabKind, marks: usize, number: usize) {
        if !self.is_slab_marked(marks, number) {
            self.mark_slab(kind, marks, number, true);
        }
    }

    /// Makes a slab's mark say whether it has a free slot.
    fn mark_slab(&self, kind: &SlabKind, marks: usize, number: usize, has_free: bool) {
        if let Some(Mark { word, bit, .. }) = self.mark_of(marks, number) {
            let below = self.word_of(kind.natural, number);
            let place = || Place { level: self.slab_level(kind, marks), number };
            self.tell((word, bit), below, Offer::Slots(kind.tag), has_free, place);
        }
    }

    /// Makes a slab of a free block, if there is one without settling, in which the first slot is the
    /// caller's: its number. While the caller keeps the guard it counts as at it.
    pub(crate) fn raise_slab(&self, kind: &SlabKind) -> Option<(usize, Transit<'_, S::Word>)> {
        let transit = self.transit();
        let order = kind.order::<S::Word>();
        if order.get() > self.geometry.top {
            return None;
        }
        let block = self.take_or_split(order, NONE)?.block;
        self.give_back(block.first() + kind.leaves * kind.count(), block.end());
        self.count_used(kind.leaves * kind.count(), kind.count());
        // The word held nothing; by a change, as all others make it.
        self.word_of(kind.natural, block.index()).set(kind.tag | (kind.slots & !1));
        Some((block.index(), transit))
    }

    /// Frees a slab of which all slots are free; says whether it did.
    pub(crate) fn raze_slab(&self, kind: &SlabKind, number: usize) -> bool {
        let _transit = self.transit();
        let word = self.word_of(kind.natural, number);
        let razed = word.update(|old| (old == kind.tag | kind.slots).then_some(0));
        if razed.is_ok() {
            let block = Block::new(kind.order::<S::Word>(), number);
            let end = block.first() + kind.leaves * kind.count();
            self.count_freed(kind.leaves * kind.count(), kind.count());
            // With what is free behind the last slot it is one block again.
            if end == block.end() || self.claim_range(end, block.end()).is_ok() {
                self.insert_active(block);
            } else {
                self.give_back(block.first(), end);
            }
        }
        razed.is_ok()
    }

    /// Makes of a slab's slots allocated and free blocks; says whether this call did. O(slots * orders).
    pub(crate) fn open_slab(&self, kind: &SlabKind, number: usize) -> bool {
        let opening = SlabKind::opening::<S::Word>();
        let word = self.word_of(kind.natural, number);
        let _transit = self.transit();
        let seized = word.update(|old| free_slots::<S::Word>(old, kind.tag).map(|_| old | opening));
        let Ok(mut state) = seized else { return false };
        state |= opening;
        let first = Block::new(kind.order::<S::Word>(), number).first();
        let slot = |slot: usize| first + slot * kind.leaves..first + (slot + 1) * kind.leaves;
        let is_whole = kind.leaves == kind.natural.leaves();
        // The slots that were marked as allocated blocks. Those of one piece each have their node in
        // the slab's word.
        let mut marked = 0;
        let used = loop {
            let used = !state & kind.slots;
            if !is_whole {
                node::bits(used & !marked)
                    .map(slot)
                    .for_each(|leaves| self.mark_run(leaves.start, leaves.end));
                node::bits(marked & !used)
                    .map(slot)
                    .for_each(|leaves| self.unmark_run(leaves.start, leaves.end));
            }
            marked = used;
            let nodes = if is_whole { node::unpacked(used) * HEAD } else { 0 };
            // It fails if a slot was freed in between.
            match word.update(|old| (old == state).then_some(nodes)) {
                Ok(_) => break used,
                Err(now) => state = now,
            }
        };
        let free = kind.slots & !used;
        let count = free.count_ones() as usize;
        self.count_freed(kind.leaves * count, count);
        let mut from = first;
        for leaves in node::bits(used).map(slot) {
            self.give_back(from, leaves.start);
            from = leaves.end;
        }
        self.give_back(from, first + kind.leaves * kind.count());
        true
    }

    /// Calls something as if a call that opens the slab had stopped behind its nodes.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn while_opening(&self, kind: &SlabKind, number: usize, call: impl FnOnce()) {
        let word = self.word_of(kind.natural, number);
        let old = word.set(SlabKind::opening::<S::Word>());
        let first = Block::new(kind.order::<S::Word>(), number).first();
        let runs = || node::bits(!old & kind.slots).map(|slot| first + slot * kind.leaves);
        runs().for_each(|run| self.mark_run(run, run + kind.leaves));
        call();
        runs().for_each(|run| self.unmark_run(run, run + kind.leaves));
        word.clear(SlabKind::opening::<S::Word>());
    }

    /// The slab that a leaf of the range lies in. O(orders).
    pub(crate) fn slab_around(&self, leaf: usize) -> Option<Slab> {
        let highest = self.geometry.top.checked_sub(Self::SLAB_HEIGHT)?;
        Order::range(0, highest)
            .find_map(|natural| self.slab_at(natural, leaf >> (natural.get() + Self::SLAB_HEIGHT)))
    }

    /// The slabs of that natural order. O(words).
    pub(crate) fn slabs(&self, natural: Order) -> impl Iterator<Item = Slab> {
        let words = self.nodes(natural);
        (words.low..=words.high).filter_map(move |number| self.slab_at(natural, number))
    }

    /// The slab of a word of nodes, if it is one.
    fn slab_at(&self, natural: Order, number: usize) -> Option<Slab> {
        let word = self.word_of(natural, number).load();
        node::is_slab::<S::Word>(word).then(|| Slab {
            natural,
            rank: (word >> (<S::Word as Word>::BITS - upper_bits::<S::Word>() + 1)) as u32
                & (SlabKind::ranks::<S::Word>() - 1),
            number,
            free: word & (SlabKind::opening::<S::Word>() - 1),
        })
    }
}
