//! Where blocks come from and go to: slabs of small blocks, then the tree.
//!
//! A request for a small block is served from a *slab* of its size class (`tree/slab.rs`): it takes a
//! free slot by one change of the slab's word, and a free gives the slot back by another. Neither
//! looks at a node. Each lane (a CPU, or all of them) has a *hint* for each class, the slab that it
//! takes from. When that has no free slot, it goes on with the next one behind it that has, which for a while
//! nobody took from, so that more than one may be free; but if more than half of that one is free, with the lowest
//! that has one, and such slabs have time to become whole. When there is none, a block of the tree becomes a
//! slab. A slab of which all slots are free goes back to the tree, unless it is a lane's hint, or one of a few
//! that are kept.
//!
//! For one thread the blocks that were freed last rest on a *stack*, a few of each class (`stack.rs`), and
//! are taken from there again, without a change of the slab or the tree. Classes have one whose blocks are
//! too large for slabs, too. And blocks that grow again and again have *rooms* (`room.rs`).
//!
//! - **M1** The word of a slab says whether a slot is free; a slot that it says is held may rest on the
//!   class's stack instead, if there is one thread. A free finds the word by the block's address and
//!   class, whoever frees it; so of several frees of one slot one succeeds.
//! - **M2** A slab with a free slot is marked in its class's summaries, or a call that is in transit
//!   will see to it. (So a slab without free slots gets one in transit only.) Whoever is short of
//!   memory raises PRESSURE and makes trees again of all marked slabs; from then on until PRESSURE is 0
//!   again, whoever marks a slab or raises one makes a tree of it. For one thread a slab with a free slot is marked
//!   or the hint, and not both; marks are exact.
//! - **M3** What rests on a class's stack is a held slot or, of a class without slabs, a held block of the
//!   tree that is aligned as slots are: it is emptied before a slab of the class is made a tree. What was
//!   taken from it and is above its top is held, and of the class still: a stack forgets a block that is
//!   freed elsewhere or resized.
//! - **M4** A room is an allocated block of the tree, and its holder's are as many leaves of it, from the
//!   first on, as the room says. Whatever frees or resizes a block of the tree asks for its room before.
//! - **M5** For one thread the hint is a slab of the class, or none: it is none from when a tree is made of it.
//!
//! The hints of several threads, and the counts of demand and of kept slabs, may be wrong; only time is lost then.

mod give;
mod inspect;
#[cfg(all(test, loom))]
mod loom_models;
mod names;
mod one_thread;
mod room;
mod settle;
mod shape;
mod stack;
mod take;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use inspect::Place;
pub(crate) use names::{Leaves, Names};
pub(crate) use shape::Shape;
use shape::record;
use stack::Stack;

use crate::class::Class;
use crate::tree::{Order, Policy, SlabKind, Storage, Tree, Word, max_value};

/// A tree with slabs before it: blocks by size class.
pub(crate) struct Supply<'t, S: Storage, P: Policy, N = Leaves> {
    tree: &'t Tree<S, P>,
    /// What is known of the slabs of each class lies behind the tree's own words.
    shape: &'t Shape,
    names: N,
}

impl<S: Storage, P: Policy, N: Copy> Clone for Supply<'_, S, P, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Storage, P: Policy, N: Copy> Copy for Supply<'_, S, P, N> {}

/// Where a slot's bit is.
struct Seat<'t, S: Storage> {
    /// The slab's.
    word: &'t S::Word,
    /// The metadata index of that.
    at: usize,
    bit: usize,
}

/// What is known of a class of slabs.
struct Record<'t, W>(&'t [W; record::WORDS]);

/// A class's record, if it has one: unlike an `Option` never compared with null.
#[repr(u8)]
enum LookUp<'t, W> {
    None,
    Found(Record<'t, W>),
}

impl<W> Clone for Record<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Record<'_, W> {}

impl<'t, W: Word> Record<'t, W> {
    #[inline(always)]
    fn at(self, field: usize) -> usize {
        self.0[field].load()
    }

    /// The blocks that were freed last.
    #[inline(always)]
    fn stack(self) -> Stack<'t, W> {
        Stack(&self.0[record::STACK..])
    }

    /// The word of a slab without free slots.
    #[inline(always)]
    fn tag(self) -> usize {
        self.at(record::TAG)
    }

    /// The word of a slab of which all slots are free.
    fn whole(self) -> usize {
        self.tag() | self.at(record::SLOTS)
    }

    fn natural(class: Class) -> Order {
        Order::new(class.natural).unwrap_or(Order::MAX)
    }

    fn kind(self, class: Class) -> SlabKind {
        let (tag, slots) = (self.tag(), self.at(record::SLOTS));
        SlabKind { natural: Self::natural(class), leaves: class.leaves, tag, slots }
    }
}

