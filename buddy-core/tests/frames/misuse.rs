//! Wrong frees: each is refused by name, and changes nothing.

use buddy_core::frames::{
    AllocError, Bootstrap, Frame, Frames, FreeError, MemoryKind, MemoryRange, PhysicalAddress,
};
use buddy_core::{Order, Plain};

fn at(number: usize) -> PhysicalAddress {
    Frame::<4096>::new(number).address()
}

#[test]
fn wrong_calls_are_refused_by_name() {
    let map = [
        MemoryRange::new(16 << 12, 200 << 12, MemoryKind::Usable),
        MemoryRange::new(100 << 12, 10 << 12, MemoryKind::Reserved),
    ];
    let mut words = [const { Plain::zero() }; 200];
    let frames: Frames<'_, Plain> = Bootstrap::new(map).build_in(&mut words).unwrap();
    let frame = Frame::new;
    frames.allocate_at(frame(32), 16).unwrap();
    let before: Vec<_> = frames.walk().collect();

    let foreign = |number| Err(FreeError::NotManaged { address: at(number) });
    assert_eq!(frames.free_one(frame(15)), foreign(15));
    assert_eq!(frames.free(frame(216)).map(drop), foreign(216));
    assert_eq!(frames.free_sized(frame(usize::MAX), 2), foreign(usize::MAX));
    assert_eq!(frames.free_part(frame(0), 2), foreign(0));
    assert_eq!(frames.split(frame(usize::MAX / 2), 2, 1).map(drop), foreign(usize::MAX / 2));

    let inside = Err(FreeError::NotStart { address: at(40), block: at(32) });
    assert_eq!(frames.free_one(frame(40)), inside);
    assert_eq!(frames.free(frame(40)).map(drop), inside);

    let free = Err(FreeError::AlreadyFree { address: at(48) });
    assert_eq!(frames.free_one(frame(48)), free);
    assert_eq!(frames.free_part(frame(48), 1), free);
    let reserved = Err(FreeError::Reserved { address: at(105) });
    assert_eq!(frames.free_one(frame(105)), reserved);
    assert_eq!(frames.free_sized(frame(105), 4), reserved);

    let size = |given| Err(FreeError::WrongSize { address: at(32), given, actual: 16 });
    assert_eq!(frames.free_one(frame(32)), size(1));
    assert_eq!(frames.free_sized(frame(32), 8), size(8));
    assert_eq!(frames.free_sized(frame(32), 32), size(32));
    assert_eq!(frames.split(frame(32), 15, 1).map(drop), size(15));
    assert_eq!(frames.free_part(frame(32), 17), size(17));
    assert_eq!(frames.split(frame(32), 16, 0), Err(FreeError::ZeroSize));
    assert_eq!(frames.free_part(frame(32), 0), Err(FreeError::ZeroSize));

    let occupied = |number| Err(AllocError::Occupied { address: at(number) });
    assert_eq!(frames.allocate_at(frame(30), 4), occupied(32));
    assert_eq!(frames.allocate_at(frame(99), 2), occupied(100));
    assert_eq!(frames.allocate_at(frame(20), 0), Err(AllocError::ZeroSize));
    for first in [15, 215, usize::MAX] {
        let refused = AllocError::NotManaged { address: at(first), frames: 2 };
        assert_eq!(frames.allocate_at(frame(first), 2), Err(refused));
    }

    assert!(frames.walk().eq(before));
    assert_eq!(frames.validate(), Ok(()));
}

#[test]
fn a_second_free_is_refused_in_every_form() {
    let map = [MemoryRange::new(0, 64 << 12, MemoryKind::Usable)];
    let mut words = [const { Plain::zero() }; 200];
    let frames: Frames<'_, Plain> = Bootstrap::new(map).build_in(&mut words).unwrap();
    let one = frames.allocate_one().unwrap();
    frames.free_one(one).unwrap();
    assert!(frames.free_one(one).is_err());
    assert!(frames.free(one).is_err());
    let block = frames.allocate(Order::new(3).unwrap()).unwrap();
    frames.free(block).unwrap();
    assert!(frames.free_sized(block, 8).is_err());
    let pages = [frames.allocate_one().unwrap(), one, frames.allocate_one().unwrap()];
    let error = frames.free_many(Order::MIN, &pages).unwrap_err();
    assert!(error.freed <= 2 && frames.used_frames() <= 2);
    assert_eq!(frames.validate(), Ok(()));
}
