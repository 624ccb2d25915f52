//! Where in the metadata everything lies: pure arithmetic on a range of leaves, all `const`.
//!
//! ```text
//! | header | records, one an order | rests | order 0: nodes, summaries | order 1: ... | ... |
//! ```
//!
//! Order `k` has a node for every block of `2^k` leaves that the range touches, so its nodes take
//! about `leaves >> k` times two bits, all orders together 4 bits a leaf. A level with more than one
//! word of nodes has a summary: a bit a word, a bit a word of those, and so on to a single word;
//! 1/16 bit a leaf in all. Node numbers are those of the whole number line, so that a block's buddy
//! never depends on where the range begins; words before the range's first are not stored.

use super::word::{Word, max_value, node_shift};
use core::ops::Range;

/// The words at the start of the metadata.
pub(super) mod header {
    /// Identifies a tree, its word width and its record size.
    pub(in crate::tree) const MAGIC: usize = 0;
    /// The first leaf.
    pub(in crate::tree) const FIRST: usize = 1;
    /// One past the last leaf that the metadata can record.
    pub(in crate::tree) const CAPACITY: usize = 2;
    /// One past the last leaf of the range now.
    pub(in crate::tree) const END: usize = 3;
    /// Bit `k` is set if order `k` has a free block (it may be set without).
    pub(in crate::tree) const ORDERS: usize = 4;
    /// Allocated leaves.
    pub(in crate::tree) const USED: usize = 5;
    /// The largest USED so far.
    pub(in crate::tree) const PEAK: usize = 6;
    /// Allocated blocks.
    pub(in crate::tree) const BLOCKS: usize = 7;
    /// Reserved leaves in the range.
    pub(in crate::tree) const RESERVED: usize = 8;
    /// Calls that have leaves in their hands, and above, calls that had (`transit.rs`).
    pub(in crate::tree) const TRANSIT: usize = 9;
    pub(in crate::tree) const WORDS: usize = 10;
}

/// The words of an order's record.
pub(super) mod record {
    /// The metadata index of the order's word number 0 (wrapping: that word need not be stored).
    pub(in crate::tree) const NODES: usize = 0;
    /// The same for the lowest summary.
    pub(in crate::tree) const SUMMARY: usize = 1;
    /// Free blocks of the order.
    pub(in crate::tree) const FREE: usize = 2;
    /// The number + 1 of the order's active word, or 0.
    pub(in crate::tree) const ACTIVE: usize = 3;
    pub(in crate::tree) const WORDS: usize = 4;
}

/// The words of an order's rests: those that were active before, the last first (`merge.rs`).
pub(super) mod rests {
    /// Where the last one lies, from 1 on; 0 at first.
    pub(in crate::tree) const LAST: usize = 0;
    /// The last place. In each the number + 1 of a word, or 0.
    pub(in crate::tree) const PLACES: usize = 7;
    pub(in crate::tree) const WORDS: usize = PLACES + 1;
    /// A range has `1 << SHARE` times the leaves that the words in an order's rests can stand for,
    /// or that order has none. Models of few leaves have none, or they would not end.
    pub(in crate::tree) const SHARE: u32 = 6;
}

/// The extent of a tree in words of a given width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) first: usize,
    pub(super) capacity: usize,
    /// The highest order of which a block fits in the range.
    pub(super) top: u32,
    /// The lowest order whose nodes have no summary; nor have those of all orders above.
    pub(super) single: u32,
    /// How many orders, from 0 on, have rests.
    pub(super) resting: u32,
}

/// Words that are stored side by side: numbers `low..=high`, the first at metadata index `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) low: usize,
    pub(super) high: usize,
}

impl Span {
    /// How many words.
    pub(super) const fn len(&self) -> usize {
        self.high - self.low + 1
    }

    /// Whether the words are so few that no summary stands above them. Two, because a range that is
    /// much smaller than its leaf numbers may lie across a word's end at every height.
    pub(super) const fn is_top(&self) -> bool {
        self.len() <= 2
    }

    /// The metadata index of word number `number`.
    pub(super) const fn at(&self, number: usize) -> usize {
        self.start + number - self.low
    }

    /// The metadata index that word number 0 would have (wrapping).
    pub(super) const fn base(&self) -> usize {
        self.start.wrapping_sub(self.low)
    }

    /// The summary of these words: a bit a word, stored behind them.
    pub(super) const fn summary<W: Word>(&self) -> Self {
        let shift = W::BITS.ilog2();
        Self { start: self.start + self.len(), low: self.low >> shift, high: self.high >> shift }
    }
}

impl Geometry {
    /// The geometry of `range`, or `None` if it is empty or too large for words of `W`.
    pub(super) const fn new<W: Word>(range: &Range<usize>) -> Option<Self> {
        let (first, capacity) = (range.start, range.end);
        // A quarter of what a word holds: a leaf number plus two blocks' sizes cannot overflow.
        if first >= capacity || capacity > max_value::<W>() >> 2 {
            return None;
        }
        let mut top = (capacity - first).ilog2();
        while (first.div_ceil(1 << top) + 1) << top > capacity {
            top -= 1;
        }
        let span = node_shift::<W>() + rests::WORDS.ilog2() + rests::SHARE;
        let resting = ((capacity - first).ilog2() + 1).saturating_sub(span);
        let mut geometry = Self { first, capacity, top, single: 0, resting };
        while !geometry.nodes::<W>(geometry.single, 0).is_top() {
            geometry.single += 1;
        }
        Some(geometry)
    }

    /// The words of the nodes of `order`, if they start at metadata index `start`.
    #[inline]
    pub(super) const fn nodes<W: Word>(&self, order: u32, start: usize) -> Span {
        // Two shifts: their sum may exceed the width of a `usize`.
        let shift = node_shift::<W>();
        let (first, last) = (self.first >> order, (self.capacity - 1) >> order);
        Span { start, low: first >> shift, high: last >> shift }
    }

    /// The metadata index of the rests of order `order`.
    #[inline(always)]
    pub(super) const fn rests(&self, order: u32) -> usize {
        header::WORDS + (self.top as usize + 1) * record::WORDS + order as usize * rests::WORDS
    }

    /// The metadata index of the first word of order `order`.
    pub(super) const fn level_start<W: Word>(&self, order: u32) -> usize {
        let mut at = self.rests(self.resting);
        let mut below = 0;
        while below < order {
            let mut span = self.nodes::<W>(below, at);
            while !span.is_top() {
                span = span.summary::<W>();
            }
            at = span.start + span.len();
            below += 1;
        }
        at
    }

    /// All words of the metadata.
    pub(super) const fn words<W: Word>(&self) -> usize {
        self.level_start::<W>(self.top + 1)
    }
}
