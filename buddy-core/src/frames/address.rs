//! Physical addresses and frame numbers, as types that do not mix.

use core::fmt;
use core::ops::Range;

/// An address of physical memory, in bytes: 64 bits wide also where pointers are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysicalAddress(u64);

impl PhysicalAddress {
    /// The address `bytes` bytes above 0.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The address as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The address `bytes` further up, or the highest there is.
    #[must_use]
    pub const fn saturating_add(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhysicalAddress({self})")
    }
}

/// A page frame: `SIZE` bytes of physical memory at a multiple of `SIZE`, which is a power of two.
///
/// ```
/// use buddy_core::frames::{Frame, PhysicalAddress};
///
/// let frame: Frame = Frame::containing(PhysicalAddress::new(0x12_345)).unwrap();
/// assert_eq!((frame.number(), frame.address().get()), (0x12, 0x12_000));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Frame<const SIZE: usize = 4096>(usize);

impl<const SIZE: usize> Frame<SIZE> {
    const SHIFT: u32 = {
        assert!(SIZE.is_power_of_two(), "a frame's size is a power of two");
        SIZE.trailing_zeros()
    };

    /// The frame with this number: number 0 is at address 0.
    #[must_use]
    pub const fn new(number: usize) -> Self {
        Self(number)
    }

    /// The frame that the address lies in; `None` if its number is none that a `usize` holds.
    #[must_use]
    pub const fn containing(address: PhysicalAddress) -> Option<Self> {
        let number = address.0 >> Self::SHIFT;
        if number <= usize::MAX as u64 { Some(Self(number as usize)) } else { None }
    }

    /// The frame's number.
    #[must_use]
    pub const fn number(self) -> usize {
        self.0
    }

    /// Where the frame begins; the highest address there is, if it begins beyond that.
    #[must_use]
    pub const fn address(self) -> PhysicalAddress {
        PhysicalAddress((self.0 as u64).saturating_mul(SIZE as u64))
    }

    /// The frame `count` frames further up, or the last there is.
    #[must_use]
    pub const fn saturating_add(self, count: usize) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// Numbers of the frames that lie whole between two addresses.
    pub(super) fn inside(range: &Range<PhysicalAddress>) -> Range<usize> {
        let first = range.start.0 >> Self::SHIFT;
        let first = first + u64::from(range.start.0 & (SIZE as u64 - 1) != 0);
        Self::clamp(first)..Self::clamp(range.end.0 >> Self::SHIFT)
    }

    /// Numbers of the frames that have a byte between two addresses.
    pub(super) fn touched(range: &Range<PhysicalAddress>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        let last = (range.end.0 - 1) >> Self::SHIFT;
        Self::clamp(range.start.0 >> Self::SHIFT)..Self::clamp(last).saturating_add(1)
    }

    fn clamp(number: u64) -> usize {
        usize::try_from(number).unwrap_or(usize::MAX)
    }
}

impl<const SIZE: usize> fmt::Display for Frame<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {:#x}", self.0)
    }
}

impl<const SIZE: usize> fmt::Debug for Frame<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> Range<PhysicalAddress> {
        PhysicalAddress(start)..PhysicalAddress(end)
    }

    #[test]
    fn frames_lie_inside_or_are_touched() {
        let cases = [
            (range(0, 0), 0..0, 0..0),
            (range(0, 4096), 0..1, 0..1),
            (range(1, 4096), 1..1, 0..1),
            (range(1, 8193), 1..2, 0..3),
            (range(4095, 4097), 1..1, 0..2),
        ];
        for (bytes, inside, touched) in cases {
            let frames = Frame::<4096>::inside(&bytes);
            assert!(frames == inside || frames.is_empty() && inside.is_empty(), "{bytes:?}");
            assert_eq!(Frame::<4096>::touched(&bytes), touched, "{bytes:?}");
        }
    }

    #[test]
    fn the_highest_frames_have_numbers_where_a_usize_holds_them() {
        let high = range(u64::MAX - 5000, u64::MAX);
        assert!(Frame::<4096>::inside(&high).is_empty());
        let touched = Frame::<4096>::touched(&high);
        if usize::BITS == 64 {
            let end = 1_u64 << 52;
            assert_eq!((touched.start as u64, touched.end as u64), (end - 2, end));
        } else {
            assert!(touched.is_empty());
            assert_eq!(Frame::<4096>::containing(high.start), None);
        }
    }
}
