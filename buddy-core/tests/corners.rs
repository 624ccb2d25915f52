//! Calls that no other test makes: of size 0, on heaps without memory, of what is there for comfort.

use buddy_core::frames::{Bootstrap, Frames, MemoryKind, MemoryRange, ZoneStatistics};
use buddy_core::heap::Hardening;
use buddy_core::{AllocError, BuddyAllocator, Constraints, Heap, Lazy, Order, Plain, Tree};
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

#[test]
fn what_has_no_size_is_neither_resized_nor_freed() {
    let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory).unwrap();
    let (none, some) = (Layout::new::<()>(), Layout::new::<[u8; 100]>());
    let block: NonNull<u8> = heap.allocate(some).unwrap().cast();
    let used = heap.total_allocated();
    for (old, new) in [(none, some), (some, none), (none, none)] {
        // SAFETY: nothing happens.
        assert_eq!(unsafe { heap.resize_in_place(block, old, new) }, Ok(None));
    }
    // SAFETY: nothing is freed.
    assert_eq!(unsafe { heap.deallocate_zeroed(NonNull::dangling(), none) }, Ok(()));
    assert_eq!(heap.total_allocated(), used);
}

#[test]
fn a_heap_without_memory_has_no_zeros() {
    let heap: Heap<&mut [Plain], 16> = Heap::empty();
    for requested in [1, 100, 1 << 20] {
        let layout = Layout::from_size_align(requested, 8).unwrap();
        let refused = AllocError::OutOfMemory { requested, largest_free: 0 };
        assert_eq!(heap.allocate_zeroed(layout), Err(refused));
    }
}

#[test]
fn an_owned_heap_has_the_figures_of_its_heap() {
    let heap = BuddyAllocator::<4096, 16>::new(false);
    heap.alloc_bytes(100).unwrap();
    assert_eq!((heap.statistics().used(), heap.statistics().total()), (7, 256));
}

#[test]
fn hardenings_are_equal_if_they_do_the_same() {
    let hardening = Hardening::new(7).guards().random_choice(4);
    assert_eq!(hardening, Hardening::new(7).random_choice(4).guards());
    for other in [
        Hardening::new(8).guards().random_choice(4),
        Hardening::new(7).random_choice(4),
        Hardening::new(7).guards().random_choice(5),
        hardening.zero_on_free(),
        hardening.quarantine(1),
    ] {
        assert_ne!(hardening, other);
    }
}

#[test]
fn no_constraints_are_the_default() {
    let tree: Tree<_> = Tree::new([const { Plain::zero() }; 100], 0..100).unwrap();
    let leaf = tree.allocate_within(1, &Constraints::default()).unwrap();
    assert_eq!(tree.leaves_of(leaf), Ok(1));
    tree.free(leaf).unwrap();
    assert_eq!(tree.allocate_within(1, &Constraints::new()), Ok(leaf));
}

#[test]
fn a_zone_knows_its_peak() {
    let map = [MemoryRange::new(16 << 20, 16 << 20, MemoryKind::Usable)];
    let bootstrap = Bootstrap::new(map);
    let words = bootstrap.metadata_words::<Plain, Lazy, 4096>().unwrap();
    let mut words: Vec<Plain> = (0..words).map(|_| Plain::zero()).collect();
    let frames: Frames<'_, Plain> = bootstrap.build_in(&mut words).unwrap();
    let peak = || frames.statistics().zones().map(ZoneStatistics::peak).max().unwrap();
    assert_eq!(peak(), 0);
    let block = frames.allocate(Order::new(9).unwrap()).unwrap();
    assert_eq!(peak(), 512);
    assert_eq!(frames.free(block), Ok(512));
    assert_eq!(peak(), 512);
}
