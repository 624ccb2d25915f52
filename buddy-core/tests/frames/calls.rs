//! What the calls promise, one by one.

use buddy_core::frames::{
    AllocError, Bootstrap, Frame, Frames, MemoryKind, MemoryRange, PhysicalAddress, RangeError,
    Request, Zone,
};
use buddy_core::{Lazy, Order, Plain};

const MIB: u64 = 1 << 20;

/// 64 MiB from 0 on: 16 in zone DMA, 48 in DMA32.
fn with_frames(call: impl FnOnce(&Frames<'_, Plain, Lazy, 3, 4096, 10>)) {
    let map = [MemoryRange::new(0, 64 * MIB, MemoryKind::Usable)];
    let bootstrap = Bootstrap::new(map);
    let words = bootstrap.metadata_words::<Plain, Lazy, 4096>().unwrap();
    let mut words: Vec<Plain> = (0..words).map(|_| Plain::default()).collect();
    let frames = bootstrap.build_in(&mut words).unwrap();
    call(&frames);
    assert_eq!(frames.validate(), Ok(()));
}

fn order(order: u32) -> Order {
    Order::new(order).unwrap()
}

fn at(address: u64) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

#[test]
fn requests_fall_back_from_high_zones_to_low_ones() {
    with_frames(|frames| {
        let mut from_dma = 0;
        for _ in 0..16 {
            let block = frames.allocate(order(10)).unwrap();
            let is_dma = block.address() < Zone::DMA.limit();
            // Once the high zone is used up, never before.
            assert_eq!(is_dma, frames.used_frames() > 48 * 256);
            from_dma += usize::from(is_dma);
        }
        assert_eq!(from_dma, 4);
        let refused = AllocError::OutOfMemory { frames: 1, largest_free: 0 };
        assert_eq!(frames.allocate_one(), Err(refused));
    });
}

#[test]
fn kept_frames_are_for_those_that_ask_for_their_zone() {
    let map = [MemoryRange::new(0, 32 * MIB, MemoryKind::Usable)];
    let mut words = [const { Plain::zero() }; 2000];
    let bootstrap = Bootstrap::new(map).zones([Zone::DMA.keep(100), Zone::NORMAL]);
    let frames: Frames<'_, Plain, Lazy, 2> = bootstrap.build_in(&mut words).unwrap();
    let mut pages = vec![Frame::default(); 8192];
    assert_eq!(frames.allocate_many(Order::MIN, &mut pages[..4]), 4);
    while frames.allocate_one().is_ok() {}
    assert_eq!(frames.free_frames(), 100);
    assert_eq!(frames.allocate_many(Order::MIN, &mut pages[4..]), 0);
    let low = Request::frames(1).below(Zone::DMA.limit());
    while frames.allocate_within(&low).is_ok() {}
    assert_eq!(frames.free_frames(), 0);

    let frames: Frames<'_, Plain, Lazy, 2> = bootstrap.build_in(&mut words).unwrap();
    assert_eq!(frames.allocate_many(Order::MIN, &mut pages), 8192 - 100);
}

#[test]
fn low_memory_is_given_only_where_it_is_asked_for() {
    with_frames(|frames| {
        let dma = Request::frames(3).below(Zone::DMA.limit());
        let buffer = frames.allocate_within(&dma).unwrap();
        assert!(buffer.address() < Zone::DMA.limit());
        assert!(frames.allocate_exact(3).unwrap().address() >= Zone::DMA.limit());
        let high = Request::frames(1).above(at(63 * MIB));
        assert!(frames.allocate_within(&high).unwrap().address() >= at(63 * MIB));
        let nowhere = Request::frames(1).above(at(64 * MIB));
        assert_eq!(frames.allocate_within(&nowhere), Err(AllocError::NoZone));
        let between = Request::frames(1).above(at(5 * MIB + 1)).below(at(5 * MIB + 4096));
        assert_eq!(frames.allocate_within(&between), Err(AllocError::NoZone));
    });
}

#[test]
fn conditions_are_met_together() {
    with_frames(|frames| {
        for count in 1..=16 {
            let request = Request::frames(count)
                .below(at(7 * MIB))
                .above(at(MIB))
                .align(32 << 10)
                .boundary(64 << 10);
            let first = frames.allocate_within(&request).unwrap().address().get();
            let last = first + (count as u64 * 4096) - 1;
            assert!(first >= MIB && last < 7 * MIB && first % (32 << 10) == 0);
            assert_eq!(first >> 16, last >> 16);
        }
        let refused = AllocError::Boundary { frames: 17, bytes: 64 << 10 };
        assert_eq!(frames.allocate_within(&Request::frames(17).boundary(64 << 10)), Err(refused));
        for bytes in [0, 3, 2048, 5 << 12] {
            let refused = AllocError::Boundary { frames: 1, bytes };
            assert_eq!(frames.allocate_within(&Request::frames(1).boundary(bytes)), Err(refused));
        }
        for bytes in [3 << 12, 8 << 20, u64::MAX] {
            let refused = AllocError::Alignment { bytes };
            assert_eq!(frames.allocate_within(&Request::frames(1).align(bytes)), Err(refused));
        }
        assert!(frames.allocate_within(&Request::frames(1).align(0)).is_ok());
    });
}

#[test]
fn a_gap_across_a_boundary_serves_only_who_may_cross_it() {
    with_frames(|frames| {
        let mut pages = vec![Frame::default(); 64 * 256];
        assert_eq!(frames.allocate_many(Order::MIN, &mut pages), pages.len());
        for gap in 14..18 {
            frames.free_one(Frame::new(gap)).unwrap();
        }
        let three = Request::frames(3);
        let refused = AllocError::OutOfMemory { frames: 3, largest_free: 2 };
        assert_eq!(frames.allocate_within(&three.clone().boundary(64 << 10)), Err(refused));
        assert_eq!(frames.allocate_within(&three.clone().align(8 << 10)), Err(refused));
        assert_eq!(frames.allocate_within(&three), Ok(Frame::new(14)));
    });
}

#[test]
fn exact_counts_cost_exactly_that() {
    with_frames(|frames| {
        for count in 1..=200 {
            let before = frames.used_frames();
            let first = frames.allocate_exact(count).unwrap();
            assert_eq!(frames.used_frames(), before + count);
            assert_eq!(frames.free_sized(first, count), Ok(()));
        }
        let refused = |frames, most| AllocError::TooLarge { frames, most };
        assert_eq!(frames.allocate_exact(0), Err(AllocError::ZeroSize));
        assert_eq!(frames.allocate_exact(1025), Err(refused(1025, 1024)));
        assert_eq!(frames.allocate(order(11)), Err(refused(2048, 1024)));
        let many = frames.allocate_many(order(11), &mut [Frame::default(); 1]);
        assert_eq!(many, 0);
    });
}

#[test]
fn a_block_is_freed_in_parts() {
    with_frames(|frames| {
        let huge = frames.allocate(order(9)).unwrap();
        frames.free_part(huge.saturating_add(100), 50).unwrap();
        assert_eq!(frames.used_frames(), 462);
        assert_eq!(frames.free(huge), Ok(100));
        assert_eq!(frames.free(huge.saturating_add(150)), Ok(362));

        let huge = frames.allocate(order(9)).unwrap();
        assert_eq!(frames.split(huge, 512, 1), Ok(512));
        assert_eq!(frames.statistics().blocks(), 512);
        assert_eq!(frames.validate(), Ok(()));
        for page in (0..512).rev() {
            frames.free_one(huge.saturating_add(page)).unwrap();
        }
        let seven = frames.allocate_exact(7).unwrap();
        assert_eq!(frames.split(seven, 7, 3), Ok(3));
        let sizes = [0, 3, 6].map(|first| frames.free(seven.saturating_add(first)).unwrap());
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(frames.used_frames(), 0);
    });
}

#[test]
fn many_come_from_all_zones_and_go_back() {
    with_frames(|frames| {
        let mut pages = vec![Frame::default(); 20_000];
        let had = frames.allocate_many(Order::MIN, &mut pages);
        assert_eq!(had, 64 * 256);
        let mut numbers: Vec<_> = pages[..had].iter().map(|page| page.number()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..64 * 256));
        frames.free_many(Order::MIN, &pages[..had]).unwrap();
        let error = frames.free_many(Order::MIN, &pages[..had]).unwrap_err();
        assert_eq!(error.freed, 0);
        assert_eq!(frames.used_frames(), 0);
    });
}

