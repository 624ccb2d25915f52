//! All processors allocate, free, and hand frames to each other, each interrupted by its timer.

use super::stress::Worker;
use super::{interrupts, race};
use crate::heap::HEAP;
use crate::machine::boot::{self, Boot};
use crate::machine::cpu::{CPUS, MOST};
use crate::machine::serial::say;
use crate::machine::smp::{RUNNING, STACK_FRAMES, Trampoline};
use crate::machine::{acpi, apic};
use crate::memory::frames;
use crate::paging::TABLES;
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use x86_64::instructions::{hlt, interrupts::disable};

/// What each processor does; a run that is told to be `long` takes twenty times as many, one that
/// is told to be `short` a quarter.
const STEPS: usize = 60_000;

static MAY_START: AtomicBool = AtomicBool::new(false);
static WORKING: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);
static CALLS: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];
static SERVED: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];

/// Starts the other processors, has all of them work, and stops them.
pub(crate) fn run(boot: &Boot) {
    let trampoline = Trampoline::new();
    let with_tables = |change: &mut dyn FnMut(&mut crate::paging::Tables)| {
        change(TABLES.lock().as_mut().expect("page tables"));
    };
    with_tables(&mut |tables| tables.map_code(trampoline.frame()));
    let own = apic::id();
    let others = acpi::processors(boot.rsdp).filter(|id| *id != own).take(MOST - 1);
    let started: Vec<_> = others
        .zip(1..)
        .map(|(id, number)| (id, trampoline.wake(id, number, processor_main)))
        .collect();
    let count = started.len() + 1;
    assert_eq!(RUNNING.load(Acquire), count);
    say!("{count} of them: {} started at {}.", started.len(), trampoline.frame().address());

    for cpu in &CPUS {
        cpu.ticks.store(0, Relaxed);
        cpu.inside_ticks.store(0, Relaxed);
    }
    MAY_START.store(true, Release);
    work(0, count);
    while DONE.load(Acquire) < count {
        core::hint::spin_loop();
    }
    for (cpu, number) in CPUS.iter().zip(0..count) {
        let (ticks, inside) = (cpu.ticks.load(Relaxed), cpu.inside_ticks.load(Relaxed));
        let (calls, served) = (CALLS[number].load(Relaxed), SERVED[number].load(Relaxed));
        say!(
            "  processor {number}: {calls} calls; {ticks} interrupts, {inside} inside a call; {served} requests of its handler served"
        );
        assert!(inside > 0, "no interrupt came inside a call");
    }
    for (id, stack) in started {
        apic::reset(id);
        frames().free_sized(stack, STACK_FRAMES).expect("a stack");
    }
    with_tables(&mut |tables| {
        tables.unmap(trampoline.frame().address().get() as usize);
    });
    frames().free_one(trampoline.frame()).expect("the frame of the trampoline");
    assert_eq!(frames().validate(), Ok(()));
    assert_eq!(HEAP.heap().validate(), Ok(()));
    say!("They are stopped; the metadata of frames and heap is valid.");
}

/// Where a processor goes that was woken up, on a stack of its own.
extern "C" fn processor_main(number: usize) -> ! {
    CPUS[number].become_current();
    apic::start();
    RUNNING.fetch_add(1, Release);
    while !MAY_START.load(Acquire) {
        core::hint::spin_loop();
    }
    work(number, RUNNING.load(Acquire));
    loop {
        disable();
        hlt();
    }
}

/// A processor's work; it ends only when all have come so far, so that nothing stays in the mailbox.
fn work(number: usize, count: usize) {
    race::run(number, count);
    let mut worker = Worker::new(number as u64);
    interrupts::start();
    let steps = if boot::is_told("long") { 20 * STEPS } else { STEPS };
    let steps = if boot::is_told("short") { steps / 4 } else { steps };
    for _ in 0..steps {
        worker.step();
    }
    WORKING.fetch_add(1, Release);
    while WORKING.load(Acquire) < count {
        core::hint::spin_loop();
    }
    CALLS[number].store(worker.end(), Relaxed);
    SERVED[number].store(interrupts::stop().0, Relaxed);
    DONE.fetch_add(1, Release);
}
