//! Bytes, read as numbers until they are used up.

use std::alloc::Layout;

/// What is left of an input.
#[derive(Clone, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte.
    pub const fn byte(&mut self) -> Option<u8> {
        let Some((first, rest)) = self.0.split_first() else { return None };
        self.0 = rest;
        Some(*first)
    }

    /// A number below `end`, of one byte or two.
    pub fn below(&mut self, end: usize) -> Option<usize> {
        let low = usize::from(self.byte()?);
        let high = if end > 256 { usize::from(self.byte()?) } else { 0 };
        Some((high << 8 | low) % end)
    }

    /// A number of any size: a byte for those below 128, two below 2^14, then those near powers of
    /// two.
    pub fn number(&mut self) -> Option<usize> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(usize::from(first));
        }
        let second = self.byte()?;
        if first < 0xC0 {
            return Some(usize::from(first & 0x3F) << 8 | usize::from(second));
        }
        let power = 1_usize << (u32::from(first) % usize::BITS);
        Some(power.wrapping_add_signed(isize::from(i8::from_ne_bytes([second]))))
    }

    /// A layout that may have any size and alignment there is; mostly small ones.
    pub fn layout(&mut self) -> Option<Layout> {
        let size = self.number()?;
        let align = 1
            << match self.byte()? {
                small @ 0..0xE0 => u32::from(small) % 8,
                large => u32::from(large) % usize::BITS,
            };
        Some(Layout::from_size_align(size, align).unwrap_or(Layout::new::<u64>()))
    }

    /// What is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }
}
