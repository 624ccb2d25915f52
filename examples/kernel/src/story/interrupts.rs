//! A timer interrupts the allocators in the middle of their calls, and its handler calls them.

use super::faults;
use super::random::Random;
use super::stress::{Held, Worker};
use crate::machine::cpu::{CPUS, Cpu, MOST, number};
use crate::machine::serial::say;
use crate::machine::{apic, boot};
use crate::memory::frames;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use spin::Mutex;
use x86_64::instructions::interrupts;

/// How long each processor runs from the end of one interrupt to the next. Counted from the end, it leaves
/// the main code its time however slow the machine is.
const PERIOD_MICROSECONDS: u32 = 100;
/// How many interrupts inside calls are waited for.
const WANTED: usize = 300;
/// And how many steps at most.
const MOST_STEPS: usize = 2_000_000;
/// Frames and heap blocks that a handler holds at most, each.
const HELD: usize = 24;

/// What a processor's handler holds from one interrupt to the next.
struct Holdings {
    random: Random,
    frames: [Option<Held>; HELD],
    blocks: [Option<Vec<u8>>; HELD],
    served: usize,
    refused: usize,
}

/// The lock is never waited for: only the processor that it belongs to takes it, in the handler, or
/// while there are no interrupts.
static HOLDINGS: [Mutex<Holdings>; MOST] = [
    Mutex::new(Holdings::new(1)),
    Mutex::new(Holdings::new(2)),
    Mutex::new(Holdings::new(3)),
    Mutex::new(Holdings::new(4)),
];

impl Holdings {
    const fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            frames: [const { None }; HELD],
            blocks: [const { None }; HELD],
            served: 0,
            refused: 0,
        }
    }

    /// Allocates into an empty place, or frees what is in it.
    fn change_frames(&mut self) {
        let place = self.random.below(HELD);
        if let Some(held) = self.frames[place].take() {
            held.check();
            frames().free_sized(held.first, held.count).expect("frames that a handler holds");
            return;
        }
        let count = [1, 1, 2, 3, 5, 8][self.random.below(6)];
        let taken = frames().allocate_exact(count).ok();
        self.count(taken.is_some());
        let mark = self.random.next();
        self.frames[place] = taken.map(|first| Held::new(first, count, mark));
    }

    fn change_blocks(&mut self) {
        let place = self.random.below(HELD);
        if let Some(block) = self.blocks[place].take() {
            assert!(block.iter().all(|byte| *byte == place as u8), "a block has another holder");
            return;
        }
        let length = 1 + self.random.below(600);
        let mut block = Vec::new();
        let is_served = block.try_reserve_exact(length).is_ok();
        self.count(is_served);
        if is_served {
            block.resize(length, place as u8);
            self.blocks[place] = Some(block);
        }
    }

    fn count(&mut self, is_served: bool) {
        self.served += usize::from(is_served);
        self.refused += usize::from(!is_served);
    }
}

/// The timer's handler: it allocates and frees, frames and heap blocks.
pub(crate) fn on_tick(_cpu: &Cpu) {
    if faults::is_locked() {
        faults::wait_for_the_lock();
    }
    let mut holdings = HOLDINGS[number()].try_lock().expect("nobody else holds this");
    holdings.change_frames();
    holdings.change_blocks();
    apic::start_timer(PERIOD_MICROSECONDS);
}

/// From now on the timer interrupts the calling processor.
pub(crate) fn start() {
    if !boot::is_told(faults::SILENT) {
        apic::start_timer(PERIOD_MICROSECONDS);
        interrupts::enable();
    }
}

/// No more interrupts; frees what the handler holds, and returns how many requests of it were served,
/// and how many refused.
pub(crate) fn stop() -> (usize, usize) {
    interrupts::disable();
    apic::stop_timer();
    let mut holdings = HOLDINGS[number()].try_lock().expect("the handler is not running");
    for held in holdings.frames.iter_mut().filter_map(Option::take) {
        held.check();
        frames().free_sized(held.first, held.count).expect("frames that the handler held");
    }
    holdings.blocks.fill(None);
    (core::mem::take(&mut holdings.served), core::mem::take(&mut holdings.refused))
}

/// The main code allocates until it was interrupted in the middle of it often enough.
pub(crate) fn run() {
    let cpu = &CPUS[0];
    let mut worker = Worker::new(0);
    start();
    for _ in 0..MOST_STEPS {
        if cpu.inside_ticks.load(Relaxed) >= WANTED {
            break;
        }
        worker.step();
    }
    let (served, refused) = stop();
    let calls = worker.end();
    let (ticks, inside) = (cpu.ticks.load(Relaxed), cpu.inside_ticks.load(Relaxed));
    say!("The main code made {calls} calls of the frames; the timer interrupted it {ticks} times,");
    say!(
        "{inside} times inside a call of an allocator. The handler's requests: {served} served, {refused} refused."
    );
    assert!(inside > 0, "no interrupt came inside a call");
    assert_eq!(frames().validate(), Ok(()));
    say!("The frames' metadata is valid.");
}
