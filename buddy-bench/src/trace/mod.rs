//! Allocation traces: what a real program asked its allocator for (`traces/TRACES.md`).

mod built_in;
mod decode;
mod encode;
mod error;

pub use built_in::{NAMES, load};
pub use error::{Part, TraceError};

/// The ordered heap operations of one program.
///
/// Every trace that was decoded keeps these rules, which replayers rely on:
/// - slots are below `slots`; a slot is filled before it is freed or reallocated, and is empty when
///   it is filled;
/// - sizes of all but frees are at least 1, alignments are at most 2^31.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What the tables call it.
    pub name: String,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// How many slots there are.
    pub slots: usize,
    /// How many threads there were; the events are in one total order.
    pub threads: u64,
    /// The largest sum of the sizes of the blocks live at one point.
    pub peak_bytes: usize,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which block.
    pub slot: u32,
    /// How many bytes were asked for; 0 for a free.
    pub size: u32,
    /// What was done.
    pub op: Op,
    /// Log2 of the block's alignment.
    pub align_log2: u8,
    /// Which thread asked; 63 stands for all from 63 on.
    pub thread: u8,
}

const _: () = assert!(size_of::<Event>() == 12);

/// What an event does, with the code it has in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Fills an empty slot.
    Alloc = 0,
    /// Empties a full slot.
    Free = 1,
    /// Changes the size of the block in a full slot.
    Realloc = 2,
    /// As `Alloc`, with the memory to be zero.
    AllocZeroed = 3,
}

/// The largest sum of live bytes over `events`, which begin with no block.
#[must_use]
pub fn peak_bytes(events: &[Event], slots: usize) -> usize {
    let mut sizes = vec![0u32; slots];
    let (mut live, mut peak) = (0, 0);
    for event in events {
        let size = &mut sizes[event.slot as usize];
        live = live - *size as usize + event.size as usize;
        *size = event.size;
        peak = peak.max(live);
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_counts_frees_and_reallocs() {
        let event = |op, slot, size| Event { slot, size, op, align_log2: 0, thread: 0 };
        let events = [
            event(Op::Alloc, 0, 100),
            event(Op::AllocZeroed, 1, 50),
            event(Op::Realloc, 0, 120),
            event(Op::Free, 1, 0),
            event(Op::Alloc, 1, 40),
            event(Op::Realloc, 0, 1),
        ];
        assert_eq!(peak_bytes(&events, 2), 170);
        assert_eq!(peak_bytes(&events[..2], 2), 150);
        assert_eq!(peak_bytes(&[], 0), 0);
    }
}
