//! Magazines: freed blocks kept by size, to be handed out again without a change of the tree.
//!
//! A magazine has a row for every size of up to `mantissa` + 1 significant bits, and in a row
//! a power of two of slots. A block has one slot it can rest in, by its number, so one look tells
//! whether it rests: that keeps a second free an error. To the tree a resting block is allocated.
//!
//! Words, in the metadata behind the tree's own:
//!
//! ```text
//! | SLACK | row 0: which slots are full, slots | row 1: .. | ..
//! ```
//!
//! - **M1** A slot holds 0, or the number + 1 of the first leaf of a block of its row's size that is
//!   allocated to the tree and belongs to nobody: whoever swaps it out of the slot owns it.
//! - **M2** SLACK is how far the leaves that are held now, allocated and not resting, are below the
//!   most that ever were. (So a change of it is one subtraction, and the peak costs no other look.)

use crate::tree::{Order, Word};

const SLACK: usize = 0;
const HEADER: usize = 1;

/// Slots of a row: few in small heaps, where a resting block may be in the way of others.
const MOST_SLOTS: usize = 32;
const FEWEST_SLOTS: usize = 4;
/// Blocks rest that are at most 1/1024 of the range.
const ORDERS_BELOW_TOP: u32 = 10;
/// More significant bits make more rows than a magazine is worth.
const MOST_MANTISSA: u32 = 3;

/// How large a magazine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    rows: usize,
    slots: usize,
}

/// The blocks of one size.
#[derive(Clone, Copy)]
struct Class {
    row: usize,
    /// The order of the next power of two: what they are aligned to.
    natural: u32,
}

/// What became of a block that was to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It rests.
    Yes,
    /// It rests already: it was freed before.
    Before,
    /// It rests, in place of this block of the same size, which belongs to the caller now.
    Instead(usize),
    /// It cannot rest, and still belongs to the caller.
    No,
}

impl Shape {
    pub(crate) const NONE: Self = Self { rows: 0, slots: 0 };

    /// The words to spend on the magazine of a tree of `tree_words` words over `leaves` leaves: what
    /// both together may take is 4.29 bits a leaf, which leaves nothing for those of small trees.
    pub(crate) const fn words_for<W: Word>(leaves: usize, tree_words: usize) -> usize {
        let both = (leaves / 100).saturating_mul(429) / W::BITS as usize;
        both.saturating_sub(tree_words)
    }

    /// The largest magazine worth having that fits into `words` words, over a tree whose highest
    /// order is `top`, for sizes of `precision` significant bits.
    pub(crate) const fn fitting(words: usize, top: Order, precision: u32) -> Self {
        let mantissa = mantissa(precision);
        let is_too_fine = precision > MOST_MANTISSA + 1;
        if is_too_fine || top.get() < ORDERS_BELOW_TOP || words < HEADER {
            return Self::NONE;
        }
        let rows = ((top.get() - ORDERS_BELOW_TOP + 1) as usize) << mantissa;
        let mut slots = MOST_SLOTS;
        while slots > FEWEST_SLOTS && rows * (1 + slots) > words - HEADER {
            slots /= 2;
        }
        let room = (words - HEADER) / (1 + slots);
        Self { rows: if room < rows { room } else { rows }, slots }
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.rows == 0
    }

    /// How many words it takes.
    pub(crate) const fn words(&self) -> usize {
        if self.is_none() { 0 } else { HEADER + self.rows * (1 + self.slots) }
    }
}

/// The bits behind the first by which sizes of one order of magnitude differ; 0 also where they are
/// too many for a magazine.
pub(crate) const fn mantissa(precision: u32) -> u32 {
    match precision.saturating_sub(1) {
        bits if bits <= MOST_MANTISSA => bits,
        _ => 0,
    }
}

/// A magazine in its words.
pub(crate) struct Magazine<'w, W> {
    words: &'w [W],
    shape: Shape,
    /// A constant of the heap's policy: a parameter of every computation here.
    mantissa: u32,
}

impl<'w, W: Word> Magazine<'w, W> {
    /// The magazine of that shape at the beginning of the words.
    #[inline(always)]
    pub(crate) fn new(words: &'w [W], shape: Shape, mantissa: u32) -> Self {
        Self { words, shape, mantissa }
    }

