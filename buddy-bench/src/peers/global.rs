//! Allocators that take memory from the system as they like, as programs have them.

use super::{Allocator, Memory, Peer};
use crate::arena::Region;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

/// A global allocator and what it is called.
pub trait Named: GlobalAlloc + Sync {
    /// Its name in the tables.
    const NAME: &'static str;
    /// Its package and version.
    const PACKAGE: &'static str;
    /// The allocator; all values are one.
    const ALLOCATOR: Self;
}

/// A global allocator; it keeps its state from one pass to the next.
#[derive(Debug)]
pub struct Global<G>(pub(crate) G);

impl<G: Named> Peer for Global<G> {
    const NAME: &'static str = G::NAME;
    const PACKAGE: &'static str = G::PACKAGE;
    const MEMORY: Memory = Memory::Own;

    unsafe fn create(_region: Region) -> Option<Self> {
        Some(Self(G::ALLOCATOR))
    }
}

impl<G: Named> Allocator for Global<G> {
    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    #[inline(always)]
    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { self.0.alloc_zeroed(layout) })
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
