//! The figures of zones.

use buddy_core::frames::{Bootstrap, Frame, Frames, FreeError, MemoryKind, MemoryRange, Zone};
use buddy_core::{Lazy, Order, Plain};

const MIB: u64 = 1 << 20;

type TwoZones<'w> = Frames<'w, Plain, Lazy, 2, 4096, 3>;

/// 16 MiB in the lower zone, of which one is a hole, and 4 MiB in the upper one.
fn with_frames(kept: usize, call: impl FnOnce(&TwoZones<'_>)) {
    let map = [
        MemoryRange::new(0, 4 * MIB, MemoryKind::Usable),
        MemoryRange::new(5 * MIB, 15 * MIB, MemoryKind::Usable),
    ];
    let mut words = [const { Plain::zero() }; 2000];
    let bootstrap = Bootstrap::new(map).zones([Zone::DMA.keep(kept), Zone::NORMAL]);
    call(&bootstrap.build_in(&mut words).unwrap());
}

fn order(order: u32) -> Order {
    Order::new(order).unwrap()
}

#[test]
fn figures_add_up() {
    with_frames(0, |frames| {
        let blocks: Vec<_> = (0..3).map(|_| frames.allocate(order(2)).unwrap()).collect();
        let statistics = frames.statistics();
        let figures = |zone: &buddy_core::frames::ZoneStatistics| {
            let counts = (0..=5).map(|height| zone.free_blocks(order(height))).collect::<Vec<_>>();
            (zone.managed(), zone.reserved(), zone.used(), zone.blocks(), zone.free(), counts)
        };
        let zones: Vec<_> = statistics.zones().map(figures).collect();
        // 15 MiB and a hole of one; no block is above the highest order.
        assert_eq!(zones[0], (3840, 256, 0, 0, 3840, vec![0, 0, 0, 480, 0, 0]));
        // Blocks of four side by side: two in eight frames, and half of eight.
        assert_eq!(zones[1], (1024, 0, 12, 3, 1012, vec![0, 0, 1, 126, 0, 0]));
        assert_eq!((statistics.managed(), statistics.free()), (4864, 4852));
        assert_eq!((statistics.used(), statistics.blocks()), (12, 3));
        for block in blocks {
            frames.free(block).unwrap();
        }
    });
}

#[test]
fn many_blocks_of_the_highest_order_are_all_there_are() {
    with_frames(0, |frames| {
        let mut blocks = [Frame::default(); 1000];
        assert_eq!(frames.allocate_many(order(4), &mut blocks), 0);
        assert_eq!(frames.allocate_many(order(3), &mut blocks), 608);
        assert_eq!(frames.free_frames(), 0);
        frames.free_many(order(3), &blocks[..608]).unwrap();
        // Single frames rest in between; they merge when they are wanted.
        let mut singles = vec![Frame::default(); 4864];
        assert_eq!(frames.allocate_many(Order::MIN, &mut singles), 4864);
        for frame in singles {
            frames.free(frame).unwrap();
        }
        assert_eq!(frames.allocate_many(order(3), &mut blocks), 608);
        frames.free_many(order(3), &blocks[..608]).unwrap();
        assert_eq!(frames.validate(), Ok(()));
    });
}

#[test]
fn many_blocks_leave_what_a_zone_keeps() {
    with_frames(100, |frames| {
        let mut blocks = vec![Frame::default(); 4000];
        let taken = frames.allocate_many(order(1), &mut blocks);
        assert_eq!((taken, frames.free_frames()), ((4864 - 100) / 2, 100));
    });
}

#[test]
fn a_part_of_what_is_not_managed_or_rests_is_told_apart() {
    with_frames(0, |frames| {
        let hole = Frame::new(4 << 8);
        let address = hole.address();
        assert_eq!(frames.free_part(hole, 1), Err(FreeError::Reserved { address }));
        let block = frames.allocate(order(3)).unwrap();
        frames.free(block).unwrap();
        let address = block.address();
        assert_eq!(frames.free(block), Err(FreeError::AlreadyFree { address }));
        assert_eq!(frames.free_part(block, 1), Err(FreeError::AlreadyFree { address }));
    });
}
