//! The metadata's place in the memory that it describes: the only unsafe code of this module.

use super::Frames;
use super::address::{Frame, PhysicalAddress};
use super::bootstrap::Bootstrap;
use super::error::BootstrapError;
use super::map::MemoryRange;
use crate::heap::ZeroedWord;
use crate::tree::Policy;
use core::ops::Range;
use core::ptr::NonNull;
use core::slice;

/// How memory is reached that is mapped at a fixed distance: for [`Bootstrap::place`].
///
/// The physical addresses below `end` are mapped at the virtual address `offset` and up; with
/// `offset` 0, at themselves.
///
/// ```
/// use buddy_core::frames::{PhysicalAddress, mapped_at};
///
/// // The first GiB at 3 GiB, as in many a 32-bit kernel.
/// let reach = mapped_at(0xc000_0000, PhysicalAddress::new(1 << 30));
/// let pointer = reach(PhysicalAddress::new(0x1000), 64).unwrap();
/// assert_eq!(pointer.addr().get(), 0xc000_1000);
/// assert_eq!(reach(PhysicalAddress::new(1 << 30), 1), None);
/// ```
pub fn mapped_at(
    offset: usize,
    end: PhysicalAddress,
) -> impl Fn(PhysicalAddress, usize) -> Option<NonNull<u8>> + Clone {
    move |start, bytes| {
        let last = start.get().checked_add(bytes as u64)?;
        if last > end.get() {
            return None;
        }
        let address = offset.checked_add(usize::try_from(start.get()).ok()?)?;
        NonNull::new(core::ptr::with_exposed_provenance_mut(address))
    }
}

impl<I: Iterator<Item = MemoryRange> + Clone, const ZONES: usize> Bootstrap<I, ZONES> {
    /// The frames of the map, with their metadata in usable memory of the map itself: in the highest
    /// zone that has a range with room for it, as high as can be reached.
    ///
    /// `reach` says where a physical range is mapped: the pointer to its first byte, or `None` if it
    /// is not mapped, or not in one piece. It is asked about usable ranges only.
    ///
    /// ```
    /// use buddy_core::frames::{Bootstrap, Frames, MemoryKind, MemoryRange, PhysicalAddress};
    /// use buddy_core::Atomic;
    /// use core::ptr::NonNull;
    ///
    /// // 8 MiB that are said to be at 1 MiB.
    /// let memory = NonNull::from(vec![0_u64; 1 << 20].leak()).cast::<u8>();
    /// let map = [MemoryRange::new(1 << 20, 8 << 20, MemoryKind::Usable)];
    /// let reach = |start: PhysicalAddress, _bytes| {
    ///     // SAFETY: the map's only entry begins at 1 MiB.
    ///     Some(unsafe { memory.add(start.get() as usize - (1 << 20)) })
    /// };
    /// // SAFETY: leaked memory, which nobody else uses.
    /// let frames: Frames<Atomic> = unsafe { Bootstrap::new(map).place(reach)? };
    /// assert_eq!(frames.free_frames(), 2048 - 1); // one has the metadata
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// For each usable frame of the map: where `reach` returns a pointer, it may be used to read and
    /// write all of the bytes asked for, for `'m`. Nobody else uses a usable frame before it is
    /// allocated, for `'m`.
    ///
    /// # Errors
    /// As [`Self::build_in`], and [`BootstrapError::NoRoom`].
    pub unsafe fn place<'m, W, P, const FRAME_SIZE: usize, const MAX_ORDER: u32>(
        &self,
        reach: impl Fn(PhysicalAddress, usize) -> Option<NonNull<u8>>,
    ) -> Result<Frames<'m, W, P, ZONES, FRAME_SIZE, MAX_ORDER>, BootstrapError>
    where
        W: ZeroedWord + 'm,
        P: Policy,
    {
        let words = self.metadata_words::<W, P, FRAME_SIZE>()?;
        let bytes = words.saturating_mul(size_of::<W>());
        let no_room = BootstrapError::NoRoom { bytes: bytes as u64 };
        if isize::try_from(bytes).is_err() {
            return Err(no_room);
        }
        let (frames, pointer) = self.find_place::<W, FRAME_SIZE>(bytes, reach).ok_or(no_room)?;
        // SAFETY: usable memory, which may be written, and is nobody's.
        unsafe { pointer.write_bytes(0, words) };
        // SAFETY: aligned, zeroed and so valid (`ZeroedWord`), of at most `isize::MAX` bytes, and
        // nobody else's for `'m`: these frames are never released (`Frames::metadata`).
        let storage = unsafe { slice::from_raw_parts_mut(pointer.as_ptr(), words) };
        self.build_around(storage, frames)
    }

    /// The best usable frames that can be reached and have room for `bytes` bytes.
    fn find_place<W, const FRAME_SIZE: usize>(
        &self,
        bytes: usize,
        reach: impl Fn(PhysicalAddress, usize) -> Option<NonNull<u8>>,
    ) -> Option<(Range<usize>, NonNull<W>)> {
        let count = bytes.div_ceil(FRAME_SIZE);
        let at = |first: usize| {
            let pointer = reach(Frame::<FRAME_SIZE>::new(first).address(), bytes)?.cast::<W>();
            pointer.is_aligned().then_some((first..first + count, pointer))
        };
        (0..ZONES).rev().find_map(|zone| {
            let wide = self.usable_frames::<FRAME_SIZE>(zone).filter(|range| range.len() >= count);
            // At the range's end, or where only its beginning is mapped, there.
            wide.filter_map(|range| at(range.end - count).or_else(|| at(range.start))).last()
        })
    }
}
