//! The table of regions: where a leaf number becomes a pointer and a pointer a leaf number, here and
//! nowhere else.
//!
//! Regions are added, and become longer, while others read: an entry counts from the moment that its
//! number of leaves is not 0, and that is written last.

use super::region::Region;
use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};

/// An entry of the table; see [`Region`]. The position of a leaf is its number times `MIN_BLOCK`.
struct Entry {
    base: AtomicPtr<u8>,
    /// The position of the first leaf.
    start: AtomicUsize,
    /// The bytes of all leaves.
    span: AtomicUsize,
    bytes: AtomicUsize,
    extendable: AtomicBool,
}

impl Entry {
    const fn vacant() -> Self {
        Self {
            base: AtomicPtr::new(ptr::null_mut()),
            start: AtomicUsize::new(0),
            span: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            extendable: AtomicBool::new(false),
        }
    }

    #[inline(always)]
    fn base(&self) -> *mut u8 {
        self.base.load(Relaxed)
    }

    /// The base, for the only thread: a load that may be part of another instruction, or left out.
    ///
    /// # Safety
    /// No other thread has the heap meanwhile.
    #[inline(always)]
    unsafe fn base_alone(&self) -> *mut u8 {
        // SAFETY: nobody changes it meanwhile.
        unsafe { *self.base.as_ptr() }
    }

    /// One of the numbers, in the same way.
    ///
    /// # Safety
    /// As for [`Self::base_alone`].
    #[inline(always)]
    unsafe fn alone(number: &AtomicUsize) -> usize {
        // SAFETY: nobody changes it meanwhile.
        unsafe { *number.as_ptr() }
    }

    fn region(&self, min_block: usize) -> Option<Region> {
        let span = self.span.load(Acquire);
        let base = NonNull::new(self.base()).filter(|_| span > 0)?;
        Some(Region {
            base,
            first: self.start.load(Relaxed) / min_block,
            leaves: span / min_block,
            bytes: self.bytes.load(Relaxed),
            extendable: self.extendable.load(Relaxed),
        })
    }

    fn set(&self, region: Region, min_block: usize) {
        self.base.store(region.base.as_ptr(), Relaxed);
        self.start.store(region.first * min_block, Relaxed);
        self.bytes.store(region.bytes, Relaxed);
        self.extendable.store(region.extendable, Relaxed);
        self.span.store(region.leaves * min_block, Release);
    }
}

/// A heap's regions, in the order in which they were added.
pub(super) struct Regions<const MIN_BLOCK: usize, const N: usize> {
    table: [Entry; N],
    /// Whether a call is adding memory.
    changing: AtomicBool,
}

impl<const MIN_BLOCK: usize, const N: usize> Regions<MIN_BLOCK, N> {
    pub(super) const fn new() -> Self {
        const { assert!(N > 0, "a heap has room for at least one region") };
        const { assert!(MIN_BLOCK.is_power_of_two(), "MIN_BLOCK must be a power of two") };
        const { assert!(MIN_BLOCK >= 8, "MIN_BLOCK must be at least 8") };
        Self { table: [const { Entry::vacant() }; N], changing: AtomicBool::new(false) }
    }

    /// The regions there are.
    pub(super) fn iter(&self) -> impl Iterator<Item = Region> + Clone {
        self.table.iter().filter_map(|entry| entry.region(MIN_BLOCK))
    }

