//! Regions: where a leaf number becomes a pointer and a pointer a leaf number, here and nowhere else.

use core::ptr::NonNull;

/// Blocks up to this alignment are aligned by address wherever the region starts, if it is that
/// long. Larger alignments the numbering follows only as far as the region's start has them.
pub(super) const PAGE: usize = 4096;

/// A stretch of memory: leaf `first + i` is the `MIN_BLOCK` bytes at `base + i * MIN_BLOCK`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    /// A multiple of `MIN_BLOCK`; the pointer may be used for all `bytes` from here on (H1).
    base: NonNull<u8>,
    /// The first leaf's number.
    first: usize,
    /// How many leaves: as many as `bytes` holds.
    leaves: usize,
    /// From `base` to the end of what was given.
    bytes: usize,
    /// Whether what directly follows may belong to the same allocation.
    extendable: bool,
}

impl Region {
    const NONE: Self =
        Self { base: NonNull::dangling(), first: 0, leaves: 0, bytes: 0, extendable: false };

    /// One past the last leaf's number.
    pub(super) const fn end(&self) -> usize {
        self.first + self.leaves
    }

    pub(super) const fn leaves(&self) -> usize {
        self.leaves
    }

    pub(super) fn address(&self) -> usize {
        self.base.addr().get()
    }

    fn end_address(&self) -> usize {
        self.address() + self.bytes
    }

    /// Whether memory at `start` follows directly and may become part of this region.
    pub(super) fn is_followed_by(&self, start: NonNull<u8>) -> bool {
        self.extendable && self.leaves > 0 && self.end_address() == start.addr().get()
    }

    /// How many leaves more it has if it becomes longer by `bytes` bytes.
    pub(super) const fn leaves_gained(&self, bytes: usize, min_block: usize) -> usize {
        (self.bytes + bytes) / min_block - self.leaves
    }

    /// Whether any of the `bytes` bytes at `start` belongs to this region.
    pub(super) fn overlaps(&self, start: NonNull<u8>, bytes: usize) -> bool {
        let (start, end) = (start.addr().get(), start.addr().get() + bytes);
        self.leaves > 0 && start < self.end_address() && self.address() < end
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

/// How far it is from an address up to the next multiple of a power of two.
const fn distance_to_multiple(address: usize, align: usize) -> usize {
    address.wrapping_neg() & (align - 1)
}

/// Raw memory cut to whole blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// A multiple of the minimum block.
    pub(super) base: NonNull<u8>,
    /// How many bytes there are from `base` on.
    pub(super) bytes: usize,
}

impl Span {
    /// Rounds the start of `bytes` bytes at `start` up to a multiple of `min_block`; `None` if no
    /// block is left.
    ///
    /// # Safety
    /// `start` points to at least `bytes` bytes of one allocation.
    pub(super) unsafe fn new(start: NonNull<u8>, bytes: usize, min_block: usize) -> Option<Self> {
        let skipped = distance_to_multiple(start.addr().get(), min_block);
        if bytes < min_block || bytes - min_block < skipped {
            return None;
        }
        // SAFETY: `skipped` is less than `bytes`, all of which are of one allocation.
        let base = unsafe { start.add(skipped) };
        Some(Self { base, bytes: bytes - skipped })
    }

    pub(super) const fn leaves(&self, min_block: usize) -> usize {
        self.bytes / min_block
    }

    /// The number for the span's first leaf: at least `from`, and so that all its leaves have
    /// numbers below `capacity`; `None` if there is no room.
    ///
    /// Two things are wanted. Numbers shall be congruent to addresses modulo [`PAGE`], so that the
    /// tree's natural alignment is alignment by address. And the span's first page boundary shall
    /// have a number that is a multiple of a large power of two, so that large blocks fit. Where
    /// the numbers left are few, large blocks are given up first, then alignment.
    pub(super) fn first_leaf(
        &self,
        min_block: usize,
        from: usize,
        capacity: usize,
    ) -> Option<usize> {
        let leaves = self.leaves(min_block);
        let largest = leaves.ilog2();
        let page = (PAGE / min_block).max(1).ilog2();
        (0..=largest).rev().find_map(|order| {
            let align = min_block << order.min(page);
            let head = distance_to_multiple(self.base.addr().get(), align) / min_block;
            let boundary = from.checked_add(head)?.checked_next_multiple_of(1 << order)?;
            let first = boundary - head;
            (first <= capacity && capacity - first >= leaves).then_some(first)
        })
    }
}

/// A heap's regions, in the order of their leaf numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Regions<const MIN_BLOCK: usize, const N: usize> {
    table: [Region; N],
    count: usize,
}

