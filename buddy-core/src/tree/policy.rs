//! When freed blocks are merged, and how exact a heap's sizes are.

/// How a tree treats freed blocks, and how exactly a heap over it cuts blocks to size.
///
/// Implement it for a type of your own to choose another mix; [`Lazy`] and [`Eager`] are ready.
pub trait Policy {
    /// Whether freed blocks may wait unmerged for the next request of their size.
    ///
    /// `false` merges at once: every call costs about the same. `true` leaves the free blocks in
    /// one word of nodes per order (32 blocks, 16 in 32-bit words) as they are, so that an
    /// allocation that follows a free splits and merges nothing, and many small blocks are split
    /// or merged at once; before a request is refused everything is merged.
    const LAZY: bool;

    /// How many significant bits of a block's size in leaves a heap keeps, at least 1.
    ///
    /// 1 rounds sizes up to powers of two, 2 also has 3, 6, 12, .., 3 also 5, 7, 10, 14, ..: less
    /// waste, more pieces a block.
    const PRECISION: u32;
}

/// Leaves up to one word of free blocks per order unmerged. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lazy;

impl Policy for Lazy {
    const LAZY: bool = true;
    const PRECISION: u32 = 3;
}

/// Merges at once, for those who want each call's cost the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eager;

impl Policy for Eager {
    const LAZY: bool = false;
    const PRECISION: u32 = 3;
}
