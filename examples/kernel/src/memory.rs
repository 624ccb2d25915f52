//! The page frames of the machine: ten lines put the allocator into a kernel.

use crate::machine::boot::Boot;
use crate::machine::{MAPPED_AT_BOOT, OFFSET, cpu};
use buddy_core::frames::{Bootstrap, Frames, PhysicalAddress, mapped_at};
use buddy_core::{Atomic, Policy};
use spin::Once;

/// Each processor searches from a place of its own, told by its number.
pub(crate) struct PerCpu;

impl Policy for PerCpu {
    const CPUS: usize = cpu::MOST;
    /// A handler that interrupted a call waits in vain for what that call has in its hands: not long.
    const PATIENCE: u32 = 16;

    #[inline(always)]
    fn cpu() -> usize {
        cpu::number()
    }
}

static FRAMES: Once<Frames<'static, Atomic, PerCpu>> = Once::new();

unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
}

/// Where the kernel itself lies.
pub(crate) fn image() -> core::ops::Range<PhysicalAddress> {
    let at = |symbol: *const u8| PhysicalAddress::new(symbol.addr() as u64);
    at(&raw const image_start)..at(&raw const image_end)
}

/// Sets up the frames, with no heap: only the first 4 GiB are mapped yet.
pub(crate) fn start(boot: &Boot) {
    // A reference to address 0 there cannot be, so the frame there is nobody's.
    let null = PhysicalAddress::new(0)..PhysicalAddress::new(1);
    let bootstrap = Bootstrap::new(boot.map().iter().copied()).reserve([null, image()]);
    let reach = mapped_at(OFFSET, MAPPED_AT_BOOT);
    FRAMES.call_once(|| {
        // SAFETY: the page tables map these addresses there; all that is in use of the usable memory
        // is the kernel, and the map, which was copied.
        unsafe { bootstrap.place(reach) }.expect("frames")
    });
}

/// The frames. Any code on any processor calls them at any time.
#[inline]
pub(crate) fn frames() -> &'static Frames<'static, Atomic, PerCpu> {
    FRAMES.get().expect("frames, since the start")
}
