//! The ways to memory, on heaps that are no program's own.

mod support;

use buddy_core::Lazy;
use buddy_core::heap::RegionError;
use buddy_global::{BuddyHeap, InitError, LockedHeap, Spin, StaticMemory, static_heap};
use core::alloc::GlobalAlloc;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Barrier;
use std::thread;
use support::{KIB_64, layout, leaked};

#[test]
fn without_memory_there_is_null() {
    let heap = BuddyHeap::<16>::empty();
    // SAFETY: the size is not 0.
    assert!(unsafe { heap.alloc(layout(1)) }.is_null());
    assert_eq!((heap.size(), heap.total_free(), heap.total_allocated()), (0, 0, 0));

    let heap = LockedHeap::<_, 16>::empty(Spin::new());
    // SAFETY: the size is not 0.
    assert!(unsafe { heap.alloc(layout(1)) }.is_null());
    assert_eq!((heap.size(), heap.total_free(), heap.total_allocated()), (0, 0, 0));
    assert!(matches!(heap.add(leaked(4096)), Err(RegionError::NoMetadata)));
}

#[test]
fn a_locked_heap_is_given_its_memory_once() {
    static MEMORY: StaticMemory<4096> = StaticMemory::new();
    static WAITING: LockedHeap<Spin> = LockedHeap::over(Spin::new(), &MEMORY);

    let heap = LockedHeap::<_, 16>::empty(Spin::new());
    heap.init(leaked(KIB_64)).unwrap();
    assert_eq!(heap.init(leaked(KIB_64)), Err(InitError::Twice));
    assert_eq!(WAITING.init(leaked(KIB_64)), Err(InitError::Twice));
    assert!(WAITING.size() > 3500);
}

#[test]
fn a_heap_without_lock_is_given_its_memory_once() {
    static WAITING: BuddyHeap = static_heap!(4096);

    let heap = BuddyHeap::<16>::empty();
    heap.init(leaked(KIB_64)).unwrap();
    assert_eq!(heap.init(leaked(KIB_64)), Err(InitError::Twice));
    assert_eq!(WAITING.init(leaked(KIB_64)), Err(InitError::Twice));
    assert!(WAITING.size() > 3500);
}

#[test]
fn memory_too_small_is_an_error_and_the_next_try_counts() {
    let heap = LockedHeap::<_, 16>::empty(Spin::new());
    assert!(matches!(heap.init(leaked(7)), Err(InitError::Build(_))));
    assert!(heap.init(leaked(4096)).unwrap() > 3500);

    let heap = BuddyHeap::<16>::empty();
    assert!(matches!(heap.init(leaked(7)), Err(InitError::Build(_))));
    assert!(heap.init(leaked(4096)).unwrap() > 3500);
}

#[test]
fn an_array_goes_to_the_first_of_two_heaps() {
    static MEMORY: StaticMemory<4096> = StaticMemory::new();
    static FIRST: BuddyHeap = BuddyHeap::over(&MEMORY);
    static SECOND: BuddyHeap = BuddyHeap::over(&MEMORY);
    static THIRD: LockedHeap<Spin> = LockedHeap::over(Spin::new(), &MEMORY);
    assert!(FIRST.size() > 3500);
    assert_eq!((SECOND.size(), THIRD.size()), (0, 0));
    // SAFETY: the size is not 0.
    assert!(unsafe { SECOND.alloc(layout(1)) }.is_null());
    // SAFETY: the size is not 0.
    assert!(unsafe { THIRD.alloc(layout(1)) }.is_null());
}

#[test]
fn an_array_too_small_is_no_memory() {
    static HEAP: BuddyHeap = static_heap!(10);
    assert_eq!(HEAP.size(), 0);
    // SAFETY: the size is not 0.
    assert!(unsafe { HEAP.alloc(layout(1)) }.is_null());
}

#[test]
fn threads_that_meet_at_the_first_call_are_all_served() {
    static HEAP: BuddyHeap = static_heap!(4 << 20);
    static START: Barrier = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                START.wait();
                // SAFETY: the size is not 0.
                let block = unsafe { HEAP.alloc(layout(100)) };
                assert!(!block.is_null());
                // SAFETY: the block of that layout.
                unsafe { HEAP.dealloc(block, layout(100)) };
            });
        }
    });
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (0, 0));
}

/// Calls a function for a heap without lock and one with, neither of which has memory yet.
macro_rules! for_both {
    ($call:ident, $regions:literal) => {
        $call!(BuddyHeap::<64, Lazy, $regions>::empty());
        $call!(LockedHeap::<_, 64, Lazy, $regions>::empty(Spin::new()));
    };
}

