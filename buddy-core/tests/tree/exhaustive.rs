//! Every state that small trees can reach, found by breadth-first search: every call with every
//! argument from every state. A state is what all words of the metadata say, so that also the
//! unmerged blocks of a lazy tree, stale hints, and each way to reserve the same leaves count.
//! Ranges across a large power of two have two words in every order; larger ones, of which only a
//! few leaves are not reserved, have summaries.

use crate::action::Action;
use crate::calls::{Arguments, Calls};
use crate::model::Model;
use crate::subject::{Subject, storage};
use buddy_core::{Atomic, Atomic32, Eager, Kind, Lazy, Order, Plain, Plain32, Policy, Word};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// A state, and how it was first reached.
struct State {
    words: Rc<[usize]>,
    model: Model,
    path: Option<(usize, Action)>,
}

struct Search<'w, W: Word, P: Policy> {
    subject: Subject<'w, W, P>,
    states: Vec<State>,
    index: HashMap<Rc<[usize]>, usize>,
}

impl<'w, W: Word, P: Policy> Search<'w, W, P> {
    fn new(subject: Subject<'w, W, P>) -> Self {
        Self { subject, states: Vec::new(), index: HashMap::new() }
    }

    /// Makes every call from every state; returns how many calls that were.
    fn run(&mut self, calls: Calls) -> usize {
        let arguments = Arguments::new(calls, &self.subject.model);
        let peak_word = peak_word::<W>();
        self.discover(None);
        let (mut at, mut made) = (0, 0);
        while at < self.states.len() {
            let mut has_changed = true;
            for action in arguments.actions(&self.states[at].model) {
                if has_changed {
                    self.subject.restore(&self.states[at].words);
                    self.subject.model.clone_from(&self.states[at].model);
                }
                let trail = Trail { states: &self.states, at, action: &action };
                self.subject.apply(&action);
                has_changed = !self.subject.words().eq(self.states[at].words.iter().copied());
                if has_changed {
                    self.subject.forget_peak(peak_word);
                    self.check();
                    drop(trail);
                    self.discover(Some((at, action)));
                }
                made += 1;
            }
            at += 1;
        }
        made
    }

    /// Checks the state that the tree is in: all of it if it is new.
    fn check(&self) {
        let words: Rc<[usize]> = self.subject.words().collect();
        match self.index.get(&words) {
            Some(known) => assert_eq!(self.subject.model, self.states[*known].model, "same words"),
            None => self.subject.verify(),
        }
    }

    /// Adds the state that the tree is in, unless it is known.
    fn discover(&mut self, path: Option<(usize, Action)>) {
        let words: Rc<[usize]> = self.subject.words().collect();
        if !self.index.contains_key(&words) {
            self.index.insert(words.clone(), self.states.len());
            self.states.push(State { words, model: self.subject.model.clone(), path });
        }
    }
}

/// Tells how the state was reached in which a check failed.
struct Trail<'s> {
    states: &'s [State],
    at: usize,
    action: &'s Action,
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut path = vec![self.action];
        let mut state = &self.states[self.at];
        while let Some((before, action)) = &state.path {
            path.push(action);
            state = &self.states[*before];
        }
        path.reverse();
        eprintln!("in a tree up to leaf {}: {path:?}", state.model.capacity_end);
    }
}

/// Where the metadata keeps the peak: the one word that remembers the past. The search lets the
/// tree forget it, or every state would count once for each peak.
fn peak_word<W: Word>() -> usize {
    let storage = storage::<W>(&(0..1));
    let subject = Subject::<W, Eager>::new(&storage, 0..1);
    subject.tree.settle();
    let before: Vec<usize> = subject.words().collect();
    let block = subject.tree.allocate(Order::MIN).unwrap();
    subject.tree.free(block).unwrap();
    subject.tree.settle();
    let changed: Vec<usize> = subject.words().zip(before).map(|(new, old)| new ^ old).collect();
    assert_eq!(changed.iter().filter(|change| **change != 0).count(), 1);
    changed.iter().position(|change| *change != 0).unwrap()
}