#[test]
fn memory_comes_and_goes() {
    let map = [
        MemoryRange::new(0, 8 * MIB, MemoryKind::Usable),
        MemoryRange::new(8 * MIB, 32 * MIB, MemoryKind::Later),
    ];
    let mut words = [const { Plain::zero() }; 2000];
    let frames: Frames<'_, Plain> = Bootstrap::new(map).build_in(&mut words).unwrap();
    assert_eq!(frames.statistics().managed(), 2048);
    // Across a zone's limit, unaligned: what is whole in it.
    assert_eq!(frames.add(at(8 * MIB + 1)..at(24 * MIB + 1)), Ok(4095));
    assert_eq!(frames.add(at(8 * MIB)..at(8 * MIB + 4096)), Ok(1));
    let managed = RangeError::Managed { address: at(23 * MIB) };
    assert_eq!(frames.add(at(23 * MIB)..at(25 * MIB)), Err(managed));
    let beyond = RangeError::NoMetadata { address: at(40 * MIB) };
    assert_eq!(frames.add(at(39 * MIB)..at(41 * MIB)), Err(beyond));
    assert_eq!(frames.add(at(1)..at(4097)), Err(RangeError::ZeroSize));

    let block = Frame::containing(at(20 * MIB)).unwrap();
    frames.allocate_at(block, 3).unwrap();
    let in_use = RangeError::InUse { address: at(20 * MIB), frames: 3 };
    // The lower zone's part, which was free, comes back when the higher one's is refused.
    assert_eq!(frames.remove(at(8 * MIB)..at(21 * MIB)), Err(in_use));
    assert_eq!(frames.statistics().managed(), 6144);
    let hole = RangeError::NotManaged { address: at(24 * MIB) };
    assert_eq!(frames.remove(at(23 * MIB)..at(24 * MIB + 1)), Err(hole));
    frames.free(block).unwrap();
    assert_eq!(frames.remove(at(8 * MIB)..at(24 * MIB - 1)), Ok(4096));
    assert_eq!(frames.statistics().managed(), 2048);
    assert_eq!(frames.validate(), Ok(()));
}

#[test]
fn frames_of_another_size_count_in_their_size() {
    // 16 KiB, as some 64-bit ARM kernels have them.
    let map = [MemoryRange::new(4096, MIB, MemoryKind::Usable)];
    let mut words = [const { Plain::zero() }; 200];
    let bootstrap = Bootstrap::new(map).zones([Zone::NORMAL]);
    let frames: Frames<'_, Plain, Lazy, 1, 16384, 3> = bootstrap.build_in(&mut words).unwrap();
    assert_eq!(frames.free_frames(), 63);
    let frame = frames.allocate_one().unwrap();
    assert_eq!(frame.address().get() % 16384, 0);
}

#[test]
fn alignment_above_the_blocks_own_is_served_anywhere() {
    with_frames(|frames| {
        for (count, align) in [(1, 64), (3, 16), (4, 4), (5, 1024), (1, 1), (16, 8)] {
            for _ in 0..5 {
                let request = Request::frames(count).align(align * 4096);
                let block = frames.allocate_within(&request).unwrap();
                assert_eq!(block.number() as u64 % align, 0, "{count} {align}");
            }
        }
    });
}
