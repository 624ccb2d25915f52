//! Every interleaving of a few calls on small shared trees, by loom: `ci/loom.sh`.
//!
//! Words are of 8 bits (once 16), four nodes each, so that trees of 16 leaves have several words an
//! order and a summary. How many preemptions loom tries is told at each model.
#![cfg(loom)]

use buddy_core::tree::{Modelled, Modelled16};
use buddy_core::{Eager, Lazy, Order, Policy, Tree};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;
use std::ops::Range;

type Shared<P> = Tree<Box<[Modelled]>, P>;

/// A tree and, for each leaf, whether it is somebody's.
struct Model<P: Policy> {
    tree: Shared<P>,
    taken: Vec<AtomicBool>,
}

impl<P: Policy> Model<P> {
    fn new(range: Range<usize>) -> Self {
        let words = Shared::<P>::metadata_words(range.clone());
        let taken = (0..range.end).map(|_| AtomicBool::new(false)).collect();
        let words = (0..words).map(|_| Modelled::zero()).collect();
        Self { tree: Tree::new(words, range).unwrap(), taken }
    }

    fn take(&self, first: usize, leaves: usize) {
        for leaf in first..first + leaves {
            assert!(!self.taken[leaf].swap(true, Relaxed), "leaf {leaf} is somebody's");
        }
    }

    /// To be called before the tree gets the leaves back.
    fn give(&self, first: usize, leaves: usize) {
        for leaf in first..first + leaves {
            assert!(self.taken[leaf].swap(false, Relaxed), "leaf {leaf} is nobody's");
        }
    }

    fn allocate(&self, leaves: usize) -> Option<usize> {
        let first = self.tree.allocate_exact(leaves).ok()?;
        self.take(first, leaves);
        Some(first)
    }

    fn free(&self, first: usize, leaves: usize) {
        self.give(first, leaves);
        self.tree.free_sized(first, leaves).unwrap();
    }

    /// At the end everything is in order, and merged if nothing is allocated.
    fn finish(&self, used: usize) {
        self.tree.settle();
        self.tree.validate().unwrap();
        let statistics = self.tree.statistics();
        assert_eq!(statistics.used(), used);
        if used == 0 {
            let fresh = Model::<P>::new(self.tree.range());
            assert_eq!(statistics.largest_free(), fresh.tree.statistics().largest_free());
        }
    }
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

/// Runs the same in every thread, and checks the tree at the end.
fn threads<P: Policy + 'static>(
    range: Range<usize>,
    count: usize,
    preemptions: usize,
    run: impl Fn(&Model<P>, usize) + Copy + Sync + Send + 'static,
) {
    check(preemptions, move || {
        let model = Arc::new(Model::<P>::new(range.clone()));
        let others: Vec<_> = (1..count)
            .map(|number| {
                let model = Arc::clone(&model);
                thread::spawn(move || run(&model, number))
            })
            .collect();
        run(&model, 0);
        for other in others {
            other.join().unwrap();
        }
        model.finish(0);
    });
}

/// Splits against splits, merges against merges, and each against the other.
fn allocate_and_free<P: Policy>(model: &Model<P>, number: usize) {
    let leaves = 1 + number;
    if let Some(first) = model.allocate(leaves) {
        model.free(first, leaves);
    }
}

#[test]
fn two_threads_allocate_and_free() {
    threads(0..4, 2, 3, allocate_and_free::<Eager>);
    threads(0..4, 2, 3, allocate_and_free::<Lazy>);
}

/// One thread frees one of both leaves, while two others want one each: an allocation meets a free and
/// another allocation, a merge meets a split.
fn two_allocate_while_one_frees<P: Policy + 'static>() {
    check(1, || {
        let model = Arc::new(Model::<P>::new(0..2));
        let first = model.allocate(1).unwrap();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || allocate_and_free(&model, 0))
            })
            .collect();
        model.free(first, 1);
        for other in others {
            other.join().unwrap();
        }
        model.finish(0);
    });
}

#[test]
fn two_threads_allocate_while_one_frees_eagerly() {
    two_allocate_while_one_frees::<Eager>();
}

#[test]
fn two_threads_allocate_while_one_frees_lazily() {
    two_allocate_while_one_frees::<Lazy>();
}

#[test]
#[ignore = "takes minutes: ci/loom.sh --all"]
fn three_threads_allocate_and_free_eagerly() {
    threads(0..2, 3, 1, |model: &Model<Eager>, _| allocate_and_free(model, 0));
}

#[test]
#[ignore = "takes minutes: ci/loom.sh --all"]
fn three_threads_allocate_and_free_lazily() {
    threads(0..2, 3, 1, |model: &Model<Lazy>, _| allocate_and_free(model, 0));
}

