//! How large a magazine is, and where in its words everything lies.
//!
//! ```text
//! | PRESSURE | record of class 0 | of class 1 | .. | room of class 0 | of class 1 | ..
//! record: | AREA | hints, a word a lane | stocks, a word a lane |
//! room:   | marks, a bit a way | rows, a word a way |
//! AREA:   | where the rows begin, counted from PRESSURE: half the bits | ways - 1: half the bits |
//! ```

use super::row::State;
use crate::class::Class;
use crate::tree::{Order, Word};
use core::ops::Range;

/// Blocks rest that are at most 1/512 of the range.
const ORDERS_BELOW_TOP: u32 = 9;
/// With more significant bits there are more classes than a magazine is worth.
const MOST_PRECISION: u32 = 4;
/// `log2` of the rows of a class.
const MOST_WAYS: u32 = 10;
/// `log2` of the rows of the classes that have fewest.
const FEWEST_WAYS: u32 = 3;
/// Lanes beyond these share.
const MOST_LANES: usize = 64;

/// How large a magazine is, and at which words of the storage its parts begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Sizes that can rest.
    pub(super) classes: usize,
    /// `log2` of the rows of the classes that have most.
    ways: u32,
    /// Parts of it that CPUs have of their own.
    pub(super) lanes: usize,
    /// The number of calls that are short of memory; the records follow it.
    pub(super) pressure: usize,
    words: usize,
}

/// Where the rows of a class lie.
#[derive(Clone, Copy)]
pub(super) struct Area {
    /// The first of them.
    rows: usize,
    /// How many, less 1.
    pub(super) mask: usize,
}

impl Area {
    /// Where the row for a group lies.
    #[inline(always)]
    pub(super) const fn row(self, number: usize) -> usize {
        self.rows + (number & self.mask)
    }

    /// The way that the row at a place is.
    #[inline(always)]
    pub(super) const fn way(self, row: usize) -> usize {
        row.wrapping_sub(self.rows) & self.mask
    }

    /// How many words of marks there are.
    pub(super) const fn mark_words<W: Word>(self) -> usize {
        self.mask / W::BITS as usize + 1
    }

    /// Where the marks begin.
    pub(super) const fn marks<W: Word>(self) -> usize {
        self.rows - self.mark_words::<W>()
    }
}

impl Shape {
    /// For models: one class, one row, in words from 0 on.
    #[cfg(all(test, loom))]
    pub(super) const fn smallest<W: Word>() -> Self {
        Self::of::<W>(0, 1, 0, 1, 1)
    }

    pub(crate) const NONE: Self = Self { classes: 0, ways: 0, lanes: 1, pressure: 0, words: 0 };

    const fn of<W: Word>(
        at: usize,
        classes: usize,
        precision: u32,
        ways: u32,
        lanes: usize,
    ) -> Self {
        let mut shape = Self { classes, ways, lanes, pressure: at, words: 1 };
        shape.words += classes * Self::record_words(lanes);
        let mut index = 0;
        while index < classes {
            shape.words += shape.room::<W>(index, precision);
            index += 1;
        }
        shape
    }

    /// The rows of a class. Programs have many small blocks and few large ones.
    const fn ways_of(&self, index: usize, precision: u32) -> usize {
        let fewer = Class::at(index as u32, precision).natural.saturating_sub(2);
        let least = if self.ways < FEWEST_WAYS { self.ways } else { FEWEST_WAYS };
        let ways = self.ways.saturating_sub(fewer);
        1 << if ways < least { least } else { ways }
    }

    /// How many words the marks and rows of a class take.
    const fn room<W: Word>(&self, index: usize, precision: u32) -> usize {
        let mask = self.ways_of(index, precision) - 1;
        Area { rows: 0, mask }.mark_words::<W>() + mask + 1
    }

    const fn record_words(lanes: usize) -> usize {
        1 + 2 * lanes
    }

    /// Writes where each class has its rows, into words that hold zeros.
    pub(super) fn lay_out<W: Word>(&self, words: &[W], precision: u32) {
        let mut at = 1 + self.classes * Self::record_words(self.lanes);
        for index in 0..self.classes {
            let mask = self.ways_of(index, precision) - 1;
            let rows = at + Area { rows: 0, mask }.mark_words::<W>();
            let record = words.get(self.record(index, self.lanes)..).unwrap_or(&[]);
            if let [area, hints @ ..] = record {
                area.store(rows << (W::BITS / 2) | mask);
                for (lane, hint) in hints.iter().take(self.lanes).enumerate() {
                    hint.store(self.pressure + rows + lane * (mask + 1) / self.lanes);
                }
            }
            at += self.room::<W>(index, precision);
        }
    }

