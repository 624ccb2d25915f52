//! Where in the metadata everything lies: pure arithmetic on a range of leaves, all `const`.
//!
//! ```text
//! | header | records, one an order | order 0: nodes, summaries | order 1: ... | ... |
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
    pub(in crate::tree) const WORDS: usize = 9;
}

/// The words of an order's record.
pub(super) mod record {
    /// The metadata index of the order's word number 0 (wrapping: that word need not be stored).
    pub(in crate::tree) const NODES: usize = 0;
    /// Free blocks of the order.
    pub(in crate::tree) const FREE: usize = 1;
    /// The slot that the next deferred merge takes. From here on only with a lazy policy.
    pub(in crate::tree) const CURSOR: usize = 2;
    /// The first of the slots, each the index + 1 of a block whose merge is deferred, or 0.
    pub(in crate::tree) const SLOTS: usize = 3;

    pub(in crate::tree) const fn words(defer: usize) -> usize {
        if defer == 0 { 2 } else { 3 + defer }
    }
}

/// The extent of a tree in words of a given width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) first: usize,
    pub(super) capacity: usize,
    /// The highest order of which a block fits in the range.
    pub(super) top: u32,
}

/// One order's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The number of the first word stored.
    pub(super) low: usize,
    /// How many words of nodes.
    pub(super) words: usize,
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
        Some(Self { first, capacity, top })
    }

    /// The words of order `order`.
    #[inline]
    pub(super) const fn span<W: Word>(&self, order: u32) -> Span {
        let low = (self.first >> order) >> node_shift::<W>();
        let nodes = (self.capacity - 1) >> order;
        Span { low, words: (nodes >> node_shift::<W>()) + 1 - low }
    }

    /// The words of order `order` with its summaries.
    const fn level_words<W: Word>(&self, order: u32) -> usize {
        let mut length = self.span::<W>(order).words;
        let mut total = length;
        while length > 1 {
            length = length.div_ceil(W::BITS as usize);
            total += length;
        }
        total
    }

    /// The metadata index of the first word of order `order`.
    pub(super) const fn level_start<W: Word>(&self, order: u32, defer: usize) -> usize {
        let mut at = header::WORDS + (self.top as usize + 1) * record::words(defer);
        let mut below = 0;
        while below < order {
            at = at.saturating_add(self.level_words::<W>(below));
            below += 1;
        }
        at
    }

    /// All words of the metadata.
    pub(super) const fn words<W: Word>(&self, defer: usize) -> usize {
        self.level_start::<W>(self.top + 1, defer)
    }
}
