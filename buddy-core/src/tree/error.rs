//! What a tree's calls can refuse, in leaves.

use super::order::Order;
use super::validate::Invalid;
use thiserror::Error;

/// Why leaves were not allocated. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AllocError {
    /// Zero leaves were asked for.
    #[error("an allocation of zero leaves")]
    ZeroSize,
    /// More leaves were asked for than the range has.
    #[error("{leaves} leaves asked for, but the range has only {total}")]
    TooLarge {
        /// The leaves asked for.
        leaves: usize,
        /// The leaves of the range.
        total: usize,
    },
    /// No free block serves the request.
    #[error("no free block for {leaves} leaves: the largest has {largest_free}")]
    OutOfMemory {
        /// The leaves asked for.
        leaves: usize,
        /// The leaves of the largest free block.
        largest_free: usize,
    },
    /// The alignment is above the highest order of which a block fits in the range.
    #[error("alignment to order {requested} asked for, but the highest order is {served}")]
    Alignment {
        /// The alignment asked for.
        requested: Order,
        /// The highest one served.
        served: Order,
    },
    /// The request is larger than the boundary that it must not cross.
    #[error("{leaves} leaves cannot lie within a boundary of order {boundary}")]
    Boundary {
        /// The leaves asked for.
        leaves: usize,
        /// The boundary.
        boundary: Order,
    },
    /// A leaf of the given place is not free.
    #[error("leaf {leaf} is not free")]
    Occupied {
        /// The first leaf that is not free.
        leaf: usize,
    },
    /// The given place lies outside the range.
    #[error("{leaves} leaves from {first} on lie outside the range")]
    OutOfRange {
        /// The first leaf asked for.
        first: usize,
        /// How many.
        leaves: usize,
    },
}

/// Why a block was not freed, or not found. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FreeError {
    /// The leaf lies outside the range.
    #[error("leaf {leaf} lies outside the range")]
    OutOfRange {
        /// The leaf given.
        leaf: usize,
    },
    /// The leaf lies inside an allocated block.
    #[error("leaf {leaf} is not the start of a block: it lies inside the one at {block}")]
    NotStart {
        /// The leaf given.
        leaf: usize,
        /// Where the block that it belongs to starts.
        block: usize,
    },
    /// The leaf is free: it was freed before, or never allocated.
    #[error("leaf {leaf} is free already")]
    AlreadyFree {
        /// The leaf given.
        leaf: usize,
    },
    /// The leaf is reserved.
    #[error("leaf {leaf} is reserved")]
    Reserved {
        /// The leaf given.
        leaf: usize,
    },
    /// The block has another size.
    #[error("the block at leaf {leaf} has {actual} leaves, not {given}")]
    WrongSize {
        /// Where the block starts.
        leaf: usize,
        /// The leaves given.
        given: usize,
        /// The leaves it has (for a part: from `leaf` to the block's end).
        actual: usize,
    },
    /// Zero leaves were given.
    #[error("a block of zero leaves")]
    ZeroSize,
}

/// Why a block did not grow. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum GrowError {
    /// There is no such block.
    #[error(transparent)]
    Block(#[from] FreeError),
    /// The new size is below the old one.
    #[error("growing from {old} to {new} leaves would shrink the block")]
    Smaller {
        /// The leaves that the block has.
        old: usize,
        /// The leaves asked for.
        new: usize,
    },
    /// A leaf behind the block is not free.
    #[error("leaf {leaf} behind the block is not free")]
    Occupied {
        /// The first leaf that is not free.
        leaf: usize,
    },
    /// The range ends before the new size.
    #[error("the range ends before leaf {end}")]
    OutOfRange {
        /// One past the last leaf that the block would have (saturated).
        end: usize,
    },
}

/// Why leaves were not reserved or released, or the range's end not moved. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Zero leaves were given.
    #[error("a range of zero leaves")]
    ZeroSize,
    /// Some of the leaves lie outside the range.
    #[error("{leaves} leaves from {first} on do not lie inside the range")]
    OutOfRange {
        /// The first leaf given.
        first: usize,
        /// How many.
        leaves: usize,
    },
    /// A leaf is not free.
    #[error("leaf {leaf} is not free")]
    Occupied {
        /// The first leaf that is not free.
        leaf: usize,
    },
    /// A leaf is not reserved.
    #[error("leaf {leaf} is not reserved")]
    NotReserved {
        /// The first leaf that is not reserved.
        leaf: usize,
    },
    /// The metadata cannot record so many leaves.
    #[error("the metadata has room for {available} more leaves, not {leaves}")]
    Capacity {
        /// The leaves asked for.
        leaves: usize,
        /// The leaves there is room for.
        available: usize,
    },
}

/// Why no tree was built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The range is empty, or reaches beyond a quarter of what a word counts.
    #[error("no tree can manage leaves {first}..{end}")]
    Range {
        /// The first leaf.
        first: usize,
        /// One past the last leaf.
        end: usize,
    },
    /// The storage is too short.
    #[error("the tree needs {needed} words of metadata, but has {given}")]
    Storage {
        /// The words needed.
        needed: usize,
        /// The words given.
        given: usize,
    },
}

/// Why the storage was not taken for a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The storage holds no tree of this word width and policy.
    #[error("the storage holds no tree of this kind")]
    NoTree,
    /// The storage does not fit the range that it names.
    #[error(transparent)]
    Build(BuildError),
    /// The tree's header or records are damaged.
    #[error("the tree's header is damaged")]
    Corrupt,
    /// The tree breaks an invariant.
    #[error("the tree is damaged: {0}")]
    Invalid(Invalid),
}
