//! This project's tree: for one thread, and for many.

use super::{RangeAllocator, RangePeer};
use buddy_core::tree::{Lazy, Order, Word};
use buddy_core::{Atomic, Plain, Tree};

const PACKAGE: &str = concat!("buddy-core ", env!("VERSION_BUDDY_CORE"));

/// The tree over words of one kind, which it has on the heap.
#[derive(Debug)]
pub struct Frames<W: Word>(Tree<Box<[W]>, Lazy>);

/// For one thread.
pub type BuddyTree = Frames<Plain>;

/// For any number of threads.
pub type SharedTree = Frames<Atomic>;

impl<W: Word> Frames<W> {
    fn of(frames: usize) -> Option<Self> {
        let words = Tree::<Box<[W]>, Lazy>::metadata_words(0..frames);
        let words = (0..words).map(|_| W::default()).collect();
        Tree::new_zeroed(words, 0..frames).ok().map(Self)
    }
}

impl RangePeer for BuddyTree {
    const NAME: &'static str = "buddy";
    const PACKAGE: &'static str = PACKAGE;

    fn create(frames: usize) -> Option<Self> {
        Self::of(frames)
    }
}

impl RangePeer for SharedTree {
    const NAME: &'static str = "buddy-shared";
    const PACKAGE: &'static str = PACKAGE;

    fn create(frames: usize) -> Option<Self> {
        Self::of(frames)
    }
}

impl<W: Word> RangeAllocator for Frames<W> {
    type Block = usize;

    #[inline]
    fn alloc(&mut self, order: u32) -> Option<usize> {
        self.0.allocate(Order::new(order)?).ok()
    }

    #[inline]
    fn first(block: usize) -> usize {
        block
    }

    #[inline]
    fn free(&mut self, block: usize, order: u32) {
        if let Err(error) = self.0.free_sized(block, 1 << order) {
            // The block is live: a refusal is this project's error, and must be seen.
            panic!("{error}");
        }
    }
}
