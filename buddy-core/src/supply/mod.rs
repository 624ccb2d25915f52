//! Where blocks come from and go to: slabs of small blocks, then the tree.
//!
//! A request for a small block is served from a *slab* of its size class (`tree/slab.rs`): it takes a
//! free slot by one change of the slab's word, and a free gives the slot back by another. Neither
//! looks at a node. Each lane (a CPU, or all of them) has a *hint* for each class, the slab that it
//! takes from. When that has no free slot, it goes on with the lowest that has one; when there is none,
//! a block of the tree becomes a slab. A slab of which all slots are free goes back to the tree, unless
//! it is a lane's hint, or one of a few that are kept.
//!
//! - **M1** The word of a slab is the only place that says whether a slot is free. A free finds it by the
//!   block's address and class, whoever frees it; so of several frees of one slot one succeeds.
//! - **M2** A slab with a free slot is marked in its class's summaries, or a call that is in transit
//!   will see to it. (So a slab without free slots gets one in transit only.) Whoever is short of
//!   memory raises PRESSURE and makes trees again of all marked slabs; from then on until PRESSURE is 0
//!   again, whoever marks a slab or raises one makes a tree of it.
//!
//! Hints, and the counts of demand and of kept slabs, may be wrong; only time is lost then.

#[cfg(all(test, loom))]
mod loom_models;
mod shape;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use shape::Shape;
use shape::record;

use crate::class::Class;
use crate::tree::{
    Extent, FreeError, Kind, Order, Policy, Slab, SlabKind, Storage, Tree, Word, max_value,
};
use core::ops::Range;

/// A slab is raised at the first request of its class only if so many times its size is free.
const FREE_FOR_A_SLAB: usize = 1 << 12;
/// If so many times its size is free, after some requests.
const FREE_ON_DEMAND: usize = 1 << 4;
/// After how many.
const DEMAND: usize = 8;
/// Slabs of a class are kept that together are no more than this part of what is free.
const FREE_FOR_KEPT: usize = 1 << 8;
/// A block that grows is likely to grow again, and is small only if so many times its size is free.
const FREE_FOR_A_SMALL_BLOCK: usize = 1 << 13;

/// A tree with slabs before it: blocks by size class.
pub(crate) struct Supply<'t, S: Storage, P: Policy> {
    tree: &'t Tree<S, P>,
    /// What is known of the slabs of each class lies behind the tree's own words.
    shape: &'t Shape,
}

impl<S: Storage, P: Policy> Clone for Supply<'_, S, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Storage, P: Policy> Copy for Supply<'_, S, P> {}

/// A block that was allocated from a new slab.
pub(crate) struct Supplied {
    pub(crate) first: usize,
    /// The slab's leaves.
    pub(crate) fresh: Range<usize>,
}

/// A slot of a slab.
struct Slot {
    class: Class,
    first: usize,
    is_free: bool,
}

/// Where a slot's bit is.
struct Seat<'t, S: Storage> {
    word: &'t S::Word,
    /// The slab's number.
    number: usize,
    bit: usize,
}

/// What is known of a class of slabs.
struct Record<'t, W>(&'t [W; record::WORDS]);

impl<W: Word> Record<'_, W> {
    #[inline(always)]
    fn at(&self, field: usize) -> usize {
        self.0[field].load()
    }

    fn kind(&self, class: Class) -> SlabKind {
        let tag = self.at(record::TAG);
        let natural = Order::new(class.natural).unwrap_or(Order::MAX);
        SlabKind { natural, leaves: class.leaves, tag, slots: self.at(record::WHOLE) ^ tag }
    }
}

/// Where slots are: the hot paths.
impl<'t, S: Storage, P: Policy> Supply<'t, S, P> {
    /// The supply from a tree, with slabs as the shape says.
    #[inline(always)]
    pub(crate) fn new(tree: &'t Tree<S, P>, shape: &'t Shape) -> Self {
        Self { tree, shape }
    }

