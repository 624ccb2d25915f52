//! The calls of `GlobalAlloc`, and the ways to memory, on heaps that are no program's own.

use buddy_core::heap::RegionError;
use buddy_core::{Lazy, Plain};
use buddy_global::{InitError, LockedHeap, StaticMemory};
use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

const KIB_64: usize = 64 << 10;

/// Memory on a boundary of 64 KiB, so that blocks lie the same way every time.
fn leaked(bytes: usize) -> &'static mut [MaybeUninit<u8>] {
    let memory = vec![MaybeUninit::uninit(); bytes + KIB_64].leak();
    let skipped = memory.as_ptr().addr().wrapping_neg() % KIB_64;
    &mut memory[skipped..][..bytes]
}

fn heap() -> LockedHeap {
    let heap = LockedHeap::empty();
    heap.init(leaked(KIB_64)).unwrap();
    heap
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

#[test]
fn without_memory_there_is_null() {
    let heap = LockedHeap::<16>::empty();
    // SAFETY: the size is not 0.
    assert!(unsafe { heap.alloc(layout(1)) }.is_null());
    assert_eq!((heap.size(), heap.total_free(), heap.total_allocated()), (0, 0, 0));
    assert!(matches!(heap.add(leaked(4096)), Err(RegionError::NoMetadata)));
}

#[test]
fn a_heap_is_given_its_memory_once() {
    let heap = heap();
    assert_eq!(heap.init(leaked(KIB_64)), Err(InitError::Twice));
    assert_eq!(heap.init_metadata(vec![].leak()), Err(InitError::Twice));

    static MEMORY: StaticMemory<4096> = StaticMemory::new();
    static WAITING: LockedHeap = LockedHeap::over(&MEMORY);
    assert_eq!(WAITING.init(leaked(KIB_64)), Err(InitError::Twice));
    assert!(WAITING.size() > 3500);
}

#[test]
fn memory_too_small_is_an_error_and_the_next_try_counts() {
    let heap = LockedHeap::<16>::empty();
    assert!(matches!(heap.init(leaked(7)), Err(InitError::Build(_))));
    assert!(matches!(heap.init_metadata(vec![].leak()), Err(InitError::Build(_))));
    assert!(heap.init(leaked(4096)).unwrap() > 3500);
}

#[test]
fn an_array_goes_to_the_first_of_two_heaps() {
    static MEMORY: StaticMemory<4096> = StaticMemory::new();
    static FIRST: LockedHeap = LockedHeap::over(&MEMORY);
    static SECOND: LockedHeap = LockedHeap::over(&MEMORY);
    assert!(FIRST.size() > 3500);
    assert_eq!(SECOND.size(), 0);
    // SAFETY: the size is not 0.
    assert!(unsafe { SECOND.alloc(layout(1)) }.is_null());
}

#[test]
fn halves_of_one_memory_merge() {
    let heap = LockedHeap::<64>::empty();
    heap.init_metadata((0..1000).map(|_| Plain::default()).collect::<Vec<_>>().leak()).unwrap();
    let start = NonNull::from(leaked(2 * KIB_64)).cast::<u8>();
    // SAFETY: the first half of leaked memory.
    let low = unsafe { heap.add_raw(start, KIB_64) }.unwrap();
    // SAFETY: inside the leaked memory.
    let middle = unsafe { start.add(KIB_64) };
    // SAFETY: the second half.
    let high = unsafe { heap.add_raw(middle, KIB_64) }.unwrap();
    assert_eq!((low, high), (KIB_64, KIB_64));
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(2 * KIB_64)) };
    assert_eq!(block, start.as_ptr());
    // SAFETY: allocated with this layout, and not used.
    unsafe { heap.dealloc(block, layout(2 * KIB_64)) };
    heap.validate().unwrap();
}

#[test]
fn regions_beyond_the_limit_are_refused() {
    let heap = LockedHeap::<64, Lazy, 1>::empty();
    heap.init_metadata((0..1000).map(|_| Plain::default()).collect::<Vec<_>>().leak()).unwrap();
    heap.add(leaked(4096)).unwrap();
    assert_eq!(heap.add(leaked(4096)), Err(RegionError::TooMany { limit: 1 }));
}

#[test]
fn realloc_resizes_in_place_both_ways() {
    let heap = heap();
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(100)) };
    // SAFETY: 100 bytes.
    unsafe { block.write_bytes(1, 100) };
    // SAFETY: the block of that layout.
    let grown = unsafe { heap.realloc(block, layout(100), 30_000) };
    assert_eq!(grown, block);
    // SAFETY: as above.
    let shrunk = unsafe { heap.realloc(grown, layout(30_000), 50) };
    assert_eq!(shrunk, block);
    // SAFETY: 50 bytes of it, all written.
    assert_eq!(unsafe { core::slice::from_raw_parts(shrunk, 50) }, [1; 50]);
    assert_eq!(heap.total_allocated(), 64);
    // SAFETY: the block of that layout.
    unsafe { heap.dealloc(shrunk, layout(50)) };
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

#[test]
fn a_realloc_without_room_keeps_the_block() {
    let heap = heap();
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(100)) };
    for size in [KIB_64, 1 << 40, isize::MAX as usize, usize::MAX] {
        // SAFETY: the block of that layout.
        assert!(unsafe { heap.realloc(block, layout(100), size) }.is_null());
    }
    // SAFETY: the block of that layout.
    unsafe { heap.dealloc(block, layout(100)) };
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

#[test]
fn zeroed_memory_is_zero_though_it_was_used_before() {
    let heap = heap();
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(1000)) };
    // SAFETY: 1000 bytes.
    unsafe { block.write_bytes(0xff, 1000) };
    // SAFETY: the block of that layout.
    unsafe { heap.dealloc(block, layout(1000)) };
    // SAFETY: the size is not 0.
    let zeroed = unsafe { heap.alloc_zeroed(layout(1000)) };
    assert_eq!(zeroed, block);
    // SAFETY: 1000 bytes, zeroed.
    assert_eq!(unsafe { core::slice::from_raw_parts(zeroed, 1000) }, [0; 1000]);
}

#[test]
fn misuse_is_counted_and_changes_nothing() {
    let heap = heap();
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(100)) };
    // SAFETY: inside the block.
    let inside = unsafe { block.add(16) };
    let mut outside = 0_u8;
    for (pointer, size) in [(inside, 100), (block, 900), (&raw mut outside, 100)] {
        // SAFETY: these break the rules; the heap looks at its tree and refuses.
        unsafe { heap.dealloc(pointer, layout(size)) };
        // SAFETY: as above.
        assert!(unsafe { heap.realloc(pointer, layout(size), 2 * size) }.is_null());
    }
    assert_eq!((heap.total_allocated(), heap.refused()), (112, 6));
    // SAFETY: the block of that layout.
    unsafe { heap.dealloc(block, layout(100)) };
    // SAFETY: a second free, which is refused.
    unsafe { heap.dealloc(block, layout(100)) };
    // SAFETY: null is no block.
    unsafe { heap.dealloc(core::ptr::null_mut(), layout(100)) };
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 7));
    heap.validate().unwrap();
}

#[test]
fn a_heap_can_be_printed() {
    let heap = heap();
    assert!(format!("{heap:?}").starts_with("LockedHeap { size: 6"));
}
