//! What several tests need.

#![allow(dead_code, reason = "each test program uses a part of it")]

use buddy_core::Policy;
use buddy_global::{BuddyHeap, LockedHeap, RawLock};
use core::alloc::Layout;
use core::mem::MaybeUninit;

pub(crate) const KIB_64: usize = 64 << 10;

/// Memory on a boundary of 64 KiB, so that blocks lie the same way every time.
pub(crate) fn leaked(bytes: usize) -> &'static mut [MaybeUninit<u8>] {
    let memory = vec![MaybeUninit::uninit(); bytes + KIB_64].leak();
    let skipped = memory.as_ptr().addr().wrapping_neg() % KIB_64;
    &mut memory[skipped..][..bytes]
}

pub(crate) fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

/// The figures that tests compare, of any form of heap.
pub(crate) trait Figures: core::fmt::Debug {
    fn total_allocated(&self) -> usize;
    fn refused(&self) -> usize;
}

impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> Figures
    for BuddyHeap<MIN_BLOCK, P, REGIONS>
{
    fn total_allocated(&self) -> usize {
        self.total_allocated()
    }
    fn refused(&self) -> usize {
        self.refused()
    }
}

impl<L: RawLock, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> Figures
    for LockedHeap<L, MIN_BLOCK, P, REGIONS>
{
    fn total_allocated(&self) -> usize {
        self.total_allocated()
    }
    fn refused(&self) -> usize {
        self.refused()
    }
}
