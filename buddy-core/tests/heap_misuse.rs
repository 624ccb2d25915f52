//! Everything that a heap refuses, with a check that nothing has changed.

use buddy_core::heap::{AllocError, Block, BuildError, FreeError, RegionError, ZeroedWord};
use buddy_core::{Atomic, Heap, Lazy, Plain, Plain32, Statistics, tree};
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

type TestHeap<'a> = Heap<&'a mut [Plain], 16>;

/// 64 KiB that start at a multiple of 64 KiB.
struct Memory(Box<[MaybeUninit<u8>]>);

impl Memory {
    fn new() -> Self {
        Self(vec![MaybeUninit::uninit(); 2 << 16].into())
    }

    fn slice(&mut self) -> &mut [MaybeUninit<u8>] {
        let skipped = self.0.as_ptr().addr().wrapping_neg() % (1 << 16);
        &mut self.0[skipped..][..1 << 16]
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn snapshot(heap: &TestHeap<'_>) -> (Statistics, Vec<Block>) {
    heap.validate().unwrap();
    (heap.statistics(), heap.walk().collect())
}

/// Runs `call` on a heap with some blocks; it must leave everything as it was.
fn unchanged<T>(call: impl FnOnce(&TestHeap<'_>, NonNull<u8>) -> T) -> T {
    let mut memory = Memory::new();
    let heap = Heap::from_region(&mut memory.slice()[..40_000]).unwrap();
    let sizes = [16, 80, 1000, 16, 5000];
    let blocks: Vec<_> = sizes.map(|size| heap.allocate(layout(size, 8)).unwrap()).into();
    // SAFETY: the block is not used.
    unsafe { heap.deallocate(blocks[3].cast(), layout(16, 8)) }.unwrap();
    // The third block: 1024 bytes.
    let block = blocks[2].cast();
    // SAFETY: the block has that many bytes.
    unsafe { block.write_bytes(7, 1000) };
    let before = snapshot(&heap);
    let answer = call(&heap, block);
    assert_eq!(snapshot(&heap), before);
    // SAFETY: written before.
    let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), 1000) };
    assert!(bytes.iter().all(|byte| *byte == 7));
    answer
}

fn at(ptr: NonNull<u8>, offset: isize) -> NonNull<u8> {
    NonNull::new(ptr.as_ptr().wrapping_offset(offset)).unwrap()
}

#[test]
fn more_than_the_heap_has_is_too_large() {
    for size in [40_000, 1 << 20, isize::MAX as usize] {
        unchanged(|heap, _| {
            let refused = AllocError::TooLarge { requested: size, heap: heap.size() };
            assert_eq!(heap.allocate(layout(size, 1)), Err(refused));
            assert_eq!(heap.allocate_zeroed(layout(size, 1)), Err(refused));
        });
    }
}

#[test]
fn a_full_heap_tells_its_largest_free_block() {
    unchanged(|heap, _| {
        let largest_free = heap.walk().filter(|block| !block.used).map(|b| b.bytes).max().unwrap();
        let refused = AllocError::OutOfMemory { requested: 30_000, largest_free };
        assert_eq!(heap.allocate(layout(30_000, 1)), Err(refused));
    });
}

#[test]
fn alignment_without_a_place_is_not_served() {
    unchanged(|heap, _| {
        // How much the first leaf has is up to where the memory is.
        let requested = 1 << (usize::BITS - 2);
        let answer = heap.allocate(layout(16, requested));
        let Err(AllocError::Alignment { requested: told, served }) = answer else {
            panic!("{answer:?}");
        };
        assert!(told == requested && served < requested && served >= 1 << 16);
        assert!(heap.allocate(layout(10_000, served)).is_err());
    });
}

#[test]
fn alignment_is_refused_by_the_size_it_is_asked_for() {
    let mut memory = Memory::new();
    // One multiple of 4096, with 2064 bytes and then the metadata behind it.
    let heap: TestHeap<'_> = Heap::from_region(&mut memory.slice()[16..6160]).unwrap();
    let before = snapshot(&heap);
    let refused = AllocError::Alignment { requested: 4096, served: 2048 };
    assert_eq!(heap.allocate(layout(3000, 4096)), Err(refused));
    assert_eq!(snapshot(&heap), before);
    assert!(heap.allocate(layout(1000, 4096)).is_ok());
}

#[test]
fn a_zero_sized_request_takes_nothing() {
    unchanged(|heap, _| {
        for align in [1, 16, 1 << 20] {
            let empty = layout(0, align);
            let block = heap.allocate(empty).unwrap();
            assert_eq!((block.len(), block.cast::<u8>().addr().get()), (0, align));
            // SAFETY: the block has no bytes.
            assert_eq!(unsafe { heap.deallocate(block.cast(), empty) }, Ok(()));
            // SAFETY: the block has no bytes.
            let same = unsafe { heap.grow(block.cast(), empty, layout(0, 4)) }.unwrap();
            assert_eq!((same.len(), same.cast::<u8>().addr().get()), (0, 4));
        }
    });
}

