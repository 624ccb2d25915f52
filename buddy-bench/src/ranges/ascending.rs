//! Not an allocator: the least time that there can be.

use super::{RangeAllocator, RangePeer};
use crate::peers::Memory;

/// Hands out the frames in turn, takes nothing back, and begins again at the end.
#[derive(Debug)]
pub struct Ascending {
    frames: usize,
    next: usize,
}

impl RangePeer for Ascending {
    const NAME: &'static str = "ascending";
    const PACKAGE: &'static str = "the floor";
    const MEMORY: Memory = Memory::Floor;

    fn create(frames: usize) -> Option<Self> {
        Some(Self { frames, next: 0 })
    }
}

impl RangeAllocator for Ascending {
    type Block = usize;

    #[inline]
    fn alloc(&mut self, order: u32) -> Option<usize> {
        let first = if self.next + (1 << order) > self.frames { 0 } else { self.next };
        self.next = first + (1 << order);
        Some(first)
    }

    #[inline]
    fn first(block: usize) -> usize {
        block
    }

    #[inline]
    fn free(&mut self, _block: usize, _order: u32) {}
}
