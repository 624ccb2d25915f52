//! Everything at once, for as long as asked: threads on one heap and one tree allocate, resize, free,
//! ask for zeros, pass blocks on, misuse the heap and add memory to it.
//!
//! `cargo run --release -p buddy-checks --example soak -- --seconds 60 --threads 4 --seed 1`
//!
//! A check that fails ends the program with an exit status that is not 0. A seed fixes what each thread asks for, not how the
//! threads meet.

use buddy_checks::{Live, Memory, Random, Shadow};
use buddy_core::{Atomic, Heap, Policy, Tree};
use clap::Parser;
use std::alloc::Layout;
use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::time::{Duration, Instant};

const REGION: usize = 8 << 20;
const LEAVES: usize = 1 << 16;

#[derive(Parser)]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// What the random numbers begin with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads.
    #[arg(long, default_value_t = 4)]
    threads: usize,
}

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// A lane for each thread.
struct Lanes;

impl Policy for Lanes {
    const CPUS: usize = 4;

    fn cpu() -> usize {
        LANE.get()
    }
}

type SoakHeap<'m> = Heap<&'m mut [Atomic], 16, Lanes, 8>;
type SoakTree = Tree<Box<[Atomic]>, Lanes>;
type SoakShadow<'h, 'm> = Shadow<'h, &'m mut [Atomic], 16, Lanes, 8>;

/// What the threads share.
struct Site<'h, 'm> {
    heap: &'h SoakHeap<'m>,
    tree: &'h SoakTree,
    /// Which leaves of the tree somebody has.
    taken: &'h [AtomicBool],
    given: Range<usize>,
    steps: AtomicUsize,
    misuses: AtomicUsize,
    is_over: AtomicBool,
    /// Between rounds, and before the stale frees.
    meeting: Barrier,
}

fn main() {
    let options = Options::parse();
    let (threads, time) = (options.threads.max(1), Duration::from_secs(options.seconds));
    let (begun, mut round) = (Instant::now(), 0);
    while round == 0 || begun.elapsed() < time {
        let left = time.saturating_sub(begun.elapsed());
        let seed = options.seed.wrapping_add(round << 32);
        let told = soak(threads, seed, left.min(Duration::from_secs(5)));
        println!("{:>6.1} s  {told}", begun.elapsed().as_secs_f32());
        round += 1;
    }
    println!("every check held");
}

/// A heap and a tree from beginning to end; what was done.
fn soak(threads: usize, seed: u64, time: Duration) -> String {
    let mut memory = Memory::new(2 * REGION);
    let words = Heap::<&mut [Atomic], 16, Lanes, 8>::metadata_words(3 * REGION);
    let mut metadata: Vec<Atomic> = (0..words).map(|_| Atomic::zero()).collect();
    let heap = SoakHeap::new(&mut metadata).expect("metadata for both regions");
    let region = memory.slice(0..2 * REGION);
    let start = NonNull::from(&mut *region).cast::<u8>();
    // SAFETY: the first half of memory that nobody else uses and that outlives the heap.
    unsafe { heap.add_raw(start, REGION) }.expect("room for the first region");
    let storage = (0..SoakTree::metadata_words(0..LEAVES)).map(|_| Atomic::zero());
    let tree = SoakTree::new(storage.collect(), 0..LEAVES).expect("storage for the tree");
    let taken: Vec<_> = (0..LEAVES).map(|_| AtomicBool::new(false)).collect();
    let site = Site {
        heap: &heap,
        tree: &tree,
        taken: &taken,
        given: start.addr().get()..start.addr().get() + 2 * REGION,
        steps: AtomicUsize::new(0),
        misuses: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        meeting: Barrier::new(threads),
    };
    let (gives, mut gets): (Vec<_>, Vec<_>) = (0..threads).map(|_| mpsc::channel()).unzip();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (give, get) = (gives[(thread + 1) % threads].clone(), gets.remove(0));
            let site = &site;
            let random = Random::new(seed.wrapping_mul(1000).wrapping_add(thread as u64));
            scope.spawn(move || {
                let _failed = EndAll;
                LANE.set(thread);
                Worker::new(site, random, give).run(&get);
            });
        }
        drop(gives);
        std::thread::sleep(time / 2);
        // SAFETY: inside the memory.
        let second = unsafe { start.add(REGION) };
        // SAFETY: the second half, as the first.
        let added = unsafe { heap.add_raw(second, REGION) };
        assert_eq!(added, Ok(REGION), "the second region");
        std::thread::sleep(time / 2);
        site.is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!((heap.total_allocated(), heap.size()), (0, 2 * REGION));
    heap.validate().unwrap();
    tree.validate().unwrap();
    assert_eq!((tree.used(), tree.free_leaves()), (0, LEAVES));
    let (steps, misuses) = (site.steps.into_inner(), site.misuses.into_inner());
    format!("{threads} threads, {steps} steps, {misuses} invalid calls")
}

/// A thread that failed must not leave the others waiting for it.
struct EndAll;

impl Drop for EndAll {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(1);
        }
    }
}

struct Worker<'s, 'h, 'm> {
    site: &'s Site<'h, 'm>,
    random: Random,
    shadow: SoakShadow<'h, 'm>,
    leaves: Vec<(usize, usize)>,
    give: mpsc::Sender<Live>,
}

