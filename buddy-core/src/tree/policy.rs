//! When freed blocks are merged, and how exact a heap's sizes are.

/// How a tree treats freed blocks, and how exactly a heap over it cuts blocks to size.
///
/// Implement it for a type of your own to choose other figures; [`Lazy`] and [`Eager`] are ready.
pub trait Policy {
    /// How many freed blocks of each order may wait unmerged for the next request of their size.
    ///
    /// 0 merges at once: every call costs about the same. `n` makes an allocation that follows a
    /// free cheap (nothing is split or merged), adds `n + 1` words to the metadata of each order,
    /// and leaves at most `n` merges an order to be made before a request is refused.
    const DEFER: usize;

    /// How many significant bits of a block's size in leaves a heap keeps, at least 1.
    ///
    /// 1 rounds sizes up to powers of two, 2 also has 3, 6, 12, .., 3 also 5, 7, 10, 14, ..: less
    /// waste, more pieces a block.
    const PRECISION: u32;
}

/// Leaves up to 4 freed blocks of each order unmerged. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lazy;

impl Policy for Lazy {
    const DEFER: usize = 4;
    const PRECISION: u32 = 3;
}

/// Merges at once, for those who want each call's cost the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eager;

impl Policy for Eager {
    const DEFER: usize = 0;
    const PRECISION: u32 = 3;
}
