//! One heap behind a spin lock.

use crate::memory::{Reserve, StaticMemory};
use buddy_core::heap::{BuildError, RegionError};
use buddy_core::tree::Invalid;
use buddy_core::{AllocError, Heap, Lazy, Plain, Policy, Statistics};
use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use thiserror::Error;

/// A heap for `#[global_allocator]`, behind a lock that spins.
///
/// - `MIN_BLOCK`: bytes of the smallest block, a power of two and at least 8.
/// - `P`: when freed blocks are merged; see [`Policy`].
/// - `REGIONS`: how many separate pieces of memory there can be.
///
/// It gets its memory in one of three ways: an array in the binary ([`Self::over`]); one region at
/// run time ([`Self::init`], [`Self::init_raw`]), which holds its own metadata; or metadata apart
/// ([`Self::init_metadata`]) and several regions ([`Self::add`], [`Self::add_raw`]). Until then, and
/// when memory runs out, requests are answered with null, as `GlobalAlloc` wants it.
///
/// Each call takes the lock once. `realloc` resizes in place where it can; where it cannot, it
/// copies with the lock held. `alloc_zeroed` clears after the lock is released.
pub struct LockedHeap<const MIN_BLOCK: usize = 16, P: Policy = Lazy, const REGIONS: usize = 4> {
    state: spin::Mutex<State<MIN_BLOCK, P, REGIONS>>,
}

struct State<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> {
    heap: Heap<&'static mut [Plain], MIN_BLOCK, P, REGIONS>,
    stage: Stage,
    /// How many frees were refused.
    refused: usize,
}

enum Stage {
    /// Nothing is known of memory yet.
    Empty,
    /// The first call takes this.
    Waiting(&'static Reserve<[MaybeUninit<u8>]>),
    /// The heap is what it is.
    Ready,
}

impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> State<MIN_BLOCK, P, REGIONS> {
    #[inline]
    fn heap(&mut self) -> &Heap<&'static mut [Plain], MIN_BLOCK, P, REGIONS> {
        if let Stage::Waiting(reserve) = self.stage {
            self.start(reserve);
        }
        &self.heap
    }

    /// Makes the heap of a reserve, unless that is too small or was taken: then there is no memory.
    #[cold]
    fn start(&mut self, reserve: &'static Reserve<[MaybeUninit<u8>]>) {
        self.stage = Stage::Ready;
        if let Some(Ok(heap)) = reserve.take().map(Heap::from_region) {
            self.heap = heap;
        }
    }

