//! Where blocks come from and go to: slabs of small blocks, then the tree.
//!
//! A request for a small block is served from a *slab* of its size class (`tree/slab.rs`): it takes a
//! free slot by one change of the slab's word, and a free gives the slot back by another. Neither
//! looks at a node. Each lane (a CPU, or all of them) has a *hint* for each class, the slab that it
//! takes from. When that has no free slot, it goes on with the lowest that has one; when there is none,
//! a block of the tree becomes a slab. A slab of which all slots are free goes back to the tree, unless
//! it is a lane's hint, or one of a few that are kept.
//!
//! For one thread the blocks that were freed last rest on a *stack*, a few of each class (`stack.rs`), and
//! are taken from there again, without a change of the slab or the tree. Classes have one whose blocks are
//! too large for slabs, too.
//!
//! - **M1** The word of a slab says whether a slot is free; a slot that it says is held may rest on the
//!   class's stack instead, if there is one thread. A free finds the word by the block's address and
//!   class, whoever frees it; so of several frees of one slot one succeeds.
//! - **M2** A slab with a free slot is marked in its class's summaries, or a call that is in transit
//!   will see to it. (So a slab without free slots gets one in transit only.) Whoever is short of
//!   memory raises PRESSURE and makes trees again of all marked slabs; from then on until PRESSURE is 0
//!   again, whoever marks a slab or raises one makes a tree of it.
//! - **M3** What rests on a class's stack is a held slot or, of a class without slabs, a held block of the
//!   tree that is aligned as slots are, or, while the stack is being emptied, what was one: it is emptied before a slab
//!   of the class is made a tree. What was taken from it and is above its top is held, and of the class
//!   still: a stack forgets a block that is freed elsewhere or resized.
//!
//! Hints, and the counts of demand and of kept slabs, may be wrong; only time is lost then.

mod inspect;
#[cfg(all(test, loom))]
mod loom_models;
mod shape;
mod stack;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use inspect::Place;
pub(crate) use shape::Shape;
use shape::record;
use stack::Stack;

use crate::class::Class;
use crate::tree::{Order, Policy, SlabKind, Storage, Tree, Word, max_value};
use core::ops::Range;

/// A slab is raised at the first request of its class only if so many times its size is free.
const FREE_FOR_A_SLAB: usize = 1 << 12;
/// If so many times its size is free, after some requests.
const FREE_ON_DEMAND: usize = 1 << 4;
/// After how many.
const DEMAND: usize = 8;
/// Slabs of a class are kept that together are no more than this part of what is free.
const FREE_FOR_KEPT: usize = 1 << 8;
/// A block that grows is likely to grow again, and is small only if so many times its size is free,
const FREE_FOR_A_SMALL_BLOCK: usize = 1 << 13;
/// or if it has no more leaves than this.
const SMALL_BLOCK: usize = 64;
/// So many blocks of a class without slabs rest.
const LARGE_BLOCKS: usize = 2;

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

/// Where a slot's bit is.
struct Seat<'t, S: Storage> {
    word: &'t S::Word,
    /// The slab's number.
    slab: usize,
    /// The slot's number.
    slot: u32,
}

/// What is known of a class of slabs.
struct Record<'t, W>(&'t [W; record::WORDS]);

impl<'t, W: Word> Record<'t, W> {
    #[inline(always)]
    fn at(&self, field: usize) -> usize {
        self.0[field].load()
    }

