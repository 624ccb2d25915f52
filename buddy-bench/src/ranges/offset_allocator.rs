//! offset-allocator: bins of free ranges by size. Its blocks have no alignment.

use super::{RangeAllocator, RangePeer};
use offset_allocator::{Allocation, Allocator};
use std::fmt;

/// The allocator, with room for as many ranges as there can be.
pub struct Offsets(Allocator<u32>);

impl RangePeer for Offsets {
    const NAME: &'static str = "offset-allocator";
    const PACKAGE: &'static str = concat!("offset-allocator ", env!("VERSION_OFFSET_ALLOCATOR"));

    fn create(frames: usize) -> Option<Self> {
        let frames = u32::try_from(frames).ok().filter(|&frames| frames < u32::MAX - 2)?;
        Some(Self(Allocator::with_max_allocs(frames, frames.max(2))))
    }
}

impl RangeAllocator for Offsets {
    type Block = Allocation<u32>;

    #[inline]
    fn alloc(&mut self, order: u32) -> Option<Self::Block> {
        self.0.allocate(1 << order)
    }

    #[inline]
    fn first(block: Self::Block) -> usize {
        block.offset as usize
    }

    #[inline]
    fn free(&mut self, block: Self::Block, _order: u32) {
        self.0.free(block);
    }
}

impl fmt::Debug for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offsets").finish_non_exhaustive()
    }
}
