//! Interrupts: the timer, and faults, which end the run.

use super::serial::print_at_any_cost;
use super::{Exit, apic, exit};
use crate::story::interrupts::on_tick;
use core::sync::atomic::Ordering::Relaxed;
use spin::Once;
use x86_64::VirtAddr;
use x86_64::structures::idt::{Entry, InterruptDescriptorTable};

/// The timer's vector.
pub(crate) const TIMER: u8 = 0x20;
/// The vector of interrupts that are none.
pub(crate) const SPURIOUS: u8 = 0xff;

/// Bytes of a stack for interrupts.
pub(crate) const STACK_BYTES: usize = 16 << 10;

/// Which of a processor's stacks the timer's interrupts run on.
pub(crate) const TIMER_STACK: u16 = 0;
/// And faults.
pub(crate) const FAULT_STACK: u16 = 1;

static TABLE: Once<InterruptDescriptorTable> = Once::new();

unsafe extern "C" {
    fn timer_entry();
    fn spurious_entry();
    fn fault_0();
    fn fault_3();
    fn fault_6();
    fn fault_8();
    fn fault_10();
    fn fault_11();
    fn fault_12();
    fn fault_13();
    fn fault_14();
    fn fault_17();
}

/// Has the calling processor's interrupts arrive here.
pub(crate) fn load() {
    let table = TABLE.call_once(|| {
        let mut table = InterruptDescriptorTable::new();
        set(&mut table[TIMER], timer_entry, TIMER_STACK);
        set(&mut table[SPURIOUS], spurious_entry, TIMER_STACK);
        set(&mut table.divide_error, fault_0, FAULT_STACK);
        set(&mut table.breakpoint, fault_3, FAULT_STACK);
        set(&mut table.invalid_opcode, fault_6, FAULT_STACK);
        set(&mut table.double_fault, fault_8, FAULT_STACK);
        set(&mut table.invalid_tss, fault_10, FAULT_STACK);
        set(&mut table.segment_not_present, fault_11, FAULT_STACK);
        set(&mut table.stack_segment_fault, fault_12, FAULT_STACK);
        set(&mut table.general_protection_fault, fault_13, FAULT_STACK);
        set(&mut table.page_fault, fault_14, FAULT_STACK);
        set(&mut table.alignment_check, fault_17, FAULT_STACK);
        table
    });
    table.load();
}

fn set<F>(entry: &mut Entry<F>, handler: unsafe extern "C" fn(), stack: u16) {
    let address = VirtAddr::from_ptr(handler as *const ());
    // SAFETY: the entry points save and restore what the interrupted code uses, or never return.
    let options = unsafe { entry.set_handler_addr(address) };
    // SAFETY: every processor has that many stacks, and each is for interrupts that do not come
    // while it is in use: handlers are not interrupted, and faults do not return.
    unsafe { options.set_stack_index(stack) };
}

/// The timer's interrupt, from its entry point.
#[unsafe(no_mangle)]
extern "C" fn timer_arrived() {
    let cpu = super::cpu::Cpu::current();
    cpu.ticks.fetch_add(1, Relaxed);
    if cpu.is_inside() {
        cpu.inside_ticks.fetch_add(1, Relaxed);
    }
    cpu.in_handler.store(true, Relaxed);
    on_tick(cpu);
    cpu.in_handler.store(false, Relaxed);
    apic::end_of_interrupt();
}

/// What an interrupt leaves on the stack.
#[repr(C)]
struct Fault {
    vector: u64,
    code: u64,
    instruction: u64,
    segment: u64,
    flags: u64,
    stack: u64,
}

/// A fault, from its entry point.
#[unsafe(no_mangle)]
extern "C" fn fault_arrived(fault: &Fault, address: u64) -> ! {
    let Fault { vector, code, instruction, stack, .. } = fault;
    print_at_any_cost(format_args!(
        "FAULT {vector} (code {code:#x}, address {address:#x}) at {instruction:#x}, stack {stack:#x}\n"
    ));
    exit(Exit::Failure)
}
