//! Free slots of a heap's slabs are free to everybody, and freeing them again is an error.

use buddy_core::heap::ZeroedWord;
use buddy_core::{AllocError, Atomic, Eager, FreeError, Heap, Lazy, Plain, Plain32, Policy};
use std::alloc::Layout;
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

const BYTES: usize = 4 << 20;

type TestHeap<P> = Heap<&'static mut [Plain], 16, P>;

fn heap<P: Policy>() -> TestHeap<P> {
    let memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(BYTES);
    Heap::from_region(Box::leak(memory)).unwrap()
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn allocate<P: Policy>(heap: &TestHeap<P>, size: usize) -> NonNull<u8> {
    heap.allocate(layout(size)).unwrap().cast()
}

fn free<P: Policy>(heap: &TestHeap<P>, block: NonNull<u8>, size: usize) -> Result<(), FreeError> {
    // SAFETY: no test uses a block that it freed.
    unsafe { heap.deallocate(block, layout(size)) }
}

/// Sizes of one piece and of several.
const SIZES: [usize; 7] = [16, 32, 48, 80, 100, 512, 900];

#[test]
fn a_freed_block_is_handed_out_again() {
    let heap = heap::<Lazy>();
    for size in SIZES {
        let _other = allocate(&heap, size);
        let block = allocate(&heap, size);
        free(&heap, block, size).unwrap();
        assert_eq!(allocate(&heap, size), block, "{size}");
    }
}

#[test]
fn a_resting_block_cannot_be_freed_again() {
    let heap = heap::<Lazy>();
    for size in SIZES {
        let block = allocate(&heap, size);
        let used = heap.total_allocated();
        free(&heap, block, size).unwrap();
        let usable = used - heap.total_allocated();
        let already = FreeError::AlreadyFree { address: block.addr().get() };
        for _ in 0..3 {
            assert_eq!(free(&heap, block, size), Err(already));
            // SAFETY: nobody uses the block.
            assert_eq!(unsafe { heap.free(block) }, Err(already));
            assert_eq!(heap.usable_size(block), Err(already));
            assert_eq!(free(&heap, block, size + 2000), Err(already));
        }
        assert_eq!(heap.total_allocated(), used - usable);
        // Only once does it come back.
        assert_eq!(allocate(&heap, size), block);
        assert_ne!(allocate(&heap, size), block);
    }
    heap.validate().unwrap();
}

#[test]
fn a_pointer_into_a_resting_block_is_free_memory() {
    let heap = heap::<Lazy>();
    let block = allocate(&heap, 80);
    // SAFETY: inside the block.
    let inside = unsafe { block.add(32) };
    let address = inside.addr().get();
    let not_start = FreeError::NotStart { address, block: block.addr().get() };
    assert_eq!(free(&heap, inside, 16), Err(not_start));
    free(&heap, block, 80).unwrap();
    assert_eq!(free(&heap, inside, 16), Err(FreeError::AlreadyFree { address }));
}

#[test]
fn a_resting_block_cannot_be_resized() {
    let heap = heap::<Lazy>();
    for size in SIZES {
        let block = allocate(&heap, size);
        free(&heap, block, size).unwrap();
        let error = AllocError::Block(FreeError::AlreadyFree { address: block.addr().get() });
        for new in [1, size, size + 1, 10 * size] {
            // SAFETY: nobody uses the block.
            assert_eq!(unsafe { heap.grow(block, layout(size), layout(new)) }, Err(error));
            let aligned = Layout::from_size_align(new, 1 << 16).unwrap();
            // SAFETY: nobody uses the block.
            assert_eq!(unsafe { heap.shrink(block, layout(size), aligned) }, Err(error));
        }
    }
    assert_eq!(heap.total_allocated(), 0);
}

#[test]
fn resting_blocks_count_as_free_and_are_no_blocks() {
    let heap = heap::<Lazy>();
    let blocks: Vec<_> = SIZES.iter().map(|size| (allocate(&heap, *size), *size)).collect();
    let peak = heap.total_allocated();
    for (block, size) in &blocks {
        free(&heap, *block, *size).unwrap();
    }
    assert_eq!(heap.total_allocated(), 0);
    assert_eq!(heap.total_free(), heap.size());
    assert!(heap.total_resting() >= 16 && heap.total_resting() % 16 == 0);
    heap.settle();
    assert_eq!((heap.total_resting(), heap.total_free()), (0, heap.size()));
    allocate(&heap, 16);
    let statistics = heap.statistics();
    assert_eq!((statistics.used(), statistics.blocks()), (1, 1));
    assert!(statistics.peak() * 16 >= peak);
    assert_eq!(heap.walk().filter(|block| block.used).count(), 1);
}

/// Frees, with every small size, at every place where no block of that size is held: every such call is
/// refused, whatever rows have been stocked, emptied and taken over by other groups.
fn no_place_is_a_block_but_those_held<W: ZeroedWord>() {
    let memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(BYTES);
    let heap: Heap<&mut [W], 16> = Heap::from_region(Box::leak(memory)).unwrap();
    let sizes = [16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256];
    let mut live: HashMap<NonNull<u8>, usize> = HashMap::new();
    let mut random = 0x9E37_79B9_u32;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % limit
    };
    for _ in 0..30 {
        for _ in 0..40 {
            let size = sizes[below(sizes.len())];
            for _ in 0..below(12) {
                let block = heap.allocate(layout(size)).unwrap().cast();
                live.insert(block, size);
            }
        }
        let mut blocks: Vec<_> = live.iter().map(|(block, size)| (*block, *size)).collect();
        blocks.sort_unstable();
        for (block, size) in blocks {
            if below(3) == 0 {
                live.remove(&block);
                // SAFETY: the block is not used.
                unsafe { heap.deallocate(block, layout(size)) }.unwrap();
            }
        }
        let used = heap.total_allocated();
        let places = live.keys().map(|block| block.as_ptr().wrapping_sub(512));
        for place in places.flat_map(|start| (0..64).map(move |leaf| start.wrapping_add(leaf * 16)))
        {
            let place = NonNull::new(place).unwrap();
            for size in sizes.into_iter().filter(|size| live.get(&place) != Some(size)) {
                // SAFETY: refused, or the test ends.
                let freed = unsafe { heap.deallocate(place, layout(size)) };
                assert!(freed.is_err(), "{place:?} {size}");
            }
        }
        assert_eq!(heap.total_allocated(), used);
        heap.validate().unwrap();
    }
    for (block, size) in live {
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block, layout(size)) }.unwrap();
    }
    assert_eq!(heap.total_free(), heap.size());
}

