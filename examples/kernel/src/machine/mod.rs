//! The machine: what any kernel for x86-64 has, with nothing of allocators in it.

pub(crate) mod acpi;
pub(crate) mod apic;
pub(crate) mod boot;
pub(crate) mod cpu;
pub(crate) mod interrupts;
pub(crate) mod serial;
pub(crate) mod smp;

use buddy_core::frames::PhysicalAddress;
use core::arch::{asm, global_asm};

global_asm!(include_str!("../asm/boot.s"), options(att_syntax));
global_asm!(include_str!("../asm/memory.s"), options(att_syntax));
global_asm!(include_str!("../asm/interrupts.s"), options(att_syntax));
global_asm!(include_str!("../asm/trampoline.s"), options(att_syntax));

/// Where physical memory is mapped: address 0 at this one, and so on.
pub(crate) const OFFSET: usize = 0xffff_8000_0000_0000;

/// How far physical memory is mapped by the page tables that the kernel begins with.
pub(crate) const MAPPED_AT_BOOT: PhysicalAddress = PhysicalAddress::new(4 << 30);

/// Where a physical address is mapped.
pub(crate) fn pointer<T>(address: PhysicalAddress) -> *mut T {
    core::ptr::with_exposed_provenance_mut(OFFSET + address.get() as usize)
}

/// How a run ends: QEMU's exit status is twice the code, plus one.
#[derive(Clone, Copy)]
pub(crate) enum Exit {
    Success = 0x10,
    Failure = 0x01,
}

/// Ends the machine.
pub(crate) fn exit(code: Exit) -> ! {
    // SAFETY: QEMU's device for debugging; on another machine nothing is at this port.
    unsafe {
        asm!("out dx, eax", in("dx") 0xf4_u16, in("eax") code as u32, options(nomem, nostack));
    }
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}
