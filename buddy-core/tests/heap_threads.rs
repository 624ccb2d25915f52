//! A heap over atomic words, shared by threads without a lock: nothing overlaps, nothing is lost, and
//! nobody is refused while there is memory.

use buddy_core::{Atomic, Eager, Heap, Lazy, Policy};
use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};

const THREADS: usize = 4;

std::thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// A lane for each thread.
struct PerThread;

impl Policy for PerThread {
    const CPUS: usize = THREADS;

    fn cpu() -> usize {
        CPU.get()
    }
}

/// Patient enough for a thread that loses its core in the middle of a call.
struct Patient;

impl Policy for Patient {
    const CPUS: usize = THREADS;
    const PATIENCE: u32 = u32::MAX;

    fn cpu() -> usize {
        CPU.get()
    }
}

/// Sizes so fine that there are no slabs of them: everything meets in the tree's active words.
struct Fine;

impl Policy for Fine {
    const PRECISION: u32 = 5;
}

type Shared<P> = Heap<&'static mut [Atomic], 16, P>;

fn heap<P: Policy>(bytes: usize) -> Shared<P> {
    let memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(bytes);
    Heap::from_region(Box::leak(memory)).unwrap()
}

/// A block, with every byte set to a number of its own.
struct Marked {
    start: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

// SAFETY: a block belongs to whoever has it.
unsafe impl Send for Marked {}

// SAFETY: shared for its address only.
unsafe impl Sync for Marked {}

impl Marked {
    fn new<P: Policy>(heap: &Shared<P>, layout: Layout, mark: u8) -> Option<Self> {
        let block = heap.allocate(layout).ok()?;
        assert_eq!(block.cast::<u8>().addr().get() % layout.align(), 0);
        // SAFETY: the block is the test's.
        unsafe { block.cast::<u8>().write_bytes(mark, layout.size()) };
        Some(Self { start: block.cast(), layout, mark })
    }

    fn check(&self, bytes: usize) {
        // SAFETY: the block is the test's, and all of these bytes were written.
        let bytes = unsafe { NonNull::slice_from_raw_parts(self.start, bytes).as_ref() };
        assert!(bytes.iter().all(|byte| *byte == self.mark), "somebody else wrote to the block");
    }

    fn resize<P: Policy>(&mut self, heap: &Shared<P>, size: usize) {
        let new = Layout::from_size_align(size, self.layout.align()).unwrap();
        // SAFETY: the old pointer is replaced.
        let Ok(block) = (unsafe { heap.grow(self.start, self.layout, new) }) else { return };
        self.start = block.cast();
        self.check(size.min(self.layout.size()));
        // SAFETY: the block is the test's.
        unsafe { self.start.write_bytes(self.mark, size) };
        self.layout = new;
    }

    fn free<P: Policy>(self, heap: &Shared<P>) {
        self.check(self.layout.size());
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(self.start, self.layout) }.unwrap();
    }
}

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 8) as usize
}

/// Allocates, resizes and frees at random, and passes every fourth block on to the next thread.
fn work<P: Policy>(
    heap: &Shared<P>,
    thread: usize,
    steps: usize,
    give: &mpsc::Sender<Marked>,
    get: &mpsc::Receiver<Marked>,
) {
    CPU.set(thread);
    let mut state = 0x1234_5678_9ABC_DEF1 + thread as u64;
    let mut live: Vec<Marked> = Vec::new();
    for step in 0..steps {
        let choice = random(&mut state);
        let size = 1 + choice % (1 << (4 + choice / 64 % 9));
        match choice / 4096 % 8 {
            0..=3 if live.len() < 60 => {
                let layout = Layout::from_size_align(size, 1 << (choice % 7)).unwrap();
                live.extend(Marked::new(heap, layout, (step + thread) as u8));
            }
            4 if !live.is_empty() => {
                let which = choice % live.len();
                live[which].resize(heap, size);
            }
            5 if !live.is_empty() => {
                let _ = give.send(live.swap_remove(choice % live.len()));
            }
            _ => {
                let block = get.try_recv().ok().or_else(|| live.pop());
                if let Some(block) = block {
                    block.free(heap);
                }
            }
        }
    }
    for block in live {
        block.free(heap);
    }
}

