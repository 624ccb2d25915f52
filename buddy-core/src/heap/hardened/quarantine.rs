//! Blocks that wait before they are handed out again, first in, first out.
//!
//! - **Q1** A block that waits is detached from the tree: a second free of it finds no block there.
//! - **Q2** Whoever changes a slot's FIRST to [`BUSY`] has the slot, and the block in it, until he
//!   writes FIRST again. Nobody waits for him.

use crate::tree::Word;

/// No block.
const VACANT: usize = 0;
/// In somebody's hands.
const BUSY: usize = 1;
/// What is added to a leaf number.
const OFFSET: usize = 2;

/// A block that is detached, in leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    pub(super) first: usize,
    pub(super) leaves: usize,
}

#[derive(Default)]
struct Slot<W> {
    /// [`VACANT`], [`BUSY`], or the block's first leaf and [`OFFSET`].
    first: W,
    leaves: W,
}

/// Room for `SLOTS` blocks.
pub(super) struct Quarantine<W, const SLOTS: usize> {
    slots: [Slot<W>; SLOTS],
    /// The slot after the one that was used last, modulo `SLOTS`.
    next: W,
}

impl<W: Word, const SLOTS: usize> Quarantine<W, SLOTS> {
    pub(super) fn new() -> Self {
        const { assert!(SLOTS == 0 || SLOTS.is_power_of_two(), "SLOTS must be 0 or a power of two") };
        Self { slots: core::array::from_fn(|_| Slot::default()), next: W::default() }
    }

    /// Lets a block wait, and returns the one whose wait is over: the oldest, if all slots are
    /// taken; the block itself, if it cannot wait. O(1), and O(`SLOTS`) if others are at it.
    pub(super) fn exchange(&self, block: Waiting) -> Option<Waiting> {
        let most = if W::BITS >= usize::BITS { usize::MAX } else { (1 << W::BITS) - 1 };
        if block.first > most - OFFSET || block.leaves > most {
            return Some(block);
        }
        for _ in 0..SLOTS {
            let at = self.next.add(1) & SLOTS.wrapping_sub(1);
            let Some(slot) = self.slots.get(at) else { break };
            if let Ok(old) = slot.first.update(|old| (old != BUSY).then_some(BUSY)) {
                let leaves = slot.leaves.swap(block.leaves);
                slot.first.store(block.first + OFFSET);
                return (old != VACANT).then(|| Waiting { first: old - OFFSET, leaves });
            }
        }
        Some(block)
    }

    /// Ends the wait of the block in that slot, if there is one.
    pub(super) fn remove(&self, at: usize) -> Option<Waiting> {
        let slot = self.slots.get(at)?;
        let old = slot.first.update(|old| (old >= OFFSET).then_some(BUSY)).ok()?;
        let leaves = slot.leaves.load();
        slot.first.store(VACANT);
        Some(Waiting { first: old - OFFSET, leaves })
    }

    /// How many blocks wait. O(`SLOTS`).
    pub(super) fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.first.load() >= OFFSET).count()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    fn block(number: usize) -> Waiting {
        Waiting { first: number, leaves: number + 1 }
    }

    #[test]
    fn blocks_leave_in_the_order_in_which_they_came() {
        let quarantine = Quarantine::<Plain, 4>::new();
        for number in 0..4 {
            assert_eq!(quarantine.exchange(block(number)), None);
        }
        for number in 4..20 {
            assert_eq!(quarantine.len(), 4);
            assert_eq!(quarantine.exchange(block(number)), Some(block(number - 4)));
        }
        let mut left = [0, 1, 2, 3].map(|at| quarantine.remove(at).map(|block| block.first));
        left.sort_unstable();
        assert_eq!(left, [16, 17, 18, 19].map(Some));
        assert_eq!((quarantine.len(), quarantine.remove(0), quarantine.remove(4)), (0, None, None));
    }

    #[test]
    fn what_has_no_room_does_not_wait() {
        assert_eq!(Quarantine::<Plain, 0>::new().exchange(block(3)), Some(block(3)));
        let quarantine = Quarantine::<Plain32, 4>::new();
        let far = Waiting { first: u32::MAX as usize - 1, leaves: 1 };
        assert_eq!(quarantine.exchange(far), Some(far));
        let near = Waiting { first: u32::MAX as usize - 2, leaves: u32::MAX as usize };
        assert_eq!((quarantine.exchange(near), quarantine.len()), (None, 1));
        assert_eq!((0..4).find_map(|at| quarantine.remove(at)), Some(near));
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    extern crate std;
    use super::*;
    use crate::tree::Modelled16;
    use loom::sync::Arc;
    use loom::thread;
    use std::vec::Vec;

    /// Two threads let blocks wait in one slot while a third ends waits: each block leaves once.
    #[test]
    fn every_block_leaves_once() {
        loom::model(|| {
            let quarantine = Arc::new(Quarantine::<Modelled16, 1>::new());
            let block = |number| Waiting { first: number, leaves: number + 10 };
            let threads = [1, 2].map(|number| {
                let quarantine = Arc::clone(&quarantine);
                thread::spawn(move || [quarantine.exchange(block(number)), None])
            });
            let own = [quarantine.remove(0), quarantine.exchange(block(3))];
            let mut left: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            left.push(own);
            left.push([quarantine.remove(0), quarantine.remove(0)]);
            let mut left: Vec<_> = left.iter().flatten().flatten().copied().collect();
            left.sort_unstable_by_key(|block| block.first);
            assert_eq!(left, [1, 2, 3].map(block));
        });
    }
}
