//! Memory that comes and goes while the frames are in use.

use super::address::{Frame, PhysicalAddress};
use super::bootstrap::clip;
use super::error::RangeError;
use super::{Frames, ZoneTree};
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
        self.change(&frames, |tree, part| {
            tree.release(part.start, part.len()).map_err(|error| match error {
                tree::RangeError::NotReserved { leaf } => {
                    RangeError::Managed { address: Self::address(leaf) }
                }
                other => Self::range_error(other),
            })
        })
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
        self.change(&frames, |tree, part| {
            tree.reserve(part.start, part.len()).map_err(|error| match error {
                tree::RangeError::Occupied { leaf } => Self::obstacle(tree, leaf),
                other => Self::range_error(other),
            })
        })
    }

    /// Makes a change of free to reserved frames, or back, in all zones or in none.
    fn change(
        &self,
        frames: &Range<usize>,
        change: impl Fn(&ZoneTree<'_, W, P>, &Range<usize>) -> Result<(), RangeError>,
    ) -> Result<usize, RangeError> {
        if frames.is_empty() {
            return Err(RangeError::ZeroSize);
        }
        self.check_recorded(frames)?;
        let _turn = self.turn()?;
        let parts = || self.parts(frames);
        for (done, (tree, part)) in parts().enumerate() {
            if let Err(error) = change(tree, &part) {
                for (tree, part) in parts().take(done) {
                    // What was just changed: one of the two undoes it.
                    let _ = tree
                        .release(part.start, part.len())
                        .or_else(|_| tree.reserve(part.start, part.len()));
                }
                return Err(error);
            }
        }
        Ok(frames.len())
    }

    /// The zones that have some of the frames, with their part of them.
    fn parts(
        &self,
        frames: &Range<usize>,
    ) -> impl Iterator<Item = (&ZoneTree<'_, W, P>, Range<usize>)> {
        let parts = self.trees.iter().flatten().map(|tree| (tree, clip(frames, &tree.range())));
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
    fn obstacle(tree: &ZoneTree<'_, W, P>, leaf: usize) -> RangeError {
        let address = Self::address(leaf);
        match tree.extent_at(leaf) {
            Some(extent) if extent.kind == Kind::Reserved => RangeError::NotManaged { address },
            Some(extent) if extent.kind == Kind::Used => {
                RangeError::InUse { address: Self::address(extent.first), frames: extent.leaves }
            }
            // Freed in between.
            _ => RangeError::InUse { address, frames: 1 },
        }
    }

    fn range_error(error: tree::RangeError) -> RangeError {
        match error {
            tree::RangeError::OutOfRange { first: leaf, .. }
            | tree::RangeError::Occupied { leaf }
            | tree::RangeError::NotReserved { leaf } => {
                RangeError::NoMetadata { address: Self::address(leaf) }
            }
            _ => RangeError::ZeroSize,
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
