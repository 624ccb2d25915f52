//! A steady state: blocks of mixed sizes come and go, as in a program that runs for long.

use super::sizes::{logarithmic, logarithmic_mean};
use crate::holder::{Holder, Request};
use crate::meter::Meter;
use crate::peers::Allocator;
use crate::random::Random;

/// Blocks in slots, of which one at random is freed and another allocated, or, one time in
/// eight, reallocated.
#[derive(Clone, Debug)]
pub struct Churn {
    /// The sizes at first, one for each slot.
    first: Vec<u32>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    slot: u32,
    size: u32,
    realloc: bool,
}

/// One step in so many is a realloc.
const REALLOCS: u64 = 8;

/// Steps in a lap, at least.
const LAP: usize = 1 << 16;

/// The clock is read once in so many steps.
const STEPS_PER_LOOK: usize = 256;

impl Churn {
    /// Blocks of `least` to `most` bytes, all sizes' logarithms equally likely, which come to half of
    /// `heap_bytes` on average.
    #[must_use]
    pub fn new(least: u32, most: u32, heap_bytes: usize, random: &mut Random) -> Self {
        let slots = (heap_bytes / 2 / logarithmic_mean(least, most)).max(1);
        let first = (0..slots).map(|_| logarithmic(least, most, random)).collect();
        let step = |_| Step {
            slot: (random.next() % slots as u64) as u32,
            size: logarithmic(least, most, random),
            realloc: random.next() % REALLOCS == 0,
        };
        Self { first, steps: (0..LAP.max(2 * slots)).map(step).collect() }
    }

    pub(super) fn slots(&self) -> usize {
        self.first.len()
    }

    pub(super) fn lap(&self) -> usize {
        self.steps.len()
    }

    #[inline(never)]
    pub(super) fn run<A: Allocator>(&self, holder: &mut Holder<A>, meter: &mut Meter) {
        for (slot, &size) in self.first.iter().enumerate() {
            let served = holder.alloc(slot, Request::bytes(size));
            if !meter.served(served) || (slot % STEPS_PER_LOOK == 0 && !meter.goes_on()) {
                return;
            }
        }
        while meter.more() {
            meter.start();
            for steps in self.steps.chunks(STEPS_PER_LOOK) {
                for &step in steps {
                    let served = step.take(holder);
                    if !meter.served(served) {
                        return;
                    }
                }
                if !meter.stop(steps.len()) {
                    return;
                }
            }
        }
    }
}

impl Step {
    #[inline(always)]
    fn take<A: Allocator>(self, holder: &mut Holder<A>) -> bool {
        let slot = self.slot as usize;
        if self.realloc {
            return holder.realloc(slot, self.size);
        }
        holder.free(slot);
        holder.alloc(slot, Request::bytes(self.size))
    }
}
