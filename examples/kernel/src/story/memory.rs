//! The memory map becomes frames, then a heap.

use super::faults;
use crate::heap::HEAP;
use crate::machine::boot::Boot;
use crate::machine::serial::say;
use crate::memory::{frames, image};
use buddy_core::Order;
use buddy_core::frames::{
    Frame, FreeError, MemoryKind, PhysicalAddress, RangeError, Request, Statistics, ZoneStatistics,
};

/// Tells what there is, tries the calls that devices need, and returns the figures of a machine in
/// which nothing is allocated.
pub(crate) fn tell(boot: &Boot) -> Statistics<3> {
    say!("The firmware says:");
    for range in boot.map() {
        let addresses = range.addresses();
        let kind = if range.kind == MemoryKind::Usable { "usable" } else { "reserved" };
        let (start, end) = (addresses.start.get(), addresses.end.get());
        say!("  {start:#013x}..{end:#013x} {kind}");
    }
    let (image, metadata) = (image(), frames().metadata());
    say!(
        "The kernel lies at {}..{}, the frames' metadata at {}..{}.",
        image.start,
        image.end,
        metadata.start,
        metadata.end
    );
    let at_boot = frames().statistics();
    for zone in at_boot.zones() {
        say!(
            "  zone {}: {} frames, {} KiB",
            zone.zone().name(),
            zone.managed(),
            zone.managed() * 4
        );
    }
    say!("{at_boot}");
    devices();
    banks();
    faults::plant_early();
    assert!(is_as_before(&at_boot), "not all came back");
    at_boot
}

/// All is as it was then: the same frames are free, in the same blocks. (The peak has risen.)
pub(crate) fn is_as_before(before: &Statistics<3>) -> bool {
    let now = frames().statistics();
    let mut zones = before.zones().zip(now.zones());
    zones.all(|(before, now)| {
        let mut orders = (0..=18).filter_map(Order::new);
        let figures =
            |zone: &ZoneStatistics| [zone.managed(), zone.free(), zone.used(), zone.blocks()];
        figures(before) == figures(now)
            && orders.all(|order| before.free_blocks(order) == now.free_blocks(order))
    })
}

/// What devices ask for.
fn devices() {
    let limit = PhysicalAddress::new(16 << 20);
    let sound = Request::frames(5).below(limit).boundary(64 << 10);
    let buffer = frames().allocate_within(&sound).expect("a buffer for an old device");
    let (first, last) = (buffer.address().get(), buffer.saturating_add(5).address().get() - 1);
    assert!(last < limit.get() && first >> 16 == last >> 16);
    say!("A buffer of 5 frames below 16 MiB, not across 64 KiB, at {first:#x}.");
    let huge = frames().allocate(Order::new(9).expect("an order")).expect("a huge page");
    assert_eq!(huge.address().get() % (2 << 20), 0);
    frames().split(huge, 512, 1).expect("a block that can be split");
    say!("A huge page at {}, split into 512 frames that are freed one by one.", huge.address());
    for page in 0..512 {
        frames().free_one(huge.saturating_add(page)).expect("a frame of the huge page");
    }
    let again = FreeError::AlreadyFree { address: huge.address() };
    assert_eq!(frames().free_one(huge), Err(again));
    say!("One of them freed again is refused: {again}.");
    frames().free_part(buffer, 2).expect("a part of the buffer");
    frames().free_sized(buffer.saturating_add(2), 3).expect("the rest of the buffer");
}

/// A bank of memory goes, and comes back.
fn banks() {
    let bank = PhysicalAddress::new(4 << 20)..PhysicalAddress::new(6 << 20);
    let in_the_way = Frame::containing(bank.start).expect("a frame").saturating_add(3);
    frames().allocate_at(in_the_way, 2).expect("two frames at a place");
    let refused = frames().remove(bank.clone()).expect_err("a bank in use");
    assert_eq!(refused, RangeError::InUse { address: in_the_way.address(), frames: 2 });
    say!("Memory at {} cannot be taken out: {refused}.", bank.start);
    frames().free(in_the_way).expect("the two frames");
    let removed = frames().remove(bank.clone()).expect("a bank that is free");
    let added = frames().add(bank).expect("a bank that was taken out");
    assert_eq!(removed, added);
    say!("Then it can, all {removed} frames, and is put back.");
}

/// Tells how large the heap is.
pub(crate) fn tell_heap() {
    let used = frames().used_frames();
    say!(
        "The kernel's own page tables are in use; the heap has {} KiB. Both took {used} frames.",
        HEAP.heap().size() >> 10
    );
}
