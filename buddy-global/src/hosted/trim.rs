//! Giving free memory back to the system.

use super::HostedHeap;
use super::system::{self, LARGEST_PAGE};
use crate::reach::Reach;
use buddy_core::{Heap, Policy};
use core::alloc::Layout;
use core::hint;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How often a request that found no memory looks whether a trim is over, before it does without.
const PATIENCE: usize = 1 << 20;

/// How many trims there were, and whether one holds free memory at the moment: it goes up by one
/// when a trim begins, and by one when it ends.
pub(super) struct Trims(AtomicUsize);

impl Trims {
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn begin(&self) -> bool {
        let count = self.0.load(Ordering::Relaxed);
        // Acquire: the trim before is over. A trim that is under way is one too many.
        count % 2 == 0
            && self
                .0
                .compare_exchange(count, count + 1, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    fn end(&self) {
        // Release: who sees the end sees the memory free.
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Runs `attempt` until it succeeds, or fails in a time in which no trim held memory.
    pub(super) fn retry<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        for _ in 0..PATIENCE {
            let before = self.0.load(Ordering::Acquire);
            if before % 2 == 0 {
                let result = attempt();
                if result.is_some() || self.0.load(Ordering::Acquire) == before {
                    return result;
                }
            }
            hint::spin_loop();
        }
        // The trim was interrupted by this call, or does not come to its end: its thread was killed.
        attempt()
    }
}

/// A block that a trim holds, and the one that it took before; written at the block's start.
struct Link {
    before: Option<NonNull<Link>>,
    layout: Layout,
}

impl<const MIN_BLOCK: usize, P: Policy> HostedHeap<MIN_BLOCK, P> {
    /// Gives the memory of free blocks of 64 KiB and more back to the system; returns how many bytes
    /// these were, whether they had memory or not. O(free blocks), a system call for each.
    ///
    /// Other threads may use the heap in this time. A request that finds no memory while the free
    /// blocks are on their way waits for them. If another thread is at it, this does nothing.
    pub fn trim(&self) -> usize {
        if !self.trims.begin() {
            return 0;
        }
        self.with(Heap::settle);
        let mut last = None;
        let mut bytes = 1 << self.limit.max(1).ilog2();
        while bytes >= LARGEST_PAGE {
            while let Some(link) = self.hold(bytes, last) {
                last = Some(link);
            }
            bytes /= 2;
        }
        let given_back = self.release(last);
        self.trims.end();
        given_back
    }

    /// Allocates a block, if there is one, and links it to the one before.
    fn hold(&self, bytes: usize, before: Option<NonNull<Link>>) -> Option<NonNull<Link>> {
        let layout = Layout::from_size_align(bytes, LARGEST_PAGE).ok()?;
        let link = self.with(|heap| heap.allocate(layout)).ok()?.cast::<Link>();
        // SAFETY: the block is this trim's, aligned, and large enough.
        unsafe { link.write(Link { before, layout }) };
        Some(link)
    }

    /// Gives the memory of the linked blocks back, and frees them.
    fn release(&self, mut last: Option<NonNull<Link>>) -> usize {
        let mut given_back = 0;
        while let Some(link) = last {
            // SAFETY: written by `hold`, in a block that is this trim's until it is freed below.
            let Link { before, layout } = unsafe { link.read() };
            last = before;
            // SAFETY: the block is this trim's, and its link was read.
            let is_zero = unsafe { system::give_back(link.cast(), layout.size()) };
            given_back += if is_zero { layout.size() } else { 0 };
            // SAFETY: this trim's block, not used any more; this cannot fail.
            let _ = self.with(|heap| unsafe { heap.deallocate(link.cast(), layout) });
        }
        given_back
    }
}
