//! From a log of calls to a trace: addresses become slots.

use crate::trace::{Event, Op, Trace, peak_bytes};
use buddy_record::format::{Kind, Log, Record};
use std::collections::HashMap;

/// A trace, and what of the log it does not have.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) trace: Trace,
    pub(super) left_out: LeftOut,
}

/// How many calls are not in the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Frees of blocks that were there before the recording.
    pub(super) unknown: usize,
    /// Never written, because the thread was killed; and what contradicts the rest for want of them.
    pub(super) lost: usize,
    /// Blocks of 4 GiB and above, which a trace cannot have.
    pub(super) large: usize,
    /// For which the log had no room.
    pub(super) cut: u64,
}

/// The trace of the last program in the log.
pub(super) fn convert(name: &str, log: &Log<'_>) -> Converted {
    let mut state = State::default();
    for record in log.records() {
        match record {
            Some(Record { kind: Kind::Start, .. }) => state = State::default(),
            Some(record) => state.record(record),
            None => state.left_out.lost += 1,
        }
    }
    let State { events, slots, threads, mut left_out, .. } = state;
    left_out.cut = log.left_out;
    let (slots, threads) = (slots as usize, threads.len() as u64);
    let peak_bytes = peak_bytes(&events, slots);
    let trace = Trace { name: name.to_owned(), events, slots, threads, peak_bytes };
    Converted { trace, left_out }
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    /// The live blocks by address.
    blocks: HashMap<u64, Block>,
    /// The blocks whose reallocation a thread has begun, which have no address.
    moving: HashMap<u32, (u64, Block)>,
    /// Slots to be used again, the last one freed first.
    free: Vec<u32>,
    slots: u32,
    /// The numbers of the threads, by what the log calls them.
    threads: HashMap<u32, u8>,
    left_out: LeftOut,
}

#[derive(Clone, Copy)]
struct Block {
    slot: u32,
    align_log2: u8,
}

impl State {
    fn record(&mut self, record: Record) {
        match record.kind {
            Kind::Start => {}
            Kind::Alloc => self.fill(Op::Alloc, record),
            Kind::AllocZeroed => self.fill(Op::AllocZeroed, record),
            Kind::Free => match self.blocks.remove(&record.address) {
                Some(block) => self.empty(block, record.thread),
                None => self.left_out.unknown += 1,
            },
            Kind::ReallocBegin => {
                if let Some(block) = self.blocks.remove(&record.address) {
                    self.moving.insert(record.thread, (record.address, block));
                }
            }
            Kind::ReallocEnd => self.realloc(record),
        }
    }

    fn fill(&mut self, op: Op, record: Record) {
        let Some(size) = self.size(record.size) else { return };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        let align_log2 = record.align_log2.min(31);
        let block = Block { slot, align_log2 };
        self.settle(record.address, block, record.thread);
        self.event(op, block, size, record.thread);
    }

    fn realloc(&mut self, record: Record) {
        match (self.moving.remove(&record.thread), record.address, record.size) {
            // C's `realloc` to no bytes frees the block.
            (Some((_, block)), 0, 0) => self.empty(block, record.thread),
            (Some((before, block)), 0, _) => self.settle(before, block, record.thread),
            (Some((_, block)), address, size) => match self.size(size) {
                Some(size) => {
                    self.settle(address, block, record.thread);
                    self.event(Op::Realloc, block, size, record.thread);
                }
                None => self.empty(block, record.thread),
            },
            (None, 0, _) => {}
            // A block from before the recording: now it is known.
            (None, ..) => self.fill(Op::Alloc, record),
        }
    }

    /// Gives a block its address. If there is another one, its free was lost.
    fn settle(&mut self, address: u64, block: Block, thread: u32) {
        if let Some(other) = self.blocks.insert(address, block) {
            self.left_out.lost += 1;
            self.empty(other, thread);
        }
    }

    fn empty(&mut self, block: Block, thread: u32) {
        self.event(Op::Free, block, 0, thread);
        self.free.push(block.slot);
    }

    fn event(&mut self, op: Op, block: Block, size: u32, thread: u32) {
        let next = self.threads.len().min(63) as u8;
        let thread = *self.threads.entry(thread).or_insert(next);
        let Block { slot, align_log2 } = block;
        self.events.push(Event { slot, size, op, align_log2, thread });
    }