    /// Where the rows of a class lie, as its record tells.
    #[inline(always)]
    pub(super) const fn area<W: Word>(&self, record: usize) -> Area {
        let mask = record & ((1 << (W::BITS / 2)) - 1);
        Area { rows: self.pressure + (record >> (W::BITS / 2)), mask }
    }

    /// The words to spend on the magazine of a tree of `tree_words` words over `leaves` leaves: what
    /// both together may take is 4.29 bits a leaf, which leaves nothing for those of small trees.
    pub(crate) const fn words_for<W: Word>(leaves: usize, tree_words: usize) -> usize {
        let both = (leaves / 100).saturating_mul(429) / W::BITS as usize;
        both.saturating_sub(tree_words)
    }

    /// The largest magazine worth having that fits into `words` words from word `at` of the storage on,
    /// over a tree whose highest order is `top`, for blocks of `precision` and so many CPUs.
    pub(crate) const fn fitting<W: Word>(
        at: usize,
        words: usize,
        top: Order,
        precision: u32,
        cpus: usize,
    ) -> Self {
        if precision > MOST_PRECISION || top.get() < ORDERS_BELOW_TOP {
            return Self::NONE;
        }
        // Above that, a misaligned block might have a tag (`Magazine::seat`).
        let highest = usize::BITS - State::<W>::NUMBERS.ilog2() - State::<W>::NODES.ilog2();
        let natural = top.get() - ORDERS_BELOW_TOP;
        let largest = 1 << if natural < highest { natural } else { highest };
        let classes = Class::holding(largest - 1, precision).index as usize + 1;
        let lanes = match cpus {
            0 => 1,
            _ if cpus < MOST_LANES => cpus,
            _ => MOST_LANES,
        };
        let mut shape = Self::of::<W>(at, classes, precision, MOST_WAYS, lanes);
        while !shape.fits::<W>(words) && shape.ways > 0 {
            shape = Self::of::<W>(at, classes, precision, shape.ways - 1, lanes);
        }
        if !shape.fits::<W>(words) {
            shape = Self::of::<W>(at, classes, precision, 0, 1);
        }
        while !shape.fits::<W>(words) && shape.classes > 0 {
            shape = Self::of::<W>(at, shape.classes - 1, precision, 0, 1);
        }
        if shape.classes == 0 { Self::NONE } else { shape }
    }

    /// Whether there are enough words, and records can tell where everything lies.
    const fn fits<W: Word>(&self, words: usize) -> bool {
        self.words <= words && self.words >> (W::BITS / 2) == 0
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.classes == 0
    }

    /// How many words it takes.
    pub(crate) const fn words(&self) -> usize {
        self.words
    }

    /// Which words it takes.
    pub(super) const fn range(&self) -> Range<usize> {
        self.pressure..self.pressure + self.words()
    }

    /// Where the record of a class lies, with so many lanes as there are.
    #[inline(always)]
    pub(super) const fn record(&self, class: usize, lanes: usize) -> usize {
        self.pressure + 1 + class * Self::record_words(lanes)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::tree::{Plain, Plain32};
    use std::vec::Vec;

    fn top(order: u32) -> Order {
        Order::new(order).unwrap()
    }

    #[test]
    fn a_shape_fits_its_words() {
        for words in 0..3000 {
            for order in [0, 5, 9, 10, 16, 22, 28] {
                for cpus in [0, 1, 4, 1000] {
                    let shape = Shape::fitting::<Plain>(7, words, top(order), 3, cpus);
                    assert!(shape.words() <= words);
                    let shape = Shape::fitting::<Plain32>(7, words, top(order), 3, cpus);
                    assert!(shape.words() <= words);
                }
            }
        }
        assert!(Shape::fitting::<Plain>(0, 10_000, top(22), 9, 1).is_none());
        assert!(Shape::fitting::<Plain>(0, 10_000, top(8), 3, 1).is_none());
    }

    #[test]
    fn every_part_has_words_of_its_own() {
        let shape = Shape::fitting::<Plain>(5, 3000, top(20), 3, 3);
        assert!(shape.ways > FEWEST_WAYS && shape.lanes == 3);
        let words: Vec<Plain> = (0..3005).map(|_| Plain::zero()).collect();
        shape.lay_out(&words, 3);
        let records = (0..shape.classes).flat_map(|class| {
            let record = shape.record(class, 3);
            record..record + Shape::record_words(3)
        });
        let rooms = (0..shape.classes).flat_map(|class| {
            let area = shape.area::<Plain>(words[shape.record(class, 3)].load());
            let marks =
                (0..area.mark_words::<Plain>()).map(move |word| area.marks::<Plain>() + word);
            marks.chain((0..=area.mask).map(move |way| area.row(way)))
        });
        let all = core::iter::once(shape.pressure).chain(records).chain(rooms);
        assert!(all.eq(shape.range()));
        assert_eq!(shape.range().start, 5);
    }
}
