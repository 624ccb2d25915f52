//! Blocks that are freed here and there in a tree that is large enough for many words to rest.

use buddy_core::tree::Storage;
use buddy_core::{Order, Policy, Tree, Word};

const LEAVES: usize = 1 << 16;

/// Numbers that look random: Knuth's 64-bit linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

fn storage<W: Word>() -> Vec<W> {
    (0..Tree::<&[W]>::metadata_words(0..LEAVES)).map(|_| W::default()).collect()
}

/// Frees one of the blocks and allocates another, and so on; the blocks that are left.
fn churn<S: Storage, P: Policy>(
    tree: &Tree<S, P>,
    numbers: &mut Numbers,
    steps: usize,
) -> Vec<(usize, usize)> {
    let mut blocks: Vec<(usize, usize)> = Vec::new();
    for step in 0..steps {
        if tree.used() > LEAVES / 2 {
            let (first, leaves) = blocks.swap_remove(numbers.below(blocks.len()));
            tree.free_sized(first, leaves).unwrap();
            assert!(tree.free_sized(first, leaves).is_err());
        }
        let leaves = 1 << (numbers.below(1 << 8) + 1).trailing_zeros();
        let leaves = if step % 16 == 0 { leaves + 2 } else { leaves };
        blocks.push((tree.allocate_exact(leaves).unwrap(), leaves));
        if step % 4096 == 0 {
            tree.validate().unwrap();
        }
    }
    blocks
}

fn churned_blocks_rest_and_merge<W: Word, P: Policy>() {
    let (words, mut numbers) = (storage::<W>(), Numbers(1));
    let tree = Tree::<_, P>::new(words.as_slice(), 0..LEAVES).unwrap();
    let mut blocks = churn(&tree, &mut numbers, 30_000);
    tree.validate().unwrap();
    blocks.sort_unstable();
    for pair in blocks.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0);
    }
    // As is, for a tree that is attached to the same words.
    let tree = Tree::<_, P>::attach(words.as_slice()).unwrap();
    while !blocks.is_empty() {
        let (first, leaves) = blocks.swap_remove(numbers.below(blocks.len()));
        tree.free_sized(first, leaves).unwrap();
    }
    tree.validate().unwrap();
    // What rests is merged before anything is refused.
    let whole = Order::for_leaves(LEAVES).unwrap();
    assert_eq!(tree.allocate(whole), Ok(0));
}

/// All that is free is found, resting or not.
fn every_leaf_is_found<W: Word, P: Policy>() {
    let (words, mut numbers) = (storage::<W>(), Numbers(2));
    let tree = Tree::<_, P>::new(words.as_slice(), 0..LEAVES).unwrap();
    let blocks = churn(&tree, &mut numbers, 10_000);
    let free = tree.free_leaves();
    for _ in 0..free {
        tree.allocate(Order::MIN).unwrap();
    }
    assert!(tree.allocate(Order::MIN).is_err());
    tree.validate().unwrap();
    assert_eq!(blocks.iter().map(|block| block.1).sum::<usize>() + free, LEAVES);
}

for_every_tree!(
    churned_blocks_rest_and_merge as churned_blocks_rest_and_merge_before_a_refusal,
    every_leaf_is_found as every_leaf_that_rests_is_found,
);
