//! A buddy allocator as `#[global_allocator]`.

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

/// A [`BuddyHeap`] over an array of that many bytes.
///
/// ```standalone_crate
/// use buddy_global::{BuddyHeap, static_heap};
///
/// #[global_allocator]
/// static HEAP: BuddyHeap = static_heap!(1 << 20);
///
/// let numbers: Vec<u64> = (0..1000).collect();
/// assert!(HEAP.total_allocated() >= 8000 && numbers.len() == 1000);
/// ```
#[cfg(target_has_atomic = "ptr")]
#[macro_export]
macro_rules! static_heap {
    ($bytes:expr) => {{
        static MEMORY: $crate::StaticMemory<{ $bytes }> = $crate::StaticMemory::new();
        $crate::BuddyHeap::over(&MEMORY)
    }};
}
