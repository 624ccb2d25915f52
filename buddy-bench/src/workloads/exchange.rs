//! Threads that share an allocator, each with blocks of its own, some of which it hands to others.

use super::sizes::logarithmic;
use crate::arena::Region;
use crate::measure::Label;
use crate::meter::{Limit, Meter, Pass, Stop};
use crate::pattern;
use crate::random::{Random, mix};
use crate::shared::SharedPeer;
use std::alloc::Layout;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Barrier;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Each thread frees the block in a slot of its own and allocates another. Some of these it swaps for
/// one in a box that all share, so that others free it.
#[derive(Clone, Debug)]
pub struct Exchange {
    threads: usize,
    name: &'static str,
    steps: Vec<Vec<Step>>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    slot: u32,
    size: u32,
    /// The box, if the block is swapped.
    swap: Option<u32>,
}

/// Blocks of each thread.
const SLOTS: u64 = 1000;

/// What the threads share, for each of them.
const BOXES: u64 = 256;

/// Steps of each thread in a lap.
const LAP: usize = 1 << 14;

/// The clock is read once in so many steps.
const STEPS_PER_LOOK: usize = 256;

/// Memory for each thread's blocks of a quarter of a megabyte.
const HEAP_PER_THREAD: usize = 4 << 20;

/// What a block's first bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    size: u32,
    /// Which allocation it was: none is like another.
    serial: u32,
}

const LEAST: u32 = 16;
/// Bytes of the largest block.
const MOST: u32 = 1024;
const _: () = assert!(size_of::<Head>() <= LEAST as usize);

impl Exchange {
    /// So many threads with blocks of 16 B to 1 KiB; one step in `swaps` hands a block on, none if
    /// that is 0.
    #[must_use]
    pub fn new(name: &'static str, threads: usize, swaps: u64, random: &mut Random) -> Self {
        let boxes = BOXES * threads as u64;
        let step = |random: &mut Random| {
            let (slot, size) = ((random.next() % SLOTS) as u32, logarithmic(LEAST, MOST, random));
            let swapped = swaps > 0 && random.next() % swaps == 0;
            Step { slot, size, swap: swapped.then(|| (random.next() % boxes) as u32) }
        };
        let mut steps = || (0..LAP).map(|_| step(random)).collect();
        Self { threads, name, steps: (0..threads).map(|_| steps()).collect() }
    }

    /// The heap for it.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.threads * HEAP_PER_THREAD
    }

    /// What the tables call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is told of it; an event is an allocation or a free.
    #[must_use]
    pub fn label(&self) -> Label {
        let (workload, unit) = (self.name.to_owned(), if self.threads == 1 { "" } else { "s" });
        let parameter = format!("{} thread{unit}", self.threads);
        Label { workload, parameter, event: "call", lap: 2 * LAP * self.threads, repeats: true }
    }

    /// A pass: the time is from the first thread's start to the last one's end.
    pub(crate) fn run<P: SharedPeer>(&self, peer: &P, limit: Limit) -> Pass {
        self.pass::<P, false>(peer, None, limit).0
    }

    /// A pass in which blocks are filled, and looked at when they are freed; and how many were
    /// outside of `region`, misaligned or not as they had been left.
    pub(crate) fn check<P: SharedPeer>(
        &self,
        peer: &P,
        region: Option<Region>,
        limit: Limit,
    ) -> (Pass, usize) {
        self.pass::<P, true>(peer, region, limit)
    }

    fn pass<P: SharedPeer, const CHECK: bool>(
        &self,
        peer: &P,
        region: Option<Region>,
        limit: Limit,
    ) -> (Pass, usize) {
        let boxes: Vec<AtomicPtr<u8>> =
            (0..BOXES as usize * self.threads).map(|_| AtomicPtr::default()).collect();
        let (barrier, damaged) = (Barrier::new(self.threads), AtomicUsize::new(0));
        // Regions are not Send on account of their pointer.
        let bounds = region.map(|region| (region.start.addr().get(), region.len));
        let common = Common { peer, boxes: &boxes, bounds, damaged: &damaged };
        let run = |number: usize| {
            let mut worker = Worker::<P, CHECK> {
                common: &common,
                slots: vec![None; SLOTS as usize],
                serial: (number as u32) << 24,
            };
            worker.run(&self.steps[number], &barrier, limit, self.threads)
        };
        let runs: Vec<Run> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.threads).map(|number| scope.spawn(move || run(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(Run::PANIC)).collect()
        });
        let mut last = Worker::<P, CHECK> { common: &common, slots: Vec::new(), serial: 0 };
        for block in boxes.iter().filter_map(|place| NonNull::new(place.load(Ordering::Acquire))) {
            // SAFETY: a block that was left in a box, and is taken out by nobody any more.
            unsafe { last.free(block, None) };
        }
        (Run::all(&runs), damaged.into_inner())
    }
}