#[test]
fn halves_of_one_memory_merge() {
    macro_rules! check {
        ($heap:expr) => {
            let heap = $heap;
            let first = NonNull::from(leaked(KIB_64)).cast::<u8>();
            // SAFETY: leaked memory.
            unsafe { heap.init_raw_with_room(first, KIB_64, 4 * KIB_64) }.unwrap();
            let start = NonNull::from(leaked(2 * KIB_64)).cast::<u8>();
            // SAFETY: the first half of leaked memory.
            assert_eq!(unsafe { heap.add_raw(start, KIB_64) }, Ok(KIB_64));
            // SAFETY: inside the leaked memory.
            let middle = unsafe { start.add(KIB_64) };
            // SAFETY: the second half.
            assert_eq!(unsafe { heap.add_raw(middle, KIB_64) }, Ok(KIB_64));
            // SAFETY: the size is not 0.
            let block = unsafe { heap.alloc(layout(2 * KIB_64)) };
            assert_eq!(block, start.as_ptr());
            // SAFETY: allocated with this layout, and not used.
            unsafe { heap.dealloc(block, layout(2 * KIB_64)) };
            heap.validate().unwrap();
        };
    }
    for_both!(check, 4);
}

#[test]
fn regions_beyond_the_limit_are_refused() {
    macro_rules! check {
        ($heap:expr) => {
            let heap = $heap;
            let start = NonNull::from(leaked(KIB_64)).cast::<u8>();
            // SAFETY: leaked memory.
            unsafe { heap.init_raw_with_room(start, KIB_64, 4 * KIB_64) }.unwrap();
            assert_eq!(heap.add(leaked(4096)), Ok(4096));
            assert_eq!(heap.add(leaked(4096)), Err(RegionError::TooMany { limit: 2 }));
        };
    }
    for_both!(check, 2);
}

#[test]
fn memory_is_added_while_threads_allocate() {
    static HEAP: BuddyHeap<64, Lazy, 8> = BuddyHeap::empty();
    let start = NonNull::from(leaked(KIB_64)).cast::<u8>();
    // SAFETY: leaked memory.
    let first = unsafe { HEAP.init_raw_with_room(start, KIB_64, 9 * KIB_64) }.unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for size in (64..20_000).step_by(64) {
                    // SAFETY: the size is not 0.
                    let block = unsafe { HEAP.alloc(layout(size)) };
                    // SAFETY: null, or the block of that layout.
                    unsafe { HEAP.dealloc(block, layout(size)) };
                }
            });
        }
        let added: usize = (0..7).map(|_| HEAP.add(leaked(KIB_64)).unwrap()).sum();
        assert_eq!(HEAP.size(), first + added);
    });
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (0, 0));
    HEAP.validate().unwrap();
}

#[test]
fn figures_can_be_read_while_threads_work() {
    macro_rules! check {
        ($heap:expr) => {
            let (heap, done) = ($heap, AtomicUsize::new(0));
            heap.init(leaked(4 * KIB_64)).unwrap();
            let heap = &heap;
            thread::scope(|scope| {
                for thread in 1..=2 {
                    let done = &done;
                    scope.spawn(move || {
                        for size in (64..20_000).step_by(64 * thread) {
                            // SAFETY: the size is not 0.
                            let block = unsafe { heap.alloc(layout(size)) };
                            // SAFETY: null, or the block of that layout.
                            unsafe { heap.dealloc(block, layout(size)) };
                        }
                        done.fetch_add(1, Ordering::Release);
                    });
                }
                while done.load(Ordering::Acquire) < 2 {
                    assert!(heap.total_allocated() <= heap.size());
                    assert!(heap.total_free() <= heap.size());
                    assert!(heap.statistics().peak() * 64 <= heap.size());
                }
            });
            assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
            assert_eq!(heap.total_free(), heap.size());
            heap.validate().unwrap();
        };
    }
    for_both!(check, 1);
}

#[test]
fn what_rests_is_counted_and_given_back_on_request() {
    static HEAP: BuddyHeap = static_heap!(4 << 20);
    let layout = layout(32);
    // SAFETY: the size is not 0.
    let blocks: Vec<_> = (0..100).map(|_| unsafe { HEAP.alloc(layout) }).collect();
    for block in blocks {
        // SAFETY: the block is not used any more.
        unsafe { HEAP.dealloc(block, layout) };
    }
    assert!(HEAP.total_resting() > 0);
    assert_eq!((HEAP.total_allocated(), HEAP.total_free()), (0, HEAP.size()));
    HEAP.settle();
    assert_eq!((HEAP.total_resting(), HEAP.total_free()), (0, HEAP.size()));
}