    /// The blocks that were freed last.
    #[inline(always)]
    fn stack(&self) -> Stack<'t, W> {
        Stack(&self.0[record::STACK..])
    }

    /// The word of a slab without free slots.
    #[inline(always)]
    fn tag(&self) -> usize {
        self.at(record::WHOLE) & !SlabKind::all_slots::<W>()
    }

    fn kind(&self, class: Class) -> SlabKind {
        let natural = Order::new(class.natural).unwrap_or(Order::MAX);
        let (tag, whole) = (self.tag(), self.at(record::WHOLE));
        SlabKind { natural, leaves: class.leaves, tag, slots: whole ^ tag }
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

    /// The record of a class; `None` if it has neither slabs nor a stack.
    #[inline(always)]
    fn record(self, class: Class) -> Option<Record<'t, S::Word>> {
        if class.index >= self.shape.records {
            return None;
        }
        // With several lanes what follows a record is not its own, but there: the next, and the hints.
        let at = self.shape.record::<P>(class.index);
        Some(Record(self.words().get(at..at + record::WORDS)?.first_chunk()?))
    }

    /// The lane of the calling CPU.
    #[inline(always)]
    fn lane() -> usize {
        if P::CPUS <= 1 { 0 } else { P::cpu() % Shape::lanes::<P>() }
    }

    /// The place of the slab that the lane takes slots of a class from: the metadata index of its word.
    #[inline(always)]
    fn hint(self, record: &Record<'t, S::Word>, class: Class, lane: usize) -> Option<&'t S::Word> {
        if P::CPUS <= 1 {
            Some(&record.0[record::HINT])
        } else {
            self.words().get(self.shape.hint::<P>(class.index, lane))
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
    const ALL_SLOTS: usize = SlabKind::all_slots::<S::Word>();
    const MOST_SLOTS: usize = SlabKind::most_slots::<S::Word>();

    /// Whether freed blocks rest on stacks, which are for one thread.
    const STACKS: bool = Shape::has_stacks::<S::Word, P>();

    /// The record of a class that has slabs.
    fn slabs_of(self, class: Class) -> Option<Record<'t, S::Word>> {
        self.record(class).filter(|_| class.index < self.shape.classes)
    }

    /// Takes a block of the class that was freed last, or from the slab that the lane took from before:
    /// its first leaf.
    #[inline(always)]
    pub(crate) fn take(self, class: Class) -> Option<usize> {
        let record = self.record(class)?;
        if Self::STACKS {
            if let Some(first) = record.stack().pop() {
                return Some(first);
            }
        }
        let at = self.hint(&record, class, Self::lane())?.load();
        let old = Self::take_from(self.words().get(at)?, record.tag())?;
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
        self.give_plain(first, class) || self.give_slow(first, class)
    }

    /// As [`Self::give`], if nothing is to be done but to put a block on the stack, or free a slot in its
    /// slab.
    #[inline(always)]
    pub(crate) fn give_plain(self, first: usize, class: Class) -> bool {
        let Some(record) = self.record(class) else {
            return false;
        };
        if !Self::STACKS {
            return self.give_shared(first, class, &record).is_some();
        }
        let stack = record.stack();
        stack.put_back_last(first)
            || stack.put_back(first).is_some_and(|is_back| {
                is_back || self.give_unknown(first, class, &record).is_some()
            })
    }

    /// As [`Self::give_plain`], of a block that is not known to the stack.
    #[inline(always)]
    fn give_unknown(self, first: usize, class: Class, record: &Record<'t, S::Word>) -> Option<()> {
        let (at, number) = Self::seat_of(first, class, record);
        let word = self.words().get(at).filter(|_| number < S::Word::BITS)?;
        let (whole, old) = (record.at(record::WHOLE), word.load());
        if !Self::is_held(old, whole, number) {
            return None;
        }
        if record.stack().push(first, stack::MOST) {
            return Some(());
        }
        // The slab has another free slot (M2), and does not become whole, unless it is taken from.
        let has_free = old & Self::ALL_SLOTS != 0;
        let stays = (old ^ whole) & !(1 << number) != 0 || record.at(record::HINT) == at;
        (has_free && stays).then(|| word.store(old | 1 << number))
    }

    /// As [`Self::give_plain`], where there are no stacks.
    #[inline(always)]
    fn give_shared(self, first: usize, class: Class, record: &Record<'t, S::Word>) -> Option<()> {
        let (at, number) = Self::seat_of(first, class, record);
        let word = self.words().get(at).filter(|_| number < S::Word::BITS)?;
        let whole = record.at(record::WHOLE);
        let has_free = |old: usize| old & Self::ALL_SLOTS != 0;
        let is_marked = || S::Word::SHARED && self.is_marked(record, Self::number(record, at));
        let hint = self.hint(record, class, Self::lane())?;
        // The slab has another free slot or is marked nevertheless (M2), and does not become whole, unless
        // the lane takes from it.
        let is_plain = |old: usize| {
            let stays = (old ^ whole) & !(1 << number) != 0 || hint.load() == at;
            Self::is_held(old, whole, number) && stays && (has_free(old) || is_marked())
        };
        let old = word.update(|old| is_plain(old).then_some(old | 1 << number)).ok()?;
        // Whoever cleared the mark in between, or is short of memory, has seen this slot, or else has
        // changed the word before, so that this call sees what it did.
        if S::Word::SHARED && !has_free(old) && (!is_marked() || self.is_short()) {
            self.mark_late(class.index, Self::number(record, at));
        }
        Some(())
    }

    /// Whether a word is that of the slab with this word when it is whole, and the slot is there and held.
    #[inline(always)]
    fn is_held(word: usize, whole: usize, number: u32) -> bool {
        (word ^ whole) >> number & 1 == 1 && (word ^ whole) >> Self::MOST_SLOTS == 0
    }

    /// Whether a slab is marked as having a free slot; not, if its class has no marks.
    #[inline(always)]
    fn is_marked(self, record: &Record<'t, S::Word>, slab: usize) -> bool {
        self.tree.is_slab_marked(record.at(record::MARKS), slab)
    }

    /// Where the bit of the slot that begins at `first` is: the metadata index of its slab's word, and its
    /// number; what is no slot's number if no slot begins there.
    #[inline(always)]
    fn seat_of(first: usize, class: Class, record: &Record<'t, S::Word>) -> (usize, u32) {
        let slot = Self::slot(first & record.at(record::WITHIN), record);
        (Self::place(record, first >> (class.natural + Tree::<S, P>::SLAB_HEIGHT)), slot)
    }

    /// The number of the slot so many leaves behind its slab's first; what is no slot's number if no
    /// slot begins there.
    ///
    /// Exact division by multiplication with the inverse of the odd part: T. Granlund and
    /// P. L. Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994, section 9.
    #[inline(always)]
    fn slot(within: usize, record: &Record<'t, S::Word>) -> u32 {
        let odd = (within as u32).wrapping_mul(record.at(record::INVERSE) as u32);
        odd.rotate_right(record.at(record::TWOS) as u32)
    }
}

/// The slow side: raising slabs, finding them, giving them back.
impl<'t, S: Storage, P: Policy> Supply<'t, S, P> {
    /// Whether a block of the class is so small that it is better moved than grown.
    pub(crate) fn is_small(self, class: Class) -> bool {
        class.leaves <= SMALL_BLOCK.max(self.tree.free_leaves() / FREE_FOR_A_SMALL_BLOCK)
    }

    /// Takes a block of the class from any slab, or, with several CPUs, from any where the calling one
    /// searches the tree: its first leaf.
    #[inline(never)]
    pub(crate) fn take_marked(self, class: Class) -> Option<usize> {
        let record = self.slabs_of(class)?;
        if P::CPUS <= 1 {
            return self.take_behind(class, &record, 0..usize::MAX);
        }
        let own = self.tree.own();
        let shift = class.natural + Tree::<S, P>::SLAB_HEIGHT;
        self.take_behind(class, &record, own.start >> shift..own.end.div_ceil(1 << shift))
    }

    /// With several CPUs: takes a block of the class from any slab at all.
    pub(crate) fn take_others(self, class: Class) -> Option<usize> {
        let record = self.slabs_of(class).filter(|_| P::CPUS > 1)?;
        self.take_behind(class, &record, 0..usize::MAX)
    }

    /// Takes a slot of the first slab that has one, of those with these numbers.
    fn take_behind(
        self,
        class: Class,
        record: &Record<'t, S::Word>,
        slabs: Range<usize>,
    ) -> Option<usize> {
        let (kind, marks) = (record.kind(class), record.at(record::MARKS));
        loop {
            let slab = self.tree.find_slab(&kind, marks, slabs.start)?;
            if slab >= slabs.end {
                return None;
            }
            let at = Self::place(record, slab);
            // `None` if others were faster.
            if let Some(old) = Self::take_from(self.words().get(at)?, kind.tag) {
                self.hint(record, class, Self::lane())?.store(at);
                if old == kind.tag | kind.slots {
                    let _ = record.0[record::KEPT].update(|kept| kept.checked_sub(1));
                }
                if Self::STACKS && old & old.wrapping_sub(1) == kind.tag {
                    self.tree.withdraw_slab(&kind, marks, slab);
                }
                let slot = old.trailing_zeros() as usize;
                return Some(Self::first_leaf(class, slab) + slot * class.leaves);
            }
        }
    }

    /// Whether a lane takes from the slab with its word there.
    fn is_hint(self, class: Class, record: &Record<'t, S::Word>, at: usize) -> bool {
        let mut hints = (0..Shape::lanes::<P>()).filter_map(|lane| self.hint(record, class, lane));
        hints.any(|hint| hint.load() == at)
    }

    /// Takes a block of the class from a slab that is made for it; `None` if it is not worth one, or
    /// there is no block for one.
    pub(crate) fn raise(self, class: Class) -> Option<Supplied> {
        let record = self.slabs_of(class)?;
        if !self.is_worth_a_slab(class, &record) || self.is_short() {
            return None;
        }
        self.raise_for(class, &record)
    }

    fn raise_for(self, class: Class, record: &Record<'t, S::Word>) -> Option<Supplied> {
        let kind = record.kind(class);
        let (number, _transit) = self.tree.raise_slab(&kind)?;
        self.hint(record, class, Self::lane())?.store(Self::place(record, number));
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

    /// Marks a slab of which a slot was freed while a search cleared the mark.
    #[cold]
    fn mark_late(self, class: u32, slab: usize) {
        let class = Class::at(class, P::PRECISION);
        if let Some(record) = self.record(class) {
            let _transit = self.tree.transit();
            self.mark(&record.kind(class), &record, slab);
        }
    }

    /// The seat of the block of the class at `first`; `None` if a slot of the class would not begin there.
    fn seat(self, first: usize, class: Class, record: &Record<'t, S::Word>) -> Option<Seat<'t, S>> {
        let (at, number) = Self::seat_of(first, class, record);
        // Behind the last slot blocks are the tree's, those of the class, too.
        let is_slot = number < S::Word::BITS && record.kind(class).slots >> number & 1 == 1;
        let word = self.words().get(at).filter(|_| is_slot)?;
        Some(Seat { word, slab: Self::number(record, at), slot: number })
    }

    /// Whether a word is that of a slab with this tag, opened or not.
    #[inline(always)]
    fn is_own(word: usize, tag: usize) -> bool {
        (word & !SlabKind::opening::<S::Word>()) ^ tag <= Self::ALL_SLOTS
    }

    /// As [`Self::give`], of a block that is no slot, or the first to be free, or in a slab that is opened.
    #[inline(never)]
    pub(crate) fn give_slow(self, first: usize, class: Class) -> bool {
        let Some(record) = self.record(class) else {
            return self.tree.free_sized(first, class.leaves).is_ok();
        };
        let is_back = if Self::STACKS { record.stack().put_back(first) } else { Some(false) };
        is_back.is_some_and(|is_back| is_back || self.free(first, class, &record, true))
    }

    /// Whether a block of the class is on its stack.
    fn rests(record: &Record<'t, S::Word>, first: usize) -> bool {
        Self::STACKS && record.stack().has(first)
    }

    /// Frees a block that does not rest: a slot in its slab; others may rest from now on, or are freed in the
    /// tree.
    fn free(
        self,
        first: usize,
        class: Class,
        record: &Record<'t, S::Word>,
        may_rest: bool,
    ) -> bool {
        let tag = record.tag();
        let seat = self.seat(first, class, record);
        if let Some(seat) = seat.filter(|seat| Self::is_own(seat.word.load(), tag)) {
            match self.free_slot(class, record, &seat) {
                Ok(()) => return true,
                Err(now) if Self::is_own(now, tag) => return false,
                // It is a tree by now.
                Err(_) => {}
            }
        }
        may_rest && self.rest(first, class, record)
            || self.tree.free_sized(first, class.leaves).is_ok()
    }

    /// Puts a block of the tree on its class's stack, if it is held and has room there, and the class has no
    /// slabs; says whether it did.
    fn rest(self, first: usize, class: Class, record: &Record<'t, S::Word>) -> bool {
        // Aligned as slots are, side by side.
        let is_aligned = first.trailing_zeros() >= class.leaves.trailing_zeros();
        Self::STACKS
            && class.index >= self.shape.classes
            && is_aligned
            && record.stack().len() < LARGE_BLOCKS
            && self.tree.has_block(first, class.leaves)
            && record.stack().push(first, LARGE_BLOCKS)
    }

    /// Frees a slot in its slab; if it is not held there, the slab's word.
    fn free_slot(
        self,
        class: Class,
        record: &Record<'t, S::Word>,
        seat: &Seat<'t, S>,
    ) -> Result<(), usize> {
        // Before the first of its slots is free (M2).
        let _transit = self.tree.transit();
        let (tag, bit) = (record.tag(), 1 << seat.slot);
        let is_held = |old: usize| Self::is_own(old, tag) && old & bit == 0;
        let old = seat.word.update(|old| is_held(old).then_some(old | bit))?;
        if old & SlabKind::opening::<S::Word>() == 0 {
            self.note_freed(class, record, seat.slab, old | bit);
        }
        Ok(())
    }

    /// A slot was freed; the slab's word is `now`.
    fn note_freed(self, class: Class, record: &Record<'t, S::Word>, number: usize, now: usize) {
        let kind = record.kind(class);
        self.mark(&kind, record, number);
        let at = Self::place(record, number);
        if now == kind.tag | kind.slots && !self.is_hint(class, record, at) {
            self.keep_or_raze(class, record, at);
        }
    }

    /// A slab of which all slots are free, and from which no lane takes, is kept for later, or goes back to
    /// the tree.
    fn keep_or_raze(self, class: Class, record: &Record<'t, S::Word>, at: usize) {
        let most = self.tree.free_leaves() / FREE_FOR_KEPT / Self::first_leaf(class, 1);
        let kept = record.0[record::KEPT].update(|kept| (kept < most).then_some(kept + 1));
        if kept.is_err() {
            self.tree.raze_slab(&record.kind(class), Self::number(record, at));
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

    /// The classes that have records, and these.
    fn records(self) -> impl Iterator<Item = (Class, Record<'t, S::Word>)> {
        let classes = (0..self.shape.records).map(|index| Class::at(index, P::PRECISION));
        classes.filter_map(move |class| Some((class, self.record(class)?)))
    }

    /// Those of classes with slabs.
    fn classes(self) -> impl Iterator<Item = (Class, Record<'t, S::Word>)> {
        self.records().take(self.shape.classes as usize)
    }

    /// The slabs of a class with a free slot, the lowest first: their numbers.
    fn marked(self, class: Class, record: &Record<'t, S::Word>) -> impl Iterator<Item = usize> {
        let (kind, marks, mut from) = (record.kind(class), record.at(record::MARKS), 0);
        core::iter::from_fn(move || {
            let number = self.tree.find_every_slab(&kind, marks, from)?;
            from = number + 1;
            Some(number)
        })
    }

    /// Frees the blocks of a class that rest on its stack: in their slabs, or, where memory is so short that
    /// a slab is made a tree at the first of them, there.
    fn unstack(self, class: Class, record: &Record<'t, S::Word>) {
        if !Self::STACKS {
            return;
        }
        while let Some(first) = record.stack().pop() {
            // Nobody else could free it.
            self.free(first, class, record, false);
        }
        record.stack().clear();
    }

    /// Frees all blocks that rest on stacks.
    fn unstack_all(self) {
        self.records().for_each(|(class, record)| self.unstack(class, &record));
    }

    /// Makes trees again of all slabs with a free slot. O(classes), and O(slots * orders) for each.
    pub(crate) fn settle(self) {
        self.unstack_all();
        for (class, record) in self.classes() {
            for number in self.marked(class, &record) {
                // Another call may be at it.
                self.tree.open_slab(&record.kind(class), number);
            }
            record.0[record::DEMAND].store(0);
            record.0[record::KEPT].store(0);
        }
    }

    /// Makes trees again of all slabs. O(words).
    pub(crate) fn dissolve(self) {
        self.unstack_all();
        let highest = self.classes().map(|(class, _)| class.natural).max();
        let orders = highest.into_iter().flat_map(|highest| 0..=highest).filter_map(Order::new);
        for slab in orders.flat_map(|natural| self.tree.slabs(natural)) {
            let class = Self::class_of(&slab);
            if let Some(record) = self.slabs_of(class) {
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
