//! Growing and shrinking: when a block stays where it is, when it moves, and what is kept.

use buddy_core::heap::FreeError;
use buddy_core::{Heap, Plain};
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

type TestHeap = Heap<&'static mut [Plain], 16>;

/// A heap whose free memory is one block of 64 KiB.
fn heap() -> TestHeap {
    let metadata = (0..TestHeap::metadata_words(1 << 16)).map(|_| Plain::zero());
    let memory = vec![MaybeUninit::uninit(); 2 << 16].leak();
    let skipped = memory.as_ptr().addr().wrapping_neg() % (1 << 16);
    let region = &mut memory[skipped..][..1 << 16];
    Heap::with_metadata(metadata.collect::<Vec<_>>().leak(), region).unwrap()
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block with its bytes counted up.
fn filled(heap: &TestHeap, layout: Layout) -> NonNull<u8> {
    let block = heap.allocate(layout).unwrap().cast::<u8>();
    for at in 0..layout.size() {
        // SAFETY: inside the block.
        let byte = unsafe { block.add(at) };
        // SAFETY: a block of this heap that nobody else uses.
        unsafe { byte.write(at as u8) };
    }
    block
}

fn bytes(block: NonNull<[u8]>, count: usize) -> Vec<u8> {
    assert!(count <= block.len());
    // SAFETY: a block of which `count` bytes were written.
    unsafe { std::slice::from_raw_parts(block.cast::<u8>().as_ptr(), count) }.to_vec()
}

fn counted(count: usize) -> Vec<u8> {
    (0..count).map(|at| at as u8).collect()
}

#[test]
fn a_block_grows_into_free_memory_behind_it() {
    let heap = heap();
    let mut old = layout(100, 4);
    let start = filled(&heap, old);
    for size in [101, 112, 113, 500, 5000, 20_000] {
        let new = layout(size, 4);
        // SAFETY: the old pointer is not used any more.
        let block = unsafe { heap.grow(start, old, new) }.unwrap();
        assert_eq!(block.cast(), start);
        assert_eq!(bytes(block, 100), counted(100));
        assert_eq!(heap.usable_size(start), Ok(block.len()));
        old = new;
    }
    assert_eq!(heap.statistics().blocks(), 1);
}

#[test]
fn a_block_shrinks_where_it_is() {
    let heap = heap();
    let mut old = layout(20_000, 8);
    let start = filled(&heap, old);
    for size in [19_999, 5000, 500, 17, 16, 1] {
        let (new, before) = (layout(size, 8), heap.total_allocated());
        // SAFETY: the old pointer is not used any more.
        let block = unsafe { heap.shrink(start, old, new) }.unwrap();
        assert_eq!(block.cast(), start);
        assert_eq!(bytes(block, size), counted(size));
        assert!(heap.total_allocated() == block.len() && block.len() <= before);
        old = new;
    }
    // SAFETY: the block is not used any more.
    let nothing = unsafe { heap.shrink(start, old, layout(0, 8)) }.unwrap();
    assert_eq!((nothing.len(), heap.total_allocated()), (0, 0));
}

#[test]
fn a_block_moves_where_the_memory_behind_it_is_taken() {
    let heap = heap();
    let (old, new) = (layout(100, 4), layout(300, 4));
    let start = filled(&heap, old);
    // The heap is full but for some room elsewhere.
    let taken: Vec<_> = std::iter::from_fn(|| heap.allocate(layout(16, 1)).ok()).collect();
    for block in &taken[1000..1100] {
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block.cast(), layout(16, 1)) }.unwrap();
    }
    // SAFETY: the old pointer is not used any more.
    let block = unsafe { heap.grow(start, old, new) }.unwrap();
    assert_ne!(block.cast(), start);
    assert_eq!(bytes(block, 100), counted(100));
    assert!(heap.usable_size(start).is_err());
    heap.validate().unwrap();
}

#[test]
fn a_block_moves_to_where_its_alignment_is() {
    let heap = heap();
    let old = layout(100, 4);
    let (first, second) = (filled(&heap, old), filled(&heap, old));
    let new = layout(60, 4096);
    for start in [first, second] {
        // SAFETY: the old pointer is not used any more.
        let block = unsafe { heap.shrink(start, old, new) }.unwrap();
        assert_eq!(block.cast::<u8>().addr().get() % 4096, 0);
        assert_eq!(bytes(block, 60), counted(60));
    }
    assert_eq!(heap.statistics().blocks(), 2);
}