    /// Sets the heap, if nothing was set before.
    fn init(
        &mut self,
        build: impl FnOnce() -> Result<Heap<&'static mut [Plain], MIN_BLOCK, P, REGIONS>, BuildError>,
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
impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> LockedHeap<MIN_BLOCK, P, REGIONS> {
    /// A heap that gets its memory at run time.
    #[must_use]
    pub const fn empty() -> Self {
        Self::at(Stage::Empty)
    }

    /// A heap over an array in the binary, which the first allocation sets up. (If the array was
    /// given to another heap before, this one has no memory.)
    ///
    /// ```
    /// use buddy_global::{LockedHeap, StaticMemory};
    ///
    /// static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    /// static HEAP: LockedHeap<32> = LockedHeap::over(&MEMORY);
    /// assert!(HEAP.size() > 60 << 10);
    /// ```
    #[must_use]
    pub const fn over<const BYTES: usize>(memory: &'static StaticMemory<BYTES>) -> Self {
        Self::at(Stage::Waiting(&memory.0))
    }

    const fn at(stage: Stage) -> Self {
        Self { state: spin::Mutex::new(State { heap: Heap::empty(), stage, refused: 0 }) }
    }

    /// Makes `region` the heap, with its metadata at its end; returns how many bytes are usable.
    ///
    /// ```
    /// use buddy_global::{LockedHeap, StaticMemory};
    ///
    /// static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    /// static HEAP: LockedHeap = LockedHeap::empty();
    /// let region = MEMORY.take().expect("nobody else takes it");
    /// assert!(HEAP.init(region)? > 60 << 10);
    /// # Ok::<(), buddy_global::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Twice`], or [`InitError::Build`] if the region is too small.
    pub fn init(&self, region: &'static mut [MaybeUninit<u8>]) -> Result<usize, InitError> {
        self.state.lock().init(|| Heap::from_region(region))
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
        self.state.lock().init(|| unsafe { Heap::from_raw(start, len) })
    }

    /// Gives the heap metadata, all of `words`, for memory that is added later. How many words a
    /// region takes, [`Heap::metadata_words`] says; twice as many are plenty.
    ///
    /// ```
    /// use buddy_core::Plain;
    /// use buddy_global::{LockedHeap, StaticMemory};
    ///
    /// static LOW: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    /// static HIGH: StaticMemory<{ 16 << 10 }> = StaticMemory::new();
    /// static HEAP: LockedHeap = LockedHeap::empty();
    ///
    /// HEAP.init_metadata(Box::leak(Box::new([const { Plain::zero() }; 1000])))?;
    /// HEAP.add(LOW.take().expect("nobody else takes it"))?;
    /// HEAP.add(HIGH.take().expect("nobody else takes it"))?;
    /// assert!(HEAP.size() >= (80 << 10) - 64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Twice`], or [`InitError::Build`] if there are too few words for a block.
    pub fn init_metadata(&self, words: &'static mut [Plain]) -> Result<(), InitError> {
        self.state.lock().init(|| Heap::new(words)).map(drop)
    }

    /// Adds memory; returns how many bytes became usable. See [`Heap::add`].
    ///
    /// # Errors
    /// If the region is too small for a block, or there is no room for it in the metadata (none to
    /// spare after [`Self::init`]) or among the `REGIONS`.
    pub fn add(&self, region: &'static mut [MaybeUninit<u8>]) -> Result<usize, RegionError> {
        self.state.lock().heap.add(region)
    }

    /// Adds the `len` bytes at `start`, which merge with those added last by this function if they
    /// directly follow them. See [`Heap::add_raw`].
    ///
    /// # Safety
    /// - The memory is of one allocation (in the sense of [`core::ptr`]); `start` may be used to
    ///   read and write all of it from now on.
    /// - Nobody else uses it from now on.
    /// - If it directly follows what was added last by this function, both are of one allocation,
    ///   and the pointer given then may be used for this memory, too.
    ///
    /// # Errors
    /// As [`Self::add`], and if the memory overlaps a region that the heap has.
    pub unsafe fn add_raw(&self, start: NonNull<u8>, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the caller's duties.
        unsafe { self.state.lock().heap.add_raw(start, len) }
    }
}

/// Figures. Each call takes the lock.
impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> LockedHeap<MIN_BLOCK, P, REGIONS> {
    /// The bytes of all blocks, free or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.state.lock().heap().size()
    }

    /// The bytes of all free blocks. O(1).
    #[must_use]
    pub fn total_free(&self) -> usize {
        self.state.lock().heap().total_free()
    }

    /// The usable bytes of all allocated blocks. O(1).
    #[must_use]
    pub fn total_allocated(&self) -> usize {
        self.state.lock().heap().total_allocated()
    }

    /// How many frees and reallocations were refused because no block of that size starts there:
    /// mistakes in unsafe code, which an allocator may not answer with a panic. Nothing was changed
    /// by them.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.state.lock().refused
    }

    /// See [`Heap::statistics`].
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.state.lock().heap().statistics()
    }

    /// See [`Heap::validate`]. O(leaves), with the lock held.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.state.lock().heap().validate()
    }
}

// SAFETY: the heap's blocks are valid, disjoint, of the layout's size and alignment, and stay where
// they are (H1 to H3 of `buddy_core::heap`); the lock lets one thread at a time change the heap. No
// call unwinds: none of the heap's panics, and nothing here does.
unsafe impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> GlobalAlloc
    for LockedHeap<MIN_BLOCK, P, REGIONS>
{
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.state.lock().heap().allocate(layout);
        block.map_or(ptr::null_mut(), |block| block.cast().as_ptr())
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(ptr) else { return };
        let mut state = self.state.lock();
        // SAFETY: the caller does not use the block any more.
        if unsafe { state.heap().deallocate(block, layout) }.is_err() {
            state.refused += 1;
        }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (Some(block), Ok(new)) =
            (NonNull::new(ptr), Layout::from_size_align(new_size, layout.align()))
        else {
            return ptr::null_mut();
        };
        let mut state = self.state.lock();
        let resized = if new_size < layout.size() {
            // SAFETY: if this succeeds, the caller does not use the old pointer any more.
            unsafe { state.heap().shrink(block, layout, new) }
        } else {
            // SAFETY: as above.
            unsafe { state.heap().grow(block, layout, new) }
        };
        if let Err(AllocError::Block(_)) = resized {
            state.refused += 1;
        }
        resized.map_or(ptr::null_mut(), |block| block.cast().as_ptr())
    }
}

impl<const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> fmt::Debug
    for LockedHeap<MIN_BLOCK, P, REGIONS>
{
    /// The lock is not held while this writes: writing may allocate here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, allocated) = (self.size(), self.total_allocated());
        f.debug_struct("LockedHeap").field("size", &size).field("allocated", &allocated).finish()
    }
}

/// Why a heap was not given its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InitError {
    /// It has memory already, or is to have it.
    #[error("the heap was given its memory before")]
    Twice,
    /// The memory or metadata does not do.
    #[error(transparent)]
    Build(#[from] BuildError),
}
