//! The heap of a hosted program: memory of the operating system.

mod lanes;
mod system;
mod trim;

pub use lanes::PerThread;

use crate::hook::Hook;
use crate::late::Late;
use crate::reach::{Reach, public_calls};
use buddy_core::tree::Invalid;
use buddy_core::{Atomic, FreeError, Heap, Policy, Statistics};
use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use system::LARGEST_PAGE;
use trim::Trims;

type Shared<const MIN_BLOCK: usize, P> = Heap<&'static mut [Atomic], MIN_BLOCK, P, 1>;

/// Blocks of this size are given back to the system as soon as they are freed, if nothing else is
/// said.
const GIVE_BACK_FROM: usize = 256 << 10;

/// A heap for `#[global_allocator]` of an ordinary program, without a lock: over address space that
/// it reserves from the system, which gives it memory page by page, as it is used.
///
/// - `MIN_BLOCK`: bytes of the smallest block, a power of two and at least 8.
/// - `P`: when freed blocks are merged, and which lane a call takes; see [`Policy`].
///
/// Blocks from a size on ([`Self::giving_back_from`]) go back to the system when they are freed.
/// What many smaller ones leave behind goes back by [`Self::trim`].
///
/// It allocates in signal handlers, too, and in a child process after `fork`, whatever the parent's
/// other threads were doing: a child waits for none of them. What these had in their hands is lost to
/// the child: a few blocks, and, if one was about to split the last large block, that.
pub struct HostedHeap<const MIN_BLOCK: usize = 16, P: Policy = PerThread> {
    heap: Late<Shared<MIN_BLOCK, P>>,
    limit: usize,
    give_back_from: usize,
    refused: AtomicUsize,
    trims: Trims,
    hook: Hook,
}

impl<const MIN_BLOCK: usize, P: Policy> HostedHeap<MIN_BLOCK, P> {
    /// A heap of at most `limit` bytes, metadata (1/29 of it with blocks of 16 bytes) included.
    ///
    /// The first call reserves as much address space, which costs nothing; a limit beyond the
    /// machine's memory is all right where the system overcommits. If the system refuses it (a
    /// limit on the process's address space, say), there is no memory.
    ///
    /// ```standalone_crate
    /// use buddy_global::HostedHeap;
    ///
    /// #[global_allocator]
    /// static HEAP: HostedHeap = HostedHeap::with_limit(4 << 30);
    ///
    /// let numbers: Vec<u64> = (0..1_000_000).collect();
    /// assert!(HEAP.total_allocated() >= 8_000_000 && numbers.len() == 1_000_000);
    /// ```
    #[must_use]
    pub const fn with_limit(limit: usize) -> Self {
        Self {
            heap: Late::new(Heap::empty(), Heap::empty()),
            limit,
            give_back_from: GIVE_BACK_FROM,
            refused: AtomicUsize::new(0),
            trims: Trims::new(),
            hook: Hook::none(),
        }
    }

    /// Sets from which size on a freed block is given back to the system at once: 256 KiB, if this
    /// is not called, and never less than 128 KiB. `usize::MAX`: only [`Self::trim`] gives back.
    ///
    /// Giving back costs a system call, and the block's pages are to be had anew when it is next
    /// used: with a larger size large blocks that come and go are faster.
    #[must_use]
    pub const fn giving_back_from(mut self, bytes: usize) -> Self {
        let least = 2 * LARGEST_PAGE;
        self.give_back_from = if bytes < least { least } else { bytes };
        self
    }

    /// Sets what is called when a request cannot be served; see the
    /// [crate's documentation](crate#when-memory-runs-out).
    #[must_use]
    pub const fn out_of_memory(mut self, hook: fn(Layout) -> bool) -> Self {
        self.hook.set(hook);
        self
    }

    /// How many frees and reallocations were refused because no block of that size starts there:
    /// mistakes in unsafe code, which an allocator may not answer with a panic. Nothing was changed
    /// by them.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    fn build(&self) -> Option<Shared<MIN_BLOCK, P>> {
        let bytes = self.limit / LARGEST_PAGE * LARGEST_PAGE;
        let start = system::reserve(bytes)?;
        // SAFETY: a new mapping, zeros, that nobody else knows, and that stays for ever.
        unsafe { Heap::from_raw_zeroed(start, bytes) }.ok()
    }

    /// Gives the memory of a block that is to be freed back to the system; whether the block is all
    /// zeros now.
    ///
    /// # Safety
    /// If `block` is a block for `layout`, nobody uses it.
    #[cold]
    unsafe fn give_back(&self, block: NonNull<u8>, layout: Layout) -> bool {
        // To resize it to the size it has changes nothing, and tells whether it is a block.
        // SAFETY: the block does not shrink.
        match self.with(|heap| unsafe { heap.resize_in_place(block, layout, layout) }) {
            // SAFETY: all of a block that nobody uses.
            Ok(Some(whole)) => unsafe { system::give_back(block, whole.len()) },
            _ => false,
        }
    }

    /// As [`Self::give_back`], of what is behind the new size of a block that is about to shrink.
    ///
    /// # Safety
    /// If `block` is a block for `old`, nobody uses what of it is behind `new`.
    #[cold]
    unsafe fn give_back_tail(&self, block: NonNull<u8>, old: Layout, new: Layout) {
        // SAFETY: the block does not shrink.
        let whole = self.with(|heap| unsafe { heap.resize_in_place(block, old, old) });
        if let Ok(Some(whole)) = whole {
            let kept = new.size().next_multiple_of(MIN_BLOCK).min(whole.len());
            // SAFETY: inside the block.
            let tail = unsafe { block.add(kept) };
            // SAFETY: of a block, and nobody uses it.
            unsafe { system::give_back(tail, whole.len() - kept) };
        }
    }
}

impl<const MIN_BLOCK: usize, P: Policy> Reach<MIN_BLOCK, P, 1> for HostedHeap<MIN_BLOCK, P> {
    type Words = &'static mut [Atomic];

    #[inline(always)]
    fn with<R>(&self, call: impl FnOnce(&Shared<MIN_BLOCK, P>) -> R) -> R {
        call(self.heap.get(Some(|| self.build().unwrap_or(Heap::empty()))))
    }

    fn hook(&self) -> &Hook {
        &self.hook
    }

    #[cold]
    fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    fn attempt<T>(&self, attempt: impl Fn() -> Option<T>) -> Option<T> {
        attempt().or_else(|| self.trims.retry(attempt))
    }

    #[inline]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        // SAFETY: the caller does not use the block any more.
        if layout.size() >= self.give_back_from && unsafe { self.give_back(block, layout) } {
            // SAFETY: as above, and it was made zeros.
            return self.with(|heap| unsafe { heap.deallocate_zeroed(block, layout) });
        }
        // SAFETY: as above.
        self.with(|heap| unsafe { heap.deallocate(block, layout) })
    }

    #[inline]
    unsafe fn resize_in_place(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<bool, FreeError> {
        if new.size() < old.size() && old.size() - new.size() >= self.give_back_from {
            // SAFETY: the caller does not use it any more.
            unsafe { self.give_back_tail(block, old, new) };
        }
        // SAFETY: the caller's duty.
        let resized = self.with(|heap| unsafe { heap.resize_in_place(block, old, new) });
        resized.map(|resized| resized.is_some())
    }
}

public_calls!(fixed HostedHeap);