    /// The class of blocks of `leaves` leaves; `None` if there is no row for them.
    #[inline(always)]
    fn class(&self, leaves: usize) -> Option<Class> {
        // The number's first bits, brought to the same place whatever its size.
        let order = leaves.checked_ilog2()?;
        let scaled = leaves << self.mantissa;
        let first_bits = scaled >> order;
        let row = ((order as usize) << self.mantissa) + first_bits - (1 << self.mantissa);
        let has_row = row < self.shape.rows && first_bits << order == scaled;
        let natural = order + u32::from(first_bits != 1 << self.mantissa);
        has_row.then_some(Class { row, natural })
    }

    /// The leaves of the blocks of a row; `None` for a row that no size has.
    fn leaves(&self, row: usize) -> Option<usize> {
        let (order, bits) = (row >> self.mantissa, row & ((1 << self.mantissa) - 1));
        let scaled = ((1 << self.mantissa) + bits) << order;
        let leaves = scaled >> self.mantissa;
        (leaves << self.mantissa == scaled).then_some(leaves)
    }

    /// Makes it an empty one, whatever the words hold.
    pub(crate) fn clear(&self) {
        self.words.iter().take(self.shape.words()).for_each(|word| word.store(0));
    }

    /// Leaves of resting blocks. O(rows).
    pub(crate) fn resting(&self) -> usize {
        let full_slots = |row: &[W]| row[1..].iter().filter(|slot| slot.load() != 0).count();
        self.rows().map(|(leaves, row)| full_slots(row) * leaves).sum()
    }

    /// How far the leaves held now are below the most that were held at one time.
    pub(crate) fn slack(&self) -> usize {
        self.words.get(SLACK).map_or(0, Word::load)
    }

    /// Notes that leaves are held that were free.
    #[inline(always)]
    pub(crate) fn note_taken(&self, leaves: usize) {
        if let Some(slack) = self.words.get(SLACK) {
            // At a new peak, no slack is left.
            let _ = slack.update(|old| Some(old.saturating_sub(leaves)));
        }
    }

    /// Notes that leaves are free that were held.
    #[inline(always)]
    pub(crate) fn note_given(&self, leaves: usize) {
        if let Some(slack) = self.words.get(SLACK) {
            slack.add(leaves);
        }
    }

    /// The rows of all sizes there are, with the leaves of their blocks.
    fn rows(&self) -> impl Iterator<Item = (usize, &'w [W])> {
        let words = self.words.get(HEADER..self.shape.words()).unwrap_or(&[]);
        let rows = words.chunks_exact(1 + self.shape.slots).enumerate();
        rows.filter_map(|(number, row)| Some((self.leaves(number)?, row)))
    }

