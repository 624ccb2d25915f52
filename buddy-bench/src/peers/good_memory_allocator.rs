//! `good_memory_allocator`: boundary tags and bins, without its lock.

use super::{Allocator, Peer};
use crate::arena::Region;
use good_memory_allocator::{
    Allocator as Inner, DEFAULT_ALIGNMENT_SUB_BINS_AMOUNT, DEFAULT_SMALLBINS_AMOUNT,
};
use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;

type Bins = Inner<DEFAULT_SMALLBINS_AMOUNT, DEFAULT_ALIGNMENT_SUB_BINS_AMOUNT>;

/// The least region: its constructor panics where a chunk does not fit.
const LEAST: usize = 128;

/// The allocator with its default bins; it must not move.
pub struct GoodMemory(Box<Bins>);

impl Peer for GoodMemory {
    const NAME: &'static str = "good_memory";
    const PACKAGE: &'static str =
        concat!("good_memory_allocator ", env!("VERSION_GOOD_MEMORY_ALLOCATOR"));
    const CONTROL_BYTES: usize = size_of::<Bins>();

    unsafe fn create(region: Region) -> Option<Self> {
        if region.len < LEAST {
            return None;
        }
        let mut allocator = Box::new(Bins::empty());
        // SAFETY: the region is the allocator's alone until it is dropped, and it stays in its box.
        unsafe { allocator.init(region.start.as_ptr().expose_provenance(), region.len) };
        Some(Self(allocator))
    }
}

impl Allocator for GoodMemory {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, _layout: Layout) {
        // SAFETY: a live block, which is not used any more.
        unsafe { self.0.dealloc(block.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: a live block with the old layout, not used if this succeeds.
        NonNull::new(unsafe { self.0.realloc(block.as_ptr(), old, new.size()) })
    }
}

impl fmt::Debug for GoodMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoodMemory").finish_non_exhaustive()
    }
}
