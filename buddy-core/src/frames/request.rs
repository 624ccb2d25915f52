//! Requests with conditions: addresses, alignments, boundaries, as devices have them.

use super::Frames;
use super::address::{Frame, PhysicalAddress};
use super::bootstrap::clip;
use super::error::AllocError;
use super::pool::Pool;
use crate::tree::{self, Constraints, Order, Policy, Word};
use core::ops::Range;

/// So many contiguous frames, and where they may lie.
///
/// ```
/// use buddy_core::frames::{Request, Zone};
///
/// // A buffer of 5 frames for an old device: below 16 MiB, not across a multiple of 64 KiB.
/// let buffer = Request::frames(5).below(Zone::DMA.limit()).boundary(64 << 10);
/// # let _ = buffer;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    frames: usize,
    range: Range<PhysicalAddress>,
    align: u64,
    boundary: Option<u64>,
}

impl Request {
    /// This many frames, anywhere.
    #[must_use]
    pub const fn frames(frames: usize) -> Self {
        let range = PhysicalAddress::new(0)..PhysicalAddress::new(u64::MAX);
        Self { frames, range, align: 1, boundary: None }
    }

    /// All of them below this address. With the limit of a zone: in that zone, or one below it.
    #[must_use]
    pub const fn below(mut self, end: PhysicalAddress) -> Self {
        self.range.end = end;
        self
    }

    /// All of them at or above this address.
    #[must_use]
    pub const fn above(mut self, start: PhysicalAddress) -> Self {
        self.range.start = start;
        self
    }

    /// The first begins at a multiple of so many bytes, a power of two.
    #[must_use]
    pub const fn align(mut self, bytes: u64) -> Self {
        self.align = bytes;
        self
    }

    /// They do not cross a multiple of so many bytes, a power of two.
    #[must_use]
    pub const fn boundary(mut self, bytes: u64) -> Self {
        self.boundary = Some(bytes);
        self
    }

    /// A power of two of bytes as an order of frames.
    fn order_of<const FRAME_SIZE: usize>(bytes: u64) -> Option<Order> {
        let order = bytes.trailing_zeros().checked_sub(FRAME_SIZE.trailing_zeros())?;
        if bytes.is_power_of_two() { Order::new(order) } else { None }
    }
}

impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    /// Allocates contiguous frames as the request wants them, in the highest zone that has them, and
    /// returns the first. At most O(orders * summary levels) a zone.
    ///
    /// Where a condition cuts through a zone, a whole free block of the next power of two must lie
    /// within it; what of that is not asked for is given back at once.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let limit = PhysicalAddress::new(0x18_0000);
    /// let request = Request::frames(5).below(limit).align(1 << 16).boundary(1 << 16);
    /// let buffer = frames.allocate_within(&request)?;
    /// assert!(buffer.saturating_add(5).address() <= limit);
    /// frames.free_sized(buffer, 5)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Any but [`AllocError::Occupied`] and [`AllocError::NotManaged`].
    pub fn allocate_within(&self, request: &Request) -> Result<Frame<FRAME_SIZE>, AllocError> {
        let Request { frames, range, align, boundary } = request;
        let size = Self::order_for(*frames)?;
        let bad_alignment = AllocError::Alignment { bytes: *align };
        let align = match Request::order_of::<FRAME_SIZE>((*align).max(FRAME_SIZE as u64)) {
            Some(align) if align.get() <= MAX_ORDER => align,
            _ => return Err(bad_alignment),
        };
        if let Some(bytes) = *boundary {
            // A block that is aligned to the next power of two of its size crosses no multiple of it.
            if Request::order_of::<FRAME_SIZE>(bytes).is_none_or(|order| order < size) {
                return Err(AllocError::Boundary { frames: *frames, bytes });
            }
        }
        let within = Frame::<FRAME_SIZE>::inside(range);
        self.search(*frames, |pool| {
            let whole = pool.tree().range();
            let here = clip(&within, &whole);
            if here.is_empty() {
                return None;
            }
            Some(if here != whole {
                let constraints = Constraints::new().align(align).range(here);
                pool.insist(|tree| tree.allocate_within(*frames, &constraints))
            } else if align > size {
                pool.insist(|tree| tree.allocate_aligned(*frames, align))
            } else if align > Order::MIN || boundary.is_some() {
                pool.insist(|tree| tree.allocate_exact(*frames))
            } else {
                pool.take(*frames)
            })
        })
    }

    /// The order of a request, if it is not too large.
    pub(super) fn order_for(frames: usize) -> Result<Order, AllocError> {
        match Order::for_leaves(frames) {
            Some(order) if order.get() <= MAX_ORDER => Ok(order),
            _ if frames == 0 => Err(AllocError::ZeroSize),
            _ => Err(AllocError::TooLarge { frames, most: 1 << MAX_ORDER }),
        }
    }

    /// Makes an attempt in each zone, from the highest down; `None` if a zone is out of the question.
    pub(super) fn search(
        &self,
        frames: usize,
        attempt: impl Fn(&Pool<'_, W, P>) -> Option<Result<usize, tree::AllocError>>,
    ) -> Result<Frame<FRAME_SIZE>, AllocError> {
        let mut refusal = AllocError::NoZone;
        let mut largest_free = 0;
        // Whether a higher zone was in question.
        let mut is_fallback = false;
        for (zone, pool) in self.highest_first() {
            let kept = if is_fallback { zone.kept() } else { 0 };
            if kept > 0 && pool.tree().free_leaves() < frames.saturating_add(kept) {
                continue;
            }
            match attempt(pool) {
                Some(Ok(first)) => return Ok(Frame::new(first)),
                Some(Err(error)) => {
                    if let tree::AllocError::OutOfMemory { largest_free: here, .. } = error {
                        largest_free = largest_free.max(here);
                    }
                    refusal = AllocError::OutOfMemory { frames, largest_free };
                    is_fallback = true;
                }
                None => {}
            }
        }
        Err(refusal)
    }
}
