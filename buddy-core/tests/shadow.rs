//! A heap under random requests beside a shadow that knows every block: patterns over whole usable
//! sizes, alignment, bounds, overlap, zeros, and the refusals themselves.

use buddy_core::heap::{AllocError, ExclusiveStorage, ZeroedWord};
use buddy_core::{Eager, Heap, Lazy, Plain, Plain32, Policy, Tight};
use proptest::prelude::*;
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;

#[derive(Clone, Debug)]
enum Action {
    Allocate {
        layout: Layout,
        zeroed: bool,
    },
    Free {
        victim: usize,
        by_address: bool,
    },
    FreeAgain {
        victim: usize,
    },
    Resize {
        victim: usize,
        layout: Layout,
        zeroed: bool,
    },
    /// Again and again.
    Grow {
        victim: usize,
        times: usize,
        percent: usize,
    },
    Settle,
}

fn layouts() -> impl Strategy<Value = Layout> {
    let size = prop_oneof![
        1 => Just(0_usize),
        8 => 1_usize..200,
        4 => 1_usize..3000,
        1 => 1_usize..40_000,
        1 => (0_u32..16).prop_map(|shift| 1 << shift),
    ];
    let align = prop_oneof![6 => 0_u32..5, 2 => 0_u32..14, 1 => 14_u32..18];
    (size, align).prop_map(|(size, align)| Layout::from_size_align(size, 1 << align).unwrap())
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (layouts(), any::<bool>())
            .prop_map(|(layout, zeroed)| Action::Allocate { layout, zeroed }),
        4 => (any::<usize>(), any::<bool>())
            .prop_map(|(victim, by_address)| Action::Free { victim, by_address }),
        2 => any::<usize>().prop_map(|victim| Action::FreeAgain { victim }),
        4 => (any::<usize>(), layouts(), any::<bool>())
            .prop_map(|(victim, layout, zeroed)| Action::Resize { victim, layout, zeroed }),
        2 => (any::<usize>(), 2_usize..20, 5_usize..60)
            .prop_map(|(victim, times, percent)| Action::Grow { victim, times, percent }),
        1 => Just(Action::Settle),
    ];
    prop::collection::vec(action, 1..120)
}

/// Memory that starts at a multiple of 64 KiB.
struct Backing {
    start: NonNull<u8>,
    layout: Layout,
}

