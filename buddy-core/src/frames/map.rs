//! The firmware's memory map: what of it may be used, however badly it is written.
//!
//! A byte may be used if a usable entry has it and no other entry does; a frame, if all its bytes
//! may. Entries may be in any order, overlap, be empty, begin and end anywhere. Nothing is sorted or
//! stored: the next usable range is found by looking at all entries again, O(entries).

use super::address::PhysicalAddress;
use core::ops::Range;

/// What the memory of a [`MemoryRange`] is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemoryKind {
    /// Memory to be managed.
    Usable,
    /// In use, or no memory at all. Wins over `Usable` where both are said.
    Reserved,
    /// Not there yet: the metadata gets room for it, so that it can be added later.
    Later,
}

/// An entry of the memory map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemoryRange {
    /// The first byte.
    pub start: PhysicalAddress,
    /// How many bytes.
    pub length: u64,
    /// What they are.
    pub kind: MemoryKind,
}

impl MemoryRange {
    /// An entry of `length` bytes from `start` on.
    #[must_use]
    pub const fn new(start: u64, length: u64, kind: MemoryKind) -> Self {
        Self { start: PhysicalAddress::new(start), length, kind }
    }

    /// The entry's addresses.
    #[must_use]
    pub const fn addresses(&self) -> Range<PhysicalAddress> {
        self.start..self.start.saturating_add(self.length)
    }
}

/// The usable ranges of a map in address order, neither overlapping nor touching.
#[derive(Clone, Debug)]
pub(super) struct UsableRanges<I> {
    map: I,
    at: PhysicalAddress,
}

impl<I> UsableRanges<I> {
    pub(super) const fn new(map: I) -> Self {
        Self { map, at: PhysicalAddress::new(0) }
    }
}

impl<I: Iterator<Item = MemoryRange> + Clone> UsableRanges<I> {
    fn usable(&self) -> impl Iterator<Item = Range<PhysicalAddress>> + use<I> {
        let usable = self.map.clone().filter(|entry| entry.kind == MemoryKind::Usable);
        usable.map(|entry| entry.addresses())
    }

    fn reserved(&self) -> impl Iterator<Item = Range<PhysicalAddress>> + use<I> {
        let reserved = self.map.clone().filter(|entry| entry.kind == MemoryKind::Reserved);
        reserved.map(|entry| entry.addresses())
    }
}

impl<I: Iterator<Item = MemoryRange> + Clone> Iterator for UsableRanges<I> {
    type Item = Range<PhysicalAddress>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut start = self.at;
        // Each turn goes beyond a reserved entry, for good.
        loop {
            start = self
                .usable()
                .filter(|range| range.end > start && !range.is_empty())
                .map(|range| range.start.max(start))
                .min()?;
            match self
                .reserved()
                .filter(|range| range.contains(&start))
                .map(|range| range.end)
                .max()
            {
                Some(end) => start = end,
                None => break,
            }
        }
        let limit = self.reserved().filter(|range| !range.is_empty() && range.start > start);
        let limit = limit.map(|range| range.start).min();
        let limit = limit.unwrap_or(PhysicalAddress::new(u64::MAX));
        let mut end = start;
        // Each turn goes to the end of a usable entry, for good.
        while end < limit {
            let further = self.usable().filter(|range| range.contains(&end));
            match further.map(|range| range.end).max() {
                Some(further) => end = further.min(limit),
                None => break,
            }
        }
        self.at = end;
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::MemoryKind::{Later, Reserved, Usable};
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn ranges(entries: &[(u64, u64, MemoryKind)]) -> Vec<(u64, u64)> {
        let map = entries
            .iter()
            .map(|(start, end, kind)| MemoryRange::new(*start, end.wrapping_sub(*start), *kind));
        UsableRanges::new(map).map(|range| (range.start.get(), range.end.get())).collect()
    }

    #[test]
    fn ranges_come_sorted_and_merged() {
        let entries = [(50, 60, Usable), (10, 30, Usable), (30, 40, Usable), (15, 20, Usable)];
        assert_eq!(ranges(&entries), [(10, 40), (50, 60)]);
    }

    #[test]
    fn reserved_wins_wherever_it_stands() {
        let entries = [
            (0, 5, Reserved),
            (0, 100, Usable),
            (20, 30, Reserved),
            (25, 40, Reserved),
            (90, 200, Reserved),
            (95, 300, Usable),
        ];
        assert_eq!(ranges(&entries), [(5, 20), (40, 90), (200, 300)]);
    }

    #[test]
    fn empty_entries_are_nothing() {
        assert_eq!(ranges(&[]), vec![]);
        assert_eq!(ranges(&[(5, 5, Usable)]), vec![]);
        assert_eq!(ranges(&[(0, 10, Usable), (5, 5, Reserved)]), [(0, 10)]);
        assert_eq!(ranges(&[(0, 10, Later)]), vec![]);
    }

    #[test]
    fn entries_may_reach_the_highest_address_and_beyond() {
        let entries = [(10, u64::MAX, Usable), (100, 50, Reserved)];
        // The second is longer than there are addresses.
        assert_eq!(ranges(&entries), [(10, 100)]);
        assert_eq!(ranges(&[(u64::MAX - 5, 3, Usable)]), [(u64::MAX - 5, u64::MAX)]);
    }
}