#[test]
fn no_place_is_a_block_but_those_that_are_held() {
    no_place_is_a_block_but_those_held::<Plain>();
    no_place_is_a_block_but_those_held::<Plain32>();
    no_place_is_a_block_but_those_held::<Atomic>();
}

#[test]
fn what_rests_is_never_in_the_way() {
    let heap = heap::<Lazy>();
    let largest = heap.statistics().largest_free() * 16;
    // As many small blocks as there are, freed in an order that leaves all slabs with a free slot.
    let mut blocks = Vec::new();
    while let Ok(block) = heap.allocate(layout(48)) {
        blocks.push(block.cast::<u8>());
    }
    for block in blocks.iter().rev() {
        free(&heap, *block, 48).unwrap();
    }
    let whole = allocate(&heap, largest);
    free(&heap, whole, largest).unwrap();
    let aligned = Layout::from_size_align(largest / 2, 1 << 16).unwrap();
    for block in &blocks[..100] {
        assert!(heap.contains(*block));
        let _small = allocate(&heap, 48);
    }
    // SAFETY: the block is not used.
    unsafe { heap.deallocate(heap.allocate(aligned).unwrap().cast(), aligned) }.unwrap();
    heap.validate().unwrap();
}

#[test]
fn a_block_that_grew_past_its_alignment_is_not_kept_for_aligned_requests() {
    let heap = heap::<Lazy>();
    for _ in 0..40 {
        let small = allocate(&heap, 16);
        // SAFETY: the block is not used under its old pointer.
        let grown = unsafe { heap.grow(small, layout(16), layout(64)) }.unwrap().cast::<u8>();
        free(&heap, grown, 64).unwrap();
        let aligned = Layout::from_size_align(64, 64).unwrap();
        let block = heap.allocate(aligned).unwrap().cast::<u8>();
        assert_eq!(block.addr().get() % 64, 0);
    }
}

