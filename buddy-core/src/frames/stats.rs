//! How full the zones are.

use super::Frames;
use super::zone::Zone;
use crate::tree::{Order, Policy, Statistics as TreeStatistics, Word};
use core::fmt;

/// The zones in figures, in frames.
///
/// Its `Display` is a table like that of Linux's `/proc/buddyinfo`: a line a zone, with the number
/// of free blocks of each order from 0 to the highest. What lies in larger free blocks is counted in
/// blocks of the highest order.
///
/// ```
/// # use buddy_core::{frames::*, Lazy, Plain};
/// # let mut words = [const { Plain::zero() }; 1000];
/// # let map = [MemoryRange::new(0, 20 << 20, MemoryKind::Usable)];
/// // Frames of 4 KiB, blocks of up to 4 MiB.
/// let frames: Frames<Plain, Lazy, 3, 4096, 10> = Bootstrap::new(map).build_in(&mut words)?;
/// frames.allocate_exact(3)?;
/// assert_eq!(
///     frames.statistics().to_string(),
///     "zone      DMA      0      0      0      0      0      0      0      0      0      0      4\n\
///      zone    DMA32      1      0      1      1      1      1      1      1      1      1      0\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statistics<const ZONES: usize> {
    zones: [Option<ZoneStatistics>; ZONES],
}

/// A zone in figures, in frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneStatistics {
    zone: Zone,
    tree: TreeStatistics,
    max_order: u32,
}

impl ZoneStatistics {
    /// The zone.
    #[must_use]
    pub const fn zone(&self) -> Zone {
        self.zone
    }

    /// Frames that are free or allocated.
    #[must_use]
    pub const fn managed(&self) -> usize {
        self.tree.total() - self.tree.reserved()
    }

    /// Free frames.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.tree.free()
    }

    /// Allocated frames.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.tree.used()
    }

    /// The most frames that were out of the tree at one time: allocated, or kept for requests of their size.
    #[must_use]
    pub const fn peak(&self) -> usize {
        self.tree.peak()
    }

    /// Frames between the zone's first and last that are not managed: holes, firmware, metadata, what
    /// is to come later.
    #[must_use]
    pub const fn reserved(&self) -> usize {
        self.tree.reserved()
    }

    /// Allocated blocks.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.tree.blocks()
    }

    /// Free blocks of an order; of the highest order also as many as larger free blocks consist of.
    #[must_use]
    pub fn free_blocks(&self, order: Order) -> usize {
        if order.get() < self.max_order {
            return self.tree.free_blocks(order);
        }
        let above = (order.get()..usize::BITS).filter_map(Order::new);
        above
            .filter(|_| order.get() == self.max_order)
            .map(|large| self.tree.free_blocks(large) << (large.get() - order.get()))
            .sum()
    }

    /// The frames of the largest free block; 0 if nothing is free.
    #[must_use]
    pub fn largest_free(&self) -> usize {
        self.tree.largest_free()
    }
}

impl<const ZONES: usize> Statistics<ZONES> {
    /// The zones that have frames, the lowest first.
    pub fn zones(&self) -> impl Iterator<Item = &ZoneStatistics> {
        self.zones.iter().flatten()
    }

    /// Free frames of all zones.
    #[must_use]
    pub fn free(&self) -> usize {
        self.zones().map(ZoneStatistics::free).sum()
    }

    /// Allocated frames of all zones.
    #[must_use]
    pub fn used(&self) -> usize {
        self.zones().map(ZoneStatistics::used).sum()
    }

    /// Allocated blocks of all zones.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.zones().map(ZoneStatistics::blocks).sum()
    }

    /// Frames of all zones that are free or allocated.
    #[must_use]
    pub fn managed(&self) -> usize {
        self.zones().map(ZoneStatistics::managed).sum()
    }
}

impl<const ZONES: usize> fmt::Display for Statistics<ZONES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for zone in self.zones() {
            write!(f, "zone {:>8}", zone.zone.name())?;
            for order in (0..=zone.max_order).filter_map(Order::new) {
                write!(f, " {:>6}", zone.free_blocks(order))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    /// The zones in figures, after everything is merged. O(slabs with a free slot * their slots * orders).
    ///
    /// While other CPUs allocate and free, the figures may not fit each other.
    #[must_use]
    pub fn statistics(&self) -> Statistics<ZONES> {
        let zones = core::array::from_fn(|zone| {
            let pool = self.pools[zone].as_ref()?;
            let (zone, tree) = (self.zones[zone], pool.settled().statistics());
            Some(ZoneStatistics { zone, tree, max_order: MAX_ORDER })
        });
        Statistics { zones }
    }

    /// Free frames of all zones. O(slabs with a free slot).
    #[must_use]
    pub fn free_frames(&self) -> usize {
        let pools = self.pools.iter().flatten();
        pools.map(|pool| pool.tree().free_leaves() + pool.resting()).sum()
    }

    /// Allocated frames of all zones. O(slabs with a free slot).
    #[must_use]
    pub fn used_frames(&self) -> usize {
        let pools = self.pools.iter().flatten();
        pools.map(|pool| pool.tree().used().saturating_sub(pool.resting())).sum()
    }
}
