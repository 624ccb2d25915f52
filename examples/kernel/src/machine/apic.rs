//! The local interrupt controller of each processor: its timer, and calls to other processors.

use super::interrupts::{SPURIOUS, TIMER};
use super::pointer;
use buddy_core::frames::PhysicalAddress;
use x86_64::instructions::port::Port;

/// Where every processor finds its own.
pub(crate) const BASE: PhysicalAddress = PhysicalAddress::new(0xfee0_0000);

/// Its registers.
#[derive(Clone, Copy)]
enum Register {
    Id = 0x20,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    CommandLow = 0x300,
    CommandHigh = 0x310,
    Timer = 0x320,
    TimerCount = 0x380,
    TimerNow = 0x390,
    TimerDivisor = 0x3e0,
}

const ENABLED: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const IS_SENDING: u32 = 1 << 12;
const DIVIDE_BY_1: u32 = 0b1011;

/// Ticks of the timer in a microsecond, on QEMU: its clock has 1 GHz.
const TICKS_PER_MICROSECOND: u32 = 1000;

fn address(register: Register) -> *mut u32 {
    pointer(BASE.saturating_add(register as u64))
}

fn read(register: Register) -> u32 {
    // SAFETY: the controller's page is mapped, and reading has no effect.
    unsafe { address(register).read_volatile() }
}

fn write(register: Register, value: u32) {
    // SAFETY: the controller's page is mapped; what is written here starts nothing but interrupts that
    // are prepared for, and other processors.
    unsafe { address(register).write_volatile(value) }
}

/// Turns the calling processor's controller on, and the one of old PCs off.
pub(crate) fn start() {
    for port in [0x21, 0xa1] {
        // SAFETY: the masks of the old controllers.
        unsafe { Port::<u8>::new(port).write(0xff) };
    }
    write(Register::Spurious, ENABLED | u32::from(SPURIOUS));
    write(Register::TimerDivisor, DIVIDE_BY_1);
}

/// The calling processor's number in the hardware.
pub(crate) fn id() -> u8 {
    (read(Register::Id) >> 24) as u8
}

/// Has the timer interrupt the calling processor, once.
pub(crate) fn start_timer(microseconds: u32) {
    write(Register::Timer, u32::from(TIMER));
    write(Register::TimerCount, microseconds * TICKS_PER_MICROSECOND);
}

/// No interrupt by the timer any more.
pub(crate) fn stop_timer() {
    write(Register::Timer, MASKED);
    write(Register::TimerCount, 0);
}

/// The interrupt is over.
pub(crate) fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// Waits, by the timer, which must not be in use.
pub(crate) fn wait(microseconds: u32) {
    write(Register::Timer, MASKED);
    write(Register::TimerCount, microseconds * TICKS_PER_MICROSECOND);
    while read(Register::TimerNow) != 0 {
        core::hint::spin_loop();
    }
}

fn command(id: u8, command: u32) {
    write(Register::CommandHigh, u32::from(id) << 24);
    write(Register::CommandLow, command);
    while read(Register::CommandLow) & IS_SENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Resets a processor; it waits to be started (INIT).
pub(crate) fn reset(id: u8) {
    command(id, 0x4500);
}

/// Starts a processor at a frame below 1 MiB (SIPI).
pub(crate) fn start_at(id: u8, frame: u8) {
    command(id, 0x4600 | u32::from(frame));
}
