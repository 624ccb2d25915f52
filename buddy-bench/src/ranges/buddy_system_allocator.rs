//! `buddy_system_allocator`: its frame allocator, a sorted set of free blocks for each order.

use super::{RangeAllocator, RangePeer};
use buddy_system_allocator::FrameAllocator;
use std::fmt;

/// The frame allocator with its default orders.
pub struct BuddySystemFrames(FrameAllocator);

impl RangePeer for BuddySystemFrames {
    const NAME: &'static str = "buddy_system";
    const PACKAGE: &'static str =
        concat!("buddy_system_allocator ", env!("VERSION_BUDDY_SYSTEM_ALLOCATOR"));

    fn create(frames: usize) -> Option<Self> {
        let mut allocator = FrameAllocator::new();
        allocator.add_frame(0, frames);
        Some(Self(allocator))
    }
}

impl RangeAllocator for BuddySystemFrames {
    type Block = usize;

    #[inline]
    fn alloc(&mut self, order: u32) -> Option<usize> {
        self.0.alloc(1 << order)
    }

    #[inline]
    fn first(block: usize) -> usize {
        block
    }

    #[inline]
    fn free(&mut self, block: usize, order: u32) {
        self.0.dealloc(block, 1 << order);
    }
}

impl fmt::Debug for BuddySystemFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuddySystemFrames").finish_non_exhaustive()
    }
}