#[test]
fn what_grows_zeroed_is_zero_behind_the_old_size() {
    let heap = heap();
    let old = layout(100, 4);
    let dirty = layout(4000, 4);
    let start = filled(&heap, dirty);
    // SAFETY: the old pointer is not used any more.
    let block = unsafe { heap.shrink(start, dirty, old) }.unwrap();
    // SAFETY: as above.
    let block = unsafe { heap.grow_zeroed(block.cast(), old, dirty) }.unwrap();
    assert_eq!(block.cast(), start);
    let bytes = bytes(block, block.len());
    assert_eq!(bytes[..100], counted(100));
    assert!(bytes[100..].iter().all(|byte| *byte == 0));
}

/// A heap with slabs, and rooms for blocks that grow.
fn large_heap() -> TestHeap {
    Heap::from_region(vec![MaybeUninit::uninit(); 1 << 22].leak()).unwrap()
}

#[test]
fn a_block_that_grows_again_and_again_is_moved_a_few_times_only() {
    let heap = large_heap();
    let mut old = layout(24, 8);
    let mut blocks = [(); 2].map(|()| filled(&heap, old));
    let (mut moved, mut steps) = (0, 0);
    while old.size() < 20_000 {
        let new = layout(old.size() + old.size() / 8 + 16, 8);
        for block in &mut blocks {
            // SAFETY: the old pointer is not used any more.
            let grown = unsafe { heap.grow(*block, old, new) }.unwrap();
            assert!(grown.len() >= new.size() && grown.len() <= new.size() * 5 / 4 + 16);
            assert_eq!(bytes(grown, 24), counted(24));
            assert_eq!(heap.usable_size(grown.cast()), Ok(grown.len()));
            moved += usize::from(grown.cast() != *block);
            *block = grown.cast();
        }
        steps += 2;
        let used: usize = blocks.iter().map(|block| heap.usable_size(*block).unwrap()).sum();
        assert_eq!(heap.total_allocated(), used);
        assert_eq!(heap.total_free(), heap.size() - used);
        old = new;
    }
    assert!(moved < steps / 3, "{moved} of {steps}");
    assert!(heap.total_resting() >= old.size());

    // Behind the block is what is free, and no block.
    let [block, other] = blocks;
    let usable = heap.usable_size(block).unwrap();
    let address = block.addr().get();
    let at = |offset| NonNull::new(block.as_ptr().wrapping_add(offset)).unwrap();
    let inside = FreeError::NotStart { address: address + usable - 16, block: address };
    assert_eq!(heap.usable_size(at(usable - 16)), Err(inside));
    let behind = FreeError::AlreadyFree { address: address + usable };
    assert_eq!(heap.usable_size(at(usable)), Err(behind));
    // SAFETY: refused, so the block may be used.
    assert!(unsafe { heap.deallocate(block, layout(2 * usable, 8)) }.is_err());

    // In its room it shrinks, too.
    // SAFETY: what is behind is not used any more.
    let shrunk = unsafe { heap.resize_in_place(block, old, layout(100, 8)) }.unwrap().unwrap();
    assert_eq!((shrunk.cast(), bytes(shrunk, 24)), (block, counted(24)));
    // SAFETY: the block is not used any more.
    assert_eq!(unsafe { heap.free(block) }, Ok(112));
    // SAFETY: as above; it was freed already.
    assert!(unsafe { heap.free(block) }.is_err());
    // Not where it is, nor in its room, if that is not aligned.
    let mut other = other;
    for more in [0, 5000, 5000, 5000] {
        // For more than that there need not be a place.
        let (align, before) = (1 << (other.addr().trailing_zeros() + 1).min(20), old);
        old = layout(old.size() + more, align);
        // SAFETY: the old pointer is not used any more.
        let grown = unsafe { heap.grow(other, before, old) }.unwrap();
        assert_eq!((grown.addr().get() % align, bytes(grown, 24)), (0, counted(24)));
        other = grown.cast();
    }
    // SAFETY: as above.
    unsafe { heap.deallocate(other, old) }.unwrap();
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
}

