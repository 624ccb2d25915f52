//! The allocator that programs on this system have by default. It takes memory where it likes.

use super::Peer;
use crate::arena::Region;
use std::alloc::{self, GlobalAlloc, Layout};
use std::ptr::NonNull;

/// The system's allocator; it keeps its state from one pass to the next.
#[derive(Debug)]
pub struct System;

impl Peer for System {
    const NAME: &'static str = "system";
    const PACKAGE: &'static str = "the system's malloc";
    const FIXED: bool = false;

    unsafe fn create(_region: Region) -> Option<Self> {
        Some(Self)
    }

    #[inline]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { alloc::System.alloc(layout) })
    }

    #[inline]
    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { alloc::System.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block with that layout, which is not used any more.
        unsafe { alloc::System.dealloc(block.as_ptr(), layout) }
    }

    #[inline]
    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: a live block with the old layout, not used if this succeeds.
        NonNull::new(unsafe { alloc::System.realloc(block.as_ptr(), old, new.size()) })
    }
}
