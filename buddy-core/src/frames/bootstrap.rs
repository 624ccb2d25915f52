//! From the firmware's memory map to managed frames, without a heap.

use super::Frames;
use super::address::{Frame, PhysicalAddress};
use super::error::BootstrapError;
use super::map::{MemoryKind, MemoryRange, UsableRanges};
use super::pool::Pool;
use super::zone::Zone;
use crate::tree::{Policy, Word};
use core::iter::{Chain, Map};
use core::ops::Range;

/// What frames are made from: a memory map, what else is reserved, and zones.
///
/// The map is an iterator that can be cloned: it is gone through many times, and never stored.
/// Building takes O(entries) for each usable range and zone, and O(metadata).
///
/// ```
/// use buddy_core::frames::{Bootstrap, Frames, MemoryKind, MemoryRange, PhysicalAddress, Zone};
/// use buddy_core::{Lazy, Plain};
///
/// let map = [
///     MemoryRange::new(0x10_0000, 0xf00_0000, MemoryKind::Usable),
///     MemoryRange::new(0, 0x9_fc00, MemoryKind::Usable),
///     MemoryRange::new(0x9_fc00, 0x400, MemoryKind::Reserved),
/// ];
/// let kernel = PhysicalAddress::new(0x10_0000)..PhysicalAddress::new(0x18_1234);
/// let bootstrap = Bootstrap::new(map).zones([Zone::DMA, Zone::NORMAL]).reserve([kernel]);
///
/// // In words of the program's; `place` finds them in the map itself.
/// let mut words = [const { Plain::zero() }; 10_000];
/// let frames: Frames<Plain, Lazy, 2> = bootstrap.build_in(&mut words)?;
/// assert_eq!(frames.free_frames(), 0x9f + 0xf000 - 0x82);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bootstrap<I, const ZONES: usize = 3> {
    pub(super) map: I,
    pub(super) zones: [Zone; ZONES],
}

/// A map with more reserved ranges.
type Reserving<I, R> =
    Chain<I, Map<<R as IntoIterator>::IntoIter, fn(Range<PhysicalAddress>) -> MemoryRange>>;

impl<I: Iterator<Item = MemoryRange> + Clone> Bootstrap<I> {
    /// Over this map, with the zones [`Zone::DMA`], [`Zone::DMA32`] and [`Zone::NORMAL`].
    #[must_use]
    pub fn new(map: impl IntoIterator<IntoIter = I>) -> Self {
        Self { map: map.into_iter(), zones: [Zone::DMA, Zone::DMA32, Zone::NORMAL] }
    }
}

impl<I: Iterator<Item = MemoryRange> + Clone, const ZONES: usize> Bootstrap<I, ZONES> {
    /// With other zones, the lowest first. Memory above the last one's limit is left alone.
    ///
    /// A zone's metadata covers all frames from its first usable one to its last, holes too: a zone of
    /// its own behind a very large hole spares the metadata for the hole.
    #[must_use]
    pub fn zones<const N: usize>(self, zones: [Zone; N]) -> Bootstrap<I, N> {
        Bootstrap { map: self.map, zones }
    }

    /// With more reserved memory: the kernel's image, modules that the boot loader has loaded.
    #[must_use]
    pub fn reserve<R>(self, ranges: R) -> Bootstrap<Reserving<I, R>, ZONES>
    where
        R: IntoIterator<Item = Range<PhysicalAddress>>,
    {
        let reserved: fn(Range<PhysicalAddress>) -> MemoryRange = |range| MemoryRange {
            start: range.start,
            length: range.end.get().saturating_sub(range.start.get()),
            kind: MemoryKind::Reserved,
        };
        let map = self.map.chain(ranges.into_iter().map(reserved));
        Bootstrap { map, zones: self.zones }
    }

    /// How many words of metadata [`Self::build_in`] takes.
    ///
    /// # Errors
    /// As [`Self::build_in`].
    pub fn metadata_words<W: Word, P: Policy, const FRAME_SIZE: usize>(
        &self,
    ) -> Result<usize, BootstrapError> {
        let mut words = super::hotplug::WORDS;
        let mut is_empty = true;
        self.check_zones()?;
        for zone in 0..ZONES {
            let Some(span) = self.span::<FRAME_SIZE>(zone) else { continue };
            is_empty = false;
            match Pool::<W, P>::words(span.clone()) {
                usize::MAX => return Err(BootstrapError::TooLarge { frames: span }),
                more => words += more,
            }
        }
        if is_empty { Err(BootstrapError::NoMemory) } else { Ok(words) }
    }

