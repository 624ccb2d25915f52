//! The same for every version of the trait: each call does what the trait says, and one heap serves
//! collections of all versions at once.

use crate::kind::{
    Global, Hard, Kind, Lanes, LockFree, Locked, REGION, Single, SingleEager, assert_empty,
};
use core::alloc::Layout;
use core::ptr::NonNull;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Whether all bytes of a block are `value`.
fn holds(block: NonNull<[u8]>, range: core::ops::Range<usize>, value: u8) -> bool {
    // SAFETY: the tests hold their blocks and have written to them, or asked for zeros.
    let bytes = unsafe { block.as_ref() };
    bytes[range].iter().all(|byte| *byte == value)
}

fn fill(block: NonNull<[u8]>, value: u8) {
    // SAFETY: the tests hold their blocks.
    unsafe { block.cast::<u8>().write_bytes(value, block.len()) };
}

macro_rules! each_kind {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check::$name::<Single>();
                check::$name::<SingleEager>();
                check::$name::<LockFree>();
                check::$name::<Lanes>();
                check::$name::<Hard>();
                check::$name::<Locked>();
                check::$name::<Global>();
            }
        )*
    };
}

macro_rules! version {
    ($module:ident, $($version:tt)+) => {
        mod $module {
            use super::*;

            each_kind! {
                a_block_has_the_size_and_the_alignment_asked_for
                a_request_for_nothing_takes_nothing
                growing_keeps_the_bytes
                growing_zeroed_clears_what_is_new
                shrinking_keeps_the_bytes_and_gives_the_rest_back
                a_refused_call_leaves_the_block_as_it_was
                a_vec_and_a_box_come_and_go
                a_vec_grows_in_place_where_memory_behind_it_is_free
            }

            mod check {
                use super::super::*;
                use $($version)+::alloc::Allocator;
                use $($version)+::boxed::Box;
                use $($version)+::vec::Vec;

                pub(super) fn a_block_has_the_size_and_the_alignment_asked_for<H: Kind>() {
                    let buddy = H::buddy();
                    for align in [1, 2, 16, 64, 512, 4096] {
                        for size in [1, 15, 16, 100, 5000] {
                            let layout = layout(size, align);
                            let block = (&buddy).allocate_zeroed(layout).unwrap();
                            assert!(block.len() >= size);
                            assert_eq!(block.cast::<u8>().addr().get() % align, 0);
                            assert!(holds(block, 0..size, 0));
                            fill(block, 0xa5);
                            // SAFETY: allocated with this layout.
                            unsafe { (&buddy).deallocate(block.cast(), layout) };
                        }
                    }
                    assert_empty(buddy);
                }

                pub(super) fn a_request_for_nothing_takes_nothing<H: Kind>() {
                    let buddy = H::buddy();
                    let (none, some) = (layout(0, 64), layout(48, 64));
                    let block = (&buddy).allocate(none).unwrap();
                    assert_eq!((block.len(), block.cast::<u8>().addr().get() % 64), (0, 0));
                    // SAFETY: allocated with the layout given, as in the calls below.
                    let block = unsafe { (&buddy).grow(block.cast(), none, some) }.unwrap();
                    fill(block, 1);
                    // SAFETY: as above.
                    let block = unsafe { (&buddy).shrink(block.cast(), some, none) }.unwrap();
                    assert_eq!(block.len(), 0);
                    // SAFETY: as above.
                    unsafe { (&buddy).deallocate(block.cast(), none) };
                    assert_empty(buddy);
                }

                pub(super) fn growing_keeps_the_bytes<H: Kind>() {
                    let buddy = H::buddy();
                    let (mut old, mut size) = (layout(10, 8), 10);
                    let mut block = (&buddy).allocate(old).unwrap();
                    for (round, align) in [8, 1, 256, 16, 4096, 8].into_iter().enumerate() {
                        let value = round as u8 + 1;
                        fill(block, value);
                        let new = layout(size * 3, align);
                        // SAFETY: allocated with the old layout.
                        block = unsafe { (&buddy).grow(block.cast(), old, new) }.unwrap();
                        assert!(block.len() >= new.size());
                        assert_eq!(block.cast::<u8>().addr().get() % align, 0);
                        assert!(holds(block, 0..size, value));
                        (old, size) = (new, size * 3);
                    }
                    // SAFETY: allocated with that layout.
                    unsafe { (&buddy).deallocate(block.cast(), old) };
                    assert_empty(buddy);
                }

                pub(super) fn growing_zeroed_clears_what_is_new<H: Kind>() {
                    let buddy = H::buddy();
                    // Something to clear, wherever the block will lie.
                    let mut used = std::vec::Vec::new();
                    for size in (4..20).rev().map(|order| 1 << order) {
                        while let Ok(block) = (&buddy).allocate(layout(size, 1)) {
                            fill(block, 0xff);
                            used.push((block.cast(), layout(size, 1)));
                        }
                    }
                    for (block, layout) in used {
                        // SAFETY: allocated with this layout.
                        unsafe { (&buddy).deallocate(block, layout) };
                    }

                    let (old, new) = (layout(10, 8), layout(9000, 8));
                    let block = (&buddy).allocate(old).unwrap();
                    fill(block, 7);
                    // SAFETY: allocated with the old layout.
                    let block = unsafe { (&buddy).grow_zeroed(block.cast(), old, new) }.unwrap();
                    assert!(holds(block, 0..10, 7));
                    assert!(holds(block, 10..9000, 0));
                    // SAFETY: allocated with that layout.
                    unsafe { (&buddy).deallocate(block.cast(), new) };
                    assert_empty(buddy);
                }

                pub(super) fn shrinking_keeps_the_bytes_and_gives_the_rest_back<H: Kind>() {
                    let buddy = H::buddy();
                    let (old, new) = (layout(900_000, 8), layout(1000, 512));
                    let block = (&buddy).allocate(old).unwrap();
                    fill(block, 9);
                    assert!((&buddy).allocate(old).is_err());
                    // SAFETY: allocated with the old layout.
                    let block = unsafe { (&buddy).shrink(block.cast(), old, new) }.unwrap();
                    assert!(holds(block, 0..1000, 9));
                    assert_eq!(block.cast::<u8>().addr().get() % 512, 0);
                    let half = layout(400_000, 8);
                    let other = (&buddy).allocate(half).unwrap();
                    // SAFETY: each allocated with its layout.
                    unsafe { (&buddy).deallocate(other.cast(), half) };
                    // SAFETY: as above.
                    unsafe { (&buddy).deallocate(block.cast(), new) };
                    assert_empty(buddy);
                }

                pub(super) fn a_refused_call_leaves_the_block_as_it_was<H: Kind>() {
                    let buddy = H::buddy();
                    let old = layout(3000, 8);
                    let block = (&buddy).allocate(old).unwrap();
                    fill(block, 3);
                    for new in [layout(2 << 20, 8), layout(isize::MAX as usize - 7, 8)] {
                        assert!((&buddy).allocate(new).is_err());
                        assert!((&buddy).allocate_zeroed(new).is_err());
                        // SAFETY: allocated with the old layout.
                        assert!(unsafe { (&buddy).grow(block.cast(), old, new) }.is_err());
                        // SAFETY: as above.
                        assert!(unsafe { (&buddy).grow_zeroed(block.cast(), old, new) }.is_err());
                    }
                    let far = layout(8, 1 << 30);
                    // SAFETY: as above.
                    assert!(unsafe { (&buddy).shrink(block.cast(), old, far) }.is_err());
                    assert!(holds(block, 0..3000, 3));
                    // SAFETY: as above.
                    unsafe { (&buddy).deallocate(block.cast(), old) };
                    assert_empty(buddy);
                }

                pub(super) fn a_vec_grows_in_place_where_memory_behind_it_is_free<H: Kind>() {
                    let buddy = H::buddy();
                    // The first half of the heap, of which all but the beginning is given back.
                    let mut bytes = Vec::with_capacity_in(500_000, &buddy);
                    let start = bytes.as_ptr();
                    bytes.resize(1000, 1_u8);
                    bytes.shrink_to_fit();
                    assert_eq!(bytes.as_ptr(), start);
                    bytes.resize(400_000, 1);
                    assert_eq!(bytes.as_ptr(), start);
                    assert!(bytes.iter().all(|byte| *byte == 1));
                    drop(bytes);
                    assert_empty(buddy);
                }

                pub(super) fn a_vec_and_a_box_come_and_go<H: Kind>() {
                    let buddy = H::buddy();
                    let mut numbers = Vec::new_in(&buddy);
                    numbers.extend((0..1000).map(|number| Box::new_in(number, &buddy)));
                    let copy = numbers.clone();
                    numbers.retain(|number| **number % 2 == 0);
                    numbers.shrink_to_fit();
                    assert_eq!(numbers.iter().map(|number| **number).sum::<u32>(), 249_500);
                    assert_eq!(copy.len(), 1000);
                    assert!(numbers.try_reserve(REFUSED).is_err());
                    assert_eq!(**numbers.last().unwrap(), 998);
                    drop((numbers, copy));
                    assert_empty(buddy);
                }
            }
        }
    };
}

