//! The heap: a [`Tree`] over memory. Pointers, `Layout`s and `unsafe` live here and nowhere else.
//!
//! ```text
//!   Layout --- layout.rs ---> leaves --- Tree ---> leaf number --- region.rs ---> pointer
//! ```
//!
//! A [`Heap`] hands out memory of up to `REGIONS` regions. Its metadata lies apart from the blocks,
//! and no call but [`Heap::allocate_zeroed`], [`Heap::grow`] and their kin touches a block's bytes.
//!
//! # Invariants
//!
//! - **H1** Each region is memory of one allocation, which the region's base pointer may be used to
//!   read and write for as long as the heap lives, and which nobody uses but through blocks of this
//!   heap. It holds no metadata. Its base is a multiple of `MIN_BLOCK`.
//! - **H2** Every leaf that the tree does not reserve belongs to exactly one region, in which leaf
//!   `first + i` is the `MIN_BLOCK` bytes at `base + i * MIN_BLOCK`. Regions do not overlap, and
//!   between the numbers of two regions at least one stays reserved, so that no block spans both;
//!   unless the second follows the first in numbers and memory, both are of one allocation, and the
//!   first's base pointer may be used for the second.
//! - **H3** Only this heap changes its tree ([`ExclusiveStorage`]), so that an allocated block (T1,
//!   T2) is its holder's alone until it is freed.
//! - **H4** A block that is held by nobody but not free in the tree is a free slot of a slab (T7, M1), or
//!   rests on a stack (M3), or lies in a room behind its block (M4).
//! - **H5** A block allocated for a `Layout` of `n` bytes has the leaves of `layout::class(n)`, and its
//!   address is a multiple of the layout's alignment.
//! - **H6** What the supply hands out is the name of a block: its address, or its first leaf where several
//!   threads have the heap, or words have no room for addresses.

mod add;
mod aligned;
mod build;
mod error;
mod hardened;
mod in_place;
mod inspect;
mod layout;
#[cfg(feature = "alloc")]
mod owned;
mod region;
mod regions;
mod span;
mod storage;
mod supply;
mod zeroed;
mod zeros;

pub use error::{AllocError, BuildError, FreeError, RegionError};
pub use hardened::{Damage, Hardened, Hardening};
pub use inspect::Block;
#[cfg(feature = "alloc")]
pub use owned::BuddyAllocator;
pub use storage::{ExclusiveStorage, ZeroedWord};

use crate::class::Class;
use crate::supply::Shape;
use crate::tree::{Kind, Lazy, Policy, Storage, Tree};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::AtomicUsize;
use layout::dangling;

use regions::Regions;

/// An allocator of memory by `Layout`, in blocks of whole leaves of `MIN_BLOCK` bytes.
///
/// - `S` is where the metadata lies: `&mut [W]`, `[W; N]` or `Box<[W]>` of one of the
///   [`Word`](crate::Word)s. With atomic words the heap is `Sync` and needs no lock.
/// - `MIN_BLOCK`, a power of two and at least 8, is checked at compile time.
/// - `P` says when freed blocks are merged and how exactly blocks are cut to size.
/// - `REGIONS` is how many separate pieces of memory there can be. With 1 a block that is at hand is handed out
///   without a look at the region's bounds.
///
/// Every call checks its arguments against the tree first; on an error nothing has changed. No call
/// panics, and all but those that say otherwise take O(orders + summary levels) steps.
///
/// ```
/// use buddy_core::{Heap, Plain};
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
///
/// let mut memory = [const { MaybeUninit::uninit() }; 10_000];
/// let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
///
/// let layout = Layout::from_size_align(100, 64)?;
/// let block = heap.allocate(layout)?;
/// assert!(block.len() >= 100 && block.cast::<u8>().addr().get() % 64 == 0);
/// // SAFETY: the block is not used any more.
/// unsafe { heap.deallocate(block.cast(), layout)? };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// The words come first: all else that every call reads is near them.
#[repr(C)]
pub struct Heap<S: Storage, const MIN_BLOCK: usize, P: Policy = Lazy, const REGIONS: usize = 4> {
    tree: Option<Tree<S, P>>,
    /// The storage's words: the tree's, those of what is known to be zero, the slabs'.
    tree_words: usize,
    zero_words: usize,
    slabs: Shape,
    regions: Regions<MIN_BLOCK, REGIONS>,
    /// Up to this alignment, natural alignment in leaf numbers is alignment by address.
    natural: AtomicUsize,
}

// SAFETY: the heap alone reaches its regions' free memory (H1), so it may be reached from whatever
// thread the heap is in; a block's memory belongs to the block's holder, wherever that is.
unsafe impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> Send
    for Heap<S, MIN_BLOCK, P, REGIONS>
where
    Tree<S, P>: Send,
{
}

// SAFETY: `&self` calls change the tree only, which may be shared, and the bytes of blocks that are
// theirs alone: not yet handed out, or their caller's (H3), and the table of regions, which is made
// for it.
unsafe impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> Sync
    for Heap<S, MIN_BLOCK, P, REGIONS>
where
    Tree<S, P>: Sync,
{
}

