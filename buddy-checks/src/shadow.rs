//! What a heap should hold: every block with its place and contents, known apart from the heap.

use crate::Random;
use buddy_core::heap::ExclusiveStorage;
use buddy_core::{AllocError, FreeError, Heap, Policy};
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::ptr::NonNull;

/// A block, with a pattern in every byte.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    block: NonNull<[u8]>,
    layout: Layout,
    seed: u8,
}

// SAFETY: a block belongs to whoever has it.
unsafe impl Send for Live {}

impl Live {
    /// Where it starts.
    #[must_use]
    pub const fn start(&self) -> NonNull<u8> {
        self.block.cast()
    }

    /// What it was asked for with.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn usable(&self) -> usize {
        self.block.len()
    }

    fn address(&self) -> usize {
        self.start().addr().get()
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: a live block, which was written and which only the shadow uses.
        unsafe { self.block.as_ref() }
    }

    fn fill(&self) {
        for at in 0..self.block.len() {
            // SAFETY: inside the block, which only the shadow uses.
            let byte = unsafe { self.start().add(at) };
            // SAFETY: as above.
            unsafe { byte.write(pattern(self.seed, at)) };
        }
    }

    fn check(&self, bytes: usize) {
        let mut all = self.bytes()[..bytes].iter().enumerate();
        let wrong = all.find(|(at, byte)| **byte != pattern(self.seed, *at));
        assert_eq!(wrong, None, "somebody else wrote to {self:?}");
    }
}

const fn pattern(seed: u8, at: usize) -> u8 {
    seed.wrapping_add((at as u8).wrapping_mul(31)).wrapping_add((at >> 8) as u8)
}

/// The blocks that one thread has of a heap.
///
/// Every answer is checked: that blocks lie in the heap's memory, aligned, apart from each other and
/// untouched by others; and, if no other thread shares the heap, also every refusal.
#[derive(Debug)]
pub struct Shadow<'h, S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
{
    heap: &'h Heap<S, MIN_BLOCK, P, REGIONS>,
    given: Vec<Range<usize>>,
    is_alone: bool,
    live: BTreeMap<usize, Live>,
    /// Blocks that are no more.
    gone: Vec<Live>,
    seed: u8,
}

impl<'h, S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Shadow<'h, S, MIN_BLOCK, P, REGIONS>
{
    /// Of how many former blocks the shadow keeps the pointers.
    const GONE: usize = 256;

    /// No blocks yet; `given` is the memory that the heap was given.
    pub const fn new(
        heap: &'h Heap<S, MIN_BLOCK, P, REGIONS>,
        given: Vec<Range<usize>>,
        is_alone: bool,
    ) -> Self {
        Self { heap, given, is_alone, live: BTreeMap::new(), gone: Vec::new(), seed: 0 }
    }

    /// The blocks, by address.
    pub fn blocks(&self) -> impl Iterator<Item = &Live> {
        self.live.values()
    }