    #[inline(always)]
    fn words(self) -> &'t [S::Word] {
        self.tree.words()
    }

    /// The record of a class; `None` if it has no slabs.
    #[inline(always)]
    fn record(self, class: Class) -> Option<Record<'t, S::Word>> {
        if class.index >= self.shape.classes {
            return None;
        }
        Some(Record(self.words().get(self.shape.record(class.index)..)?.first_chunk()?))
    }

    /// The lane of the calling CPU.
    #[inline(always)]
    fn lane(self) -> usize {
        if P::CPUS <= 1 { 0 } else { P::cpu() % P::CPUS % self.shape.lanes }
    }

    /// The place of the slab that the lane takes slots of a class from: the metadata index of its word.
    #[inline(always)]
    fn hint(self, record: &Record<'t, S::Word>, class: Class, lane: usize) -> Option<&'t S::Word> {
        if P::CPUS <= 1 {
            Some(&record.0[record::HINT])
        } else {
            self.words().get(self.shape.hint(class.index, lane))
        }
    }

    /// The number of the slab with its word at that metadata index.
    #[inline(always)]
    fn number(record: &Record<'t, S::Word>, at: usize) -> usize {
        at.wrapping_sub(record.at(record::BASE)) & max_value::<S::Word>()
    }

    /// The metadata index of the word of a slab.
    #[inline(always)]
    fn place(record: &Record<'_, S::Word>, number: usize) -> usize {
        record.at(record::BASE).wrapping_add(number) & max_value::<S::Word>()
    }

    /// Takes a free slot of a slab with that tag: the word before.
    #[inline(always)]
    fn take_from(word: &S::Word, tag: usize) -> Option<usize> {
        // One comparison: the tag is right, and a slot is free.
        let has_free = |old: usize| (old ^ tag).wrapping_sub(1) < Self::ALL_SLOTS;
        word.update(|old| has_free(old).then_some(old & old.wrapping_sub(1))).ok()
    }

    /// The bits of as many slots as a word has room for.
    const ALL_SLOTS: usize = (1 << SlabKind::most_slots::<S::Word>()) - 1;

    /// Takes a block of the class from the slab that the lane took from before: its first leaf.
    #[inline(always)]
    pub(crate) fn take(self, class: Class) -> Option<usize> {
        let record = self.record(class)?;
        let at = self.hint(&record, class, self.lane())?.load();
        let old = Self::take_from(self.words().get(at)?, record.at(record::TAG))?;
        let number = Self::number(&record, at);
        Some(Self::first_leaf(class, number) + old.trailing_zeros() as usize * class.leaves)
    }

    /// The first leaf of a slab.
    #[inline(always)]
    fn first_leaf(class: Class, number: usize) -> usize {
        number << (class.natural + Tree::<S, P>::SLAB_HEIGHT)
    }

    /// Frees the block of the class at `first`, if it is one; says whether it was.
    #[inline(always)]
    pub(crate) fn give(self, first: usize, class: Class) -> bool {
        match self.record(class) {
            Some(record) => self.give_slot(first, class, &record),
            None => self.tree.free_sized(first, class.leaves).is_ok(),
        }
    }

    #[inline(always)]
    fn give_slot(self, first: usize, class: Class, record: &Record<'t, S::Word>) -> bool {
        let shift = class.natural + Tree::<S, P>::SLAB_HEIGHT;
        let at = Self::place(record, first >> shift);
        let slot = Self::slot(first & ((1 << shift) - 1), class, record);
        if let Some(word) = self.words().get(at).filter(|_| slot < S::Word::BITS) {
            let (tag, whole) = (record.at(record::TAG), record.at(record::WHOLE));
            let bit = 1 << slot;
            // The tag is right, and the slot is there and not free; nor is it the first to be free (M2).
            let is_plain = |old: usize| {
                let held = old ^ whole;
                held <= Self::ALL_SLOTS && held & bit != 0 && old != tag
            };
            if let Ok(old) = word.update(|old| is_plain(old).then_some(old | bit)) {
                if old ^ whole == bit {
                    self.note_whole(class, record, at);
                }
                return true;
            }
        }
        self.give_slow(first, class)
    }

    /// The number of the slot so many leaves behind its slab's first; what is no slot's number if no
    /// slot begins there.
    ///
    /// Exact division by multiplication with the inverse of the odd part: T. Granlund and
    /// P. L. Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994, section 9.
    #[inline(always)]
    fn slot(within: usize, class: Class, record: &Record<'t, S::Word>) -> u32 {
        let odd = (within as u32).wrapping_mul(record.at(record::INVERSE) as u32);
        odd.rotate_right(class.leaves.trailing_zeros())
    }

    /// All slots of a slab are free.
    #[inline(always)]
    fn note_whole(self, class: Class, record: &Record<'t, S::Word>, at: usize) {
        if self.hint(record, class, self.lane()).is_none_or(|hint| hint.load() != at) {
            self.keep_or_raze(class, at);
        }
    }
}

/// The slow side: raising slabs, finding them, giving them back.
impl<'t, S: Storage, P: Policy> Supply<'t, S, P> {
    /// Whether a block of the class is so small that it is better moved than grown.
    pub(crate) fn is_small(self, class: Class) -> bool {
        class.leaves <= self.tree.free_leaves() / FREE_FOR_A_SMALL_BLOCK
    }

