//! Frames and heap blocks allocated, marked, handed to other processors, checked and freed.

use super::faults::{self, perhaps_locked};
use super::random::Random;
use crate::machine::cpu::Cpu;
use crate::machine::{boot, pointer};
use crate::memory::frames;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use buddy_core::Order;
use buddy_core::frames::{Frame, PhysicalAddress, Request};
use core::sync::atomic::{AtomicUsize, Ordering::AcqRel};

/// Frames with a mark of their holder's in each.
pub(crate) struct Held {
    pub(crate) first: Frame,
    pub(crate) count: usize,
    mark: u64,
}

impl Held {
    /// Marks frames that were just allocated.
    pub(crate) fn new(first: Frame, count: usize, mark: u64) -> Self {
        let held = Self { first, count, mark };
        held.write_marks();
        held
    }

    fn words(&self) -> impl Iterator<Item = *mut u64> {
        let first = self.first;
        (0..self.count).map(move |at| pointer::<u64>(first.saturating_add(at).address()))
    }

    fn write_marks(&self) {
        for word in self.words() {
            // SAFETY: the frame is mapped, and this holder's.
            unsafe { word.write_volatile(self.mark) };
        }
    }

    /// Looks whether the marks are still there: nobody else was given these frames.
    pub(crate) fn check(&self) {
        for word in self.words() {
            // SAFETY: the frame is mapped, and this holder's.
            let mark = unsafe { word.read_volatile() };
            assert_eq!(mark, self.mark, "{} has another holder", self.first);
        }
    }
}

/// Frames on their way from one processor to another: the first one's number and their count.
static MAILBOX: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];
const COUNT_BITS: u32 = 16;
/// The mark of frames in the mailbox.
const POSTED: u64 = 0x706f_7374_6564;

/// What one processor does.
pub(crate) struct Worker {
    random: Random,
    held: Vec<Held>,
    blocks: Vec<Vec<u8>>,
    names: BTreeMap<u64, String>,
    is_locked: bool,
    does_scribble: bool,
    pub(crate) calls: usize,
}

impl Worker {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            held: Vec::new(),
            blocks: Vec::new(),
            names: BTreeMap::new(),
            is_locked: faults::is_locked(),
            does_scribble: boot::is_told(faults::SCRIBBLE),
            calls: 0,
        }
    }

    /// A few calls.
    pub(crate) fn step(&mut self) {
        match self.random.below(8) {
            0..=2 if self.held.len() < 200 => self.take_frames(),
            3 => self.hand_over(),
            4 => self.change_blocks(),
            5 => self.change_names(),
            _ => self.give_frames(),
        }
    }

    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        self.calls += 1;
        let is_locked = self.is_locked;
        Cpu::current().inside(|| perhaps_locked(is_locked, call))
    }

    fn take_frames(&mut self) {
        let (count, mark) = (1 + self.random.below(20), self.random.next());
        let order = Order::for_leaves(count).unwrap_or(Order::MIN);
        // Any of these may be refused: others have the memory.
        let taken = match self.random.below(6) {
            0 => self.call(|| frames().allocate_exact(count)).map(|first| (first, count)),
            1 => self.call(|| frames().allocate(order)).map(|first| (first, order.leaves())),
            2 => {
                let low = Request::frames(count).below(PhysicalAddress::new(16 << 20));
                let low = low.boundary(128 << 10);
                self.call(|| frames().allocate_within(&low)).map(|first| (first, count))
            }
            3 => {
                let mut many = [Frame::default(); 20];
                let had = self.call(|| frames().allocate_many(Order::MIN, &mut many[..count]));
                self.held.extend(many[..had].iter().map(|first| Held::new(*first, 1, mark)));
                return;
            }
            _ => self.call(|| frames().allocate_one()).map(|first| (first, 1)),
        };
        if let Ok((first, count)) = taken {
            self.held.push(Held::new(first, count, mark));
        }
    }

    fn give_frames(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.swap_remove(self.random.below(self.held.len()));
        if self.does_scribble {
            let stranger = pointer::<u64>(held.first.address());
            // SAFETY: none: this is the fault.
            unsafe { stranger.write_volatile(!held.mark) };
        }
        held.check();
        self.free(&held);
    }

    fn free(&mut self, held: &Held) {
        let Held { first, count, .. } = *held;
        let way = self.random.below(3);
        self.call(|| match way {
            0 => frames().free(first).map(drop),
            1 if count > 1 => {
                let half = count / 2;
                match frames().free_part(first, half) {
                    Ok(()) => frames().free_sized(first.saturating_add(half), count - half),
                    // Another processor is at the block's slab, and does not get on. Freed as a whole it
                    // is not in the way.
                    Err(_) => frames().free_sized(first, count),
                }
            }
            _ => frames().free_sized(first, count),
        })
        .expect("frames that are held");
    }

    /// Puts frames into the mailbox, and takes those that are there.
    fn hand_over(&mut self) {
        let Some(mut held) = self.held.pop() else { return };
        held.check();
        held.mark = POSTED;
        held.write_marks();
        let letter = held.first.number() << COUNT_BITS | held.count;
        let slot = self.random.below(MAILBOX.len());
        self.receive(MAILBOX[slot].swap(letter, AcqRel));
    }

    fn receive(&mut self, letter: usize) {
        if letter != 0 {
            let (first, count) = (letter >> COUNT_BITS, letter & ((1 << COUNT_BITS) - 1));
            let held = Held { first: Frame::new(first), count, mark: POSTED };
            held.check();
            self.held.push(held);
        }
    }

    fn change_blocks(&mut self) {
        if self.blocks.len() > 40 || self.random.below(2) == 0 && !self.blocks.is_empty() {
            let block = self.blocks.swap_remove(self.random.below(self.blocks.len()));
            assert!(
                block.iter().all(|byte| *byte == block.len() as u8),
                "a block has another holder"
            );
            return;
        }
        let limit = [64, 400, 5000][self.random.below(3)];
        let length = 1 + self.random.below(limit);
        let mut block = Vec::new();
        if block.try_reserve_exact(length).is_ok() {
            block.resize(length, length as u8);
            self.blocks.push(block);
        }
    }

    fn change_names(&mut self) {
        let key = self.random.below(64) as u64;
        if self.names.remove(&key).is_none() {
            self.names.insert(key, alloc::format!("this is number {key}"));
        }
        assert!(
            self.names
                .iter()
                .all(|(key, name)| name.ends_with(char::from(b'0' + (key % 10) as u8)))
        );
    }

    /// Gives everything back, with what is in the mailbox.
    pub(crate) fn end(mut self) -> usize {
        for slot in &MAILBOX {
            self.receive(slot.swap(0, AcqRel));
        }
        while let Some(held) = self.held.pop() {
            held.check();
            self.free(&held);
        }
        self.calls
    }
}