/// What each call that takes a block says of a pointer that is none.
fn check_no_block(heap: &TestHeap<'_>, ptr: NonNull<u8>, size: usize, error: FreeError) {
    let old = layout(size, 1);
    assert_eq!(heap.usable_size(ptr), Err(error));
    // SAFETY: refused.
    assert_eq!(unsafe { heap.free(ptr) }, Err(error));
    check_wrong_layout(heap, ptr, old, error);
}

fn check_wrong_layout(heap: &TestHeap<'_>, ptr: NonNull<u8>, old: Layout, error: FreeError) {
    // SAFETY: refused.
    assert_eq!(unsafe { heap.deallocate(ptr, old) }, Err(error));
    for new in [1, 8, 1024, 4000, 1 << 30].map(|size| layout(size, 1)) {
        // SAFETY: refused.
        assert_eq!(unsafe { heap.grow(ptr, old, new) }, Err(AllocError::Block(error)));
        // SAFETY: refused.
        assert_eq!(unsafe { heap.grow_zeroed(ptr, old, new) }, Err(AllocError::Block(error)));
        // SAFETY: refused.
        assert_eq!(unsafe { heap.shrink(ptr, old, new) }, Err(AllocError::Block(error)));
        let aligned = layout(new.size(), 1 << (usize::BITS - 2));
        // SAFETY: refused.
        assert_eq!(unsafe { heap.grow(ptr, old, aligned) }, Err(AllocError::Block(error)));
    }
    // SAFETY: refused.
    assert_eq!(unsafe { heap.shrink(ptr, old, layout(0, 1)) }, Err(AllocError::Block(error)));
}

#[test]
fn foreign_pointers_are_out_of_bounds() {
    unchanged(|heap, _| {
        let start = heap.walk().next().unwrap().start;
        let (mut local, past) = (0_u8, isize::try_from(heap.size()).unwrap());
        let foreign = [
            at(start, -1),
            at(start, -16),
            at(start, past),
            NonNull::from(&mut local),
            NonNull::dangling(),
        ];
        for ptr in foreign {
            check_no_block(heap, ptr, 16, FreeError::OutOfBounds { address: ptr.addr().get() });
            assert!(!heap.contains(ptr));
        }
    });
}

/// Where such a leaf's slab would be there are words of other orders, some of them slabs with the same mark.
#[test]
fn pointers_behind_the_region_are_no_slots() {
    let mut memory = vec![MaybeUninit::uninit(); 1 << 22];
    let start: NonNull<u8> = NonNull::from(memory.as_mut_slice()).cast();
    let heap: Heap<&mut [Plain], 16, Lazy, 1> = Heap::from_region(&mut memory).unwrap();
    for round in 0..40 {
        for leaves in [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 64] {
            if leaves <= 16 || round < 16 {
                heap.allocate(layout(leaves * 16, 8)).unwrap();
            }
        }
    }
    let before = (heap.statistics(), heap.walk().count());
    for address in (1_usize << 22..5 << 21).step_by(16) {
        let foreign = NonNull::new(start.as_ptr().wrapping_add(address)).unwrap();
        for size in [16, 32, 48, 64, 80, 112] {
            // SAFETY: not one of them is freed.
            let error = unsafe { heap.deallocate(foreign, layout(size, 8)) }.unwrap_err();
            let address = foreign.addr().get();
            assert_eq!(error, FreeError::OutOfBounds { address }, "{size}");
        }
    }
    assert_eq!((heap.statistics(), heap.walk().count()), before);
    heap.validate().unwrap();
}

fn check_addresses_that_are_nowhere<W: ZeroedWord>() {
    let mut memory = vec![MaybeUninit::uninit(); 1 << 22];
    let heap: Heap<&mut [W], 16, Lazy, 1> = Heap::from_region(&mut memory).unwrap();
    let addresses = [1, 15, 16, 1 << (usize::BITS - 1), usize::MAX >> 1, u32::MAX as usize];
    let addresses = addresses.into_iter().chain((0..100).map(|below| usize::MAX - below));
    for address in addresses {
        let nowhere = NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        for size in [16, 64, 80, 1024, 4096, 16384, 65536] {
            let held = heap.allocate(layout(size, 8)).unwrap();
            let before = heap.statistics();
            // SAFETY: nothing is freed.
            let error = unsafe { heap.deallocate(nowhere, layout(size, 8)) };
            assert_eq!(error, Err(FreeError::OutOfBounds { address }), "{size}");
            assert_eq!(heap.statistics(), before);
            // SAFETY: the block is not used.
            unsafe { heap.deallocate(held.cast(), layout(size, 8)).unwrap() };
            // SAFETY: nothing is freed.
            let error = unsafe { heap.deallocate(nowhere, layout(size, 8)) };
            assert_eq!(error, Err(FreeError::OutOfBounds { address }), "{size}");
        }
    }
}

