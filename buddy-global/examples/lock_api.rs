//! Any lock of the crate `lock_api` as the heap's, by an adapter of a few lines: `parking_lot`,
//! `spin`, `spinning_top` and many systems have one.

use buddy_global::{LockedHeap, RawLock, StaticMemory};
use core::sync::atomic::{AtomicBool, Ordering};
use lock_api::GuardSend;
use std::thread;

/// The lock that your system's crate has.
struct SystemMutex(AtomicBool);

// SAFETY: one caller at a time gets it from `false` to `true`.
unsafe impl lock_api::RawMutex for SystemMutex {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api wants it so")]
    const INIT: Self = Self(AtomicBool::new(false));
    type GuardMarker = GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            thread::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The adapter.
struct Adapter<R>(R);

impl<R: lock_api::RawMutex> Adapter<R> {
    const fn new() -> Self {
        Self(R::INIT)
    }
}

// SAFETY: what `lock_api` wants of a mutex is what is wanted here.
unsafe impl<R: lock_api::RawMutex> RawLock for Adapter<R> {
    type State = ();

    fn lock(&self) {
        self.0.lock();
    }

    unsafe fn unlock(&self, (): ()) {
        // SAFETY: held by the caller.
        unsafe { self.0.unlock() };
    }
}

static MEMORY: StaticMemory<{ 8 << 20 }> = StaticMemory::new();

#[global_allocator]
static HEAP: LockedHeap<Adapter<SystemMutex>> = LockedHeap::over(Adapter::new(), &MEMORY);

fn main() {
    let threads: Vec<_> =
        (0..4).map(|thread| thread::spawn(move || vec![thread.to_string(); 1000])).collect();
    let words: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
    println!("{} lists of {} words: {HEAP:?}", words.len(), words[0].len());
}
