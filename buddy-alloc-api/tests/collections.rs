//! Collections on a heap: they work, grow in place, fail whole, and give everything back.

#![cfg_attr(feature = "nightly", feature(allocator_api))]

use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::boxed::Box;
use buddy_alloc_api::allocator_api2::vec::Vec;
use buddy_core::{BuddyAllocator, Heap, Plain};
use core::mem::MaybeUninit;
use core::pin::Pin;
use hashbrown::{HashMap, HashSet};
use std::collections::hash_map::RandomState;

type Owned = Buddy<BuddyAllocator<{ 1 << 20 }, 16>>;

fn owned() -> Owned {
    Buddy::new(BuddyAllocator::new(false))
}

/// All blocks are free again, and the tree is whole.
fn assert_empty(buddy: &Owned) {
    assert_eq!(buddy.heap().total_allocated(), 0);
    buddy.heap().validate().unwrap();
    assert_eq!(buddy.heap().statistics().largest_free(), (1 << 20) / 16);
}

#[test]
fn a_vec_keeps_its_elements_through_growing_and_shrinking() {
    let buddy = owned();
    let mut numbers = Vec::new_in(&buddy);
    for number in 0..10_000_u32 {
        numbers.push(number);
    }
    numbers.truncate(77);
    numbers.shrink_to_fit();
    assert!(numbers.iter().copied().eq(0..77));
    assert!(buddy.heap().total_allocated() < 1024);
    numbers.clear();
    numbers.shrink_to_fit();
    assert_empty(&buddy);
    drop(numbers);
}

#[test]
fn a_box_is_aligned_and_freed() {
    #[repr(align(512))]
    struct Aligned(u8);

    let buddy = owned();
    let boxed = Box::new_in(Aligned(7), &buddy);
    assert_eq!(core::ptr::from_ref(&*boxed).addr() % 512, 0);
    assert_eq!(boxed.0, 7);
    drop(boxed);
    assert_empty(&buddy);
}

#[test]
fn values_of_no_size_take_no_memory() {
    let buddy = owned();
    let mut units = Vec::new_in(&buddy);
    units.resize(1000, ());
    let boxed = Box::new_in((), &buddy);
    assert_empty(&buddy);
    drop((units, boxed));
    assert_empty(&buddy);
}

#[test]
fn a_hash_map_and_a_set_work_side_by_side() {
    let buddy = owned();
    let mut lengths = HashMap::with_hasher_in(RandomState::new(), &buddy);
    let mut odd = HashSet::with_hasher_in(RandomState::new(), &buddy);
    for number in 0..5000_u32 {
        lengths.insert(number, number.to_string().len());
        if number % 2 == 1 {
            odd.insert(number);
        }
    }
    lengths.retain(|number, _| !odd.contains(number));
    lengths.shrink_to_fit();
    assert_eq!((lengths.len(), odd.len()), (2500, 2500));
    assert!(lengths.iter().all(|(number, len)| number.to_string().len() == *len));
    drop((lengths, odd));
    assert_empty(&buddy);
}

#[test]
fn hashbrown_with_its_own_hasher_takes_the_heap() {
    let buddy = owned();
    let mut map = HashMap::new_in(&buddy);
    map.insert("key", 1);
    assert_eq!(map["key"], 1);
    drop(map);
    assert_empty(&buddy);
}

#[test]
fn zeroed_memory_is_zero_though_it_was_used_before() {
    let buddy = owned();
    let mut used = Vec::new_in(&buddy);
    used.resize(1 << 20, 0xff_u8);
    drop(used);
    // SAFETY: zeros are bytes.
    let zeros = unsafe { Box::<[u8], _>::new_zeroed_slice_in(1 << 20, &buddy).assume_init() };
    assert!(zeros.iter().all(|byte| *byte == 0));
}

