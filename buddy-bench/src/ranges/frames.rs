//! This project's page frames, as a kernel has them: slabs of small blocks before the tree.

use super::{RangeAllocator, RangePeer};
use buddy_core::frames::{self, Bootstrap, Frame, MemoryKind, MemoryRange, Zone};
use buddy_core::tree::{Lazy, Order, Word};
use buddy_core::{Atomic, Plain};

const PACKAGE: &str = concat!("buddy-core ", env!("VERSION_BUDDY_CORE"));

const FRAME_SIZE: usize = 4096;

/// Frames of one zone, over words of one kind.
#[derive(Debug)]
pub struct KernelFrames<W: Word + 'static>(frames::Frames<'static, W, Lazy, 1, FRAME_SIZE>);

/// For one CPU.
pub type PlainFrames = KernelFrames<Plain>;

/// For any number of threads.
pub type SharedFrames = KernelFrames<Atomic>;

impl<W: Word + 'static> KernelFrames<W> {
    fn of(frames: usize) -> Option<Self> {
        let map = [MemoryRange::new(0, (frames * FRAME_SIZE) as u64, MemoryKind::Usable)];
        let bootstrap = Bootstrap::new(map).zones([Zone::NORMAL]);
        let words = bootstrap.metadata_words::<W, Lazy, FRAME_SIZE>().ok()?;
        // Frames borrow their metadata for good, as a kernel's do: 4.3 bits a frame are left behind.
        let words: Vec<W> = (0..words).map(|_| W::default()).collect();
        bootstrap.build_in(words.leak()).ok().map(Self)
    }
}

impl RangePeer for PlainFrames {
    const NAME: &'static str = "buddy-frames";
    const PACKAGE: &'static str = PACKAGE;

    fn create(frames: usize) -> Option<Self> {
        Self::of(frames)
    }
}

impl RangePeer for SharedFrames {
    const NAME: &'static str = "buddy-frames-shared";
    const PACKAGE: &'static str = PACKAGE;

    fn create(frames: usize) -> Option<Self> {
        Self::of(frames)
    }
}

impl<W: Word + 'static> RangeAllocator for KernelFrames<W> {
    type Block = Frame<FRAME_SIZE>;

    #[inline]
    fn alloc(&mut self, order: u32) -> Option<Self::Block> {
        self.0.allocate(Order::new(order)?).ok()
    }

    #[inline]
    fn first(block: Self::Block) -> usize {
        block.number()
    }

    #[inline]
    fn free(&mut self, block: Self::Block, order: u32) {
        if let Err(error) = self.0.free_sized(block, 1 << order) {
            // The block is live: a refusal is this project's error, and must be seen.
            panic!("{error}");
        }
    }
}
