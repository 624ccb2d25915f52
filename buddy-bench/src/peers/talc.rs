//! talc: boundary tags and binned free lists, all in the region; without a lock.

use super::{Allocator, Peer};
use crate::arena::Region;
use std::alloc::{GlobalAlloc, Layout};
use std::fmt;
use std::ptr::NonNull;
use talc::TalcCell;
use talc::source::Manual;

/// The allocator for one thread, with its default bins.
pub struct Talc(TalcCell<Manual>);

impl Peer for Talc {
    const NAME: &'static str = "talc";
    const PACKAGE: &'static str = concat!("talc ", env!("VERSION_TALC"));

    unsafe fn create(region: Region) -> Option<Self> {
        let talc = TalcCell::new(Manual);
        // SAFETY: the region is the allocator's alone until it is dropped.
        unsafe { talc.claim(region.start.as_ptr(), region.len) }.map(|_| Self(talc))
    }
}

impl Allocator for Talc {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block with that layout, which is not used any more.
        unsafe { self.0.dealloc(block.as_ptr(), layout) }
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

impl fmt::Debug for Talc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talc").finish_non_exhaustive()
    }
}
