//! Guards: bytes before and behind a block that nobody writes to.
//!
//! ```text
//!   | guard: at least the alignment | the holder's bytes | guard: at least MIN_BLOCK |
//!                        CANARY 64 >|                    |< CANARY 64
//! ```
//!
//! Where a guard is longer than 64 bytes, the 64 next to the block are written and checked: a write
//! that runs over the end comes there first.

use super::random::mix;
use core::alloc::Layout;
use core::hint::black_box;
use core::ptr::NonNull;

/// The most bytes of a guard that are written and checked.
const CANARY: usize = 64;

/// How a block lies between its guards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// What is asked of the heap.
    pub(super) outer: Layout,
    /// The bytes of the guard before the block; without guards 0.
    pub(super) front: usize,
    /// The holder's bytes.
    pub(super) size: usize,
}

impl Frame {
    /// A block without guards.
    pub(super) const fn bare(layout: Layout) -> Self {
        Self { outer: layout, front: 0, size: layout.size() }
    }

    /// A block between guards; `None` if that is more than a `Layout` can be.
    pub(super) fn guarded(layout: Layout, min_block: usize) -> Option<Self> {
        let front = layout.align().max(min_block);
        let bytes = layout.size().checked_add(front)?.checked_add(min_block)?;
        let outer = Layout::from_size_align(bytes, layout.align()).ok()?;
        Some(Self { outer, front, size: layout.size() })
    }

    /// The bytes of both guards.
    pub(super) const fn overhead(&self) -> usize {
        self.outer.size() - self.size
    }
}

/// The guards of one block.
pub(super) struct Guards([Side; 2]);

/// The bytes on one side that are written and checked: a multiple of 8.
struct Side {
    start: NonNull<u8>,
    bytes: usize,
    /// Different for each block and side, and for each size at the same place.
    canary: u64,
}

impl Guards {
    /// The guards of the block that starts at `outer` and is `frame.outer.size()` bytes long.
    ///
    /// # Safety
    /// So many bytes from `outer` on are of one allocation, and `frame` is that of a guarded block.
    #[inline]
    pub(super) unsafe fn new(outer: NonNull<u8>, frame: &Frame, seed: u64) -> Self {
        let (before, end) = (frame.front.min(CANARY), frame.front + frame.size);
        let behind = (frame.outer.size() - end).min(CANARY);
        // SAFETY: inside the block.
        let front = unsafe { outer.add(frame.front - before) };
        // SAFETY: inside the block.
        let back = unsafe { outer.add(end) };
        let number = mix(mix(seed, outer.addr().get() as u64), frame.size as u64);
        // No byte is 0, so that the 0 at the end of a string does not pass for one.
        let canary = |number: u64| number | 0x0101_0101_0101_0101;
        Self([
            Side { start: front, bytes: before, canary: canary(number) },
            Side { start: back, bytes: behind, canary: canary(!number.rotate_left(32)) },
        ])
    }

    /// Writes both.
    ///
    /// # Safety
    /// The block is the caller's alone, and may be written.
    #[inline]
    pub(super) unsafe fn write(&self) {
        for side in &self.0 {
            // SAFETY: the caller's duty.
            unsafe { side.fill(side.canary) };
        }
    }

    /// Writes over both what no guard is.
    ///
    /// # Safety
    /// The block is the caller's alone, and may be written.
    #[inline]
    pub(super) unsafe fn wipe(&self) {
        for side in &self.0 {
            // SAFETY: the caller's duty.
            unsafe { side.fill(0) };
        }
    }

    /// The address of the first byte that is not as it was written.
    ///
    /// # Safety
    /// The block is the caller's alone, and may be read.
    #[inline]
    pub(super) unsafe fn damage(&self) -> Option<usize> {
        self.0.iter().find_map(|side| {
            // SAFETY: the caller's duty.
            let (at, wrong) = unsafe { side.damage() }?;
            let byte = if cfg!(target_endian = "little") {
                wrong.trailing_zeros()
            } else {
                wrong.leading_zeros()
            };
            Some(side.start.addr().get() + at + byte as usize / 8)
        })
    }
}

