//! Many threads on the same frames, without a lock, and with one.

use buddy_core::frames::{
    Bootstrap, Frame, Frames, MemoryKind, MemoryRange, PhysicalAddress, Request,
};
use buddy_core::{Atomic, Eager, Lazy, Order, Plain, Policy, Word};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::thread;

const THREADS: usize = 4;
/// So many that there are slabs.
const FRAMES: usize = 40_000;
const STEPS: usize = 15_000;

/// Frames with a hole and a range that comes and goes.
const MAP: [MemoryRange; 3] = [
    MemoryRange::new(0, (FRAMES as u64) << 12, MemoryKind::Usable),
    MemoryRange::new(1000 << 12, 100 << 12, MemoryKind::Reserved),
    MemoryRange::new((FRAMES as u64) << 12, 256 << 12, MemoryKind::Later),
];

/// Four CPUs, told apart by a number of each thread.
struct PerThread;

std::thread_local!(static CPU: usize = {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Relaxed)
});

impl Policy for PerThread {
    const CPUS: usize = THREADS;

    fn cpu() -> usize {
        CPU.with(|cpu| *cpu)
    }
}

/// Whether each frame is somebody's.
struct Flags(Vec<AtomicBool>);

impl Flags {
    fn new() -> Self {
        Self((0..FRAMES + 256).map(|_| AtomicBool::new(false)).collect())
    }

    fn take(&self, first: Frame, frames: usize) {
        for frame in first.number()..first.number() + frames {
            assert!(!self.0[frame].swap(true, Relaxed), "{frame} is somebody's");
        }
    }

    fn give(&self, first: Frame, frames: usize) {
        for frame in first.number()..first.number() + frames {
            assert!(self.0[frame].swap(false, Relaxed), "{frame} is nobody's");
        }
    }
}

/// Numbers by `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }
}

/// Calls the frames, with or without a lock.
trait Site: Sync {
    type Word: Word;
    type Policy: Policy;

    fn with<R>(&self, call: impl FnOnce(&Frames<'_, Self::Word, Self::Policy>) -> R) -> R;
}

impl<P: Policy> Site for Frames<'_, Atomic, P> {
    type Word = Atomic;
    type Policy = P;

    fn with<R>(&self, call: impl FnOnce(&Frames<'_, Atomic, P>) -> R) -> R {
        call(self)
    }
}

impl<P: Policy> Site for Mutex<Frames<'_, Plain, P>> {
    type Word = Plain;
    type Policy = P;

    fn with<R>(&self, call: impl FnOnce(&Frames<'_, Plain, P>) -> R) -> R {
        call(&self.lock().unwrap())
    }
}

fn allocate<W: Word, P: Policy>(
    frames: &Frames<'_, W, P>,
    random: &mut Random,
) -> Vec<(Frame, usize)> {
    let size = 1 + random.below(20);
    let order = Order::new(random.below(5) as u32).unwrap();
    let taken = match random.below(8) {
        0 => frames.allocate(order).map(|first| (first, order.leaves())),
        1 => frames.allocate_exact(size).map(|first| (first, size)),
        2 => {
            let below = PhysicalAddress::new(8 << 20);
            let request = Request::frames(size).below(below).boundary(128 << 10);
            frames.allocate_within(&request).map(|first| (first, size))
        }
        3 => {
            let first = Frame::new(random.below(FRAMES));
            frames.allocate_at(first, size).map(|()| (first, size))
        }
        4 => {
            let mut many = [Frame::default(); 20];
            let had = frames.allocate_many(Order::MIN, &mut many[..size]);
            return many[..had].iter().map(|first| (*first, 1)).collect();
        }
        _ => frames.allocate_one().map(|first| (first, 1)),
    };
    taken.into_iter().collect()
}

fn work<S: Site>(site: &S, flags: &Flags, mut random: Random) {
    let mut held = VecDeque::new();
    for _ in 0..STEPS {
        if held.len() > 60 || random.below(2) == 0 {
            let Some((first, frames)) = held.pop_front() else { continue };
            flags.give(first, frames);
            site.with(|all| match random.below(4) {
                0 => assert_eq!(all.free(first), Ok(frames)),
                1 => {
                    assert_eq!(all.split(first, frames, 1), Ok(frames));
                    for frame in 0..frames {
                        assert_eq!(all.free_one(first.saturating_add(frame)), Ok(()));
                    }
                }
                2 if frames > 1 => {
                    assert_eq!(all.free_part(first, 1), Ok(()));
                    let rest = first.saturating_add(1);
                    assert_eq!(all.free(rest), Ok(frames - 1));
                }
                _ => assert_eq!(all.free_sized(first, frames), Ok(())),
            });
        } else {
            let taken = site.with(|all| allocate(all, &mut random));
            for (first, frames) in &taken {
                flags.take(*first, *frames);
            }
            held.extend(taken);
        }
    }
    for (first, frames) in held {
        flags.give(first, frames);
        assert_eq!(site.with(|all| all.free(first)), Ok(frames));
    }
}

/// Adds memory, and removes it again as soon as nobody uses it.
fn come_and_go<S: Site>(site: &S) {
    let later = MAP[2].addresses();
    for _ in 0..200 {
        assert_eq!(site.with(|all| all.add(later.clone())), Ok(256));
        thread::yield_now();
        while site.with(|all| all.remove(later.clone())).is_err() {
            thread::yield_now();
        }
    }
}

fn stress<S: Site>(site: &S) {
    let flags = Flags::new();
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let flags = &flags;
            scope.spawn(move || work(site, flags, Random(seed as u64)));
        }
        scope.spawn(|| come_and_go(site));
    });
    site.with(|all| {
        let statistics = all.statistics();
        assert_eq!(all.validate(), Ok(()));
        assert_eq!((statistics.used(), statistics.blocks()), (0, 0));
        assert_eq!(statistics.free(), FRAMES - 100);
    });
}

