//! A buddy allocator as `#[global_allocator]`: from one core without atomics to many threads without
//! a lock.
//!
//! ```text
//!   Vec, Box, String, ..  of the whole program
//!             |  GlobalAlloc                                              reach.rs
//!             |
//!   BuddyHeap         no lock: atomic words                               shared.rs
//!   HostedHeap        no lock, and memory of the operating system         hosted/
//!   LockedHeap<L>     plain words behind a lock of your choice            locked.rs, lock.rs
//!             |
//!             |  buddy_core::Heap
//!             |
//!   StaticMemory      an array in the binary, given away once             memory.rs
//!   or regions given at boot, or later; or pages of the system
//! ```
//!
//! No address is computed here: a call is the heap's, and what comes with it is where the memory is
//! from, who may enter, and what happens when there is none left.
//!
//! # Which one
//!
//! | you have | take | memory |
//! |---|---|---|
//! | threads, cores, handlers that allocate | [`BuddyHeap`] | [`static_heap!`], [`StaticMemory`], regions |
//! | an ordinary program on Linux | `HostedHeap` (feature `hosted`) | the system's, up to your limit |
//! | a kernel that wants one lock, saving the IRQ flag, say | [`LockedHeap<YourLock>`](RawLock) | as `BuddyHeap` |
//! | cores without compare-and-swap, or critical sections | [`LockedHeap<YourLock>`](RawLock) | regions |
//! | one core, no allocation in handlers | [`LockedHeap<NoLock>`](NoLock) | as `BuddyHeap`, or regions |
//!
//! # An array in the binary
//!
//! Ready before the first allocation, whoever makes it:
//!
//! ```standalone_crate
//! use buddy_global::{BuddyHeap, static_heap};
//!
//! #[global_allocator]
//! static HEAP: BuddyHeap = static_heap!(1 << 20);
//!
//! let numbers: Vec<u64> = (0..1000).collect();
//! assert!(HEAP.total_allocated() >= 8000 && numbers.len() == 1000);
//! ```
//!
//! # Memory given at boot
//!
//! ```
//! use buddy_global::BuddyHeap;
//!
//! // With #[global_allocator], in a kernel.
//! static HEAP: BuddyHeap = BuddyHeap::empty();
//!
//! # let memory = std::ptr::NonNull::from(vec![0_u8; 1 << 16].leak()).cast();
//! # let (start, len) = (memory, 1 << 16);
//! // SAFETY: the memory map says that these bytes are there, and nobody's.
//! unsafe { HEAP.init_raw(start, len)? };
//! # Ok::<(), buddy_global::InitError>(())
//! ```
//!
//! With [`BuddyHeap::init_raw_with_room`] more regions can be added later, while others allocate;
//! those that touch merge.
//!
//! # Lanes
//!
//! Callers of a heap without a lock are spread over lanes by their [`Policy`](buddy_core::Policy). The
//! default is one lane. A kernel tells its CPUs apart:
//!
//! ```
//! use buddy_core::Policy;
//! use buddy_global::{BuddyHeap, static_heap};
//!
//! struct PerCpu;
//!
//! impl Policy for PerCpu {
//!     const CPUS: usize = 8;
//!
//!     fn cpu() -> usize {
//!         0 // what the hardware says: it may be wrong, only speed depends on it
//!     }
//! }
//!
//! static HEAP: BuddyHeap<16, PerCpu> = static_heap!(1 << 20);
//! # assert!(HEAP.size() > 1_000_000);
//! ```
//!
//! # When memory runs out
//!
//! A request that cannot be served is answered with null: `Vec::try_reserve` reports it, `Vec::push`
//! aborts. Before that a hook is called, if there is one, with the request's layout: it may
//! free what it can spare, or add a region, and says whether the request is worth another try (up
//! to 16 times).
//!
//! ```
//! use buddy_global::{BuddyHeap, StaticMemory};
//!
//! static RESERVE: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
//! static HEAP: BuddyHeap = BuddyHeap::empty()
//!     .out_of_memory(|_| RESERVE.take().is_some_and(|region| HEAP.init(region).is_ok()));
//! # use core::alloc::GlobalAlloc;
//! # // SAFETY: the size is not 0.
//! # assert!(!unsafe { HEAP.alloc(core::alloc::Layout::new::<u64>()) }.is_null());
//! ```
//!
//! No lock of the heap is held then; but whoever allocates may hold locks of the program, so a hook
//! should not wait for any. It may allocate: if that fails, too, it is called again inside itself, up
//! to 32 deep. It must not unwind.
//!
//! # What it is not
//!
//! - A free of what is no block, or with a wrong size, is refused and counted (`refused`), and changes
//!   nothing. A stale pointer to memory that was handed out again is not told from the new owner's.
//! - A thread that is stopped for good in the middle of a call (killed, or lost at `fork`) keeps the
//!   blocks in its hands, a few at most. Nobody waits for it.
//! - [`Spin`] spins: a handler that allocates while its own core holds the lock waits for ever. Take
//!   a lock that keeps interrupts away, or [`BuddyHeap`].
//! - Without compare-and-swap (thumbv6m) there are [`LockedHeap`], [`NoLock`] and your own lock only,
//!   and memory is given at run time.
//!
//! # Features
//!
//! - `hosted`: `HostedHeap` and `PerThread`, on Linux; uses `std` (for numbers of threads) and `rustix`.
//!   Not on by default, because the other forms are for programs that have neither.

#![no_std]

#[cfg(all(feature = "hosted", target_os = "linux"))]
extern crate std;

mod error;
mod hook;
#[cfg(all(feature = "hosted", target_os = "linux"))]
mod hosted;
#[cfg(target_has_atomic = "ptr")]
mod late;
mod lock;
mod locked;
#[cfg(target_has_atomic = "ptr")]
mod memory;
mod reach;
#[cfg(target_has_atomic = "ptr")]
mod shared;

pub use error::InitError;
#[cfg(all(feature = "hosted", target_os = "linux"))]
pub use hosted::{HostedHeap, PerThread};
#[cfg(target_has_atomic = "ptr")]
pub use lock::Spin;
pub use lock::{NoLock, RawLock};
pub use locked::LockedHeap;
#[cfg(target_has_atomic = "ptr")]
pub use memory::StaticMemory;
#[cfg(target_has_atomic = "ptr")]
pub use shared::BuddyHeap;

/// A [`BuddyHeap`] over an array of that many bytes, metadata included (1/29 with blocks of 16 bytes).
///
/// ```
/// use buddy_global::{BuddyHeap, static_heap};
///
/// static HEAP: BuddyHeap<64> = static_heap!(64 << 10);
/// assert!(HEAP.size() > 60 << 10);
/// ```
#[cfg(target_has_atomic = "ptr")]
#[macro_export]
macro_rules! static_heap {
    ($bytes:expr) => {{
        static MEMORY: $crate::StaticMemory<{ $bytes }> = $crate::StaticMemory::new();
        $crate::BuddyHeap::over(&MEMORY)
    }};
}
