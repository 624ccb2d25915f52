//! The heap kinds that the tests put collections on.

use buddy_alloc_api::{BlockSource, Buddy, GlobalSource};
use buddy_core::heap::{Hardened, Hardening, Heap};
use buddy_core::{AllocError, Atomic, Eager, FreeError, Plain, Policy};
use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

/// Bytes of a heap's region, metadata included.
pub(crate) const REGION: usize = 1 << 20;

fn region() -> &'static mut [MaybeUninit<u8>] {
    // On a page, so that every run of a test sees the same alignments.
    let layout = Layout::from_size_align(REGION, 4096).unwrap();
    // SAFETY: the size is not zero.
    let start = NonNull::new(unsafe { std::alloc::alloc(layout) }).expect("memory for the tests");
    // SAFETY: allocated just now, with that size, and never freed.
    unsafe { NonNull::slice_from_raw_parts(start.cast(), REGION).as_mut() }
}

/// For one thread.
pub(crate) type Single = Heap<&'static mut [Plain], 16>;
/// For one thread, which merges at once.
pub(crate) type SingleEager = Heap<&'static mut [Plain], 16, Eager>;
/// For many threads, without a lock.
pub(crate) type LockFree = Heap<&'static mut [Atomic], 16>;

/// For many threads, without a lock, kept apart by thread.
pub(crate) type Lanes = Heap<&'static mut [Atomic], 16, FourLanes>;

/// For many threads, with every hardening.
pub(crate) type Hard = Hardened<&'static mut [Atomic], 16>;

/// Numbers the threads.
#[derive(Debug)]
pub(crate) struct FourLanes;

impl Policy for FourLanes {
    const CPUS: usize = 4;

    fn cpu() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Relaxed));
        NUMBER.with(|number| *number)
    }
}

/// For many threads, behind a lock that knows nothing of heaps.
#[derive(Debug)]
pub(crate) struct Locked(Mutex<Single>);

impl Locked {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Single> {
        self.0.lock().expect("no call panics with the lock held")
    }
}

// SAFETY: the heap's own contract: the lock hands out nothing but `&Heap` while blocks are in use.
unsafe impl BlockSource for Locked {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.lock().allocate(layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.lock().allocate_zeroed(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        // SAFETY: the caller's duty.
        unsafe { self.lock().deallocate(ptr, layout) }
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.lock().grow(ptr, old, new) }
    }

    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.lock().grow_zeroed(ptr, old, new) }
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.lock().shrink(ptr, old, new) }
    }
}

// SAFETY: the heap's contract, with its lock held; nothing here unwinds but a poisoned lock.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.lock().allocate(layout).map_or(ptr::null_mut(), |block| block.cast().as_ptr())
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(ptr) {
            // SAFETY: the caller's duty. If it is refused, what is in use shows that in the end.
            let _ = unsafe { self.lock().deallocate(block, layout) };
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, old: Layout, new_size: usize) -> *mut u8 {
        let (Some(block), Ok(new)) =
            (NonNull::new(ptr), Layout::from_size_align(new_size, old.align()))
        else {
            return ptr::null_mut();
        };
        let heap = self.lock();
        let resized = if new_size < old.size() {
            // SAFETY: the caller's duty.
            unsafe { heap.shrink(block, old, new) }
        } else {
            // SAFETY: the caller's duty.
            unsafe { heap.grow(block, old, new) }
        };
        resized.map_or(ptr::null_mut(), |block| block.cast().as_ptr())
    }
}

/// For many threads, and known as a `GlobalAlloc` only.
pub(crate) type Global = GlobalSource<'static, Locked>;

/// A heap kind, for tests that are the same for all.
pub(crate) trait Kind: BlockSource + Sized {
    fn make() -> Self;

    /// The bytes in use, once the heap has proved whole.
    fn used_when_whole(&self) -> usize;

    fn buddy() -> Buddy<Self> {
        Buddy::new(Self::make())
    }
}

macro_rules! kind {
    ($heap:ty) => {
        impl Kind for $heap {
            fn make() -> Self {
                Self::from_region(region()).unwrap()
            }

            fn used_when_whole(&self) -> usize {
                self.validate().unwrap();
                self.total_allocated()
            }
        }
    };
}

kind!(Single);
kind!(SingleEager);
kind!(LockFree);
kind!(Lanes);

impl Kind for Hard {
    fn make() -> Self {
        let hardening = Hardening::new(1).zero_on_free().guards().quarantine(1024).random_choice(4);
        Self::new(LockFree::make(), hardening)
    }

    fn used_when_whole(&self) -> usize {
        self.release_waiting();
        assert_eq!(self.damaged(), 0);
        self.heap().used_when_whole()
    }
}

impl Kind for Locked {
    fn make() -> Self {
        Self(Mutex::new(Single::make()))
    }

    fn used_when_whole(&self) -> usize {
        self.lock().used_when_whole()
    }
}

impl Kind for Global {
    fn make() -> Self {
        Self::new(std::boxed::Box::leak(std::boxed::Box::new(Locked::make())))
    }

    fn used_when_whole(&self) -> usize {
        self.heap().used_when_whole()
    }
}

/// All blocks came back, and the heap, which the next test may go on with, is whole.
pub(crate) fn assert_empty<H: Kind>(buddy: Buddy<H>) -> Buddy<H> {
    let heap = buddy.into_inner();
    assert_eq!(heap.used_when_whole(), 0);
    Buddy::new(heap)
}
