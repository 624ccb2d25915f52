//! Not an allocator: the least time that there can be.

use super::{Allocator, Memory, Peer};
use crate::arena::Region;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Hands out the region from its start, takes nothing back, and begins again at the end, in blocks
/// that are in use.
#[derive(Debug)]
pub struct Bump {
    region: Region,
    used: usize,
}

impl Peer for Bump {
    const NAME: &'static str = "bump";
    const PACKAGE: &'static str = "the floor";
    const MEMORY: Memory = Memory::Floor;

    unsafe fn create(region: Region) -> Option<Self> {
        Some(Self { region, used: 0 })
    }
}

impl Allocator for Bump {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let end = |start: usize| start.checked_add(layout.size());
        let mut start = self.used.next_multiple_of(layout.align());
        if end(start).is_none_or(|end| end > self.region.len) {
            start = 0;
        }
        self.used = end(start).filter(|&end| end <= self.region.len)?;
        NonNull::new(self.region.start.as_ptr().wrapping_add(start))
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, _block: NonNull<u8>, _layout: Layout) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;

    #[test]
    fn at_the_end_it_begins_again() {
        let mut arena = Arena::new(4096).unwrap();
        let region = arena.region(100);
        // SAFETY: the arena is borrowed.
        let mut bump = unsafe { Bump::create(region) }.unwrap();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let mut offset =
            |size| Some(bump.alloc(layout(size))?.addr().get() - region.start.addr().get());
        let found = [60, 20, 60, 101, 36].map(&mut offset);
        assert_eq!(found, [Some(0), Some(64), Some(0), None, Some(64)]);
    }
}