/// What a thread came to.
#[derive(Clone, Copy, Debug)]
struct Run {
    pass: Pass,
    /// Start and end.
    times: Option<(Instant, Instant)>,
}

impl Run {
    const PANIC: Self = Self {
        pass: Pass { events: 0, refused: 0, elapsed: Duration::ZERO, stop: Some(Stop::Panic) },
        times: None,
    };

    fn all(runs: &[Self]) -> Pass {
        let start = runs.iter().filter_map(|run| run.times).map(|(start, _)| start).min();
        let end = runs.iter().filter_map(|run| run.times).map(|(_, end)| end).max();
        let stops = runs.iter().filter_map(|run| run.pass.stop);
        Pass {
            events: runs.iter().map(|run| run.pass.events).sum(),
            refused: runs.iter().map(|run| run.pass.refused).sum(),
            elapsed: start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start),
            stop: stops.max_by_key(|&stop| stop == Stop::Panic),
        }
    }
}

/// What the threads of a pass share.
struct Common<'a, P> {
    peer: &'a P,
    boxes: &'a [AtomicPtr<u8>],
    /// Address and length of the region.
    bounds: Option<(usize, usize)>,
    damaged: &'a AtomicUsize,
}

/// A thread's part.
struct Worker<'a, P, const CHECK: bool> {
    common: &'a Common<'a, P>,
    slots: Vec<Option<(NonNull<u8>, Head)>>,
    serial: u32,
}

