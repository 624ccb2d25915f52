//! Faults, planted where the command line says so: a run with one must fail, each in its own way.

use crate::machine::serial::say;
use crate::machine::{boot, pointer};
use crate::memory::frames;
use buddy_core::Order;
use buddy_core::frames::PhysicalAddress;
use core::arch::asm;
use spin::Mutex;

/// A frame is never freed.
pub(crate) const LEAK: &str = "fault=leak";
/// A second free is believed to succeed.
const DOUBLE: &str = "fault=double";
/// A wild write into the metadata.
pub(crate) const SMASH: &str = "fault=smash";
/// The frames are behind a lock, which the interrupt handler wants as well.
const LOCK: &str = "fault=lock";
/// The timer does not interrupt.
pub(crate) const SILENT: &str = "fault=silent";
/// A frame is written to by others than its owner.
pub(crate) const SCRIBBLE: &str = "fault=scribble";
/// An access where nothing is mapped.
const WILD: &str = "fault=wild";
/// The processor gives up.
const RESET: &str = "fault=reset";
/// The kernel never ends.
const HANG: &str = "fault=hang";

/// Plants what needs no more than frames.
pub(crate) fn plant_early() {
    if boot::is_told(DOUBLE) {
        let frame = frames().allocate_one().expect("a frame");
        frames().free_one(frame).expect("the first free");
        frames().free_one(frame).expect("the second free");
    }
    if boot::is_told(WILD) {
        // SAFETY: none: this is the fault.
        unsafe { pointer::<u8>(PhysicalAddress::new(1 << 45)).write_volatile(0) };
    }
    if boot::is_told(RESET) {
        let nothing = [0_u16; 5];
        // SAFETY: none: without a table of interrupts the first one resets the machine.
        unsafe { asm!("lidt [{}]", "int3", in(reg) &raw const nothing) };
    }
    if boot::is_told(HANG) {
        say!("This takes for ever.");
        loop {
            core::hint::spin_loop();
        }
    }
}

/// Plants what shows itself at the end.
pub(crate) fn plant_late() {
    if boot::is_told(LEAK) {
        let _ = frames().allocate(Order::MIN);
    }
    if boot::is_told(SMASH) {
        let middle = frames().metadata().start.saturating_add(1024);
        let word = pointer::<u64>(middle);
        // SAFETY: none: this is the fault, in memory that is mapped.
        let value = unsafe { word.read_volatile() };
        // SAFETY: as before.
        unsafe { word.write_volatile(value ^ 0b01 << 10) };
    }
}

static A_LOCK: Mutex<()> = Mutex::new(());

/// Makes a call of the frames; with the fault, behind a lock.
#[inline]
pub(crate) fn perhaps_locked<R>(is_told: bool, call: impl FnOnce() -> R) -> R {
    let _guard = is_told.then(|| A_LOCK.lock());
    call()
}

/// Whether there is a lock.
pub(crate) fn is_locked() -> bool {
    boot::is_told(LOCK)
}

/// What a handler does where there is a lock: it waits for it.
pub(crate) fn wait_for_the_lock() {
    for _ in 0..1_000_000 {
        if A_LOCK.try_lock().is_some() {
            return;
        }
    }
    panic!("a handler waits for a lock that is held by the code it interrupted");
}