    /// Takes a block of the class from any slab: its first leaf.
    #[inline(never)]
    pub(crate) fn take_marked(self, class: Class) -> Option<usize> {
        let record = self.record(class)?;
        if P::CPUS <= 1 {
            return self.take_behind(class, &record, 0, false);
        }
        // First from where the lane is, and none that another lane takes from.
        let hint = self.hint(&record, class, self.lane())?.load();
        let near = if hint == 0 { self.start(class) } else { Self::number(&record, hint) };
        let taken = self.take_behind(class, &record, near, true);
        taken.or_else(|| self.take_behind(class, &record, 0, false))
    }

    /// The number of the slab, or what may become one, from where the calling CPU searches the tree.
    fn start(self, class: Class) -> usize {
        self.tree.start() >> (class.natural + Tree::<S, P>::SLAB_HEIGHT)
    }

    /// Takes a slot of the first slab that has one, from number `from` on; of none that is the hint of a
    /// lane, if `is_polite`.
    fn take_behind(
        self,
        class: Class,
        record: &Record<'_, S::Word>,
        mut from: usize,
        is_polite: bool,
    ) -> Option<usize> {
        let (kind, above) = (record.kind(class), record.at(record::MARKS));
        loop {
            from = self.tree.find_slab(&kind, above, from)?;
            let at = Self::place(record, from);
            if is_polite && self.is_hint(class, record, at) {
                from += 1;
                continue;
            }
            // `None` if others were faster.
            if let Some(old) = Self::take_from(self.words().get(at)?, kind.tag) {
                self.hint(record, class, self.lane())?.store(at);
                if old == kind.tag | kind.slots {
                    let _ = record.0[record::KEPT].update(|kept| kept.checked_sub(1));
                }
                let slot = old.trailing_zeros() as usize;
                return Some(Self::first_leaf(class, from) + slot * class.leaves);
            }
        }
    }

    /// Whether a lane takes from the slab with its word there.
    fn is_hint(self, class: Class, record: &Record<'_, S::Word>, at: usize) -> bool {
        let mut hints = (0..self.shape.lanes).filter_map(|lane| self.hint(record, class, lane));
        hints.any(|hint| hint.load() == at)
    }

    /// Takes a block of the class from a slab that is made for it; `None` if it is not worth one, or
    /// there is no block for one.
    pub(crate) fn raise(self, class: Class) -> Option<Supplied> {
        let record = self.record(class)?;
        if !self.is_worth_a_slab(class, &record) || self.is_short() {
            return None;
        }
        self.raise_for(class, &record)
    }

    fn raise_for(self, class: Class, record: &Record<'_, S::Word>) -> Option<Supplied> {
        let kind = record.kind(class);
        let (number, _transit) = self.tree.raise_slab(&kind)?;
        self.hint(record, class, self.lane())?.store(Self::place(record, number));
        self.mark(&kind, record, number);
        let first = Self::first_leaf(class, number);
        Some(Supplied { first, fresh: first..first + kind.leaves * kind.count() })
    }

    fn is_worth_a_slab(self, class: Class, record: &Record<'_, S::Word>) -> bool {
        let (free, slab) = (self.tree.free_leaves(), Self::first_leaf(class, 1));
        if slab <= free / FREE_FOR_A_SLAB {
            return true;
        }
        let demand = &record.0[record::DEMAND];
        let is_wanted = demand.load() >= DEMAND;
        if !is_wanted {
            demand.add(1);
        }
        is_wanted && slab <= free / FREE_ON_DEMAND
    }

    /// Makes a slab findable that has a free slot; the caller is in transit (M2).
    fn mark(self, kind: &SlabKind, record: &Record<'_, S::Word>, number: usize) {
        self.tree.publish_slab(kind, record.at(record::MARKS), number);
        // Whoever is short of memory may have looked before. Read by a change: whoever raises PRESSURE
        // after it sees the mark.
        let is_short = self.words().get(self.shape.pressure).is_some_and(|word| word.reread() != 0);
        if is_short {
            self.tree.open_slab(kind, number);
        }
    }

