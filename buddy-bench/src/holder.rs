//! The blocks a program holds, each in a slot, and the allocator they are from.

use crate::peers::Allocator;
use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;

const _: () = assert!(usize::BITS >= 64, "layouts of traces must fit into isize");

/// What is asked for: a size from 1 to 2^32 - 1, and an alignment of up to 2^31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    size: u32,
    align_log2: u8,
}

impl Request {
    /// A request, unless the size is 0 or the alignment above 2^31.
    #[must_use]
    pub const fn new(size: u32, align_log2: u8) -> Option<Self> {
        if size > 0 && align_log2 <= 31 { Some(Self { size, align_log2 }) } else { None }
    }

    /// A request for bytes aligned to 8; for one byte if the size is 0.
    #[must_use]
    pub const fn bytes(size: u32) -> Self {
        Self { size: if size == 0 { 1 } else { size }, align_log2: 3 }
    }

    /// The layout.
    #[inline(always)]
    #[must_use]
    pub const fn layout(self) -> Layout {
        // SAFETY: the alignment is a power of two of at most 2^31, and the size is below 2^32, so
        // that the rounded size is far from isize::MAX.
        unsafe { Layout::from_size_align_unchecked(self.size as usize, 1 << self.align_log2) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    block: Option<NonNull<u8>>,
    request: Request,
}

impl Slot {
    const EMPTY: Self = Self { block: None, request: Request::bytes(1) };
}

/// An allocator and slots for its blocks. A slot's block is live, and has the layout of the slot's
/// request.
///
/// What concerns a block that was refused is passed over. All calls are compiled into the loop that
/// is measured.
#[derive(Debug)]
pub struct Holder<'a, A> {
    allocator: &'a mut A,
    slots: Vec<Slot>,
}

impl<'a, A: Allocator> Holder<'a, A> {
    /// So many empty slots.
    pub fn new(allocator: &'a mut A, slots: usize) -> Self {
        Self { allocator, slots: vec![Slot::EMPTY; slots] }
    }

    /// Fills a slot, which is empty; whether it was served.
    #[inline(always)]
    pub fn alloc(&mut self, slot: usize, request: Request) -> bool {
        let block = self.allocator.alloc(request.layout());
        self.keep(slot, request, block)
    }

    /// Fills a slot, which is empty, with zeros; whether it was served.
    #[inline(always)]
    pub fn alloc_zeroed(&mut self, slot: usize, request: Request) -> bool {
        let block = self.allocator.alloc_zeroed(request.layout());
        self.keep(slot, request, block)
    }

    /// Empties a slot.
    #[inline(always)]
    pub fn free(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        if let Some(block) = slot.block.take() {
            // SAFETY: the slot had a live block with its layout, and has lost it.
            unsafe { self.allocator.dealloc(block, slot.request.layout()) };
        }
    }

    /// Changes the size of a slot's block; its alignment stays. Whether it was served.
    #[inline(always)]
    pub fn realloc(&mut self, slot: usize, size: u32) -> bool {
        let Slot { block: Some(block), request: old } = self.slots[slot] else { return true };
        let request = Request { size: size.max(1), ..old };
        // SAFETY: the slot has a live block with its layout, and gets the new one.
        let block = unsafe { self.allocator.realloc(block, old.layout(), request.layout()) };
        self.keep(slot, request, block)
    }

    /// Allocates and frees at once; whether it was served.
    #[inline(always)]
    pub fn pair(&mut self, request: Request) -> bool {
        let Some(block) = self.allocator.alloc(request.layout()) else { return false };
        let block = black_box(block);
        // SAFETY: the block is live.
        unsafe { self.allocator.touch(block) };
        // SAFETY: the block is live, has that layout, and is not used any more.
        unsafe { self.allocator.dealloc(block, request.layout()) };
        true
    }

    /// Empties all slots.
    pub fn free_all(&mut self) {
        for slot in 0..self.slots.len() {
            self.free(slot);
        }
    }

    #[inline(always)]
    fn keep(&mut self, slot: usize, request: Request, block: Option<NonNull<u8>>) -> bool {
        let Some(block) = block else { return false };
        // SAFETY: the allocator gave the block.
        unsafe { self.allocator.touch(block) };
        self.slots[slot] = Slot { block: Some(block), request };
        true
    }
}

const _: () = assert!(size_of::<Slot>() == 16);
