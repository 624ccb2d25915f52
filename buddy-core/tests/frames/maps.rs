//! Nasty memory maps, by hand.

use crate::model::{FRAMES, Model, SIZE, Subject, ZONES, zones};
use MemoryKind::{Later, Reserved, Usable};
use buddy_core::frames::{
    Bootstrap, BootstrapError, Frames, MemoryKind, MemoryRange, PhysicalAddress, Zone,
};
use buddy_core::{Lazy, Plain};

fn words<const FRAME_SIZE: usize>(needed: Result<usize, BootstrapError>) -> Vec<Plain> {
    (0..needed.unwrap_or(0)).map(|_| Plain::default()).collect()
}

fn entries(map: &[(u64, u64, MemoryKind)]) -> Vec<MemoryRange> {
    map.iter().map(|(start, end, kind)| MemoryRange::new(*start, end - start, *kind)).collect()
}

#[test]
fn a_frame_is_usable_if_all_of_its_bytes_are() {
    let cases: [&[(u64, u64, MemoryKind)]; 12] = [
        &[(0, 4096, Usable)],
        // Unaligned at both ends.
        &[(1, 4095, Usable)],
        &[(15, 17, Usable)],
        // Entries that together have a frame of which none has all.
        &[(0, 24, Usable), (24, 56, Usable)],
        &[(24, 56, Usable), (0, 24, Usable)],
        &[(0, 24, Usable), (25, 56, Usable)],
        // One inside the other, twice the same, the smaller first.
        &[(100, 200, Usable), (0, 4000, Usable), (0, 4000, Usable), (3000, 4096, Usable)],
        // Reserved wins, whatever comes first, and by a single byte.
        &[(160, 161, Reserved), (0, 4096, Usable), (800, 1600, Reserved), (1599, 1700, Reserved)],
        // Reserved all over.
        &[(0, 2000, Reserved), (0, 1000, Usable), (1008, 1040, Usable), (2000, 2100, Usable)],
        // Holes, unsorted.
        &[(3200, 3300, Usable), (0, 100, Usable), (1600, 1700, Usable), (900, 907, Usable)],
        // Across the zones' limits.
        &[(1270, 1290, Usable), (2000, 3000, Usable)],
        // Empty, and for later.
        &[(50, 50, Usable), (60, 60, Reserved), (64, 1000, Usable), (3000, 4000, Later)],
    ];
    for case in cases {
        let map = entries(case);
        for limits in [[80, 160, FRAMES], [1, 2, 3], [79, 81, 100_000], [255, 256, 257]] {
            let zones = zones(limits);
            let model = Model::new(&map, &zones);
            let bootstrap = Bootstrap::new(map.clone()).zones(zones);
            let mut words = words::<SIZE>(bootstrap.metadata_words::<Plain, Lazy, SIZE>());
            let subject: Result<Subject<'_, _, Lazy>, _> = bootstrap.build_in(&mut words);
            match subject {
                Ok(subject) => model.agrees_with(&subject),
                Err(error) => {
                    assert_eq!(error, BootstrapError::NoMemory);
                    assert!(model.spans.iter().all(std::ops::Range::is_empty), "{case:?}");
                }
            }
        }
    }
}

#[test]
fn the_map_of_a_pc_gives_three_zones() {
    // What firmware says of 6 GiB, and where a kernel and a module lie.
    let map = [
        MemoryRange::new(0, 0x9_fc00, Usable),
        MemoryRange::new(0x9_fc00, 0x400, Reserved),
        MemoryRange::new(0xf_0000, 0x1_0000, Reserved),
        MemoryRange::new(0x10_0000, 0xbfed_f000, Usable),
        MemoryRange::new(0xbffd_f000, 0x2_1000, Reserved),
        MemoryRange::new(0xfeff_c000, 0x4000, Reserved),
        MemoryRange::new(0x1_0000_0000, 0xc000_0000, Usable),
    ];
    let at = PhysicalAddress::new;
    let bootstrap = Bootstrap::new(map)
        .reserve([at(0x10_0000)..at(0x34_5678), at(0x7f00_0001)..at(0x7f00_0002)]);
    let mut words = words::<4096>(bootstrap.metadata_words::<Plain, Lazy, 4096>());
    let frames: Frames<'_, Plain> = bootstrap.build_in(&mut words).unwrap();
    let statistics = frames.statistics();
    let zones: Vec<_> =
        statistics.zones().map(|zone| (zone.zone().name(), zone.managed())).collect();
    let dma = 0x9f + 0x1000 - 0x346;
    assert_eq!(zones, [("DMA", dma), ("DMA32", 0xbffdf - 0x1000 - 1), ("Normal", 0xc_0000)]);
    assert_eq!(statistics.zones().last().unwrap().largest_free(), 0x8_0000);
    assert_eq!(frames.validate(), Ok(()));
}