fn words<W: Word, P: Policy>() -> Vec<W> {
    let needed = Bootstrap::new(MAP).metadata_words::<W, P, 4096>().unwrap();
    (0..needed).map(|_| W::default()).collect()
}

fn frames_have_one_owner<P: Policy + Sync>() {
    let mut words = words::<Atomic, P>();
    let frames: Frames<'_, Atomic, P> = Bootstrap::new(MAP).build_in(&mut words).unwrap();
    stress(&frames);
}

#[test]
fn frames_have_one_owner_at_a_time() {
    frames_have_one_owner::<Lazy>();
}

#[test]
fn frames_have_one_owner_at_a_time_when_merged_at_once() {
    frames_have_one_owner::<Eager>();
}

#[test]
fn frames_have_one_owner_at_a_time_on_several_cpus() {
    frames_have_one_owner::<PerThread>();
}

#[test]
fn frames_have_one_owner_at_a_time_behind_a_lock() {
    let mut words = words::<Plain, Lazy>();
    let frames: Frames<'_, Plain> = Bootstrap::new(MAP).build_in(&mut words).unwrap();
    stress(&Mutex::new(frames));
}

/// All threads free the same frames at the same time.
#[test]
fn one_of_several_frees_succeeds() {
    let mut words = words::<Atomic, Lazy>();
    let frames: Frames<'_, Atomic> = Bootstrap::new(MAP).build_in(&mut words).unwrap();
    for _ in 0..30 {
        let pages: Vec<Frame> = (0..2000).map(|_| frames.allocate_one().unwrap()).collect();
        let freed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for page in &pages {
                        freed.fetch_add(usize::from(frames.free_one(*page).is_ok()), Relaxed);
                    }
                });
            }
        });
        assert_eq!(freed.into_inner(), pages.len());
        assert_eq!(frames.validate(), Ok(()));
    }
}

/// No frame is lost between threads that use up all memory.
#[test]
fn exhaustion_is_complete_and_passes() {
    let mut words = words::<Atomic, PerThread>();
    let frames: Frames<'_, Atomic, PerThread> = Bootstrap::new(MAP).build_in(&mut words).unwrap();
    for _ in 0..10 {
        let mut pages: Vec<Frame> = Vec::new();
        thread::scope(|scope| {
            let take = || {
                let mut mine = Vec::new();
                while let Ok(page) = frames.allocate_one() {
                    mine.push(page);
                }
                mine
            };
            let takers: Vec<_> = (0..THREADS).map(|_| scope.spawn(take)).collect();
            for taker in takers {
                pages.extend(taker.join().unwrap());
            }
        });
        while let Ok(page) = frames.allocate_one() {
            pages.push(page);
        }
        assert_eq!(pages.len(), FRAMES - 100);
        frames.free_many(Order::MIN, &pages).unwrap();
        assert_eq!(frames.free_frames(), FRAMES - 100);
        assert_eq!(frames.validate(), Ok(()));
    }
}

/// All threads add, and remove, the same memory at the same time.
#[test]
fn memory_is_added_once() {
    let mut words = words::<Atomic, Lazy>();
    let frames: Frames<'_, Atomic> = Bootstrap::new(MAP).build_in(&mut words).unwrap();
    let later = MAP[2].addresses();
    for _ in 0..300 {
        let (added, removed, start) =
            (AtomicUsize::new(0), AtomicUsize::new(0), Barrier::new(THREADS));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    added.fetch_add(usize::from(frames.add(later.clone()).is_ok()), Relaxed);
                    start.wait();
                    removed.fetch_add(usize::from(frames.remove(later.clone()).is_ok()), Relaxed);
                });
            }
        });
        assert_eq!((added.into_inner(), removed.into_inner()), (1, 1));
        assert_eq!(frames.free_frames(), FRAMES - 100);
        assert_eq!(frames.validate(), Ok(()));
    }
}
