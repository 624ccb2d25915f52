//! Where a heap's memory may lie and how it is numbered: weak alignment, several regions, statics.

use buddy_core::heap::{AllocError, RegionError};
use buddy_core::{Atomic, Eager, Heap, Plain, Tree};
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Mutex;

type Memory = [MaybeUninit<u8>];

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Memory for ever, `offset` bytes behind a multiple of `align`.
fn leak(align: usize, offset: usize, len: usize) -> &'static mut Memory {
    let memory = vec![MaybeUninit::uninit(); len + offset + align].leak();
    let skipped = memory.as_ptr().addr().wrapping_neg() % align;
    &mut memory[skipped + offset..][..len]
}

/// As many words as have the bits of so many of 64.
fn words(count: usize) -> &'static mut [Plain] {
    let count = count * 64 / usize::BITS as usize;
    (0..count).map(|_| Plain::zero()).collect::<Vec<_>>().leak()
}

#[test]
fn six_kib_at_an_odd_address_serve_page_alignment() {
    for offset in [1, 13, 100, 2000, 2047] {
        let heap: Heap<&mut [Plain], 16> = Heap::from_region(leak(4096, offset, 6 << 10)).unwrap();
        let block = heap.allocate(layout(16, 4096)).unwrap();
        assert_eq!(block.cast::<u8>().addr().get() % 4096, 0);
    }
}

#[test]
fn every_alignment_of_which_a_place_exists_is_served() {
    for offset in [0, 16, 4096 + 16, 12 << 10] {
        let heap: Heap<&mut [Plain], 16> =
            Heap::from_region(leak(1 << 20, offset, 5 << 20)).unwrap();
        for shift in 0..=20 {
            let layout = layout(100, 1 << shift);
            let blocks: Vec<_> = (0..3).map(|_| heap.allocate(layout).unwrap()).collect();
            for block in blocks {
                assert_eq!(block.cast::<u8>().addr().get() % layout.align(), 0);
                // SAFETY: the block is not used.
                unsafe { heap.deallocate(block.cast(), layout) }.unwrap();
            }
        }
        assert_eq!(heap.total_allocated(), 0);
        heap.validate().unwrap();
    }
}

#[test]
fn every_page_of_an_aligned_region_can_be_had() {
    let memory = leak(4096, 0, 1 << 20);
    let heap: Heap<_, 16> = Heap::new(words(8192)).unwrap();
    heap.add(memory).unwrap();
    for _ in 0..256 {
        let block = heap.allocate(layout(100, 4096)).unwrap();
        assert_eq!(block.cast::<u8>().addr().get() % 4096, 0);
    }
    assert!(matches!(heap.allocate(layout(100, 4096)), Err(AllocError::OutOfMemory { .. })));
}

#[test]
fn alignment_above_that_of_the_numbers_is_served_at_many_places() {
    let heap: Heap<&mut [Plain], 16> = Heap::from_region(leak(1 << 20, 16, 1 << 20)).unwrap();
    let layout = layout(4096, 8192);
    let blocks: Vec<_> = std::iter::from_fn(|| heap.allocate(layout).ok()).collect();
    // There are 127 such places, half of them too close to taken ones to be found.
    assert!(blocks.len() > 64, "{}", blocks.len());
    for block in blocks {
        assert_eq!(block.cast::<u8>().addr().get() % 8192, 0);
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(block.cast(), layout) }.unwrap();
    }
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
}

#[test]
fn a_weakly_aligned_region_serves_a_block_of_most_of_it() {
    let heap: Heap<&mut [Plain], 16> = Heap::from_region(leak(4096, 48, 1200 << 10)).unwrap();
    assert!(heap.allocate(layout(1 << 20, 1)).is_ok());
}

#[test]
fn metadata_in_the_region_leaves_as_many_blocks_as_fit() {
    for len in (200..3000).chain((3000..300_000).step_by(997)) {
        let Ok(heap) = Heap::<&mut [Plain], 16, Eager>::from_region(leak(4096, 0, len)) else {
            assert!(len < 400);
            continue;
        };
        let more = heap.size() / 16 + 1;
        let metadata = Tree::<&mut [Plain], Eager>::metadata_words(0..more) * size_of::<Plain>();
        // And a word for what is known to be zero, of heaps that have a chunk of 4096 leaves.
        let metadata = metadata + if more >= 4096 { size_of::<Plain>() } else { 0 };
        assert!(more * 16 + metadata > len / 8 * 8, "{len}");
    }
}

