//! The heap without a lock.

use crate::error::InitError;
use crate::hook::Hook;
use crate::late::Late;
use crate::memory::{Reserve, StaticMemory};
use crate::reach::{Reach, public_calls};
use buddy_core::heap::RegionError;
use buddy_core::tree::Invalid;
use buddy_core::{Atomic, Heap, Lazy, Policy, Statistics};
use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

type Shared<const MIN_BLOCK: usize, P, const REGIONS: usize> =
    Heap<&'static mut [Atomic], MIN_BLOCK, P, REGIONS>;

/// A heap for `#[global_allocator]` that takes no lock, in no call: any number of threads and cores
/// use it at the same time, interrupt and signal handlers as well.
///
/// - `MIN_BLOCK`: bytes of the smallest block, a power of two and at least 8.
/// - `P`: when freed blocks are merged, and which CPU a call is on; see [`Policy`].
/// - `REGIONS`: how many separate pieces of memory there can be.
///
/// It gets its memory from an array in the binary ([`Self::over`]), or at run time
/// ([`Self::empty`]). Until then, and when memory runs out, requests are answered with null, as
/// `GlobalAlloc` wants it. No call panics.
pub struct BuddyHeap<const MIN_BLOCK: usize = 16, P: Policy = Lazy, const REGIONS: usize = 4> {
    heap: Late<Shared<MIN_BLOCK, P, REGIONS>>,
    source: Option<Reserve>,
    refused: AtomicUsize,
    hook: Hook,
}