    /// Lets one caller change the table, until the guard is dropped; `None` if another is at it.
    pub(super) fn change(&self) -> Option<Change<'_, MIN_BLOCK, N>> {
        // Where there is no swap, heaps are for one thread.
        #[cfg(target_has_atomic = "8")]
        let taken = self.changing.swap(true, Acquire);
        #[cfg(not(target_has_atomic = "8"))]
        let taken = {
            let taken = self.changing.load(Acquire);
            self.changing.store(true, Relaxed);
            taken
        };
        (!taken).then_some(Change(self))
    }

    /// The number of the leaf that starts at `ptr`; `None` if none does.
    pub(super) fn leaf_at(&self, ptr: NonNull<u8>) -> Option<usize> {
        self.leaf_at_address(ptr.addr().get())
    }

    /// The number of the leaf that starts at an address; `None` if none does.
    pub(super) fn leaf_at_address(&self, address: usize) -> Option<usize> {
        self.table.iter().find_map(|entry| Self::leaf_in(entry, address))
    }

    /// The number of the leaf that starts at `ptr`; `None` if none of the first region does.
    #[inline(always)]
    pub(super) fn leaf_in_first(&self, ptr: NonNull<u8>) -> Option<usize> {
        Self::leaf_in(&self.table[0], ptr.addr().get())
    }

    /// The position of the leaf that `ptr` is in, and how many bytes behind that it is; `None` if it is in none of the
    /// first region.
    #[inline(always)]
    pub(super) fn position_in_first(&self, ptr: NonNull<u8>) -> Option<usize> {
        Self::position_in(&self.table[0], ptr.addr().get())
    }

    /// The same for the only thread.
    ///
    /// # Safety
    /// No other thread has the heap meanwhile.
    #[inline(always)]
    pub(super) unsafe fn position_in_first_alone(&self, ptr: NonNull<u8>) -> Option<usize> {
        let entry = &self.table[0];
        // SAFETY: the only thread.
        let base = unsafe { entry.base_alone() };
        let offset = ptr.addr().get().wrapping_sub(base.addr());
        // SAFETY: the only thread.
        if offset >= unsafe { Entry::alone(&entry.span) } {
            return None;
        }
        // SAFETY: the only thread.
        Some(unsafe { Entry::alone(&entry.start) } + offset)
    }

    #[inline(always)]
    fn position_in(entry: &Entry, address: usize) -> Option<usize> {
        let span = entry.span.load(Acquire);
        let offset = address.wrapping_sub(entry.base().addr());
        if offset < span { Some(entry.start.load(Relaxed) + offset) } else { None }
    }

    #[inline(always)]
    fn leaf_in(entry: &Entry, address: usize) -> Option<usize> {
        let position = Self::position_in(entry, address)?;
        if position % MIN_BLOCK == 0 { Some(position / MIN_BLOCK) } else { None }
    }

    /// The number of the leaf that `ptr` lies in; `None` outside all regions.
    pub(super) fn leaf_containing(&self, ptr: NonNull<u8>) -> Option<usize> {
        self.iter().find_map(|region| {
            let offset = ptr.addr().get().wrapping_sub(region.address());
            (offset / MIN_BLOCK < region.leaves).then_some(region.first + offset / MIN_BLOCK)
        })
    }

    /// The pointer to a leaf; `None` if no region has that number.
    #[inline(always)]
    pub(super) fn pointer_to(&self, leaf: usize) -> Option<NonNull<u8>> {
        self.with_pointer_to(leaf, Some, || self.pointer_in_others(leaf))
    }

    /// What is said of the pointer to a leaf of the first region, or of one that is elsewhere. (What no `Option`
    /// holds is not compared with null.)
    #[inline(always)]
    pub(super) fn with_pointer_to<T>(
        &self,
        leaf: usize,
        say: impl FnOnce(NonNull<u8>) -> T,
        elsewhere: impl FnOnce() -> T,
    ) -> T {
        let entry = &self.table[0];
        let span = entry.span.load(Acquire);
        let offset = (leaf * MIN_BLOCK).wrapping_sub(entry.start.load(Relaxed));
        if offset >= span {
            return elsewhere();
        }
        // SAFETY: the leaf lies in the region (H2).
        say(unsafe { Self::pointer(entry, offset) })
    }

    /// As [`Self::pointer_to`], in all regions but the first.
    #[inline(never)]
    pub(super) fn pointer_in_others(&self, leaf: usize) -> Option<NonNull<u8>> {
        self.table[1..].iter().find_map(|entry| {
            let region = entry.region(MIN_BLOCK)?;
            let index = leaf.checked_sub(region.first).filter(|index| *index < region.leaves)?;
            // SAFETY: the leaf lies in the region (H2).
            Some(unsafe { Self::pointer(entry, index * MIN_BLOCK) })
        })
    }

    /// What is said of the pointer to a block's address, if that is in the first region, or of one elsewhere.
    ///
    /// # Safety
    /// A block of the heap starts at the address, and this is the only thread that has the heap.
    #[inline(always)]
    pub(super) unsafe fn with_block_at<T>(
        &self,
        address: usize,
        say: impl FnOnce(NonNull<u8>) -> T,
        elsewhere: impl FnOnce() -> T,
    ) -> T {
        let entry = &self.table[0];
        // SAFETY: the only thread.
        let base = unsafe { entry.base_alone() };
        if N == 1 {
            let start = base.with_addr(address);
            // SAFETY: a block's address is not null, and in the only region that there is (H2).
            return say(unsafe { NonNull::new_unchecked(start) });
        }
        let offset = address.wrapping_sub(base.addr());
        // SAFETY: the only thread.
        if offset >= unsafe { Entry::alone(&entry.bytes) } {
            return elsewhere();
        }
        // SAFETY: the address lies in the region (H1).
        say(unsafe { Self::pointer(entry, offset) })
    }

    /// As [`Self::with_block_at`], in all regions but the first.
    #[inline(never)]
    pub(super) fn pointer_at_in_others(&self, address: usize) -> Option<NonNull<u8>> {
        self.table[1..].iter().find_map(|entry| {
            let region = entry.region(MIN_BLOCK)?;
            let offset = address.checked_sub(region.address()).filter(|at| *at < region.bytes)?;
            // SAFETY: the address lies in the region (H1).
            Some(unsafe { Self::pointer(entry, offset) })
        })
    }

    /// # Safety
    /// The region has so many bytes, and more.
    #[inline(always)]
    unsafe fn pointer(entry: &Entry, offset: usize) -> NonNull<u8> {
        // SAFETY: the offset lies in the region, and all of that is memory of one allocation that
        // `base` may be used for (H1).
        let start = unsafe { entry.base().add(offset) };
        // SAFETY: it lies in an allocation.
        unsafe { NonNull::new_unchecked(start) }
    }
}