/// Small blocks that grow and shrink among many, slots of slabs most of them: each has what was written to it,
/// and one that cannot be resized is as it was.
#[test]
fn a_small_block_takes_its_bytes_along_or_is_left_as_it_is() {
    let heap = large_heap();
    let fill = |block: NonNull<u8>, layout: Layout, seed: usize| {
        // SAFETY: a block of that layout, which nobody else uses.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), layout.size()) };
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 7 + seed) as u8);
    };
    let is_whole = |block: NonNull<u8>, count: usize, seed: usize| {
        // SAFETY: so many bytes of a block that were written.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), count) };
        bytes.iter().enumerate().all(|(at, byte)| *byte == (at * 7 + seed) as u8)
    };
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % below
    };
    let mut blocks: Vec<(NonNull<u8>, Layout, usize)> = Vec::new();
    for step in 0..40_000 {
        let most = if next(4) == 0 { 3000 } else { 400 };
        let new = layout(1 + next(most), 1 << next(7));
        if blocks.len() < 300 {
            let block = heap.allocate(new).unwrap().cast();
            fill(block, new, step);
            blocks.push((block, new, step));
            continue;
        }
        let which = next(blocks.len());
        let (block, old, seed) = blocks[which];
        let (used, usable) = (heap.total_allocated(), heap.usable_size(block).unwrap());
        match next(12) {
            0 => {
                assert!(is_whole(block, old.size(), seed));
                // SAFETY: the block is not used any more.
                unsafe { heap.deallocate(block, old) }.unwrap();
                // SAFETY: freed already, so it is refused, and nothing has changed.
                let refused = unsafe { heap.grow(block, old, layout(old.size() + 20, 1)) };
                assert!(refused.is_err());
                assert_eq!(heap.total_allocated(), used - usable);
                blocks.swap_remove(which);
            }
            1 => {
                let wrong = layout(usable + 1, old.align());
                // SAFETY: no block of that size starts there, and none inside, so these are refused.
                assert!(unsafe { heap.shrink(block, wrong, layout(1, 1)) }.is_err());
                let inside = NonNull::new(block.as_ptr().wrapping_add(8)).unwrap();
                // SAFETY: as above.
                assert!(unsafe { heap.grow(inside, old, layout(old.size() + 20, 1)) }.is_err());
                assert!(is_whole(block, old.size(), seed));
                assert_eq!(heap.total_allocated(), used);
            }
            _ => {
                // SAFETY: the old pointer is not used any more.
                let resized = unsafe { heap.grow(block, old, new) }.unwrap();
                assert!(resized.len() >= new.size());
                assert_eq!(resized.addr().get() % new.align(), 0);
                let resized = resized.cast();
                assert!(is_whole(resized, old.size().min(new.size()), seed));
                fill(resized, new, step);
                blocks[which] = (resized, new, step);
            }
        }
    }
    for (block, old, seed) in blocks {
        assert!(is_whole(block, old.size(), seed));
        // SAFETY: the block is not used any more.
        unsafe { heap.deallocate(block, old) }.unwrap();
    }
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
}

#[test]
fn a_slot_that_grew_before_gets_a_room() {
    let heap = large_heap();
    // So many that there are slabs.
    let (small, middle, large) = (layout(24, 8), layout(200, 8), layout(400, 8));
    let others = [small, middle, large].map(|layout| [(); 40].map(|()| filled(&heap, layout)));
    let block = others[0][30];
    // SAFETY: the old pointer is not used any more.
    let block = unsafe { heap.grow(block, small, middle) }.unwrap().cast();
    // SAFETY: as above.
    let block = unsafe { heap.grow(block, middle, large) }.unwrap().cast();
    let larger = layout(900, 8);
    // SAFETY: nothing is behind a slot but others, so this is done in a room.
    let grown = unsafe { heap.resize_in_place(block, large, larger) }.unwrap();
    assert_eq!(grown.map(|grown| bytes(grown, 24)), Some(counted(24)));
}

/// Blocks that grow, so many in turn, and are freed; then all memory is zero that is said to be.
fn grows_into_zeros(count: usize) {
    const BYTES: usize = 1 << 24;
    let memory = vec![0_u8; BYTES].leak();
    let start = NonNull::from(&mut *memory).cast();
    // SAFETY: zeroed memory that nobody else uses.
    let heap: TestHeap = unsafe { Heap::from_raw_zeroed(start, BYTES) }.unwrap();
    let mut old = layout(1000, 8);
    let mut blocks: Vec<_> = (0..count).map(|_| filled(&heap, old)).collect();
    while old.size() < 300_000 {
        let new = layout(old.size() + 2000, 8);
        for block in &mut blocks {
            // SAFETY: the old pointer is not used any more.
            let grown = unsafe { heap.grow(*block, old, new) }.unwrap();
            // SAFETY: a block of this heap that nobody else uses.
            unsafe { grown.cast::<u8>().write_bytes(7, grown.len()) };
            *block = grown.cast();
        }
        old = new;
    }
    for block in blocks {
        // SAFETY: the block is not used any more.
        unsafe { heap.deallocate(block, old) }.unwrap();
    }
    let zeroed = || heap.allocate_zeroed(layout(1 << 14, 8)).ok();
    let all: Vec<_> = std::iter::from_fn(zeroed).collect();
    assert!(all.len() > 900);
    for block in all {
        // SAFETY: a new block.
        assert!(unsafe { block.as_ref() } == [0; 1 << 14]);
    }
}

#[test]
fn what_a_block_grows_into_is_not_known_to_be_zero() {
    grows_into_zeros(1);
    // In each other's way: they move.
    grows_into_zeros(2);
}