    /// The seat of the block of the class at `first`; `None` if a slot of the class would not begin there.
    fn seat(self, first: usize, class: Class, record: &Record<'t, S::Word>) -> Option<Seat<'t, S>> {
        let number = first >> (class.natural + Tree::<S, P>::SLAB_HEIGHT);
        let slot = Self::slot(first - Self::first_leaf(class, number), class, record);
        // Behind the last slot blocks are the tree's, those of the class, too.
        let is_slot = slot < S::Word::BITS && record.kind(class).slots >> slot & 1 == 1;
        let word = self.words().get(Self::place(record, number)).filter(|_| is_slot)?;
        Some(Seat { word, number, bit: 1 << slot })
    }

    /// Whether a word is that of a slab with this tag, opened or not.
    #[inline(always)]
    fn is_own(word: usize, tag: usize) -> bool {
        (word & !SlabKind::opening::<S::Word>()) ^ tag <= Self::ALL_SLOTS
    }

    /// As [`Self::give`], of a block that is no slot, or the first to be free, or in a slab that is opened.
    #[inline(never)]
    fn give_slow(self, first: usize, class: Class) -> bool {
        let Some(record) = self.record(class) else { return false };
        let tag = record.at(record::TAG);
        let seat = self.seat(first, class, &record);
        if let Some(Seat { word, number, bit }) =
            seat.filter(|seat| Self::is_own(seat.word.load(), tag))
        {
            // Before the first of its slots is free (M2).
            let _transit = self.tree.transit();
            let is_held = |old: usize| Self::is_own(old, tag) && old & bit == 0;
            match word.update(|old| is_held(old).then_some(old | bit)) {
                Ok(old) => {
                    if old & SlabKind::opening::<S::Word>() == 0 {
                        self.note_freed(class, &record, number, old | bit);
                    }
                    return true;
                }
                Err(now) if Self::is_own(now, tag) => return false,
                // It is a tree by now.
                Err(_) => {}
            }
        }
        self.tree.free_sized(first, class.leaves).is_ok()
    }

    /// A slot was freed; the slab's word is `now`.
    fn note_freed(self, class: Class, record: &Record<'_, S::Word>, number: usize, now: usize) {
        let kind = record.kind(class);
        self.mark(&kind, record, number);
        if now == kind.tag | kind.slots {
            self.note_whole(class, record, Self::place(record, number));
        }
    }

    /// A slab of which all slots are free, and from which the caller's lane does not take, is kept for
    /// later, or goes back to the tree.
    #[inline(never)]
    fn keep_or_raze(self, class: Class, at: usize) {
        let Some(record) = self.record(class) else { return };
        if self.shape.lanes > 1 && self.is_hint(class, &record, at) {
            return;
        }
        let most = self.tree.free_leaves() / FREE_FOR_KEPT / Self::first_leaf(class, 1);
        let kept = record.0[record::KEPT].update(|kept| (kept < most).then_some(kept + 1));
        if kept.is_err() {
            self.tree.raze_slab(&record.kind(class), Self::number(&record, at));
        }
    }

    /// Attempts to take something from the tree; if there is not enough, once more while no slot of
    /// a slab is free.
    pub(crate) fn insist<T>(self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        attempt().or_else(|| {
            let pressure = self.words().get(self.shape.pressure).filter(|_| !self.shape.is_none());
            if let Some(pressure) = pressure {
                pressure.add(1);
            }
            self.settle();
            let taken = attempt();
            if let Some(pressure) = pressure {
                pressure.sub(1);
            }
            taken
        })
    }

    /// Whether anybody is short of memory.
    fn is_short(self) -> bool {
        self.words().get(self.shape.pressure).is_some_and(|pressure| pressure.load() != 0)
    }

    /// The classes that have slabs, and their records.
    fn classes(self) -> impl Iterator<Item = (Class, Record<'t, S::Word>)> {
        let classes = (0..self.shape.classes).map(|index| Class::at(index, P::PRECISION));
        classes.filter_map(move |class| Some((class, self.record(class)?)))
    }

    /// The slabs of a class with a free slot, the lowest first: their numbers.
    fn marked(self, kind: SlabKind, record: &Record<'t, S::Word>) -> impl Iterator<Item = usize> {
        let (above, mut from) = (record.at(record::MARKS), 0);
        core::iter::from_fn(move || {
            let number = self.tree.find_slab(&kind, above, from)?;
            from = number + 1;
            Some(number)
        })
    }

    /// Makes trees again of all slabs with a free slot. O(classes), and O(slots * orders) for each.
    pub(crate) fn settle(self) {
        for (class, record) in self.classes() {
            let kind = record.kind(class);
            for number in self.marked(kind, &record) {
                // Another call may be at it.
                self.tree.open_slab(&kind, number);
            }
            record.0[record::DEMAND].store(0);
            record.0[record::KEPT].store(0);
        }
    }

    /// Makes trees again of all slabs. O(words).
    pub(crate) fn dissolve(self) {
        let highest = self.classes().map(|(class, _)| class.natural).max();
        let orders = highest.into_iter().flat_map(|highest| 0..=highest).filter_map(Order::new);
        for slab in orders.flat_map(|natural| self.tree.slabs(natural)) {
            let class = Self::class_of(&slab);
            if let Some(record) = self.record(class) {
                self.tree.open_slab(&record.kind(class), slab.number);
            }
        }
        self.settle();
    }

    /// Makes it one without slabs, whatever the words hold.
    pub(crate) fn clear(self) {
        self.shape.clear(self.tree.words());
        self.lay_out();
    }

    /// Makes it one without slabs, in words that hold zeros. O(classes).
    pub(crate) fn lay_out(self) {
        self.shape.lay_out(self.tree);
    }
}

/// What a leaf belongs to.
impl<S: Storage, P: Policy> Supply<'_, S, P> {
    /// The class of a slab's slots.
    fn class_of(slab: &Slab) -> Class {
        let ranks = SlabKind::ranks::<S::Word>();
        Class::ranked(slab.natural.get(), slab.rank, ranks, P::PRECISION)
    }