    /// The frames of the map, with their metadata in `words`: see [`Self::metadata_words`].
    ///
    /// # Errors
    /// If the zones' limits do not rise, there is no usable frame, a zone spans more frames than
    /// words can number, or the words are too few.
    pub fn build_in<'m, W, P, const FRAME_SIZE: usize, const MAX_ORDER: u32>(
        &self,
        words: &'m mut [W],
    ) -> Result<Frames<'m, W, P, ZONES, FRAME_SIZE, MAX_ORDER>, BootstrapError>
    where
        W: Word,
        P: Policy,
    {
        let needed = self.metadata_words::<W, P, FRAME_SIZE>()?;
        for word in words.iter().take(needed) {
            word.store(0);
        }
        self.build_around(words, 0..0)
    }

    /// As [`Self::build_in`], in words that hold zeros; the frames `metadata` stay reserved for good.
    pub(super) fn build_around<'m, W, P, const FRAME_SIZE: usize, const MAX_ORDER: u32>(
        &self,
        words: &'m mut [W],
        metadata: Range<usize>,
    ) -> Result<Frames<'m, W, P, ZONES, FRAME_SIZE, MAX_ORDER>, BootstrapError>
    where
        W: Word,
        P: Policy,
    {
        const { assert!(MAX_ORDER < usize::BITS, "the highest order is one of a `usize`'s") };
        let (needed, given) = (self.metadata_words::<W, P, FRAME_SIZE>()?, words.len());
        let too_few = BootstrapError::Storage { needed, given };
        let (changing, mut words) =
            words.split_at_mut_checked(super::hotplug::WORDS).ok_or(too_few.clone())?;
        let mut pools = [const { None }; ZONES];
        for (zone, pool) in pools.iter_mut().enumerate() {
            let Some(span) = self.span::<FRAME_SIZE>(zone) else { continue };
            let own = Pool::<W, P>::words(span.clone());
            let (storage, rest) = words.split_at_mut_checked(own).ok_or(too_few.clone())?;
            words = rest;
            *pool = Some(self.plant::<W, P, FRAME_SIZE>(zone, storage, span, &metadata)?);
        }
        Ok(Frames { zones: self.zones, pools, metadata, changing })
    }

    /// A zone's pool, with all frames free that are usable and not metadata.
    fn plant<'m, W: Word, P: Policy, const FRAME_SIZE: usize>(
        &self,
        zone: usize,
        storage: &'m mut [W],
        span: Range<usize>,
        metadata: &Range<usize>,
    ) -> Result<Pool<'m, W, P>, BootstrapError> {
        let too_large = BootstrapError::TooLarge { frames: span.clone() };
        let pool = Pool::new(storage, span).ok_or(too_large)?;
        for usable in self.usable_frames::<FRAME_SIZE>(zone) {
            let below = usable.start..usable.end.min(metadata.start);
            let above = usable.start.max(metadata.end)..usable.end;
            let is_apart = metadata.is_empty();
            let parts = if is_apart { [usable, 0..0] } else { [below, above] };
            for part in parts.iter().filter(|part| !part.is_empty()) {
                // Inside the span, reserved, and no part of another range: this cannot fail.
                let _ = pool.tree().release(part.start, part.len());
            }
        }
        Ok(pool)
    }

    fn check_zones(&self) -> Result<(), BootstrapError> {
        let mut below = PhysicalAddress::new(0);
        for zone in &self.zones {
            if zone.limit() <= below {
                return Err(BootstrapError::Zones { name: zone.name() });
            }
            below = zone.limit();
        }
        Ok(())
    }

    /// The frames whose numbers are the zone's.
    fn zone_frames<const FRAME_SIZE: usize>(&self, zone: usize) -> Range<usize> {
        let end = |zone: usize| {
            Frame::<FRAME_SIZE>::inside(&(PhysicalAddress::new(0)..self.zones[zone].limit())).end
        };
        if zone == 0 { 0..end(0) } else { end(zone - 1)..end(zone) }
    }

    /// The usable frames of a zone, range by range.
    pub(super) fn usable_frames<const FRAME_SIZE: usize>(
        &self,
        zone: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<I, ZONES, FRAME_SIZE> {
        let within = self.zone_frames::<FRAME_SIZE>(zone);
        UsableRanges::new(self.map.clone())
            .map(move |range| clip(&Frame::<FRAME_SIZE>::inside(&range), &within))
            .filter(|frames| !frames.is_empty())
    }

    /// The frames that a zone's metadata records: from the first that is usable, or will be later,
    /// to the last.
    fn span<const FRAME_SIZE: usize>(&self, zone: usize) -> Option<Range<usize>> {
        let within = self.zone_frames::<FRAME_SIZE>(zone);
        let later = self.map.clone().filter(|entry| entry.kind == MemoryKind::Later);
        let later = later.map(|entry| Frame::<FRAME_SIZE>::inside(&entry.addresses()));
        let later = later.map(|frames| clip(&frames, &within)).filter(|frames| !frames.is_empty());
        self.usable_frames::<FRAME_SIZE>(zone)
            .chain(later)
            .reduce(|span, frames| span.start.min(frames.start)..span.end.max(frames.end))
    }
}

/// What two ranges have in common.
pub(super) fn clip(range: &Range<usize>, within: &Range<usize>) -> Range<usize> {
    range.start.max(within.start)..range.end.min(within.end)
}
