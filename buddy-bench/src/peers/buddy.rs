//! This project's heap, with its metadata in the region it manages.

use super::{Allocator, Peer};
use crate::arena::Region;
use buddy_core::tree::{Eager, Lazy, Policy, Tight};
use buddy_core::{FreeError, Heap, Plain};
use std::alloc::Layout;
use std::ptr::NonNull;

const MIN_BLOCK: usize = 16;

/// The heap for one thread, with one of the policies.
#[derive(Debug)]
pub struct Buddy<P: Policy>(Heap<&'static mut [Plain], MIN_BLOCK, P, 1>);

/// A policy and what the heap is called with it.
pub trait Named: Policy {
    /// The heap's name.
    const NAME: &'static str;
}

impl Named for Lazy {
    const NAME: &'static str = "buddy";
}

impl Named for Eager {
    const NAME: &'static str = "buddy-eager";
}

impl Named for Tight {
    const NAME: &'static str = "buddy-tight";
}

impl<P: Named> Peer for Buddy<P> {
    const NAME: &'static str = P::NAME;
    const PACKAGE: &'static str = concat!("buddy-core ", env!("VERSION_BUDDY_CORE"));

    unsafe fn create(region: Region) -> Option<Self> {
        let Region { start, len, is_zero } = region;
        let heap = if is_zero {
            // SAFETY: the region is the heap's alone until it is dropped, and zero.
            unsafe { Heap::from_raw_zeroed(start, len) }
        } else {
            // SAFETY: the region is the heap's alone until it is dropped.
            unsafe { Heap::from_raw(start, len) }
        };
        heap.ok().map(Self)
    }
}

/// The block is live: a refusal is this project's error, and must be seen.
#[cold]
fn refused(error: &FreeError) -> ! {
    panic!("{error}");
}

impl<P: Named> Allocator for Buddy<P> {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout).ok().map(NonNull::cast)
    }

    #[inline(always)]
    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate_zeroed(layout).ok().map(NonNull::cast)
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller does not use the block any more.
        if let Err(error) = unsafe { self.0.deallocate(block, layout) } {
            refused(&error);
        }
    }

    #[inline(always)]
    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let resized = if new.size() > old.size() {
            // SAFETY: the caller does not use the old block if this succeeds.
            unsafe { self.0.grow(block, old, new) }
        } else {
            // SAFETY: as above.
            unsafe { self.0.shrink(block, old, new) }
        };
        resized.ok().map(NonNull::cast)
    }
}
