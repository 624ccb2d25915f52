//! A region: where leaf numbers become addresses and addresses leaf numbers.

use super::span::distance_to_multiple;
use core::ops::Range;
use core::ptr::NonNull;

/// A stretch of memory: leaf `first + i` is the `MIN_BLOCK` bytes at `base + i * MIN_BLOCK`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    /// A multiple of `MIN_BLOCK`; the pointer may be used for all `bytes` from here on (H1).
    pub(super) base: NonNull<u8>,
    /// The first leaf's number.
    pub(super) first: usize,
    /// How many leaves: as many as `bytes` holds.
    pub(super) leaves: usize,
    /// From `base` to the end of what was given.
    pub(super) bytes: usize,
    /// Whether what it touches may belong to the same allocation.
    pub(super) extendable: bool,
}

impl Region {
    /// One past the last leaf's number.
    pub(super) const fn end(&self) -> usize {
        self.first + self.leaves
    }

    pub(super) fn address(&self) -> usize {
        self.base.addr().get()
    }

    pub(super) fn end_address(&self) -> usize {
        self.address() + self.bytes
    }

    /// Whether memory at `start` follows directly and may become part of this region.
    pub(super) fn is_followed_by(&self, start: NonNull<u8>) -> bool {
        self.extendable && self.end_address() == start.addr().get()
    }

    /// The region longer by `bytes` bytes directly behind it.
    pub(super) const fn lengthened(mut self, bytes: usize, min_block: usize) -> Self {
        self.bytes += bytes;
        self.leaves = self.bytes / min_block;
        self
    }

    /// The number that the leaf at `address`, a multiple of `min_block`, has if numbers go on as in
    /// this region; `None` if it would be less than 0.
    pub(super) fn number_of(&self, address: usize, min_block: usize) -> Option<usize> {
        let (base, first) = (self.address() / min_block, self.first);
        (address / min_block).checked_add(first)?.checked_sub(base)
    }

    /// The numbers of the leaves that lie inside the `len` bytes at `start`.
    pub(super) fn leaves_within(&self, start: usize, len: usize, min_block: usize) -> Range<usize> {
        let offset = start.saturating_sub(self.address());
        let end = start.saturating_add(len).saturating_sub(self.address());
        let (low, high) = (offset.div_ceil(min_block), (end / min_block).min(self.leaves));
        self.first + low.min(high)..self.first + high
    }

    /// Whether at least one number lies between this region's and the other's.
    pub(super) const fn is_apart_from(&self, other: &Self) -> bool {
        self.end() < other.first || other.end() < self.first
    }

    /// How many numbers lie between this region's and the other's.
    pub(super) const fn distance_to(&self, other: &Self) -> usize {
        if self.first < other.first {
            other.first.saturating_sub(self.end())
        } else {
            self.first.saturating_sub(other.end())
        }
    }