/// Where slots are.
impl<'t, S: Storage, P: Policy, N: Names> Supply<'t, S, P, N> {
    /// The supply from a tree, with slabs as the shape says.
    #[inline(always)]
    pub(crate) fn new(tree: &'t Tree<S, P>, shape: &'t Shape, names: N) -> Self {
        Self { tree, shape, names }
    }

    #[inline(always)]
    fn words(self) -> &'t [S::Word] {
        self.tree.words()
    }

    /// The record of a class; `None` if it has neither slabs nor a stack.
    fn record(self, class: Class) -> Option<Record<'t, S::Word>> {
        match self.look_up(class) {
            LookUp::Found(record) => Some(record),
            LookUp::None => None,
        }
    }

    /// As [`Self::record`], for what every call does.
    #[inline(always)]
    fn look_up(self, class: Class) -> LookUp<'t, S::Word> {
        // What is behind the last record is behind the last word, but with several lanes. Then what follows
        // a record is not its own, but there: the next, and the hints.
        if Shape::lanes::<P>() > 1 && class.number() >= self.shape.records {
            return LookUp::None;
        }
        let at = self.shape.record::<P>(class);
        match self.words().get(at..at + record::WORDS) {
            Some(words) => match words.first_chunk() {
                Some(record) => LookUp::Found(Record(crate::direct::direct(record))),
                None => LookUp::None,
            },
            None => LookUp::None,
        }
    }

    /// The lane of the calling CPU.
    #[inline(always)]
    fn lane() -> usize {
        if P::CPUS <= 1 { 0 } else { P::cpu() % Shape::lanes::<P>() }
    }

    /// The place of the slab that the lane takes slots of a class from: the metadata index of its word.
    #[inline(always)]
    fn hint(self, record: Record<'t, S::Word>, class: Class, lane: usize) -> Option<&'t S::Word> {
        if P::CPUS <= 1 {
            Some(&record.0[record::HINT])
        } else {
            self.words().get(self.shape.hint::<P>(class, lane))
        }
    }

    /// The number of the slab with its word at that metadata index.
    #[inline(always)]
    fn number(record: Record<'t, S::Word>, at: usize) -> usize {
        at.wrapping_sub(record.at(record::BASE)) & max_value::<S::Word>()
    }

    /// The metadata index of the word of a slab.
    #[inline(always)]
    fn place(record: Record<'_, S::Word>, number: usize) -> usize {
        record.at(record::BASE).wrapping_add(number) & max_value::<S::Word>()
    }

    /// The bits of as many slots as a word has room for.
    const ALL_SLOTS: usize = SlabKind::all_slots::<S::Word>();
    const MOST_SLOTS: usize = SlabKind::most_slots::<S::Word>();

    /// Whether one thread has the supply for itself: freed blocks rest on stacks then.
    const ONE_THREAD: bool = Shape::has_one_thread::<S::Word, P>();

    /// Whether a class has slabs.
    #[inline(always)]
    pub(crate) fn has_slabs(self, class: Class) -> bool {
        class.number() < self.shape.classes
    }

    /// The record of a class that has slabs.
    fn slabs_of(self, class: Class) -> Option<Record<'t, S::Word>> {
        if self.has_slabs(class) { self.record(class) } else { None }
    }

    /// The first leaf of a slab.
    #[inline(always)]
    fn first_leaf(class: Class, number: usize) -> usize {
        number << (class.natural + Tree::<S, P>::SLAB_HEIGHT)
    }

    /// Where the bit of the slot that begins at a position would be. `None` if no slot could begin there.
    ///
    /// What is divided is a multiple if the lower half of the product is less than the reciprocal: D. Lemire,
    /// O. Kaser and N. Kurz, "Faster remainder by direct computation", Software: Practice and Experience 49(6), 2019.
    #[inline(always)]
    fn seat(self, position: usize, record: Record<'t, S::Word>) -> Option<Seat<'t, S>> {
        let (slab, _) = record::product::<S::Word>(position, record.at(record::SLABS));
        let at = Self::place(record, slab);
        let word = self.words().get(at)?;
        let reciprocal = record.at(record::RECIPROCAL);
        let within = position & record.at(record::WITHIN);
        let (slot, rest) = record::product::<S::Word>(within, reciprocal);
        // No slot has a number that a word has no bit for.
        let bit = 1 << (slot & (S::Word::BITS as usize - 1));
        if rest < reciprocal { Some(Seat { word, at, bit }) } else { None }
    }

    /// `log2` of the leaves of a slab.
    fn slab_height(record: Record<'t, S::Word>) -> u32 {
        (S::Word::BITS - N::FINE).saturating_sub(record.at(record::SLABS).trailing_zeros())
    }

    /// The number of the class with that record, which its place tells.
    fn class_number(self, record: Record<'t, S::Word>) -> usize {
        let bytes = core::ptr::from_ref(record.0).addr().wrapping_sub(self.words().as_ptr().addr());
        self.shape.class_number::<P>(bytes / size_of::<S::Word>())
    }
}

