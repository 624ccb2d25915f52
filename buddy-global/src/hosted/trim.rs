//! Giving free memory back to the system.

use super::HostedHeap;
use super::system::{self, LARGEST_PAGE};
use crate::reach::Reach;
use buddy_core::{Heap, Policy};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::thread;

/// How often a request that found no memory looks whether a trim is over, before it does without, and
/// how long it sleeps in between: two seconds or so in all.
const PATIENCE: usize = 1 << 14;
const NAP: Duration = Duration::from_micros(100);

/// How often a request must have found no memory, while no trim held any, until that is believed: in
/// between other threads get to run, which may have been stopped with blocks in their hands.
const ATTEMPTS: usize = 32;

/// What trims and requests that find no memory know of each other.
pub(super) struct Trims {
    /// How many trims there were, twice; odd while one holds free memory.
    count: AtomicUsize,
    /// How many requests wait for memory. No trim begins then.
    waiting: AtomicUsize,
}

impl Trims {
    pub(super) const fn new() -> Self {
        Self { count: AtomicUsize::new(0), waiting: AtomicUsize::new(0) }
    }

    /// Begins a trim, if there is none, and nobody waits for memory.
    fn begin(&self) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        let next = count.wrapping_add(1);
        // Acquire: the trim before is over.
        count % 2 == 0
            && self.waiting.load(Ordering::Relaxed) == 0
            && self
                .count
                .compare_exchange(count, next, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    fn end(&self) {
        // Release: who sees the end sees the memory free.
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Runs `attempt` until it succeeds, or has failed often enough while no trim held memory.
    #[cold]
    pub(super) fn retry<T>(&self, attempt: impl Fn() -> Option<T>) -> Option<T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let result = self.wait(attempt);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn wait<T>(&self, attempt: impl Fn() -> Option<T>) -> Option<T> {
        let mut failed = 0;
        for _ in 0..PATIENCE {
            let before = self.count.load(Ordering::Acquire);
            if before % 2 == 0 {
                let result = attempt();
                failed += usize::from(self.count.load(Ordering::Acquire) == before);
                if result.is_some() || failed == ATTEMPTS {
                    return result;
                }
                thread::yield_now();
            } else {
                thread::sleep(NAP);
            }
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
    /// Gives the memory of free blocks of 64 KiB and more back to the system. O(free blocks), a system
    /// call for each.
    ///
    /// Other threads may use the heap in this time. A request that finds no memory while the free
    /// blocks are on their way waits for them. If a thread is at it already, or waits for memory, this
    /// does nothing.
    pub fn trim(&self) {
        if !self.trims.begin() {
            return;
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
        self.release(last);
        self.trims.end();
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
    fn release(&self, mut last: Option<NonNull<Link>>) {
        while let Some(link) = last {
            // SAFETY: written by `hold`, in a block that is this trim's until it is freed below.
            let Link { before, layout } = unsafe { link.read() };
            last = before;
            // SAFETY: the block is this trim's, and its link was read.
            let is_zero = unsafe { system::give_back(link.cast(), layout.size()) };
            // Its own block: freeing it cannot fail.
            let _ = if is_zero {
                // SAFETY: this trim's block, not used any more, and made zeros.
                self.with(|heap| unsafe { heap.deallocate_zeroed(link.cast(), layout) })
            } else {
                // SAFETY: this trim's block, not used any more.
                self.with(|heap| unsafe { heap.deallocate(link.cast(), layout) })
            };
        }
    }
}
