//! A heap that is known by core's `GlobalAlloc` only.

use crate::BlockSource;
use buddy_core::{AllocError, FreeError};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

/// A heap that is a [`GlobalAlloc`], for collections: one of buddy-global's, behind its lock or without
/// one, whether it is the program's global allocator or not.
///
/// It has no usable sizes, and tells nothing of frees that are refused.
///
/// ```
/// use buddy_alloc_api::{Buddy, GlobalSource, allocator_api2::vec::Vec};
/// use std::alloc::System;
///
/// static BUDDY: Buddy<GlobalSource<System>> = Buddy::new(GlobalSource::new(&System));
/// let mut numbers = Vec::new_in(&BUDDY);
/// numbers.extend(0..100);
/// assert_eq!(numbers.len(), 100);
/// ```
#[derive(Debug)]
pub struct GlobalSource<'g, G>(&'g G);

impl<'g, G: GlobalAlloc> GlobalSource<'g, G> {
    /// Blocks of that heap.
    #[must_use]
    pub const fn new(heap: &'g G) -> Self {
        Self(heap)
    }

    /// The heap.
    #[must_use]
    pub const fn heap(&self) -> &'g G {
        self.0
    }

    /// What a call of the heap returned.
    fn block(layout: Layout, start: *mut u8) -> Result<NonNull<[u8]>, AllocError> {
        match NonNull::new(start) {
            Some(start) => Ok(NonNull::slice_from_raw_parts(start, layout.size())),
            // It does not say how much there is.
            None => Err(AllocError::OutOfMemory { requested: layout.size(), largest_free: 0 }),
        }
    }

    /// What a request for nothing gets.
    fn nothing(layout: Layout) -> NonNull<[u8]> {
        let start = core::ptr::without_provenance_mut(layout.align());
        // An alignment is not zero.
        let start = NonNull::new(start).unwrap_or(NonNull::dangling());
        NonNull::slice_from_raw_parts(start, 0)
    }

    /// Moves a block whose alignment is to change, or that has no size on one side.
    ///
    /// # Safety
    /// `ptr` is a block of layout `old`, which is not used any more if the call succeeds.
    unsafe fn relocate(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(new)?;
        let bytes = old.size().min(new.size());
        // SAFETY: both blocks have that many bytes, and the new one is nobody else's.
        unsafe { block.cast().copy_from_nonoverlapping(ptr, bytes) };
        // SAFETY: the caller's duty. This always succeeds.
        let _ = unsafe { self.deallocate(ptr, old) };
        Ok(block)
    }

    /// # Safety
    /// As [`Self::relocate`].
    #[inline]
    unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.align() != new.align() || old.size() == 0 || new.size() == 0 {
            // SAFETY: the caller's duty.
            return unsafe { self.relocate(ptr, old, new) };
        }
        // SAFETY: the heap's block, with its layout; the new size is one of a `Layout`, and not zero.
        Self::block(new, unsafe { self.0.realloc(ptr.as_ptr(), old, new.size()) })
    }
}

// SAFETY: a `GlobalAlloc`'s blocks are valid, and their holder's alone, until they are deallocated or
// the heap is gone, which is borrowed as long as this lives. Sizes asked for and returned are the
// same, so a layout that fits a block is the one that it was allocated with.
unsafe impl<G: GlobalAlloc> BlockSource for GlobalSource<'_, G> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(Self::nothing(layout));
        }
        // SAFETY: the size is not zero.
        Self::block(layout, unsafe { self.0.alloc(layout) })
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(Self::nothing(layout));
        }
        // SAFETY: the size is not zero.
        Self::block(layout, unsafe { self.0.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        if layout.size() != 0 {
            // SAFETY: the heap's block, with its layout.
            unsafe { self.0.dealloc(ptr.as_ptr(), layout) };
        }
        Ok(())
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.resize(ptr, old, new) }
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        let block = unsafe { self.resize(ptr, old, new) }?;
        // SAFETY: the block has at least the old size.
        let tail = unsafe { block.cast::<u8>().add(old.size()) };
        // SAFETY: that is what lies behind, up to the new size.
        unsafe { tail.write_bytes(0, new.size() - old.size()) };
        Ok(block)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.resize(ptr, old, new) }
    }
}
