//! `allocate_zeroed` clears exactly what is not known to be zero.

use buddy_core::{Eager, Heap, Lazy, Plain, Policy};
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

const BYTES: usize = 8 << 20;
const CHUNK: usize = 4096 * 16;

type TestHeap<P> = Heap<&'static mut [Plain], 16, P>;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

/// A heap over memory that it believes to be zero although every byte of its blocks is not: whatever
/// it hands out as zeros without clearing shows.
fn credulous<P: Policy>() -> TestHeap<P> {
    let memory: &'static mut [MaybeUninit<u8>] = vec![MaybeUninit::new(0); BYTES].leak();
    let start = NonNull::from(memory).cast::<u8>();
    // SAFETY: leaked memory of zeros.
    let heap: TestHeap<P> = unsafe { Heap::from_raw_zeroed(start, BYTES) }.unwrap();
    let bytes = heap.size();
    // SAFETY: no block is allocated. (This makes the promise that it is zero a lie, for the test.)
    unsafe { start.write_bytes(0xA5, bytes) };
    heap
}

/// How many bytes of the block are not zero.
fn dirty(block: NonNull<[u8]>) -> usize {
    // SAFETY: a block of the test's, whose bytes are all initialised.
    unsafe { block.as_ref() }.iter().filter(|byte| **byte != 0).count()
}

fn fresh_memory_is_not_cleared<P: Policy>() {
    let heap = credulous::<P>();
    let block = heap.allocate_zeroed(layout(1 << 20)).unwrap();
    assert!(dirty(block) >= (1 << 20) - 2 * CHUNK);
    // SAFETY: the block is not used.
    unsafe { heap.deallocate(block.cast(), layout(1 << 20)) }.unwrap();
    // Now nothing is known of it any more.
    let again = heap.allocate_zeroed(layout(1 << 20)).unwrap();
    assert_eq!((again, dirty(again)), (block, 0));
}

#[test]
fn fresh_memory_is_not_cleared_and_used_memory_is() {
    fresh_memory_is_not_cleared::<Lazy>();
    fresh_memory_is_not_cleared::<Eager>();
}

#[test]
fn whatever_was_handed_out_is_cleared() {
    let heap = credulous::<Lazy>();
    // By size, by alignment, by growth, from slabs, by half.
    let small: Vec<_> = (0..100).map(|_| heap.allocate(layout(100)).unwrap().cast()).collect();
    let aligned = Layout::from_size_align(40_000, 1 << 17).unwrap();
    let aligned_block = heap.allocate(aligned).unwrap().cast();
    let start = heap.allocate(layout(CHUNK)).unwrap().cast();
    // SAFETY: the block is used under its new pointer only.
    let grown = unsafe { heap.grow(start, layout(CHUNK), layout(10 * CHUNK)) }.unwrap();
    for block in small {
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block, layout(100)) }.unwrap();
    }
    // SAFETY: the block is not used.
    unsafe { heap.deallocate(aligned_block, aligned) }.unwrap();
    // SAFETY: the block is not used.
    unsafe { heap.deallocate(grown.cast(), layout(10 * CHUNK)) }.unwrap();
    let mut cleared = 0;
    while let Ok(block) = heap.allocate_zeroed(layout(CHUNK)) {
        cleared += block.len() - dirty(block);
    }
    // Ten of the grown block, and one or two of the others.
    assert!(cleared >= 11 * CHUNK, "{cleared}");
}

/// Takes everything as zeros, chunk by chunk; how many bytes were cleared. Those of `block`, which was
/// handed out before, all have to be.
fn take_all_as_zeros(heap: &TestHeap<Lazy>, block: NonNull<[u8]>) -> usize {
    let start = block.cast::<u8>().addr().get();
    let used = start..start + block.len();
    let mut cleared = 0;
    while let Ok(zeros) = heap.allocate_zeroed(layout(CHUNK)) {
        let at = zeros.cast::<u8>().addr().get();
        let inside = used.start.max(at).min(at + CHUNK) - at..used.end.max(at).min(at + CHUNK) - at;
        // SAFETY: a block of the test's, whose bytes are all initialised.
        let bytes = unsafe { zeros.as_ref() };
        assert!(bytes[inside].iter().all(|byte| *byte == 0), "not cleared");
        cleared += zeros.len() - dirty(zeros);
    }
    cleared
}

