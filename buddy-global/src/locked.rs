//! One heap for one thread at a time, behind a lock.

use crate::error::InitError;
use crate::hook::Hook;
use crate::lock::{Held, RawLock};
#[cfg(target_has_atomic = "ptr")]
use crate::memory::{Reserve, StaticMemory};
use crate::reach::{Reach, public_calls};
use buddy_core::heap::{BuildError, RegionError};
use buddy_core::tree::Invalid;
use buddy_core::{Heap, Lazy, Plain, Policy, Statistics};
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

type Alone<const MIN_BLOCK: usize, P, const REGIONS: usize> =
    Heap<&'static mut [Plain], MIN_BLOCK, P, REGIONS>;

/// A heap for `#[global_allocator]` behind a lock of your choice.
///
/// - `L`: the lock: [`Spin`](crate::Spin), your system's (see [`RawLock`]), or
///   [`NoLock`](crate::NoLock) where there is one core and no allocation in interrupt handlers.
/// - `MIN_BLOCK`: bytes of the smallest block, a power of two and at least 8.
/// - `P`: when freed blocks are merged; see [`Policy`].
/// - `REGIONS`: how many separate pieces of memory there can be.
///
/// It gets its memory from an array in the binary (`over`) or at run time ([`Self::empty`]). Until
/// then, and when memory runs out, requests are answered with null, as `GlobalAlloc` wants it.
///
/// A call holds the lock for as long as the heap takes, O(orders + summary levels). Memory is
/// copied and cleared, and the out-of-memory hook called, without it.
pub struct LockedHeap<
    L: RawLock,
    const MIN_BLOCK: usize = 16,
    P: Policy = Lazy,
    const REGIONS: usize = 4,
> {
    lock: L,
    state: UnsafeCell<State<MIN_BLOCK, P, REGIONS>>,
    hook: Hook,
}

// SAFETY: the state is reached with the lock held only, by one thread at a time (`RawLock`), and all
// of it may be used in any thread: the heap (`Send`), a reserve that may be shared, numbers.
unsafe impl<L: RawLock + Sync, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> Sync
    for LockedHeap<L, MIN_BLOCK, P, REGIONS>
where
    Alone<MIN_BLOCK, P, REGIONS>: Send,
{
}

struct State<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> {
    heap: Alone<MIN_BLOCK, P, REGIONS>,
    stage: Stage,
    /// How many frees were refused.
    refused: usize,
}

enum Stage {
    /// Nothing is known of memory yet.
    Empty,
    /// The first call takes this.
    #[cfg(target_has_atomic = "ptr")]
    Waiting(Reserve),
    /// The heap is what it is.
    Ready,
}

impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> State<MIN_BLOCK, P, REGIONS> {
    /// Makes the heap of a reserve, unless that is too small or was taken: then there is no memory.
    #[inline]
    fn start(&mut self) {
        #[cfg(target_has_atomic = "ptr")]
        if let Stage::Waiting(reserve) = self.stage {
            self.start_over(reserve);
        }
    }

    #[cfg(target_has_atomic = "ptr")]
    #[cold]
    fn start_over(&mut self, reserve: Reserve) {
        self.stage = Stage::Ready;
        self.heap = reserve.build();
    }

    /// Sets the heap, if nothing was set before.
    fn init(
        &mut self,
        build: impl FnOnce() -> Result<Alone<MIN_BLOCK, P, REGIONS>, BuildError>,
    ) -> Result<usize, InitError> {
        let Stage::Empty = self.stage else {
            return Err(InitError::Twice);
        };
        self.heap = build()?;
        self.stage = Stage::Ready;
        Ok(self.heap.size())
    }
}

/// Giving it memory.
impl<L: RawLock, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    LockedHeap<L, MIN_BLOCK, P, REGIONS>
{
    /// A heap that gets its memory at run time.
    #[must_use]
    pub const fn empty(lock: L) -> Self {
        Self::at(lock, Stage::Empty)
    }

    /// A heap over an array in the binary, which the first call sets up, O(orders). (If the array
    /// was given to another heap before, this one has no memory.)
    ///
    /// ```
    /// use buddy_global::{LockedHeap, Spin, StaticMemory};
    ///
    /// static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    /// static HEAP: LockedHeap<Spin, 32> = LockedHeap::over(Spin::new(), &MEMORY);
    /// assert!(HEAP.size() > 60 << 10);
    /// ```
    #[cfg(target_has_atomic = "ptr")]
    #[must_use]
    pub const fn over<const BYTES: usize>(lock: L, memory: &'static StaticMemory<BYTES>) -> Self {
        Self::at(lock, Stage::Waiting(memory.reserve()))
    }

    const fn at(lock: L, stage: Stage) -> Self {
        let inner = State { heap: Heap::empty(), stage, refused: 0 };
        Self { lock, state: UnsafeCell::new(inner), hook: Hook::none() }
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
    /// use buddy_global::{LockedHeap, Spin, StaticMemory};
    ///
    /// static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    /// static HEAP: LockedHeap<Spin> = LockedHeap::empty(Spin::new());
    /// let region = MEMORY.take().expect("nobody else takes it");
    /// assert!(HEAP.init(region)? > 60 << 10);
    /// # Ok::<(), buddy_global::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Twice`], or [`InitError::Build`] if the region is too small.
    pub fn init(&self, region: &'static mut [MaybeUninit<u8>]) -> Result<usize, InitError> {
        self.with_state(|state| state.init(|| Heap::from_region(region)))
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
        self.with_state(|state| state.init(|| unsafe { Heap::from_raw(start, len) }))
    }

    /// As [`Self::init_raw`], with metadata for `room` bytes in all, so that more memory can be added
    /// later. The metadata takes its bytes of these `len`.
    ///
    /// ```
    /// use buddy_global::{LockedHeap, Spin};
    /// use core::ptr::NonNull;
    ///
    /// static HEAP: LockedHeap<Spin> = LockedHeap::empty(Spin::new());
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
        let build = || {
            // SAFETY: the caller's duties, for ever.
            unsafe { Heap::from_raw_with_room(start, len, room) }
        };
        self.with_state(|state| state.init(build))
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

    /// How many frees and reallocations were refused because no block of that size starts there:
    /// mistakes in unsafe code, which an allocator may not answer with a panic. Nothing was changed
    /// by them.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.with_state(|state| state.refused)
    }

    #[inline]
    fn with_state<R>(&self, call: impl FnOnce(&mut State<MIN_BLOCK, P, REGIONS>) -> R) -> R {
        let _held = Held::new(&self.lock);
        // SAFETY: the lock is held, and nothing called from here comes here again: nobody else has a
        // reference to the state.
        call(unsafe { &mut *self.state.get() })
    }
}

impl<L: RawLock, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Reach<MIN_BLOCK, P, REGIONS> for LockedHeap<L, MIN_BLOCK, P, REGIONS>
{
    type Words = &'static mut [Plain];

    #[inline]
    fn with<R>(&self, call: impl FnOnce(&Alone<MIN_BLOCK, P, REGIONS>) -> R) -> R {
        self.with_state(|state| {
            state.start();
            call(&state.heap)
        })
    }

    fn hook(&self) -> &Hook {
        &self.hook
    }

    /// Clears without the lock.
    #[inline]
    fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = Reach::alloc(self, layout);
        if !block.is_null() {
            // SAFETY: a block of as many bytes, which nobody else knows yet.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[cold]
    fn note_refused(&self) {
        self.with_state(|state| state.refused += 1);
    }
}

public_calls!(LockedHeap, L: RawLock);