impl<'s, 'h, 'm> Worker<'s, 'h, 'm> {
    fn new(site: &'s Site<'h, 'm>, random: Random, give: mpsc::Sender<Live>) -> Self {
        let shadow = Shadow::new(site.heap, vec![site.given.clone()], false);
        Self { site, random, shadow, leaves: Vec::new(), give }
    }

    fn run(mut self, get: &mpsc::Receiver<Live>) {
        loop {
            for _ in 0..2000 {
                self.step();
                if let Ok(live) = get.try_recv() {
                    self.shadow.adopt(live);
                }
            }
            self.site.steps.fetch_add(2000, Ordering::Relaxed);
            self.site.meeting.wait();
            self.free_twice();
            let is_over = self.site.is_over.load(Ordering::Relaxed);
            // All look before anybody goes on, so that all come to the same end.
            if self.agree(is_over) {
                break;
            }
        }
        while let Some((first, leaves)) = self.leaves.pop() {
            self.free_leaves(first, leaves);
        }
        self.shadow.free_all();
        drop(self.give);
        for live in get {
            self.shadow.adopt(live);
        }
        self.shadow.free_all();
    }

    /// Whether some thread saw the end: one that did says so, and all see it behind the meeting.
    fn agree(&self, is_over: bool) -> bool {
        static SEEN: AtomicUsize = AtomicUsize::new(0);
        if is_over {
            SEEN.fetch_add(1, Ordering::Relaxed);
        }
        self.site.meeting.wait();
        let is_agreed = SEEN.load(Ordering::Relaxed) > 0;
        if self.site.meeting.wait().is_leader() {
            SEEN.store(0, Ordering::Relaxed);
        }
        self.site.meeting.wait();
        is_agreed
    }

    fn layout(&mut self) -> Layout {
        let most = if self.random.below(50) == 0 { 400_000 } else { 4000 };
        let (size, align) = (self.random.size(most), 1 << self.random.below(8));
        Layout::from_size_align(size, align).expect("a small layout")
    }

    fn step(&mut self) {
        let (layout, number) = (self.layout(), self.random.number());
        let is_full = self.shadow.count() > 100;
        match (self.random.below(16), self.shadow.pick(number)) {
            (0, Some(live)) => self.shadow.resize(live, layout, number % 2 == 0),
            (1, Some(live)) => self.shadow.resize_in_place(live, layout),
            (2, Some(live)) => {
                self.shadow.forget(live);
                if let Err(mpsc::SendError(live)) = self.give.send(live) {
                    self.shadow.adopt(live);
                }
            }
            (3, Some(live)) => self.misuse(live),
            (4..=6, _) => self.allocate_leaves(),
            (7 | 8, _) if !self.leaves.is_empty() => {
                let (first, leaves) = self.leaves.swap_remove(number % self.leaves.len());
                self.free_leaves(first, leaves);
            }
            (9..=12, Some(live)) => self.shadow.free(live, number),
            (_, Some(live)) if is_full => self.shadow.free(live, number),
            _ => self.shadow.allocate(layout, number % 4 == 0),
        }
    }

    fn misuse(&mut self, live: Live) {
        let offset = self.random.below(live.usable());
        // SAFETY: inside the block.
        let inside = unsafe { live.start().add(offset) };
        let mut local = 0_u8;
        let tried = self.shadow.misuse_size(live, &mut self.random)
            + self.shadow.misuse(inside, live.layout(), &mut self.random)
            + self.shadow.misuse(NonNull::from(&mut local), live.layout(), &mut self.random);
        self.site.misuses.fetch_add(tried, Ordering::Relaxed);
    }

    /// Frees some blocks while nobody allocates, each twice more.
    fn free_twice(&mut self) {
        for _ in 0..10 {
            let number = self.random.number();
            let Some(live) = self.shadow.pick(number) else { break };
            self.shadow.free(live, number);
            let tried = self.shadow.misuse_stale(live);
            self.site.misuses.fetch_add(tried, Ordering::Relaxed);
        }
    }

    fn allocate_leaves(&mut self) {
        let (count, align) = (self.random.size(2000), self.random.below(6) as u32);
        let align = buddy_core::Order::new(align).expect("a small order");
        let answer = match self.random.below(4) {
            0 => self.site.tree.allocate_aligned(count, align),
            1 => self.site.tree.allocate_anywhere(count),
            _ => self.site.tree.allocate_exact(count),
        };
        if let Ok(first) = answer {
            for leaf in first..first + count {
                let was_taken = self.site.taken[leaf].swap(true, Ordering::Relaxed);
                assert!(!was_taken, "leaf {leaf} was handed out twice");
            }
            self.leaves.push((first, count));
        }
    }

    /// Frees a run as a whole or in two parts.
    fn free_leaves(&mut self, first: usize, leaves: usize) {
        for leaf in &self.site.taken[first..first + leaves] {
            assert!(leaf.swap(false, Ordering::Relaxed), "a leaf of {first} + {leaves} was lost");
        }
        let wrong = self.site.tree.free_sized(first, leaves + 1);
        assert!(matches!(wrong, Err(buddy_core::tree::FreeError::WrongSize { .. })), "{wrong:?}");
        let split = leaves / 2;
        if split > 0 && self.random.below(2) == 0 {
            assert_eq!(self.site.tree.free_part(first + split, leaves - split), Ok(()));
            assert_eq!(self.site.tree.free(first), Ok(split));
        } else {
            assert_eq!(self.site.tree.free_sized(first, leaves), Ok(()));
        }
    }
}