impl<const MIN_BLOCK: usize, const N: usize> Regions<MIN_BLOCK, N> {
    pub(super) const fn new() -> Self {
        const { assert!(N > 0, "a heap has room for at least one region") };
        const { assert!(MIN_BLOCK.is_power_of_two(), "MIN_BLOCK must be a power of two") };
        const { assert!(MIN_BLOCK >= 8, "MIN_BLOCK must be at least 8") };
        Self { table: [Region::NONE; N], count: 0 }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[Region] {
        &self.table[..self.count]
    }

    /// Adds a region, if the table has room. Its numbers lie behind those of all others.
    pub(super) fn enter(&mut self, span: Span, first: usize, extendable: bool) {
        if let Some(entry) = self.table.get_mut(self.count) {
            let (leaves, Span { base, bytes }) = (span.leaves(MIN_BLOCK), span);
            *entry = Region { base, first, leaves, bytes, extendable };
            self.count += 1;
        }
    }

    /// Lengthens the last region by `bytes` bytes directly behind it.
    pub(super) fn lengthen_last(&mut self, bytes: usize) {
        if let Some(last) = self.table[..self.count].last_mut() {
            last.bytes += bytes;
            last.leaves = last.bytes / MIN_BLOCK;
        }
    }

    /// The number of the leaf that starts at `ptr`; `None` if none does.
    #[inline(always)]
    pub(super) fn leaf_at(&self, ptr: NonNull<u8>) -> Option<usize> {
        match Self::leaf_in(&self.table[0], ptr) {
            Some(leaf) => Some(leaf),
            None => self.leaf_in_others(ptr),
        }
    }

    #[inline(never)]
    fn leaf_in_others(&self, ptr: NonNull<u8>) -> Option<usize> {
        self.table[1..].iter().find_map(|region| Self::leaf_in(region, ptr))
    }

    #[inline(always)]
    fn leaf_in(region: &Region, ptr: NonNull<u8>) -> Option<usize> {
        let offset = ptr.addr().get().wrapping_sub(region.base.addr().get());
        // The rotation moves what is no multiple of MIN_BLOCK to the top: one comparison finds both
        // a pointer outside the region and one inside a leaf.
        let index = offset.rotate_right(MIN_BLOCK.trailing_zeros());
        if index < region.leaves { Some(region.first + index) } else { None }
    }

    /// The number of the leaf that `ptr` lies in; `None` outside all regions.
    pub(super) fn leaf_containing(&self, ptr: NonNull<u8>) -> Option<usize> {
        self.as_slice().iter().find_map(|region| {
            let offset = ptr.addr().get().wrapping_sub(region.address());
            (offset / MIN_BLOCK < region.leaves).then_some(region.first + offset / MIN_BLOCK)
        })
    }

    /// The pointer to a leaf; `None` if no region has that number.
    #[inline(always)]
    pub(super) fn pointer_to(&self, leaf: usize) -> Option<NonNull<u8>> {
        match Self::pointer_in(&self.table[0], leaf) {
            Some(pointer) => Some(pointer),
            None => self.pointer_in_others(leaf),
        }
    }

    #[inline(never)]
    fn pointer_in_others(&self, leaf: usize) -> Option<NonNull<u8>> {
        self.table[1..].iter().find_map(|region| Self::pointer_in(region, leaf))
    }

    #[inline(always)]
    fn pointer_in(region: &Region, leaf: usize) -> Option<NonNull<u8>> {
        let index = leaf.wrapping_sub(region.first);
        if index >= region.leaves {
            return None;
        }
        // SAFETY: the leaf lies in the region, and all of that is memory of one allocation that
        // `base` may be used for (H1).
        Some(unsafe { region.base.add(index * MIN_BLOCK) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    /// A span for arithmetic only.
    fn span(address: usize, bytes: usize) -> Span {
        let base = NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        Span { base, bytes }
    }

    fn natural_alignment(span: Span, min_block: usize, first: usize) -> usize {
        let leaves = span.leaves(min_block);
        let region =
            Region { base: span.base, first, leaves, bytes: span.bytes, extendable: false };
        region.natural_alignment(min_block)
    }

    #[test]
    fn a_region_on_a_page_boundary_starts_with_number_0() {
        for bytes in [4096, 5000, 1 << 20, 3 << 20] {
            assert_eq!(span(0x7000, bytes).first_leaf(16, 0, usize::MAX), Some(0));
        }
    }

    #[test]
    fn numbers_follow_addresses_up_to_a_page() {
        for min_block in [8, 16, 64, 4096, 65536] {
            for blocks in [1, 2, 3, 5, 100, 1000] {
                for at in 1..300 {
                    let span = span(at * min_block, blocks * min_block);
                    let first = span.first_leaf(min_block, 0, usize::MAX).unwrap();
                    let wanted = (1 << span.bytes.ilog2()).min(PAGE).max(min_block);
                    assert!(natural_alignment(span, min_block, first) >= wanted);
                }
            }
        }
    }

    #[test]
    fn the_first_page_boundary_has_a_number_that_starts_large_blocks() {
        let first = span(0x1010, (1 << 20) + 4096).first_leaf(16, 0, usize::MAX);
        assert_eq!(first, Some((1 << 16) - (4096 - 16) / 16));
    }

    #[test]
    fn where_numbers_are_few_a_region_still_fits() {
        let span = span(0x1010, 1000 * 16);
        for from in [0, 1, 7, 300] {
            for spare in 0..5000 {
                let first = span.first_leaf(16, from, from + 1000 + spare).unwrap();
                assert!(first >= from && first + 1000 <= from + 1000 + spare);
            }
            assert_eq!(span.first_leaf(16, from, from + 999), None);
        }
        assert_eq!(span.first_leaf(16, usize::MAX - 1, usize::MAX), None);
    }

    #[test]
    fn only_the_start_of_a_leaf_has_a_number() {
        let mut regions = Regions::<16, 2>::new();
        regions.enter(span(0x1000, 160), 3, false);
        regions.enter(span(0x2000, 160), 20, false);
        let at = |address| NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        assert_eq!(regions.leaf_at(at(0x1000)), Some(3));
        assert_eq!(regions.leaf_at(at(0x1090)), Some(12));
        assert_eq!(regions.leaf_at(at(0x2010)), Some(21));
        for outside in [1, 0xff0, 0x1001, 0x1008, 0x10a0, 0x1ff0, 0x20a0, usize::MAX] {
            assert_eq!(regions.leaf_at(at(outside)), None);
        }
        assert_eq!(regions.leaf_containing(at(0x1008)), Some(3));
        assert_eq!(regions.leaf_containing(at(0x10a0)), None);
    }
}