/// What is known of slabs, and by whom.
impl<'t, S: Storage, P: Policy, N: Names> Supply<'t, S, P, N> {
    /// Whether a lane takes from the slab with its word there.
    fn is_hint(self, class: Class, record: Record<'t, S::Word>, at: usize) -> bool {
        let mut hints = (0..Shape::lanes::<P>()).filter_map(|lane| self.hint(record, class, lane));
        hints.any(|hint| hint.load() == at)
    }

    /// Has a lane take from a slab.
    fn aim(self, class: Class, record: Record<'t, S::Word>, number: usize) {
        if let Some(hint) = self.hint(record, class, Self::lane()) {
            hint.store(Self::place(record, number));
        }
    }

    /// Makes a slab findable that has a free slot; the caller is in transit (M2).
    fn mark(self, kind: &SlabKind, record: Record<'_, S::Word>, number: usize) {
        self.tree.publish_slab(kind, record.at(record::MARKS), number);
        // Whoever is short of memory may have looked before. Read by a change: whoever raises PRESSURE
        // after it sees the mark.
        let is_short = self.words().get(self.shape.pressure).is_some_and(|word| word.reread() != 0);
        if is_short {
            self.tree.open_slab(kind, number);
        }
    }

    /// The seat of the block of the class at `first`; `None` if a slot of the class would not begin there.
    fn seat_of(self, first: usize, record: Record<'t, S::Word>) -> Option<Seat<'t, S>> {
        let seat = self.seat(first << N::FINE, record);
        // Behind the last slot blocks are the tree's, those of the class, too.
        seat.filter(|seat| record.at(record::SLOTS) & seat.bit != 0)
    }

    /// Whether a word is that of a slab with this tag, opened or not.
    #[inline(always)]
    fn is_own(word: usize, tag: usize) -> bool {
        (word & !SlabKind::opening::<S::Word>()) ^ tag <= Self::ALL_SLOTS
    }

    /// Whether a block of the class is on its stack.
    fn rests(self, record: Record<'t, S::Word>, first: usize) -> bool {
        Self::ONE_THREAD && self.names.name(first).is_some_and(|name| record.stack().has(name))
    }

    /// What is counted of a class's slabs; of one that has some.
    fn counts(self, record: Record<'t, S::Word>) -> Option<&'t S::Word> {
        self.words().get(self.shape.counts(self.class_number(record)))
    }

    /// Whether anybody is short of memory.
    fn is_short(self) -> bool {
        self.words().get(self.shape.pressure).is_some_and(|pressure| pressure.load() != 0)
    }

    /// The classes that have records, and these.
    fn records(self) -> impl Iterator<Item = (Class, Record<'t, S::Word>)> {
        let classes = (0..self.shape.records).map(|number| Class::at(number, P::PRECISION));
        classes.filter_map(move |class| Some((class, self.record(class)?)))
    }

    /// Those of classes with slabs.
    fn classes(self) -> impl Iterator<Item = (Class, Record<'t, S::Word>)> {
        self.records().take(self.shape.classes)
    }

    /// The slabs of a class that are marked as having a free slot, the lowest first: their numbers.
    fn marked(self, class: Class, record: Record<'t, S::Word>) -> impl Iterator<Item = usize> {
        let (kind, marks, mut from) = (record.kind(class), record.at(record::MARKS), 0);
        core::iter::from_fn(move || {
            let number = self.tree.find_every_slab(&kind, marks, from)?;
            from = number + 1;
            Some(number)
        })
    }

    /// Makes it one without slabs, whatever the words hold.
    pub(crate) fn clear(self) {
        self.shape.clear::<S, P, N>(self.tree);
    }

    /// Makes it one without slabs, in words that hold zeros. O(classes).
    pub(crate) fn lay_out(self) {
        self.shape.lay_out::<S, P, N>(self.tree);
    }
}
