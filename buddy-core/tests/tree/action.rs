//! The tree's calls as values, so that they can be listed, generated, shrunk and printed.

use buddy_core::tree::{AllocError, FreeError, GrowError, RangeError};
use buddy_core::{Constraints, Order, Policy, Storage, Tree};
use std::ops::Range;

/// A call that may change the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Allocate { order: Order },
    AllocateExact { leaves: usize },
    AllocateAnywhere { leaves: usize },
    AllocateAligned { leaves: usize, align: Order },
    AllocateWithin { leaves: usize, align: Order, range: Range<usize>, boundary: Option<Order> },
    AllocateAt { first: usize, leaves: usize },
    AllocateMany { order: Order, count: usize },
    Free { first: usize },
    FreeSized { first: usize, leaves: usize },
    FreePart { first: usize, leaves: usize },
    Grow { first: usize, old: usize, new: usize },
    Shrink { first: usize, old: usize, new: usize },
    Reserve { first: usize, leaves: usize },
    Release { first: usize, leaves: usize },
    Extend { leaves: usize },
    Cut { leaves: usize },
    Settle,
    Reset,
}

/// What a call returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Done,
    /// The block's first leaf.
    Block(usize),
    /// The first leaves of blocks.
    Blocks(Vec<usize>),
    /// A number of leaves.
    Leaves(usize),
}

/// Why a call was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Alloc(AllocError),
    Free(FreeError),
    Grow(GrowError),
    Range(RangeError),
}

pub(crate) type Outcome = Result<Answer, Refusal>;

impl From<AllocError> for Refusal {
    fn from(error: AllocError) -> Self {
        Self::Alloc(error)
    }
}

impl From<FreeError> for Refusal {
    fn from(error: FreeError) -> Self {
        Self::Free(error)
    }
}

impl From<GrowError> for Refusal {
    fn from(error: GrowError) -> Self {
        Self::Grow(error)
    }
}

impl From<RangeError> for Refusal {
    fn from(error: RangeError) -> Self {
        Self::Range(error)
    }
}

impl Action {
    pub(crate) fn perform<S: Storage, P: Policy>(&self, tree: &mut Tree<S, P>) -> Outcome {
        match *self {
            Self::Allocate { order } => return Ok(Answer::Block(tree.allocate(order)?)),
            Self::AllocateExact { leaves } => {
                return Ok(Answer::Block(tree.allocate_exact(leaves)?));
            }
            Self::AllocateAnywhere { leaves } => {
                return Ok(Answer::Block(tree.allocate_anywhere(leaves)?));
            }
            Self::AllocateAligned { leaves, align } => {
                return Ok(Answer::Block(tree.allocate_aligned(leaves, align)?));
            }
            Self::AllocateWithin { leaves, align, ref range, boundary } => {
                let mut constraints = Constraints::new().align(align).range(range.clone());
                if let Some(boundary) = boundary {
                    constraints = constraints.boundary(boundary);
                }
                return Ok(Answer::Block(tree.allocate_within(leaves, &constraints)?));
            }
            Self::AllocateAt { first, leaves } => tree.allocate_at(first, leaves)?,
            Self::AllocateMany { order, count } => {
                let mut out = vec![usize::MAX; count];
                let got = tree.allocate_many(order, &mut out);
                assert!(out[got..].iter().all(|slot| *slot == usize::MAX), "wrote beyond {got}");
                out.truncate(got);
                return Ok(Answer::Blocks(out));
            }
            Self::Free { first } => return Ok(Answer::Leaves(tree.free(first)?)),
            Self::FreeSized { first, leaves } => tree.free_sized(first, leaves)?,
            Self::FreePart { first, leaves } => tree.free_part(first, leaves)?,
            Self::Grow { first, old, new } => tree.grow(first, old, new)?,
            Self::Shrink { first, old, new } => tree.shrink(first, old, new)?,
            Self::Reserve { first, leaves } => tree.reserve(first, leaves)?,
            Self::Release { first, leaves } => tree.release(first, leaves)?,
            Self::Extend { leaves } => tree.extend(leaves)?,
            Self::Cut { leaves } => tree.cut(leaves)?,
            Self::Settle => tree.settle(),
            Self::Reset => tree.reset(),
        }
        Ok(Answer::Done)
    }
}
