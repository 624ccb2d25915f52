//! What is called when memory runs out.

use core::alloc::Layout;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Called with the request that cannot be served; says whether it is worth another try.
pub(crate) type OutOfMemory = fn(Layout) -> bool;

/// How often a request is tried again while the hook says so.
const TRIES: usize = 16;

/// How many calls of the hook there may be at one time: of several threads, and one inside the
/// other, where a hook allocates from the heap that has no memory.
const AT_ONE_TIME: usize = 32;

/// The hook, and how many calls of it run.
pub(crate) struct Hook {
    call: Option<OutOfMemory>,
    running: AtomicUsize,
}

impl Hook {
    pub(crate) const fn none() -> Self {
        Self { call: None, running: AtomicUsize::new(0) }
    }

    pub(crate) const fn set(&mut self, call: OutOfMemory) {
        self.call = Some(call);
    }

    /// Calls the hook and `retry` in turn, until one of them says that this is the end of it.
    #[cold]
    pub(crate) fn retry<T>(
        &self,
        layout: Layout,
        mut retry: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let call = self.call?;
        let running = self.change_running(1);
        let mut result = None;
        if running < AT_ONE_TIME {
            for _ in 0..TRIES {
                if !call(layout) {
                    break;
                }
                result = retry();
                if result.is_some() {
                    break;
                }
            }
        }
        self.change_running(usize::MAX);
        result
    }

    /// Adds `change`; returns what it was before. Nothing is ordered by this number.
    #[cfg(target_has_atomic = "ptr")]
    fn change_running(&self, change: usize) -> usize {
        self.running.fetch_add(change, Ordering::Relaxed)
    }

    /// Adds `change`; returns what it was before. A target without compare-and-swap has one core,
    /// and an interrupt that comes in between leaves the number as it found it.
    #[cfg(not(target_has_atomic = "ptr"))]
    fn change_running(&self, change: usize) -> usize {
        let before = self.running.load(Ordering::Relaxed);
        self.running.store(before.wrapping_add(change), Ordering::Relaxed);
        before
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.call.is_some() { "set" } else { "none" })
    }
}
