//! Numbers without a pattern, the same for the same seed.

/// A xorshift generator (G. Marsaglia, 2003).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers that this seed stands for.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Near seeds must not begin alike, and the state must not be 0.
        Self((seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1)
    }

    /// The next number.
    pub const fn number(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }

    /// A number below `end`, which is not 0.
    pub const fn below(&mut self, end: usize) -> usize {
        self.number() % end
    }

    /// A size from 1 to about `most`, small ones more often.
    pub const fn size(&mut self, most: usize) -> usize {
        let shift = self.below(most.ilog2() as usize + 1);
        1 + self.below(1 << shift)
    }

    /// So many bytes.
    #[must_use]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.number() as u8).collect()
    }
}
