//! `buddy_system_allocator`: its heap without the lock. It has no realloc.

use super::{Allocator, Peer};
use crate::arena::Region;
use buddy_system_allocator::Heap;
use std::alloc::Layout;
use std::ptr::NonNull;

/// The heap with orders up to 2^32 bytes, as in its documentation's example.
#[derive(Debug)]
pub struct BuddySystem(Heap<33>);

impl Peer for BuddySystem {
    const NAME: &'static str = "buddy_system";
    const PACKAGE: &'static str =
        concat!("buddy_system_allocator ", env!("VERSION_BUDDY_SYSTEM_ALLOCATOR"));

    unsafe fn create(region: Region) -> Option<Self> {
        let mut heap = Heap::new();
        let start = region.start.as_ptr().expose_provenance();
        // SAFETY: the region is the allocator's alone until it is dropped.
        unsafe { heap.init(start, region.len) };
        Some(Self(heap))
    }
}

impl Allocator for BuddySystem {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.alloc(layout).ok()
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block with that layout, which is not used any more.
        unsafe { self.0.dealloc(block, layout) }
    }
}
