//! Every state that small trees can reach, found by breadth-first search: every call with every
//! argument from every state. A state is what all words of the metadata say, so that also the
//! unmerged blocks of a lazy tree, stale hints, and each way to reserve the same leaves count.
//! Ranges across a large power of two have more than one word, and summaries, in every order.

use crate::action::Action;
use crate::model::Model;
use crate::subject::{Subject, storage};
use buddy_core::{Atomic, Atomic32, Eager, Lazy, Order, Plain, Plain32, Policy, Word};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// A state, and how it was first reached.
struct State {
    words: Rc<[usize]>,
    model: Model,
    path: Option<(usize, Action)>,
}

/// The calls that a search makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// All.
    All,
    /// Those that change what is allocated: nothing is reserved, and the range's end stays.
    Blocks,
}

struct Search<'w, W: Word, P: Policy> {
    subject: Subject<'w, W, P>,
    states: Vec<State>,
    index: HashMap<Rc<[usize]>, usize>,
}

impl<'w, W: Word, P: Policy> Search<'w, W, P> {
    fn new(storage: &'w [W], range: Range<usize>) -> Self {
        let subject = Subject::new(storage, range);
        Self { subject, states: Vec::new(), index: HashMap::new() }
    }

    /// Makes every call from every state; returns how many calls that were.
    fn run(&mut self, peak_word: usize, calls: Calls) -> usize {
        self.discover(None);
        let (mut at, mut made) = (0, 0);
        while at < self.states.len() {
            let mut has_changed = true;
            for action in actions(&self.states[at].model, calls) {
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
    let before: Vec<usize> = subject.words().collect();
    let block = subject.tree.allocate(Order::MIN).unwrap();
    subject.tree.free(block).unwrap();
    let changed: Vec<usize> = subject.words().zip(before).map(|(new, old)| new ^ old).collect();
    assert_eq!(changed.iter().filter(|change| **change != 0).count(), 1);
    changed.iter().position(|change| *change != 0).unwrap()
}

/// Every call with every argument that makes sense in the range, and some that do not. Those that
/// name a block's size do so wrongly once, and otherwise as the block has it.
fn actions(model: &Model, calls: Calls) -> Vec<Action> {
    let mut list = vec![Action::Settle, Action::Reset];
    let capacity = model.capacity_end - model.range().start;
    let firsts = model.range().start.saturating_sub(1)..=model.capacity_end;
    let orders = || (0..=capacity.ilog2() + 1).filter_map(Order::new);
    for order in orders() {
        list.push(Action::Allocate { order });
        list.extend((0..=capacity + 1).map(|count| Action::AllocateMany { order, count }));
    }
    for leaves in 0..=capacity + 1 {
        list.push(Action::AllocateExact { leaves });
        list.extend(orders().map(|align| Action::AllocateAligned { leaves, align }));
        constrained(model, leaves, &mut list);
        if calls == Calls::All {
            list.extend([Action::Extend { leaves }, Action::Cut { leaves }]);
        }
    }
    for first in firsts {
        list.push(Action::Free { first });
        for leaves in 0..=model.capacity_end + 1 - first {
            list.push(Action::AllocateAt { first, leaves });
            list.push(Action::FreeSized { first, leaves });
            list.push(Action::FreePart { first, leaves });
            list.push(Action::Grow { first, old: leaves, new: leaves + 1 });
            list.push(Action::Shrink { first, old: leaves, new: leaves.saturating_sub(1) });
            if calls == Calls::All {
                list.push(Action::Reserve { first, leaves });
                list.push(Action::Release { first, leaves });
            }
        }
    }
    for block in model.blocks() {
        let (first, old) = (block.first, block.leaves);
        list.extend((0..=capacity + 1).map(|new| Action::Grow { first, old, new }));
        list.extend((0..=capacity + 1).map(|new| Action::Shrink { first, old, new }));
    }
    list
}

/// Requests for `leaves` leaves: in every range, at every alignment and boundary in some.
fn constrained(model: &Model, leaves: usize, list: &mut Vec<Action>) {
    let all = model.range();
    let within = |align, range, boundary| Action::AllocateWithin { leaves, align, range, boundary };
    for start in all.clone() {
        let ends = start + leaves.max(1) - 1..=all.end;
        list.extend(ends.map(|end| within(Order::MIN, start..end, None)));
    }
    for order in (0..=all.len().ilog2() + 1).filter_map(Order::new) {
        list.push(within(order, 0..usize::MAX, Some(Order::MIN)));
        list.push(within(Order::MIN, 0..usize::MAX, Some(order)));
        list.push(within(order, all.start + 1..all.end - 1, None));
        list.push(within(order, 0..all.end - 1, Some(order)));
        list.push(within(order, usize::MAX - 1..usize::MAX, None));
    }
}

/// Searches the states of a tree over each of the ranges and prints how many there are.
fn search<W: Word, P: Policy>(calls: Calls, ranges: &[Range<usize>]) {
    let peak_word = peak_word::<W>();
    for range in ranges {
        let storage = storage::<W>(range);
        let mut search = Search::<W, P>::new(&storage, range.clone());
        let made = search.run(peak_word, calls);
        println!(
            "leaves {range:?} in {}-bit words, {}, {}: {} states, {made} calls",
            W::BITS,
            if P::LAZY { "lazy" } else { "eager" },
            if calls == Calls::All { "all calls" } else { "no reserving" },
            search.states.len()
        );
    }
}

/// `leaves` leaves across leaf 2^12, where every order begins a word and a word of its summary.
const fn straddling(leaves: usize) -> Range<usize> {
    (1 << 12) - leaves / 2..(1 << 12) + leaves.div_ceil(2)
}

fn every_call_from_every_state<W: Word, P: Policy>() {
    search::<W, P>(Calls::All, &[0..1, 0..2, 0..3, 0..4, 3..8, straddling(4)]);
}

for_every_tree!(every_call_from_every_state as every_call_from_every_state_of_few_leaves);

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

/// A few minutes: `cargo test --release -p buddy-core --test tree -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn every_state_of_larger_trees() {
    search::<Plain32, Eager>(Calls::All, &[0..8, 3..11, straddling(8)]);
    search::<Plain, Lazy>(Calls::Blocks, &[0..8, 3..11]);
    search::<Plain32, Lazy>(Calls::Blocks, &[straddling(8)]);
    search::<Plain32, Lazy>(Calls::All, &[3..9, straddling(7)]);
}