/// Searches all states from this one on and prints how many there are.
fn explore<W: Word, P: Policy>(calls: Calls, subject: Subject<'_, W, P>) {
    let (range, free) = (subject.model.range(), subject.model.count(Kind::Free));
    let mut search = Search::new(subject);
    let made = search.run(calls);
    println!(
        "{free} leaves in {range:?}, {}-bit words, {}, {calls:?}: {} states, {made} calls",
        W::BITS,
        if P::LAZY { "lazy" } else { "eager" },
        search.states.len()
    );
}

/// Searches the states of a tree over each of the ranges.
fn search<W: Word, P: Policy>(calls: Calls, ranges: &[Range<usize>]) {
    for range in ranges {
        let storage = storage::<W>(range);
        explore::<W, P>(calls, Subject::new(&storage, range.clone()));
    }
}

/// Searches the states of a larger tree of which all but a few leaves stay reserved.
fn search_islands<W: Word, P: Policy>(range: Range<usize>, islands: &[Range<usize>]) {
    let storage = storage::<W>(&range);
    let mut subject = Subject::<W, P>::reserved(&storage, range);
    for island in islands {
        subject.apply(&Action::Release { first: island.start, leaves: island.len() });
    }
    explore(Calls::Blocks, subject);
}

/// `leaves` leaves across leaf 2^12, where a word begins in every order.
const fn straddling(leaves: usize) -> Range<usize> {
    (1 << 12) - leaves / 2..(1 << 12) + leaves.div_ceil(2)
}

fn every_call_from_every_state<W: Word, P: Policy>() {
    search::<W, P>(Calls::All, &[0..1, 0..2, 0..3, 0..4, 3..8, straddling(4)]);
    // Four words of nodes and more than two have a summary,
    let word = W::BITS as usize / 2;
    search_islands::<W, P>(
        0..4 * word,
        &[word - 2..word + 1, 2 * word..2 * word + 1, 4 * word - 1..4 * word],
    );
    // and more than two words of summary have one, too.
    let summary = word * W::BITS as usize;
    search_islands::<W, P>(
        7..4 * summary,
        &[summary - 1..summary + 1, 2 * summary..2 * summary + 1, 4 * summary - 1..4 * summary],
    );
}

for_every_tree!(every_call_from_every_state as every_call_from_every_state_of_few_leaves);

fn five_leaves<W: Word, P: Policy>() {
    search::<W, P>(Calls::All, &[0..5, straddling(5)]);
}

for_every_tree!(five_leaves as every_call_from_every_state_of_five_leaves);

#[test]
fn every_call_from_every_state_of_six_and_seven_leaves() {
    search::<Plain32, Eager>(Calls::All, &[0..6, 2..9, straddling(6)]);
    search::<Plain, Eager>(Calls::All, &[3..9, 0..7]);
    search::<Atomic32, Lazy>(Calls::All, &[0..6, straddling(6)]);
}

#[test]
fn every_state_without_reserved_leaves_of_up_to_ten_leaves() {
    search::<Plain, Eager>(Calls::Blocks, &[0..7, 0..8, 0..9, 0..10]);
    search::<Atomic32, Eager>(Calls::Blocks, &[5..12, 3..13]);
    search::<Plain32, Lazy>(Calls::Blocks, &[0..6, 3..10]);
    search::<Atomic, Lazy>(Calls::Blocks, &[0..7, straddling(6)]);
}

// A few minutes: `ci/exhaustive.sh`. In parts, which are run side by side.

#[test]
#[ignore = "takes minutes"]
fn every_state_of_larger_eager_trees() {
    search::<Plain32, Eager>(Calls::All, &[0..8, 3..11, straddling(8)]);
}

#[test]
#[ignore = "takes minutes"]
fn every_state_of_larger_lazy_trees_of_blocks() {
    search::<Plain, Lazy>(Calls::Blocks, &[0..8, 3..11]);
    search::<Plain32, Lazy>(Calls::Blocks, &[straddling(8)]);
}

#[test]
#[ignore = "takes minutes"]
fn every_state_of_larger_lazy_trees() {
    search::<Plain32, Lazy>(Calls::All, &[3..9, straddling(7)]);
}
