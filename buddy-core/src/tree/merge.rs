//! Freeing: a block merges with its buddy while the buddy is free, at once or later.
//!
//! Under a lazy policy each order has one *active* word of nodes: the word that a block was last
//! freed into, or that was last filled. Its free blocks are left as they are, and the next requests
//! of that order are served from it without search, split or merge. When another word becomes
//! active, the old one *rests*, with up to six others in orders of which the range has many words, and is
//! gone on with when the active one is empty. Everything in the one that rested longest merges at once:
//! all pairs of its 32 nodes by one change of the word, their parents by one change of the next order's
//! word, and so on upward. What is left undone is thus bounded by eight words an order.

use super::block::{Block, Pieces};
use super::geometry::{record, rests};
use super::node::{self, FREE, HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, node_shift};
use super::{Taken, Tree};

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Merges everything that the policy left unmerged, at most eight words an order.
    /// O(orders * (orders + summary levels)).
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(1)?;
    /// tree.free(block)?;
    /// tree.settle(); // now, rather than when a request needs it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn settle(&self) {
        if Self::DEFERS {
            // Upward: what merges may come to rest in the active word of the next order.
            for order in self.orders() {
                self.settle_entry(order, &self.record(order)[record::ACTIVE]);
                while let Some(place) = self.last_rest(order) {
                    let _transit = self.transit();
                    match self.pop_rest(order) {
                        Some(entry) => self.retire(order, entry),
                        // Another thread was faster, or left a gap.
                        None => self.settle_entry(order, place),
                    }
                }
                // Threads that were at it together leave gaps.
                let rests = self.rests(order).filter(|_| <S::Word as Word>::SHARED);
                for place in rests.into_iter().flat_map(|rests| &rests[1..]) {
                    self.settle_entry(order, place);
                }
            }
        }
    }

    /// Does what was put off in the word that is told of there, if one is. Who finds none has nothing in
    /// his hands, and disturbs nobody who looks whether others have.
    fn settle_entry(&self, order: Order, place: &S::Word) {
        if place.load() != 0 {
            let _transit = self.transit();
            self.retire(order, place.swap(0));
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
        let _transit = self.transit();
        if !Self::RESTS {
            let freed = word.update(|old| {
                let given = node::with_given(old ^ HEAD << shift, shift);
                node::is_whole::<S::Word>(old, shift).then_some(given)
            });
            return freed.map(|old| self.merge_up(block, old)).is_ok();
        }
        let freed = word.update(|old| {
            node::is_whole::<S::Word>(old, shift).then_some(old ^ ((HEAD ^ FREE) << shift))
        });
        if freed.is_ok() {
            self.count_free(block.order(), 1);
            self.activate(block.order(), block.word_number::<S::Word>());
        }
        freed.is_ok()
    }

    /// Gives up the leaves `first..end`, which the caller owns and whose nodes are `NONE`. O(orders).
    pub(super) fn give_back(&self, first: usize, end: usize) {
        for piece in Pieces::of(first, end).rev() {
            self.insert(piece);
        }
    }

    /// Gives up an owned block, whose node is `NONE`.
    pub(super) fn insert(&self, block: Block) {
        if Self::RESTS {
            self.set_free(block);
            self.settle_word(block.order(), block.word_number::<S::Word>());
        } else {
            let (word, shift) = self.node(block);
            self.merge_up(block, word.change(|old| node::with_given(old, shift)));
        }
    }

    /// As [`Self::insert`], for a block that is likely to be asked for again.
    pub(super) fn insert_active(&self, block: Block) {
        if Self::RESTS {
            self.set_free(block);
            self.activate(block.order(), block.word_number::<S::Word>());
        } else {
            self.insert(block);
        }
    }

    /// Goes on with a block that was given up (`node::with_given`) where its word was `old`: merges it
    /// with its buddy and gives up the parent, while the buddy is free. One change of one word an order.
    fn merge_up(&self, mut block: Block, mut old: usize) {
        loop {
            let (order, number) = (block.order(), block.word_number::<S::Word>());
            let shift = block.shift::<S::Word>();
            if !node::has_free_buddy(old, shift) {
                self.count_free(order, 1);
                return self.offer(order, number);
            }
            let record = self.record(order);
            record[record::FREE].sub(1);
            self.note_taken(order, number, node::without_pair(old, shift));
            block = block.parent();
            let (word, shift) = self.node(block);
            old = word.change(|old| node::with_given(old, shift));
        }
    }

    /// A block was taken from a word that is `now` of it.
    #[inline(always)]
    pub(super) fn note_taken(&self, order: Order, number: usize, now: usize) {
        // The bit of an active word may be either.
        let is_active = Self::DEFERS && self.record(order)[record::ACTIVE].load() == number + 1;
        if !is_active && node::free_nodes::<S::Word>(now) == 0 {
            self.set_summary(order, number, false);
        }
    }

    /// Makes a word findable in which a block was freed that cannot merge.
    #[inline(always)]
    fn offer(&self, order: Order, number: usize) {
        if self.defers(order) {
            self.activate(order, number);
        } else {
            self.set_summary(order, number, true);
        }
    }

    /// Marks an owned block, whose node is `NONE`, as free.
    #[inline]
    pub(super) fn set_free(&self, block: Block) {
        let (word, shift) = self.node(block);
        word.set(FREE << shift);
        self.count_free(block.order(), 1);
    }

    /// Makes a block findable whose word got it as part of a split, so that nothing can merge: the
    /// word becomes the active one if there is none.
    #[inline]
    pub(super) fn publish(&self, order: Order, number: usize) {
        if self.defers(order) {
            let active = &self.record(order)[record::ACTIVE];
            let other = match active.load() {
                0 => active.update(|old| (old == 0).then_some(number + 1)).is_err(),
                entry => entry != number + 1,
            };
            if !other {
                return;
            }
        }
        self.set_summary(order, number, true);
    }

    /// Makes a word the active one of its order; the one that was goes to the order's rests.
    #[inline(always)]
    pub(super) fn activate(&self, order: Order, number: usize) {
        let active = &self.record(order)[record::ACTIVE];
        if active.load() != number + 1 {
            let _transit = self.transit();
            let entry = active.swap(number + 1);
            if entry != 0 {
                self.put_to_rest(order, entry);
            }
        }
    }

    /// Keeps what is free in a word that was active for later; `entry` is its number + 1. The caller is
    /// in transit.
    #[inline(always)]
    fn put_to_rest(&self, order: Order, entry: usize) {
        if self.is_empty(order, entry - 1) {
            return self.let_go(order, entry);
        }
        if !Self::RESTS && !<S::Word as Word>::SHARED {
            // Nothing was put off but this.
            return self.set_summary(order, entry - 1, true);
        }
        let Some(rests) = self.rests(order) else { return self.retire(order, entry) };
        let last = rests[rests::LAST].load();
        let place = if last < rests::PLACES { last + 1 } else { 1 };
        rests[rests::LAST].store(place);
        // The oldest, if all places are taken.
        let oldest = rests[place].swap(entry);
        if oldest != 0 {
            self.retire(order, oldest);
        }
    }

    /// The words that were active, of orders that keep them.
    #[inline(always)]
    pub(super) fn rests(&self, order: Order) -> Option<&[S::Word; rests::WORDS]> {
        if !Self::RESTS || order.get() >= self.geometry.resting {
            return None;
        }
        self.words().get(self.geometry.rests(order.get())..)?.first_chunk()
    }

    /// Where the last word of an order's rests is told of, if there is one.
    fn last_rest(&self, order: Order) -> Option<&S::Word> {
        let rests = self.rests(order)?;
        let last = rests[rests::LAST].load();
        rests.get(last).filter(|place| last != 0 && place.load() != 0)
    }

    /// Takes the last word from an order's rests: its number + 1. The caller is in transit.
    #[inline]
    fn pop_rest(&self, order: Order) -> Option<usize> {
        let (rests, place) = (self.rests(order)?, self.last_rest(order)?);
        let last = rests[rests::LAST].load();
        let entry = place.swap(0);
        rests[rests::LAST].store(if last > 1 { last - 1 } else { rests::PLACES });
        (entry != 0).then_some(entry)
    }

    /// As [`Self::retire`], of a word that was seen to have nothing free.
    #[inline(always)]
    fn let_go(&self, order: Order, entry: usize) {
        if <S::Word as Word>::SHARED {
            self.retire(order, entry);
        } else {
            self.set_summary(order, entry - 1, false);
        }
    }

    #[inline(always)]
    fn is_empty(&self, order: Order, number: usize) -> bool {
        node::free_nodes::<S::Word>(self.word_of(order, number).load()) == 0
    }

    /// Does what was put off while a word was active or at rest; `entry` is its number + 1, or 0. The
    /// caller is in transit.
    #[inline(never)]
    fn retire(&self, order: Order, entry: usize) {
        if entry != 0 {
            // Whoever frees into the word from now on sees that it is not active any more; whoever
            // did before is seen by the next read.
            self.word_of(order, entry - 1).reread();
            self.settle_word(order, entry - 1);
        }
    }

    /// Merges every pair of free buddies in a word, their parents, and so on up to an active word,
    /// and brings the summaries up to date: at most one word an order.
    fn settle_word(&self, mut order: Order, mut number: usize) {
        loop {
            if Self::RESTS && self.record(order)[record::ACTIVE].load() == number + 1 {
                return;
            }
            let word = self.word_of(order, number);
            let merged = word.update(|old| {
                let pairs = node::free_pairs::<S::Word>(old);
                (pairs != 0).then_some(old & !(pairs | pairs << 2))
            });
            let (left, pairs) = match merged {
                Ok(old) => {
                    let pairs = node::free_pairs::<S::Word>(old);
                    (old & !(pairs | pairs << 2), pairs)
                }
                Err(old) => (old, 0),
            };
            self.set_summary(order, number, node::free_nodes::<S::Word>(left) != 0);
            if pairs == 0 {
                return;
            }
            let count = if pairs.is_power_of_two() { 1 } else { pairs.count_ones() as usize };
            self.record(order)[record::FREE].sub(2 * count);
            let upper_half = number & 1 == 1;
            (order, number) = (order.up(), number >> 1);
            let shift = if upper_half { <S::Word as Word>::BITS / 2 } else { 0 };
            self.word_of(order, number).set(node::parents(pairs) << shift);
            self.count_free(order, count);
        }
    }

    /// Takes a free block from the active word of `order`, or the next at rest that has one, and leaves
    /// its node in `state`.
    pub(super) fn take_resting(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        self.take_active(order, state).or_else(|| self.take_rest(order, state))
    }

    /// As [`Self::take_resting`], where the active word has nothing.
    #[inline]
    pub(super) fn take_rest(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        for _ in 0..rests::WORDS {
            if !self.revive(order) {
                break;
            }
            let taken = self.take_active(order, state);
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// The first free block in the active word, where nothing rests there.
    #[inline]
    pub(super) fn active_block(&self, order: Order) -> Option<Block> {
        if !Self::DEFERS || Self::RESTS {
            return None;
        }
        let number = self.record(order)[record::ACTIVE].load().checked_sub(1)?;
        let free = node::free_nodes::<S::Word>(self.word_of(order, number).load());
        let first = (number << node_shift::<S::Word>()) + free.trailing_zeros() as usize / 2;
        (free != 0).then_some(Block::new(order, first))
    }

    /// Makes the last word of an order's rests the active one; says whether there was one.
    pub(super) fn revive(&self, order: Order) -> bool {
        // Nobody is in transit who finds nothing.
        if <S::Word as Word>::SHARED && self.last_rest(order).is_none() {
            return false;
        }
        let _transit = self.transit();
        let Some(entry) = self.pop_rest(order) else { return false };
        let emptied = self.record(order)[record::ACTIVE].swap(entry);
        if emptied != 0 {
            self.let_go(order, emptied);
        }
        true
    }

    /// Takes a free block from the active word of `order` and leaves its node in `state`.
    #[inline(always)]
    pub(super) fn take_active(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        if !Self::DEFERS {
            return None;
        }
        let record = self.record(order);
        let active = record[record::ACTIVE].load();
        // Where nothing rests, the lowest block is taken: here it is the only one, if it is here.
        if active == 0 || !Self::RESTS && record[record::FREE].load() != 1 {
            return None;
        }
        let transit = (state == NONE).then(|| self.transit());
        let taken = self.word_of(order, active - 1).update(|old| {
            let free = node::free_nodes::<S::Word>(old);
            let lowest = free & free.wrapping_neg();
            (free != 0).then_some(old ^ (lowest * (FREE ^ state)))
        });
        let free = node::free_nodes::<S::Word>(taken.ok()?);
        self.record(order)[record::FREE].sub(1);
        // Emptied, after another thread made another word the active one: now its bit counts.
        if free & free.wrapping_sub(1) == 0 && self.record(order)[record::ACTIVE].load() != active {
            let _transit = self.transit();
            self.set_summary(order, active - 1, false);
        }
        let index = ((active - 1) << node_shift::<S::Word>()) + free.trailing_zeros() as usize / 2;
        Some(Taken { block: Block::new(order, index), transit })
    }
}
