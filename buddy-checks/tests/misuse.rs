//! More than a million invalid frees among valid work: each is refused with the right reason, and
//! nothing that is held is disturbed. Of several frees of one block at once one succeeds.
//!
//! What threads try while others work is refused whatever the timing: pointers into blocks that the
//! thread holds, wrong sizes, pointers from elsewhere. A stale pointer is only tried while nobody
//! allocates: a block that was handed out again may be freed by whoever has its address.

use buddy_checks::heap::{Coarse, Exact};
use buddy_checks::{Live, Memory, Random, Shadow};
use buddy_core::heap::{ExclusiveStorage, ZeroedWord};
use buddy_core::{Atomic, BuddyAllocator, Eager, FreeError, Heap, Lazy, Plain, Plain32, Policy};
use std::alloc::Layout;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const THREADS: usize = 4;

/// Invalid calls in each of the campaigns.
const CALLS: usize = 250_000;

fn layout(random: &mut Random) -> Layout {
    Layout::from_size_align(random.size(3000), 1 << random.below(8)).unwrap()
}

fn address_range<T>(slice: &[T]) -> Range<usize> {
    let range = slice.as_ptr_range();
    range.start.addr()..range.end.addr()
}

/// Valid work: mostly allocations until there are some blocks, then as many frees.
fn work<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy>(
    shadow: &mut Shadow<'_, S, MIN_BLOCK, P, 8>,
    random: &mut Random,
) {
    let is_full = shadow.count() > 40;
    match shadow.pick(random.number()) {
        Some(live) if random.below(8) == 0 => {
            let zeroed = random.below(2) == 0;
            shadow.resize(live, layout(random), zeroed);
        }
        Some(live) if is_full || random.below(3) == 0 => shadow.free(live, random.number()),
        _ => {
            let zeroed = random.below(4) == 0;
            shadow.allocate(layout(random), zeroed);
        }
    }
}

/// One misuse that is refused whatever other threads do; returns how many calls that were.
fn misuse<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy>(
    shadow: &Shadow<'_, S, MIN_BLOCK, P, 8>,
    elsewhere: NonNull<u8>,
    random: &mut Random,
) -> usize {
    let (kind, some_layout) = (random.below(4), layout(random));
    match (kind, shadow.pick(random.number())) {
        (0, Some(live)) => shadow.misuse_size(live, random),
        // Inside, at the start of a minimum block or not.
        (1 | 2, Some(live)) => {
            let unit = if kind == 1 { 1 } else { MIN_BLOCK };
            let offset = unit * random.below(live.usable() / unit);
            // SAFETY: inside the block.
            shadow.misuse(unsafe { live.start().add(offset) }, live.layout(), random)
        }
        _ if random.below(2) == 0 => shadow.misuse(elsewhere, some_layout, random),
        _ => {
            let mut local = 0_u8;
            shadow.misuse(NonNull::from(&mut local), some_layout, random)
        }
    }
}

fn alone<W: ZeroedWord, const MIN_BLOCK: usize, P: Policy>(bytes: usize) {
    let (mut memory, mut other) = (Memory::new(bytes), Memory::new(bytes));
    let region = memory.slice(0..bytes);
    let given = address_range(region);
    let mut heap = Heap::<&mut [W], MIN_BLOCK, P, 8>::from_region(region).unwrap();
    let another = Heap::<&mut [W], MIN_BLOCK, P, 8>::from_region(other.slice(0..bytes)).unwrap();
    let elsewhere = another.allocate(Layout::new::<u64>()).unwrap().cast();
    let mut random = Random::new(bytes as u64);
    let mut tried = 0;
    let mut shadow = Shadow::new(&heap, vec![given.clone()], true);
    for step in 0.. {
        work(&mut shadow, &mut random);
        for _ in 0..4 {
            tried += misuse(&shadow, elsewhere, &mut random);
            if let Some(gone) = shadow.pick_gone(random.number()) {
                tried += shadow.misuse(gone.start(), gone.layout(), &mut random);
            }
            let at = given.start + random.below(bytes);
            let anywhere = given_pointer(elsewhere, at);
            tried += shadow.misuse(anywhere, layout(&mut random), &mut random);
        }
        if step % 256 == 0 {
            shadow.verify();
        }
        if tried >= CALLS {
            break;
        }
    }
    // After everything was freed at once.
    shadow.forget_all();
    let old: Vec<_> = (0..256).filter_map(|number| shadow.pick_gone(number)).collect();
    // SAFETY: no block is used.
    unsafe { heap.free_all() };
    let shadow = Shadow::new(&heap, vec![given], true);
    for gone in old {
        tried += shadow.misuse(gone.start(), gone.layout(), &mut random);
    }
    shadow.verify();
    assert_eq!(another.usable_size(elsewhere), Ok(MIN_BLOCK), "the other heap's block");
    println!("{tried} invalid calls, {MIN_BLOCK}-byte blocks, {}-bit words", W::BITS);
}

/// A pointer that is never followed.
fn given_pointer(any: NonNull<u8>, address: usize) -> NonNull<u8> {
    any.with_addr(address.try_into().unwrap())
}

#[test]
fn invalid_frees_are_told_and_change_nothing_lazy() {
    alone::<Plain, 16, Lazy>(1 << 20);
}

#[test]
fn invalid_frees_are_told_and_change_nothing_eager() {
    alone::<Plain, 16, Eager>(100_000);
}

#[test]
fn invalid_frees_are_told_and_change_nothing_with_other_sizes() {
    alone::<Plain32, 8, Coarse>(1 << 18);
    alone::<Plain32, 64, Exact>(1 << 18);
}

