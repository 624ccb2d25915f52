//! `BuddyAllocator`: the founding interface, moves, sizes, zeros, threads.

#![cfg(feature = "alloc")]

use buddy_core::BuddyAllocator;
use buddy_core::heap::{AllocError, FreeError};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::error::Error;
use std::ptr::NonNull;

/// The system allocator, counting the bytes that each thread has.
struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get().wrapping_add(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get().wrapping_add(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_dropped_heap_gives_all_its_memory_back() {
    let before = BYTES.get();
    let heap = BuddyAllocator::<100_000, 32>::new(false);
    heap.alloc_bytes(5000).unwrap();
    assert!((100_000..110_000).contains(&BYTES.get().wrapping_sub(before)));
    drop(heap);
    assert_eq!(BYTES.get(), before);
}

#[test]
fn the_founding_interface_works_as_written() -> Result<(), Box<dyn Error>> {
    let mut heap = BuddyAllocator::<4096, 16>::new(true);
    let bytes = heap.alloc_bytes(100)?;
    heap.free_nonnull(bytes)?;
    let slot = heap.alloc::<[u64; 4]>()?.as_ptr();
    // SAFETY: the slot is aligned, has room for the array and is not shared.
    unsafe { slot.write([1, 2, 3, 4]) };
    // SAFETY: just written.
    assert_eq!(unsafe { slot.read() }, [1, 2, 3, 4]);
    assert_eq!(heap.heap_size(), 4096);
    assert_eq!(heap.total_free() + heap.total_allocated(), 4096);
    heap.free(slot)?;
    assert_eq!((heap.total_free(), heap.total_allocated()), (4096, 0));

    heap.alloc_bytes(1000)?;
    // SAFETY: no block is used.
    unsafe { heap.free_all() };
    assert_eq!((heap.total_free(), heap.total_allocated()), (4096, 0));
    heap.validate()?;
    Ok(())
}

/// Fills a heap, whatever its parameters.
fn check_size<const HEAP: usize, const MIN_BLOCK: usize>() {
    let mut heap = BuddyAllocator::<HEAP, MIN_BLOCK>::new(false);
    assert_eq!((heap.heap_size(), heap.total_free()), (HEAP, HEAP));
    if HEAP.is_power_of_two() {
        let whole = heap.alloc_bytes(HEAP).unwrap();
        assert_eq!(whole.addr().get() % HEAP.min(4096), 0);
        assert!(matches!(heap.alloc_bytes(1), Err(AllocError::OutOfMemory { .. })));
        heap.free_nonnull(whole).unwrap();
    }
    let mut taken = 0;
    while let Ok(block) = heap.alloc_bytes(1) {
        assert_eq!(block.addr().get() % MIN_BLOCK, 0);
        // SAFETY: a block of at least `MIN_BLOCK` bytes.
        unsafe { block.write_bytes(0xFF, MIN_BLOCK) };
        taken += MIN_BLOCK;
    }
    assert_eq!((taken, heap.total_free()), (HEAP, 0));
    heap.validate().unwrap();
    // SAFETY: no block is used.
    unsafe { heap.free_all() };
    assert_eq!(heap.total_free(), HEAP);
    heap.validate().unwrap();
}

#[test]
fn every_byte_of_any_size_can_be_had() {
    check_size::<8, 8>();
    check_size::<24, 8>();
    check_size::<48, 16>();
    check_size::<4096, 4096>();
    check_size::<{ 3 * 8192 }, 8192>();
    check_size::<5040, 16>();
    check_size::<{ 1 << 20 }, 32>();
    check_size::<{ (1 << 20) + (1 << 16) }, { 1 << 16 }>();
}

#[test]
fn powers_of_two_are_aligned_to_their_size_up_to_a_page() {
    let heap = BuddyAllocator::<{ 1 << 20 }, 16>::new(false);
    for shift in 4..=16 {
        heap.alloc_bytes(16).unwrap();
        let block = heap.alloc_bytes(1 << shift).unwrap();
        assert_eq!(block.addr().get() % (1 << shift).min(4096), 0);
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_gib_heap_needs_neither_stack_nor_touched_memory() {
    let before = resident_pages();
    for zeroed in [false, true] {
        let heap = BuddyAllocator::<{ 1 << 30 }, 16>::new(zeroed);
        let blocks = [100, 1 << 20, 1 << 29].map(|size| heap.alloc_bytes(size).unwrap());
        for block in blocks {
            heap.free_nonnull(block).unwrap();
        }
        let whole = heap.alloc_bytes(1 << 30).unwrap();
        // SAFETY: inside the block.
        let last = unsafe { whole.add((1 << 30) - 1) };
        // SAFETY: the block's last byte.
        unsafe { last.write(1) };
        heap.free_nonnull(whole).unwrap();
        if let (Some(before), Some(now)) = (before, resident_pages()) {
            assert!(now < before + 4096, "{before} pages were resident, now {now}");
        }
    }
}

/// The process's resident pages, where the system tells.
#[cfg(target_pointer_width = "64")]
fn resident_pages() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn moving_the_heap_moves_no_block() {
    let heap = BuddyAllocator::<65536, 16>::new(true);
    let block = heap.alloc::<[u8; 1000]>().unwrap();
    // SAFETY: a block of that type.
    unsafe { block.write([9; 1000]) };
    let boxed = Box::new(heap);
    let mut many = vec![*boxed];
    many.push(BuddyAllocator::new(true));
    many.swap(0, 1);
    // SAFETY: still allocated, and written before.
    assert_eq!(unsafe { block.read() }, [9; 1000]);
    many[1].free_nonnull(block).unwrap();
    assert_eq!(
        many[0].free_nonnull(block),
        Err(FreeError::OutOfBounds { address: block.addr().get() })
    );
}

#[test]
fn a_zeroed_heap_starts_with_zeros() {
    let heap = BuddyAllocator::<{ 1 << 18 }, 64>::new(true);
    let block = heap.alloc_bytes(1 << 18).unwrap();
    // SAFETY: all of a block that is initialised, with zeros.
    let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), 1 << 18) };
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn a_heap_can_be_sent_to_another_thread() {
    let heap = BuddyAllocator::<4096, 16>::new(false);
    let block = heap.alloc::<u64>().unwrap();
    // SAFETY: a block of that type.
    unsafe { block.write(1234) };
    let address = block.as_ptr().expose_provenance();
    let heap = std::thread::spawn(move || {
        let block = NonNull::new(std::ptr::with_exposed_provenance_mut::<u64>(address)).unwrap();
        // SAFETY: the block of the heap that came along, written before.
        assert_eq!(unsafe { block.read() }, 1234);
        heap.free_nonnull(block).unwrap();
        heap
    })
    .join()
    .unwrap();
    assert_eq!(heap.total_allocated(), 0);
}

#[test]
fn types_of_size_0_take_nothing() {
    #[repr(align(256))]
    struct Marker;
    let heap = BuddyAllocator::<4096, 16>::new(false);
    let marker = heap.alloc::<Marker>().unwrap();
    assert!(marker.is_aligned());
    assert_eq!(heap.total_allocated(), 0);
    heap.free_nonnull(marker).unwrap();
    heap.free(marker.as_ptr()).unwrap();
    // A block is a block, by whatever type its pointer goes.
    let block = heap.alloc_bytes(16).unwrap();
    heap.free_nonnull(block.cast::<()>()).unwrap();
    assert_eq!(heap.total_allocated(), 0);
    assert!(matches!(heap.free_nonnull(block.cast::<()>()), Err(FreeError::AlreadyFree { .. })));
}

#[test]
fn typed_blocks_are_aligned_for_their_type() {
    #[repr(align(2048))]
    struct Wide([u8; 10]);
    let heap = BuddyAllocator::<{ 1 << 16 }, 8>::new(false);
    for _ in 0..5 {
        heap.alloc_bytes(8).unwrap();
        let wide = heap.alloc::<Wide>().unwrap();
        assert!(wide.is_aligned());
        // SAFETY: a block of that type.
        unsafe { wide.write(Wide([1; 10])) };
        // SAFETY: just written.
        assert_eq!(unsafe { wide.read() }.0, [1; 10]);
    }
}

#[test]
fn impossible_requests_are_errors() {
    let heap = BuddyAllocator::<4096, 16>::new(false);
    assert_eq!(heap.alloc_bytes(0), Err(AllocError::ZeroSize));
    for requested in [4097, 1 << 20, isize::MAX as usize, isize::MAX as usize + 1, usize::MAX] {
        let refused = AllocError::TooLarge { requested, heap: 4096 };
        assert_eq!(heap.alloc_bytes(requested), Err(refused));
    }
    assert!(matches!(heap.alloc::<[u8; 5000]>(), Err(AllocError::TooLarge { .. })));
}

#[test]
fn null_is_not_freed() {
    let heap = BuddyAllocator::<4096, 16>::new(false);
    assert_eq!(heap.free(std::ptr::null_mut::<u8>()), Err(FreeError::Null));
    assert_eq!(heap.free(std::ptr::null_mut::<()>()), Err(FreeError::Null));
}

#[cfg(target_pointer_width = "64")]
#[test]
fn memory_that_cannot_be_had_builds_no_heap() {
    use buddy_core::heap::BuildError;
    let built = BuddyAllocator::<{ 1 << 60 }, 4096>::try_new(true);
    // Four bits of metadata for each of 2^48 blocks, and a little more.
    let needed = (1 << 60) + (1 << 47)..(1 << 60) + (1 << 47) * 11 / 10;
    assert!(matches!(built, Err(BuildError::NoMemory { bytes }) if needed.contains(&bytes)));
}
