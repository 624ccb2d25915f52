//! Page frames: blocks of 2^0 to 2^10 frames come and go, small ones most, as in a kernel.

use crate::measure::Label;
use crate::meter::Meter;
use crate::random::Random;
use crate::ranges::RangeAllocator;

/// Blocks of frames in slots, of which one at random is freed and another allocated.
#[derive(Clone, Debug)]
pub struct Frames {
    count: usize,
    parameter: String,
    /// The orders at first, one for each slot.
    first: Vec<u8>,
    steps: Vec<(u32, u8)>,
}

/// The largest order.
const MAX_ORDER: u32 = 10;

/// The mean block in frames: each order is half as likely as the one below, but for the last.
const MEAN: usize = MAX_ORDER as usize / 2 + 1;

/// Steps in a lap, at least.
const LAP: usize = 1 << 16;

/// The clock is read once in so many steps.
const STEPS_PER_LOOK: usize = 256;

impl Frames {
    /// So many frames, half of them allocated on average.
    #[must_use]
    pub fn new(frames: usize, parameter: &str, random: &mut Random) -> Self {
        let slots = (frames / 2 / MEAN).max(1);
        let mut order = || random.next().trailing_zeros().min(MAX_ORDER) as u8;
        let first = (0..slots).map(|_| order()).collect();
        let orders: Vec<u8> = (0..LAP.max(2 * slots)).map(|_| order()).collect();
        let slot = |order| ((random.next() % slots as u64) as u32, order);
        let steps = orders.into_iter().map(slot).collect();
        Self { count: frames, parameter: parameter.to_owned(), first, steps }
    }

    /// How many frames there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What is told of it.
    #[must_use]
    pub fn label(&self) -> Label {
        let (workload, parameter) = ("frames".to_owned(), self.parameter.clone());
        Label { workload, parameter, event: "step", lap: self.steps.len(), repeats: true }
    }

    #[inline(never)]
    pub(crate) fn run<A: RangeAllocator>(&self, allocator: &mut A, meter: &mut Meter) {
        let mut slots = Vec::with_capacity(self.first.len());
        for (number, &order) in self.first.iter().enumerate() {
            let block = allocator.alloc(order.into());
            slots.push((block, order));
            let goes_on = number % STEPS_PER_LOOK != 0 || meter.goes_on();
            if !meter.served(block.is_some()) || !goes_on {
                return;
            }
        }
        while meter.more() {
            meter.start();
            for steps in self.steps.chunks(STEPS_PER_LOOK) {
                for &(slot, order) in steps {
                    let slot = &mut slots[slot as usize];
                    if let (Some(block), order) = *slot {
                        allocator.free(block, order.into());
                    }
                    let block = allocator.alloc(order.into());
                    *slot = (block, order);
                    if !meter.served(block.is_some()) {
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
