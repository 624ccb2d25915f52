//! Looking at the frames: what is where, and whether all is well.

use super::address::{Frame, PhysicalAddress};
use super::pool::Pool;
use super::{Frames, Zone};
use crate::tree::{Extent, Invalid, Kind, Policy, Word};
use core::ops::Range;

/// Frames that belong together: a free block, an allocated block, or reserved frames.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stretch<const SIZE: usize = 4096> {
    /// The first frame.
    pub first: Frame<SIZE>,
    /// How many.
    pub frames: usize,
    /// What they are.
    pub kind: Kind,
}

impl<const SIZE: usize> From<Extent> for Stretch<SIZE> {
    fn from(extent: Extent) -> Self {
        Self { first: Frame::new(extent.first), frames: extent.leaves, kind: extent.kind }
    }
}

impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    /// The zones, with or without memory, the lowest first.
    #[must_use]
    pub const fn zones(&self) -> &[Zone; ZONES] {
        &self.zones
    }

    /// Where the metadata lies in the map; empty if it lies elsewhere.
    #[must_use]
    pub fn metadata(&self) -> Range<PhysicalAddress> {
        Self::address(self.metadata.start)..Self::address(self.metadata.end)
    }

    /// All that the zones' metadata records, in address order; O(words of metadata) at first, to make the
    /// slabs ordinary blocks, O(orders) a step. If other CPUs change
    /// it meanwhile, what they change may be seen before, after, or in pieces.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Kind, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let block = frames.allocate_exact(3)?;
    /// let used = frames.walk().find(|stretch| stretch.kind == Kind::Used).unwrap();
    /// assert_eq!((used.first, used.frames), (block, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn walk(&self) -> impl Iterator<Item = Stretch<FRAME_SIZE>> {
        let trees = self.pools.iter().flatten().map(Pool::dissolved);
        trees.flat_map(|tree| tree.walk()).map(Stretch::from)
    }

    /// What a frame belongs to; `None` where there is no metadata. O(orders).
    #[must_use]
    pub fn stretch_at(&self, frame: Frame<FRAME_SIZE>) -> Option<Stretch<FRAME_SIZE>> {
        let pool = self.pool_of(frame.number())?;
        pool.settled();
        pool.extent_at(frame.number()).map(Stretch::from)
    }

    /// Checks every invariant of the zones' trees. O(frames). No other CPU may use them meanwhile.
    ///
    /// # Errors
    /// The first breach found, in frame numbers.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.pools.iter().flatten().try_for_each(|pool| pool.dissolved().validate())
    }
}

#[cfg(test)]
mod tests {
    use crate::frames::{Bootstrap, Frames, MemoryKind, MemoryRange};
    use crate::tree::{Eager, Plain, Word};

    #[test]
    fn frames_with_a_torn_tree_are_not_whole() {
        let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
        let mut words = [const { Plain::zero() }; 1000];
        let frames: Frames<'_, Plain, Eager> = Bootstrap::new(map).build_in(&mut words).unwrap();
        frames.allocate_one().unwrap();
        assert_eq!(frames.validate(), Ok(()));
        let tree = frames.pools.iter().flatten().next().unwrap().settled();
        let used = tree.words().iter().position(|word| word.load() == 1).unwrap();
        tree.words()[used].store(2);
        assert!(frames.validate().is_err());
    }
}
