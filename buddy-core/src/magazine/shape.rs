//! How large a magazine is, and where in its words everything lies.
//!
//! ```text
//! | PRESSURE | marks, a word a class | hints, a word a class for each lane | rows of way 0 | of way 1 | ..
//! rows of a way: | class 0: MEMBERS, RESTING | class 1: MEMBERS, RESTING | ..
//! ```

use crate::class::Class;
use crate::tree::{Order, Word};

/// Blocks rest that are at most 1/1024 of the range.
const ORDERS_BELOW_TOP: u32 = 10;
/// With more significant bits there are more classes than a magazine is worth.
const MOST_PRECISION: u32 = 4;
/// Lanes beyond these share.
const MOST_LANES: usize = 64;

/// The number of calls that are short of memory.
pub(super) const PRESSURE: usize = 0;
pub(super) const HEADER: usize = 1;

/// The words of a row: MEMBERS and RESTING.
pub(super) const ROW: usize = 2;

/// How large a magazine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Sizes that can rest.
    pub(super) classes: usize,
    /// `log2` of the rows of a class.
    pub(super) way_shift: u32,
    /// Parts of it that CPUs have of their own.
    pub(super) lanes: usize,
}

impl Shape {
    pub(crate) const NONE: Self = Self { classes: 0, way_shift: 0, lanes: 1 };

    /// The words to spend on the magazine of a tree of `tree_words` words over `leaves` leaves: what
    /// both together may take is 4.29 bits a leaf, which leaves nothing for those of small trees.
    pub(crate) const fn words_for<W: Word>(leaves: usize, tree_words: usize) -> usize {
        let both = (leaves / 100).saturating_mul(429) / W::BITS as usize;
        both.saturating_sub(tree_words)
    }

    /// The largest magazine worth having that fits into `words` words, over a tree whose highest
    /// order is `top`, for blocks of `precision` and so many CPUs.
    pub(crate) const fn fitting<W: Word>(
        words: usize,
        top: Order,
        precision: u32,
        cpus: usize,
    ) -> Self {
        if precision > MOST_PRECISION || top.get() < ORDERS_BELOW_TOP {
            return Self::NONE;
        }
        let largest = 1 << (top.get() - ORDERS_BELOW_TOP);
        let classes = Class::holding(largest - 1, precision).index + 1;
        let lanes = match cpus {
            0 => 1,
            _ if cpus < MOST_LANES => cpus,
            _ => MOST_LANES,
        };
        // A mark is a bit for each way.
        let mut shape = Self { classes, way_shift: W::BITS.ilog2(), lanes };
        while shape.words() > words && shape.way_shift > 0 {
            shape.way_shift -= 1;
        }
        if shape.words() > words {
            shape.lanes = 1;
        }
        while shape.words() > words && shape.classes > 0 {
            shape.classes -= 1;
        }
        if shape.classes == 0 { Self::NONE } else { shape }
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.classes == 0
    }

    /// How many words it takes.
    pub(crate) const fn words(&self) -> usize {
        if self.is_none() { 0 } else { self.row(self.ways(), 0) }
    }

    /// Rows of a class.
    #[inline(always)]
    pub(super) const fn ways(&self) -> usize {
        1 << self.way_shift
    }

    /// Where the marks of a class lie.
    #[inline(always)]
    pub(super) const fn marks(class: usize) -> usize {
        HEADER + class
    }

    /// Where the hint of a class for a lane lies.
    #[inline(always)]
    pub(super) const fn hint(&self, lane: usize, class: usize) -> usize {
        HEADER + (1 + lane) * self.classes + class
    }

    /// Where a row begins.
    #[inline(always)]
    pub(super) const fn row(&self, way: usize, class: usize) -> usize {
        HEADER + (1 + self.lanes) * self.classes + (way * self.classes + class) * ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    fn top(order: u32) -> Order {
        Order::new(order).unwrap()
    }

    #[test]
    fn a_shape_fits_its_words() {
        for words in 0..3000 {
            for order in [0, 5, 9, 10, 16, 22, 28] {
                for cpus in [0, 1, 4, 1000] {
                    assert!(Shape::fitting::<Plain>(words, top(order), 3, cpus).words() <= words);
                    assert!(Shape::fitting::<Plain32>(words, top(order), 3, cpus).words() <= words);
                }
            }
        }
        assert!(Shape::fitting::<Plain>(10_000, top(22), 9, 1).is_none());
        assert!(Shape::fitting::<Plain>(10_000, top(9), 3, 1).is_none());
    }

    #[test]
    fn every_part_has_words_of_its_own() {
        let shape = Shape::fitting::<Plain>(700, top(16), 3, 3);
        assert!(shape.ways() > 1 && shape.lanes == 3);
        let (classes, ways) = (0..shape.classes, 0..shape.ways());
        let marks = classes.clone().map(Shape::marks);
        let hints = (0..3).flat_map(|lane| (0..shape.classes).map(move |class| (lane, class)));
        let hints = hints.map(|(lane, class)| shape.hint(lane, class));
        let rows = ways.flat_map(|way| (0..shape.classes).map(move |class| (way, class)));
        let rows = rows.flat_map(|(way, class)| [0, 1].map(|word| shape.row(way, class) + word));
        assert!(
            core::iter::once(PRESSURE).chain(marks).chain(hints).chain(rows).eq(0..shape.words())
        );
    }
}