    /// Whether numbers and memory go on from one region to the other, and blocks may lie in both.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let goes_on = |low: &Self, high: &Self| {
            low.is_followed_by(high.base) && high.extendable && low.end() == high.first
        };
        goes_on(self, other) || goes_on(other, self)
    }

    /// Whether any of the `bytes` bytes at `start` belongs to this region.
    pub(super) fn overlaps(&self, start: NonNull<u8>, bytes: usize) -> bool {
        let (start, end) = (start.addr().get(), start.addr().get() + bytes);
        start < self.end_address() && self.address() < end
    }

    /// The alignment that natural alignment in leaf numbers guarantees by address: the largest power
    /// of two by which all addresses are congruent to `leaf number * min_block`.
    pub(super) fn natural_alignment(&self, min_block: usize) -> usize {
        let origin = self.address().wrapping_sub(self.first.wrapping_mul(min_block));
        if origin == 0 { 1 << (usize::BITS - 1) } else { 1 << origin.trailing_zeros() }
    }

    /// The numbers of the leaves whose address is a multiple of `align`, a power of two and a
    /// multiple of `min_block`, and behind which the region has at least `leaves` leaves.
    pub(super) fn aligned_leaves(
        &self,
        align: usize,
        leaves: usize,
        min_block: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let skipped = distance_to_multiple(self.address(), align) / min_block;
        let last = self.end().checked_sub(leaves);
        let places = last.map_or(0..0, |last| self.first.saturating_add(skipped)..last + 1);
        places.step_by(align / min_block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    const LEAF: usize = 16;

    /// A region for arithmetic only.
    fn region(address: usize, first: usize, bytes: usize) -> Region {
        let base = NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        Region { base, first, leaves: bytes / LEAF, bytes, extendable: true }
    }

    #[test]
    fn leaves_within_are_those_that_lie_inside_in_full() {
        // Leaves 100 to 109, from 0x1000 to 0x10a0, and eight bytes more.
        let region = region(0x1000, 100, 10 * LEAF + 8);
        for (start, len, first, end) in [
            (0x1000, 160, 100, 110),
            (0x0f00, 10_000, 100, 110),
            (0x1001, 159, 101, 110),
            (0x1010, 159, 101, 110),
            (0x1010, 143, 101, 109),
            (0x1050, 16, 105, 106),
            (0x1050, 15, 105, 105),
            (0x1051, 30, 106, 106),
            (0x1050, usize::MAX, 105, 110),
        ] {
            assert_eq!(region.leaves_within(start, len, LEAF), first..end, "{start:#x} {len}");
        }
        for (start, len) in [(0x100, 0x100), (0x2000, 0x100), (0x10a0, 8), (0x1020, 0)] {
            assert!(region.leaves_within(start, len, LEAF).is_empty(), "{start:#x} {len}");
        }
    }

    #[test]
    fn regions_are_apart_if_a_number_lies_between_them() {
        let low = region(0x1000, 10, 10 * LEAF);
        for (first, is_apart, distance) in
            [(21, true, 1), (20, false, 0), (19, false, 0), (40, true, 20)]
        {
            let high = region(0x8000, first, 10 * LEAF);
            assert_eq!((low.is_apart_from(&high), high.is_apart_from(&low)), (is_apart, is_apart));
            assert_eq!((low.distance_to(&high), high.distance_to(&low)), (distance, distance));
        }
        assert_eq!(low.distance_to(&low), 0);
    }

    #[test]
    fn regions_are_beside_each_other_if_numbers_and_memory_go_on() {
        let low = region(0x1000, 10, 10 * LEAF);
        let high = region(0x10a0, 20, 10 * LEAF);
        assert!(low.is_beside(&high) && high.is_beside(&low));
        let fixed = |region: &Region| Region { extendable: false, ..*region };
        let others = [
            (fixed(&low), high),
            (low, fixed(&high)),
            (low, region(0x10b0, 20, 10 * LEAF)),
            (low, region(0x10a0, 21, 10 * LEAF)),
        ];
        for (low, high) in others {
            assert!(!low.is_beside(&high) && !high.is_beside(&low), "{low:?} {high:?}");
        }
    }

    #[test]
    fn natural_alignment_is_that_of_number_0() {
        for (address, first, alignment) in [
            (0x1000, 0, 0x1000),
            (0x1000, 1, 16),
            (0x1010, 1, 0x1000),
            (0x1010, 257, 1 << (usize::BITS - 1)),
            (0x1810, 1, 0x800),
        ] {
            assert_eq!(region(address, first, 160).natural_alignment(LEAF), alignment);
        }
    }

    #[test]
    fn aligned_leaves_have_room_behind_them() {
        let region = region(0x1010, 5, 100 * LEAF);
        let leaves = |align, count| region.aligned_leaves(align, count, LEAF);
        assert!(leaves(64, 1).eq([8, 12, 16].into_iter().chain((20..105).step_by(4))));
        assert_eq!((leaves(64, 97).count(), leaves(64, 98).count()), (1, 0));
        assert_eq!((leaves(64, 100).count(), leaves(64, 101).count()), (0, 0));
        assert_eq!((leaves(16, 100).count(), leaves(16, 101).count()), (1, 0));
        assert_eq!(leaves(4096, 1).count(), 0);
    }
}