impl<const MIN_BLOCK: usize, const N: usize> fmt::Debug for Regions<MIN_BLOCK, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The right to change the table.
pub(super) struct Change<'r, const MIN_BLOCK: usize, const N: usize>(&'r Regions<MIN_BLOCK, N>);

impl<const MIN_BLOCK: usize, const N: usize> Change<'_, MIN_BLOCK, N> {
    /// Adds a region: whether there was room.
    pub(super) fn enter(&self, region: Region) -> bool {
        let vacant = self.0.table.iter().find(|entry| entry.region(MIN_BLOCK).is_none());
        vacant.map(|entry| entry.set(region, MIN_BLOCK)).is_some()
    }

    /// Lengthens the region that starts at the same leaf as this one to this.
    pub(super) fn lengthen(&self, region: Region) {
        let mut entries = self.0.table.iter();
        if let Some(entry) = entries
            .find(|entry| entry.region(MIN_BLOCK).is_some_and(|old| old.first == region.first))
        {
            entry.set(region, MIN_BLOCK);
        }
    }
}

impl<const MIN_BLOCK: usize, const N: usize> Drop for Change<'_, MIN_BLOCK, N> {
    fn drop(&mut self) {
        self.0.changing.store(false, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(address: usize, bytes: usize, first: usize) -> Region {
        let base = NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        Region { base, first, leaves: bytes / 16, bytes, extendable: true }
    }

    #[test]
    fn only_the_start_of_a_leaf_has_a_number() {
        let regions = Regions::<16, 2>::new();
        let change = regions.change().unwrap();
        assert!(change.enter(region(0x1000, 160, 3)));
        assert!(change.enter(region(0x2000, 160, 20)));
        assert!(!change.enter(region(0x3000, 160, 40)));
        let at = |address| NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        assert_eq!(regions.leaf_at(at(0x1000)), Some(3));
        assert_eq!(regions.leaf_at(at(0x1090)), Some(12));
        assert_eq!(regions.leaf_at(at(0x2010)), Some(21));
        for outside in [1, 0xff0, 0x1001, 0x1008, 0x10a0, 0x1ff0, 0x20a0, usize::MAX] {
            assert_eq!(regions.leaf_at(at(outside)), None);
        }
        assert_eq!(regions.leaf_containing(at(0x1008)), Some(3));
        assert_eq!(regions.leaf_containing(at(0x10a0)), None);
    }

    #[test]
    fn one_caller_at_a_time_changes_the_table() {
        let regions = Regions::<16, 2>::new();
        let change = regions.change().unwrap();
        assert!(regions.change().is_none());
        change.enter(region(0x1000, 160, 3));
        change.lengthen(region(0x1000, 320, 3));
        drop(change);
        assert_eq!(regions.iter().map(|region| region.leaves).sum::<usize>(), 20);
        assert!(regions.change().is_some());
    }
}