impl<P: SharedPeer, const CHECK: bool> Worker<'_, P, CHECK> {
    fn run(&mut self, steps: &[Step], barrier: &Barrier, limit: Limit, threads: usize) -> Run {
        let own = Limit { events: limit.events.div_ceil(threads), ..limit };
        barrier.wait();
        let start = Instant::now();
        let mut meter = Meter::new(own);
        meter.start();
        while meter.more() {
            for steps in steps.chunks(STEPS_PER_LOOK) {
                for step in steps {
                    let served = self.step(step);
                    meter.served(served);
                }
                if !meter.stop(2 * steps.len()) {
                    break;
                }
            }
        }
        let end = Instant::now();
        for (block, head) in std::mem::take(&mut self.slots).into_iter().flatten() {
            // SAFETY: the block was this thread's, and is in no slot any more.
            unsafe { self.free(block, Some(head)) };
        }
        Run { pass: meter.finish(), times: Some((start, end)) }
    }

    #[inline]
    fn step(&mut self, step: &Step) -> bool {
        let slot = step.slot as usize;
        if let Some((block, head)) = self.slots[slot].take() {
            // SAFETY: the block was this thread's, and is in no slot any more.
            unsafe { self.free(block, Some(head)) };
        }
        let Some((block, head)) = self.alloc(step.size) else { return false };
        let Some(swap) = step.swap else {
            self.slots[slot] = Some((block, head));
            return true;
        };
        let place = &self.common.boxes[swap as usize];
        let other = place.swap(block.as_ptr(), Ordering::AcqRel);
        if let Some(other) = NonNull::new(other) {
            // SAFETY: a live block that another thread, or this one, put there, and that the swap
            // made this thread's.
            let head = unsafe { read_head(other) };
            self.slots[slot] = Some((other, head));
        }
        true
    }

    #[inline]
    fn alloc(&mut self, size: u32) -> Option<(NonNull<u8>, Head)> {
        let block = self.common.peer.alloc(layout(size))?;
        self.serial += 1;
        let head = Head { size, serial: self.serial };
        if CHECK {
            if !self.is_placed(block, size) {
                self.common.damaged.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            // SAFETY: a live block of that size, in the region.
            unsafe { pattern::fill(block, size as usize, mark(head)) };
        }
        // SAFETY: blocks have at least LEAST bytes.
        unsafe { ptr::write_unaligned(block.as_ptr().cast(), head) };
        Some((block, head))
    }

    fn is_placed(&self, block: NonNull<u8>, size: u32) -> bool {
        let address = block.addr().get();
        let is_inside = self
            .common
            .bounds
            .is_none_or(|(start, len)| address >= start && address - start + size as usize <= len);
        is_inside && address % layout(size).align() == 0
    }

    /// # Safety
    /// The block is live, this thread's, and not used any more.
    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>, expected: Option<Head>) {
        // SAFETY: the block is live.
        let head = unsafe { read_head(block) };
        if CHECK {
            let expected = expected.unwrap_or(head);
            // Of a block out of a box the head is all there is, and may be another block's bytes.
            if !(LEAST..=MOST).contains(&expected.size) {
                self.common.damaged.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let (size, from) = (expected.size as usize, size_of::<Head>());
            // SAFETY: the block was filled with that many bytes, and nobody writes to it.
            let bytes = unsafe { slice::from_raw_parts(block.as_ptr(), size) };
            let mut filled = bytes.to_vec();
            // SAFETY: the copy's own bytes.
            unsafe { pattern::fill(NonNull::from(&mut filled[..]).cast(), size, mark(expected)) };
            if head != expected || filled[from..] != bytes[from..] {
                self.common.damaged.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        // SAFETY: the caller's duties; the layout is that of its allocation.
        unsafe { self.common.peer.dealloc(block, layout(head.size)) };
    }
}

/// # Safety
/// The block is live, and begins with its head.
#[inline]
unsafe fn read_head(block: NonNull<u8>) -> Head {
    // SAFETY: the caller's duty.
    unsafe { ptr::read_unaligned(block.as_ptr().cast()) }
}

fn mark(head: Head) -> u64 {
    mix(u64::from(head.serial) << 32 | u64::from(head.size))
}

#[inline(always)]
fn layout(size: u32) -> Layout {
    crate::holder::Request::bytes(size).layout()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::peers::Memory;

    /// Hands out the region in turn, `STEP` bytes further each time, whatever the size.
    struct Striding<const STEP: usize>(usize, usize, AtomicUsize);

    impl<const STEP: usize> SharedPeer for Striding<STEP> {
        const PACKAGE: &'static str = "test 0";
        const MEMORY: Memory = Memory::Fixed;

        unsafe fn create(region: Region) -> Option<Self> {
            Some(Self(region.start.as_ptr().expose_provenance(), region.len, AtomicUsize::new(0)))
        }

        fn alloc(&self, _layout: Layout) -> Option<NonNull<u8>> {
            let offset = self.2.fetch_add(STEP, Ordering::Relaxed);
            // The last kilobyte is kept free, for the largest block.
            let offset = (offset + 1024 <= self.1).then_some(offset)?;
            NonNull::new(ptr::with_exposed_provenance_mut(self.0 + offset))
        }

        unsafe fn dealloc(&self, _block: NonNull<u8>, _layout: Layout) {}
    }

    fn found<const STEP: usize>() -> (Pass, usize) {
        let exchange = Exchange::new("exchange", 2, 4, &mut Random::new(1));
        let mut arena = Arena::new(exchange.heap_bytes()).unwrap();
        let region = arena.region(usize::MAX);
        // SAFETY: the arena is borrowed.
        let peer = unsafe { Striding::<STEP>::create(region) }.unwrap();
        exchange.check(&peer, Some(region), Limit::events(2000))
    }

    #[test]
    fn blocks_of_their_own_pass() {
        let (pass, damaged) = found::<1024>();
        assert_eq!((pass.refused, damaged, pass.stop), (0, 0, None));
        assert!(pass.events >= 2000);
    }

    #[test]
    fn blocks_that_overlap_or_are_misaligned_are_found() {
        assert!(found::<0>().1 > 0);
        assert!(found::<8>().1 > 0);
        assert!(found::<1021>().1 > 0);
    }
}
