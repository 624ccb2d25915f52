//! Every interleaving of a few calls on a magazine of one row, by loom: `ci/loom.sh`.
//!
//! The tree is two flags a block: whether it is free, and whether it is detached. Blocks are single
//! leaves.

extern crate std;
use super::*;
use crate::tree::{Modelled, Order};
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use loom::thread;
use std::boxed::Box;
use std::vec::Vec;

/// Blocks of a group.
const GROUP: usize = 2;
/// Blocks: three groups.
const BLOCKS: usize = 3 * GROUP;

struct Model {
    words: Box<[Modelled]>,
    shape: Shape,
    /// Whether a block is free in the tree.
    free: Vec<AtomicBool>,
    /// Whether a block is attached: allocated, and in nobody's hands.
    attached: Vec<AtomicBool>,
    /// Whether a block is held by a thread.
    held: Vec<AtomicBool>,
}

impl Model {
    fn new() -> Arc<Self> {
        let shape = Shape::smallest::<Modelled>();
        let flags = |value| (0..BLOCKS).map(|_| AtomicBool::new(value)).collect();
        let words: Box<[_]> = (0..shape.words()).map(|_| Modelled::zero()).collect();
        Magazine::new(&words, &shape, 1, 1).lay_out();
        let (free, attached, held) = (flags(true), flags(false), flags(false));
        Arc::new(Self { words, shape, free, attached, held })
    }

    fn magazine(&self) -> Magazine<'_, Modelled> {
        Magazine::new(&self.words, &self.shape, 1, 1)
    }

    fn class() -> Class {
        Class::holding(0, 1)
    }

    fn hold(&self, block: usize) -> usize {
        assert!(!self.held[block].swap(true, AcqRel), "{block} is held twice");
        block
    }

    /// Takes a block from the magazine, or else a group's from the tree.
    fn allocate(&self, group: usize) -> Option<usize> {
        let (magazine, class) = (self.magazine(), Self::class());
        let taken = magazine.take(0, class).or_else(|| magazine.take_marked(0, class));
        let taken = taken.or_else(|| {
            let nodes =
                (0..GROUP).filter(|node| self.free[group * GROUP + node].swap(false, AcqRel));
            let blocks = nodes.fold(0, |blocks, node| blocks | 1 << node);
            let row = Row { order: Order::MIN, leaves: 1, number: group, blocks };
            (blocks != 0).then(|| magazine.load(0, class, row, self))
        });
        taken.map(|block| self.hold(block))
    }

    /// Frees a block, if it is allocated.
    fn give(&self, block: usize) -> bool {
        let (magazine, class) = (self.magazine(), Self::class());
        match magazine.keep(block, class) {
            Kept::Yes => return true,
            Kept::Unmarked => {
                magazine.mark(block, class, self);
                return true;
            }
            Kept::Before => return false,
            Kept::No => {}
        }
        let row = Row {
            order: Order::MIN,
            leaves: 1,
            number: block / GROUP,
            blocks: 1 << (block % GROUP),
        };
        if self.detach(row) == 0 {
            return false;
        }
        if magazine.adopt(block, class, self) {
            return true;
        }
        let is_held = magazine.forget(block, class);
        if is_held {
            Backing::free(self, row);
        } else {
            self.reattach(row);
        }
        is_held
    }

    fn free(&self, block: usize) {
        assert!(self.held[block].swap(false, AcqRel), "{block} is not held");
        assert!(self.give(block), "{block} was held, and could not be freed");
    }

    /// Frees what is still held: all blocks are in the tree once what rests is given back, each once.
    fn finish(&self) {
        for block in (0..BLOCKS).filter(|block| self.held[*block].load(Acquire)) {
            self.free(block);
        }
        self.magazine().drain(self);
        assert_eq!(self.magazine().resting(), 0);
        let lost: Vec<_> = (0..BLOCKS).filter(|block| !self.free[*block].load(Acquire)).collect();
        assert!(lost.is_empty(), "{lost:?} are neither free nor held nor at rest");
    }
}

/// The blocks of a row.
fn blocks(row: Row) -> impl Iterator<Item = usize> {
    (0..GROUP)
        .filter(move |node| row.blocks >> node & 1 == 1)
        .map(move |node| row.number * GROUP + node)
}

impl Backing for Model {
    fn detach(&self, row: Row) -> usize {
        let detached = blocks(row).filter(|block| self.attached[*block].swap(false, AcqRel));
        detached.fold(0, |bits, block| bits | 1 << (block % GROUP))
    }

    fn siblings(&self, _: Row) -> usize {
        0
    }

    fn reattach(&self, row: Row) {
        for block in blocks(row) {
            assert!(!self.attached[block].swap(true, AcqRel), "{block} is attached twice");
        }
    }

    fn free(&self, row: Row) {
        for block in blocks(row) {
            assert!(!self.free[block].swap(true, AcqRel), "{block} is free twice");
        }
    }
}

fn threads(preemptions: usize, runs: Vec<fn(&Model)>) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let model = Model::new();
        let others: Vec<_> = runs[1..]
            .iter()
            .map(|run| {
                let (model, run) = (Arc::clone(&model), *run);
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

/// A pair in a group.
fn pair<const NUMBER: usize>(model: &Model) {
    if let Some(block) = model.allocate(NUMBER) {
        model.free(block);
    }
}

fn drain(model: &Model) {
    let magazine = model.magazine();
    magazine.press();
    magazine.drain(model);
    magazine.relax();
}

#[test]
fn threads_share_a_row() {
    threads(3, std::vec![pair::<0>, pair::<0>]);
}

#[test]
fn threads_want_one_row_for_two_groups() {
    threads(3, std::vec![pair::<0>, pair::<1>]);
}

#[test]
fn a_row_is_drained_while_it_is_used() {
    threads(2, std::vec![pair::<0>, drain]);
    threads(1, std::vec![pair::<0>, pair::<1>, drain]);
}

/// Whoever is short of memory and has emptied all rows knows: what was freed before is in the tree.
#[test]
fn nothing_rests_behind_the_back_of_who_is_short_of_memory() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let model = Model::new();
        let block = model.allocate(0).unwrap();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.free(block))
        };
        let magazine = model.magazine();
        magazine.press();
        magazine.drain(&*model);
        other.join().unwrap();
        // The free is over: its block is not at rest.
        assert_eq!(magazine.resting(), 0);
        magazine.relax();
        model.finish();
    });
}

/// As soon as the tree has a block that rested, anybody may hold it, and give it back.
#[test]
fn what_a_drain_has_given_back_is_at_rest_no_more() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let model = Model::new();
        let first = model.allocate(0).unwrap();
        assert_eq!(model.magazine().resting(), 1);
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || drain(&model))
        };
        if let Some(block) = model.allocate(0) {
            model.free(block);
        }
        other.join().unwrap();
        model.free(first);
        model.finish();
    });
}

/// Frees the held block 0, which two threads do: how many succeeded.
fn free_twice(preemptions: usize, prepare: fn(&Model), other: fn(&Model)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let model = Model::new();
        assert_eq!(model.allocate(0), Some(0));
        prepare(&model);
        model.held[0].store(false, Release);
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

/// Of several frees of one block one succeeds, wherever the block goes meanwhile.
#[test]
fn one_of_two_frees_succeeds() {
    free_twice(2, |_| {}, |_| {});
    // No member.
    free_twice(3, drain, |_| {});
    // Its row is taken by another group.
    free_twice(2, |model| _ = (model.allocate(1), model.allocate(1)), |_| {});
    // Its row is given back at the same time.
    free_twice(1, |_| {}, drain);
    free_twice(1, drain, drain);
}
