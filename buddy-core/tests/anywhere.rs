//! `allocate_anywhere` and a heap's large requests: every gap of free blocks will do.

use buddy_core::{AllocError, Eager, Heap, Kind, Lazy, Order, Plain, Policy, Tree};
use proptest::prelude::*;
use std::alloc::Layout;
use std::mem::MaybeUninit;

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
