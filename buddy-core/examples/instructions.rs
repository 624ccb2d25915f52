//! Runs one call path so many times, for counting its instructions: `ci/instructions.sh`.
//!
//! `instructions NAME TIMES`; without arguments, the names. What is set up costs the same whatever
//! the times, so the difference of two runs is the path's alone.

use buddy_core::heap::{ExclusiveStorage, Hardened, Hardening, Heap, ZeroedWord};
use buddy_core::{Atomic, Eager, Lazy, Order, Plain, Policy, Tree};
use std::alloc::Layout;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::ptr::NonNull;

type Leaked<W, P, const REGIONS: usize = 4> = Heap<&'static mut [W], 16, P, REGIONS>;

/// A heap of 64 MiB.
fn heap<W: ZeroedWord + 'static, P: Policy, const REGIONS: usize>() -> Leaked<W, P, REGIONS>
where
    &'static mut [W]: ExclusiveStorage<Word = W>,
{
    let memory: &'static mut [MaybeUninit<u8>] = Box::leak(Box::new_uninit_slice(64 << 20));
    Heap::from_region(memory).expect("room for the metadata")
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(black_box(size), 8).expect("a small size")
}

/// Allocates and frees one block.
fn pair<W: ZeroedWord + 'static, P: Policy, const REGIONS: usize>(size: usize, times: usize)
where
    &'static mut [W]: ExclusiveStorage<Word = W>,
{
    let (heap, layout) = (heap::<W, P, REGIONS>(), layout(size));
    for _ in 0..times {
        let block = heap.allocate(layout).expect("an empty heap").cast();
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block, layout) }.expect("a block");
    }
}

/// Allocates and frees one leaf of a tree of 2^22 of which nothing else is allocated: all orders are
/// split, and merged again.
fn split_and_merge<P: Policy>(times: usize) {
    const LEAVES: usize = 1 << 22;
    let words: Vec<Plain> =
        (0..Tree::<[Plain; 0]>::metadata_words(0..LEAVES)).map(|_| Plain::default()).collect();
    let tree: Tree<_, P> = Tree::new(words.into_boxed_slice(), 0..LEAVES).expect("enough words");
    for _ in 0..times {
        let leaf = tree.allocate(Order::MIN).expect("an empty tree");
        tree.free_sized(leaf, 1).expect("a block");
    }
}

/// Makes a block of 1000 bytes one of 2000, where it is, and back: under the lazy policy in its room, else in
/// the tree.
fn resize_in_place<P: Policy>(times: usize) {
    let (heap, small, large) = (heap::<Plain, P, 4>(), layout(1000), layout(2000));
    let mut block: NonNull<u8> = heap.allocate(small).expect("an empty heap").cast();
    for _ in 0..times {
        // SAFETY: the old pointer is not used again.
        block = unsafe { heap.grow(block, small, large) }.expect("room").cast();
        // SAFETY: as above.
        block = unsafe { heap.shrink(block, large, small) }.expect("a block").cast();
    }
}

/// Allocates 1000 blocks of 64 bytes, and frees them from the first on.
fn batch(times: usize) {
    let (heap, layout) = (heap::<Plain, Lazy, 4>(), layout(64));
    let mut blocks = vec![NonNull::dangling(); 1000];
    for _ in 0..times.div_ceil(1000) {
        for block in &mut blocks {
            *block = heap.allocate(layout).expect("an empty heap").cast();
        }
        for block in &blocks {
            // SAFETY: the block is not used.
            unsafe { heap.deallocate(*block, layout) }.expect("a block");
        }
    }
}

/// Frees a block that was freed before.
fn double_free(times: usize) {
    let (heap, layout) = (heap::<Plain, Lazy, 4>(), layout(64));
    let block = heap.allocate(layout).expect("an empty heap").cast();
    // SAFETY: the block is not used.
    unsafe { heap.deallocate(block, layout) }.expect("a block");
    for _ in 0..times {
        // SAFETY: as above; it is refused.
        unsafe { heap.deallocate(block, layout) }.expect_err("it is free");
    }
}

/// Asks for more than there is.
fn refusal(times: usize) {
    let (heap, held, more) = (heap::<Plain, Lazy, 4>(), layout(24 << 20), layout(48 << 20));
    let _held = heap.allocate(held).expect("an empty heap");
    for _ in 0..times {
        heap.allocate(more).expect_err("there is less");
    }
}

/// [`pair`] of 64 bytes on a hardened heap.
fn hardened(hardening: Hardening, times: usize) {
    let heap: Hardened<_, 16> = Hardened::new(heap::<Plain, Lazy, 4>(), hardening);
    let layout = layout(64);
    for _ in 0..times {
        let block = heap.allocate(layout).expect("an empty heap").cast();
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block, layout) }.expect("a block");
    }
}

const NOTHING: Hardening = Hardening::new(1);

/// A name, and what makes so many calls.
type Path = (&'static str, fn(usize));

const PATHS: &[Path] = &[
    ("pair-64", |times| pair::<Plain, Lazy, 4>(64, times)),
    ("pair-64-one-region", |times| pair::<Plain, Lazy, 1>(64, times)),
    ("pair-80", |times| pair::<Plain, Lazy, 4>(80, times)),
    ("pair-4096", |times| pair::<Plain, Lazy, 4>(4096, times)),
    ("pair-64-atomic", |times| pair::<Atomic, Lazy, 4>(64, times)),
    ("pair-65536", |times| pair::<Plain, Lazy, 4>(65536, times)),
    ("pair-1048576", |times| pair::<Plain, Lazy, 4>(1 << 20, times)),
    ("pair-64-eager", |times| pair::<Plain, Eager, 4>(64, times)),
    ("pair-80-eager", |times| pair::<Plain, Eager, 4>(80, times)),
    ("split-and-merge", split_and_merge::<Lazy>),
    ("split-and-merge-eager", split_and_merge::<Eager>),
    ("batch-64", batch),
    ("resize-in-place", resize_in_place::<Lazy>),
    ("resize-in-place-eager", resize_in_place::<Eager>),
    ("double-free", double_free),
    ("refusal", refusal),
    ("hardened-nothing", |times| hardened(NOTHING, times)),
    ("hardened-zeros", |times| hardened(NOTHING.zero_on_free(), times)),
    ("hardened-guards", |times| hardened(NOTHING.guards(), times)),
    ("hardened-quarantine", |times| hardened(NOTHING.quarantine(4096), times)),
    ("hardened-choice-of-8", |times| hardened(NOTHING.random_choice(8), times)),
    ("hardened-all", |times| {
        hardened(NOTHING.zero_on_free().guards().quarantine(4096).random_choice(8), times);
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = |name: &str| PATHS.iter().find(|path| path.0 == name);
    match arguments.as_slice() {
        [] => {
            for (name, _) in PATHS {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        [name, times] => match (path(name), times.parse()) {
            (Some((_, run)), Ok(times)) => {
                run(times);
                ExitCode::SUCCESS
            }
            _ => ExitCode::FAILURE,
        },
        _ => ExitCode::FAILURE,
    }
}