impl Backing {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), 1 << 16).unwrap();
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
        // SAFETY: all of the memory just allocated.
        unsafe { start.write_bytes(0xA5, layout.size()) };
        Self { start, layout }
    }

    fn slice(&mut self, offset: usize, len: usize) -> &mut [MaybeUninit<u8>] {
        assert!(offset + len <= self.layout.size());
        // SAFETY: inside the memory, as was just checked.
        let start = unsafe { self.start.add(offset) };
        // SAFETY: inside the memory, borrowed as `self` is.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast(), len) }
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[derive(Clone, Copy, Debug)]
struct Live {
    block: NonNull<[u8]>,
    layout: Layout,
    seed: u8,
}

impl Live {
    fn pattern(&self, index: usize) -> u8 {
        self.seed.wrapping_add(index as u8).wrapping_mul(31)
    }

    /// The block's bytes, which must have been written.
    fn bytes(&self) -> &[u8] {
        // SAFETY: a live block, which only the shadow uses.
        unsafe { self.block.as_ref() }
    }

    fn fill(&self) {
        for at in 0..self.block.len() {
            // SAFETY: inside the block.
            let byte = unsafe { self.block.cast::<u8>().add(at) };
            // SAFETY: a live block, which only the shadow uses.
            unsafe { byte.write(self.pattern(at)) };
        }
    }

    fn check(&self, bytes: usize) {
        for (at, byte) in self.bytes()[..bytes].iter().enumerate() {
            assert_eq!(*byte, self.pattern(at), "byte {at} of {self:?} was written over");
        }
    }

    fn range(&self) -> Range<usize> {
        let start = self.block.cast::<u8>().addr().get();
        start..start + self.block.len()
    }
}

struct Shadow<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy> {
    heap: Heap<S, MIN_BLOCK, P>,
    /// The memory given to the heap.
    given: Vec<Range<usize>>,
    live: Vec<Live>,
    /// What was live before, the last of it.
    dead: Vec<Live>,
    next_seed: u8,
}

impl<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy> Shadow<S, MIN_BLOCK, P> {
    fn new(heap: Heap<S, MIN_BLOCK, P>, given: Vec<Range<usize>>) -> Self {
        Self { heap, given, live: Vec::new(), dead: Vec::new(), next_seed: 1 }
    }

    fn run(mut self, actions: &[Action]) {
        let total = self.heap.size();
        for (step, action) in actions.iter().enumerate() {
            self.step(action);
            let used: usize = self.live.iter().map(|live| live.block.len()).sum();
            assert_eq!((self.heap.total_allocated(), self.heap.total_free()), (used, total - used));
            if step % 8 == 0 {
                self.heap.validate().unwrap();
            }
        }
        while !self.live.is_empty() {
            self.free(0, false);
        }
        self.heap.validate().unwrap();
        assert_eq!((self.heap.total_allocated(), self.heap.total_free()), (0, total));
        self.heap.settle();
        assert!(self.heap.walk().all(|block| !block.used));
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Allocate { layout, zeroed } => self.allocate(layout, zeroed),
            Action::Free { victim, by_address } if !self.live.is_empty() => {
                self.free(victim % self.live.len(), by_address);
            }
            Action::Resize { victim, layout, zeroed } if !self.live.is_empty() => {
                self.resize(victim % self.live.len(), layout, zeroed);
            }
            Action::Grow { victim, times, percent } if !self.live.is_empty() => {
                self.grow(victim % self.live.len(), times, percent);
            }
            Action::FreeAgain { victim } if !self.dead.is_empty() => {
                self.free_again(victim % self.dead.len());
            }
            Action::Settle => self.heap.settle(),
            _ => {}
        }
    }

    fn allocate(&mut self, layout: Layout, zeroed: bool) {
        let answer =
            if zeroed { self.heap.allocate_zeroed(layout) } else { self.heap.allocate(layout) };
        match answer {
            Ok(block) => {
                let live = self.enter(block, layout);
                assert!(!zeroed || live.bytes().iter().all(|byte| *byte == 0));
                live.fill();
            }
            Err(error) => self.check_refusal(layout, error),
        }
    }

    /// Notes a new block after checking where it lies.
    fn enter(&mut self, block: NonNull<[u8]>, layout: Layout) -> Live {
        self.next_seed = self.next_seed.wrapping_add(1);
        let live = Live { block, layout, seed: self.next_seed };
        let range = live.range();
        assert_eq!(range.start % layout.align(), 0, "{layout:?}");
        assert!(range.len() >= layout.size());
        if layout.size() == 0 {
            assert_eq!(block.len(), 0);
        } else {
            let mut given = self.given.iter();
            let inside = given.any(|given| given.start <= range.start && range.end <= given.end);
            assert!(inside, "{live:?} lies outside the heap");
            assert!(self.heap.contains(block.cast()));
            assert_eq!(self.heap.usable_size(block.cast()), Ok(block.len()));
        }
        for other in self.live.iter().map(Live::range).filter(|other| !other.is_empty()) {
            let apart = other.end <= range.start || range.end <= other.start;
            assert!(apart || range.is_empty(), "{live:?} overlaps {other:?}");
        }
        self.live.push(live);
        live
    }

    fn check_refusal(&self, layout: Layout, error: AllocError) {
        match error {
            AllocError::OutOfMemory { requested, largest_free } => {
                assert_eq!(requested, layout.size());
                assert_eq!(largest_free, self.heap.statistics().largest_free() * MIN_BLOCK);
                if layout.align() <= MIN_BLOCK {
                    let needed = requested.div_ceil(MIN_BLOCK).next_power_of_two() * MIN_BLOCK;
                    assert!(largest_free < needed, "{layout:?} refused with {largest_free} free");
                }
            }
            AllocError::TooLarge { requested, heap } => {
                assert_eq!((requested, heap), (layout.size(), self.heap.size()));
            }
            AllocError::Alignment { requested, served } => {
                assert_eq!(requested, layout.align());
                assert!(served < requested);
            }
            other => panic!("{other}"),
        }
    }

    /// The last that were freed are still on stacks, or were handed out again.
    fn bury(&mut self, dead: Live) {
        self.dead.push(dead);
        if self.dead.len() > 12 {
            self.dead.remove(0);
        }
    }

    fn free_again(&mut self, victim: usize) {
        let dead = self.dead[victim];
        let is_live = |live: &Live| live.block.cast::<u8>() == dead.block.cast();
        if dead.layout.size() > 0 && !self.live.iter().any(is_live) {
            // SAFETY: nobody uses the block.
            let refused = unsafe { self.heap.deallocate(dead.block.cast(), dead.layout) };
            assert!(refused.is_err(), "{dead:?} was freed twice");
        }
    }

    fn free(&mut self, victim: usize, by_address: bool) {
        let live = self.live.swap_remove(victim);
        self.bury(live);
        live.check(live.block.len());
        let ptr = live.block.cast();
        if by_address && live.layout.size() > 0 {
            // SAFETY: the shadow has forgotten the block.
            assert_eq!(unsafe { self.heap.free(ptr) }, Ok(live.block.len()));
            return;
        }
        // Any size up to the usable one frees the block.
        let size = live.layout.size() + victim % (live.block.len() - live.layout.size() + 1);
        let layout = Layout::from_size_align(size, live.layout.align()).unwrap();
        // SAFETY: the shadow has forgotten the block.
        assert_eq!(unsafe { self.heap.deallocate(ptr, layout) }, Ok(()));
    }

    fn grow(&mut self, victim: usize, times: usize, percent: usize) {
        let layout = self.live[victim].layout;
        // What was resized is the last of all.
        let last = self.live.len() - 1;
        self.live.swap(victim, last);
        let mut size = layout.size();
        for _ in 0..times {
            size += size * percent / 100 + 16;
            self.resize(last, Layout::from_size_align(size, layout.align()).unwrap(), false);
            if self.live[last].layout.size() != size {
                break;
            }
        }
    }

    fn resize(&mut self, victim: usize, layout: Layout, zeroed: bool) {
        let old = self.live[victim];
        old.check(old.block.len());
        let ptr = old.block.cast();
        let answer = if layout.size() < old.layout.size() {
            // SAFETY: on success the shadow forgets the old block.
            unsafe { self.heap.shrink(ptr, old.layout, layout) }
        } else if zeroed {
            // SAFETY: as above.
            unsafe { self.heap.grow_zeroed(ptr, old.layout, layout) }
        } else {
            // SAFETY: as above.
            unsafe { self.heap.grow(ptr, old.layout, layout) }
        };
        let block = match answer {
            Ok(block) => block,
            Err(error) => {
                self.check_refusal(layout, error);
                return old.check(old.block.len());
            }
        };
        self.live.swap_remove(victim);
        self.bury(old);
        let live = self.enter(block, layout);
        let kept = old.layout.size().min(layout.size());
        Live { seed: old.seed, ..live }.check(kept);
        if zeroed && layout.size() >= old.layout.size() {
            assert!(live.bytes()[kept..].iter().all(|byte| *byte == 0));
        }
        live.fill();
    }
}

