//! A trace in this project's heap, looked at while it runs.

use crate::arena::Region;
use crate::plot::heap::Cell;
use crate::trace::{Event, Op, Trace};
use buddy_core::tree::Policy;
use buddy_core::{Heap, Order, Plain};
use std::alloc::Layout;
use std::ptr::NonNull;

/// The smallest block.
pub(super) const MIN_BLOCK: usize = 16;

/// The heap's figures at one moment, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// After how many events.
    pub event: usize,
    /// The sum of the sizes asked for.
    pub live: usize,
    /// The bytes of the allocated blocks.
    pub used: usize,
    /// The bytes of the free ones.
    pub free: usize,
    /// How many are allocated.
    pub blocks: usize,
    /// The bytes of the largest free block.
    pub largest_free: usize,
    /// How much of what is free lies outside the largest free block.
    pub fragmentation_percent: u32,
    /// Free bytes in the blocks of each order.
    pub free_by_order: Vec<usize>,
    /// How many requests were refused until then.
    pub refused: usize,
}

/// A heap while a trace runs through it.
pub(super) struct Replay<'a, P: Policy> {
    trace: &'a Trace,
    heap: Heap<&'static mut [Plain], MIN_BLOCK, P>,
    region: Region,
    slots: Vec<Option<(NonNull<u8>, Layout)>>,
    event: usize,
    live: usize,
    refused: usize,
}

impl<'a, P: Policy> Replay<'a, P> {
    /// An empty heap in a region; `None` if that is too small.
    ///
    /// # Safety
    /// The region is this replay's alone until that is dropped.
    pub(super) unsafe fn new(trace: &'a Trace, region: Region) -> Option<Self> {
        // SAFETY: the caller's duties.
        let heap = unsafe { Heap::from_raw(region.start, region.len) }.ok()?;
        let slots = vec![None; trace.slots];
        Some(Self { trace, heap, region, slots, event: 0, live: 0, refused: 0 })
    }

    /// Goes on to that event.
    pub(super) fn run_to(&mut self, event: usize) {
        for event in &self.trace.events[self.event..event] {
            self.step(event);
        }
        self.event = event;
    }

    /// What concerns a block that was refused is passed over.
    fn step(&mut self, event: &Event) {
        let slot = &mut self.slots[event.slot as usize];
        let new = Layout::from_size_align(event.size as usize, 1 << event.align_log2).ok();
        let before = *slot;
        let after = match (event.op, before) {
            (Op::Alloc, _) => new.and_then(|new| self.heap.allocate(new).ok()),
            (Op::AllocZeroed, _) => new.and_then(|new| self.heap.allocate_zeroed(new).ok()),
            (Op::Realloc, Some((block, old))) => new.and_then(|new| {
                if new.size() > old.size() {
                    // SAFETY: the slot's block, which is used no more if this succeeds.
                    unsafe { self.heap.grow(block, old, new) }.ok()
                } else {
                    // SAFETY: as above.
                    unsafe { self.heap.shrink(block, old, new) }.ok()
                }
            }),
            (Op::Free, Some((block, old))) => {
                // SAFETY: the slot's block, which is used no more.
                let freed = unsafe { self.heap.deallocate(block, old) };
                freed.expect("a live block can be freed");
                *slot = None;
                self.live -= old.size();
                return;
            }
            (_, None) => return,
        };
        match after.zip(new) {
            Some((block, new)) => {
                *slot = Some((block.cast(), new));
                self.live += new.size();
                self.live -= before.map_or(0, |(_, old)| old.size());
            }
            None => self.refused += 1,
        }
    }

    /// The blocks by address. What rests for the next request is merged for it.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let start = self.region.start.addr().get();
        let place = |block: buddy_core::heap::Block| Cell {
            start: block.start.addr().get() - start,
            bytes: block.bytes,
            used: block.used,
        };
        self.heap.walk().map(place).collect()
    }

    /// The figures. What rests for the next request is merged for them.
    pub(super) fn figures(&self) -> Figures {
        let statistics = self.heap.statistics();
        let orders =
            (0..).map_while(Order::new).take_while(|order| order.leaves() <= statistics.total());
        let free_in = |order: Order| statistics.free_blocks(order) * order.leaves() * MIN_BLOCK;
        Figures {
            event: self.event,
            live: self.live,
            used: statistics.used() * MIN_BLOCK,
            free: statistics.free() * MIN_BLOCK,
            blocks: statistics.blocks(),
            largest_free: statistics.largest_free() * MIN_BLOCK,
            fragmentation_percent: statistics.fragmentation_percent(),
            free_by_order: orders.map(free_in).collect(),
            refused: self.refused,
        }
    }
}
