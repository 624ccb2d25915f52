//! Hardened heaps. For each option: the attack that succeeds on a plain heap, and fails here
//! (`attacks`); that valid work goes on as before under all options (`shadow`); from many threads,
//! too, with several frees of one block at once (`threads`).

mod attacks;
mod shadow;
mod threads;

use buddy_core::heap::{Hardened, Hardening, ZeroedWord};
use buddy_core::{Heap, Lazy};
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// How many blocks may wait.
const SLOTS: usize = 8;

type Under<'m, W> = Hardened<&'m mut [W], 16, Lazy, 4, SLOTS>;

fn plain<W: ZeroedWord>(bytes: usize) -> Heap<&'static mut [W], 16> {
    let memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(bytes);
    Heap::from_region(Box::leak(memory)).unwrap()
}

fn hardened<W: ZeroedWord>(bytes: usize, hardening: Hardening) -> Under<'static, W> {
    Hardened::new(plain(bytes), hardening)
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// The byte `at` bytes behind `start` (modulo `usize`: also before it), which is in the heap, allocated or not: what attacks read.
fn peek(start: NonNull<u8>, at: usize) -> u8 {
    // SAFETY: memory of the heap, which was written before, and which no other thread writes.
    unsafe { start.as_ptr().wrapping_add(at).read_volatile() }
}

/// Writes there.
fn poke(start: NonNull<u8>, at: usize, value: u8) {
    // SAFETY: memory of the heap, which no other thread uses.
    unsafe { start.as_ptr().wrapping_add(at).write_volatile(value) };
}
