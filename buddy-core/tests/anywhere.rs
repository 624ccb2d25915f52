//! `allocate_anywhere` and a heap's large requests: every gap of free blocks will do.

use buddy_core::{AllocError, Eager, Heap, Kind, Lazy, Order, Plain, Policy, Tight, Tree};
use proptest::prelude::*;
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// The free leaves that lie side by side, as the walk tells them.
fn gaps<P: Policy>(tree: &Tree<&mut [Plain], P>) -> Vec<(usize, usize)> {
    let mut gaps: Vec<(usize, usize)> = Vec::new();
    for extent in tree.walk().filter(|extent| extent.kind == Kind::Free) {
        match gaps.last_mut() {
            Some((_, end)) if *end == extent.first => *end = extent.end(),
            _ => gaps.push((extent.first, extent.end())),
        }
    }
    gaps
}

fn every_gap_will_do<P: Policy>(first: usize, blocks: &[(usize, usize)], leaves: usize) {
    let range = first..first + 700;
    let words = Tree::<&mut [Plain], P>::metadata_words(range.clone());
    let mut metadata: Vec<Plain> = (0..words).map(|_| Plain::zero()).collect();
    let tree: Tree<_, P> = Tree::new(metadata.as_mut_slice(), range).unwrap();
    for (at, leaves) in blocks {
        // Some lie in others' way.
        let _ = tree.allocate_at(first + at, *leaves);
    }
    let (before, used) = (gaps(&tree), tree.used());
    let fits = before.iter().any(|(start, end)| end - start >= leaves);
    match tree.allocate_anywhere(leaves) {
        Ok(start) => {
            assert!(before.iter().any(|(low, high)| *low <= start && start + leaves <= *high));
            assert_eq!((tree.used(), tree.leaves_of(start)), (used + leaves, Ok(leaves)));
            tree.free_sized(start, leaves).unwrap();
        }
        Err(error) => {
            assert!(!fits || before.len() > Tree::<&mut [Plain], P>::GAPS, "{error}: {before:?}");
        }
    }
    assert_eq!((gaps(&tree), tree.used()), (before, used));
    tree.validate().unwrap();
}

proptest! {
    #[test]
    fn a_request_is_refused_only_if_no_gap_is_large_enough(
        first in 0_usize..300,
        blocks in prop::collection::vec((0_usize..700, 1_usize..60), 0..20),
        leaves in 1_usize..700,
    ) {
        every_gap_will_do::<Lazy>(first, &blocks, leaves);
        every_gap_will_do::<Eager>(first, &blocks, leaves);
    }
}

#[test]
fn impossible_counts_are_refused_as_by_allocate_exact() {
    let mut metadata: Vec<Plain> = (0..200).map(|_| Plain::zero()).collect();
    let tree: Tree<_> = Tree::new(metadata.as_mut_slice(), 3..103).unwrap();
    for leaves in [0, 101, 1 << 20, usize::MAX >> 1, usize::MAX] {
        assert_eq!(tree.allocate_anywhere(leaves), tree.allocate_exact(leaves), "{leaves}");
    }
    assert_eq!(tree.allocate_anywhere(100), Ok(3));
    assert!(tree.allocate_anywhere(1).is_err() && tree.allocate(Order::MIN).is_err());
}

#[test]
fn an_empty_heap_serves_nearly_all_of_itself_at_once() {
    for bytes in [64 << 10, 1_000_000, 1 << 20, 5 << 20] {
        let mut memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(bytes);
        let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory).unwrap();
        // Sizes are rounded to three significant bits.
        let most = Layout::from_size_align(heap.size() / 5 * 4, 8).unwrap();
        let block = heap.allocate(most).unwrap();
        let more = heap.allocate(most);
        assert!(matches!(more, Err(AllocError::OutOfMemory { .. })));
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block.cast(), most) }.unwrap();
        assert_eq!(heap.total_allocated(), 0);
        heap.validate().unwrap();
    }
}

/// Blocks of these sizes, allocated one after the other.
fn blocks<P: Policy>(heap: &Heap<&mut [Plain], 16, P>, layouts: &[Layout]) -> Vec<NonNull<u8>> {
    layouts.iter().map(|layout| heap.allocate(*layout).unwrap().cast()).collect()
}

#[test]
fn a_packed_block_goes_into_the_smallest_gap_that_is_large_enough() {
    let bytes = |leaves: usize| Layout::from_size_align(leaves * 16, 16).unwrap();
    let mut memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(60_000);
    let heap: Heap<&mut [Plain], 16, Tight> = Heap::from_region(&mut memory).unwrap();
    // What is to be freed stands between blocks that stay.
    let layouts = [300, 8, 130, 8, 273, 8, 150, 8].map(bytes);
    let held = blocks(&heap, &layouts);
    for pair in held.iter().zip(&layouts).collect::<Vec<_>>().windows(2) {
        // Side by side, whatever their sizes.
        assert_eq!(pair[0].0.addr().get() + pair[0].1.size(), pair[1].0.addr().get());
    }
    for at in [0, 2, 4, 6] {
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(held[at], layouts[at]) }.unwrap();
    }
    for (leaves, gap) in [(131, 6), (273, 4), (130, 2), (274, 0)] {
        assert_eq!(blocks(&heap, &[bytes(leaves)]), [held[gap]], "{leaves}");
    }
    heap.validate().unwrap();
}

#[test]
fn a_packed_block_has_its_alignment() {
    let mut memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(60_000);
    let heap: Heap<&mut [Plain], 16, Tight> = Heap::from_region(&mut memory).unwrap();
    let mut held = Vec::new();
    for (size, align) in (1..400).step_by(7).zip([1, 16, 32, 64, 512, 8].into_iter().cycle()) {
        let layout = Layout::from_size_align(size, align).unwrap();
        let block = blocks(&heap, &[layout])[0];
        assert_eq!(block.addr().get() % align, 0, "{layout:?}");
        held.push((block, layout));
    }
    heap.validate().unwrap();
    for (block, layout) in held {
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block, layout) }.unwrap();
    }
    assert_eq!(heap.total_allocated(), 0);
}

#[test]
fn pages_are_packed_side_by_side() {
    let page = Layout::from_size_align(4368, 8).unwrap();
    for (count, bytes) in [(180, 1 << 20), (700, 4 << 20)] {
        let mut memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(bytes);
        let heap: Heap<&mut [Plain], 16, Tight> = Heap::from_region(&mut memory).unwrap();
        let held = core::iter::from_fn(|| heap.allocate(page).ok()).count();
        assert!(held >= count, "{held} in {bytes} bytes");
        heap.validate().unwrap();
    }
}
