//! An array for a heap in a `static`.

use buddy_core::heap::ZeroedWord;
use buddy_core::{Heap, Policy};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
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
#[repr(C, align(16))]
pub struct StaticMemory<const BYTES: usize> {
    bytes: Bytes<[u8; BYTES]>,
    taken: AtomicBool,
}

impl<const BYTES: usize> StaticMemory<BYTES> {
    /// Memory that nobody has taken yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Bytes(UnsafeCell::new([0; BYTES])), taken: AtomicBool::new(false) }
    }

    /// The memory, for the first caller.
    #[must_use]
    pub fn take(&'static self) -> Option<&'static mut [MaybeUninit<u8>]> {
        self.reserve().take()
    }

    pub(crate) const fn reserve(&'static self) -> Reserve {
        Reserve { bytes: &self.bytes, taken: &self.taken }
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
            .field("taken", &self.taken.load(Ordering::Relaxed))
            .finish()
    }
}

struct Bytes<T: ?Sized>(UnsafeCell<T>);

// SAFETY: the bytes are reached through `Reserve::take` alone, which lets one caller have them.
unsafe impl<T: ?Sized + Send> Sync for Bytes<T> {}

/// A [`StaticMemory`] whose length is known at run time.
#[derive(Clone, Copy)]
pub(crate) struct Reserve {
    bytes: &'static Bytes<[u8]>,
    taken: &'static AtomicBool,
}

impl Reserve {
    /// The memory, for the first caller: all zeros.
    fn take(self) -> Option<&'static mut [MaybeUninit<u8>]> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        let bytes = self.bytes.0.get();
        let bytes = ptr::slice_from_raw_parts_mut(bytes.cast::<MaybeUninit<u8>>(), bytes.len());
        // SAFETY: this comes by once, for bytes that live for ever: there is no other reference to
        // them, nor will there be. Whatever a byte holds is valid as `MaybeUninit`.
        Some(unsafe { &mut *bytes })
    }

    /// A heap over the memory; without memory if it was taken, or is too small for a block. O(orders).
    #[cold]
    pub(crate) fn build<W: ZeroedWord, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>(
        self,
    ) -> Heap<&'static mut [W], MIN_BLOCK, P, REGIONS> {
        let heap = self.take().and_then(|region| {
            let len = region.len();
            // SAFETY: borrowed for ever, used by the heap only, and zeros until now.
            unsafe { Heap::from_raw_zeroed(NonNull::from(region).cast(), len) }.ok()
        });
        heap.unwrap_or(Heap::empty())
    }
}
