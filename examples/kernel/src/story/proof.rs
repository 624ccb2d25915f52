//! Everything is freed, the page tables last: then all must be as it was at boot.

use super::{faults, memory};
use crate::heap::{self, HEAP};
use crate::machine::serial::say;
use crate::memory::frames;
use crate::paging::TABLES;
use buddy_core::frames::Statistics;

/// Compares with the figures of the boot.
pub(crate) fn run(at_boot: &Statistics<3>) {
    let heap = HEAP.heap();
    assert_eq!(heap.total_allocated(), 0, "bytes of the heap are in use");
    assert_eq!(heap.refused(), 0, "frees of the heap were refused");
    assert_eq!(heap.validate(), Ok(()));
    say!("The heap is empty and valid. It is taken down, then the page tables.");
    heap::end();
    TABLES.lock().take().expect("page tables").end();
    faults::plant_late();
    assert_eq!(frames().validate(), Ok(()), "the metadata is damaged");
    let now = frames().statistics();
    say!("{} frames are in use, {} are free.", now.used(), now.free());
    for zone in now.zones() {
        say!(
            "  zone {}: at most {} of {} frames were in use",
            zone.zone().name(),
            zone.peak(),
            zone.managed()
        );
    }
    say!("{now}");
    assert_eq!(now.used(), 0, "frames were lost");
    assert!(memory::is_as_before(at_boot), "not merged as at boot");
}
