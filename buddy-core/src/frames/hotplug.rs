//! Memory that comes and goes while the frames are in use.

use super::Frames;
use super::address::{Frame, PhysicalAddress};
use super::bootstrap::clip;
use super::error::RangeError;
use super::pool::Pool;
use crate::tree::{self, Kind, Policy, Word};
use core::ops::Range;

/// The words that this needs: one, which is 1 while a call is at it.
pub(super) const WORDS: usize = 1;

impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    /// Adds memory: the frames that lie whole in the range become free; returns how many. What the
    /// boot loader has left, or was said to come [later](super::MemoryKind::Later).
    ///
    /// O(orders) for each piece in which it was reserved. Other calls go on meanwhile.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// let module = PhysicalAddress::new(0x40_0000)..PhysicalAddress::new(0x50_0000);
    /// let bootstrap = Bootstrap::new(map).reserve([module.clone()]);
    /// let frames: Frames<Plain> = bootstrap.build_in(&mut words)?;
    /// // Later, when the module has done its work:
    /// assert_eq!(frames.add(module)?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a frame is managed already, holds metadata, or there is no metadata for it; nothing has
    /// changed then.
    pub fn add(&self, range: Range<PhysicalAddress>) -> Result<usize, RangeError> {
        let frames = Frame::<FRAME_SIZE>::inside(&range);
        let overlap = clip(&frames, &self.metadata);
        if !overlap.is_empty() {
            return Err(RangeError::Metadata { address: Self::address(overlap.start) });
        }
        let _turn = self.turn_for(&frames)?;
        for (pool, part) in self.parts(&frames) {
            if let Some(frame) = Self::first_managed(pool, &part) {
                return Err(RangeError::Managed { address: Self::address(frame) });
            }
        }
        for (pool, part) in self.parts(&frames) {
            // They were just seen to be reserved, and it is this call's turn to change that.
            let _ = pool.tree().release(part.start, part.len());
        }
        Ok(frames.len())
    }

    /// Removes memory: all frames that have a byte in the range, which must all be free; returns how
    /// many. They can be added again.
    ///
    /// O(orders) for each free block that they lie in. Other calls go on meanwhile.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let bank = PhysicalAddress::new(0x80_0000)..PhysicalAddress::new(0x100_0000);
    /// let frame = Frame::containing(bank.start).unwrap().saturating_add(7);
    /// frames.allocate_at(frame, 2)?;
    /// let refused = frames.remove(bank.clone());
    /// assert_eq!(refused, Err(RangeError::InUse { address: frame.address(), frames: 2 }));
    /// frames.free(frame)?;
    /// assert_eq!(frames.remove(bank)?, 2048);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a frame is in use, with the block in the way, or not managed; nothing has changed then.
    pub fn remove(&self, range: Range<PhysicalAddress>) -> Result<usize, RangeError> {
        let frames = Frame::<FRAME_SIZE>::touched(&range);
        let _turn = self.turn_for(&frames)?;
        for (done, (pool, part)) in self.parts(&frames).enumerate() {
            let reserved = pool.insist(|tree| tree.reserve(part.start, part.len()));
            if let Err(error) = reserved {
                for (pool, part) in self.parts(&frames).take(done) {
                    // This call has reserved them.
                    let _ = pool.tree().release(part.start, part.len());
                }
                let occupied = match error {
                    tree::RangeError::Occupied { leaf } => leaf,
                    _ => part.start,
                };
                return Err(Self::obstacle(pool, occupied));
            }
        }
        Ok(frames.len())
    }

    /// The right to add and remove these frames, of all of which there is metadata.
    fn turn_for(&self, frames: &Range<usize>) -> Result<Turn<'_, W>, RangeError> {
        if frames.is_empty() {
            return Err(RangeError::ZeroSize);
        }
        self.check_recorded(frames)?;
        self.turn()
    }

    /// The first frame of a zone's part of a range that is not reserved.
    fn first_managed(pool: &Pool<'_, W, P>, part: &Range<usize>) -> Option<usize> {
        let mut at = part.start;
        while at < part.end {
            match pool.tree().extent_at(at) {
                Some(extent) if extent.kind == Kind::Reserved => at = extent.end(),
                _ => return Some(at),
            }
        }
        None
    }

    /// The zones that have some of the frames, with their part of them.
    fn parts(
        &self,
        frames: &Range<usize>,
    ) -> impl Iterator<Item = (&Pool<'_, W, P>, Range<usize>)> {
        let parts =
            self.pools.iter().flatten().map(|pool| (pool, clip(frames, &pool.tree().range())));
        parts.filter(|(_, part)| !part.is_empty())
    }

    fn check_recorded(&self, frames: &Range<usize>) -> Result<(), RangeError> {
        let mut at = frames.start;
        for (_, part) in self.parts(frames) {
            if part.start == at {
                at = part.end;
            }
        }
        let address = Self::address(at);
        if at == frames.end { Ok(()) } else { Err(RangeError::NoMetadata { address }) }
    }

    /// Why a frame cannot be removed.
    fn obstacle(pool: &Pool<'_, W, P>, leaf: usize) -> RangeError {
        let address = Self::address(leaf);
        match pool.extent_at(leaf) {
            Some(extent) if extent.kind == Kind::Reserved => RangeError::NotManaged { address },
            Some(extent) if extent.kind == Kind::Used => {
                RangeError::InUse { address: Self::address(extent.first), frames: extent.leaves }
            }
            // Freed in between.
            _ => RangeError::InUse { address, frames: 1 },
        }
    }

    /// The right to add and remove, until it is dropped. Nobody waits for it.
    fn turn(&self) -> Result<Turn<'_, W>, RangeError> {
        let word = &self.changing[0];
        if word.swap(1) == 0 { Ok(Turn(word)) } else { Err(RangeError::Busy) }
    }
}

struct Turn<'w, W: Word>(&'w W);

impl<W: Word> Drop for Turn<'_, W> {
    fn drop(&mut self) {
        self.0.store(0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bootstrap, MemoryKind, MemoryRange};
    use super::*;
    use crate::tree::Plain;

    #[test]
    fn one_call_at_a_time_changes_the_memory() {
        let map = [MemoryRange::new(0, 1 << 20, MemoryKind::Usable)];
        let mut words = [const { Plain::zero() }; 200];
        let frames: Frames<'_, Plain> = Bootstrap::new(map).build_in(&mut words).unwrap();
        let bank = PhysicalAddress::new(0)..PhysicalAddress::new(1 << 16);
        let turn = frames.turn().ok().unwrap();
        assert_eq!(frames.remove(bank.clone()), Err(RangeError::Busy));
        assert_eq!(frames.add(bank.clone()), Err(RangeError::Busy));
        drop(turn);
        assert_eq!(frames.remove(bank.clone()), Ok(16));
        assert_eq!(frames.add(bank), Ok(16));
    }
}
