//! A block that goes straight back: what a short-lived object costs.

use super::sizes::logarithmic;
use crate::holder::{Holder, Request};
use crate::meter::Meter;
use crate::peers::Allocator;
use crate::random::Random;

/// Allocating and freeing blocks of one size.
#[derive(Clone, Debug)]
pub struct Pair {
    pub(super) size: u32,
    /// The sizes of the blocks that are live meanwhile.
    pub(super) live: Vec<u32>,
}

/// Pairs in a lap.
pub(super) const LAP: usize = 2000;

impl Pair {
    /// Pairs of `size` bytes beside so many live blocks of 16 B to 4 KiB, of which every other one
    /// was freed again.
    #[must_use]
    pub fn new(size: u32, live: usize, random: &mut Random) -> Self {
        Self { size, live: (0..live).map(|_| logarithmic(16, 4096, random)).collect() }
    }

    #[inline(never)]
    pub(super) fn run<A: Allocator>(&self, holder: &mut Holder<A>, meter: &mut Meter) {
        for (slot, &size) in self.live.iter().enumerate() {
            let served = holder.alloc(slot, Request::bytes(size));
            if !meter.served(served) {
                return;
            }
        }
        for slot in (0..self.live.len()).step_by(2) {
            holder.free(slot);
        }
        let request = Request::bytes(self.size);
        while meter.more() {
            meter.start();
            for _ in 0..LAP {
                let served = holder.pair(request);
                if !meter.served(served) {
                    return;
                }
            }
            meter.stop(LAP);
        }
    }
}
