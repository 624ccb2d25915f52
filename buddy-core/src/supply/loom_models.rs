//! Every interleaving of a few calls on slabs of 8 slots, by loom: `ci/loom.sh`.

extern crate std;
use super::*;
use crate::tree::{Eager, Modelled16};
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::AcqRel;
use loom::thread;
use std::boxed::Box;
use std::vec::Vec;

/// Leaves, in slabs of single ones.
const LEAVES: usize = 32;
const SLOTS: usize = 8;

type Words = Box<[Modelled16]>;

struct Model {
    tree: Tree<Words, Eager>,
    shape: Shape,
    /// Whether a leaf is held by a thread.
    held: Vec<AtomicBool>,
}

impl Model {
    fn new() -> Arc<Self> {
        let own = Tree::<Words, Eager>::metadata_words(0..LEAVES);
        let words: Words = (0..own + 50).map(|_| Modelled16::zero()).collect();
        let tree = Tree::new_zeroed(words, 0..LEAVES).unwrap();
        let shape = Shape::of_one_class(&tree, own);
        let held = (0..LEAVES).map(|_| AtomicBool::new(false)).collect();
        let model = Self { tree, shape, held };
        model.supply().clear();
        Arc::new(model)
    }

    fn supply(&self) -> Supply<'_, Words, Eager> {
        Supply::new(&self.tree, &self.shape, Leaves)
    }

    fn class() -> Class {
        Class::holding(0, Eager::PRECISION)
    }

    fn hold(&self, leaf: usize) -> usize {
        assert!(!self.held[leaf].swap(true, AcqRel), "{leaf} is held twice");
        leaf
    }

    /// Takes a slot, of a new slab if there is no other.
    fn take(&self) -> Option<usize> {
        let (supply, class) = (self.supply(), Self::class());
        let taken = supply.take(class).or_else(|| supply.take_marked(class));
        let taken = taken.or_else(|| Some(supply.raise_for(class, supply.record(class)?)?.first));
        taken.map(|leaf| self.hold(leaf))
    }

    fn give(&self, leaf: usize) -> bool {
        self.supply().give(leaf, Self::class())
    }

    fn free(&self, leaf: usize) {
        assert!(self.held[leaf].swap(false, AcqRel), "{leaf} is not held");
        assert!(self.give(leaf), "{leaf} was held, and could not be freed");
    }

    /// Frees what is still held; then all is free, and the tree is whole.
    fn finish(&self) {
        for leaf in 0..LEAVES {
            if self.held[leaf].swap(false, AcqRel) {
                assert!(self.give(leaf), "{leaf} was held, and could not be freed");
            }
        }
        self.supply().dissolve();
        assert_eq!(self.supply().resting(), 0);
        self.tree.settle();
        assert_eq!(self.tree.free_leaves(), LEAVES);
        assert_eq!(self.tree.validate(), Ok(()));
    }
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

/// Runs these side by side, after `prepare`.
fn threads(preemptions: usize, prepare: fn(&Model), runs: &'static [fn(&Model)]) {
    check(preemptions, move || {
        let model = Model::new();
        prepare(&model);
        let others: Vec<_> = runs[1..]
            .iter()
            .map(|run| {
                let model = Arc::clone(&model);
                thread::spawn(move || run(&model))
            })
            .collect();
        runs[0](&model);
        for other in others {
            other.join().unwrap();
        }
        model.finish();
    });
}

fn pair(model: &Model) {
    if let Some(leaf) = model.take() {
        model.free(leaf);
    }
}

/// As if memory were short, but that nothing is asked for.
fn shortage(model: &Model) {
    assert_eq!(model.supply().insist(|| None::<()>), None);
}

/// One slab, of which so many slots are held.
fn with_held<const COUNT: usize>(model: &Model) {
    for leaf in 0..COUNT {
        assert_eq!(model.take(), Some(leaf));
    }
}

#[test]
fn threads_share_a_slab() {
    threads(3, with_held::<1>, &[pair, pair]);
}

#[test]
fn a_slab_is_razed_while_others_take_from_it() {
    threads(2, with_held::<1>, &[|model| model.free(0), pair]);
    // One that nobody takes from: another slab is the hint.
    let others_hint = |model: &Model| {
        with_held::<{ SLOTS + 1 }>(model);
        for leaf in 1..SLOTS {
            model.free(leaf);
        }
    };
    threads(2, others_hint, &[|model| model.free(0), pair]);
}

#[test]
fn a_slab_becomes_a_tree_while_it_is_used() {
    threads(2, with_held::<2>, &[shortage, |model| model.free(1)]);
    threads(2, with_held::<1>, &[shortage, pair]);
    threads(1, with_held::<2>, &[shortage, |model| model.free(0), |model| model.free(1)]);
    threads(2, with_held::<1>, &[shortage, shortage]);
}

#[test]
fn a_slab_is_raised_while_memory_is_short() {
    threads(2, |_| {}, &[shortage, pair]);
}

/// Of several frees of one slot one succeeds, whatever becomes of its slab meanwhile.
#[test]
fn one_of_two_frees_succeeds() {
    fn free_twice(preemptions: usize, held: fn(&Model), other: fn(&Model)) {
        check(preemptions, move || {
            let model = Model::new();
            held(&model);
            model.held[0].swap(false, AcqRel);
            let second = {
                let model = Arc::clone(&model);
                thread::spawn(move || model.give(0))
            };
            let third = {
                let model = Arc::clone(&model);
                thread::spawn(move || other(&model))
            };
            let first = model.give(0);
            let second = second.join().unwrap();
            third.join().unwrap();
            assert!(first != second, "one of two frees succeeds: {first}, {second}");
            model.finish();
        });
    }
    free_twice(2, with_held::<2>, |_| {});
    free_twice(2, with_held::<SLOTS>, |_| {});
    free_twice(1, with_held::<2>, shortage);
    free_twice(1, with_held::<SLOTS>, shortage);
}

/// Whoever is short of memory has what was freed before: no slot is left behind its back.
#[test]
fn nothing_is_free_behind_the_back_of_who_is_short_of_memory() {
    // A slab without free slots, of which one is freed; and one that is raised.
    fn freed(model: &Model) {
        model.free(0);
    }
    for (prepare, run) in [
        (with_held::<SLOTS> as fn(&Model), freed as fn(&Model)),
        (with_held::<2>, freed),
        (|_| {}, |model| _ = model.take()),
    ] {
        check(2, move || {
            let model = Model::new();
            prepare(&model);
            let other = {
                let model = Arc::clone(&model);
                thread::spawn(move || run(&model))
            };
            let pressure = &model.supply().words()[model.shape.pressure];
            pressure.add(1);
            model.supply().settle();
            other.join().unwrap();
            // The other call is over: what it gave up is in the tree.
            assert_eq!(model.supply().resting(), 0);
            pressure.sub(1);
            model.finish();
        });
    }
}

/// A free that is over before a request begins serves it, even if another free of the same slab, which
/// was full, has stopped in the middle.
#[test]
fn a_request_is_refused_only_while_nothing_is_free() {
    check(2, || {
        let model = Model::new();
        with_held::<SLOTS>(&model);
        // The rest of the tree.
        while let Ok(leaf) = model.tree.allocate(Order::MIN) {
            model.hold(leaf);
        }
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.free(0))
        };
        model.free(1);
        let taken = model.supply().insist(|| model.tree.allocate(Order::MIN).ok());
        model.hold(taken.expect("leaf 1, or 0"));
        other.join().unwrap();
        model.finish();
    });
}
