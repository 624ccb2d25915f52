//! Hardened heaps shared by threads.

use super::{Under, hardened, layout};
use buddy_core::Atomic;
use buddy_core::heap::Hardening;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

const THREADS: usize = 4;
const ALL: Hardening = Hardening::new(5).zero_on_free().guards().quarantine(4096).random_choice(4);

struct Marked(NonNull<u8>, Layout, u8);

// SAFETY: a block belongs to whoever has it.
unsafe impl Send for Marked {}

impl Marked {
    fn new(heap: &Under<'_, Atomic>, layout: Layout, mark: u8) -> Option<Self> {
        let start = heap.allocate(layout).ok()?.cast::<u8>();
        // SAFETY: a block of that size, which is this thread's.
        unsafe { start.write_bytes(mark, layout.size()) };
        Some(Self(start, layout, mark))
    }

    fn free(self, heap: &Under<'_, Atomic>) {
        let Self(start, layout, mark) = self;
        // SAFETY: a block of that size, which is this thread's.
        let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), layout.size()) };
        assert!(bytes.iter().all(|byte| *byte == mark), "written over");
        // SAFETY: it is not used again.
        unsafe { heap.deallocate(start, layout) }.unwrap();
    }
}

fn check_empty(heap: &Under<'_, Atomic>) {
    heap.release_waiting();
    assert_eq!((heap.damaged(), heap.heap().total_allocated()), (0, 0));
    heap.heap().validate().unwrap();
}

#[test]
fn blocks_go_from_thread_to_thread() {
    for hardening in [ALL, Hardening::new(5).quarantine(usize::MAX)] {
        // Small enough that the wait is often cut short.
        let heap: Under<'static, Atomic> = hardened(1 << 15, hardening);
        let shared = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (heap, shared) = (&heap, &shared);
                scope.spawn(move || {
                    for round in 0..3000_usize {
                        let size = 1 + (round * 97 + thread * 31) % 900;
                        let mark = (round + thread) as u8;
                        let block = Marked::new(heap, layout(size, 1 << (round % 6)), mark);
                        let mut blocks = shared.lock().unwrap();
                        blocks.extend(block);
                        let at = (round * 7919) % blocks.len().max(1);
                        let other = (blocks.len() > 8).then(|| blocks.swap_remove(at));
                        drop(blocks);
                        if let Some(other) = other {
                            other.free(heap);
                        }
                    }
                });
            }
        });
        for block in shared.into_inner().unwrap() {
            block.free(&heap);
        }
        check_empty(&heap);
    }
}

/// All threads free, or resize, the same block: one does. What it writes then, nobody else does.
#[test]
fn of_several_frees_of_one_block_one_succeeds() {
    let heap: Under<'static, Atomic> = hardened(1 << 20, ALL);
    let barrier = Barrier::new(THREADS);
    let (target, successes) = (Mutex::new(None), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (heap, barrier, target, successes) = (&heap, &barrier, &target, &successes);
            scope.spawn(move || {
                for round in 0..500_usize {
                    if thread == 0 {
                        let layout = layout(1 + round % 700, 8);
                        *target.lock().unwrap() = Marked::new(heap, layout, 1);
                        successes.store(0, Ordering::Relaxed);
                    }
                    barrier.wait();
                    let (ptr, old) = {
                        let target = target.lock().unwrap();
                        let Marked(ptr, layout, _) = target.as_ref().unwrap();
                        (*ptr, *layout)
                    };
                    barrier.wait();
                    // SAFETY: nobody uses the block.
                    let freed = unsafe { heap.deallocate(ptr, old) }.is_ok();
                    // Meanwhile others may get the memory: it stays theirs.
                    if let Some(own) = Marked::new(heap, old, thread as u8 + 2) {
                        barrier.wait();
                        own.free(heap);
                    } else {
                        barrier.wait();
                    }
                    successes.fetch_add(usize::from(freed), Ordering::Relaxed);
                    barrier.wait();
                    assert_eq!(successes.load(Ordering::Relaxed), 1);
                    barrier.wait();
                }
            });
        }
    });
    check_empty(&heap);
}
