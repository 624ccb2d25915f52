//! A buddy allocator as `#[global_allocator]`.
//!
//! ```text
//!   Vec, Box, String, ..  of the whole program
//!             |  GlobalAlloc
//!        LockedHeap          one heap behind a spin lock                    locked.rs
//!             |  buddy_core::Heap
//!   StaticMemory             an array in the binary, given away once        memory.rs
//!   or regions given at boot
//! ```
//!
//! Nothing is computed here: a call takes the lock and is the heap's.
//!
//! # An array in the binary
//!
//! Ready before the first allocation, whoever makes it:
//!
//! ```standalone_crate
//! use buddy_global::{LockedHeap, StaticMemory};
//!
//! static MEMORY: StaticMemory<{ 1 << 20 }> = StaticMemory::new();
//!
//! #[global_allocator]
//! static HEAP: LockedHeap = LockedHeap::over(&MEMORY);
//!
//! let numbers: Vec<u64> = (0..1000).collect();
//! assert!(HEAP.total_allocated() >= 8000 && numbers.len() == 1000);
//! ```
//!
//! # Memory given at boot
//!
//! ```
//! use buddy_global::LockedHeap;
//!
//! // With #[global_allocator], in a kernel.
//! static HEAP: LockedHeap = LockedHeap::empty();
//!
//! # let memory = std::ptr::NonNull::from(vec![0_u8; 1 << 16].leak()).cast();
//! # let (start, len) = (memory, 1 << 16);
//! // SAFETY: the memory map says that these bytes are there, and nobody's.
//! unsafe { HEAP.init_raw(start, len)? };
//! # Ok::<(), buddy_global::InitError>(())
//! ```
//!
//! # What it is not
//!
//! The lock spins: an interrupt or signal handler that allocates while its own core holds the lock
//! waits for ever. Keep interrupts off round allocations, or do not allocate in handlers. The lock
//! needs compare-and-swap, which a few small targets (thumbv6m) lack.

#![no_std]

mod locked;
mod memory;

pub use locked::{InitError, LockedHeap};
pub use memory::StaticMemory;