#[test]
fn a_vec_grows_in_place_while_memory_behind_it_is_free() {
    let buddy = owned();
    let mut bytes = Vec::with_capacity_in(64, &buddy);
    let before = bytes.as_ptr();
    bytes.resize(1 << 20, 1_u8);
    assert_eq!(bytes.as_ptr(), before);
    bytes.truncate(100);
    bytes.shrink_to_fit();
    assert_eq!(bytes.as_ptr(), before);
    assert_eq!(bytes, [1; 100]);
}

#[test]
fn a_vec_moves_where_another_block_is_in_the_way() {
    let buddy = owned();
    let mut bytes = Vec::with_capacity_in(64, &buddy);
    bytes.resize(64, 1_u8);
    let before = bytes.as_ptr();
    let neighbours: [_; 8] = core::array::from_fn(|_| Box::new_in([0_u8; 64], &buddy));
    bytes.resize(4096, 2);
    assert_ne!(bytes.as_ptr(), before);
    assert!(bytes[..64] == [1; 64] && bytes[64..].iter().all(|byte| *byte == 2));
    drop((neighbours, bytes));
    assert_empty(&buddy);
}

#[test]
fn failed_growth_leaves_a_vec_whole() {
    let buddy = owned();
    let mut bytes = Vec::new_in(&buddy);
    bytes.resize(3000, 5_u8);
    for more in [(1 << 20) - 2000, 1 << 20, 1 << 40, usize::MAX / 2, usize::MAX] {
        let (before, allocated) = (bytes.as_ptr(), buddy.heap().total_allocated());
        assert!(bytes.try_reserve_exact(more).is_err());
        assert_eq!((bytes.as_ptr(), buddy.heap().total_allocated()), (before, allocated));
    }
    assert!(bytes.len() == 3000 && bytes.iter().all(|byte| *byte == 5));
    bytes.push(6);
    drop(bytes);
    assert_empty(&buddy);
}

#[test]
fn failed_growth_leaves_a_map_whole() {
    let buddy = owned();
    let mut map = HashMap::new_in(&buddy);
    map.extend((0..1000_u64).map(|number| (number, number + 1)));
    assert!(map.try_reserve(1 << 20).is_err());
    assert!(map.len() == 1000 && (0..1000).all(|number| map[&number] == number + 1));
    drop(map);
    assert_empty(&buddy);
}

#[test]
fn a_borrowed_region_serves_collections_and_comes_back() {
    let mut memory = [const { MaybeUninit::uninit() }; 8192];
    {
        let buddy = Buddy::new(Heap::<&mut [Plain], 16>::from_region(&mut memory).unwrap());
        let mut words = Vec::new_in(&buddy);
        words.extend(["a", "region", "on", "the", "stack"]);
        assert_eq!(words.concat(), "aregiononthestack");
    }
    memory.fill(MaybeUninit::new(0));
}

#[test]
fn the_heap_inside_comes_back_with_what_was_leaked() {
    let buddy = owned();
    Vec::<u8, _>::with_capacity_in(100, &buddy).leak();
    let heap = buddy.into_inner();
    assert_eq!(heap.total_allocated(), 112);
    assert_eq!(heap.heap_size(), 1 << 20);
}

#[test]
fn a_heap_in_a_static_may_pin() {
    let buddy: &'static Owned = std::boxed::Box::leak(std::boxed::Box::new(owned()));
    let pinned: Pin<Box<u8, &Owned>> = Box::into_pin(Box::new_in(3, buddy));
    assert_eq!(*pinned, 3);
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "AlreadyFree"))]
fn a_second_free_in_unsafe_code_does_not_go_unseen() {
    use buddy_alloc_api::allocator_api2::alloc::Allocator;
    use core::alloc::Layout;

    let buddy = owned();
    let layout = Layout::new::<u64>();
    let block = (&buddy).allocate(layout).unwrap().cast();
    // SAFETY: allocated with this layout.
    unsafe { (&buddy).deallocate(block, layout) };
    // SAFETY: this breaks the trait's rule; the heap looks at its tree and refuses.
    unsafe { (&buddy).deallocate(block, layout) };
    assert_eq!(buddy.heap().total_allocated(), 0);
}
