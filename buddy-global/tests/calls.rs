//! The calls of `GlobalAlloc` on every form of heap, none of which is the program's own.

mod support;

use buddy_global::{BuddyHeap, LockedHeap, NoLock, Spin};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use support::{Figures, KIB_64, layout, leaked};

/// Runs a test on a heap of every form, with 64 KiB.
macro_rules! on_every_form {
    ($($name:ident)*) => {
        mod lock_free {
            $(#[test]
            fn $name() {
                let heap = super::BuddyHeap::<16>::empty();
                heap.init(super::leaked(super::KIB_64)).unwrap();
                super::$name(&heap);
                heap.validate().unwrap();
            })*
        }
        mod locked {
            $(#[test]
            fn $name() {
                let heap = super::LockedHeap::<super::Spin, 16>::empty(super::Spin::new());
                heap.init(super::leaked(super::KIB_64)).unwrap();
                super::$name(&heap);
                heap.validate().unwrap();
            })*
        }
        mod single {
            $(#[test]
            fn $name() {
                // SAFETY: the heap is this thread's.
                let lock = unsafe { super::NoLock::new() };
                let heap = super::LockedHeap::<super::NoLock, 16>::empty(lock);
                heap.init(super::leaked(super::KIB_64)).unwrap();
                super::$name(&heap);
                heap.validate().unwrap();
            })*
        }
    };
}

on_every_form! {
    realloc_resizes_in_place_both_ways
    realloc_that_moves_keeps_the_bytes
    a_realloc_without_room_keeps_the_block
    zeroed_memory_is_zero_though_it_was_used_before
    misuse_is_counted_and_changes_nothing
    alignments_are_kept
    a_heap_can_be_printed
}

fn realloc_resizes_in_place_both_ways(heap: &(impl GlobalAlloc + Figures)) {
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(30_000)) };
    // SAFETY: 30,000 bytes.
    unsafe { block.write_bytes(1, 30_000) };
    // SAFETY: the block of that layout.
    let shrunk = unsafe { heap.realloc(block, layout(30_000), 50) };
    assert_eq!((shrunk, heap.total_allocated()), (block, 64));
    // SAFETY: as above.
    let grown = unsafe { heap.realloc(shrunk, layout(50), 20_000) };
    assert_eq!(grown, block);
    // SAFETY: 50 bytes of it, all written.
    assert_eq!(unsafe { core::slice::from_raw_parts(grown, 50) }, [1; 50]);
    // SAFETY: the block of that layout.
    unsafe { heap.dealloc(grown, layout(20_000)) };
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

fn realloc_that_moves_keeps_the_bytes(heap: &(impl GlobalAlloc + Figures)) {
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(128)) };
    // SAFETY: as above.
    let behind = unsafe { heap.alloc(layout(128)) };
    // SAFETY: 128 bytes.
    unsafe { block.write_bytes(7, 128) };
    // SAFETY: the block of that layout.
    let moved = unsafe { heap.realloc(block, layout(128), 1000) };
    assert!(!moved.is_null() && moved != block);
    // SAFETY: 128 bytes of it, all written.
    assert_eq!(unsafe { core::slice::from_raw_parts(moved, 128) }, [7; 128]);
    // SAFETY: the block of that layout.
    unsafe { heap.dealloc(moved, layout(1000)) };
    // SAFETY: the block of that layout.
    unsafe { heap.dealloc(behind, layout(128)) };
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

fn a_realloc_without_room_keeps_the_block(heap: &(impl GlobalAlloc + Figures)) {
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

fn zeroed_memory_is_zero_though_it_was_used_before(heap: &(impl GlobalAlloc + Figures)) {
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

fn misuse_is_counted_and_changes_nothing(heap: &(impl GlobalAlloc + Figures)) {
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
    unsafe { heap.dealloc(ptr::null_mut(), layout(100)) };
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 7));
}

fn alignments_are_kept(heap: &(impl GlobalAlloc + Figures)) {
    for align in (0..15).map(|shift| 1 << shift) {
        let layout = Layout::from_size_align(24, align).unwrap();
        // SAFETY: the size is not 0.
        let block = unsafe { heap.alloc_zeroed(layout) };
        assert!(!block.is_null() && block.addr() % align == 0, "{align}");
        // SAFETY: the block of that layout.
        let grown = unsafe { heap.realloc(block, layout, 3000) };
        assert!(!grown.is_null() && grown.addr() % align == 0, "{align}");
        // SAFETY: the block of that layout.
        unsafe { heap.dealloc(grown, Layout::from_size_align(3000, align).unwrap()) };
    }
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

fn a_heap_can_be_printed(heap: &(impl GlobalAlloc + core::fmt::Debug)) {
    let text = format!("{heap:?}");
    assert!(text.contains("Heap { size: 6") && text.contains("allocated: 0"), "{text}");
}