/// Allocating and freeing.
impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// Allocates a block for `layout`. The slice has the block's usable size, at least the
    /// layout's; its bytes are uninitialised, or left over from former blocks.
    ///
    /// For size 0 the pointer is dangling, with the layout's alignment, and the slice is empty.
    ///
    /// # Errors
    /// [`AllocError::OutOfMemory`], [`AllocError::TooLarge`], [`AllocError::Alignment`].
    #[inline(always)]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if let Some(tree) = self.slabs_for(layout.align()) {
            let class = Self::class(layout);
            if let Some(name) = self.supply(tree).take(class) {
                let block =
                    |start| Ok(NonNull::slice_from_raw_parts(start, class.leaves * MIN_BLOCK));
                // SAFETY: the supply handed it out (H6).
                return unsafe {
                    self.with_start(name, block, || self.block_in_others(name, layout))
                };
            }
        }
        self.take_other(layout)
    }

    /// As [`Self::allocate`], whatever is asked for; no small block is at hand.
    #[cold]
    #[inline(never)]
    fn take_other(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match self.take_marked(layout) {
            Some(block) => Ok(block),
            None => self.take_any(layout),
        }
    }

    /// Allocates a small block from a slab that has one.
    #[inline(always)]
    fn take_marked(&self, layout: Layout) -> Option<NonNull<[u8]>> {
        let tree = self.slabs_for(layout.align())?;
        let class = Self::class(layout);
        let supply = Some(self.supply(tree)).filter(|supply| supply.has_slabs(class))?;
        let start = self.regions.pointer_to(supply.take_marked(class)?)?;
        Some(NonNull::slice_from_raw_parts(start, class.leaves * MIN_BLOCK))
    }

    /// Allocates a block that is not small, or of memory that is no slab's.
    #[inline(never)]
    fn take_any(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(dangling(layout));
        }
        let (class, align) = (Self::class(layout), layout.align());
        let taken = self.tree.as_ref().and_then(|tree| {
            if align <= MIN_BLOCK {
                self.regions.pointer_to(self.take_new(tree, class, align)?)
            } else {
                self.take_at(tree, class, align)
            }
        });
        match taken {
            Some(start) => Ok(NonNull::slice_from_raw_parts(start, class.leaves * MIN_BLOCK)),
            None => Err(self.refusal(layout)),
        }
    }

    /// Frees the block at `ptr`. `layout` may have any size from the one that was asked for to the
    /// block's usable size; with size 0 nothing is freed.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let layout = Layout::new::<u64>();
    /// let slot = heap.allocate(layout)?.cast();
    /// // SAFETY: the block is not used.
    /// unsafe { heap.deallocate(slot, layout)? };
    /// // SAFETY: as before. It was freed already, and that is found out.
    /// assert!(unsafe { heap.deallocate(slot, layout) }.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// If the call succeeds, the block is not used any more: its memory goes to whoever allocates
    /// next. (A pointer that is no block's, or a wrong size, is told by an error.)
    ///
    /// # Errors
    /// If no block of that size starts at `ptr`.
    #[inline(always)]
    pub unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        let class = Self::class(layout);
        if self.give_plain(ptr, class) { Ok(()) } else { self.give_other(ptr, layout) }
    }

    /// Frees the block of the class at `ptr` if that only puts it on a stack, or frees a slot of a slab; says
    /// whether it did.
    #[inline(always)]
    fn give_plain(&self, ptr: NonNull<u8>, class: Class) -> bool {
        match &self.tree {
            Some(tree) if Self::HAS_SLABS => {
                let (name, position) = (|| self.name_at(ptr), || self.position_of(ptr));
                self.supply(tree).give_plain(class, name, position)
            }
            _ => false,
        }
    }

    /// As [`Self::deallocate`], wherever the block is.
    #[cold]
    #[inline(never)]
    fn give_other(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        if layout.size() == 0 {
            return Ok(());
        }
        if let (Some(first), Some(tree)) = (self.regions.leaf_at(ptr), &self.tree) {
            let class = Self::class(layout);
            let is_freed = if Self::HAS_SLABS {
                self.supply(tree).give_slow(first, class)
            } else {
                tree.free_sized(first, class.leaves).is_ok()
            };
            if is_freed {
                return Ok(());
            }
        }
        Err(self.why_not(ptr, layout))
    }

    /// Frees the block at `ptr`, whatever its size, and returns how many bytes it had.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let block = heap.allocate(Layout::new::<[u8; 100]>())?;
    /// // SAFETY: the block is not used.
    /// assert_eq!(unsafe { heap.free(block.cast()) }, Ok(112));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// As [`Self::deallocate`].
    ///
    /// # Errors
    /// If no block starts at `ptr`.
    pub unsafe fn free(&self, ptr: NonNull<u8>) -> Result<usize, FreeError> {
        if let (Some(first), Some(tree)) = (self.regions.leaf_at(ptr), &self.tree) {
            let supply = self.supply(tree);
            let leaves = supply.leaves_of(first).ok();
            if let Some(class) = leaves.and_then(|leaves| Class::of(leaves, P::PRECISION)) {
                if supply.give(first, class) {
                    return Ok(class.leaves * MIN_BLOCK);
                }
            }
        }
        Err(self.why_no_block(ptr))
    }

    /// Frees all blocks. O(words of metadata); with several regions O(orders) for each block. What was
    /// known to be zero is not any more, as far as it was handed out.
    ///
    /// # Safety
    /// No block of this heap is used any more.
    pub unsafe fn free_all(&mut self) {
        if let Some(tree) = &self.tree {
            self.supply(tree).dissolve();
        }
        if let Some(tree) = &mut self.tree {
            tree.reset();
        }
        if let Some(tree) = &self.tree {
            self.supply(tree).clear();
        }
    }

    #[inline(always)]
    fn take_at(&self, tree: &Tree<S, P>, class: Class, align: usize) -> Option<NonNull<u8>> {
        let start = match self.take_at_hand(tree, class, align) {
            Some(start) => start,
            None => self.regions.pointer_to(self.take_slow(tree, class, align)?)?,
        };
        self.aligned(tree, start, class, align)
    }

    /// A block that was just allocated, or another if that is not aligned.
    #[inline(always)]
    fn aligned(
        &self,
        tree: &Tree<S, P>,
        start: NonNull<u8>,
        class: Class,
        align: usize,
    ) -> Option<NonNull<u8>> {
        if align > MIN_BLOCK && start.addr().get() & (align - 1) != 0 {
            return self.realign(tree, start, class, align);
        }
        Some(start)
    }

    #[inline(always)]
    fn class(layout: Layout) -> Class {
        layout::class::<P>(layout.size(), MIN_BLOCK)
    }

    #[cold]
    pub(super) fn refusal(&self, layout: Layout) -> AllocError {
        let requested = layout.size();
        if self.tree.is_none() {
            return AllocError::OutOfMemory { requested, largest_free: 0 };
        }
        if requested > self.size() {
            return AllocError::TooLarge { requested, heap: self.size() };
        }
        let served = self.served_alignment(Self::class(layout).leaves);
        if layout.align() > served {
            return AllocError::Alignment { requested: layout.align(), served };
        }
        let largest_free = self.statistics().largest_free() * MIN_BLOCK;
        AllocError::OutOfMemory { requested, largest_free }
    }

    /// Why no block for `layout` was found at `ptr`.
    #[cold]
    fn why_not(&self, ptr: NonNull<u8>, layout: Layout) -> FreeError {
        let address = ptr.addr().get();
        match self.usable_size(ptr) {
            // It was no block a moment ago: it was freed, and allocated again since.
            Ok(actual) if actual == Self::class(layout).leaves * MIN_BLOCK => {
                FreeError::AlreadyFree { address }
            }
            Ok(actual) => FreeError::WrongSize { address, given: layout.size(), actual },
            Err(error) => error,
        }
    }

    /// Why no block was found to start at `ptr`.
    #[cold]
    fn why_no_block(&self, ptr: NonNull<u8>) -> FreeError {
        let address = ptr.addr().get();
        let (Some(leaf), Some(tree)) = (self.regions.leaf_containing(ptr), &self.tree) else {
            return FreeError::OutOfBounds { address };
        };
        let extent = self.supply(tree).extent_at(leaf);
        let extent = extent.filter(|extent| extent.kind == Kind::Used);
        let start = extent.and_then(|extent| self.regions.pointer_to(extent.first));
        match start.and_then(|start| Some((start, self.bytes_at(start)?))) {
            // Not always so: the tree is read while others change it.
            Some((start, bytes))
                if (1..bytes).contains(&address.wrapping_sub(start.addr().get())) =>
            {
                FreeError::NotStart { address, block: start.addr().get() }
            }
            // Free, or of a block that rests, or in the hands of another call; or there again.
            _ => FreeError::AlreadyFree { address },
        }
    }
}

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> fmt::Debug
    for Heap<S, MIN_BLOCK, P, REGIONS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("tree", &self.tree)
            .field("regions", &self.regions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Plain;
    use core::mem::MaybeUninit;

    /// As it happens among threads: the block that a free did not find is there when it asks why.
    #[test]
    fn a_block_that_is_there_again_was_free() {
        let mut memory = [const { MaybeUninit::uninit() }; 10_000];
        let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory).unwrap();
        let layout = Layout::new::<[u8; 100]>();
        let block = heap.allocate(layout).unwrap().cast::<u8>();
        let address = block.addr().get();
        assert_eq!(heap.why_not(block, layout), FreeError::AlreadyFree { address });
        assert_eq!(heap.why_no_block(block), FreeError::AlreadyFree { address });
        let larger = Layout::new::<[u8; 200]>();
        let wrong = FreeError::WrongSize { address, given: 200, actual: 112 };
        assert_eq!(heap.why_not(block, larger), wrong);
        for inside in [1, 16, 111] {
            let inside = NonNull::new(block.as_ptr().wrapping_add(inside)).unwrap();
            let error = FreeError::NotStart { address: inside.addr().get(), block: address };
            assert_eq!((heap.why_not(inside, layout), heap.why_no_block(inside)), (error, error));
        }
    }
}