#[test]
fn adjacent_raw_regions_merge() {
    let memory = leak(1 << 16, 0, 1 << 16);
    let start = NonNull::from(memory).cast::<u8>();
    let heap: Heap<_, 16> = Heap::new(words(4096)).unwrap();
    let mut at = 0;
    // Far more pieces than the table has regions, and some that end inside a block.
    for len in [5000, 3, 1, 20_000, 0, 40_532] {
        // SAFETY: inside the memory.
        let piece = unsafe { start.add(at) };
        // SAFETY: all pieces are of one allocation, of which `start` may be used for all.
        unsafe { heap.add_raw(piece, len) }.unwrap();
        at += len;
    }
    assert_eq!((at, heap.size()), (1 << 16, 1 << 16));
    let whole = layout(1 << 16, 1 << 16);
    assert_eq!(heap.allocate(whole).unwrap().cast(), start);
    heap.validate().unwrap();
}

#[test]
fn separate_slices_never_merge() {
    let (low, high) = leak(1 << 16, 0, 1 << 16).split_at_mut(1 << 15);
    let heap: Heap<_, 16> = Heap::new(words(4096)).unwrap();
    assert_eq!(heap.add(low), Ok(1 << 15));
    assert_eq!(heap.add(high), Ok(1 << 15));
    let size = (1 << 15) + 1;
    assert_eq!(
        heap.allocate(layout(size, 1)),
        Err(AllocError::OutOfMemory { requested: size, largest_free: 1 << 15 })
    );
    assert!(heap.allocate(layout(1 << 15, 1)).is_ok());
    assert!(heap.allocate(layout(1 << 15, 1)).is_ok());
}

#[test]
fn metadata_for_just_the_leaves_takes_regions_anywhere() {
    let regions = [(64, 3000), (4095, 20_000), (16, 777)];
    let leaves: usize = regions.iter().map(|(_, len)| len / 16 + 1).sum();
    let count = Tree::<&mut [Plain]>::metadata_words_for(leaves);
    let heap: Heap<_, 16> = Heap::new(words(count)).unwrap();
    for (offset, len) in regions {
        assert!(heap.add(leak(4096, offset, len)).unwrap() + 32 > len);
    }
    // Not by nature, but still.
    let block = heap.allocate(layout(16, 4096)).unwrap();
    assert_eq!(block.cast::<u8>().addr().get() % 4096, 0);
}

static HEAP: Mutex<Heap<&'static mut [Plain], 16>> = Mutex::new(Heap::empty());

#[test]
fn a_static_heap_gets_its_memory_later() {
    let request = layout(100, 8);
    let refused = Err(AllocError::OutOfMemory { requested: 100, largest_free: 0 });
    assert_eq!(HEAP.lock().unwrap().allocate(request), refused);
    assert_eq!(HEAP.lock().unwrap().add(leak(16, 0, 100)), Err(RegionError::NoMetadata));
    *HEAP.lock().unwrap() = Heap::from_region(leak(4096, 0, 1 << 20)).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let block = HEAP.lock().unwrap().allocate(request).unwrap();
                block.cast::<u8>().addr()
            })
        })
        .collect();
    let mut starts: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 4);
}

#[cfg(target_has_atomic = "ptr")]
#[test]
fn threads_share_a_heap_over_atomic_words() {
    use buddy_core::Atomic;
    let heap: Heap<&mut [Atomic], 16> = Heap::from_region(leak(4096, 0, 1 << 20)).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..4_u8 {
            let heap = &heap;
            scope.spawn(move || {
                for round in 0..5000 {
                    let layout = layout(16 << (round % 7), 16);
                    let block = heap.allocate(layout).unwrap().cast::<u8>();
                    // SAFETY: a block of that size.
                    unsafe { block.write_bytes(seed, layout.size()) };
                    // SAFETY: just written.
                    let bytes =
                        unsafe { std::slice::from_raw_parts(block.as_ptr(), layout.size()) };
                    assert!(bytes.iter().all(|byte| *byte == seed));
                    // SAFETY: the block is not used any more.
                    unsafe { heap.deallocate(block, layout) }.unwrap();
                }
            });
        }
    });
    assert_eq!(heap.total_allocated(), 0);
    heap.validate().unwrap();
}

/// The parts of one leaked allocation, in the order of these numbers.
fn add_parts(heap: &Heap<&'static mut [Plain], 16>, order: [usize; 4], part: usize) -> NonNull<u8> {
    let start = NonNull::from(leak(4096, 0, 4 * part)).cast::<u8>();
    for number in order {
        // SAFETY: inside the allocation.
        let start = unsafe { start.add(number * part) };
        // SAFETY: parts of one allocation that do not overlap, under its own pointer.
        unsafe { heap.add_raw(start, part) }.unwrap();
    }
    start
}

