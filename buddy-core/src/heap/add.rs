//! Giving a heap memory while it is in use.

use super::region::Region;
use super::regions::Change;
use super::span::{PAGE, Span};
use super::{ExclusiveStorage, Heap, RegionError};
use crate::tree::{Policy, Storage, Tree};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

impl<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// Adds memory, also while other threads use the heap; returns how many bytes became usable.
    /// O(orders + `REGIONS`²).
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    ///
    /// type TwoRegions = Heap<[Plain; 100], 64>;
    /// let heap = TwoRegions::new([const { Plain::zero() }; 100])?;
    /// for bytes in [3000, 5000] {
    ///     let memory = vec![std::mem::MaybeUninit::uninit(); bytes].leak();
    ///     assert!(heap.add(memory)? > bytes - 128);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the region is too small for a block, the heap has no room for it in its metadata or its
    /// table of regions, or another call is adding memory; nothing has changed then.
    pub fn add(&self, region: &'static mut [MaybeUninit<u8>]) -> Result<usize, RegionError> {
        let len = region.len();
        // SAFETY: borrowed for ever and from now on used by the heap only.
        unsafe { self.add_memory(NonNull::from(region).cast(), len, false) }
    }

    /// As [`Self::add`], with the `len` bytes at `start`.
    ///
    /// Memory that touches other memory added by this function, before or behind it, merges with it
    /// where the metadata has the numbers for that: blocks may lie in both. It always has them for
    /// what follows the memory added last, and for what fills a gap between two regions.
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    /// use core::ptr::NonNull;
    ///
    /// let heap: Heap<_, 64> = Heap::new([const { Plain::zero() }; 100])?;
    /// let memory = NonNull::from(vec![0_u8; 8192].leak()).cast();
    /// // SAFETY: the first half of leaked memory.
    /// let low = unsafe { heap.add_raw(memory, 4096)? };
    /// // SAFETY: the second half, of the same allocation.
    /// let high = unsafe { heap.add_raw(memory.add(4096), 4096)? };
    /// assert_eq!(heap.size(), low + high);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// - The memory is of one allocation (in the sense of [`core::ptr`]); `start` may be used to
    ///   read and write all of it for as long as the heap or a block of it is used.
    /// - Nobody else uses it in that time.
    /// - If it touches memory that was added by this function, both are of one allocation, and the
    ///   pointer to the lower may be used for the higher, too.
    ///
    /// # Errors
    /// As [`Self::add`], and if the memory overlaps a region that the heap has.
    pub unsafe fn add_raw(&self, start: NonNull<u8>, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the caller's duties say so.
        unsafe { self.add_memory(start, len, true) }
    }

    /// # Safety
    /// As [`Self::add_raw`], the last point only if `extendable`.
    unsafe fn add_memory(
        &self,
        start: NonNull<u8>,
        len: usize,
        extendable: bool,
    ) -> Result<usize, RegionError> {
        let tree = self.tree.as_ref().ok_or(RegionError::NoMetadata)?;
        let change = self.regions.change().ok_or(RegionError::Busy)?;
        if let Some(region) = self.regions.iter().find(|region| region.overlaps(start, len)) {
            return Err(RegionError::Overlap { region: region.address() });
        }
        let before = self.regions.iter().find(|region| extendable && region.is_followed_by(start));
        if let Some(gained) = before.and_then(|region| self.lengthen(tree, &change, region, len)) {
            return Ok(gained);
        }
        // SAFETY: memory of one allocation.
        let span = unsafe { Span::new(start, len, MIN_BLOCK) };
        let Span { base, bytes } = span.ok_or(RegionError::TooSmall { bytes: len })?;
        let leaves = bytes / MIN_BLOCK;
        let region = Region { base, first: 0, leaves, bytes, extendable };
        let room = || RegionError::Capacity {
            needed: leaves * MIN_BLOCK,
            available: self.widest_gap(tree) * MIN_BLOCK,
        };
        let first = self.number_for(tree, region).ok_or_else(room)?;
        if !self.enter(&change, Region { first, ..region }) {
            return Err(RegionError::TooMany { limit: REGIONS });
        }
        // Numbers of the metadata's that no region had: this cannot fail.
        tree.release(first, leaves).map_err(|_| room())?;
        Ok(leaves * MIN_BLOCK)
    }
}

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// Makes `bytes` bytes directly behind a region part of it, if the numbers there are nobody's;
    /// returns how many became usable.
    fn lengthen(
        &self,
        tree: &Tree<S, P>,
        change: &Change<'_, MIN_BLOCK, REGIONS>,
        region: Region,
        bytes: usize,
    ) -> Option<usize> {
        let longer = region.lengthened(bytes, MIN_BLOCK);
        let others = self.regions.iter().filter(|other| other.first != region.first);
        if !Self::is_vacant(tree, others, longer) {
            return None;
        }
        change.lengthen(longer);
        let gained = longer.leaves - region.leaves;
        if gained > 0 {
            tree.release(region.end(), gained).ok()?;
        }
        Some(gained * MIN_BLOCK)
    }

    /// Whether the region's numbers are in the metadata, and neither another region's nor right beside
    /// them, unless the regions touch and may merge (H2).
    fn is_vacant(
        tree: &Tree<S, P>,
        mut others: impl Iterator<Item = Region>,
        region: Region,
    ) -> bool {
        region.first >= tree.range().start
            && region.first <= Self::numbers_end(tree)
            && region.leaves <= Self::numbers_end(tree) - region.first
            && others.all(|other| other.is_apart_from(&region) || other.is_beside(&region))
    }

    /// The number for the first leaf of a region: so that it goes on from, or up to, a region that
    /// it touches or may grow together with; else in the first gap that has room. Either way a few of
    /// the numbers that are left may be lost.
    fn number_for(&self, tree: &Tree<S, P>, region: Region) -> Option<usize> {
        let regions = self.regions.iter();
        let neighbours = regions.clone().filter(|other| other.extendable && region.extendable);
        let mut numbers = neighbours.filter_map(|other| {
            let first = other.number_of(region.address(), MIN_BLOCK)?;
            let region = Region { first, ..region };
            let lost = other.distance_to(&region);
            let is_worth_it = lost <= PAGE / MIN_BLOCK || lost <= self.widest_gap(tree) / 32;
            (is_worth_it && Self::is_vacant(tree, regions.clone(), region)).then_some(first)
        });
        let span = Span { base: region.base, bytes: region.bytes };
        numbers.next().or_else(|| {
            self.gaps(tree).find_map(|(from, end)| {
                let rest = (end - from).checked_sub(region.leaves)?;
                let modest = from + region.leaves + (rest / 64).max(PAGE / MIN_BLOCK).min(rest);
                let first = span.first_leaf(MIN_BLOCK, from, modest);
                first.or_else(|| span.first_leaf(MIN_BLOCK, from, end))
            })
        })
    }

    /// The numbers that no region has or borders on.
    fn gaps(&self, tree: &Tree<S, P>) -> impl Iterator<Item = (usize, usize)> {
        let (start, capacity) = (tree.range().start, Self::numbers_end(tree));
        let regions = self.regions.iter();
        let starts = core::iter::once(start).chain(regions.clone().map(|region| region.end() + 1));
        starts.filter_map(move |from| {
            let behind = regions.clone().filter(|region| region.end() >= from);
            let end = behind.map(|region| region.first.saturating_sub(1)).min().unwrap_or(capacity);
            (from < end).then_some((from, end))
        })
    }

    fn widest_gap(&self, tree: &Tree<S, P>) -> usize {
        self.gaps(tree).map(|(from, end)| end - from).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::tree::Plain;
    use core::ptr;
    use std::vec::Vec;

    #[test]
    fn vacant_numbers_are_in_the_metadata_and_apart_from_those_of_others() {
        type Boxless<'w> = Heap<&'w mut [Plain], 16>;
        let range = 100..200;
        let words = Tree::<&mut [Plain]>::metadata_words(range.clone());
        let mut words: Vec<Plain> = (0..words).map(|_| Plain::zero()).collect();
        let tree: Tree<&mut [Plain]> = Tree::new(words.as_mut_slice(), range).unwrap();
        let mut from_0: Vec<Plain> = (0..200).map(|_| Plain::zero()).collect();
        let tree_from_0: Tree<&mut [Plain]> = Tree::new(from_0.as_mut_slice(), 0..100).unwrap();
        let region = |at: usize, first, leaves| {
            let base = NonNull::new(ptr::without_provenance_mut(at)).unwrap();
            Region { base, first, leaves, bytes: leaves * 16, extendable: true }
        };
        let other = region(0x1000, 120, 10);
        for (first, leaves, is_vacant) in [
            (100, 19, true),
            (100, 20, false),
            (99, 5, false),
            (131, 69, true),
            (131, 70, false),
            (130, 10, false),
            (125, 1, false),
            (200, 0, true),
            (201, 0, false),
            (300, 5, false),
            (usize::MAX, 5, false),
        ] {
            let others = [other].into_iter();
            let found = Boxless::is_vacant(&tree, others, region(0x8000, first, leaves));
            assert_eq!(found, is_vacant, "{first} {leaves}");
        }
        // A sixteenth of all addresses each.
        let largest = |first, leaves| {
            type Huge<'w> = Heap<&'w mut [Plain], { 1 << (usize::BITS - 4) }>;
            let region = region(0x1000, first, leaves);
            Huge::is_vacant(&tree_from_0, core::iter::empty(), region)
        };
        assert!(largest(0, 15) && largest(14, 1));
        assert!(!largest(0, 16) && !largest(15, 1) && !largest(20, 1));
        // Where memory and numbers go on.
        assert!(Boxless::is_vacant(&tree, [other].into_iter(), region(0x10a0, 130, 70)));
        assert!(!Boxless::is_vacant(&tree, [other].into_iter(), region(0x10a0, 130, 71)));
    }
}
