//! The global allocator that records.

use crate::format::Kind;
use std::alloc::{GlobalAlloc, Layout, System};

/// An allocator that records each call and passes it on to `A`, unless told otherwise the system's.
///
/// ```
/// use buddy_record::Recorder;
/// use std::alloc::System;
///
/// #[global_allocator]
/// static ALLOCATOR: Recorder<System> = Recorder::over(System); // or any other allocator
/// # fn main() { drop(vec![1, 2, 3]); }
/// ```
///
/// In each process one may be used: all write to one log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorder<A = System>(A);

impl Recorder {
    /// A recorder over the system's allocator.
    #[must_use]
    pub const fn new() -> Self {
        Self(System)
    }
}

impl<A> Recorder<A> {
    /// A recorder over this allocator.
    #[must_use]
    pub const fn over(allocator: A) -> Self {
        Self(allocator)
    }
}

#[cfg(target_os = "linux")]
fn record(kind: Kind, align: usize, block: *mut u8, size: usize) {
    static WRITER: crate::writer::Writer = crate::writer::Writer::new(crate::writer::RECORDER);
    WRITER.record(kind, align, block.addr(), size);
}

#[cfg(not(target_os = "linux"))]
fn record(_: Kind, _: usize, _: *mut u8, _: usize) {}

// SAFETY: every call is `A`'s, and recording neither allocates nor touches the blocks.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Recorder<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        let block = unsafe { self.0.alloc(layout) };
        if !block.is_null() {
            record(Kind::Alloc, layout.align(), block, layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        if !block.is_null() {
            record(Kind::AllocZeroed, layout.align(), block, layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        record(Kind::Free, layout.align(), block, 0);
        // SAFETY: the caller keeps the same contract.
        unsafe { self.0.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record(Kind::ReallocBegin, layout.align(), block, layout.size());
        // SAFETY: the caller keeps the same contract.
        let moved = unsafe { self.0.realloc(block, layout, size) };
        record(Kind::ReallocEnd, layout.align(), moved, size);
        moved
    }
}