fn nothing_overlaps<P: Policy>(bytes: usize) {
    let heap = heap::<P>(bytes);
    let before = heap.statistics();
    let (mut gives, mut gets): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::channel()).unzip();
    gives.rotate_left(1);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (give, get, heap) = (gives.remove(0), gets.remove(0), &heap);
            scope.spawn(move || {
                work(heap, thread, 30_000, &give, &get);
                drop(give);
                for block in &get {
                    block.free(heap);
                }
            });
        }
    });
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
    let after = heap.statistics();
    for order in 0..30 {
        let order = buddy_core::Order::new(order).unwrap();
        assert_eq!(after.free_blocks(order), before.free_blocks(order), "{order:?}");
    }
}

#[test]
fn nothing_overlaps_and_nothing_is_lost() {
    for bytes in [40_000, 300_000, 4 << 20] {
        nothing_overlaps::<PerThread>(bytes);
        nothing_overlaps::<Lazy>(bytes);
        nothing_overlaps::<Eager>(bytes);
        nothing_overlaps::<Fine>(bytes);
    }
}

/// As many blocks as there are threads are free, and no thread holds more than one: there is always
/// one for whoever asks.
fn nobody_is_refused(bytes: usize, size: usize, distance: usize) {
    let heap = heap::<Patient>(bytes);
    let layout = Layout::from_size_align(size, 16).unwrap();
    let mut rest = Vec::new();
    while let Ok(block) = heap.allocate(layout) {
        rest.push(block.cast::<u8>());
    }
    rest.sort_unstable();
    for number in (0..THREADS).rev() {
        let block = rest.remove(number * distance);
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block, layout) }.unwrap();
    }
    let start = Barrier::new(THREADS);
    let refusals = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (heap, start, refusals) = (&heap, &start, &refusals);
            scope.spawn(move || {
                CPU.set(thread);
                start.wait();
                for mark in 0..20_000_usize {
                    match Marked::new(heap, layout, mark as u8) {
                        Some(block) => block.free(heap),
                        None => _ = refusals.fetch_add(1, Ordering::Relaxed),
                    }
                }
            });
        }
    });
    assert_eq!(refusals.into_inner(), 0);
    for block in rest {
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block, layout) }.unwrap();
    }
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
}

#[test]
fn nobody_is_refused_while_there_is_a_block() {
    // Without slabs, with them, and of sizes that have none; of blocks that merge with
    // each other, and of some that do not.
    for (bytes, size) in
        [(20_000, 256), (20_000, 320), (2 << 20, 1024), (2 << 20, 640), (2 << 20, 60_000)]
    {
        nobody_is_refused(bytes, size, 1);
        nobody_is_refused(bytes, size, 3);
    }
}

/// Of several frees of one block one succeeds, wherever the block goes.
#[test]
fn one_of_several_frees_succeeds() {
    let heap = &heap::<PerThread>(4 << 20);
    for size in [16, 48, 80, 1000, 5000] {
        let layout = Layout::from_size_align(size, 16).unwrap();
        for round in 0..300 {
            let block = Marked::new(heap, layout, 1).unwrap();
            if round % 3 == 0 {
                // Out of the slabs, so that the tree has to tell.
                heap.settle();
            }
            let start = Barrier::new(THREADS);
            let successes = AtomicUsize::new(0);
            let address = block.start.addr();
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (start, successes, block) = (&start, &successes, &block);
                    scope.spawn(move || {
                        CPU.set(thread);
                        start.wait();
                        let ptr = block.start.with_addr(address);
                        // SAFETY: nobody uses the block.
                        if unsafe { heap.deallocate(ptr, block.layout) }.is_ok() {
                            successes.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            assert_eq!(successes.into_inner(), 1, "{size}");
        }
    }
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
}
