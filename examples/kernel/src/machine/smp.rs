//! Starting the other processors: INIT, then SIPI twice (Intel's manual 3A, 9.4.4).

use super::{apic, pointer};
use crate::memory::frames;
use buddy_core::frames::{Frame, PhysicalAddress, Request};
use core::sync::atomic::{AtomicUsize, Ordering};
use x86_64::registers::control::Cr3;

/// How many frames a processor's stack has.
pub(crate) const STACK_FRAMES: usize = 16;

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
    static trampoline_gdt_base: u8;
    static trampoline_far: u8;
    static trampoline_cr3: u8;
    static trampoline_stack: u8;
    static trampoline_number: u8;
    static trampoline_entry: u8;
}

/// How many processors run, the first included.
pub(crate) static RUNNING: AtomicUsize = AtomicUsize::new(1);

/// Code for processors that wake up, in a frame below 1 MiB, where they can reach it.
pub(crate) struct Trampoline {
    frame: Frame,
}

impl Trampoline {
    /// Puts it there.
    pub(crate) fn new() -> Self {
        let low = Request::frames(1)
            .above(PhysicalAddress::new(4096))
            .below(PhysicalAddress::new(1 << 20));
        let frame = frames().allocate_within(&low).expect("a frame below 1 MiB");
        let trampoline = Self { frame };
        let length = (&raw const trampoline_end).addr() - (&raw const trampoline_start).addr();
        // SAFETY: the code in the image, and a frame that is this one's, which is longer.
        unsafe {
            pointer::<u8>(frame.address()).copy_from(&raw const trampoline_start, length);
        }
        let base = frame.address().get() as u32;
        for field in [&raw const trampoline_gdt_base, &raw const trampoline_far] {
            let field = trampoline.field::<u32>(field);
            // SAFETY: a field of the copy.
            let relative = unsafe { field.read_unaligned() };
            // SAFETY: as before.
            unsafe { field.write_unaligned(relative + base) };
        }
        trampoline
    }

    /// Where it lies.
    pub(crate) fn frame(&self) -> Frame {
        self.frame
    }

    /// A field of the copy.
    fn field<T>(&self, original: *const u8) -> *mut T {
        let offset = original.addr() - (&raw const trampoline_start).addr();
        pointer::<u8>(self.frame.address()).wrapping_add(offset).cast()
    }

    fn set(&self, original: *const u8, value: u64) {
        // SAFETY: a field of the copy, of 8 bytes.
        unsafe { self.field::<u64>(original).write_volatile(value) }
    }

    /// Starts a processor, and waits until it runs; returns its stack.
    pub(crate) fn wake(&self, id: u8, number: usize, entry: extern "C" fn(usize) -> !) -> Frame {
        let stack = frames().allocate_exact(STACK_FRAMES).expect("frames for a stack");
        let top = pointer::<u8>(stack.saturating_add(STACK_FRAMES).address());
        self.set(&raw const trampoline_cr3, Cr3::read().0.start_address().as_u64());
        self.set(&raw const trampoline_stack, top.addr() as u64);
        self.set(&raw const trampoline_number, number as u64);
        self.set(&raw const trampoline_entry, entry as usize as u64);
        let running = RUNNING.load(Ordering::Acquire);
        apic::reset(id);
        apic::wait(10_000);
        for _ in 0..2 {
            apic::start_at(id, self.frame.number() as u8);
            apic::wait(200);
            // Up to a second; a machine that is busy takes its time.
            for _ in 0..1000 {
                if RUNNING.load(Ordering::Acquire) > running {
                    return stack;
                }
                apic::wait(1000);
            }
        }
        panic!("processor {number} does not start");
    }
}
