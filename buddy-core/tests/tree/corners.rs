//! Corners that random calls reach seldom.

use buddy_core::tree::FreeError;
use buddy_core::{Atomic, Kind, Order, Plain, Policy, Tree};

fn with_tree<P: Policy>(leaves: usize, call: impl FnOnce(&Tree<&mut [Plain], P>)) {
    let words = Tree::<&mut [Plain], P>::metadata_words(0..leaves);
    let mut words: Vec<Plain> = (0..words).map(|_| Plain::zero()).collect();
    let tree: Tree<&mut [Plain], P> = Tree::new(words.as_mut_slice(), 0..leaves).unwrap();
    call(&tree);
    tree.validate().unwrap();
}

struct LastOfFour;

impl Policy for LastOfFour {
    const CPUS: usize = 4;

    fn cpu() -> usize {
        3
    }
}

#[test]
fn every_cpu_gets_every_leaf() {
    for order in [0, 1, 3] {
        let order = Order::new(order).unwrap();
        with_tree::<LastOfFour>(1000, |tree| {
            let mut taken: Vec<usize> = std::iter::from_fn(|| tree.allocate(order).ok()).collect();
            // From its own quarter on, then from the beginning.
            assert!(taken[0] >= 750, "{}", taken[0]);
            taken.sort_unstable();
            assert!(taken.iter().copied().eq((0..1000).step_by(order.leaves())));
        });
    }
    let words = Tree::<&[Atomic], LastOfFour>::metadata_words(0..1000);
    let words: Vec<Atomic> = (0..words).map(|_| Atomic::zero()).collect();
    let tree: Tree<&[Atomic], LastOfFour> = Tree::new(words.as_slice(), 0..1000).unwrap();
    assert_eq!(std::iter::from_fn(|| tree.allocate(Order::MIN).ok()).count(), 1000);
}

/// A run whose first piece has the last node of a word: the mark that it goes on lies in the next.
#[test]
fn a_run_across_words_is_not_freed_as_its_first_piece() {
    with_tree::<buddy_core::Lazy>(200, |tree| {
        for (first, leaves) in [(31, 2), (31, 5), (62, 4), (63, 1), (126, 3), (15, 17)] {
            tree.allocate_at(first, leaves).unwrap();
            for given in (1..20).filter(|given| *given != leaves) {
                let wrong = FreeError::WrongSize { leaf: first, given, actual: leaves };
                assert_eq!(tree.free_sized(first, given), Err(wrong));
            }
            assert_eq!(tree.leaves_of(first), Ok(leaves));
            tree.free_sized(first, leaves).unwrap();
            assert!(tree.free_sized(first, leaves).is_err());
        }
        assert_eq!(tree.used(), 0);
    });
}

#[test]
fn a_divided_block_is_blocks_of_the_size_asked_for() {
    for leaves in 1..40 {
        for each in 1..45 {
            with_tree::<buddy_core::Eager>(100, |tree| {
                tree.allocate_exact(3).unwrap();
                let block = tree.allocate_exact(leaves).unwrap();
                assert_eq!(tree.divide(block, leaves, 0), Err(FreeError::ZeroSize));
                assert!(tree.divide(block, leaves + 1, each).is_err());
                assert!(tree.divide(block + 1, leaves, each).is_err());
                let count = leaves.div_ceil(each);
                assert_eq!(tree.divide(block, leaves, each), Ok(count));
                assert_eq!(tree.statistics().blocks(), count + 1);
                let used = tree.walk().filter(|extent| extent.kind == Kind::Used);
                let parts = used.filter(|extent| (block..block + leaves).contains(&extent.first));
                let parts: Vec<_> = parts.map(|extent| (extent.first, extent.leaves)).collect();
                let expected =
                    (0..count).map(|part| (block + part * each, each.min(leaves - part * each)));
                assert_eq!(parts, expected.collect::<Vec<_>>());
                for (first, leaves) in parts {
                    tree.free_sized(first, leaves).unwrap();
                }
                assert_eq!(tree.used(), 3);
            });
        }
    }
}
