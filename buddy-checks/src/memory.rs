//! Memory to build heaps in.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;

/// Memory at a multiple of 64 KiB, so that a run depends on nothing but its input; full of garbage.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is this value's alone.
unsafe impl Send for Memory {}

impl Memory {
    /// So many bytes.
    ///
    /// # Panics
    /// If there can be no such allocation.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), 1 << 16).unwrap();
        // SAFETY: the size is not 0.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        // SAFETY: all of the memory just allocated.
        unsafe { start.write_bytes(0xA5, layout.size()) };
        Self { start, layout }
    }

    /// The part of the memory that lies there.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn slice(&mut self, range: Range<usize>) -> &mut [MaybeUninit<u8>] {
        assert!(range.start <= range.end && range.end <= self.layout.size());
        // SAFETY: inside the memory, as was just checked.
        let start = unsafe { self.start.add(range.start) };
        // SAFETY: inside the memory, borrowed as `self` is.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast(), range.len()) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
