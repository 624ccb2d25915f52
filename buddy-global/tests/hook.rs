//! What is called when memory runs out.

mod support;

use buddy_global::{BuddyHeap, LockedHeap, RawLock, Spin, StaticMemory, static_heap};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use support::layout;

/// More than half of the heaps here.
const MOST: usize = 40_000;

#[test]
fn a_hook_that_frees_a_cache_makes_room() {
    static HEAP: BuddyHeap = static_heap!(64 << 10).out_of_memory(drop_cache);
    static CACHE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

    fn drop_cache(_: Layout) -> bool {
        let block = CACHE.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: null, or the cache's block, which nobody uses any more.
        unsafe { HEAP.dealloc(block, layout(MOST)) };
        !block.is_null()
    }

    // SAFETY: the size is not 0.
    CACHE.store(unsafe { HEAP.alloc(layout(MOST)) }, Ordering::Release);
    // SAFETY: the size is not 0.
    let block = unsafe { HEAP.alloc(layout(MOST)) };
    assert!(!block.is_null() && CACHE.load(Ordering::Acquire).is_null());
    // The cache is empty: the hook says so.
    // SAFETY: the size is not 0.
    assert!(unsafe { HEAP.alloc(layout(MOST)) }.is_null());
    // SAFETY: the block of that layout.
    assert!(unsafe { HEAP.realloc(block, layout(MOST), 64 << 10) }.is_null());
    // SAFETY: the block of that layout.
    unsafe { HEAP.dealloc(block, layout(MOST)) };
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (0, 0));
}

#[test]
fn realloc_asks_the_hook_too() {
    static HEAP: BuddyHeap = static_heap!(64 << 10).out_of_memory(drop_cache);
    static CACHE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

    fn drop_cache(_: Layout) -> bool {
        let block = CACHE.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: null, or the cache's block, which nobody uses any more.
        unsafe { HEAP.dealloc(block, layout(MOST + 100)) };
        !block.is_null()
    }

    // SAFETY: the size is not 0.
    CACHE.store(unsafe { HEAP.alloc(layout(MOST + 100)) }, Ordering::Release);
    // SAFETY: the size is not 0.
    let block = unsafe { HEAP.alloc_zeroed(layout(1000)) };
    // SAFETY: the block of that layout.
    let grown = unsafe { HEAP.realloc(block, layout(1000), MOST + 100) };
    assert!(!grown.is_null() && CACHE.load(Ordering::Acquire).is_null());
    // SAFETY: 1000 bytes of it, all zeros.
    assert_eq!(unsafe { core::slice::from_raw_parts(grown, 1000) }, [0; 1000]);
    // SAFETY: the block of that layout.
    unsafe { HEAP.dealloc(grown, layout(MOST + 100)) };
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (0, 0));
}

#[test]
fn a_hook_that_gives_the_heap_its_memory_makes_room() {
    static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    static HEAP: BuddyHeap = BuddyHeap::empty().out_of_memory(give_memory);

    fn give_memory(request: Layout) -> bool {
        assert_eq!(request.size(), MOST);
        MEMORY.take().is_some_and(|region| HEAP.init(region).is_ok())
    }

    // SAFETY: the size is not 0.
    let block = unsafe { HEAP.alloc(layout(MOST)) };
    assert!(!block.is_null());
    // SAFETY: the block of that layout.
    unsafe { HEAP.dealloc(block, layout(MOST)) };
}

#[test]
fn a_hook_that_always_says_true_comes_to_an_end() {
    static HEAP: BuddyHeap = static_heap!(64 << 10).out_of_memory(promise);
    static CALLS: AtomicUsize = AtomicUsize::new(0);

    fn promise(_: Layout) -> bool {
        CALLS.fetch_add(1, Ordering::Relaxed);
        true
    }

    // SAFETY: the size is not 0.
    assert!(unsafe { HEAP.alloc(layout(1 << 20)) }.is_null());
    assert!((1..1000).contains(&CALLS.load(Ordering::Relaxed)));
}

#[test]
fn a_hook_that_allocates_too_much_itself_comes_to_an_end() {
    static HEAP: BuddyHeap = static_heap!(64 << 10).out_of_memory(ask_for_more);
    static DEPTH: AtomicUsize = AtomicUsize::new(0);
    static DEEPEST: AtomicUsize = AtomicUsize::new(0);

    fn ask_for_more(request: Layout) -> bool {
        DEEPEST.fetch_max(DEPTH.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        // SAFETY: the size is not 0.
        assert!(unsafe { HEAP.alloc(request) }.is_null());
        DEPTH.fetch_sub(1, Ordering::Relaxed);
        false
    }

    // SAFETY: the size is not 0.
    assert!(unsafe { HEAP.alloc(layout(1 << 20)) }.is_null());
    assert!((2..100).contains(&DEEPEST.load(Ordering::Relaxed)));
}

#[test]
fn no_lock_is_held_while_the_hook_runs() {
    static MEMORY: StaticMemory<{ 64 << 10 }> = StaticMemory::new();
    static HEAP: LockedHeap<Watched> =
        LockedHeap::over(Watched(Spin::new()), &MEMORY).out_of_memory(look);
    static HELD: AtomicBool = AtomicBool::new(false);
    static CALLS: AtomicUsize = AtomicUsize::new(0);

    struct Watched(Spin);

    // SAFETY: a lock in a lock.
    unsafe impl RawLock for Watched {
        type State = ();

        fn lock(&self) {
            self.0.lock();
            HELD.store(true, Ordering::Relaxed);
        }

        unsafe fn unlock(&self, (): ()) {
            HELD.store(false, Ordering::Relaxed);
            // SAFETY: the caller's duties.
            unsafe { self.0.unlock(()) };
        }
    }

    fn look(_: Layout) -> bool {
        assert!(!HELD.load(Ordering::Relaxed));
        CALLS.fetch_add(1, Ordering::Relaxed);
        // The lock can be had.
        HEAP.size() == 0
    }

    // SAFETY: the size is not 0.
    assert!(unsafe { HEAP.alloc(layout(1 << 20)) }.is_null());
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
}