/// Giving it memory.
impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> BuddyHeap<MIN_BLOCK, P, REGIONS> {
    /// A heap that gets its memory at run time.
    #[must_use]
    pub const fn empty() -> Self {
        Self::from_source(None)
    }

    /// A heap over an array in the binary, which the first call sets up, O(orders).
    /// [`static_heap!`](crate::static_heap) is the same in one line.
    ///
    /// A call that comes while another sets the heap up waits for it. Not for ever: it may be in a
    /// handler that interrupted that very call, and is then answered as if there was no memory. So
    /// call [`Self::size`] once before handlers that allocate are installed or interrupts enabled.
    ///
    /// If the array was given to another heap before, this one has no memory.
    ///
    /// ```
    /// use buddy_global::{BuddyHeap, StaticMemory};
    ///
    /// static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    /// static HEAP: BuddyHeap<32> = BuddyHeap::over(&MEMORY);
    /// assert!(HEAP.size() > 60 << 10);
    /// ```
    #[must_use]
    pub const fn over<const BYTES: usize>(memory: &'static StaticMemory<BYTES>) -> Self {
        Self::from_source(Some(memory.reserve()))
    }

    const fn from_source(source: Option<Reserve>) -> Self {
        Self {
            heap: Late::new(Heap::empty(), Heap::empty()),
            source,
            refused: AtomicUsize::new(0),
            hook: Hook::none(),
        }
    }

    /// Sets what is called when a request cannot be served; see the
    /// [crate's documentation](crate#when-memory-runs-out).
    #[must_use]
    pub const fn out_of_memory(mut self, hook: fn(Layout) -> bool) -> Self {
        self.hook.set(hook);
        self
    }

    /// Makes `region` the heap, with its metadata at its end; returns how many bytes are usable.
    ///
    /// ```
    /// use buddy_global::{BuddyHeap, StaticMemory};
    ///
    /// static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    /// static HEAP: BuddyHeap = BuddyHeap::empty();
    /// let region = MEMORY.take().expect("nobody else takes it");
    /// assert!(HEAP.init(region)? > 60 << 10);
    /// # Ok::<(), buddy_global::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Twice`], or [`InitError::Build`] if the region is too small.
    pub fn init(&self, region: &'static mut [MaybeUninit<u8>]) -> Result<usize, InitError> {
        self.set(|| Ok(Heap::from_region(region)?))
    }

    /// As [`Self::init`], with the `len` bytes at `start`.
    ///
    /// # Safety
    /// - The memory is of one allocation (in the sense of [`core::ptr`]); `start` may be used to
    ///   read and write all of it from now on.
    /// - Nobody else uses it from now on.
    ///
    /// # Errors
    /// As [`Self::init`].
    pub unsafe fn init_raw(&self, start: NonNull<u8>, len: usize) -> Result<usize, InitError> {
        // SAFETY: the caller's duties, for ever.
        self.set(|| Ok(unsafe { Heap::from_raw(start, len) }?))
    }

    /// As [`Self::init_raw`], with metadata for `room` bytes in all, so that more memory can be added
    /// later. The metadata takes its bytes of these `len`.
    ///
    /// ```
    /// use buddy_global::BuddyHeap;
    /// use core::ptr::NonNull;
    ///
    /// static HEAP: BuddyHeap = BuddyHeap::empty();
    ///
    /// # let memory = NonNull::from(vec![0_u8; 1 << 20].leak()).cast::<u8>();
    /// # let (start, half) = (memory, 1 << 19);
    /// # // SAFETY: inside the memory.
    /// # let middle = unsafe { start.add(half) };
    /// // SAFETY: the memory map says that these bytes are there, and nobody's.
    /// unsafe { HEAP.init_raw_with_room(start, half, 1 << 20)? };
    /// // Later, from the same piece of the map. SAFETY: as before.
    /// unsafe { HEAP.add_raw(middle, half)? };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// As [`Self::init_raw`] and [`Self::add_raw`].
    ///
    /// # Errors
    /// As [`Self::init`].
    pub unsafe fn init_raw_with_room(
        &self,
        start: NonNull<u8>,
        len: usize,
        room: usize,
    ) -> Result<usize, InitError> {
        // SAFETY: the caller's duties, for ever.
        self.set(|| Ok(unsafe { Heap::from_raw_with_room(start, len, room) }?))
    }

    /// Adds memory, also while other threads use the heap; returns how many bytes became usable. See
    /// [`Heap::add`].
    ///
    /// # Errors
    /// If the region is too small for a block, there is no room for it in the metadata (see
    /// [`Self::init_raw_with_room`]) or among the `REGIONS`, or another call is adding memory.
    pub fn add(&self, region: &'static mut [MaybeUninit<u8>]) -> Result<usize, RegionError> {
        self.with(|heap| heap.add(region))
    }

    /// As [`Self::add`], with the `len` bytes at `start`. They merge with memory that they touch if it
    /// was given as raw memory, too. See [`Heap::add_raw`].
    ///
    /// # Safety
    /// - The memory is of one allocation (in the sense of [`core::ptr`]); `start` may be used to
    ///   read and write all of it from now on.
    /// - Nobody else uses it from now on.
    /// - If it touches memory that was given by [`Self::init_raw_with_room`] or by this function, both
    ///   are of one allocation, and the pointer to the lower may be used for the higher, too.
    ///
    /// # Errors
    /// As [`Self::add`], and if the memory overlaps a region that the heap has.
    pub unsafe fn add_raw(&self, start: NonNull<u8>, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the caller's duties.
        self.with(|heap| unsafe { heap.add_raw(start, len) })
    }

    fn set(
        &self,
        build: impl FnOnce() -> Result<Shared<MIN_BLOCK, P, REGIONS>, InitError>,
    ) -> Result<usize, InitError> {
        if self.source.is_some() {
            return Err(InitError::Twice);
        }
        self.heap.set(build).unwrap_or(Err(InitError::Twice)).map(Heap::size)
    }

    /// How many frees and reallocations were refused because no block of that size starts there:
    /// mistakes in unsafe code, which an allocator may not answer with a panic. Nothing was changed
    /// by them.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> Reach<MIN_BLOCK, P, REGIONS>
    for BuddyHeap<MIN_BLOCK, P, REGIONS>
{
    type Words = &'static mut [Atomic];

    #[inline(always)]
    fn with<R>(&self, call: impl FnOnce(&Shared<MIN_BLOCK, P, REGIONS>) -> R) -> R {
        let build = self.source.map(|reserve| move || reserve.build());
        call(self.heap.get(build))
    }

    fn hook(&self) -> &Hook {
        &self.hook
    }

    #[cold]
    fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

public_calls!(BuddyHeap);
