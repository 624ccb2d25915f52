//! What a supply keeps about its slabs: how much, and where in the words behind the tree's own.
//!
//! ```text
//! | PRESSURE | rooms | marks of class 0 | of class 1 | .. | counts of class 1 | of class 0 |
//! | record of class 0 | .. | hints of lane 0 | of lane 1 | ..
//! rooms: for one thread (`room.rs`)
//! marks: the summaries over the words that may be the class's slabs, the lowest first
//! counts: requests that found no slab, up to where one is raised, and KEPT for each slab that is kept with all slots
//!   free
//! records: of the classes with slabs, and of some larger ones that have a stack only
//! ```
//!
//! With one lane there are no hints, and the last record ends within the last line: so what is behind the
//! records is found not to be there without a comparison of its own.

use super::room::{self, Rooms};
use super::{Names, stack};
use crate::class::Class;
use crate::tree::{Order, Policy, SlabKind, Storage, Tree, Word, max_value};
use core::ops::Range;

/// The words of a class's record: two cache lines; with several lanes only the first of them.
pub(super) mod record {
    use crate::tree::{Word, max_value};

    /// The word of a slab without free slots.
    pub(in crate::supply) const TAG: usize = 0;
    /// The bits of its slots, the lowest.
    pub(in crate::supply) const SLOTS: usize = 1;
    /// The metadata index of slab number 0 (wrapping: that word need not be stored).
    pub(in crate::supply) const BASE: usize = 2;
    /// What the positions of a slot go into 2^`BITS`, rounded up: so that the upper half of the [`product`] with
    /// those of some slots is how many they are. 0 without slabs.
    pub(in crate::supply) const RECIPROCAL: usize = 3;
    /// What the positions of a slab go into it.
    pub(in crate::supply) const SLABS: usize = 4;
    /// The positions of a slab, less 1.
    pub(in crate::supply) const WITHIN: usize = 5;
    /// The metadata index of the word with the mark of slab number 0 (wrapping, as BASE); of classes with so
    /// few slabs that they have no marks an index that there is not.
    pub(in crate::supply) const MARKS: usize = 6;
    /// With one lane: the metadata index of the slab that it takes from; of none 0, or for one thread the
    /// largest value of a word.
    pub(in crate::supply) const HINT: usize = 7;
    /// For one thread: the name of the first slot of that slab.
    pub(in crate::supply) const AIM: usize = 8;
    /// For one thread: which blocks were freed last (`stack.rs`).
    pub(in crate::supply) const STACK: usize = 9;
    pub(in crate::supply) const WORDS: usize = STACK + super::stack::WORDS;
    /// Those of them that there are with several lanes.
    pub(in crate::supply) const SHARED_WORDS: usize = 8;

    /// In a class's counts.
    pub(in crate::supply) const KEPT: usize = 16;

    /// The product of a position with what something goes into 2^`BITS`: its upper half and its lower.
    #[inline(always)]
    pub(in crate::supply) const fn product<W: Word>(
        position: usize,
        times: usize,
    ) -> (usize, usize) {
        if W::BITS >= 64 {
            let product = position as u128 * times as u128;
            return ((product >> 64) as usize, product as usize);
        }
        // A word numbers all slabs, so there is room for their number in the upper half, too.
        let product = (position as u64).wrapping_mul(times as u64);
        ((product >> W::BITS) as usize, product as usize & max_value::<W>())
    }
}

/// Slabs are at most this part of the range: `log2`. So there are more than two, and they have marks.
const ORDERS_BELOW_TOP: u32 = 4;
/// Blocks that rest on a stack are at most this part of the range: `log2`.
const RESTING_BELOW_TOP: u32 = 6;
/// Lanes beyond these share.
const MOST_LANES: usize = 64;
/// What threads have to themselves, so that none waits for another: a cache line.
const LINE_WORDS: usize = 8;

/// Which classes have slabs, and where their records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// How many classes have slabs: the smallest ones.
    pub(super) classes: usize,
    /// How many have records: these, and the next larger ones if they have stacks.
    pub(super) records: usize,
    /// The metadata index of the number of calls that are short of memory.
    pub(super) pressure: usize,
    /// The line that the first record begins with: no sum of its index and a class's place overflows.
    first_record: u32,
}

