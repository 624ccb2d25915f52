//! buddy-alloc (jjyr): 16-byte leaves, metadata in the region. It has no alignment and no realloc.

use super::{Allocator, Peer};
use crate::arena::Region;
use buddy_alloc::buddy_alloc::BuddyAlloc as Inner;
use buddy_alloc::{BuddyAllocParam, FastAllocParam, NonThreadsafeAlloc};
use std::alloc::{GlobalAlloc, Layout};
use std::fmt;
use std::ptr::NonNull;

const PACKAGE: &str = concat!("buddy-alloc ", env!("VERSION_BUDDY_ALLOC"));
const LEAF: usize = 16;

/// The least region: its constructor does not check in release builds whether its tables fit.
const LEAST: usize = 4096;

/// The buddy allocator alone.
pub struct BuddyAlloc(Inner);

// SAFETY: its pointers lead into its region, which is its alone, whatever thread it is in.
unsafe impl Send for BuddyAlloc {}

impl Peer for BuddyAlloc {
    const NAME: &'static str = "buddy-alloc";
    const PACKAGE: &'static str = PACKAGE;

    unsafe fn create(region: Region) -> Option<Self> {
        // SAFETY: the region is the allocator's alone until it is dropped.
        (region.len >= LEAST).then(|| Self(unsafe { Inner::new(buddy_part(region, 0)) }))
    }
}

impl Allocator for BuddyAlloc {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        NonNull::new(self.0.malloc(layout.size()))
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, _layout: Layout) {
        self.0.free(block.as_ptr());
    }
}

/// With a list of 64-byte blocks before it for all up to that size, in the proportion of its
/// README's example: one byte in 32.
pub struct WithFastPath(NonThreadsafeAlloc);

// SAFETY: its pointers lead into its region, which is its alone, whatever thread it is in.
unsafe impl Send for WithFastPath {}

impl Peer for WithFastPath {
    const NAME: &'static str = "buddy-alloc-fast";
    const PACKAGE: &'static str = PACKAGE;

    unsafe fn create(region: Region) -> Option<Self> {
        let fast_len = (region.len / 32).next_multiple_of(64);
        let start = region.start.as_ptr().cast_const();
        let fast = FastAllocParam::new(start, fast_len);
        if region.len < 2 * LEAST {
            return None;
        }
        let mut allocator = Self(NonThreadsafeAlloc::new(fast, buddy_part(region, fast_len)));
        // It makes its tables on the first calls.
        for layout in [Layout::new::<[u64; 2]>(), Layout::new::<[u64; 32]>()] {
            if let Some(block) = allocator.alloc(layout) {
                // SAFETY: a live block with that layout, which is not used any more.
                unsafe { allocator.dealloc(block, layout) };
            }
        }
        Some(allocator)
    }
}

impl Allocator for WithFastPath {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block of this allocator, which is not used any more.
        unsafe { self.0.dealloc(block.as_ptr(), layout) }
    }
}

/// The buddy allocator's part of the region, from `offset` on.
fn buddy_part(region: Region, offset: usize) -> BuddyAllocParam {
    let start = region.start.as_ptr().wrapping_add(offset).cast_const();
    BuddyAllocParam::new(start, region.len - offset, LEAF)
}

impl fmt::Debug for BuddyAlloc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuddyAlloc").finish_non_exhaustive()
    }
}

impl fmt::Debug for WithFastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithFastPath").finish_non_exhaustive()
    }
}
