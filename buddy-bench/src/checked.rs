//! An allocator that is not believed: every block's place, alignment and contents are looked at.

use crate::arena::Region;
use crate::meter::Stop;
use crate::pattern;
use crate::peers::Allocator;
use crate::random::mix;
use hashbrown::HashMap;
use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;
use std::slice;

/// What a checked pass found.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// How many events of the work were timed ones, and checked.
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
    /// In which call it was seen, counted from 1; the look at the end counts as one more.
    pub call: usize,
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
    Overlap { address: usize, other: usize },
    /// A block's bytes changed while it was live, or in a realloc.
    Changed { size: usize, offset: usize },
    /// A block that was to be zero is not.
    NotZero { offset: usize },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}: ", self.call)?;
        match self.kind {
            FaultKind::Misaligned { address, align } => {
                write!(f, "a block at {address:#x} is not aligned to {align}")
            }
            FaultKind::OutOfBounds { address, size } => {
                write!(f, "a block of {size} bytes at {address:#x} lies outside the region")
            }
            FaultKind::Overlap { address, other } => {
                write!(f, "the blocks at {address:#x} and {other:#x} overlap")
            }
            FaultKind::Changed { size, offset } => {
                write!(f, "byte {offset} of a block of {size} bytes has changed")
            }
            FaultKind::NotZero { offset } => write!(f, "byte {offset} of a zeroed block is not 0"),
        }
    }
}

impl Check {
    /// Whether the allocator may be timed: its blocks are its own, and in the region.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.damaged == 0 && self.stop != Some(Stop::Panic)
    }

    /// Whether nothing at all was wrong, as far as it went.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_usable() && self.misaligned == 0 && self.refused == 0
    }

    /// What was wrong, if anything, here or in another pass with so many refusals.
    #[must_use]
    pub fn faults(&self, refused: usize) -> Option<String> {
        let refused = self.refused.max(refused);
        let counts =
            [(refused, "refused"), (self.misaligned, "misaligned"), (self.damaged, "damaged")];
        let wrong = counts.iter().filter(|(count, _)| *count > 0);
        let mut words: Vec<String> = wrong.map(|(count, what)| format!("{count} {what}")).collect();
        if self.stop == Some(Stop::Panic) {
            words.push("panic".to_owned());
        }
        words.extend(self.first.map(|fault| format!("first in {fault}")));
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// An allocator whose blocks are filled to their ends with patterns of their own, and looked at when
/// they are reallocated, freed, or left at the end.
///
/// Blocks that overlap are found when the second is filled over the first. After a block that lies
/// outside the region the allocator is not called any more: everything is refused, and nothing freed.
#[derive(Debug)]
pub struct Checked<'a, A> {
    allocator: &'a mut A,
    /// Where all blocks must lie; `None` if they may lie anywhere.
    region: Option<Region>,
    /// The live blocks by address.
    live: HashMap<usize, Live>,
    /// Varies the patterns.
    seed: u64,
    calls: usize,
    is_broken: bool,
    found: &'a mut Check,
}

#[derive(Clone, Copy, Debug)]
struct Live {
    block: NonNull<u8>,
    size: usize,
    mark: u64,
}

/// What a new block is to hold.
#[derive(Clone, Copy)]
enum Contents {
    Anything,
    Zeros,
    Of(Live),
}

impl<'a, A: Allocator> Checked<'a, A> {
    /// Looks at what `allocator` does from now on, and reports it in `found`.
    pub fn new(
        allocator: &'a mut A,
        region: Option<Region>,
        seed: u64,
        found: &'a mut Check,
    ) -> Self {
        let live = HashMap::new();
        Self { allocator, region, live, seed, calls: 0, is_broken: false, found }
    }

    /// Looks at the blocks that are left.
    pub fn finish(mut self) {
        self.calls += 1;
        let left: Vec<Live> = self.live.values().copied().collect();
        for live in left {
            self.look_at(live);
        }
    }

    /// Takes a new block into the books, if it lies in the region.
    fn admit(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        holds: Contents,
    ) -> Option<NonNull<u8>> {
        let (address, size) = (block.addr().get(), layout.size());
        if self.region.is_some_and(|region| !region.contains(block, size)) {
            self.is_broken = true;
            self.damage(FaultKind::OutOfBounds { address, size });
            return None;
        }
        if address % layout.align() != 0 {
            self.found.misaligned += 1;
            self.report(FaultKind::Misaligned { address, align: layout.align() });
        }
        match holds {
            Contents::Anything => {}
            Contents::Zeros => self.look_for_zeros(block, size),
            // Its contents have moved with it, as far as both sizes reach.
            Contents::Of(old) => self.look_at(Live { block, size: old.size.min(size), ..old }),
        }
        let mark = mix(self.seed ^ self.calls as u64);
        // SAFETY: the block lies in the region, or is the system's, and has that many bytes.
        unsafe { pattern::fill(block, size, mark) };
        if self.live.insert(address, Live { block, size, mark }).is_some() {
            self.damage(FaultKind::Overlap { address, other: address });
        }
        Some(block)
    }

    /// Whether a block still has its pattern.
    fn look_at(&mut self, live: Live) {
        // SAFETY: the block was filled with that many bytes, and nobody writes to it meanwhile.
        let bytes = unsafe { slice::from_raw_parts(live.block.as_ptr(), live.size) };
        let Some(offset) = pattern::first_difference(bytes, live.mark) else { return };
        let address = live.block.addr().get();
        let other = self.found.first.is_none().then(|| self.overlapping(address, live.size));
        let changed = FaultKind::Changed { size: live.size, offset };
        self.damage(other.flatten().map_or(changed, |other| FaultKind::Overlap { address, other }));
    }