#[test]
fn what_a_block_grows_into_is_cleared() {
    for in_place in [true, false] {
        let heap = credulous::<Lazy>();
        let (old, new) = (layout(CHUNK), layout(2 * CHUNK));
        let blocks: Vec<NonNull<u8>> = (0..4).map(|_| heap.allocate(old).unwrap().cast()).collect();
        // SAFETY: a block is used under its new pointer only.
        let grow_here = |block: NonNull<u8>| unsafe { heap.resize_in_place(block, old, new) };
        let (block, grown) = if in_place {
            let mut grown = blocks.iter().map(|block| (*block, grow_here(*block).unwrap()));
            let (block, grown) = grown.find(|(_, grown)| grown.is_some()).unwrap();
            (block, grown.unwrap())
        } else {
            let behind = |block: &NonNull<u8>| block.addr().get() + CHUNK;
            let is_behind = |block| blocks.iter().any(|other| other.addr().get() == behind(block));
            let block = *blocks.iter().find(|block| is_behind(block)).unwrap();
            // SAFETY: as above.
            let grown = unsafe { heap.grow(block, old, new) }.unwrap();
            assert_ne!(grown.cast(), block);
            (block, grown)
        };
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(grown.cast(), new) }.unwrap();
        for other in blocks.into_iter().filter(|other| *other != block) {
            // SAFETY: the block is not used.
            unsafe { heap.deallocate(other, old) }.unwrap();
        }
        let cleared = take_all_as_zeros(&heap, grown);
        assert!(cleared <= 16 * CHUNK, "{cleared}");
    }
}

#[test]
fn small_blocks_make_only_their_chunks_unknown() {
    let heap = credulous::<Lazy>();
    let half = heap.allocate(layout(BYTES / 2)).unwrap();
    for _ in 0..100 {
        heap.allocate(layout(32)).unwrap();
    }
    let cleared = take_all_as_zeros(&heap, half);
    assert!(cleared <= 3 * CHUNK, "{cleared}");
}

#[test]
fn a_block_freed_as_zeros_is_not_cleared() {
    let heap = credulous::<Lazy>();
    let size = 4 * CHUNK;
    let block = heap.allocate(layout(size)).unwrap().cast::<u8>();
    // SAFETY: the block is not used. (It is not zero, but shall be taken for that.)
    unsafe { heap.deallocate_zeroed(block, layout(size)) }.unwrap();
    let again = heap.allocate_zeroed(layout(size)).unwrap();
    assert!(dirty(again) >= size - 2 * CHUNK);
    // A free that is refused makes nothing known.
    let inside = NonNull::new(block.as_ptr().wrapping_add(16)).unwrap();
    // SAFETY: refused.
    assert!(unsafe { heap.deallocate_zeroed(inside, layout(size)) }.is_err());
    // SAFETY: refused: the wrong size.
    assert!(unsafe { heap.deallocate_zeroed(block, layout(size / 2)) }.is_err());
    // SAFETY: the block is not used.
    unsafe { heap.deallocate(block, layout(size)) }.unwrap();
    // SAFETY: refused: free already.
    assert!(unsafe { heap.deallocate_zeroed(block, layout(size)) }.is_err());
    assert_eq!(dirty(heap.allocate_zeroed(layout(size)).unwrap()), 0);
}

