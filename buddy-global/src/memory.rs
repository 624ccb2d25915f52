//! An array for a heap in a `static`.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

/// `BYTES` bytes of memory for a `static`, zeros (so the binary does not hold them), which are given
/// away once.
///
/// ```
/// use buddy_global::StaticMemory;
///
/// static MEMORY: StaticMemory<4096> = StaticMemory::new();
/// let region = MEMORY.take().expect("the first to ask");
/// assert_eq!(region.len(), 4096);
/// assert!(MEMORY.take().is_none());
/// ```
pub struct StaticMemory<const BYTES: usize>(pub(crate) Reserve<[u8; BYTES]>);

impl<const BYTES: usize> StaticMemory<BYTES> {
    /// Memory that nobody has taken yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Reserve { taken: AtomicBool::new(false), bytes: UnsafeCell::new([0; BYTES]) })
    }

    /// The memory, for the first caller.
    #[must_use]
    pub fn take(&'static self) -> Option<&'static mut [MaybeUninit<u8>]> {
        let reserve: &'static Reserve<[u8]> = &self.0;
        reserve.take()
    }
}

impl<const BYTES: usize> Default for StaticMemory<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> fmt::Debug for StaticMemory<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticMemory")
            .field("bytes", &BYTES)
            .field("taken", &self.0.taken.load(Ordering::Relaxed))
            .finish()
    }
}

/// The memory and whether it was taken; its length may be known at run time only.
#[repr(align(16))]
pub(crate) struct Reserve<T: ?Sized> {
    taken: AtomicBool,
    bytes: UnsafeCell<T>,
}

// SAFETY: the bytes are reached through `take` alone, which lets one caller have them.
unsafe impl<T: ?Sized + Send> Sync for Reserve<T> {}

impl Reserve<[u8]> {
    /// The memory, all zeros, for the first caller.
    #[expect(clippy::mut_from_ref, reason = "the flag makes the reference unique")]
    pub(crate) fn take(&'static self) -> Option<&'static mut [MaybeUninit<u8>]> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        let bytes = self.bytes.get();
        let bytes = ptr::slice_from_raw_parts_mut(bytes.cast::<MaybeUninit<u8>>(), bytes.len());
        // SAFETY: this comes by once, for a reserve that lives for ever: there is no other reference
        // to the bytes, nor will there be. Whatever a byte holds is valid as `MaybeUninit`.
        Some(unsafe { &mut *bytes })
    }
}
