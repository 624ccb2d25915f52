//! All memory is used up, and comes back.

use super::interrupts;
use crate::heap::HEAP;
use crate::machine::cpu::CPUS;
use crate::machine::serial::say;
use crate::memory::frames;
use alloc::vec::Vec;
use buddy_core::Order;
use buddy_core::frames::{AllocError, Frame};
use core::sync::atomic::Ordering::Relaxed;

/// Bytes of a block of the heap.
const BLOCK: usize = 64 << 10;

/// Frames that are allocated by one call.
const BATCH: usize = 64;
/// How many interrupts are waited for when no frame is left.
const TICKS: usize = 100;

/// Uses up frames, then the heap.
pub(crate) fn run() {
    use_up_frames();
    use_up_heap();
}

fn use_up_frames() {
    // The list's memory must be there before the last frame is gone.
    let mut list: Vec<u32> = Vec::with_capacity(frames().free_frames());
    let before = frames().statistics();
    interrupts::start();
    take_all(&mut list);
    let ticks = CPUS[0].ticks.load(Relaxed);
    while CPUS[0].ticks.load(Relaxed) < ticks + TICKS {
        take_all(&mut list);
    }
    let (served, refused) = interrupts::stop();
    // What the handler held.
    take_all(&mut list);
    let refusal = AllocError::OutOfMemory { frames: 1, largest_free: 0 };
    assert_eq!(frames().allocate_one(), Err(refusal));
    assert_eq!(list.len(), before.free(), "frames that nobody was given");
    say!("All {} frames were allocated; the next request: {refusal}.", list.len());
    say!("The handler's requests meanwhile: {served} served, {refused} refused.");
    assert!(refused > 0, "the handler was refused nothing");
    let failed = Vec::<u8>::new().try_reserve_exact(1 << 30).is_err();
    assert!(failed, "the heap cannot grow");
    for number in &list {
        frames().free_one(Frame::new(*number as usize)).expect("a frame of the list");
    }
    assert!(super::memory::is_as_before(&before), "not all frames came back");
    say!("They were freed one by one, and merged to the blocks that were there before.");
}

/// Allocates single frames, many at a time, until there are none.
fn take_all(list: &mut Vec<u32>) {
    loop {
        let mut batch = [Frame::default(); BATCH];
        let wanted = BATCH.min(list.capacity() - list.len());
        let had = frames().allocate_many(Order::MIN, &mut batch[..wanted]);
        list.extend(batch[..had].iter().map(|frame| frame.number() as u32));
        if had < BATCH {
            break;
        }
    }
}

fn use_up_heap() {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let first = HEAP.heap().size();
    loop {
        let mut block = Vec::new();
        if blocks.try_reserve(1).is_err() || block.try_reserve_exact(BLOCK).is_err() {
            break;
        }
        block.push(1);
        blocks.push(block);
    }
    let heap = HEAP.heap();
    say!(
        "The heap grew from {} to {} KiB, and had {} blocks of {} KiB when it was full.",
        first >> 10,
        heap.size() >> 10,
        blocks.len(),
        BLOCK >> 10
    );
    assert!(blocks.len() * BLOCK > heap.size() / 2, "so few fit");
    drop(blocks);
    assert_eq!(heap.total_allocated(), 0);
    let large = alloc::vec![7_u8; heap.size() / 3];
    assert!(large.iter().all(|byte| *byte == 7));
    say!("It was emptied, and served {} KiB in one block.", large.len() >> 10);
}
