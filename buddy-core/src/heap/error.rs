//! What a heap refuses, in bytes and addresses.

use crate::tree;
use thiserror::Error;

/// Why an allocation was refused. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AllocError {
    /// No bytes were asked for, where that is no request (calls that take a `Layout` allow it).
    #[error("a block of 0 bytes was asked for")]
    ZeroSize,
    /// No free block is large enough now.
    #[error("no room for {requested} bytes: the largest free block has {largest_free}")]
    OutOfMemory {
        /// The bytes asked for.
        requested: usize,
        /// The bytes of the largest free block.
        largest_free: usize,
    },
    /// The whole heap is smaller.
    #[error("{requested} bytes are more than the heap's {heap}")]
    TooLarge {
        /// The bytes asked for.
        requested: usize,
        /// The bytes of the heap.
        heap: usize,
    },
    /// No place in the heap has that alignment and room for the block behind it.
    #[error("alignment {requested} is not served: for this size at most {served}")]
    Alignment {
        /// The alignment asked for, in bytes.
        requested: usize,
        /// The largest alignment at which an empty heap has room for this size.
        served: usize,
    },
    /// The block to be resized is none.
    #[error("cannot resize: {0}")]
    Block(#[from] FreeError),
}

/// Why a pointer is not that of a block to be freed. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FreeError {
    /// The pointer is null.
    #[error("a null pointer was freed")]
    Null,
    /// The pointer lies in none of the heap's regions.
    #[error("{address:#x} lies outside the heap")]
    OutOfBounds {
        /// The pointer's address.
        address: usize,
    },
    /// The pointer lies inside a block, not at its start.
    #[error("{address:#x} lies inside the block at {block:#x}")]
    NotStart {
        /// The pointer's address.
        address: usize,
        /// The address at which the block starts.
        block: usize,
    },
    /// The pointer lies in free memory.
    #[error("{address:#x} is free already")]
    AlreadyFree {
        /// The pointer's address.
        address: usize,
    },
    /// The block has another size than the `Layout` says.
    #[error("the block at {address:#x} has {actual} bytes, not {given}")]
    WrongSize {
        /// The pointer's address.
        address: usize,
        /// The bytes that the caller named.
        given: usize,
        /// The block's usable bytes.
        actual: usize,
    },
    /// The block's guard was written to, or its size is not the one given: only of a
    /// [`Hardened`](super::Hardened) heap.
    #[error("the guard of the block at {address:#x} was overwritten at {at:#x}")]
    Overwritten {
        /// The pointer's address.
        address: usize,
        /// The address of the first byte that is not as it was.
        at: usize,
    },
}

/// Why a heap could not be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BuildError {
    /// The region has no room for one block (and, where it is carved from it, its metadata).
    #[error("a region of {bytes} bytes is too small for a block")]
    TooSmall {
        /// The region's bytes.
        bytes: usize,
    },
    /// The global allocator has no memory left.
    #[error("no {bytes} bytes to be had from the global allocator")]
    NoMemory {
        /// The bytes that the heap and its metadata take.
        bytes: usize,
    },
    /// The metadata does not fit, or is more than a heap's can be: 2^35 words, or 2^30 where addresses have
    /// 32 bits.
    #[error(transparent)]
    Metadata(#[from] tree::BuildError),
}

/// Why a region was not added. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RegionError {
    /// The heap was made by `Heap::empty` and has no metadata.
    #[error("the heap has no metadata yet")]
    NoMetadata,
    /// The region has no room for one block.
    #[error("a region of {bytes} bytes is too small for a block")]
    TooSmall {
        /// The region's bytes.
        bytes: usize,
    },
    /// The heap has as many regions as its type allows.
    #[error("the heap has its {limit} regions already")]
    TooMany {
        /// The heap's `REGIONS`.
        limit: usize,
    },
    /// The metadata cannot record the region's blocks.
    #[error("the metadata has room for {available} bytes of blocks, not for {needed}")]
    Capacity {
        /// The bytes of the region.
        needed: usize,
        /// The bytes that the metadata can still record in one piece.
        available: usize,
    },
    /// The heap has this memory, or part of it, already.
    #[error("the region overlaps the one at {region:#x}")]
    Overlap {
        /// The address of the region that the heap has.
        region: usize,
    },
    /// Another call is adding memory just now.
    #[error("another call is adding memory")]
    Busy,
}