#[test]
fn regions_that_fill_a_gap_merge_with_both_sides() {
    for order in [[0, 1, 2, 3], [0, 2, 1, 3], [0, 3, 1, 2], [0, 3, 2, 1], [0, 2, 3, 1]] {
        let heap: Heap<_, 16> = Heap::new(words(8192)).unwrap();
        let start = add_parts(&heap, order, 1 << 14);
        assert_eq!(heap.statistics().largest_free() * 16, 1 << 16, "{order:?}");
        let whole = heap.allocate(layout(1 << 16, 1)).unwrap();
        assert_eq!(whole.cast(), start);
        // SAFETY: one block, of one allocation; nobody else uses it.
        unsafe { whole.cast::<u8>().write_bytes(7, 1 << 16) };
        // SAFETY: the block is not used.
        unsafe { heap.deallocate(whole.cast(), layout(1 << 16, 1)) }.unwrap();
        heap.validate().unwrap();
    }
}

#[test]
fn memory_below_the_first_region_is_taken_without_merging() {
    let heap: Heap<_, 16> = Heap::new(words(4096)).unwrap();
    add_parts(&heap, [3, 2, 1, 0], 1 << 14);
    assert_eq!(heap.size(), 1 << 16);
    heap.validate().unwrap();
}

#[test]
fn metadata_with_room_takes_the_memory_that_it_was_made_for() {
    for (parts, skipped) in [([1, 9, 30, 60], 0), ([60, 1, 9, 30], 1000), ([25, 25, 25, 25], 16)] {
        let memory = NonNull::from(leak(4096, skipped, 200 << 14)).cast::<u8>();
        let part = |at: usize| -> NonNull<u8> {
            // SAFETY: inside the allocation.
            unsafe { memory.add(at << 14) }
        };
        let room = parts.iter().sum::<usize>() << 14;
        // The first part has to have room for the metadata.
        let first = (parts[0] << 14) + (room / 16);
        // SAFETY: the beginning of leaked memory.
        let heap: Heap<&mut [Plain], 16> =
            unsafe { Heap::from_raw_with_room(memory, first, room) }.unwrap();
        let mut at = (first >> 14) + 2;
        for pages in &parts[1..] {
            // SAFETY: memory of the same allocation that was not given away yet.
            let added = unsafe { heap.add_raw(part(at), pages << 14) }.unwrap();
            assert!(added >= (pages << 14) - 16);
            at += pages + 1;
        }
        heap.validate().unwrap();
    }
}

#[test]
fn memory_is_added_while_threads_allocate() {
    let memory = NonNull::from(leak(4096, 0, 1 << 20)).cast::<u8>();
    // SAFETY: leaked memory.
    let heap: Heap<&mut [Atomic], 16> =
        unsafe { Heap::from_raw_with_room(memory, 1 << 17, 1 << 20) }.unwrap();
    let heap = &heap;
    // SAFETY: inside the allocation.
    let rest = unsafe { memory.add(1 << 17) }.addr();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                let mut blocks = Vec::new();
                for size in (1..40_000).step_by(7) {
                    let layout = layout(size % 3000 + 1, 8 << (size % 4));
                    let Ok(block) = heap.allocate(layout) else { continue };
                    assert_eq!(block.cast::<u8>().addr().get() % layout.align(), 0);
                    blocks.push((block.cast::<u8>(), layout));
                    if blocks.len() > 20 {
                        let (block, layout) = blocks.swap_remove(size % 20);
                        // SAFETY: the block is not used.
                        unsafe { heap.deallocate(block, layout) }.unwrap();
                    }
                }
                for (block, layout) in blocks {
                    // SAFETY: the block is not used.
                    unsafe { heap.deallocate(block, layout) }.unwrap();
                }
            });
        }
        for part in 0..7 {
            let part = memory.with_addr(rest.checked_add(part << 17).unwrap());
            // SAFETY: the rest of the allocation, piece by piece.
            unsafe { heap.add_raw(part, 1 << 17) }.unwrap();
            std::thread::yield_now();
        }
    });
    assert_eq!(heap.total_allocated(), 0);
    assert!(heap.size() > 1_000_000);
    heap.validate().unwrap();
}

#[test]
fn a_region_that_has_no_numbers_is_told_how_many_there_are() {
    let count = Tree::<&mut [Plain]>::metadata_words(0..640);
    let heap: Heap<&mut [Plain], 16> = Heap::new(words(count)).unwrap();
    let refused = heap.add(leak(4096, 0, 1 << 16));
    let Err(RegionError::Capacity { needed, available }) = refused else { panic!("{refused:?}") };
    assert_eq!((needed, available % 16), (1 << 16, 0));
    // As many are to be had, and no more; then fewer by these and one between.
    assert!(matches!(heap.add(leak(4096, 0, available + 16)), Err(RegionError::Capacity { .. })));
    let half = available / 2 / 16 * 16;
    assert_eq!(heap.add(leak(4096, 0, half)), Ok(half));
    let Err(RegionError::Capacity { available: left, .. }) = heap.add(leak(4096, 0, 1 << 16))
    else {
        panic!("no numbers left")
    };
    assert!(left < available - half, "{left} of {available}");
    assert!(heap.add(leak(4096, 0, left)).is_ok());
}