#[test]
fn a_slot_that_shrinks_is_moved_only_to_another_size() {
    let heap = heap::<Lazy>();
    for size in SIZES {
        let block = allocate(&heap, size);
        let usable = heap.usable_size(block).unwrap();
        let contents: Vec<u8> = (0..size).map(|at| at as u8).collect();
        // SAFETY: the block has so many bytes, and nobody else uses it.
        unsafe { block.copy_from_nonoverlapping(NonNull::from(&contents[..]).cast(), size) };
        let (old, same) = (layout(usable), layout(size));
        // SAFETY: the block is not used under its old pointer.
        let shrunk = unsafe { heap.shrink(block, old, same) }.unwrap().cast::<u8>();
        assert_eq!(shrunk, block, "{size}");
        let smaller = layout(size.div_ceil(3));
        // SAFETY: as before.
        let shrunk = unsafe { heap.shrink(block, same, smaller) }.unwrap().cast::<u8>();
        // SAFETY: the bytes of the block that were kept.
        let kept = unsafe { std::slice::from_raw_parts(shrunk.as_ptr(), smaller.size()) };
        assert_eq!(kept, &contents[..smaller.size()]);
        free(&heap, shrunk, smaller.size()).unwrap();
    }
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
}

/// Where there is no room for a copy, the slab becomes ordinary blocks, and the block shrinks where it is.
#[test]
fn a_slot_shrinks_in_a_full_heap() {
    let heap = heap::<Lazy>();
    let blocks: Vec<_> = (0..40).map(|_| allocate(&heap, 900)).collect();
    while heap.allocate(layout(1)).is_ok() {}
    for block in &blocks {
        // SAFETY: the block is not used under its old pointer.
        let shrunk = unsafe { heap.shrink(*block, layout(900), layout(100)) }.unwrap();
        let mut filled = 0;
        while heap.allocate(layout(1)).is_ok() {
            filled += 1;
        }
        assert!(filled >= 40 && shrunk.len() == 112, "{filled}");
        free(&heap, shrunk.cast(), 100).unwrap();
        while heap.allocate(layout(1)).is_ok() {}
    }
    heap.validate().unwrap();
}

#[test]
fn an_eager_heap_keeps_nothing_back() {
    let heap = heap::<Eager>();
    let whole = heap.statistics();
    for size in SIZES {
        let block = allocate(&heap, size);
        free(&heap, block, size).unwrap();
        assert!(free(&heap, block, size).is_err());
    }
    assert_eq!(heap.statistics().largest_free(), whole.largest_free());
}

#[test]
fn free_all_forgets_what_rests() {
    let mut heap = heap::<Lazy>();
    let blocks: Vec<_> = (0..50).map(|_| allocate(&heap, 80)).collect();
    for block in &blocks[..25] {
        free(&heap, *block, 80).unwrap();
    }
    // SAFETY: no block is used.
    unsafe { heap.free_all() };
    assert_eq!(heap.total_free(), heap.size());
    let again: std::collections::HashSet<_> = (0..50).map(|_| allocate(&heap, 80)).collect();
    assert_eq!(again.len(), 50);
    heap.validate().unwrap();
}

#[test]
fn tree_and_slabs_together_take_at_most_4_3_bits_a_leaf() {
    for shift in 20..32 {
        for bytes in [1_usize << shift, (1 << shift) + 12_345, 3 << (shift - 1)] {
            let bits = TestHeap::<Lazy>::metadata_words(bytes) as u64 * u64::from(usize::BITS);
            let leaves = bytes as u64 / 16;
            assert!(bits * 10 <= leaves * 43, "{bits} bits for {leaves} leaves");
        }
    }
}