    /// How many blocks there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.live.len()
    }

    /// The bytes of all blocks.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.live.values().map(Live::usable).sum()
    }

    /// The block of this number, modulo how many there are.
    #[must_use]
    pub fn pick(&self, number: usize) -> Option<Live> {
        let key = number.wrapping_mul(0x9E37_79B9) % self.live.len().max(1);
        self.live.values().nth(key).copied()
    }

    /// A former block: the heap must refuse it, unless another has its address now.
    #[must_use]
    pub fn pick_gone(&self, number: usize) -> Option<Live> {
        self.gone.get(number % self.gone.len().max(1)).copied()
    }

    /// Memory that the heap was given later.
    pub fn was_given(&mut self, range: Range<usize>) {
        self.given.push(range);
    }

    /// Allocates, and checks what comes.
    ///
    /// # Panics
    /// If the answer is wrong; so for all that follow.
    pub fn allocate(&mut self, layout: Layout, zeroed: bool) {
        let answer =
            if zeroed { self.heap.allocate_zeroed(layout) } else { self.heap.allocate(layout) };
        match answer {
            Ok(block) if layout.size() == 0 => {
                assert_eq!((block.len(), block.cast::<u8>().addr().get()), (0, layout.align()));
            }
            Ok(block) => {
                let live = self.enter(block, layout);
                assert!(!zeroed || live.bytes().iter().all(|byte| *byte == 0), "{live:?} not zero");
                live.fill();
            }
            Err(error) => self.check_refusal(layout, error),
        }
    }

    fn enter(&mut self, block: NonNull<[u8]>, layout: Layout) -> Live {
        self.seed = self.seed.wrapping_add(37);
        let live = Live { block, layout, seed: self.seed };
        let (start, end) = (live.address(), live.address() + live.usable());
        assert_eq!(start % layout.align(), 0, "{layout:?}");
        assert!(live.usable() >= layout.size(), "{live:?} is too small");
        let is_inside = |given: &Range<usize>| given.start <= start && end <= given.end;
        assert!(self.given.iter().any(is_inside), "{live:?} lies outside the heap");
        assert_eq!(self.heap.usable_size(live.start()), Ok(live.usable()));
        if let Some((_, before)) = self.live.range(..end).next_back() {
            assert!(before.address() + before.usable() <= start, "{live:?} overlaps {before:?}");
        }
        self.live.insert(start, live);
        live
    }

    fn check_refusal(&self, layout: Layout, error: AllocError) {
        match error {
            AllocError::OutOfMemory { requested, largest_free } => {
                assert_eq!(requested, layout.size());
                let needed = requested.div_ceil(MIN_BLOCK).next_power_of_two() * MIN_BLOCK;
                let is_right = largest_free < needed || layout.align() > MIN_BLOCK;
                assert!(is_right || !self.is_alone, "{layout:?} refused with {largest_free} free");
            }
            AllocError::TooLarge { requested, heap } => {
                assert!(requested == layout.size() && requested > heap);
            }
            AllocError::Alignment { requested, served } => {
                assert!(requested == layout.align() && served < requested);
            }
            other => panic!("{layout:?}: {other}"),
        }
    }

    /// Frees a block of the shadow in one of the ways there are.
    ///
    /// # Panics
    /// If it is refused or damaged.
    pub fn free(&mut self, live: Live, how: usize) {
        self.forget(live);
        // Any size from the one asked for to the usable one will do.
        let size = live.layout.size() + how % (live.usable() - live.layout.size() + 1);
        let layout = Layout::from_size_align(size, live.layout.align()).unwrap();
        match how % 4 {
            // SAFETY: the shadow has forgotten the block.
            0 => assert_eq!(unsafe { self.heap.free(live.start()) }, Ok(live.usable())),
            1 => {
                // SAFETY: all of the block, which only the shadow uses.
                unsafe { live.start().write_bytes(0, live.usable()) };
                // SAFETY: the block is zero, and the shadow has forgotten it.
                let freed = unsafe { self.heap.deallocate_zeroed(live.start(), layout) };
                assert_eq!(freed, Ok(()));
            }
            // SAFETY: the shadow has forgotten the block.
            _ => assert_eq!(unsafe { self.heap.deallocate(live.start(), layout) }, Ok(())),
        }
    }

    /// Takes a block out of the shadow; it is the caller's now, and he frees it.
    ///
    /// # Panics
    /// If it is damaged, or not the shadow's.
    pub fn forget(&mut self, live: Live) {
        live.check(live.usable());
        assert!(self.live.remove(&live.address()).is_some(), "{live:?} is not the shadow's");
        if self.gone.len() < Self::GONE {
            self.gone.push(live);
        } else {
            let at = live.address() / MIN_BLOCK % Self::GONE;
            self.gone[at] = live;
        }
    }

    /// Takes over a block that another shadow has forgotten.
    ///
    /// # Panics
    /// If it is damaged.
    pub fn adopt(&mut self, live: Live) {
        live.check(live.usable());
        self.live.insert(live.address(), live);
    }

    /// Grows or shrinks a block, moving it where that must be.
    ///
    /// # Panics
    /// If its contents are not kept, or the answer is wrong.
    pub fn resize(&mut self, old: Live, layout: Layout, zeroed: bool) {
        if layout.size() == 0 {
            return;
        }
        old.check(old.usable());
        let is_smaller = layout.size() < old.layout.size();
        let answer = if is_smaller {
            // SAFETY: on success the shadow forgets the old block.
            unsafe { self.heap.shrink(old.start(), old.layout, layout) }
        } else if zeroed {
            // SAFETY: as above.
            unsafe { self.heap.grow_zeroed(old.start(), old.layout, layout) }
        } else {
            // SAFETY: as above.
            unsafe { self.heap.grow(old.start(), old.layout, layout) }
        };
        let block = match answer {
            Ok(block) => block,
            Err(error) => {
                self.check_refusal(layout, error);
                return old.check(old.usable());
            }
        };
        self.live.remove(&old.address());
        let live = self.enter(block, layout);
        let kept = old.layout.size().min(layout.size());
        Live { seed: old.seed, ..live }.check(kept);
        let is_zero = live.bytes()[kept..].iter().all(|byte| *byte == 0);
        assert!(is_smaller || !zeroed || is_zero, "{live:?} is not zero behind {kept}");
        live.fill();
    }

    /// Resizes a block where it is, if that can be.
    ///
    /// # Panics
    /// If its contents are not kept, or the answer is wrong.
    pub fn resize_in_place(&mut self, old: Live, layout: Layout) {
        if layout.size() == 0 {
            return;
        }
        // SAFETY: if the block shrinks, the shadow knows it as the new one.
        let answer = unsafe { self.heap.resize_in_place(old.start(), old.layout, layout) };
        if let Some(block) = answer.expect("a block of the shadow") {
            assert_eq!(block.cast(), old.start());
            self.live.remove(&old.address());
            let live = self.enter(block, layout);
            Live { seed: old.seed, ..live }.check(old.layout.size().min(layout.size()));
            live.fill();
        }
    }

    /// What the heap must say of a pointer, or nothing if it is a block's. If other threads share the
    /// heap, only pointers into the shadow's own blocks and out of the heap may be asked for.
    #[must_use]
    pub fn refusal(&self, ptr: NonNull<u8>) -> Option<FreeError> {
        let address = ptr.addr().get();
        if let Some((start, live)) = self.live.range(..=address).next_back() {
            if address < start + live.usable() {
                let inside = FreeError::NotStart { address, block: *start };
                return (address != *start).then_some(inside);
            }
        }
        if self.heap.contains(ptr) {
            return Some(FreeError::AlreadyFree { address });
        }
        Some(FreeError::OutOfBounds { address })
    }

    /// Tries to free, grow and shrink what is no block; returns in how many ways, 0 if it is one.
    ///
    /// # Panics
    /// If one of the calls is not refused as it should be.
    pub fn misuse(&self, ptr: NonNull<u8>, layout: Layout, random: &mut Random) -> usize {
        let Some(error) = self.refusal(ptr) else { return 0 };
        // SAFETY: refused, or the assertion ends the test.
        assert_eq!(unsafe { self.heap.free(ptr) }, Err(error));
        self.refused(ptr, layout, error, random) + 1
    }

    /// Frees a former block again in two ways, while nobody allocates; returns in how many.
    ///
    /// # Panics
    /// If that is not refused.
    #[must_use]
    pub fn misuse_stale(&self, gone: Live) -> usize {
        // Whether the memory is part of a larger free block is up to the other threads.
        let error = FreeError::AlreadyFree { address: gone.address() };
        // SAFETY: refused, or the assertion ends the test.
        assert_eq!(unsafe { self.heap.free(gone.start()) }, Err(error));
        // SAFETY: as above.
        assert_eq!(unsafe { self.heap.deallocate(gone.start(), gone.layout()) }, Err(error));
        2
    }

    /// Frees a block that no shadow has any more, as other threads may do at the same time; whether it
    /// was this call that did it.
    ///
    /// # Panics
    /// If it is refused for another reason than that.
    #[must_use]
    pub fn free_contested(&self, live: Live, how: usize) -> bool {
        let freed = match how % 2 {
            // SAFETY: nobody uses the block; for both.
            0 => unsafe { self.heap.free(live.start()) }.map(|_| ()),
            // SAFETY: as above.
            _ => unsafe { self.heap.deallocate(live.start(), live.layout()) },
        };
        if let Err(error) = freed {
            assert_eq!(error, FreeError::AlreadyFree { address: live.address() });
        }
        freed.is_ok()
    }

    /// Frees and resizes a block with a wrong size; returns in how many ways.
    ///
    /// # Panics
    /// As [`Self::misuse`].
    pub fn misuse_size(&self, live: Live, random: &mut Random) -> usize {
        let actual = live.usable();
        // More than it has; or at most half of it, which is another size whatever the rounding.
        let given = match random.below(3) {
            0 if actual > MIN_BLOCK => 1 + random.below(actual / 2),
            1 => actual + 1 + random.below(actual),
            _ => actual + random.size(isize::MAX as usize / 4),
        };
        let layout = Layout::from_size_align(given, 1).unwrap();
        let error = FreeError::WrongSize { address: live.address(), given, actual };
        self.refused(live.start(), layout, error, random)
    }

    fn refused(
        &self,
        ptr: NonNull<u8>,
        layout: Layout,
        error: FreeError,
        random: &mut Random,
    ) -> usize {
        if layout.size() == 0 {
            return 0;
        }
        // SAFETY: refused, or the assertion ends the test; so for all calls here.
        assert_eq!(unsafe { self.heap.deallocate(ptr, layout) }, Err(error));
        let new = Layout::from_size_align(random.size(5000), 1 << random.below(6)).unwrap();
        match random.below(4) {
            // SAFETY: as above.
            0 => assert_eq!(unsafe { self.heap.grow(ptr, layout, new) }, Err(error.into())),
            // SAFETY: as above.
            1 => assert_eq!(unsafe { self.heap.shrink(ptr, layout, new) }, Err(error.into())),
            // SAFETY: as above.
            2 => assert_eq!(unsafe { self.heap.deallocate_zeroed(ptr, layout) }, Err(error)),
            // SAFETY: as above.
            _ => assert_eq!(unsafe { self.heap.resize_in_place(ptr, layout, new) }, Err(error)),
        }
        2
    }

    /// Forgets all blocks at once: the heap frees them together.
    pub fn forget_all(&mut self) {
        while let Some((_, live)) = self.live.first_key_value() {
            let live = *live;
            self.forget(live);
        }
    }

    /// Frees all blocks.
    pub fn free_all(&mut self) {
        while let Some((_, live)) = self.live.first_key_value() {
            let live = *live;
            self.free(live, live.address() / MIN_BLOCK);
        }
    }

    /// Checks the heap as a whole; for a shadow of all its blocks.
    ///
    /// # Panics
    /// If an invariant does not hold or bytes are lost.
    pub fn verify(&self) {
        self.heap.validate().unwrap();
        let used = self.bytes();
        assert_eq!(self.heap.total_allocated(), used);
        assert_eq!(self.heap.total_free(), self.heap.size() - used);
    }
}
