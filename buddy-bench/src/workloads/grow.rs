//! Vectors that grow: what reallocs cost, in place or not.

use crate::holder::{Holder, Request};
use crate::meter::Meter;
use crate::peers::Allocator;

/// Vectors that grow in turn from the least to the most bytes, and are freed then.
#[derive(Clone, Debug)]
pub struct Grow {
    /// How many grow in turn: of several, one is often in the way of another.
    pub(super) vectors: usize,
    sizes: Vec<u32>,
}

/// The size at first.
const LEAST: u32 = 16;

/// The size at last.
const MOST: u32 = 1 << 20;

/// Bytes of a step that is no doubling.
const STEP: u32 = 8 << 10;

/// By how much vectors grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// To the double, as `Vec` does.
    Doubling,
    /// By so many bytes, as buffers that are read into.
    Steps,
}

impl Grow {
    /// So many vectors that grow in turn.
    #[must_use]
    pub fn new(vectors: usize, growth: Growth) -> Self {
        let next = |&size: &u32| match growth {
            Growth::Doubling => Some(2 * size),
            Growth::Steps => Some(size + STEP),
        };
        let sizes = std::iter::successors(Some(LEAST), next).take_while(|&size| size <= MOST);
        Self { vectors, sizes: sizes.collect() }
    }

    /// Reallocs in a lap.
    pub(super) fn lap(&self) -> usize {
        self.vectors * (self.sizes.len() - 1)
    }

    /// Only the reallocs are timed.
    #[inline(never)]
    pub(super) fn run<A: Allocator>(&self, holder: &mut Holder<A>, meter: &mut Meter) {
        while meter.more() {
            for vector in 0..self.vectors {
                let served = holder.alloc(vector, Request::bytes(LEAST));
                if !meter.served(served) {
                    return;
                }
            }
            meter.start();
            for &size in &self.sizes[1..] {
                for vector in 0..self.vectors {
                    let served = holder.realloc(vector, size);
                    if !meter.served(served) {
                        return;
                    }
                }
            }
            meter.stop(self.lap());
            for vector in 0..self.vectors {
                holder.free(vector);
            }
        }
    }
}
