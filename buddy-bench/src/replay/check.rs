//! The replay that believes nothing.

use super::{EVENTS_PER_LOOK, Limit, Slot, Stop, layout, pattern};
use crate::arena::{Arena, Region};
use crate::peers::Peer;
use crate::random::mix;
use crate::trace::{Event, Op, Trace};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::slice;
use std::time::Instant;

/// What a checked replay found.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// How many events were checked.
    pub events: usize,
    /// How many allocations and reallocations were refused.
    pub refused: usize,
    /// How many blocks had not the alignment asked for.
    pub misaligned: usize,
    /// How many blocks lay in others, outside the region, or lost their contents.
    pub damaged: usize,
    /// The first thing that was wrong.
    pub first: Option<Fault>,
    /// Why it ended before the limit of events, if it did.
    pub stop: Option<Stop>,
}

/// Something that an allocator did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The event at which it was seen, or the number of events for the look at the end.
    pub event: usize,
    /// What it is.
    pub kind: FaultKind,
}

/// What an allocator can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the messages say")]
pub enum FaultKind {
    /// A block is not aligned as asked for.
    Misaligned { address: usize, align: usize },
    /// A block does not lie in the region.
    OutOfBounds { address: usize, size: usize },
    /// A block's bytes are also those of another.
    Overlap { slot: u32, other: u32 },
    /// A block's bytes changed while it was live, or in a realloc.
    Changed { slot: u32, offset: usize },
    /// A block that was to be zero is not.
    NotZero { offset: usize },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: ", self.event)?;
        match self.kind {
            FaultKind::Misaligned { address, align } => {
                write!(f, "a block at {address:#x} is not aligned to {align}")
            }
            FaultKind::OutOfBounds { address, size } => {
                write!(f, "a block of {size} bytes at {address:#x} lies outside the region")
            }
            FaultKind::Overlap { slot, other } => {
                write!(f, "the blocks in slots {slot} and {other} overlap")
            }
            FaultKind::Changed { slot, offset } => {
                write!(f, "byte {offset} of the block in slot {slot} has changed")
            }
            FaultKind::NotZero { offset } => write!(f, "byte {offset} of a zeroed block is not 0"),
        }
    }
}

impl Check {
    /// Whether the allocator may be timed: its blocks are its own, and in the region.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.damaged == 0 && !matches!(self.stop, Some(Stop::OutOfBounds | Stop::Panic))
    }

    /// Whether nothing at all was wrong, as far as it was replayed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_usable() && self.misaligned == 0 && self.refused == 0
    }
}

/// Replays a trace in the first `len` bytes of the arena. Each block is looked at when it comes
/// (place, alignment, zeros), filled to its end with a pattern of its own, and looked at again
/// when it is reallocated, freed, or left at the end.
///
/// `seed` varies the patterns.
pub fn check<P: Peer>(
    trace: &Trace,
    arena: &mut Arena,
    len: usize,
    limit: Limit,
    seed: u64,
) -> Check {
    let region = arena.region(len);
    let mut found = Check::default();
    let replay = AssertUnwindSafe(|| {
        // SAFETY: the arena is borrowed, and nobody else knows the region.
        let Some(allocator) = (unsafe { P::create(region) }) else {
            found.refused = 1;
            found.stop = Some(Stop::Refused);
            return;
        };
        let slots = vec![(Slot::EMPTY, 0); trace.slots];
        let region = P::FIXED.then_some(region);
        Checker { allocator, region, slots, seed, found: &mut found }.replay(trace, limit);
    });
    if catch_unwind(replay).is_err() {
        found.stop = Some(Stop::Panic);
    }
    found
}

struct Checker<'a, P> {
    allocator: P,
    /// Where all blocks must lie; `None` if they may lie anywhere.
    region: Option<Region>,
    /// Each slot with the mark of its pattern.
    slots: Vec<(Slot, u64)>,
    seed: u64,
    found: &'a mut Check,
}

/// A block outside the region: it cannot be touched.
struct OutOfBounds;

