//! What `GlobalAlloc` wants, over a heap that is reached in one way or another.

use crate::hook::Hook;
use buddy_core::{AllocError, FreeError, Heap, Policy, Storage};
use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// A way to a heap: straight, or through a lock.
///
/// What is said of blocks here is said of those of the heap: H1 to H5 of [`buddy_core::heap`].
pub(crate) trait Reach<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> {
    type Words: Storage;

    /// Calls `call` with the heap; with a lock, it is held in that time.
    fn with<R>(&self, call: impl FnOnce(&Heap<Self::Words, MIN_BLOCK, P, REGIONS>) -> R) -> R;

    fn hook(&self) -> &Hook;

    /// Counts a call that was refused because of its arguments.
    fn note_refused(&self);

    /// One try; no hook.
    #[inline]
    fn try_alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.with(|heap| heap.allocate(layout)).ok().map(NonNull::cast)
    }

    /// # Safety
    /// If this succeeds, the block is not used any more.
    #[inline]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        // SAFETY: the caller's duty.
        self.with(|heap| unsafe { heap.deallocate(block, layout) })
    }

    #[inline]
    fn alloc(&self, layout: Layout) -> *mut u8 {
        let block =
            self.try_alloc(layout).or_else(|| self.hook().retry(layout, || self.try_alloc(layout)));
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
        // SAFETY: if this succeeds, the caller does not use the old pointer any more.
        let resize = || self.with(|heap| unsafe { heap.grow(block, old, new) });
        let resized = match resize() {
            Ok(resized) => Some(resized),
            Err(AllocError::Block(_)) => {
                self.note_refused();
                None
            }
            Err(_) => self.hook().retry(new, || resize().ok()),
        };
        resized.map_or(ptr::null_mut(), |resized| resized.cast().as_ptr())
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
        // stay where they are (H1 to H5 of `buddy_core::heap`), for as long as the static lives.
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

            /// The bytes of all free blocks. O(sizes that rest in magazines).
            #[must_use]
            pub fn total_free(&self) -> usize {
                self.with(Heap::total_free)
            }

            /// The usable bytes of all allocated blocks. O(sizes that rest in magazines).
            #[must_use]
            pub fn total_allocated(&self) -> usize {
                self.with(Heap::total_allocated)
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