/// Not even what stands for no block where freed ones rest.
#[test]
fn addresses_that_are_nowhere_are_out_of_bounds() {
    check_addresses_that_are_nowhere::<Plain>();
    check_addresses_that_are_nowhere::<Plain32>();
    check_addresses_that_are_nowhere::<Atomic>();
}

#[test]
fn a_pointer_into_a_block_is_not_its_start() {
    for offset in [1, 8, 15, 16, 512, 1008, 1023] {
        unchanged(|heap, block| {
            let ptr = at(block, offset);
            let (address, start) = (ptr.addr().get(), block.addr().get());
            check_no_block(heap, ptr, 16, FreeError::NotStart { address, block: start });
            assert!(heap.contains(ptr));
        });
    }
}

#[test]
fn free_memory_is_not_freed_again() {
    for offset in [0, 1, 16, 100] {
        unchanged(|heap, _| {
            let free = heap.walk().filter(|block| !block.used).max_by_key(|b| b.bytes).unwrap();
            let ptr = at(free.start, offset);
            check_no_block(heap, ptr, 16, FreeError::AlreadyFree { address: ptr.addr().get() });
        });
    }
}

#[test]
fn a_double_free_is_found_whatever_was_freed_in_between() {
    let mut memory = Memory::new();
    let heap: TestHeap<'_> = Heap::from_region(memory.slice()).unwrap();
    let size = layout(48, 8);
    let blocks: Vec<NonNull<u8>> = (0..64).map(|_| heap.allocate(size).unwrap().cast()).collect();
    for block in &blocks {
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(*block, size) }.unwrap();
        let before = snapshot(&heap);
        let error = FreeError::AlreadyFree { address: block.addr().get() };
        check_no_block(&heap, *block, 48, error);
        assert_eq!(snapshot(&heap), before);
    }
}

#[test]
fn another_size_than_the_blocks_is_wrong() {
    for given in [1, 16, 512, 768, 896, 1025, 2048, 30_000, isize::MAX as usize] {
        unchanged(|heap, block| {
            let error = FreeError::WrongSize { address: block.addr().get(), given, actual: 1024 };
            check_wrong_layout(heap, block, layout(given, 1), error);
        });
    }
}

#[test]
fn a_block_that_cannot_grow_stays_whole() {
    unchanged(|heap, block| {
        let (old, new) = (layout(1000, 8), layout(36_000, 8));
        // SAFETY: on success the old block would not be used any more.
        let answer = unsafe { heap.grow(block, old, new) };
        assert!(matches!(answer, Err(AllocError::OutOfMemory { requested: 36_000, .. })));
        // SAFETY: as above.
        let answer = unsafe { heap.grow_zeroed(block, old, layout(1 << 30, 8)) };
        assert!(matches!(answer, Err(AllocError::TooLarge { requested: 0x4000_0000, .. })));
        // SAFETY: as above.
        let answer = unsafe { heap.shrink(block, old, layout(10, 1 << (usize::BITS - 2))) };
        assert!(matches!(answer, Err(AllocError::Alignment { .. })));
    });
}

#[test]
fn a_region_without_room_for_a_block_builds_no_heap() {
    let mut memory = Memory::new();
    // The metadata's header alone is larger, at twice as many bits a word twice as large.
    for len in 0..25 * size_of::<usize>() {
        let region = &mut memory.slice()[1..][..len];
        let answer = Heap::<&mut [Plain], 64>::from_region(region).map(drop);
        assert_eq!(answer, Err(BuildError::TooSmall { bytes: len }));
    }
    let mut words: Vec<Plain32> = (0..100).map(|_| Plain32::zero()).collect();
    for len in 0..127 {
        let region = &mut memory.slice()[1..][..len];
        let answer = Heap::<_, 64>::with_metadata(words.as_mut_slice(), region);
        let answer: Result<Heap<&mut [Plain32], 64>, _> = answer;
        assert_eq!(answer.map(drop), Err(BuildError::TooSmall { bytes: len }));
    }
}

