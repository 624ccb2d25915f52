//! Freeing every other block, then the rest: what a free costs as the free blocks become many.

use crate::holder::{Holder, Request};
use crate::meter::Meter;
use crate::peers::Allocator;

/// Blocks of one size, of which every other is freed, then the rest. Only the frees are timed.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    pub(super) blocks: usize,
}

/// Bytes of a block.
const SIZE: u32 = 64;

/// The clock is read once in so many frees.
const FREES_PER_LOOK: usize = 256;

impl Scan {
    /// So many blocks.
    #[must_use]
    pub const fn new(blocks: usize) -> Self {
        Self { blocks }
    }

    #[inline(never)]
    pub(super) fn run<A: Allocator>(self, holder: &mut Holder<A>, meter: &mut Meter) {
        while meter.more() {
            for slot in 0..self.blocks {
                let served = holder.alloc(slot, Request::bytes(SIZE));
                if !meter.served(served) || (slot % FREES_PER_LOOK == 0 && !meter.goes_on()) {
                    return;
                }
            }
            for odd in 0..2 {
                meter.start();
                for from in (odd..self.blocks).step_by(2 * FREES_PER_LOOK) {
                    let to = self.blocks.min(from + 2 * FREES_PER_LOOK);
                    for slot in (from..to).step_by(2) {
                        holder.free(slot);
                    }
                    if !meter.stop((to - from).div_ceil(2)) {
                        return;
                    }
                }
            }
        }
    }
}
