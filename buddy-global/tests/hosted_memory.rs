//! What a hosted heap takes from the system and gives back, on heaps that are no program's own.

#![cfg(all(feature = "hosted", target_os = "linux"))]

use buddy_core::Policy;
use buddy_global::HostedHeap;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const MIB: usize = 1 << 20;

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 16).unwrap()
}

/// How many bytes of the pages that lie in these bytes have memory.
fn resident(start: *mut u8, bytes: usize) -> usize {
    const PAGE: usize = 4096;
    let skipped = start.addr().wrapping_neg() % PAGE;
    let pages = (bytes - skipped) / PAGE;
    let mut flags = vec![0_u8; pages];
    // SAFETY: inside the bytes.
    let first = unsafe { start.add(skipped) };
    // SAFETY: whole pages of a mapping, and a flag for each.
    let result = unsafe { libc::mincore(first.cast(), pages * PAGE, flags.as_mut_ptr()) };
    assert_eq!(result, 0);
    flags.iter().filter(|flag| **flag & 1 == 1).count() * PAGE
}

/// An allocated block of these many bytes, all of them written.
fn written(heap: &impl GlobalAlloc, bytes: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(bytes)) };
    assert!(!block.is_null());
    // SAFETY: as many bytes.
    unsafe { block.write_bytes(0xa5, bytes) };
    block
}

fn free(heap: &impl GlobalAlloc, block: *mut u8, bytes: usize) {
    // SAFETY: a block of that layout, not used any more.
    unsafe { heap.dealloc(block, layout(bytes)) };
}