#[test]
fn metadata_that_is_too_short_builds_no_heap() {
    let mut memory = Memory::new();
    let needed = Heap::<&mut [Plain], 16>::metadata_words(1 << 16);
    for given in [0, 1, 20, needed / 2] {
        let mut words: Vec<Plain> = (0..given).map(|_| Plain::zero()).collect();
        let built: Result<TestHeap<'_>, _> = Heap::with_metadata(&mut words, memory.slice());
        let Err(BuildError::Metadata(tree::BuildError::Storage { needed: told, given: had })) =
            built.map(drop)
        else {
            panic!("{given} words were enough");
        };
        assert!(had == given && told > given && told <= needed);
    }
    let built: Result<Heap<[Plain; 3], 16>, _> = Heap::new([const { Plain::zero() }; 3]);
    assert!(matches!(built, Err(BuildError::Metadata(_))));
}

fn added(heap: &mut TestHeap<'_>, ptr: NonNull<u8>, len: usize) -> Result<usize, RegionError> {
    // SAFETY: only ranges of the test's memory that nobody else uses, or that are refused.
    unsafe { heap.add_raw(ptr, len) }
}

#[test]
fn regions_that_do_not_fit_are_not_added() {
    let mut memory = Memory::new();
    let start = NonNull::from(memory.slice()).cast::<u8>();
    let mut empty: TestHeap<'_> = Heap::empty();
    assert_eq!(added(&mut empty, start, 4096), Err(RegionError::NoMetadata));

    let mut words: Vec<Plain> = (0..200).map(|_| Plain::zero()).collect();
    let mut heap: TestHeap<'_> = Heap::new(words.as_mut_slice()).unwrap();
    assert_eq!(added(&mut heap, start, 15), Err(RegionError::TooSmall { bytes: 15 }));
    assert_eq!(added(&mut heap, at(start, 1), 30), Err(RegionError::TooSmall { bytes: 30 }));
    assert!(matches!(
        added(&mut heap, start, 1 << 16),
        Err(RegionError::Capacity { needed: 0x10000, available }) if available < 0x10000
    ));
    assert_eq!(heap.size(), 0);
    for piece in [0, 200, 400, 600] {
        assert_eq!(
            added(&mut heap, at(start, piece), 100),
            Ok(if piece % 16 == 0 { 96 } else { 80 })
        );
    }
    let before = snapshot(&heap);
    let limit = RegionError::TooMany { limit: 4 };
    assert_eq!(added(&mut heap, at(start, 800), 100), Err(limit));
    let region = start.addr().get() + 208;
    for (piece, len) in [(208, 1), (150, 60), (298, 10), (100, 200)] {
        let overlap = RegionError::Overlap { region };
        assert_eq!(added(&mut heap, at(start, piece), len), Err(overlap));
    }
    // Directly behind the last region, but longer than the metadata.
    assert!(matches!(added(&mut heap, at(start, 700), 60_000), Err(RegionError::Capacity { .. })));
    assert_eq!(snapshot(&heap), before);
}

#[test]
fn a_heap_without_memory_refuses_everything() {
    let heap: TestHeap<'_> = Heap::empty();
    let refused = AllocError::OutOfMemory { requested: 8, largest_free: 0 };
    assert_eq!(heap.allocate(layout(8, 8)), Err(refused));
    assert_eq!(heap.allocate(layout(8, 1 << 20)), Err(refused));
    let ptr = NonNull::dangling();
    check_no_block(&heap, ptr, 8, FreeError::OutOfBounds { address: ptr.addr().get() });
    assert_eq!((heap.size(), heap.total_free(), heap.total_allocated()), (0, 0, 0));
    assert_eq!((heap.walk().count(), heap.statistics().total()), (0, 0));
    heap.settle();
    heap.validate().unwrap();
}

#[test]
fn errors_say_what_was_asked() {
    let largest_free = 512;
    assert_eq!(
        AllocError::OutOfMemory { requested: 1000, largest_free }.to_string(),
        "no room for 1000 bytes: the largest free block has 512"
    );
    assert_eq!(
        AllocError::from(FreeError::AlreadyFree { address: 0x1000 }).to_string(),
        "cannot resize: 0x1000 is free already"
    );
}

#[test]
fn a_request_for_the_whole_heap_is_not_too_large() {
    let mut memory = Memory::new();
    let heap: TestHeap<'_> = Heap::from_region(memory.slice()).unwrap();
    heap.allocate(Layout::new::<u8>()).unwrap();
    let (size, largest) = (heap.size(), heap.statistics().largest_free() * 16);
    let refused = |requested| heap.allocate(Layout::from_size_align(requested, 1).unwrap()).err();
    let short = AllocError::OutOfMemory { requested: size, largest_free: largest };
    assert_eq!(refused(size), Some(short));
    assert_eq!(refused(size + 1), Some(AllocError::TooLarge { requested: size + 1, heap: size }));
}
