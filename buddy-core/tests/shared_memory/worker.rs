//! What each process does: allocate, write, check, free, and pass blocks to the others.

use crate::file::{Owner, SLOTS, Shared};
use buddy_core::{Atomic, Tree};
use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::thread;

/// What the panel tells the workers.
pub(crate) mod orders {
    /// Finish what you are at, and wait.
    pub(crate) const REST: usize = 1;
    pub(crate) const WORK: usize = 2;
    /// Free what you hold, and end.
    pub(crate) const STOP: usize = 3;
}

/// How many blocks a worker holds at most.
const HELD: usize = 40;

struct Worker<'s> {
    shared: &'s Shared,
    tree: Tree<&'s [Atomic]>,
    number: usize,
    held: Vec<usize>,
    random: u64,
}

impl Worker<'_> {
    /// xorshift64*, from a seed of the worker's own.
    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }

    fn step(&mut self) {
        // More allocations than frees, so that workers hold much, and meet a full tree.
        match self.random(16) {
            0 => self.send(),
            1 => self.receive(),
            2..=6 if !self.held.is_empty() => {
                let at = self.random(self.held.len());
                let first = self.held.swap_remove(at);
                self.free(first);
            }
            _ if self.held.len() < HELD => self.allocate(),
            _ => {}
        }
    }

    fn allocate(&mut self) {
        let limit = 1 << self.random(6);
        let leaves = 1 + self.random(limit);
        let Ok(first) = self.tree.allocate_exact(leaves) else {
            self.shared.refused().fetch_add(1, AcqRel);
            return;
        };
        let owner = Owner { worker: self.number, leaves };
        let before = self.shared.owners()[first].swap(owner.to_word(), AcqRel);
        assert_eq!(Owner::from_word(before), None, "the block at leaf {first} is taken");
        self.shared.fill(first, leaves, pattern(first));
        self.held.push(first);
    }

    /// Frees a block, whoever had it before.
    fn free(&mut self, first: usize) {
        // Nobody's before it is free: whoever allocates it next writes his name there.
        let owner = Owner::from_word(self.shared.owners()[first].swap(0, AcqRel));
        let Owner { leaves, .. } = owner.expect("a block that has an owner");
        assert!(self.shared.has(first, leaves, pattern(first)), "leaf {first} was written over");
        self.tree.free_sized(first, leaves).unwrap();
    }

    /// Puts a block into the mailbox, and frees one that was there.
    fn send(&mut self) {
        if let Some(first) = self.held.pop() {
            let slot = self.random(SLOTS);
            self.take(slot, first + 1);
        }
    }

    fn receive(&mut self) {
        let slot = self.random(SLOTS);
        self.take(slot, 0);
    }

    fn take(&mut self, slot: usize, letter: usize) {
        let before = self.shared.mailbox()[slot].swap(letter, AcqRel);
        if before != 0 {
            self.free(before - 1);
        }
    }
}

/// A byte that differs between neighbouring blocks.
const fn pattern(first: usize) -> u8 {
    (first % 251) as u8 + 1
}

/// The life of a worker process. It starts while the others rest.
pub(crate) fn run(path: &Path, number: usize) {
    let shared = &Shared::map(path);
    let tree = Tree::attach(shared.metadata()).expect("a tree at rest");
    let random = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut worker = Worker { shared, tree, number, held: Vec::new(), random };
    loop {
        let order = shared.order().load(Acquire);
        shared.obeyed(number).store(order, Release);
        match order {
            orders::WORK => {
                worker.step();
                shared.progress(number).fetch_add(1, AcqRel);
            }
            orders::STOP => break,
            _ => thread::yield_now(),
        }
    }
    for first in core::mem::take(&mut worker.held) {
        worker.free(first);
    }
}
