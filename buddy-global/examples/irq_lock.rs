//! A lock that saves the interrupt flag, disables interrupts, and then spins: for kernels that want
//! one heap behind a lock and allocate in interrupt handlers. (`BuddyHeap` needs no lock for that.)
//!
//! The processor's flag is a thread's variable here, and an interrupt a call, so that this runs
//! anywhere.

use buddy_global::{LockedHeap, RawLock, Spin, StaticMemory};
use core::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// What a kernel does by `cli` and `popf`, or `cpsid i` and `msr primask`.
mod processor {
    use super::Cell;

    thread_local! {
        static ENABLED: Cell<bool> = const { Cell::new(true) };
    }

    /// Disables interrupts; returns whether they were enabled.
    pub(crate) fn disable_interrupts() -> bool {
        ENABLED.replace(false)
    }

    pub(crate) fn restore_interrupts(were_enabled: bool) {
        ENABLED.set(were_enabled);
    }

    pub(crate) fn are_interrupts_enabled() -> bool {
        ENABLED.get()
    }
}

/// Keeps this core's interrupts away, then other cores.
struct IrqSpin(Spin);

// SAFETY: `Spin` lets one core in, and with interrupts disabled nothing else runs on that core.
unsafe impl RawLock for IrqSpin {
    type State = bool;

    fn lock(&self) -> bool {
        let were_enabled = processor::disable_interrupts();
        self.0.lock();
        were_enabled
    }

    unsafe fn unlock(&self, were_enabled: bool) {
        // SAFETY: held by the caller.
        unsafe { self.0.unlock(()) };
        // Nested calls leave the flag as the outermost found it.
        processor::restore_interrupts(were_enabled);
    }
}

static MEMORY: StaticMemory<{ 1 << 20 }> = StaticMemory::new();

/// With `#[global_allocator]`, in a kernel.
static HEAP: LockedHeap<IrqSpin> = LockedHeap::over(IrqSpin(Spin::new()), &MEMORY);

fn allocate_and_free() {
    let layout = Layout::new::<[u64; 100]>();
    // SAFETY: the size is not 0.
    let block = unsafe { HEAP.alloc(layout) };
    assert!(!block.is_null());
    // SAFETY: the block of that layout.
    unsafe { HEAP.dealloc(block, layout) };
}

fn main() {
    allocate_and_free();
    assert!(processor::are_interrupts_enabled());
    println!("a task allocated, and interrupts are enabled again");

    // A handler runs with interrupts disabled.
    let were_enabled = processor::disable_interrupts();
    allocate_and_free();
    assert!(!processor::are_interrupts_enabled());
    println!("a handler allocated, and interrupts are still disabled");
    processor::restore_interrupts(were_enabled);

    println!("{HEAP:?}");
}
