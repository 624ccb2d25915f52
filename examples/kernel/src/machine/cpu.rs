//! What each processor has of its own.

use super::interrupts::{self, FAULT_STACK, STACK_BYTES, TIMER_STACK};
use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::registers::model_specific::GsBase;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// How many processors are started at most.
pub(crate) const MOST: usize = 4;

/// A processor.
#[repr(C)]
pub(crate) struct Cpu {
    /// The first field: code finds its number at GS:0.
    number: usize,
    /// The code that an interrupt would interrupt is inside a call of an allocator.
    inside: AtomicBool,
    /// An interrupt handler runs.
    pub(crate) in_handler: AtomicBool,
    /// Interrupts.
    pub(crate) ticks: AtomicUsize,
    /// Interrupts that came inside a call of an allocator.
    pub(crate) inside_ticks: AtomicUsize,
    task: Once<TaskStateSegment>,
    segments: Once<GlobalDescriptorTable>,
    timer_stack: Stack,
    fault_stack: Stack,
}

#[repr(align(16))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the processor that it belongs to runs on it; no other code reads or writes it.
unsafe impl Sync for Stack {}

impl Stack {
    fn top(&self) -> VirtAddr {
        VirtAddr::from_ptr(self.0.get()) + STACK_BYTES as u64
    }
}

impl Cpu {
    const fn new(number: usize) -> Self {
        Self {
            number,
            inside: AtomicBool::new(false),
            in_handler: AtomicBool::new(false),
            ticks: AtomicUsize::new(0),
            inside_ticks: AtomicUsize::new(0),
            task: Once::new(),
            segments: Once::new(),
            timer_stack: Stack(UnsafeCell::new([0; STACK_BYTES])),
            fault_stack: Stack(UnsafeCell::new([0; STACK_BYTES])),
        }
    }

    /// The processor that runs this.
    #[inline]
    pub(crate) fn current() -> &'static Self {
        &CPUS[number()]
    }

    /// Makes a call of an allocator; the timer's handler knows while it runs.
    #[inline(never)]
    pub(crate) fn inside<R>(&self, call: impl FnOnce() -> R) -> R {
        let before = self.inside.swap(true, Relaxed);
        let result = call();
        self.inside.store(before, Relaxed);
        result
    }

    /// Whether that is so.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside.load(Relaxed)
    }

    /// Makes the calling processor this one: its number, its segments, its stacks for interrupts.
    pub(crate) fn become_current(&'static self) {
        GsBase::write(VirtAddr::from_ptr(self));
        let task = self.task.call_once(|| {
            let mut task = TaskStateSegment::new();
            let mut stacks = [VirtAddr::zero(); 7];
            stacks[usize::from(TIMER_STACK)] = self.timer_stack.top();
            stacks[usize::from(FAULT_STACK)] = self.fault_stack.top();
            task.interrupt_stack_table = stacks;
            task
        });
        let mut segments = GlobalDescriptorTable::new();
        let code = segments.append(Descriptor::kernel_code_segment());
        let data = segments.append(Descriptor::kernel_data_segment());
        let task = segments.append(Descriptor::tss_segment(task));
        self.segments.call_once(|| segments).load();
        // SAFETY: the table that was just loaded has a segment of 64-bit code there.
        unsafe { CS::set_reg(code) };
        // SAFETY: and one of data.
        unsafe { SS::set_reg(data) };
        // SAFETY: as before.
        unsafe { DS::set_reg(data) };
        // SAFETY: as before.
        unsafe { ES::set_reg(data) };
        // SAFETY: and the task, which has stacks for interrupts.
        unsafe { load_tss(task) };
        interrupts::load();
    }
}

/// All processors.
pub(crate) static CPUS: [Cpu; MOST] = [Cpu::new(0), Cpu::new(1), Cpu::new(2), Cpu::new(3)];

/// The number of the processor that runs this: one instruction.
#[inline(always)]
pub(crate) fn number() -> usize {
    let number: usize;
    // SAFETY: `become_current`, which comes first on each processor, has GS point to a `Cpu`.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) number, options(pure, readonly, nostack, preserves_flags));
    }
    number
}
