//! All processors use up the memory together: no frame is given to two, and none to nobody.

use crate::machine::serial::say;
use crate::memory::frames;
use alloc::vec::Vec;
use buddy_core::frames::Frame;
use core::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};

/// How often a processor has come to a place where it waits for the others.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
/// Frames that all processors have.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Waits for the others.
fn meet(count: usize) {
    let before = ARRIVED.fetch_add(1, AcqRel);
    let all = (before / count + 1) * count;
    while ARRIVED.load(Acquire) < all {
        core::hint::spin_loop();
    }
}

/// A processor's part. No other code may use the frames meanwhile.
pub(super) fn run(number: usize, count: usize) {
    let mut list: Vec<u32> = Vec::with_capacity(frames().free_frames());
    meet(count);
    let free = frames().free_frames();
    meet(count);
    take_all(&mut list);
    TAKEN.fetch_add(list.len(), AcqRel);
    meet(count);
    if number == 0 {
        let (together, own) = (TAKEN.load(Relaxed), list.len());
        // With so little patience, a request may be refused while others have frames in their hands.
        take_all(&mut list);
        let late = list.len() - own;
        say!("All took frames until they were refused: {together} of {free}; {late} were left.");
        assert_eq!(together + late, free, "frames that nobody, or two, were given");
    }
    meet(count);
    for number in list {
        frames().free_one(Frame::new(number as usize)).expect("a frame of the list");
    }
    meet(count);
    assert_eq!(frames().free_frames(), free, "not all frames came back");
    meet(count);
}

fn take_all(list: &mut Vec<u32>) {
    while list.len() < list.capacity() {
        let Ok(frame) = frames().allocate_one() else { break };
        list.push(frame.number() as u32);
    }
}