/// A line behind all words: those of heaps are fewer than that. (Where an index has 32 bits, a word has 4 bytes
/// at least.)
const NOWHERE: u32 = if usize::BITS > 32 { u32::MAX } else { (1 << 30) / LINE_WORDS as u32 };

/// Where an index has 32 bits, too.
const _: () = assert!(Class::MOST * Class::PLACE + record::WORDS + (1 << 30) <= u32::MAX as usize);

impl Shape {
    /// No classes: the first record would lie behind all words.
    pub(crate) const NONE: Self =
        Self { classes: 0, records: 0, pressure: 0, first_record: NOWHERE };

    /// No classes of a tree with so many words; `None` if it has too many.
    pub(crate) fn none(words: usize) -> Option<Self> {
        (words / LINE_WORDS < NOWHERE as usize).then_some(Self::NONE)
    }

    /// The words to spend on the slabs of a tree of `tree_words` words over `leaves` leaves: what both
    /// together may take is 4.3 bits a leaf, which leaves nothing for those of small trees; half a bit more
    /// from 16 Ki leaves on up to 64 Ki, the metadata counted as leaves, too.
    pub(crate) const fn words_for<W: Word>(leaves: usize, tree_words: usize) -> usize {
        let is_medium = leaves >= 1 << 14 && leaves.saturating_add(leaves / 32) <= 1 << 16;
        let hundredths = if is_medium { 479 } else { 430 };
        let both = (leaves / 100).saturating_mul(hundredths) / W::BITS as usize;
        both.saturating_sub(tree_words)
    }

    /// For so many of the smallest classes as `words` words from metadata index `pressure` on, the tree's
    /// last, have room for, at most all that a tree has slabs for. `None` if there are too many words.
    pub(crate) fn fitting<S: Storage, P: Policy, N: Names>(
        tree: &Tree<S, P>,
        pressure: usize,
        words: usize,
    ) -> Option<Self> {
        let end = tree.words().len();
        let mut shape = Self { pressure, ..Self::none(end)? };
        let words = words.min(end.saturating_sub(pressure));
        let is_at_most = |natural: u32, below_top: u32| {
            natural.saturating_add(below_top) <= tree.max_order().get()
        };
        // With more significant bits a slab's word cannot tell the classes of an order apart.
        let has_ranks = P::PRECISION <= SlabKind::ranks::<S::Word>().ilog2() + 1;
        let all_have_positions = tree.capacity_end() <= usize::MAX >> N::FINE;
        let highest = Self::highest_natural::<S, P>(N::FINE).filter(|_| all_have_positions);
        let mut marks = 0;
        loop {
            let Class { natural, .. } = Class::at(shape.classes, P::PRECISION);
            let has_slabs = has_ranks
                && highest.is_some_and(|highest| natural <= highest)
                && is_at_most(natural, Tree::<S, P>::SLAB_HEIGHT + ORDERS_BELOW_TOP);
            let Some(order) = Order::new(natural).filter(|_| has_slabs) else { break };
            let (classes, with_own) = (shape.classes + 1, marks + tree.slab_summary_words(order));
            let larger = Self { classes, records: classes, ..shape };
            let larger = larger.placed::<S, P>(with_own, words, end);
            let Some(larger) = larger else { break };
            (shape, marks) = (larger, with_own);
        }
        while Self::has_one_thread::<S::Word, P>()
            && is_at_most(Class::at(shape.records, P::PRECISION).natural, RESTING_BELOW_TOP)
        {
            let larger = Self { records: shape.records + 1, ..shape };
            let Some(larger) = larger.placed::<S, P>(marks, words, end) else { break };
            shape = larger;
        }
        Some(if shape.records == 0 { Self::NONE } else { shape })
    }

    /// The highest order of words that may be slabs: the positions in a slab times those of a slot are less than
    /// 2^`BITS`, so that divisions are exact.
    const fn highest_natural<S: Storage, P: Policy>(fine: u32) -> Option<u32> {
        ((S::Word::BITS - Tree::<S, P>::SLAB_HEIGHT) / 2).checked_sub(fine)
    }

