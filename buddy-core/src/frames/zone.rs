//! Zones: parts of physical memory by address, for devices that reach only so far.

use super::address::PhysicalAddress;

/// A zone: the memory below a limit, and at or above the limit of the zone before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Zone {
    name: &'static str,
    limit: PhysicalAddress,
    kept: usize,
}

impl Zone {
    /// What old devices reach: below 16 MiB.
    pub const DMA: Self = Self::new("DMA", PhysicalAddress::new(16 << 20));
    /// What devices with 32 address lines reach: below 4 GiB.
    pub const DMA32: Self = Self::new("DMA32", PhysicalAddress::new(4 << 30));
    /// All that is above the other zones.
    pub const NORMAL: Self = Self::new("Normal", PhysicalAddress::new(u64::MAX));

    /// The zone below `limit`.
    #[must_use]
    pub const fn new(name: &'static str, limit: PhysicalAddress) -> Self {
        Self { name, limit, kept: 0 }
    }

    /// The same zone, of which so many frames are kept for those that ask for it: requests that could
    /// have been served from a higher zone leave them alone, about; several at once may take a few.
    ///
    /// ```
    /// use buddy_core::frames::Zone;
    ///
    /// let zones = [Zone::DMA.keep(256), Zone::DMA32, Zone::NORMAL]; // 1 MiB for old devices
    /// assert_eq!(zones[0].kept(), 256);
    /// ```
    #[must_use]
    pub const fn keep(mut self, frames: usize) -> Self {
        self.kept = frames;
        self
    }

    /// How many frames are kept.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.kept
    }

    /// The zone's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Where the zone ends.
    #[must_use]
    pub const fn limit(&self) -> PhysicalAddress {
        self.limit
    }
}