impl Side {
    /// # Safety
    /// The block is the caller's alone, and may be written.
    #[inline]
    unsafe fn fill(&self, value: u64) {
        for at in (0..self.bytes).step_by(8) {
            // SAFETY: inside the block.
            let eight = unsafe { self.start.add(at) };
            // SAFETY: the caller's alone; wherever it begins.
            unsafe { eight.cast::<u64>().write_unaligned(value) };
        }
    }

    /// The first eight bytes that are not as they were written: where, and which bits.
    ///
    /// # Safety
    /// The block is the caller's alone, and may be read.
    #[inline]
    unsafe fn damage(&self) -> Option<(usize, u64)> {
        // Of a block that was freed with a wrong size these are bytes that nobody may have written:
        // to the compiler they come from elsewhere, and are some bytes.
        let start = black_box(self.start);
        (0..self.bytes).step_by(8).find_map(|at| {
            // SAFETY: inside the block.
            let eight = unsafe { start.add(at) };
            // SAFETY: nobody else writes there; wherever it begins.
            let wrong = unsafe { eight.cast::<u64>().read_unaligned() } ^ self.canary;
            (wrong != 0).then_some((at, wrong))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    #[test]
    fn a_frame_keeps_the_alignment_and_has_a_guard_on_each_side() {
        for size in [1, 15, 16, 17, 1000] {
            for align in [1, 2, 16, 64, 4096] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let frame = Frame::guarded(layout, 16).unwrap();
                assert!(frame.front % align == 0 && frame.front >= 16);
                assert!(frame.outer.size() - frame.front - size >= 16);
                assert_eq!((frame.outer.align(), frame.size), (align, size));
                assert_eq!(frame.overhead(), frame.front + 16);
            }
        }
        let huge = Layout::from_size_align(isize::MAX as usize - 8, 1).unwrap();
        assert!(Frame::guarded(huge, 16).is_none());
    }

    #[test]
    fn every_changed_byte_is_found() {
        let mut memory = [const { MaybeUninit::<u64>::uninit() }; 64];
        let outer: NonNull<u8> = NonNull::from(&mut memory).cast();
        for (size, min_block, align) in [(1, 8, 1), (100, 16, 8), (13, 64, 128), (40, 128, 8)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let frame = Frame::guarded(layout, min_block).unwrap();
            assert!(frame.outer.size() <= size_of_val(&memory));
            // SAFETY: the memory is this test's, and large enough.
            let guards = unsafe { Guards::new(outer, &frame, 3) };
            // SAFETY: as above.
            unsafe { guards.write() };
            // SAFETY: as above.
            assert_eq!(unsafe { guards.damage() }, None);
            // SAFETY: as above.
            unsafe { guards.wipe() };
            let first = outer.addr().get() + frame.front - frame.front.min(CANARY);
            // SAFETY: as above.
            assert_eq!(unsafe { guards.damage() }, Some(first));
            // SAFETY: as above.
            unsafe { guards.write() };
            let near = frame.front - frame.front.min(CANARY)..frame.front;
            let behind = frame.front + size..(frame.front + size + CANARY).min(frame.outer.size());
            for at in near.chain(behind) {
                // SAFETY: as above.
                let mut byte = unsafe { outer.add(at) };
                // SAFETY: as above.
                let byte = unsafe { byte.as_mut() };
                for wrong in [0, *byte ^ 0x80] {
                    let right = core::mem::replace(byte, wrong);
                    // SAFETY: as above.
                    let damage = unsafe { guards.damage() };
                    assert_eq!(damage, Some(outer.addr().get() + at), "{size} {at}");
                    *byte = right;
                }
            }
        }
    }
}
