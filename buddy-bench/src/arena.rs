//! The memory that the allocators under test share.

use memmap2::{MmapMut, MmapOptions, UncheckedAdvice};
use std::ptr::NonNull;

/// Memory for one allocator at a time.
///
/// Its start is a multiple of its length rounded up to a power of two, so that no allocator's blocks
/// depend on where the system happened to place it.
#[derive(Debug)]
pub struct Arena {
    mapping: MmapMut,
    start: usize,
    len: usize,
    /// Whether it is zero, and its pages nobody's, whenever it is lent.
    is_fresh: bool,
}

/// The memory an allocator is to manage.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// The first byte.
    pub start: NonNull<u8>,
    /// Length in bytes.
    pub len: usize,
    /// Whether all bytes are known to be zero.
    pub is_zero: bool,
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
        let mut arena = Self::mapped(len, false)?;
        // The system provides pages on their first use only.
        let end = arena.start + arena.len;
        arena.mapping[arena.start..end].fill(0x5a);
        Ok(arena)
    }

    /// An arena of `len` bytes of address space: fresh pages come, whenever it is lent, where it is
    /// touched.
    ///
    /// # Errors
    /// If the system has no such amount of address space.
    pub fn reserved(len: usize) -> Result<Self, NoMemory> {
        Self::mapped(len, true)
    }

    fn mapped(len: usize, is_fresh: bool) -> Result<Self, NoMemory> {
        let refused = NoMemory { bytes: len };
        let align = len.max(4096).checked_next_power_of_two().ok_or(refused)?;
        let space = align.checked_add(len).filter(|&space| isize::try_from(space).is_ok());
        let mut options = MmapOptions::new();
        options.len(space.ok_or(refused)?).no_reserve_swap();
        let mapping = options.map_anon().map_err(|_| refused)?;
        let start = mapping.as_ptr().align_offset(align);
        Ok(Self { mapping, start, len, is_fresh })
    }

    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.len
    }

    /// The first `len` bytes, or all there are. They belong to whoever has the arena borrowed.
    pub fn region(&mut self, len: usize) -> Region {
        // SAFETY: the arena is borrowed, and nobody reads from it what was written before.
        let renew = || unsafe { self.mapping.unchecked_advise(UncheckedAdvice::DontNeed) };
        let is_zero = self.is_fresh && renew().is_ok();
        let start = NonNull::from(&mut self.mapping[self.start..]).cast();
        Region { start, len: len.min(self.len), is_zero }
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
        assert!(!region.is_zero);
    }

    #[test]
    fn an_impossible_arena_is_an_error() {
        for len in [usize::MAX, isize::MAX as usize, 1 << 60] {
            assert!(Arena::new(len).is_err() && Arena::reserved(len).is_err());
        }
    }

    #[test]
    fn reserved_memory_is_zero_whenever_it_is_lent() {
        let mut arena = Arena::reserved(16 << 30).unwrap();
        for _ in 0..2 {
            let region = arena.region(16 << 30);
            assert!(region.is_zero && region.len == 16 << 30);
            for offset in [0, (16 << 30) - 1] {
                // SAFETY: inside the region.
                let place = unsafe { region.start.add(offset) };
                // SAFETY: the arena is borrowed by this function alone.
                assert_eq!(unsafe { place.read() }, 0);
                // SAFETY: as above.
                unsafe { place.write(1) };
            }
        }
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
