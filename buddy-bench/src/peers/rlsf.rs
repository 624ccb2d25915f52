//! rlsf: two-level segregated fit, headers in the region, lists in the allocator's value.

use super::{Allocator, Peer};
use crate::arena::Region;
use rlsf::Tlsf;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Blocks of up to 4 GiB, each power of two in 32 classes.
#[derive(Debug)]
pub struct Rlsf(Tlsf<'static, u32, u32, 27, 32>);

impl Peer for Rlsf {
    const NAME: &'static str = "rlsf";
    const PACKAGE: &'static str = concat!("rlsf ", env!("VERSION_RLSF"));

    unsafe fn create(region: Region) -> Option<Self> {
        let mut tlsf = Tlsf::new();
        let memory = NonNull::slice_from_raw_parts(region.start, region.len);
        // SAFETY: the region is the allocator's alone until it is dropped.
        unsafe { tlsf.insert_free_block_ptr(memory) }.map(|_| Self(tlsf))
    }
}

impl Allocator for Rlsf {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout)
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block with that alignment, which is not used any more.
        unsafe { self.0.deallocate(block, layout.align()) }
    }

    #[inline(always)]
    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        _old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: a live block with the new layout's alignment, not used if this succeeds.
        unsafe { self.0.reallocate(block, new) }
    }
}