#[test]
fn zones_without_memory_are_left_out() {
    let map = [MemoryRange::new(0, 2 << 20, Usable)];
    let bootstrap = Bootstrap::new(map);
    let mut words = words::<4096>(bootstrap.metadata_words::<Plain, Lazy, 4096>());
    let frames: Frames<'_, Plain> = bootstrap.build_in(&mut words).unwrap();
    assert_eq!(frames.statistics().zones().count(), 1);
    assert_eq!(frames.zones().len(), ZONES);
}

#[test]
fn words_may_hold_anything_before() {
    let bootstrap = Bootstrap::new([MemoryRange::new(0, 2 << 20, Usable)]);
    let mut words = words::<4096>(bootstrap.metadata_words::<Plain, Lazy, 4096>());
    for _ in 0..2 {
        let frames: Frames<'_, Plain> = bootstrap.build_in(&mut words).unwrap();
        assert_eq!(frames.free_frames(), 512);
        frames.allocate_exact(77).unwrap();
        assert_eq!(frames.validate(), Ok(()));
    }
}

/// The zones of a PC.
const PC: [Zone; ZONES] = [Zone::DMA, Zone::DMA32, Zone::NORMAL];

/// How many frames are free in these, if 2000 words are enough for their metadata.
fn build(map: &[MemoryRange], zones: [Zone; ZONES]) -> Result<usize, BootstrapError> {
    let mut words = [const { Plain::zero() }; 2000];
    let bootstrap = Bootstrap::new(map.iter().copied()).zones(zones);
    let frames: Frames<'_, Plain> = bootstrap.build_in(&mut words)?;
    Ok(frames.free_frames())
}

#[test]
fn impossible_maps_are_refused() {
    let small = MemoryRange::new(0, 1 << 20, Usable);
    assert_eq!(build(&[small], PC), Ok(256));
    assert_eq!(build(&[], PC), Err(BootstrapError::NoMemory));
    let none = [MemoryRange::new(1, 8190, Usable)];
    assert_eq!(build(&none, PC), Err(BootstrapError::NoMemory));
    let falling = [Zone::DMA32, Zone::DMA, Zone::NORMAL];
    assert_eq!(build(&[small], falling), Err(BootstrapError::Zones { name: "DMA" }));
    let large = [MemoryRange::new(0, 1 << 40, Usable)];
    let refused = build(&large, PC);
    assert!(matches!(refused, Err(BootstrapError::Storage { given: 2000, .. })), "{refused:?}");
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_zone_of_its_own_spares_a_hole() {
    // A hole of 2^60 bytes costs more than there is; a zone of its own for what is behind does not.
    let far = 1 << 60;
    let apart =
        [MemoryRange::new(5 << 30, 1 << 20, Usable), MemoryRange::new(far, 1 << 20, Usable)];
    assert!(build(&apart, PC).is_err());
    let before = Zone::new("Normal", PhysicalAddress::new(1 << 50));
    let zones = [Zone::DMA, before, Zone::new("Far", PhysicalAddress::new(u64::MAX))];
    assert_eq!(build(&apart, zones), Ok(512));
}

#[cfg(target_pointer_width = "64")]
#[test]
fn the_highest_addresses_do_not_overflow() {
    let top = u64::MAX - 0xffff;
    let map = [
        MemoryRange::new(0, 1 << 16, Usable),
        MemoryRange::new(top, u64::MAX, Usable),
        MemoryRange::new(u64::MAX, u64::MAX, Reserved),
        MemoryRange::new(u64::MAX - 1, 1, Later),
    ];
    let far = Zone::new("Far", PhysicalAddress::new(u64::MAX));
    let zones = [Zone::DMA, Zone::new("Normal", PhysicalAddress::new(1 << 63)), far];
    let bootstrap = Bootstrap::new(map).zones(zones);
    let mut words = words::<4096>(bootstrap.metadata_words::<Plain, Lazy, 4096>());
    let frames: Frames<'_, Plain> = bootstrap.build_in(&mut words).unwrap();
    // The last frame has no end that could be said.
    assert_eq!(frames.free_frames(), 16 + 15);
    let last = frames.allocate_one().unwrap();
    assert!(last.address().get() >= top);
    frames.free_one(last).unwrap();
}

#[cfg(target_pointer_width = "64")]
#[test]
fn metadata_costs_what_the_documentation_says() {
    let frames = |bytes: u64| {
        let map = [MemoryRange::new(0, bytes, Usable)];
        let words = Bootstrap::new(map).metadata_words::<Plain, Lazy, 4096>().unwrap();
        ((words * 8).div_ceil(1024), (words * 8).div_ceil(4096))
    };
    let sizes = [64 << 20, 1 << 30, 16 << 30, 1 << 40].map(frames);
    assert_eq!(sizes, [(10, 3), (138, 35), (2202, 551), (140_903, 35_226)]);
}
