//! What blocks are called by those who hold them.

use crate::tree::{Word, max_value};

/// How blocks are called where a supply serves them. What is taken again as it was given back needs no
/// reckoning then: stacks keep names, and a slab that is taken from has that of its first slot.
pub(crate) trait Names: Copy {
    /// Where blocks are is reckoned in *positions*: so many a leaf, `log2`. (1 at least: so a word has room for what a
    /// slot's go into 2^`BITS`.)
    const FINE: u32;

    /// What no block is called, nor anything that a caller may take for one; a word has room for it.
    fn none<W: Word>() -> usize;

    /// The name of the block at `first`: no two blocks have the same.
    fn name(self, first: usize) -> Option<usize>;
    /// The first leaf of the block with that name.
    fn first(self, name: usize) -> Option<usize>;
    /// From the name of a slot to that of the next, of so many leaves.
    fn step(leaves: usize) -> usize;
}

/// Blocks are called by their first leaf.
#[derive(Clone, Copy)]
pub(crate) struct Leaves;

impl Names for Leaves {
    const FINE: u32 = 1;

    fn none<W: Word>() -> usize {
        max_value::<W>()
    }

    #[inline(always)]
    fn name(self, first: usize) -> Option<usize> {
        Some(first)
    }

    #[inline(always)]
    fn first(self, name: usize) -> Option<usize> {
        Some(name)
    }

    #[inline(always)]
    fn step(leaves: usize) -> usize {
        leaves
    }
}
