//! What a heap has to offer to be an allocator for collections.

#[cfg(feature = "alloc")]
use buddy_core::BuddyAllocator;
use buddy_core::heap::{ExclusiveStorage, Hardened};
use buddy_core::{AllocError, FreeError, Heap, Policy};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A source of blocks by `Layout`. Implement it for a heap of your own, one behind a lock for
/// example, to make [`Buddy`](crate::Buddy) take it.
///
/// The methods are those of [`Heap`], with the same meaning.
///
/// # Safety
/// A block stays valid, where it is and nobody else's until an unsafe call frees it, or until the
/// source is dropped or borrowed mutably. Moving the source moves no block. Every method may be
/// called with any block that was allocated and not yet freed, and with a layout of that block's
/// alignment and any size from the one asked for to the one returned.
pub unsafe trait BlockSource {
    /// See [`Heap::allocate`].
    ///
    /// # Errors
    /// If the heap has no such block.
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError>;

    /// See [`Heap::allocate_zeroed`].
    ///
    /// # Errors
    /// If the heap has no such block.
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError>;

    /// See [`Heap::deallocate`].
    ///
    /// # Safety
    /// If the call succeeds, the block is not used any more.
    ///
    /// # Errors
    /// If no block of that size starts at `ptr`; nothing has changed then.
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError>;

    /// See [`Heap::grow`].
    ///
    /// # Safety
    /// If the call succeeds, the old pointer is not used any more.
    ///
    /// # Errors
    /// If the heap has no such block; the old one is whole then.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError>;

    /// See [`Heap::grow_zeroed`].
    ///
    /// # Safety
    /// As [`Self::grow`].
    ///
    /// # Errors
    /// As [`Self::grow`].
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError>;

    /// See [`Heap::shrink`].
    ///
    /// # Safety
    /// As [`Self::grow`].
    ///
    /// # Errors
    /// As [`Self::grow`].
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError>;
}

/// A [`BlockSource`] that is, or has, a [`Heap`].
macro_rules! forward {
    ([$($generics:tt)*] $source:ty, |$this:ident| $heap:expr) => {
        // SAFETY: the heap's own contract. It frees by unsafe calls alone, and its blocks lie in memory
        // that stays where it is, whatever is added. (The safe calls by which a `BuddyAllocator` frees
        // are out of reach: `Buddy` does not hand it out.)
        unsafe impl<$($generics)*> BlockSource for $source {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                $heap.allocate(layout)
            }

            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                $heap.allocate_zeroed(layout)
            }

            #[inline]
            unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
                let $this = self;
                // SAFETY: the caller's duty.
                unsafe { $heap.deallocate(ptr, layout) }
            }

            #[inline]
            unsafe fn grow(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: the caller's duty.
                unsafe { $heap.grow(ptr, old, new) }
            }

            #[inline]
            unsafe fn grow_zeroed(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: the caller's duty.
                unsafe { $heap.grow_zeroed(ptr, old, new) }
            }

            #[inline]
            unsafe fn shrink(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: the caller's duty.
                unsafe { $heap.shrink(ptr, old, new) }
            }
        }
    };
}

forward!(
    [S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize]
    Heap<S, MIN_BLOCK, P, REGIONS>, |heap| heap
);

forward!(
    [
        S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize,
        const SLOTS: usize
    ]
    Hardened<S, MIN_BLOCK, P, REGIONS, SLOTS>, |hardened| hardened
);

#[cfg(feature = "alloc")]
forward!(
    [const HEAP: usize, const MIN_BLOCK: usize]
    BuddyAllocator<HEAP, MIN_BLOCK>, |owned| owned.as_heap()
);
