//! `linked_list_allocator`: its heap without the lock. It has no realloc.

use super::{Allocator, Peer};
use crate::arena::Region;
use linked_list_allocator::Heap;
use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;

/// The least region: its constructor panics where a list node does not fit.
const LEAST: usize = 64;

/// A list of holes in order of address, first fit.
pub struct LinkedList(Heap);

impl Peer for LinkedList {
    const NAME: &'static str = "linked_list";
    const PACKAGE: &'static str =
        concat!("linked_list_allocator ", env!("VERSION_LINKED_LIST_ALLOCATOR"));

    unsafe fn create(region: Region) -> Option<Self> {
        // SAFETY: the region is the allocator's alone until it is dropped.
        let heap = || unsafe { Heap::new(region.start.as_ptr(), region.len) };
        (region.len >= LEAST).then(|| Self(heap()))
    }
}

impl Allocator for LinkedList {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate_first_fit(layout).ok()
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block with that layout, which is not used any more.
        unsafe { self.0.deallocate(block, layout) }
    }
}

impl fmt::Debug for LinkedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkedList").field("used", &self.0.used()).finish()
    }
}
