//! A signal handler that allocates and frees while the thread that it interrupts does so.

#![cfg(unix)]

use buddy_global::{BuddyHeap, static_heap};
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

static HEAP: BuddyHeap = static_heap!(1 << 20);

/// How many signals were handled, and how many of them found their memory as they wanted it.
static HANDLED: AtomicUsize = AtomicUsize::new(0);
static SERVED: AtomicUsize = AtomicUsize::new(0);

const SIGNALS: usize = 2_000;

/// Takes blocks of several sizes, fills them, looks at them, and frees them; whether all was well.
fn take_and_give(seed: usize) -> bool {
    let mut is_well = true;
    let mut blocks = [core::ptr::null_mut::<u8>(); 6];
    let layout = |at: usize| Layout::from_size_align(16 + (seed * 7 + at * 53) % 900, 8).unwrap();
    for (at, block) in blocks.iter_mut().enumerate() {
        // SAFETY: the size is not 0.
        *block = unsafe { HEAP.alloc(layout(at)) };
        if block.is_null() {
            is_well = false;
        } else {
            // SAFETY: the block has as many bytes.
            unsafe { block.write_bytes(at as u8 ^ seed as u8, layout(at).size()) };
        }
    }
    for (at, block) in blocks.into_iter().enumerate().filter(|(_, block)| !block.is_null()) {
        // SAFETY: the block has as many bytes, all written.
        let bytes = unsafe { core::slice::from_raw_parts(block, layout(at).size()) };
        is_well &= bytes.iter().all(|byte| *byte == at as u8 ^ seed as u8);
        // SAFETY: the block of that layout.
        unsafe { HEAP.dealloc(block, layout(at)) };
    }
    is_well
}

extern "C" fn handle(_: libc::c_int) {
    let is_well = take_and_give(HANDLED.load(Ordering::Relaxed));
    SERVED.fetch_add(usize::from(is_well), Ordering::Relaxed);
    HANDLED.fetch_add(1, Ordering::Release);
}

#[test]
fn an_interrupted_call_and_the_handlers_calls_are_all_served() {
    static DONE: AtomicBool = AtomicBool::new(false);
    assert!(HEAP.size() > 0);
    let handler = handle as extern "C" fn(libc::c_int);
    // SAFETY: the handler uses atomics and a heap that takes no lock.
    let before = unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);
    // SAFETY: always safe to ask.
    let worker = unsafe { libc::pthread_self() };

    thread::scope(|scope| {
        scope.spawn(|| {
            for sent in 1..=SIGNALS {
                // SAFETY: the thread that waits for this one at the end.
                assert_eq!(unsafe { libc::pthread_kill(worker, libc::SIGUSR1) }, 0);
                // One at a time: a second signal before the first is handled is none.
                while HANDLED.load(Ordering::Acquire) < sent {
                    thread::yield_now();
                }
            }
            DONE.store(true, Ordering::Release);
        });
        let mut rounds = 0;
        while !DONE.load(Ordering::Acquire) {
            rounds += 1;
            assert!(take_and_give(rounds));
        }
    });
    assert_eq!(SERVED.load(Ordering::Relaxed), SIGNALS);
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (0, 0));
    HEAP.validate().unwrap();
}