#[test]
fn invalid_frees_are_told_and_change_nothing_over_atomic_words() {
    alone::<Atomic, 16, Lazy>(1 << 22);
}

/// Where threads wait for each other, unless one of them fails.
#[derive(Default)]
struct Meeting {
    arrived: AtomicUsize,
    failed: AtomicUsize,
}

impl Meeting {
    fn wait(&self) {
        let round = self.arrived.fetch_add(1, Ordering::AcqRel) / THREADS;
        while self.arrived.load(Ordering::Acquire) / THREADS == round {
            assert_eq!(self.failed.load(Ordering::Relaxed), 0, "another thread failed");
            std::thread::yield_now();
        }
    }
}

/// Tells the others when a thread fails.
struct Attendance<'m>(&'m Meeting);

impl Drop for Attendance<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Blocks that all threads free at the same time.
#[derive(Default)]
struct Contested {
    blocks: Mutex<Vec<Live>>,
    freed: AtomicUsize,
}

impl Contested {
    /// Each thread gives some of its blocks; then each frees them all, mostly in the same order. Of the
    /// frees of each block one succeeds. Returns how many were refused.
    fn race<P: Policy>(
        &self,
        shadow: &mut Shadow<'_, &'static mut [Atomic], 16, P, 8>,
        meeting: &Meeting,
        random: &mut Random,
    ) -> usize {
        let mine: Vec<_> = (0..8)
            .map_while(|_| {
                let live = shadow.pick(random.number())?;
                shadow.forget(live);
                Some(live)
            })
            .collect();
        self.blocks.lock().unwrap().extend(mine);
        meeting.wait();
        let mut blocks = self.blocks.lock().unwrap().clone();
        if random.below(4) == 0 {
            blocks.reverse();
        }
        meeting.wait();
        let freed = |live: &&Live| shadow.free_contested(**live, random.number());
        let freed = blocks.iter().filter(freed).count();
        self.freed.fetch_add(freed, Ordering::Relaxed);
        meeting.wait();
        let mut left = self.blocks.lock().unwrap();
        if !left.is_empty() {
            assert_eq!(self.freed.swap(0, Ordering::Relaxed), left.len());
            left.clear();
        }
        drop(left);
        meeting.wait();
        blocks.len() - freed
    }
}

/// One thread's part of a round: work and misuse side by side with the others; then, while nobody
/// allocates, frees that are made again and again, or by all threads at once.
fn round<P: Policy>(
    shadow: &mut Shadow<'_, &'static mut [Atomic], 16, P, 8>,
    elsewhere: NonNull<u8>,
    contested: &Contested,
    nobody_allocates: &Meeting,
    random: &mut Random,
) -> usize {
    let mut tried = 0;
    for _ in 0..200 {
        work(shadow, random);
        for _ in 0..8 {
            tried += misuse(shadow, elsewhere, random);
        }
    }
    for _ in 0..256 {
        tried += contested.race(shadow, nobody_allocates, random);
        (0..8).for_each(|_| work(shadow, random));
    }
    nobody_allocates.wait();
    let mut freed = Vec::new();
    while let Some(live) = shadow.pick(random.number()).filter(|_| shadow.count() > 20) {
        shadow.free(live, random.number());
        freed.push(live);
        let again = freed[random.below(freed.len())];
        tried += shadow.misuse_stale(again);
    }
    nobody_allocates.wait();
    tried
}

fn together<P: Policy>(bytes: usize) {
    let region: &'static mut [_] = Box::leak(Box::new_uninit_slice(bytes));
    let given = address_range(region);
    let heap = &Heap::<&'static mut [Atomic], 16, P, 8>::from_region(region).unwrap();
    let mut other = Memory::new(1 << 16);
    let another = Heap::<&mut [Plain], 16>::from_region(other.slice(0..1 << 16)).unwrap();
    let elsewhere = another.allocate(Layout::new::<u64>()).unwrap().cast::<u8>();
    let address = elsewhere.addr();
    let (meeting, contested) = (&Meeting::default(), &Contested::default());
    let tried = &AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let given = given.clone();
            scope.spawn(move || {
                let _attendance = Attendance(meeting);
                let mut random = Random::new(thread as u64);
                let mut shadow = Shadow::new(heap, vec![given], false);
                let elsewhere = NonNull::dangling().with_addr(address);
                for _ in 0..CALLS.div_ceil(THREADS * 3000) {
                    let count = round(&mut shadow, elsewhere, contested, meeting, &mut random);
                    tried.fetch_add(count, Ordering::Relaxed);
                }
                shadow.free_all();
            });
        }
    });
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
    assert_eq!(another.usable_size(elsewhere), Ok(16), "the other heap's block");
    let tried = tried.load(Ordering::Relaxed);
    assert!(tried >= CALLS, "only {tried}");
    println!("{tried} invalid calls of {THREADS} threads");
}

#[test]
fn invalid_frees_of_several_threads_are_told_and_change_nothing() {
    together::<Lazy>(4 << 20);
    together::<Eager>(1 << 20);
}

#[test]
fn null_is_told() {
    let heap = BuddyAllocator::<65536, 16>::new(false);
    let block = heap.alloc::<u64>().unwrap();
    for _ in 0..1000 {
        assert_eq!(heap.free::<u64>(std::ptr::null_mut()), Err(FreeError::Null));
    }
    assert_eq!(heap.free_nonnull(block), Ok(()));
    heap.validate().unwrap();
}
