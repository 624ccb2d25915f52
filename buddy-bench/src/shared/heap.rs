//! This project's heap over atomic words: shared without a lock.

use super::SharedPeer;
use crate::arena::Region;
use crate::peers::{Buddy, Memory, Peer};
use buddy_core::tree::{Lazy, Policy};
use buddy_core::{Atomic, Heap};
use std::alloc::Layout;
use std::ptr::NonNull;

/// The heap for many threads, kept apart as the policy says.
#[derive(Debug)]
pub struct SharedBuddy<P: Policy>(Heap<&'static mut [Atomic], 16, P>);

impl<P: Policy> SharedPeer for SharedBuddy<P> {
    const PACKAGE: &'static str = Buddy::<Lazy>::PACKAGE;
    const MEMORY: Memory = Memory::Fixed;

    unsafe fn create(region: Region) -> Option<Self> {
        // SAFETY: the region is the heap's alone until it is dropped.
        unsafe { Heap::from_raw(region.start, region.len) }.ok().map(Self)
    }

    #[inline]
    fn alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout).ok().map(NonNull::cast)
    }

    #[inline]
    unsafe fn dealloc(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller does not use the block any more.
        if let Err(error) = unsafe { self.0.deallocate(block, layout) } {
            // The block is live: a refusal is this project's error, and must be seen.
            panic!("{error}");
        }
    }
}
