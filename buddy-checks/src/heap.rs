//! Calls with layouts on a heap beside its shadow, valid ones and misuse, in memory of any length at
//! any address, in one region or several.

use crate::{Input, Memory, Random, Shadow};
use buddy_core::heap::{ExclusiveStorage, ZeroedWord};
use buddy_core::{Atomic, Eager, Heap, Lazy, Plain, Plain32, Policy};
use std::alloc::Layout;
use std::ops::Range;
use std::ptr::NonNull;

/// Rounds sizes up to powers of two.
#[derive(Debug)]
pub struct Coarse;

impl Policy for Coarse {
    const PRECISION: u32 = 1;
}

/// Keeps every size exact.
#[derive(Debug)]
pub struct Exact;

impl Policy for Exact {
    const LAZY: bool = false;
    const PRECISION: u32 = u32::MAX;
}

/// Builds a heap as the first bytes say and makes the calls that the others stand for.
///
/// # Panics
/// If an answer is wrong, a block damaged or the heap not whole.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte().map(|kind| kind % 6) {
        Some(0) => run_on::<Plain, 16, Lazy>(input),
        Some(1) => run_on::<Plain, 16, Eager>(input),
        Some(2) => run_on::<Plain32, 8, Coarse>(input),
        Some(3) => run_on::<Plain32, 64, Exact>(input),
        Some(4) => run_on::<Plain, 4096, Lazy>(input),
        Some(_) => run_on::<Atomic, 16, Lazy>(input),
        None => {}
    }
}

/// More memory is not tried; from 1 MiB on there are slabs.
const MOST_BYTES: usize = 3 << 20;

fn run_on<W: ZeroedWord, const MIN_BLOCK: usize, P: Policy>(mut input: Input<'_>) {
    let (Some(offset), Some(len), Some(kind)) =
        (input.below(1 << 16), input.number(), input.byte())
    else {
        return;
    };
    let len = len % MOST_BYTES;
    let mut memory = Memory::new(offset + len);
    let region = memory.slice(offset..offset + len);
    let given = address_range(region);
    match kind % 3 {
        0 => {
            if let Ok(heap) = Heap::<&mut [W], MIN_BLOCK, P>::from_region(region) {
                steps(&heap, vec![given], &[], input);
            }
        }
        1 => {
            let mut words = words::<W, MIN_BLOCK, P>(len);
            if let Ok(heap) = Heap::<&mut [W], MIN_BLOCK, P>::with_metadata(&mut words, region) {
                steps(&heap, vec![given], &[], input);
            }
        }
        _ => {
            let mut words = words::<W, MIN_BLOCK, P>(2 * len);
            if let Ok(heap) = Heap::<&mut [W], MIN_BLOCK, P>::new(words.as_mut_slice()) {
                let quarter = region.len() / 4;
                let start = NonNull::from(region).cast();
                steps(&heap, Vec::new(), &[(start, quarter); 4], input);
            }
        }
    }
}

fn words<W: ZeroedWord, const MIN_BLOCK: usize, P: Policy>(bytes: usize) -> Vec<W> {
    let words = Heap::<&mut [W], MIN_BLOCK, P>::metadata_words(bytes.max(1));
    (0..if words == usize::MAX { 0 } else { words }).map(|_| W::default()).collect()
}

fn address_range<T>(slice: &[T]) -> Range<usize> {
    let range = slice.as_ptr_range();
    range.start.addr()..range.end.addr()
}

/// The calls; `pieces` are memory to be added in between, each of that length behind the one before.
fn steps<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>(
    heap: &Heap<S, MIN_BLOCK, P, REGIONS>,
    given: Vec<Range<usize>>,
    pieces: &[(NonNull<u8>, usize)],
    mut input: Input<'_>,
) {
    let mut shadow = Shadow::new(heap, given, true);
    let mut pieces = pieces.iter().enumerate();
    let mut random = Random::new(input.rest().len() as u64);
    let mut count = 0;
    loop {
        if count % 32 == 0 {
            if let Some((index, (start, len))) = pieces.next() {
                add(heap, &mut shadow, *start, index * len, *len);
            }
        }
        if step(heap, &mut shadow, &mut input, &mut random).is_none() {
            break;
        }
        count += 1;
        if count % 16 == 0 {
            shadow.verify();
        }
    }
    shadow.verify();
    shadow.free_all();
    shadow.verify();
    assert!(heap.walk().all(|block| !block.used));
}

fn add<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>(
    heap: &Heap<S, MIN_BLOCK, P, REGIONS>,
    shadow: &mut Shadow<'_, S, MIN_BLOCK, P, REGIONS>,
    start: NonNull<u8>,
    at: usize,
    len: usize,
) {
    // SAFETY: pieces of one slice, of which there are as many as fit in.
    let start = unsafe { start.add(at) };
    // SAFETY: memory of one allocation that nobody else uses and that outlives the heap.
    if unsafe { heap.add_raw(start, len) }.is_ok() {
        // Side by side with the piece before, a block may lie in both.
        let from = start.addr().get() - at;
        shadow.was_given(from..start.addr().get() + len);
    }
}

/// One call, or nothing if the input has no more.
fn step<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>(
    heap: &Heap<S, MIN_BLOCK, P, REGIONS>,
    shadow: &mut Shadow<'_, S, MIN_BLOCK, P, REGIONS>,
    input: &mut Input<'_>,
    random: &mut Random,
) -> Option<()> {
    let (call, number) = (input.byte()?, usize::from(input.byte()?));
    let picked = shadow.pick(number);
    match (call % 16, picked) {
        (0..=5, _) | (6..=12, None) => shadow.allocate(input.layout()?, number % 4 == 0),
        (6..=8, Some(live)) => shadow.free(live, number),
        (9 | 10, Some(live)) => {
            // Sizes near the block's own find what lies on the edge.
            let layout = match input.byte()? {
                near @ 0..0x80 => near_layout(live.layout(), near),
                _ => input.layout()?,
            };
            shadow.resize(live, layout, number % 2 == 0);
        }
        (11, Some(live)) => shadow.resize_in_place(live, input.layout()?),
        (12, Some(live)) => _ = shadow.misuse_size(live, random),
        (13, Some(live)) => {
            let offset = 1 + input.number()? % (live.usable() + MIN_BLOCK);
            let ptr = live.start().map_addr(|at| at.saturating_add(offset));
            _ = shadow.misuse(ptr, live.layout(), random);
        }
        (14, _) => {
            if let Some(gone) = shadow.pick_gone(number) {
                _ = shadow.misuse(gone.start(), gone.layout(), random);
            }
        }
        (15, _) if number % 8 == 0 => heap.settle(),
        _ => {
            let address = input.number()?.max(1);
            let ptr = NonNull::dangling().with_addr(address.try_into().ok()?);
            _ = shadow.misuse(ptr, input.layout()?, random);
        }
    }
    Some(())
}

fn near_layout(old: Layout, near: u8) -> Layout {
    let size = old.size().saturating_add_signed((isize::from(near) - 0x40) * 8).max(1);
    Layout::from_size_align(size, 1 << (near % 8)).unwrap_or(old)
}