    /// A row: first the word that tells which slots are full, then the slots.
    #[inline(always)]
    fn row(&self, class: Class) -> Option<&'w [W]> {
        let stride = 1 + self.shape.slots;
        let at = HEADER + class.row * stride;
        self.words.get(at..at + stride)
    }

    /// The slot of a block: neighbours have different ones.
    #[inline(always)]
    fn slot(&self, first: usize, class: Class) -> usize {
        (first >> class.natural) & (self.shape.slots - 1)
    }

    /// Takes a block of `leaves` leaves, naturally aligned: its first leaf.
    #[inline(always)]
    pub(crate) fn take(&self, leaves: usize) -> Option<usize> {
        let row = self.row(self.class(leaves)?)?;
        let full = row[0].load();
        if full == 0 {
            return None;
        }
        let slot = full.trailing_zeros() as usize;
        row[0].clear(1 << slot);
        let entry = row.get(1 + slot)?.swap(0);
        entry.checked_sub(1)
    }

    /// Keeps a block that is allocated to the tree, and that the caller gives up.
    #[inline(always)]
    pub(crate) fn keep(&self, first: usize, leaves: usize) -> Kept {
        let Some(class) = self.class(leaves) else { return Kept::No };
        // A block that grew may lie anywhere; whoever takes one relies on its alignment.
        if first >> class.natural << class.natural != first {
            return Kept::No;
        }
        let slot = self.slot(first, class);
        let Some(row) = self.row(class) else { return Kept::No };
        let Some(entry) = row.get(1 + slot) else { return Kept::No };
        match entry.swap(first + 1) {
            0 => {
                row[0].set(1 << slot);
                Kept::Yes
            }
            old if old == first + 1 => Kept::Before,
            old => Kept::Instead(old - 1),
        }
    }

    /// Whether the block of `leaves` leaves at `first` rests.
    #[inline(always)]
    pub(crate) fn holds(&self, first: usize, leaves: usize) -> bool {
        let Some(class) = self.class(leaves) else { return false };
        let entry = self.row(class).and_then(|row| row.get(1 + self.slot(first, class)));
        entry.is_some_and(|entry| entry.load() == first + 1)
    }

    /// Gives all blocks to `free`, as first leaf and leaves; says whether there were any. O(slots).
    pub(crate) fn drain(&self, mut free: impl FnMut(usize, usize)) -> bool {
        let mut any = false;
        for (leaves, row) in self.rows() {
            row[0].store(0);
            for entry in row[1..].iter().map(|slot| slot.swap(0)).filter(|entry| *entry != 0) {
                free(entry - 1, leaves);
                any = true;
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::tree::Plain;
    use std::vec::Vec;

    fn top(order: u32) -> Order {
        Order::new(order).unwrap()
    }

    #[test]
    fn every_size_has_a_row_of_its_own() {
        for precision in 0..=4 {
            let shape = Shape::fitting(100_000, top(24), precision);
            let magazine: Magazine<'_, Plain> = Magazine::new(&[], shape, mantissa(precision));
            let mut rows = Vec::new();
            for leaves in 1..=1 << 14 {
                if let Some(class) = magazine.class(leaves) {
                    assert_eq!(magazine.leaves(class.row), Some(leaves));
                    assert_eq!(1 << class.natural, leaves.next_power_of_two());
                    rows.push(class.row);
                }
            }
            let count = rows.len();
            rows.sort_unstable();
            rows.dedup();
            assert_eq!(rows.len(), count);
            let significant = precision.max(1);
            let sizes = (1..=1_usize << 14).filter(|leaves| {
                let bits = usize::BITS - leaves.leading_zeros();
                leaves.trailing_zeros() + significant >= bits
            });
            assert_eq!(sizes.count(), count);
        }
    }

    #[test]
    fn a_shape_fits_its_words() {
        for words in 0..2000 {
            for order in [0, 5, 6, 10, 22, 40] {
                assert!(Shape::fitting(words, top(order), 3).words() <= words);
            }
        }
        assert!(Shape::fitting(1000, top(22), 9).is_none());
    }

    #[test]
    fn a_block_rests_once_and_is_taken_once() {
        let shape = Shape::fitting(1000, top(16), 3);
        let words: Vec<Plain> = (0..1000).map(|_| Plain::zero()).collect();
        let magazine = Magazine::new(&words, shape, 2);
        assert_eq!(magazine.take(5), None);
        assert_eq!(magazine.keep(8, 5), Kept::Yes);
        assert_eq!(magazine.keep(8, 5), Kept::Before);
        assert!(magazine.holds(8, 5) && !magazine.holds(16, 5) && !magazine.holds(8, 6));
        assert_eq!(magazine.keep(9, 5), Kept::No);
        assert_eq!(magazine.keep(8 + 8 * shape.slots, 5), Kept::Instead(8));
        assert_eq!(magazine.resting(), 5);
        assert_eq!(magazine.take(6), None);
        assert_eq!(magazine.take(5), Some(8 + 8 * shape.slots));
        assert_eq!((magazine.take(5), magazine.resting()), (None, 0));
    }

    #[test]
    fn draining_gives_every_block_with_its_size() {
        let shape = Shape::fitting(1000, top(16), 3);
        let words: Vec<Plain> = (0..1000).map(|_| Plain::zero()).collect();
        let magazine = Magazine::new(&words, shape, 2);
        let blocks = [(0, 1), (2, 2), (4, 3), (8, 5), (16, 7), (32, 20)];
        for (first, leaves) in blocks {
            assert_eq!(magazine.keep(first, leaves), Kept::Yes);
        }
        let mut drained = Vec::new();
        assert!(magazine.drain(|first, leaves| drained.push((first, leaves))));
        assert_eq!(drained, blocks);
        assert_eq!(magazine.resting(), 0);
        assert_eq!(magazine.take(5), None);
    }

    #[test]
    fn without_words_nothing_rests() {
        let magazine: Magazine<'_, Plain> = Magazine::new(&[], Shape::NONE, 2);
        assert_eq!((magazine.keep(0, 1), magazine.take(1)), (Kept::No, None));
        assert!(!magazine.holds(0, 1));
        magazine.note_taken(5);
        magazine.note_given(5);
        assert!(!magazine.drain(|_, _| unreachable!()));
        magazine.clear();
    }
}
