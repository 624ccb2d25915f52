//! Looking at a heap: sizes, blocks, figures.

use super::{FreeError, Heap};
use crate::tree::{Invalid, Kind, Policy, Statistics, Storage, Tree};
use core::ptr::NonNull;

/// A free or allocated block, by [`Heap::walk`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Block {
    /// Where it starts.
    pub start: NonNull<u8>,
    /// How many bytes it has.
    pub bytes: usize,
    /// Whether it is allocated.
    pub used: bool,
}

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// How many bytes the block at `ptr` has.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let block = heap.allocate(Layout::new::<[u8; 90]>())?;
    /// assert_eq!(heap.usable_size(block.cast()), Ok(96));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If no block starts at `ptr`.
    pub fn usable_size(&self, ptr: NonNull<u8>) -> Result<usize, FreeError> {
        self.bytes_at(ptr).ok_or_else(|| self.why_no_block(ptr))
    }

    /// The size of the block that starts at `ptr` and does not rest, in bytes.
    pub(super) fn bytes_at(&self, ptr: NonNull<u8>) -> Option<usize> {
        let (first, tree) = (self.regions.leaf_at(ptr)?, self.tree.as_ref()?);
        Some(self.supply(tree).leaves_of(first).ok()? * MIN_BLOCK)
    }

    /// Whether `ptr` points into the heap's memory, free or not. O(`REGIONS`).
    #[must_use]
    pub fn contains(&self, ptr: NonNull<u8>) -> bool {
        self.regions.leaf_containing(ptr).is_some()
    }

    /// The bytes of all blocks, free or not. O(`REGIONS`).
    #[must_use]
    pub fn size(&self) -> usize {
        self.total_leaves() * MIN_BLOCK
    }

    /// The bytes of all free blocks, slots of slabs included. O(slabs with a free slot).
    #[must_use]
    pub fn total_free(&self) -> usize {
        self.tree
            .as_ref()
            .map_or(0, |tree| (tree.free_leaves() + self.supply(tree).resting()) * MIN_BLOCK)
    }

    /// The usable bytes of all allocated blocks. O(slabs with a free slot).
    #[must_use]
    pub fn total_allocated(&self) -> usize {
        self.tree
            .as_ref()
            .map_or(0, |tree| tree.used().saturating_sub(self.supply(tree).resting()) * MIN_BLOCK)
    }

    /// The bytes of free slots in slabs, and of a few larger blocks that were freed last, kept for requests
    /// of their size; they count as free in all figures. O(slabs with a free slot). [`Self::settle`]
    /// gives them to the tree.
    #[must_use]
    pub fn total_resting(&self) -> usize {
        self.tree.as_ref().map_or(0, |tree| self.supply(tree).resting() * MIN_BLOCK)
    }

    /// Used, free, peak, blocks by order, fragmentation: all in leaves of `MIN_BLOCK` bytes; the
    /// numbers outside the regions count as reserved.
    ///
    /// Merges first what the policy left unmerged ([`Self::settle`]). O(orders) besides. The peak is the
    /// most that ever was out of the tree, which includes what rests ([`Self::total_resting`]).
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// heap.allocate(Layout::new::<[u8; 90]>())?;
    /// let statistics = heap.statistics();
    /// assert_eq!((statistics.used(), statistics.blocks()), (6, 1));
    /// println!("{statistics}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let Some(tree) = &self.tree else {
            return Statistics::EMPTY;
        };
        self.settle();
        tree.statistics()
    }

    /// The blocks, free and allocated, by address inside a region. O(words of metadata) at first, to
    /// make the slabs ordinary blocks; O(orders) a step.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// heap.allocate(Layout::new::<[u8; 90]>())?;
    /// let used: Vec<_> = heap.walk().filter(|block| block.used).map(|block| block.bytes).collect();
    /// assert_eq!(used, [96]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn walk(&self) -> impl Iterator<Item = Block> + use<'_, S, MIN_BLOCK, P, REGIONS> {
        self.dissolve();
        let extents = self.tree.iter().flat_map(Tree::walk);
        extents.filter(|extent| extent.kind != Kind::Reserved).filter_map(|extent| {
            Some(Block {
                start: self.regions.pointer_to(extent.first)?,
                bytes: extent.leaves * MIN_BLOCK,
                used: extent.kind == Kind::Used,
            })
        })
    }

    /// Checks the tree's invariants. O(leaves).
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.dissolve();
        self.tree.as_ref().map_or(Ok(()), Tree::validate)
    }

    /// Makes ordinary blocks of all slabs, and merges everything.
    pub(super) fn dissolve(&self) {
        if let Some(tree) = &self.tree {
            self.supply(tree).dissolve();
            tree.settle();
        }
    }

    /// Merges everything that the policy left unmerged, and gives back what rests, the free slots of slabs
    /// too, whose other slots become ordinary blocks. O(slabs with a free slot * their slots * orders).
    pub fn settle(&self) {
        if let Some(tree) = &self.tree {
            self.supply(tree).settle();
            tree.settle();
        }
    }

    pub(super) fn total_leaves(&self) -> usize {
        self.regions.iter().map(|region| region.leaves).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Eager, Plain, Word};
    use core::alloc::Layout;
    use core::mem::MaybeUninit;

    #[test]
    fn a_torn_tree_is_not_whole() {
        let mut memory = [const { MaybeUninit::uninit() }; 10_000];
        let heap: Heap<&mut [Plain], 16, Eager> = Heap::from_region(&mut memory).unwrap();
        heap.allocate(Layout::new::<u64>()).unwrap();
        assert_eq!(heap.validate(), Ok(()));
        let tree = heap.tree.as_ref().unwrap();
        let used = tree.words().iter().position(|word| word.load() == 1).unwrap();
        tree.words()[used].store(2);
        assert!(heap.validate().is_err());
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn an_owned_heap_with_a_torn_tree_is_not_whole() {
        let owned = crate::BuddyAllocator::<4096, 16>::new(false);
        owned.alloc_bytes(1).unwrap();
        assert_eq!(owned.validate(), Ok(()));
        let words = owned.as_heap().tree.as_ref().unwrap().words();
        let used = words.iter().position(|word| word.load() == 1).unwrap();
        words[used].store(2);
        assert!(owned.validate().is_err());
    }
}
