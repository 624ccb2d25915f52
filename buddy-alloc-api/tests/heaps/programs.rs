//! Random programs on collections of a heap and of the standard library: what they hold is the same
//! at every step, and in the end all memory is back.

use crate::kind::{Global, Hard, Kind, Lanes, LockFree, Locked, Single, SingleEager, assert_empty};
use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::boxed::Box;
use buddy_alloc_api::allocator_api2::vec::Vec;
use core::cell::Cell;
use hashbrown::HashMap;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::HashMap as StdHashMap;
use std::vec::Vec as StdVec;

const SLOTS: usize = 4;

/// A value with an alignment of its own, and more bytes than a word.
#[repr(align(64))]
#[derive(Clone, Debug, PartialEq)]
struct Wide([u32; 20]);

impl Wide {
    fn new(value: u32) -> Self {
        Self(core::array::from_fn(|at| value.wrapping_mul(at as u32 + 1)))
    }
}

/// More than the table of any map here.
type Table = [u64; 1 << 14];

#[derive(Clone, Debug)]
enum Action {
    Push {
        slot: usize,
        value: u32,
        count: u32,
    },
    Truncate {
        slot: usize,
        len: usize,
    },
    Drain {
        slot: usize,
        count: usize,
    },
    /// May be more than there is.
    Reserve {
        slot: usize,
        more: usize,
    },
    Shrink {
        slot: usize,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Insert {
        slot: usize,
        first: u16,
        count: u16,
    },
    Remove {
        slot: usize,
        modulus: u16,
    },
    Put {
        slot: usize,
        value: u32,
    },
    Forget {
        slot: usize,
    },
}

fn actions() -> impl Strategy<Value = StdVec<Action>> {
    let slot = || 0..SLOTS;
    let action = prop_oneof![
        4 => (slot(), any::<u32>(), 0..300_u32)
            .prop_map(|(slot, value, count)| Action::Push { slot, value, count }),
        1 => (slot(), 0..200_usize).prop_map(|(slot, len)| Action::Truncate { slot, len }),
        1 => (slot(), 0..100_usize).prop_map(|(slot, count)| Action::Drain { slot, count }),
        2 => (slot(), 0..10_000_usize).prop_map(|(slot, more)| Action::Reserve { slot, more }),
        2 => slot().prop_map(|slot| Action::Shrink { slot }),
        1 => (slot(), slot()).prop_map(|(from, to)| Action::Copy { from, to }),
        3 => (slot(), any::<u16>(), 0..300_u16)
            .prop_map(|(slot, first, count)| Action::Insert { slot, first, count }),
        1 => (slot(), 2..5_u16).prop_map(|(slot, modulus)| Action::Remove { slot, modulus }),
        2 => (slot(), any::<u32>()).prop_map(|(slot, value)| Action::Put { slot, value }),
        1 => slot().prop_map(|slot| Action::Forget { slot }),
    ];
    proptest::collection::vec(action, 1..80)
}

type OurMap<'b, H> = HashMap<u16, u32, hashbrown::DefaultHashBuilder, &'b Buddy<H>>;
type OurVec<'b, H> = Vec<Wide, &'b Buddy<H>>;
type OurBox<'b, H> = Box<Wide, &'b Buddy<H>>;

/// Collections of a heap, each beside the same of the standard library.
struct Program<'b, H: Kind> {
    vecs: [(OurVec<'b, H>, StdVec<Wide>); SLOTS],
    maps: [(OurMap<'b, H>, StdHashMap<u16, u32>); SLOTS],
    boxes: [Option<(OurBox<'b, H>, Wide)>; SLOTS],
    buddy: &'b Buddy<H>,
    refused: usize,
}

impl<'b, H: Kind> Program<'b, H> {
    fn new(buddy: &'b Buddy<H>) -> Self {
        Self {
            vecs: core::array::from_fn(|_| (Vec::new_in(buddy), StdVec::new())),
            maps: core::array::from_fn(|_| (HashMap::new_in(buddy), StdHashMap::new())),
            boxes: [const { None }; SLOTS],
            buddy,
            refused: 0,
        }
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Push { slot, value, count } => self.push(slot, value, count),
            Action::Truncate { slot, len } => {
                let (ours, theirs) = &mut self.vecs[slot];
                ours.truncate(len);
                theirs.truncate(len);
            }
            Action::Drain { slot, count } => {
                let (ours, theirs) = &mut self.vecs[slot];
                let count = count.min(theirs.len());
                assert!(ours.drain(..count).eq(theirs.drain(..count)));
            }
            Action::Reserve { slot, more } => {
                // Granted or refused, the elements stay.
                let (ours, theirs) = &mut self.vecs[slot];
                match ours.try_reserve(more) {
                    Ok(()) => assert!(ours.capacity() >= theirs.len() + more),
                    Err(_) => self.refused += 1,
                }
            }
            Action::Shrink { slot } => {
                self.vecs[slot].0.shrink_to_fit();
                // A map shrinks by moving, and aborts where there is no room for that.
                if Box::<Table, _>::try_new_uninit_in(self.buddy).is_ok() {
                    self.maps[slot].0.shrink_to_fit();
                }
            }
            Action::Copy { from, to } => self.copy(from, to),
            Action::Insert { slot, first, count } => {
                let (ours, theirs) = &mut self.maps[slot];
                if ours.try_reserve(usize::from(count)).is_err() {
                    self.refused += 1;
                    return;
                }
                for number in 0..count {
                    let (key, value) = (first.wrapping_add(number), u32::from(number));
                    assert_eq!(ours.insert(key, value), theirs.insert(key, value));
                }
            }
            Action::Remove { slot, modulus } => {
                let (ours, theirs) = &mut self.maps[slot];
                ours.retain(|key, _| key % modulus != 0);
                theirs.retain(|key, _| key % modulus != 0);
            }
            Action::Put { slot, value } => {
                let ours = Box::try_new_in(Wide::new(value), self.buddy);
                self.boxes[slot] = ours.ok().map(|ours| (ours, Wide::new(value)));
            }
            Action::Forget { slot } => {
                self.vecs[slot] = (Vec::new_in(self.buddy), StdVec::new());
                self.maps[slot] = (HashMap::new_in(self.buddy), StdHashMap::new());
                self.boxes[slot] = None;
            }
        }
    }

    fn push(&mut self, slot: usize, value: u32, count: u32) {
        let (ours, theirs) = &mut self.vecs[slot];
        for number in 0..count {
            if ours.try_reserve(1).is_err() {
                self.refused += 1;
                break;
            }
            ours.push(Wide::new(value ^ number));
            theirs.push(Wide::new(value ^ number));
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        let mut ours = Vec::new_in(self.buddy);
        if ours.try_reserve_exact(self.vecs[from].0.len()).is_err() {
            self.refused += 1;
            return;
        }
        ours.extend_from_slice(&self.vecs[from].0);
        self.vecs[to] = (ours, self.vecs[from].1.clone());
    }

    fn check(&self) {
        for (ours, theirs) in &self.vecs {
            assert_eq!(ours.as_slice(), theirs.as_slice());
            assert_eq!(ours.as_ptr().addr() % align_of::<Wide>(), 0);
        }
        for (ours, theirs) in &self.maps {
            assert_eq!(ours.len(), theirs.len());
            assert!(theirs.iter().all(|(key, value)| ours.get(key) == Some(value)));
        }
        for (ours, theirs) in self.boxes.iter().flatten() {
            assert_eq!(**ours, *theirs);
        }
    }
}

/// Runs programs on one heap, each where the one before left it.
fn check<H: Kind>() {
    let (heap, refused) = (Cell::new(Some(H::buddy())), Cell::new(0));
    let config = ProptestConfig {
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        ..ProptestConfig::with_cases(100)
    };
    proptest!(config, |(actions in actions())| {
        let buddy = heap.take().unwrap_or_else(H::buddy);
        let mut program = Program::new(&buddy);
        for action in &actions {
            program.step(action);
            program.check();
        }
        refused.set(refused.get() + program.refused);
        drop(program);
        heap.set(Some(assert_empty(buddy)));
    });
    assert!(refused.get() > 10, "the programs never ran out of memory");
}

#[test]
fn programs_for_one_thread_see_no_difference() {
    check::<Single>();
}

#[test]
fn programs_on_a_heap_that_merges_at_once_see_no_difference() {
    check::<SingleEager>();
}

#[test]
fn programs_without_a_lock_see_no_difference() {
    check::<LockFree>();
}

#[test]
fn programs_in_lanes_see_no_difference() {
    check::<Lanes>();
}

#[test]
fn programs_on_a_hardened_heap_see_no_difference() {
    check::<Hard>();
}

#[test]
fn programs_behind_a_lock_see_no_difference() {
    check::<Locked>();
}

#[test]
fn programs_on_a_global_alloc_see_no_difference() {
    check::<Global>();
}