    /// The slot that a leaf lies in. O(orders).
    fn slot_around(self, leaf: usize) -> Option<Slot> {
        if self.shape.is_none() {
            return None;
        }
        let slab = self.tree.slab_around(leaf)?;
        let class = Self::class_of(&slab);
        let first = Self::first_leaf(class, slab.number);
        let slot = (leaf - first) / class.leaves;
        let is_there = slot < self.record(class)?.kind(class).count();
        is_there.then(|| Slot {
            class,
            first: first + slot * class.leaves,
            is_free: slab.free >> slot & 1 == 1,
        })
    }

    /// What a leaf belongs to; a free slot is an extent of its own. O(orders) but for long runs.
    pub(crate) fn extent_at(self, leaf: usize) -> Option<Extent> {
        match self.slot_around(leaf) {
            Some(Slot { class, first, is_free, .. }) => {
                let kind = if is_free { Kind::Free } else { Kind::Used };
                Some(Extent { first, leaves: class.leaves, kind })
            }
            None => self.tree.extent_at(leaf),
        }
    }

    /// How many leaves the allocated block at `first` has. O(orders).
    pub(crate) fn leaves_of(self, first: usize) -> Result<usize, FreeError> {
        match self.slot_around(first) {
            Some(slot) if slot.is_free => Err(FreeError::AlreadyFree { leaf: first }),
            Some(slot) if slot.first != first => {
                Err(FreeError::NotStart { leaf: first, block: slot.first })
            }
            Some(slot) => Ok(slot.class.leaves),
            None => self.tree.leaves_of(first),
        }
    }

    /// Where a block of the class is known that is allocated at `first`; `None` if none is.
    pub(crate) fn find(self, first: usize, class: Class) -> Option<Place> {
        if let Some(record) = self.record(class) {
            let tag = record.at(record::TAG);
            let seat = self.seat(first, class, &record).map(|seat| (seat.word.load(), seat.bit));
            if let Some((word, bit)) = seat.filter(|(word, _)| Self::is_own(*word, tag)) {
                return (word & bit == 0).then_some(Place::Slab);
            }
        }
        self.tree.has_block(first, class.leaves).then_some(Place::Tree)
    }

    /// Detaches the block of the class at `first` from the tree, if one is allocated there; of a slab
    /// with it a tree is made before. Says whether there was one.
    pub(crate) fn detach(self, first: usize, class: Class) -> bool {
        for _ in 0..=P::PATIENCE {
            let Some(Place::Slab) = self.find(first, class) else { break };
            let Some(record) = self.record(class) else { break };
            let number = first >> (class.natural + Tree::<S, P>::SLAB_HEIGHT);
            if self.tree.open_slab(&record.kind(class), number) {
                break;
            }
            // Another call is at it.
            core::hint::spin_loop();
        }
        self.tree.detach(first, class.leaves)
    }

    /// Leaves of free slots. O(classes + slabs that have some).
    pub(crate) fn resting(self) -> usize {
        let leaves = |(class, record): (Class, Record<'_, S::Word>)| {
            let kind = record.kind(class);
            let word =
                |number| self.words().get(Self::place(&record, number)).map_or(0, Word::load);
            let free = |number| (word(number) & kind.slots).count_ones() as usize;
            self.marked(kind, &record).map(free).sum::<usize>() * class.leaves
        };
        self.classes().map(leaves).sum()
    }
}

/// Where an allocated block is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// It is a slot of a slab.
    Slab,
    /// In the tree's nodes.
    Tree,
}
