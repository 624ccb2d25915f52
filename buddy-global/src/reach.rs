//! What `GlobalAlloc` wants, over a heap that is reached in one way or another.

use crate::hook::Hook;
use buddy_core::{AllocError, FreeError, Heap, Policy, Storage};
use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// A way to a heap: straight, or through a lock.
///
/// What is said of blocks here is said of those of the heap: H1 to H6 of [`buddy_core::heap`].
pub(crate) trait Reach<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> {
    type Words: Storage;

    /// Calls `call` with the heap; with a lock, it is held in that time.
    fn with<R>(&self, call: impl FnOnce(&Heap<Self::Words, MIN_BLOCK, P, REGIONS>) -> R) -> R;

    fn hook(&self) -> &Hook;

    /// Counts a call that was refused because of its arguments.
    fn note_refused(&self);

    /// Makes an attempt to allocate; no hook.
    #[inline]
    fn attempt<T>(&self, attempt: impl Fn() -> Option<T>) -> Option<T> {
        attempt()
    }

    /// # Safety
    /// If this succeeds, the block is not used any more.
    #[inline]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        // SAFETY: the caller's duty.
        self.with(|heap| unsafe { heap.deallocate(block, layout) })
    }

    /// Resizes a block where it is; whether there was room.
    ///
    /// # Safety
    /// If the block shrinks, what is behind its new size is not used any more.
    #[inline]
    unsafe fn resize_in_place(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<bool, FreeError> {
        // SAFETY: the caller's duty.
        let resized = self.with(|heap| unsafe { heap.resize_in_place(block, old, new) });
        resized.map(|resized| resized.is_some())
    }

    /// Allocates by `attempt`; calls the hook if there is no memory.
    #[inline]
    fn obtain(
        &self,
        layout: Layout,
        attempt: impl Fn(&Heap<Self::Words, MIN_BLOCK, P, REGIONS>) -> Result<NonNull<[u8]>, AllocError>,
    ) -> Option<NonNull<u8>> {
        let attempt = || self.attempt(|| self.with(&attempt).ok());
        let block = attempt().or_else(|| self.hook().retry(layout, attempt));
        block.map(NonNull::cast)
    }

    #[inline]
    fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.obtain(layout, |heap| heap.allocate(layout));
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = self.obtain(layout, |heap| heap.allocate_zeroed(layout));
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// # Safety
    /// If `ptr` is a block's, that is not used any more.
    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(ptr) else { return };
        // SAFETY: the caller does not use the block any more.
        if unsafe { self.free(block, layout) }.is_err() {
            self.note_refused();
        }
    }

    /// # Safety
    /// If `ptr` is a block's and this does not return null, that is not used any more.
    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, old: Layout, new_size: usize) -> *mut u8 {
        let (Some(block), Ok(new)) =
            (NonNull::new(ptr), Layout::from_size_align(new_size, old.align()))
        else {
            return ptr::null_mut();
        };
        // SAFETY: the caller does not use what is behind the new size any more.
        match unsafe { self.resize_in_place(block, old, new) } {
            Ok(true) => ptr,
            // SAFETY: a block for `old`; if this succeeds, the caller does not use it any more.
            Ok(false) => unsafe { self.relocate(block, old, new) },
            Err(_) => {
                self.note_refused();
                ptr::null_mut()
            }
        }
    }

    /// Moves a block. No lock is held while its bytes are copied.
    ///
    /// # Safety
    /// `block` is a block for `old`; if this does not return null, it is not used any more.
    unsafe fn relocate(&self, block: NonNull<u8>, old: Layout, new: Layout) -> *mut u8 {
        let to = self.alloc(new);
        if !to.is_null() {
            let kept = old.size().min(new.size());
            // SAFETY: two blocks, each of at least as many bytes: the new one is known to this call
            // only, the old one to its caller only.
            unsafe { to.copy_from_nonoverlapping(block.as_ptr(), kept) };
            // SAFETY: the caller does not use it any more.
            unsafe { self.dealloc(block.as_ptr(), old) };
        }
        to
    }
}

/// `GlobalAlloc`, and figures, for a form of heap; with the parameters that it has before
/// `MIN_BLOCK`, and `fixed` if its number of regions is no parameter.
macro_rules! public_calls {
    (fixed $heap:ident) => {
        public_calls!(@ $heap [const MIN_BLOCK: usize, P: Policy] [MIN_BLOCK, P]);
    };
    ($heap:ident $(, $lock:ident: $bound:path)?) => {
        public_calls!(@ $heap
            [$($lock: $bound,)? const MIN_BLOCK: usize, P: Policy, const REGIONS: usize]
            [$($lock,)? MIN_BLOCK, P, REGIONS]);
    };
    (@ $heap:ident [$($parameters:tt)*] [$($arguments:tt)*]) => {
        // SAFETY: the heap's blocks are valid, disjoint, of the layout's size and alignment, and
        // stay where they are (H1 to H6 of `buddy_core::heap`), for as long as the static lives.
        // No call unwinds: none of the heap's panics, and nothing here does.
        unsafe impl<$($parameters)*> GlobalAlloc for $heap<$($arguments)*> {
            #[inline]
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                Reach::alloc(self, layout)
            }

            #[inline]
            unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
                // SAFETY: the caller's duties.
                unsafe { Reach::dealloc(self, ptr, layout) }
            }

            #[inline]
            unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
                Reach::alloc_zeroed(self, layout)
            }

            #[inline]
            unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
                // SAFETY: the caller's duties.
                unsafe { Reach::realloc(self, ptr, layout, new_size) }
            }
        }

        /// Figures, at any time.
        impl<$($parameters)*> $heap<$($arguments)*> {
            /// The bytes of all blocks, free or not.
            #[must_use]
            pub fn size(&self) -> usize {
                self.with(Heap::size)
            }

            /// The bytes of all free blocks. O(slabs with a free slot).
            #[must_use]
            pub fn total_free(&self) -> usize {
                self.with(Heap::total_free)
            }

            /// The usable bytes of all allocated blocks. O(slabs with a free slot).
            #[must_use]
            pub fn total_allocated(&self) -> usize {
                self.with(Heap::total_allocated)
            }

            /// The bytes of free slots in slabs; see [`Heap::total_resting`].
            #[must_use]
            pub fn total_resting(&self) -> usize {
                self.with(Heap::total_resting)
            }

            /// Gives the free slots of slabs to the tree, and merges everything. See
            /// [`Heap::settle`].
            pub fn settle(&self) {
                self.with(Heap::settle);
            }

            /// Merges everything, and returns the figures; see [`Heap::statistics`].
            #[must_use]
            pub fn statistics(&self) -> Statistics {
                self.with(Heap::statistics)
            }

            /// Checks every invariant of the heap; see [`Heap::validate`]. O(leaves). Other threads
            /// may not use the heap in this time, unless it has a lock.
            ///
            /// # Errors
            /// The first invariant that does not hold.
            pub fn validate(&self) -> Result<(), Invalid> {
                self.with(Heap::validate)
            }
        }

        impl<$($parameters)*> fmt::Debug for $heap<$($arguments)*> {
            /// No lock is held while this writes: writing may allocate here.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (size, allocated) = (self.size(), self.total_allocated());
                f.debug_struct(stringify!($heap))
                    .field("size", &size)
                    .field("allocated", &allocated)
                    .field("refused", &self.refused())
                    .field("hook", self.hook())
                    .finish()
            }
        }
    };
}

pub(crate) use public_calls;