#[test]
fn zeros_are_zero_whatever_happened() {
    let memory: &'static mut [MaybeUninit<u8>] = vec![MaybeUninit::new(0); BYTES].leak();
    let start = NonNull::from(memory).cast::<u8>();
    // SAFETY: leaked memory of zeros.
    let heap: TestHeap<Lazy> = unsafe { Heap::from_raw_zeroed(start, BYTES) }.unwrap();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut live: Vec<(NonNull<u8>, Layout)> = Vec::new();
    for _ in 0..4000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let size = 1 + random as usize % (1 << (random >> 32 & 15)) * 13;
        let which = (random >> 40) as usize;
        if live.len() > 40 || (which & 1 == 0 && !live.is_empty()) {
            let (block, layout) = live.swap_remove(which % live.len());
            if which & 6 == 6 {
                // SAFETY: the block is the test's, to its usable size.
                unsafe { block.write_bytes(0, heap.usable_size(block).unwrap()) };
                // SAFETY: zeroed just now, and not used.
                unsafe { heap.deallocate_zeroed(block, layout) }.unwrap();
            } else {
                // SAFETY: the block is not used.
                unsafe { heap.deallocate(block, layout) }.unwrap();
            }
        } else if which & 0x18 == 0x18 && !live.is_empty() {
            let at = which % live.len();
            let (block, old) = live[at];
            let new = layout(old.size() + size);
            // SAFETY: the block is used under its new pointer only.
            if let Ok(grown) = unsafe { heap.grow(block, old, new) } {
                // SAFETY: the block is the test's.
                unsafe { grown.cast::<u8>().write_bytes(0xA5, grown.len()) };
                live[at] = (grown.cast(), new);
            }
        } else if let Ok(block) = heap.allocate_zeroed(layout(size)) {
            assert_eq!(dirty(block), 0, "{size}");
            // SAFETY: the block is the test's.
            unsafe { block.cast::<u8>().write_bytes(0xA5, block.len()) };
            live.push((block.cast(), layout(size)));
        }
    }
    heap.validate().unwrap();
}

#[test]
fn metadata_that_was_used_before_makes_nothing_known() {
    let count = TestHeap::<Lazy>::metadata_words(BYTES);
    for value in [0, usize::MAX] {
        let mut metadata: Vec<Plain> = (0..count).map(|_| Plain::zero()).collect();
        // SAFETY: any bytes are a word.
        unsafe { metadata.as_mut_ptr().write_bytes(value as u8, count) };
        let mut memory = vec![MaybeUninit::new(0xA5); BYTES];
        let heap: Heap<&mut [Plain], 16> = Heap::with_metadata(&mut metadata, &mut memory).unwrap();
        for size in [100, CHUNK, 20 * CHUNK] {
            assert_eq!(dirty(heap.allocate_zeroed(layout(size)).unwrap()), 0, "{size}");
        }
    }
}

/// Blocks too large for slabs, and not too large to rest.
#[test]
fn a_block_of_zeros_that_rests_or_was_taken_again_is_freed_once() {
    const BYTES: usize = 32 << 20;
    const WORDS: usize = TestHeap::<Lazy>::metadata_words(BYTES);
    let words: &'static mut [Plain] = (0..WORDS).map(|_| Plain::zero()).collect::<Vec<_>>().leak();
    let memory: &'static mut [MaybeUninit<u8>] = vec![MaybeUninit::new(0); BYTES].leak();
    let heap: TestHeap<Lazy> = Heap::with_metadata(words, memory).unwrap();
    let block = heap.allocate(layout(CHUNK)).unwrap().cast();
    // SAFETY: the block is not used, here and below.
    let free = || unsafe { heap.deallocate(block, layout(CHUNK)) };
    // SAFETY: as above, and it is zero.
    let free_zeroed = || unsafe { heap.deallocate_zeroed(block, layout(CHUNK)) };
    free().unwrap();
    assert_eq!(heap.total_resting(), CHUNK);
    assert!(free().is_err() && free_zeroed().is_err());
    assert_eq!(heap.allocate(layout(CHUNK)).unwrap().cast(), block);
    free_zeroed().unwrap();
    assert_eq!(heap.total_resting(), 0);
    assert!(free().is_err() && free_zeroed().is_err());
    heap.validate().unwrap();
}
