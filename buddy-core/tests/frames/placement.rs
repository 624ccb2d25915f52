//! The metadata in the map itself.

use buddy_core::frames::{
    Bootstrap, BootstrapError, Frame, Frames, FreeError, MemoryKind, MemoryRange, PhysicalAddress,
    RangeError, mapped_at,
};
use buddy_core::{Atomic, Kind, Order, Plain};
use std::cell::Cell;
use std::ptr::NonNull;

const MIB: u64 = 1 << 20;

/// Memory that stands for the physical addresses from 0 to `bytes`.
struct Machine {
    memory: Vec<u64>,
}

impl Machine {
    /// Filled with rubbish, as memory is after power is on.
    fn new(bytes: u64) -> Self {
        Self { memory: vec![0xdead_beef_f00d_cafe; bytes as usize / 8] }
    }

    fn reach(
        &mut self,
        mapped: u64,
    ) -> impl Fn(PhysicalAddress, usize) -> Option<NonNull<u8>> + use<> {
        let base = NonNull::from(self.memory.as_mut_slice()).cast::<u8>();
        move |start, bytes| {
            let is_mapped = start.get() + bytes as u64 <= mapped;
            // SAFETY: all that is mapped is in the memory.
            is_mapped.then(|| unsafe { base.add(start.get() as usize) })
        }
    }
}

fn usable(start: u64, length: u64) -> MemoryRange {
    MemoryRange::new(start, length, MemoryKind::Usable)
}

#[test]
fn metadata_lies_high_and_is_never_handed_out() {
    let mut machine = Machine::new(32 * MIB);
    let bootstrap = Bootstrap::new([usable(0, 32 * MIB)]);
    // SAFETY: the machine's memory, which nobody else uses while it lives.
    let frames: Frames<'_, Atomic> = unsafe { bootstrap.place(machine.reach(32 * MIB)) }.unwrap();
    let metadata = frames.metadata();
    assert_eq!(metadata.end, PhysicalAddress::new(32 * MIB));
    let own = ((metadata.end.get() - metadata.start.get()) / 4096) as usize;
    assert_eq!(own, 2);
    assert_eq!(frames.free_frames(), 8192 - own);
    let reserved: Vec<_> = frames.walk().filter(|stretch| stretch.kind == Kind::Reserved).collect();
    assert_eq!(reserved.len(), 1);
    assert_eq!((reserved[0].first.address(), reserved[0].frames), (metadata.start, own));

    let mut pages = vec![Frame::default(); 9000];
    let had = frames.allocate_many(Order::MIN, &mut pages);
    assert_eq!(had, 8192 - own);
    assert!(pages[..had].iter().all(|page| !metadata.contains(&page.address())));
    let refused = FreeError::Reserved { address: metadata.start };
    let first = Frame::containing(metadata.start).unwrap();
    assert_eq!(frames.free_one(first), Err(refused));
    let refused = RangeError::Metadata { address: metadata.start };
    assert_eq!(frames.add(metadata.clone()), Err(refused));
    let refused = RangeError::NotManaged { address: metadata.start };
    assert_eq!(frames.remove(metadata), Err(refused));
    assert_eq!(frames.validate(), Ok(()));
}

#[test]
fn metadata_lies_where_it_can_be_reached() {
    let mut machine = Machine::new(8 * MIB);
    // (mapped up to, the map, where the metadata lies)
    let cases: [(u64, &[MemoryRange], u64); 4] = [
        // In the highest zone.
        (MIB, &[usable(0, MIB)], MIB - 4096),
        // At the beginning of a range that is not mapped to its end.
        (4 * MIB, &[usable(3 * MIB, 60 * MIB)], 3 * MIB),
        // In the highest range that is mapped.
        (8 * MIB, &[usable(6 * MIB, MIB), usable(30 * MIB, MIB), usable(0, MIB)], 7 * MIB - 4096),
        // Not in one that is too small.
        (8 * MIB, &[usable(0, MIB), usable(6 * MIB, 4096)], 6 * MIB),
    ];
    for (mapped, map, place) in cases {
        let bootstrap = Bootstrap::new(map.iter().copied());
        // SAFETY: as above.
        let frames: Frames<'_, Plain> = unsafe { bootstrap.place(machine.reach(mapped)) }.unwrap();
        assert_eq!(frames.metadata().start, PhysicalAddress::new(place), "{map:?}");
        assert_eq!(frames.validate(), Ok(()));
    }
}

#[test]
fn without_room_for_the_metadata_nothing_is_written() {
    let mut machine = Machine::new(MIB);
    let calls = Cell::new(0);
    // 2^40 bytes in all, in ranges of a frame each.
    let map = [usable(0, 4096), usable(1 << 38, 4096), usable(1 << 40, 4096)];
    let reach = machine.reach(MIB);
    let reach = |start, bytes| {
        calls.set(calls.get() + 1);
        reach(start, bytes)
    };
    // SAFETY: as above.
    let refused: Result<Frames<'_, Plain>, _> = unsafe { Bootstrap::new(map).place(reach) };
    assert!(matches!(refused, Err(BootstrapError::NoRoom { bytes }) if bytes > 1 << 26));
    assert_eq!(calls.get(), 0);
    let nowhere = |_, _| None;
    // SAFETY: nothing is reached.
    let refused: Result<Frames<'_, Plain>, _> =
        unsafe { Bootstrap::new([usable(0, MIB)]).place(nowhere) };
    assert!(matches!(refused, Err(BootstrapError::NoRoom { .. })));
    assert!(machine.memory.iter().all(|word| *word == 0xdead_beef_f00d_cafe));
}

#[test]
fn memory_at_an_offset_is_reached_up_to_its_end() {
    let reach = mapped_at(0x1000_0000, PhysicalAddress::new(0x4000));
    let address = |start, bytes| {
        reach(PhysicalAddress::new(start), bytes).map(|pointer| pointer.addr().get())
    };
    assert_eq!(address(0, 0x4000), Some(0x1000_0000));
    assert_eq!(address(0x3000, 0x1000), Some(0x1000_3000));
    assert_eq!(address(0x3000, 0x1001), None);
    assert_eq!(address(u64::MAX, 2), None);
}