    /// With so many words of marks, up to metadata index `end`; `None` if it does not fit in `words` then.
    fn placed<S: Storage, P: Policy>(self, marks: usize, words: usize, end: usize) -> Option<Self> {
        let behind_marks = self.marks::<S, P>() + marks + self.classes;
        let first = if Self::lanes::<P>() > 1 {
            behind_marks.next_multiple_of(LINE_WORDS)
        } else {
            end.checked_sub(self.records * record::WORDS)? / LINE_WORDS * LINE_WORDS
        };
        let first_record = u32::try_from(first / LINE_WORDS).ok()?;
        let placed = Self { first_record, ..self };
        let behind = placed.behind_records::<P>() + Self::lanes::<P>() * placed.hints::<P>();
        let is_placed = behind_marks <= first && behind <= end && behind - self.pressure <= words;
        is_placed.then_some(placed)
    }

    /// Whether one thread has the supply for itself.
    pub(crate) const fn has_one_thread<W: Word, P: Policy>() -> bool {
        !W::SHARED && P::CPUS <= 1
    }

    /// For models: the smallest class only, whatever the size of the tree.
    #[cfg(all(test, loom))]
    pub(super) fn of_one_class<S: Storage, P: Policy>(tree: &Tree<S, P>, pressure: usize) -> Self {
        let shape = Self { classes: 1, records: 1, pressure, ..Self::NONE };
        let end = tree.words().len();
        shape.placed::<S, P>(tree.slab_summary_words(Order::MIN), end - pressure, end).unwrap()
    }

    /// How many CPUs have hints of their own.
    pub(super) const fn lanes<P: Policy>() -> usize {
        match P::CPUS {
            0 => 1,
            cpus if cpus > MOST_LANES => MOST_LANES,
            cpus => cpus,
        }
    }

    /// From one record to the next.
    const fn record_words<P: Policy>() -> usize {
        if Self::lanes::<P>() > 1 { record::SHARED_WORDS } else { record::WORDS }
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.records == 0
    }

    /// Where the records begin.
    #[inline(always)]
    const fn first(&self) -> usize {
        self.first_record as usize * LINE_WORDS
    }

    /// Where the record of a class lies.
    #[inline(always)]
    pub(super) const fn record<P: Policy>(&self, class: Class) -> usize {
        self.first() + class.place / (Class::PLACE / Self::record_words::<P>())
    }

    /// The number of the class with its record there.
    pub(super) const fn class_number<P: Policy>(&self, record: usize) -> usize {
        record.wrapping_sub(self.first()) / Self::record_words::<P>()
    }

    /// Where the counts of a class with slabs are.
    pub(super) const fn counts(&self, class_number: usize) -> usize {
        self.first().wrapping_sub(class_number + 1)
    }

    /// Where the records end.
    const fn behind_records<P: Policy>(&self) -> usize {
        self.first() + self.records * Self::record_words::<P>()
    }

    /// Where the hint of a class and lane lies, of more lanes than one: those of a lane in words that no
    /// other lane has near its own.
    #[inline(always)]
    pub(super) const fn hint<P: Policy>(&self, class: Class, lane: usize) -> usize {
        self.behind_records::<P>() + lane * self.hints::<P>() + class.number()
    }

    /// The words of a lane's hints.
    const fn hints<P: Policy>(&self) -> usize {
        if Self::lanes::<P>() > 1 {
            self.records.next_multiple_of(LINE_WORDS) + LINE_WORDS
        } else {
            0
        }
    }

    /// Where the marks begin.
    pub(super) const fn marks<S: Storage, P: Policy>(&self) -> usize {
        self.rooms() + if Self::has_rooms::<S::Word, P>() { room::WORDS } else { 0 }
    }

    /// Whether blocks that grow have rooms: what is kept for them is not merged at once.
    const fn has_rooms<W: Word, P: Policy>() -> bool {
        Self::has_one_thread::<W, P>() && P::LAZY
    }

    /// Where the rooms begin, if there are any.
    const fn rooms(&self) -> usize {
        self.pressure + 1
    }