/// Tells other threads that this one is done, also if it panics.
struct Done(&'static AtomicBool);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn pages_are_taken_when_they_are_used() {
    let heap: HostedHeap = HostedHeap::with_limit(1 << 30);
    // SAFETY: the size is not 0.
    let block = unsafe { heap.alloc(layout(512 * MIB)) };
    assert!(resident(block, 512 * MIB) < 8 * MIB);
    free(&heap, block, 512 * MIB);
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

#[test]
fn zeroed_memory_that_is_zero_is_not_touched() {
    let heap: HostedHeap = HostedHeap::with_limit(1 << 30);
    for _ in 0..2 {
        // SAFETY: the size is not 0.
        let block = unsafe { heap.alloc_zeroed(layout(256 * MIB)) };
        assert!(resident(block, 256 * MIB) < MIB);
        // SAFETY: inside the block.
        let middle = unsafe { block.add(100 * MIB) };
        // SAFETY: the block has as many bytes behind it.
        unsafe { middle.write_bytes(7, 10 * MIB) };
        free(&heap, block, 256 * MIB);
    }
}

#[test]
fn what_a_large_block_gives_up_goes_back() {
    let heap: HostedHeap = HostedHeap::with_limit(64 * MIB);
    let block = written(&heap, 8 * MIB);
    // SAFETY: the block of that layout.
    let shrunk = unsafe { heap.realloc(block, layout(8 * MIB), MIB + 100) };
    assert_eq!(shrunk, block);
    // SAFETY: the bytes that are left, all written.
    let kept = unsafe { core::slice::from_raw_parts(shrunk, MIB + 100) };
    assert!(kept.iter().all(|byte| *byte == 0xa5));
    assert!(resident(block, 8 * MIB) < 2 * MIB);
    free(&heap, shrunk, MIB + 100);
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

#[test]
fn a_limit_beyond_the_machine_is_all_right() {
    let heap: HostedHeap<4096> = HostedHeap::with_limit(1 << 40);
    let block = written(&heap, 100);
    assert!(heap.size() > 1 << 39);
    free(&heap, block, 100);
}

#[test]
fn what_the_system_refuses_is_no_memory() {
    let heap: HostedHeap = HostedHeap::with_limit(usize::MAX);
    // SAFETY: the size is not 0.
    assert!(unsafe { heap.alloc(layout(1)) }.is_null());
    heap.trim();
    assert_eq!((heap.size(), heap.total_allocated()), (0, 0));
    let heap: HostedHeap = HostedHeap::with_limit(0);
    // SAFETY: the size is not 0.
    assert!(unsafe { heap.alloc(layout(1)) }.is_null());
    heap.trim();
    assert_eq!((heap.size(), heap.total_allocated()), (0, 0));
}

#[test]
fn a_large_block_goes_back_when_it_is_freed() {
    let heap: HostedHeap = HostedHeap::with_limit(64 * MIB);
    for bytes in [256 << 10, 300_000, MIB, 5_000_001] {
        let block = written(&heap, bytes);
        assert!(resident(block, bytes) > bytes - 8192);
        free(&heap, block, bytes);
        assert_eq!(resident(block, bytes), 0, "{bytes}");
    }
    heap.validate().unwrap();
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

#[test]
fn a_small_block_keeps_its_pages() {
    let heap: HostedHeap = HostedHeap::with_limit(64 * MIB).giving_back_from(2 * MIB);
    let block = written(&heap, MIB);
    free(&heap, block, MIB);
    assert!(resident(block, MIB) > MIB - 8192);
}

#[test]
fn a_neighbour_keeps_every_byte() {
    let heap: HostedHeap<16> = HostedHeap::with_limit(64 * MIB);
    let small: Vec<_> = (0..100).map(|_| written(&heap, 3000)).collect();
    let blocks: Vec<_> =
        (0..12).map(|n| (written(&heap, MIB / 2 + n * 7001), MIB / 2 + n * 7001)).collect();
    for (block, bytes) in blocks.iter().step_by(2) {
        free(&heap, *block, *bytes);
    }
    heap.trim();
    let others = blocks.iter().skip(1).step_by(2).copied();
    for (block, bytes) in others.chain(small.into_iter().map(|block| (block, 3000))) {
        // SAFETY: the block's bytes, all written.
        let bytes_of_it = unsafe { core::slice::from_raw_parts(block, bytes) };
        assert!(bytes_of_it.iter().all(|byte| *byte == 0xa5));
        free(&heap, block, bytes);
    }
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

#[test]
fn a_second_free_of_a_large_block_is_refused_and_takes_nothing() {
    let heap: HostedHeap = HostedHeap::with_limit(64 * MIB);
    let block = written(&heap, MIB);
    free(&heap, block, MIB);
    free(&heap, block, MIB);
    assert_eq!(heap.refused(), 1);
    let owner = written(&heap, MIB);
    // SAFETY: inside the block.
    free(&heap, unsafe { owner.add(65536) }, MIB / 2);
    free(&heap, owner, MIB / 2);
    assert_eq!(heap.refused(), 3);
    // SAFETY: the block's bytes, all written.
    let bytes = unsafe { core::slice::from_raw_parts(owner, MIB) };
    assert!(bytes.iter().all(|byte| *byte == 0xa5));
}

#[test]
fn a_trim_gives_back_what_small_blocks_leave() {
    let heap: HostedHeap = HostedHeap::with_limit(256 * MIB);
    let blocks: Vec<_> = (0..30_000).map(|_| written(&heap, 1000)).collect();
    let (low, high) = (*blocks.iter().min().unwrap(), *blocks.iter().max().unwrap());
    let span = high.addr() - low.addr() + 1000;
    for block in &blocks {
        free(&heap, *block, 1000);
    }
    assert!(resident(low, span) > 20 * MIB);
    heap.trim();
    assert!(resident(low, span) < MIB, "{} bytes of {span}", resident(low, span));
    heap.validate().unwrap();
    let block = written(&heap, 1000);
    free(&heap, block, 1000);
    assert_eq!((heap.total_allocated(), heap.refused()), (0, 0));
}

/// Blocks that begin and end inside pages.
struct Exact;

impl Policy for Exact {
    const PRECISION: u32 = 20;
}

#[test]
fn what_was_given_back_is_zero_when_it_is_asked_for() {
    let heap: HostedHeap<8, Exact> = HostedHeap::with_limit(64 * MIB);
    let _small = written(&heap, 1000);
    for bytes in [MIB, 3 * MIB + 50_000, 300_000, 1000] {
        let block = written(&heap, bytes);
        free(&heap, block, bytes);
        // SAFETY: the size is not 0.
        let zeroed = unsafe { heap.alloc_zeroed(layout(bytes)) };
        // SAFETY: as many bytes.
        let all = unsafe { core::slice::from_raw_parts(zeroed, bytes) };
        assert!(all.iter().all(|byte| *byte == 0), "{bytes}");
        free(&heap, zeroed, bytes);
    }
}

#[test]
fn a_request_during_a_trim_is_served() {
    static HEAP: HostedHeap = HostedHeap::with_limit(32 * MIB);
    static DONE: AtomicBool = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = Done(&DONE);
        scope.spawn(|| {
            while !DONE.load(Ordering::Relaxed) {
                HEAP.trim();
            }
        });
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for round in 0..300_usize {
                        let bytes = 1000 + round % 7 * 300_000;
                        let block = written(&HEAP, bytes);
                        free(&HEAP, block, bytes);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        drop(done);
    });
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (0, 0));
    HEAP.validate().unwrap();
}

#[test]
fn a_child_process_allocates_whatever_the_threads_were_at() {
    static HEAP: HostedHeap = HostedHeap::with_limit(256 * MIB);
    static DONE: AtomicBool = AtomicBool::new(false);

    /// Blocks of several sizes; false if one could not be had.
    fn churn(seed: usize) -> bool {
        let mut blocks = [(ptr::null_mut(), 0); 64];
        for round in 0..2000 {
            let (at, bytes) = (round % 64, 16 + (round * 37 + seed) % 3000);
            let (old, old_bytes) = blocks[at];
            free(&HEAP, old, old_bytes);
            // SAFETY: the size is not 0.
            let block = unsafe { HEAP.alloc(layout(bytes)) };
            blocks[at] = (block, bytes);
            if block.is_null() {
                return false;
            }
        }
        for (block, bytes) in blocks {
            free(&HEAP, block, bytes);
        }
        true
    }

    thread::scope(|scope| {
        let done = Done(&DONE);
        for seed in 0..3 {
            scope.spawn(move || {
                while !DONE.load(Ordering::Relaxed) {
                    assert!(churn(seed));
                }
            });
        }
        let mut served = 0;
        for _ in 0..50 {
            // SAFETY: the child uses nothing but the heap, which takes no lock, and exits.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let status = i32::from(!churn(7));
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(status) };
            }
            let mut status = -1;
            // SAFETY: a child of this process, waited for once.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            // Neither killed nor stuck.
            assert!(libc::WIFEXITED(status), "{status}");
            served += usize::from(status == 0);
        }
        // A thread that was about to split the last large block kept it from the child.
        assert!(served >= 45, "{served} children found memory");
        drop(done);
    });
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (0, 0));
}