    /// The size in a trace, where no bytes are one.
    fn size(&mut self, size: u64) -> Option<u32> {
        let fits = u32::try_from(size.max(1)).ok();
        self.left_out.large += usize::from(fits.is_none());
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::load;
    use buddy_record::format::{HEAD_BYTES, head, new_log};
    use std::io::Write;

    /// The words of a record.
    type Call = [u64; 3];

    const GAP: Call = [0; 3];

    fn call(kind: Kind, thread: u32, address: u64, size: u64) -> Call {
        Record { kind, align_log2: 4, thread, address, size }.words()
    }

    fn converted(calls: &[Call]) -> Converted {
        let (mut words, _) = new_log(calls.len() as u64);
        (words[head::NEXT], words[head::PROCESS]) = (calls.len() as u64, 1);
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        bytes.resize(HEAD_BYTES, 0);
        for call in calls {
            bytes.extend(call.iter().flat_map(|word| word.to_ne_bytes()));
        }
        convert("test", &Log::new(&bytes).unwrap())
    }

    /// The events as (operation, slot, size, thread); and the file is read again as it was written.
    fn events(converted: &Converted) -> Vec<(Op, u32, u32, u8)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&converted.trace.to_file()).unwrap();
        let read = load(file.path().to_str().unwrap()).unwrap();
        assert!(read.events == converted.trace.events);
        read.events.iter().map(|event| (event.op, event.slot, event.size, event.thread)).collect()
    }

    #[test]
    fn an_address_that_comes_again_is_another_block() {
        let converted = converted(&[
            call(Kind::Alloc, 5, 0x10, 100),
            call(Kind::AllocZeroed, 9, 0x20, 0),
            call(Kind::Free, 5, 0x10, 0),
            call(Kind::Alloc, 9, 0x10, 7),
        ]);
        let expected = [
            (Op::Alloc, 0, 100, 0),
            (Op::AllocZeroed, 1, 1, 1),
            (Op::Free, 0, 0, 0),
            (Op::Alloc, 0, 7, 1),
        ];
        assert_eq!(events(&converted), expected);
        assert_eq!((converted.trace.threads, converted.trace.peak_bytes), (2, 101));
        assert_eq!(converted.left_out, LeftOut::default());
    }

    #[test]
    fn an_address_may_be_handed_out_while_its_block_moves() {
        let converted = converted(&[
            call(Kind::Alloc, 1, 0x10, 100),
            call(Kind::ReallocBegin, 1, 0x10, 200),
            call(Kind::Alloc, 2, 0x10, 50),
            call(Kind::ReallocEnd, 1, 0x30, 200),
            call(Kind::Free, 2, 0x10, 0),
            call(Kind::Free, 2, 0x30, 0),
        ]);
        let expected = [
            (Op::Alloc, 0, 100, 0),
            (Op::Alloc, 1, 50, 1),
            (Op::Realloc, 0, 200, 0),
            (Op::Free, 1, 0, 1),
            (Op::Free, 0, 0, 1),
        ];
        assert_eq!(events(&converted), expected);
        assert_eq!(converted.left_out, LeftOut::default());
    }

    #[test]
    fn a_realloc_that_is_refused_changes_nothing_and_one_to_nothing_frees() {
        let converted = converted(&[
            call(Kind::Alloc, 1, 0x10, 100),
            call(Kind::ReallocBegin, 1, 0x10, 200),
            call(Kind::ReallocEnd, 1, 0, 200),
            call(Kind::ReallocBegin, 1, 0x10, 0),
            call(Kind::ReallocEnd, 1, 0, 0),
        ]);
        assert_eq!(events(&converted), [(Op::Alloc, 0, 100, 0), (Op::Free, 0, 0, 0)]);
    }

    #[test]
    fn what_a_program_did_before_it_executed_another_is_passed_over() {
        let converted = converted(&[
            call(Kind::Start, 0, 0, 0),
            call(Kind::Alloc, 1, 0x10, 100),
            call(Kind::Start, 0, 0, 0),
            call(Kind::Free, 1, 0x10, 0),
            call(Kind::Alloc, 1, 0x10, 3),
        ]);
        assert_eq!(events(&converted), [(Op::Alloc, 0, 3, 0)]);
        assert_eq!(converted.left_out, LeftOut { unknown: 1, ..LeftOut::default() });
    }

    #[test]
    fn lost_records_leave_a_sound_trace() {
        let converted = converted(&[
            call(Kind::Alloc, 1, 0x10, 100),
            GAP,
            call(Kind::Alloc, 1, 0x10, 50),
            call(Kind::ReallocBegin, 1, 0x99, 1),
            call(Kind::ReallocEnd, 1, 0x98, 60),
        ]);
        let expected = [(Op::Free, 0, 0, 0), (Op::Alloc, 1, 50, 0), (Op::Alloc, 0, 60, 0)];
        assert_eq!(events(&converted)[1..], expected);
        assert_eq!(converted.left_out, LeftOut { lost: 2, ..LeftOut::default() });
    }

    #[test]
    fn blocks_too_large_for_a_trace_are_left_out() {
        let converted = converted(&[
            call(Kind::Alloc, 1, 0x10, 1 << 32),
            call(Kind::Alloc, 1, 0x20, 8),
            call(Kind::ReallocBegin, 1, 0x20, 1 << 32),
            call(Kind::ReallocEnd, 1, 0x20, 1 << 32),
            call(Kind::Free, 1, 0x20, 0),
        ]);
        assert_eq!(events(&converted), [(Op::Alloc, 0, 8, 0), (Op::Free, 0, 0, 0)]);
        assert_eq!(converted.left_out, LeftOut { large: 2, unknown: 1, ..LeftOut::default() });
    }

    #[test]
    fn from_the_64th_on_all_threads_are_one() {
        let calls: Vec<_> = (1..=70).map(|n| call(Kind::Alloc, n, u64::from(n), 1)).collect();
        let converted = converted(&calls);
        let threads: Vec<u8> = events(&converted).iter().map(|event| event.3).collect();
        assert_eq!(threads[60..], [60, 61, 62, 63, 63, 63, 63, 63, 63, 63]);
        assert_eq!(converted.trace.threads, 70);
    }
}