    /// Another live block with some of these bytes.
    fn overlapping(&self, address: usize, size: usize) -> Option<usize> {
        let shares = |&&other: &&usize| {
            let end = other + self.live[&other].size;
            other != address && other < address + size && address < end
        };
        self.live.keys().find(shares).copied()
    }

    fn look_for_zeros(&mut self, block: NonNull<u8>, size: usize) {
        // SAFETY: the allocator gave the block with that many bytes, and wrote them.
        let bytes = unsafe { slice::from_raw_parts(block.as_ptr(), size) };
        if let Some(offset) = bytes.iter().position(|&byte| byte != 0) {
            self.damage(FaultKind::NotZero { offset });
        }
    }

    /// The next call, if the allocator is still to be called.
    fn call(&mut self) -> Option<()> {
        self.calls += 1;
        (!self.is_broken).then_some(())
    }

    fn counted(&mut self, block: Option<NonNull<u8>>) -> Option<NonNull<u8>> {
        self.found.refused += usize::from(block.is_none());
        block
    }

    fn damage(&mut self, kind: FaultKind) {
        self.found.damaged += 1;
        self.report(kind);
    }

    fn report(&mut self, kind: FaultKind) {
        self.found.first.get_or_insert(Fault { call: self.calls, kind });
    }
}

impl<A: Allocator> Allocator for Checked<'_, A> {
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.call()?;
        let block = self.allocator.alloc(layout);
        let block = self.counted(block)?;
        self.admit(block, layout, Contents::Anything)
    }

    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.call()?;
        let block = self.allocator.alloc_zeroed(layout);
        let block = self.counted(block)?;
        self.admit(block, layout, Contents::Zeros)
    }

    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        if let (Some(()), Some(live)) = (self.call(), self.live.remove(&block.addr().get())) {
            self.look_at(live);
            // SAFETY: the caller's duties.
            unsafe { self.allocator.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        self.call()?;
        let live = self.live.get(&block.addr().get()).copied()?;
        self.look_at(live);
        // SAFETY: the caller's duties.
        let moved = unsafe { self.allocator.realloc(block, old, new) };
        let moved = self.counted(moved)?;
        self.live.remove(&block.addr().get());
        self.admit(moved, new, Contents::Of(live))
    }

    /// The block has been filled to its end.
    unsafe fn touch(&mut self, _block: NonNull<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::meter::Limit;
    use crate::passes::check;
    use crate::peers::Peer;
    use crate::toys::{
        Bump, Dirty, Forgetful, Misaligned, OutOfBounds, Overlapping, Panicking, Scribbling, trace,
    };
    use crate::trace::Op;
    use crate::workloads::Work;

    fn checked<P: Peer>(events: &[(Op, u32, u32)]) -> Check {
        let mut arena = Arena::new(1 << 16).unwrap();
        let work = Work::Trace(trace(events));
        check::<P>(&work, &mut arena, 1 << 15, Limit::events(usize::MAX), 7)
    }

    /// What is found in 20 allocations of 100 bytes, a realloc, a zeroed block, and some frees.
    fn found<P: Peer>() -> Check {
        let mut events: Vec<_> = (0..20).map(|slot| (Op::Alloc, slot, 100)).collect();
        events.extend([(Op::Realloc, 3, 300), (Op::AllocZeroed, 20, 64), (Op::Realloc, 4, 50)]);
        events.extend((0..10).map(|slot| (Op::Free, slot, 0)));
        checked::<P>(&events)
    }

    fn first<P: Peer>() -> Fault {
        found::<P>().first.unwrap()
    }

    #[test]
    fn a_sound_allocator_passes() {
        let found = found::<Bump>();
        assert!(found.is_clean() && found.first.is_none());
        assert_eq!((found.events, found.stop), (33, None));
    }

    #[test]
    fn overlapping_blocks_are_found() {
        assert!(!found::<Overlapping>().is_usable());
        let Fault { call, kind } = first::<Overlapping>();
        // In the realloc of the fourth.
        assert!(call == 21 && matches!(kind, FaultKind::Overlap { .. }), "{call} {kind:?}");
    }

    #[test]
    fn misaligned_blocks_are_found_and_do_not_end_it() {
        let found = found::<Misaligned>();
        assert_eq!((found.misaligned, found.damaged, found.stop), (23, 0, None));
        assert!(matches!(first::<Misaligned>().kind, FaultKind::Misaligned { align: 16, .. }));
        assert!(found.is_usable() && !found.is_clean());
    }

    #[test]
    fn changed_contents_are_found() {
        assert!(matches!(first::<Scribbling>().kind, FaultKind::Changed { offset: 40, .. }));
        assert!(!found::<Scribbling>().is_usable());
    }

    #[test]
    fn a_realloc_that_loses_the_contents_is_found() {
        let Fault { call, kind } = first::<Forgetful>();
        assert!(call == 21 && matches!(kind, FaultKind::Changed { size: 100, offset: 0 }));
    }

    #[test]
    fn zeroed_blocks_that_are_not_zero_are_found() {
        assert!(matches!(first::<Dirty>().kind, FaultKind::NotZero { .. }));
    }

    #[test]
    fn after_a_block_outside_the_region_the_allocator_is_left_alone() {
        let found = found::<OutOfBounds>();
        assert_eq!((found.damaged, found.refused), (1, 0));
        let Fault { call, kind } = first::<OutOfBounds>();
        assert!(call == 18 && matches!(kind, FaultKind::OutOfBounds { .. }), "{call} {kind:?}");
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
        let found = checked::<Scribbling>(&[(Op::Alloc, 0, 100), (Op::Alloc, 1, 100)]);
        let kind = FaultKind::Changed { size: 100, offset: 40 };
        assert_eq!(found.first, Some(Fault { call: 3, kind }));
    }
}