/// Where a heap's metadata is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Metadata {
    Inside,
    Apart,
    /// With so much more that small heaps have slabs and stacks, too.
    Plenty,
}

fn metadata() -> impl Strategy<Value = Metadata> {
    prop_oneof![1 => Just(Metadata::Inside), 1 => Just(Metadata::Apart), 2 => Just(Metadata::Plenty)]
}

/// A heap over one region.
fn run_on_region<W: ZeroedWord, const MIN_BLOCK: usize, P: Policy>(
    (offset, len): (usize, usize),
    place: Metadata,
    actions: &[Action],
) {
    let mut backing = Backing::new(offset + len);
    let region = backing.slice(offset, len);
    let given = region.as_ptr_range();
    let given = given.start.addr()..given.end.addr();
    let words = Heap::<&mut [W], MIN_BLOCK, P>::metadata_words(len);
    let mut metadata = Vec::new();
    let built: Result<Heap<&mut [W], MIN_BLOCK, P>, _> =
        if place != Metadata::Inside && words != usize::MAX {
            let more = if place == Metadata::Plenty { 4000 } else { 0 };
            metadata.resize_with(words + more, W::default);
            Heap::with_metadata(&mut metadata, region)
        } else {
            Heap::from_region(region)
        };
    match built {
        Ok(heap) => {
            assert!(heap.size() > 0 && heap.size() <= len);
            Shadow::new(heap, vec![given]).run(actions);
        }
        Err(error) => assert!(len < 2000 + 2 * MIN_BLOCK, "{len} bytes at {offset}: {error}"),
    }
}