/// There is a block for everybody, so nobody is refused.
#[test]
fn nobody_is_refused_while_there_is_a_block() {
    let run = |model: &Model<Eager>, _: usize| {
        let first = model.allocate(1).expect("there is a leaf for each");
        model.free(first, 1);
    };
    threads(0..2, 2, 3, run);
    let run = |model: &Model<Lazy>, _: usize| {
        let first = model.allocate(1).expect("there is a leaf for each");
        model.free(first, 1);
    };
    threads(0..2, 2, 3, run);
}

/// A word of nodes is emptied by one thread while another frees into it: the summary tells of it in
/// the end.
fn summary<P: Policy + 'static>(preemptions: usize) {
    check(preemptions, || {
        let model = Arc::new(Model::<P>::new(0..16));
        // All leaves, of which one is free in the second word.
        let firsts: Vec<_> = (0..16).map(|_| model.allocate(1).unwrap()).collect();
        model.free(firsts[5], 1);
        model.tree.settle();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.free(6, 1))
        };
        let first = model.allocate(1).expect("leaf 5 is free");
        other.join().unwrap();
        // Whichever is left is found.
        let left = model.allocate(1).expect("one is free");
        assert_eq!([first.min(left), first.max(left)], [5, 6]);
        model.finish(16);
    });
}

#[test]
fn a_summary_bit_is_set_and_cleared_at_once() {
    summary::<Eager>(3);
    summary::<Lazy>(3);
}

/// One call makes a word of a summary non-empty and empty again, because the block that it frees is
/// taken meanwhile; another, in between, relies on it for the bit above.
#[test]
fn a_summary_word_is_emptied_while_another_fills_it() {
    type Large = Tree<Box<[Modelled16]>, Eager>;
    // So many leaves that three words have the bits of the words of order 0.
    const RANGE: Range<usize> = 0..264;
    check(2, || {
        let words = (0..Large::metadata_words(RANGE)).map(|_| Modelled16::zero()).collect();
        let tree = Arc::new(Large::new(words, RANGE).unwrap());
        // All leaves; 0 and 8 lie in two words, whose bits lie in one word.
        for (first, leaves) in [(0, 1), (8, 1), (1, 7), (9, 255)] {
            tree.allocate_at(first, leaves).unwrap();
        }
        let taker = {
            let tree = Arc::clone(&tree);
            thread::spawn(move || tree.allocate_exact(1).is_ok())
        };
        let other = {
            let tree = Arc::clone(&tree);
            thread::spawn(move || tree.free_sized(8, 1).unwrap())
        };
        tree.free_sized(0, 1).unwrap();
        let is_taken = taker.join().unwrap();
        other.join().unwrap();
        tree.validate().unwrap();
        let left = (0..2).filter(|_| tree.allocate_exact(1).is_ok()).count();
        assert_eq!(left, 2 - usize::from(is_taken));
    });
}

/// Frees into two words of an order make each the active one in turn.
#[test]
fn the_active_word_changes_hands() {
    check(3, || {
        let model = Arc::new(Model::<Lazy>::new(0..8));
        for _ in 0..8 {
            model.allocate(1).unwrap();
        }
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.free(1, 1))
        };
        model.free(4, 1);
        other.join().unwrap();
        assert!(model.allocate(1).is_some() && model.allocate(1).is_some());
        model.finish(8);
    });
}

fn double_free<P: Policy + 'static>() {
    check(3, || {
        let model = Arc::new(Model::<P>::new(0..4));
        let first = model.tree.allocate_exact(3).unwrap();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.tree.free_sized(first, 3).is_ok())
        };
        let mine = model.tree.free_sized(first, 3).is_ok();
        assert!(mine != other.join().unwrap(), "exactly one of two frees succeeds");
        model.finish(0);
    });
}

#[test]
fn one_of_two_frees_succeeds() {
    double_free::<Eager>();
    double_free::<Lazy>();
}

/// A block grows into what another thread allocates.
#[test]
fn growth_meets_an_allocation() {
    check(3, || {
        let model = Arc::new(Model::<Eager>::new(0..4));
        let first = model.allocate(1).unwrap();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.allocate(1))
        };
        let grown = model.tree.grow(first, 1, 3).is_ok();
        let leaves = if grown { 3 } else { 1 };
        model.take(first + 1, leaves - 1);
        if let Some(other) = other.join().unwrap() {
            model.free(other, 1);
        }
        model.free(first, leaves);
        model.finish(0);
    });
}

#[test]
fn a_word_is_taken_by_several_at_once() {
    let run = |model: &Model<Eager>, _: usize| {
        let mut blocks = [0; 3];
        let had = model.tree.allocate_many(Order::MIN, &mut blocks);
        for first in &blocks[..had] {
            model.take(*first, 1);
        }
        for first in &blocks[..had] {
            model.free(*first, 1);
        }
    };
    threads(0..4, 2, 1, run);
}
