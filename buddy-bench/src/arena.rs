//! The memory that the allocators under test share.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

/// Memory for one allocator at a time.
///
/// Its start is a multiple of its length rounded up to a power of two, so that no allocator's blocks
/// depend on where the system happened to place it.
#[derive(Debug)]
pub struct Arena {
    start: NonNull<u8>,
    layout: Layout,
}

/// The memory an allocator is to manage.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// The first byte.
    pub start: NonNull<u8>,
    /// Length in bytes.
    pub len: usize,
}

/// There is no memory for an arena.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no memory for an arena of {bytes} bytes")]
pub struct NoMemory {
    bytes: usize,
}

impl Arena {
    /// An arena of `len` bytes, all of them touched.
    ///
    /// # Errors
    /// If the system has no such amount of memory.
    pub fn new(len: usize) -> Result<Self, NoMemory> {
        let refused = NoMemory { bytes: len };
        let align = len.max(4096).checked_next_power_of_two().ok_or(refused)?;
        let layout = Layout::from_size_align(len.max(1), align).map_err(|_| refused)?;
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or(refused)?;
        // The system provides pages on their first use only.
        // SAFETY: `layout.size()` bytes were allocated there.
        unsafe { start.write_bytes(0x5a, layout.size()) };
        Ok(Self { start, layout })
    }

    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.layout.size()
    }

    /// The first `len` bytes, or all there are. They belong to whoever has the arena borrowed.
    pub fn region(&mut self, len: usize) -> Region {
        Region { start: self.start, len: len.min(self.size()) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl Region {
    /// Whether `len` bytes at `ptr` lie inside.
    #[must_use]
    pub fn contains(&self, ptr: NonNull<u8>, len: usize) -> bool {
        let offset = ptr.addr().get().checked_sub(self.start.addr().get());
        offset.and_then(|offset| offset.checked_add(len)).is_some_and(|end| end <= self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_aligned_to_its_size() {
        let mut arena = Arena::new(3 << 20).unwrap();
        let region = arena.region(usize::MAX);
        assert_eq!((region.len, region.start.addr().get() % (4 << 20)), (3 << 20, 0));
    }

    #[test]
    fn an_impossible_arena_is_an_error() {
        assert!(Arena::new(usize::MAX).is_err());
        assert!(Arena::new(isize::MAX as usize).is_err());
    }

    #[test]
    fn a_region_contains_what_lies_wholly_inside() {
        let mut arena = Arena::new(4096).unwrap();
        let region = arena.region(100);
        let at = |offset: usize| NonNull::new(region.start.as_ptr().wrapping_add(offset)).unwrap();
        assert!(region.contains(at(0), 100) && region.contains(at(99), 1));
        assert!(!region.contains(at(0), 101) && !region.contains(at(100), 1));
        assert!(!region.contains(at(usize::MAX), 1) && !region.contains(at(1), usize::MAX));
    }
}