/// A heap over several stretches of one allocation, some adjacent, the others with gaps.
fn run_on_stretches<W: ZeroedWord, const MIN_BLOCK: usize, P: Policy>(
    offset: usize,
    stretches: &[(usize, usize)],
    actions: &[Action],
) {
    let total: usize = stretches.iter().map(|(gap, len)| gap + len).sum();
    let backing = Backing::new(offset + total);
    let words = Heap::<&mut [W], MIN_BLOCK, P>::metadata_words(2 * total.max(MIN_BLOCK));
    let mut metadata: Vec<W> = (0..words).map(|_| W::default()).collect();
    let heap: Heap<&mut [W], MIN_BLOCK, P> = Heap::new(metadata.as_mut_slice()).unwrap();
    let (mut at, mut usable, mut given) = (offset, 0, Vec::<Range<usize>>::new());
    for (gap, len) in stretches {
        at += gap;
        // SAFETY: inside the backing memory.
        let start = unsafe { backing.start.add(at) };
        // SAFETY: memory of one allocation, used by nobody else, that outlives the heap.
        if let Ok(bytes) = unsafe { heap.add_raw(start, *len) } {
            usable += bytes;
            let range = start.addr().get()..start.addr().get() + len;
            match given.last_mut().filter(|last| last.end == range.start) {
                Some(last) => last.end = range.end,
                None => given.push(range),
            }
        }
        at += len;
    }
    assert_eq!(heap.size(), usable);
    Shadow::new(heap, given).run(actions);
}

fn regions() -> impl Strategy<Value = (usize, usize)> {
    let offset = prop_oneof![0_usize..70_000, (0_usize..16).prop_map(|page| page * 4096)];
    // The longest have slabs of many classes.
    let len = prop_oneof![1 => 0_usize..3000, 4 => 0_usize..100_000, 2 => 500_000_usize..2_000_000];
    (offset, len)
}

fn stretches() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let gap = prop_oneof![2 => Just(0_usize), 1 => 1_usize..9000];
    prop::collection::vec((gap, 0_usize..30_000), 1..7)
}

/// Rounds sizes up to powers of two.
struct Coarse;

impl Policy for Coarse {
    const LAZY: bool = true;
    const PRECISION: u32 = 1;
}

/// Keeps every size exact.
struct Exact;

impl Policy for Exact {
    const LAZY: bool = false;
    const PRECISION: u32 = u32::MAX;
}

macro_rules! shadow_tests {
    ($($name:ident: $word:ty, $min_block:expr, $policy:ty;)*) => {$(
        mod $name {
            use super::*;

            proptest! {
                #[test]
                fn blocks_in_a_region_are_whole_and_apart(
                    region in regions(), place in metadata(), actions in actions()
                ) {
                    run_on_region::<$word, $min_block, $policy>(region, place, &actions);
                }

                #[test]
                fn blocks_in_several_regions_are_whole_and_apart(
                    offset in 0_usize..70_000, stretches in stretches(), actions in actions()
                ) {
                    run_on_stretches::<$word, $min_block, $policy>(offset, &stretches, &actions);
                }
            }
        }
    )*};
}

shadow_tests! {
    lazy: Plain, 16, Lazy;
    eager: Plain, 16, Eager;
    tight: Plain, 16, Tight;
    coarse: Plain32, 8, Coarse;
    exact: Plain32, 64, Exact;
    large_blocks: Plain, 8192, Lazy;
}

#[cfg(target_has_atomic = "ptr")]
shadow_tests! {
    atomic: buddy_core::Atomic, 16, Lazy;
}
