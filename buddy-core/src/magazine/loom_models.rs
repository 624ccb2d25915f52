//! Every interleaving of a few calls on a magazine of one row, by loom: `ci/loom.sh`.
//!
//! The tree is a flag a block: whether it is allocated to the tree's user. Blocks are single leaves.

extern crate std;
use super::*;
use crate::tree::Modelled;
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{AcqRel, Acquire};
use loom::thread;
use std::boxed::Box;
use std::vec::Vec;

/// Blocks: two words of nodes.
const BLOCKS: usize = 8;

struct Model {
    words: Box<[Modelled]>,
    shape: Shape,
    /// Whether a block is free in the tree.
    free: Vec<AtomicBool>,
    /// Whether a block is held by a thread.
    held: Vec<AtomicBool>,
}

impl Model {
    fn new() -> Arc<Self> {
        let shape = Shape::smallest::<Modelled>();
        let flags = |value| (0..BLOCKS).map(|_| AtomicBool::new(value)).collect();
        let words = (0..shape.words()).map(|_| Modelled::zero()).collect();
        Arc::new(Self { words, shape, free: flags(true), held: flags(false) })
    }

    fn magazine(&self) -> Magazine<'_, Modelled> {
        Magazine::new(&self.words, self.shape, 1)
    }

    fn class() -> Class {
        Class::holding(0, 1)
    }

    /// The tree takes a row back.
    fn give(&self, row: Row) {
        for node in (0..4).filter(|node| row.blocks >> node & 1 == 1) {
            let block = row.number * 4 + node;
            assert!(!self.free[block].swap(true, AcqRel), "{block} is free twice");
        }
    }

    fn hold(&self, block: usize) -> usize {
        assert!(!self.held[block].swap(true, AcqRel), "{block} is held twice");
        block
    }

    /// Takes a block from the magazine, or else two of a word from the tree.
    fn allocate(&self, word: usize) -> Option<usize> {
        let (magazine, class) = (self.magazine(), Self::class());
        let taken = magazine.take(0, class).or_else(|| magazine.take_marked(0, class));
        let taken = taken.or_else(|| {
            let mut nodes = (0..4).filter(|node| self.free[word * 4 + node].swap(false, AcqRel));
            let blocks = nodes.by_ref().take(2).fold(0, |blocks, node| blocks | 1 << node);
            let row = Row { order: Order::MIN, leaves: 1, number: word, blocks };
            (blocks != 0).then(|| magazine.load(0, class, row, |row| self.give(row)))
        });
        taken.map(|block| self.hold(block))
    }

    fn free(&self, block: usize) {
        assert!(self.held[block].swap(false, AcqRel), "{block} is not held");
        let (magazine, class) = (self.magazine(), Self::class());
        let kept = match magazine.keep(block, class) {
            Kept::No => magazine.adopt(block, class, |row| self.give(row)),
            kept => kept,
        };
        assert!(kept != Kept::Before, "{block} was held, not at rest");
        if kept == Kept::No {
            magazine.forget(block, class);
            assert!(!self.free[block].swap(true, AcqRel), "{block} is free twice");
        }
    }

    /// Nobody holds a block: all are in the tree once what rests is given back, each once.
    fn finish(&self) {
        self.magazine().drain(|row| self.give(row));
        assert_eq!(self.magazine().resting(), 0);
        let lost: Vec<_> = (0..BLOCKS).filter(|block| !self.free[*block].load(Acquire)).collect();
        assert!(lost.is_empty(), "{lost:?} are neither free nor held nor at rest");
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

/// A pair in a word of nodes.
fn pair<const WORD: usize>(model: &Model) {
    if let Some(block) = model.allocate(WORD) {
        model.free(block);
    }
}

fn drain(model: &Model) {
    let magazine = model.magazine();
    magazine.press();
    magazine.drain(|row| model.give(row));
    magazine.relax();
}

#[test]
fn threads_share_a_row() {
    threads(3, std::vec![pair::<0>, pair::<0>]);
}

#[test]
fn threads_want_one_row_for_two_words_of_nodes() {
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
        magazine.drain(|row| model.give(row));
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
