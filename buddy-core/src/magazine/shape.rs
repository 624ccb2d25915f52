//! How large a magazine is, and where in its words everything lies.
//!
//! ```text
//! | PRESSURE | marks, a bit a way, for each class | hints, a word a class for each lane | rows of way 0 | of way 1 | ..
//! rows of a way: | class 0: MEMBERS, RESTING | class 1: MEMBERS, RESTING | ..
//! ```

use crate::class::Class;
use crate::tree::{Order, Plain, Word};
use core::ops::Range;

/// Blocks rest that are at most 1/1024 of the range.
const ORDERS_BELOW_TOP: u32 = 10;
/// With more significant bits there are more classes than a magazine is worth.
const MOST_PRECISION: u32 = 4;
/// Rows of a class.
const MOST_WAYS: usize = 1 << 10;
/// Lanes beyond these share.
const MOST_LANES: usize = 64;

/// The words of a row: MEMBERS and RESTING.
const ROW: usize = 2;

/// How large a magazine is, and at which words of the storage its parts begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Sizes that can rest.
    pub(super) classes: usize,
    /// Rows of a class, less 1.
    pub(super) way_mask: usize,
    /// Parts of it that CPUs have of their own.
    pub(super) lanes: usize,
    /// The number of calls that are short of memory; the marks follow it.
    pub(super) pressure: usize,
    /// Words of marks that a class has.
    pub(super) mark_words: usize,
    hints: usize,
    rows: usize,
}

impl Shape {
    /// For models: one class, one row, in words from 0 on.
    #[cfg(all(test, loom))]
    pub(super) const fn smallest<W: Word>() -> Self {
        Self::of::<W>(0, 1, 0, 1)
    }

    pub(crate) const NONE: Self = Self::of::<Plain>(0, 0, 0, 1);

    const fn of<W: Word>(at: usize, classes: usize, way_mask: usize, lanes: usize) -> Self {
        let mark_words = way_mask / W::BITS as usize + 1;
        let hints = at + 1 + classes * mark_words;
        let rows = hints + lanes * classes;
        Self { classes, way_mask, lanes, pressure: at, mark_words, hints, rows }
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
        let nodes = W::BITS / 2;
        let highest = usize::BITS + 1 - nodes - nodes.ilog2();
        let natural = top.get() - ORDERS_BELOW_TOP;
        let largest = 1 << if natural < highest { natural } else { highest };
        let classes = Class::holding(largest - 1, precision).index + 1;
        let lanes = match cpus {
            0 => 1,
            _ if cpus < MOST_LANES => cpus,
            _ => MOST_LANES,
        };
        let mut shape = Self::of::<W>(at, classes, MOST_WAYS - 1, lanes);
        while shape.words() > words && shape.way_mask > 0 {
            shape = Self::of::<W>(at, classes, shape.way_mask >> 1, lanes);
        }
        if shape.words() > words {
            shape = Self::of::<W>(at, classes, 0, 1);
        }
        while shape.words() > words && shape.classes > 0 {
            shape = Self::of::<W>(at, shape.classes - 1, 0, 1);
        }
        if shape.classes == 0 { Self::NONE } else { shape }
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.classes == 0
    }

    /// How many words it takes.
    pub(crate) const fn words(&self) -> usize {
        let rows = (self.way_mask + 1) * self.stride();
        if self.is_none() { 0 } else { self.rows - self.pressure + rows }
    }

    /// Which words it takes.
    pub(super) const fn range(&self) -> Range<usize> {
        self.pressure..self.pressure + self.words()
    }

    /// How far apart the rows of a class are.
    #[inline(always)]
    pub(super) const fn stride(&self) -> usize {
        self.classes * ROW
    }

    /// Where the marks of a class begin.
    #[inline(always)]
    pub(super) const fn marks(&self, class: usize) -> usize {
        self.pressure + 1 + class * self.mark_words
    }

    /// Where the hint of a class for a lane lies.
    #[inline(always)]
    pub(super) const fn hint(&self, lane: usize, class: usize) -> usize {
        self.hints + lane * self.classes + class
    }

    /// Where the row of a class begins, `offset` (a way times the stride) behind its first.
    #[inline(always)]
    pub(super) const fn row(&self, offset: usize, class: usize) -> usize {
        self.rows + offset + class * ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Plain32;

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
        assert!(Shape::fitting::<Plain>(0, 10_000, top(9), 3, 1).is_none());
    }

    #[test]
    fn every_part_has_words_of_its_own() {
        let shape = Shape::fitting::<Plain>(5, 700, top(16), 3, 3);
        assert!(shape.way_mask > 0 && shape.lanes == 3);
        let (classes, ways) = (0..shape.classes, 0..=shape.way_mask);
        let marks = classes
            .clone()
            .flat_map(|class| (0..shape.mark_words).map(move |word| shape.marks(class) + word));
        let hints = (0..3).flat_map(|lane| (0..shape.classes).map(move |class| (lane, class)));
        let hints = hints.map(|(lane, class)| shape.hint(lane, class));
        let rows = ways.flat_map(|way| (0..shape.classes).map(move |class| (way, class)));
        let rows = rows.flat_map(|(way, class)| {
            let row = shape.row(way * shape.stride(), class);
            [row, row + 1]
        });
        let all = core::iter::once(shape.pressure).chain(marks).chain(hints).chain(rows);
        assert!(all.eq(shape.range()));
        assert_eq!(shape.range().start, 5);
    }
}