    /// The rooms, if there are such.
    #[inline]
    pub(super) fn rooms_in<'w, W: Word, P: Policy>(&self, words: &'w [W]) -> Option<Rooms<'w, W>> {
        if !Self::has_rooms::<W, P>() || self.is_none() {
            return None;
        }
        Some(Rooms(words.get(self.rooms()..self.rooms() + room::WORDS)?.first_chunk()?))
    }

    /// Writes a supply without slabs, whatever the words hold.
    pub(crate) fn clear<S: Storage, P: Policy, N: Names>(&self, tree: &Tree<S, P>) {
        let own = tree.words().get(self.pressure..).filter(|_| !self.is_none());
        own.unwrap_or(&[]).iter().for_each(|word| word.store(0));
        self.lay_out::<S, P, N>(tree);
    }

    /// Writes the records of a supply without slabs into words that hold zeros.
    pub(crate) fn lay_out<S: Storage, P: Policy, N: Names>(&self, tree: &Tree<S, P>) {
        let words = tree.words();
        let mut marks = self.marks::<S, P>();
        let put = |class: Class, field: usize, value: usize| {
            if let Some(word) = words.get(self.record::<P>(class) + field) {
                word.store(value);
            }
        };
        let classes = |numbers: Range<usize>| numbers.map(|number| Class::at(number, P::PRECISION));
        for class in classes(0..self.records).filter(|_| Self::has_one_thread::<S::Word, P>()) {
            put(class, record::HINT, max_value::<S::Word>());
            for field in record::STACK + 1..record::WORDS {
                put(class, field, N::none::<S::Word>());
            }
        }
        if let Some(rooms) = self.rooms_in::<_, P>(words) {
            rooms.clear();
        }
        for class in classes(0..self.classes) {
            let natural = Order::new(class.natural).unwrap_or(Order::MAX);
            let kind = SlabKind::new::<S::Word>(natural, class.leaves, class.number());
            let order = kind.order::<S::Word>();
            let (slot, slab) = (class.leaves << N::FINE, order.leaves() << N::FINE);
            let fields = [
                (record::TAG, kind.tag),
                (record::SLOTS, kind.slots),
                (record::BASE, tree.slab_base(natural)),
                // As both are at least 2, these are what they go into 2^`BITS`.
                (record::RECIPROCAL, max_value::<S::Word>() / slot + 1),
                (record::SLABS, max_value::<S::Word>() / slab + 1),
                (record::WITHIN, slab - 1),
                (record::MARKS, tree.slab_marks(natural, marks)),
            ];
            for (field, value) in fields {
                put(class, field, value);
            }
            marks += tree.slab_summary_words(natural);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::supply::Leaves;
    use crate::tree::{Lazy, Plain, Plain32};

    /// Every slot's position in every slab that there can be, and those around it.
    fn divisions_are_exact<W: Word>(fine: u32) {
        let height = Tree::<&[W], Lazy>::SLAB_HEIGHT;
        let highest = Shape::highest_natural::<&[W], Lazy>(fine).unwrap();
        let part = |positions: usize| max_value::<W>() / positions + 1;
        for class in (0..).map(|number| Class::at(number, Lazy::PRECISION)) {
            if class.natural > highest {
                break;
            }
            let (slot, slab) = (class.leaves << fine, 1_usize << (class.natural + height + fine));
            for at in (0..slab / slot).map(|number| number * slot) {
                for within in at.saturating_sub(2)..at + 3 {
                    let (number, rest) = record::product::<W>(within, part(slot));
                    let is_slot = rest < part(slot);
                    assert_eq!((number, is_slot), (within / slot, within % slot == 0), "{class:?}");
                }
            }
            let (number, rest) = record::product::<W>(slab - 1, part(slot));
            assert_eq!((number, rest < part(slot)), ((slab - 1) / slot, false), "{class:?}");
            for number in [0, 1, 2, 1000, (1 << 24) - 1] {
                for position in [number * slab, number * slab + slab / 2, number * slab + slab - 1]
                {
                    assert_eq!(record::product::<W>(position, part(slab)).0, number, "{class:?}");
                }
            }
        }
    }

    #[test]
    fn slots_and_slabs_are_found_by_exact_divisions() {
        for fine in [Leaves::FINE, 3, 4, 5, 12] {
            divisions_are_exact::<Plain>(fine);
            divisions_are_exact::<Plain32>(fine);
        }
    }
}