impl<P: Peer> Checker<'_, P> {
    fn replay(mut self, trace: &Trace, limit: Limit) {
        let start = Instant::now();
        let events = &trace.events[..limit.events.min(trace.events.len())];
        for (number, event) in events.iter().enumerate() {
            if self.step(number, event).is_err() {
                self.found.stop = Some(Stop::OutOfBounds);
                return;
            }
            self.found.events = number + 1;
            if number % EVENTS_PER_LOOK == 0 && start.elapsed() > limit.time {
                self.found.stop = Some(Stop::Time);
                break;
            }
        }
        for slot in 0..trace.slots {
            self.look_at(self.found.events, slot);
            if let (false, (Slot { block: Some(block), .. }, _)) = (P::FIXED, self.slots[slot]) {
                // SAFETY: a live block with its layout, not used any more.
                unsafe { self.allocator.dealloc(block, self.slots[slot].0.layout()) };
            }
        }
    }

    fn step(&mut self, number: usize, event: &Event) -> Result<(), OutOfBounds> {
        let (index, new) = (event.slot as usize, layout(event.size, event.align_log2));
        let (slot, mark) = self.slots[index];
        let block = match (event.op, slot.block) {
            (Op::Alloc, _) => self.allocator.alloc(new),
            (Op::AllocZeroed, _) => self.allocator.alloc_zeroed(new),
            (Op::Realloc, Some(block)) => {
                self.look_at(number, index);
                // SAFETY: the slot has a live block with its layout, and gets the new one.
                unsafe { self.allocator.realloc(block, slot.layout(), new) }
            }
            (Op::Free, Some(block)) => {
                self.look_at(number, index);
                self.slots[index].0 = Slot::EMPTY;
                // SAFETY: the slot had a live block with its layout, and has lost it.
                unsafe { self.allocator.dealloc(block, slot.layout()) };
                return Ok(());
            }
            (_, None) => return Ok(()),
        };
        let Some(block) = block else {
            self.found.refused += 1;
            return Ok(());
        };
        self.place(number, event, block)?;
        let filled = Slot { block: Some(block), size: event.size, align_log2: event.align_log2 };
        match event.op {
            Op::Realloc => {
                // Its contents have moved with it, as far as both sizes reach.
                self.slots[index] = (Slot { size: slot.size.min(event.size), ..filled }, mark);
                self.look_at(number, index);
            }
            Op::AllocZeroed => self.look_for_zeros(number, block, event.size as usize),
            Op::Alloc | Op::Free => {}
        }
        let mark = mix(self.seed ^ number as u64);
        // SAFETY: the block lies in the region, or is the system's, and has that many bytes.
        unsafe { pattern::fill(block, event.size as usize, mark) };
        self.slots[index] = (filled, mark);
        Ok(())
    }

    /// Where a new block lies.
    fn place(
        &mut self,
        event: usize,
        asked: &Event,
        block: NonNull<u8>,
    ) -> Result<(), OutOfBounds> {
        let (address, size, align) =
            (block.addr().get(), asked.size as usize, 1 << asked.align_log2);
        if self.region.is_some_and(|region| !region.contains(block, size)) {
            self.found.damaged += 1;
            self.report(event, FaultKind::OutOfBounds { address, size });
            return Err(OutOfBounds);
        }
        if address % align != 0 {
            self.found.misaligned += 1;
            self.report(event, FaultKind::Misaligned { address, align });
        }
        Ok(())
    }

    /// Whether the block in a slot, if there is one, still has its pattern.
    fn look_at(&mut self, event: usize, slot: usize) {
        let (Slot { block: Some(block), size, .. }, mark) = self.slots[slot] else { return };
        // SAFETY: the block was filled with that many bytes, and nobody writes to it meanwhile.
        let bytes = unsafe { slice::from_raw_parts(block.as_ptr(), size as usize) };
        if let Some(offset) = pattern::first_difference(bytes, mark) {
            self.found.damaged += 1;
            if self.found.first.is_none() {
                let fault = match self.overlapping(slot) {
                    Some(other) => FaultKind::Overlap { slot: slot as u32, other },
                    None => FaultKind::Changed { slot: slot as u32, offset },
                };
                self.report(event, fault);
            }
        }
    }

    fn look_for_zeros(&mut self, event: usize, block: NonNull<u8>, size: usize) {
        // SAFETY: the allocator gave the block with that many bytes, and wrote them.
        let bytes = unsafe { slice::from_raw_parts(block.as_ptr(), size) };
        if let Some(offset) = bytes.iter().position(|&byte| byte != 0) {
            self.found.damaged += 1;
            self.report(event, FaultKind::NotZero { offset });
        }
    }

    /// A slot whose block has bytes in common with that in `slot`.
    fn overlapping(&self, slot: usize) -> Option<u32> {
        let range = |(slot, _): &(Slot, u64)| {
            let start = slot.block?.addr().get();
            Some(start..start + slot.size as usize)
        };
        let own = range(&self.slots[slot])?;
        let shares = |other: &(Slot, u64)| {
            range(other).is_some_and(|other| own.start < other.end && other.start < own.end)
        };
        let mut others = self.slots.iter().enumerate().filter(|(number, _)| *number != slot);
        others.find(|(_, other)| shares(other)).map(|(number, _)| number as u32)
    }

    fn report(&mut self, event: usize, kind: FaultKind) {
        self.found.first.get_or_insert(Fault { event, kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toys::{
        Bump, Dirty, Forgetful, Misaligned, OutOfBounds, Overlapping, Panicking, Scribbling, trace,
    };
    use std::time::Duration;

    const LIMIT: Limit = Limit { events: usize::MAX, time: Duration::MAX };

    /// What is found in 20 allocations of 100 bytes, a realloc, a zeroed block, and some frees.
    fn found<P: Peer>() -> Check {
        let mut events: Vec<_> = (0..20).map(|slot| (Op::Alloc, slot, 100)).collect();
        events.extend([(Op::Realloc, 3, 300), (Op::AllocZeroed, 20, 64), (Op::Realloc, 4, 50)]);
        events.extend((0..10).map(|slot| (Op::Free, slot, 0)));
        let mut arena = Arena::new(1 << 16).unwrap();
        check::<P>(&trace(&events), &mut arena, 1 << 15, LIMIT, 7)
    }

    fn first<P: Peer>() -> FaultKind {
        found::<P>().first.unwrap().kind
    }

    #[test]
    fn a_sound_allocator_passes() {
        let found = found::<Bump>();
        assert!(found.is_clean() && found.first.is_none());
        assert_eq!((found.events, found.stop), (33, None));
    }

    #[test]
    fn overlapping_blocks_are_found() {
        let found = found::<Overlapping>();
        assert!(!found.is_usable());
        assert!(matches!(found.first.unwrap().kind, FaultKind::Overlap { slot: 3, other: 4 | 2 }));
    }

    #[test]
    fn misaligned_blocks_are_found_and_do_not_end_the_replay() {
        let found = found::<Misaligned>();
        assert_eq!((found.misaligned, found.damaged, found.stop), (23, 0, None));
        assert!(matches!(first::<Misaligned>(), FaultKind::Misaligned { align: 16, .. }));
        assert!(found.is_usable() && !found.is_clean());
    }

    #[test]
    fn changed_contents_are_found() {
        assert!(matches!(first::<Scribbling>(), FaultKind::Changed { offset: 40, .. }));
        assert!(!found::<Scribbling>().is_usable());
    }

    #[test]
    fn a_realloc_that_loses_the_contents_is_found() {
        let Fault { event, kind } = found::<Forgetful>().first.unwrap();
        assert!(event == 20 && matches!(kind, FaultKind::Changed { slot: 3, offset: 0 }));
    }

    #[test]
    fn zeroed_blocks_that_are_not_zero_are_found() {
        assert!(matches!(first::<Dirty>(), FaultKind::NotZero { .. }));
    }

    #[test]
    fn a_block_outside_the_region_ends_the_replay() {
        let found = found::<OutOfBounds>();
        assert_eq!((found.events, found.stop), (17, Some(Stop::OutOfBounds)));
        assert!(!found.is_usable());
    }

    #[test]
    fn a_panic_is_a_failure() {
        let found = found::<Panicking>();
        assert_eq!(found.stop, Some(Stop::Panic));
        assert!(!found.is_usable());
    }

    #[test]
    fn a_fault_is_seen_at_the_end_of_blocks_that_are_never_freed() {
        let mut arena = Arena::new(1 << 16).unwrap();
        let trace = trace(&[(Op::Alloc, 0, 100), (Op::Alloc, 1, 100)]);
        let found = check::<Overlapping>(&trace, &mut arena, 1 << 15, LIMIT, 7);
        let kind = FaultKind::Overlap { slot: 0, other: 1 };
        assert_eq!(found.first, Some(Fault { event: 2, kind }));
    }
}
