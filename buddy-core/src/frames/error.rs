//! What frames refuse, in frames and physical addresses.

use super::address::PhysicalAddress;
use core::ops::Range;
use thiserror::Error;

/// Why no frames were allocated. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AllocError {
    /// No frames were asked for.
    #[error("an allocation of zero frames")]
    ZeroSize,
    /// The request is above the highest order.
    #[error("{frames} frames asked for, but a request may have {most} at most")]
    TooLarge {
        /// The frames asked for.
        frames: usize,
        /// The frames of a block of the highest order.
        most: usize,
    },
    /// No free block of any zone in question serves the request.
    #[error("no free block for {frames} frames: the largest has {largest_free}")]
    OutOfMemory {
        /// The frames asked for.
        frames: usize,
        /// The frames of the largest free block of the zones in question.
        largest_free: usize,
    },
    /// No managed memory lies between the addresses asked for.
    #[error("no memory is managed between the addresses asked for")]
    NoZone,
    /// The alignment is no power of two, or above the highest order.
    #[error("frames cannot be aligned to {bytes} bytes")]
    Alignment {
        /// The alignment asked for.
        bytes: u64,
    },
    /// The boundary is no power of two, or the request is larger.
    #[error("{frames} frames cannot lie within a boundary of {bytes} bytes")]
    Boundary {
        /// The frames asked for.
        frames: usize,
        /// The boundary.
        bytes: u64,
    },
    /// A frame of the given place is not free.
    #[error("the frame at {address} is not free")]
    Occupied {
        /// The first frame that is not free.
        address: PhysicalAddress,
    },
    /// The given place is not managed, or lies in two zones.
    #[error("{frames} frames from {address} on do not lie in one zone")]
    NotManaged {
        /// The first frame asked for.
        address: PhysicalAddress,
        /// How many.
        frames: usize,
    },
}

/// Why frames were not freed. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FreeError {
    /// The frame is not managed.
    #[error("the frame at {address} is not managed")]
    NotManaged {
        /// The frame given.
        address: PhysicalAddress,
    },
    /// The frame lies inside an allocated block.
    #[error("the frame at {address} lies inside the block at {block}")]
    NotStart {
        /// The frame given.
        address: PhysicalAddress,
        /// Where the block starts.
        block: PhysicalAddress,
    },
    /// The frame is free: it was freed before, or never allocated.
    #[error("the frame at {address} is free already")]
    AlreadyFree {
        /// The frame given.
        address: PhysicalAddress,
    },
    /// The frame is reserved: firmware's, a hole, metadata, or removed.
    #[error("the frame at {address} is reserved")]
    Reserved {
        /// The frame given.
        address: PhysicalAddress,
    },
    /// The block has another size.
    #[error("the block at {address} has {actual} frames, not {given}")]
    WrongSize {
        /// Where the block starts.
        address: PhysicalAddress,
        /// The frames given.
        given: usize,
        /// The frames it has (for a part: from `address` to the block's end).
        actual: usize,
    },
    /// No frames were given.
    #[error("a block of zero frames")]
    ZeroSize,
}

/// Why not all of many frames were freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("after {freed} that were freed: {error}")]
pub struct FreeManyError {
    /// How many were freed: those before the one that was refused.
    pub freed: usize,
    /// Why that was refused.
    pub error: FreeError,
}

/// Why memory was not added or removed. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RangeError {
    /// No whole frame was given.
    #[error("no whole frame")]
    ZeroSize,
    /// There is no metadata for a frame.
    #[error("there is no metadata for the frame at {address}")]
    NoMetadata {
        /// The first such frame.
        address: PhysicalAddress,
    },
    /// To be added, but managed already.
    #[error("the frame at {address} is managed already")]
    Managed {
        /// The first such frame.
        address: PhysicalAddress,
    },
    /// To be removed, but not managed.
    #[error("the frame at {address} is not managed")]
    NotManaged {
        /// The first such frame.
        address: PhysicalAddress,
    },
    /// To be added, but the metadata lies there.
    #[error("the metadata lies at {address}")]
    Metadata {
        /// The first such frame.
        address: PhysicalAddress,
    },
    /// To be removed, but in use.
    #[error("the block of {frames} frames at {address} is in use")]
    InUse {
        /// Where the block starts that is in the way.
        address: PhysicalAddress,
        /// How many frames it has.
        frames: usize,
    },
    /// Another call is adding or removing memory.
    #[error("another call is adding or removing memory")]
    Busy,
}

/// Why there are no frames to manage.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// The zones' limits do not rise.
    #[error("the limit of zone {name} is not above that of the zone before it")]
    Zones {
        /// The zone.
        name: &'static str,
    },
    /// The map has no usable frame in any zone.
    #[error("the map has no usable frame")]
    NoMemory,
    /// No usable range that can be reached has room for the metadata.
    #[error("no usable range that can be reached has room for {bytes} bytes of metadata")]
    NoRoom {
        /// The bytes needed.
        bytes: u64,
    },
    /// The words given are too few.
    #[error("the metadata needs {needed} words, but has {given}")]
    Storage {
        /// The words needed.
        needed: usize,
        /// The words given.
        given: usize,
    },
    /// A zone spans more frames than a word can number.
    #[error("no zone can span frames {:#x} to {:#x}", frames.start, frames.end)]
    TooLarge {
        /// The frames' numbers.
        frames: Range<usize>,
    },
}
