//! Many blocks at once, then all back: what a phase of a program costs.

use super::sizes::logarithmic;
use crate::holder::{Holder, Request};
use crate::meter::Meter;
use crate::peers::Allocator;
use crate::random::Random;

/// Allocating blocks, then freeing them all.
#[derive(Clone, Debug)]
pub struct Batch {
    sizes: Vec<u32>,
    /// The blocks as they are freed.
    order: Vec<u32>,
}

/// In which order blocks are freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The last block first.
    Lifo,
    /// The first block first.
    Fifo,
    /// At random.
    Shuffled,
}

impl Order {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lifo => "lifo",
            Self::Fifo => "fifo",
            Self::Shuffled => "shuffled",
        }
    }
}

impl Batch {
    /// So many blocks of `least` to `most` bytes.
    #[must_use]
    pub fn new(blocks: u32, least: u32, most: u32, order: Order, random: &mut Random) -> Self {
        let sizes = (0..blocks).map(|_| logarithmic(least, most, random)).collect();
        let mut frees: Vec<u32> = (0..blocks).collect();
        match order {
            Order::Fifo => {}
            Order::Lifo => frees.reverse(),
            Order::Shuffled => random.shuffle(&mut frees),
        }
        Self { sizes, order: frees }
    }

    pub(super) fn blocks(&self) -> usize {
        self.sizes.len()
    }

    #[inline(never)]
    pub(super) fn run<A: Allocator>(&self, holder: &mut Holder<A>, meter: &mut Meter) {
        while meter.more() {
            meter.start();
            for (slot, &size) in self.sizes.iter().enumerate() {
                let served = holder.alloc(slot, Request::bytes(size));
                if !meter.served(served) {
                    return;
                }
            }
            for &slot in &self.order {
                holder.free(slot as usize);
            }
            meter.stop(2 * self.sizes.len());
        }
    }
}
