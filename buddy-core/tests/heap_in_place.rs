//! Growing and shrinking: when a block stays where it is, when it moves, and what is kept.

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