/// More boxes than a heap has room for.
const REFUSED: usize = REGION;

#[cfg(feature = "allocator-api2-02")]
version!(v02, buddy_alloc_api::allocator_api2);
#[cfg(feature = "allocator-api2-03")]
version!(v03, allocator_api2_03);
#[cfg(feature = "allocator-api2-04")]
version!(v04, allocator_api2_04);
#[cfg(feature = "nightly")]
version!(core_trait, std);

#[cfg(all(
    feature = "allocator-api2-02",
    feature = "allocator-api2-03",
    feature = "allocator-api2-04"
))]
#[test]
fn one_heap_serves_collections_of_all_versions_at_once() {
    let buddy = LockFree::buddy();
    let mut second = allocator_api2_02::vec::Vec::new_in(&buddy);
    let mut third = allocator_api2_03::vec::Vec::new_in(&buddy);
    let mut fourth = allocator_api2_04::vec::Vec::new_in(&buddy);
    for number in 0..5000_u64 {
        second.push(number);
        third.push(number);
        fourth.push(number);
    }
    assert!(second.iter().eq(third.iter()) && third.iter().eq(fourth.iter()));
    drop((second, third, fourth));
    assert_empty(buddy);
}

#[cfg(feature = "nightly")]
#[test]
fn the_standard_library_s_own_collections_take_a_heap() {
    use std::collections::{BinaryHeap, VecDeque};
    use std::rc::Rc;

    let buddy = Single::buddy();
    let shared = Rc::new_in([1_u64; 100], &buddy);
    let mut queue = VecDeque::new_in(&buddy);
    queue.extend(0..1000);
    let mut heap = BinaryHeap::new_in(&buddy);
    heap.extend(queue.drain(500..));
    assert_eq!((heap.pop(), queue.len(), Rc::clone(&shared)[99]), (Some(999), 500, 1));
    drop((shared, queue, heap));
    assert_empty(buddy);
}
