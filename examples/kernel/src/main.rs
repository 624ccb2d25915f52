//! A kernel on this project's allocators: page frames from the firmware's memory map, page tables on
//! frames, a heap on pages, and neither has a lock. It boots in QEMU, tells what it does, proves that
//! no frame was lost, and ends. `cargo run -- smp` here, or `ci/kernel.sh` for all variants.
//!
//! ```text
//!   memory.rs   the page frames: what a kernel of yours needs of this, first
//!   paging.rs   page tables on frames          heap.rs   the heap on pages, #[global_allocator]
//!   story/      what is done with them, chapter by chapter
//!   machine/    what any kernel has: boot, processors, interrupts, timer, log; asm/ its assembly
//! ```
#![no_std]
#![no_main]

extern crate alloc;

mod heap;
mod machine;
mod memory;
mod paging;
mod story;

use core::panic::PanicInfo;
use machine::boot::Boot;
use machine::cpu::CPUS;
use machine::serial::{print_at_any_cost, say};
use machine::{Exit, apic, exit};

/// Where boot.s goes, on the first processor's stack, with 4 GiB of physical memory mapped.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(info: u64) -> ! {
    CPUS[0].become_current();
    // SAFETY: what boot.s was given.
    let boot = unsafe { Boot::read(info) };

    say!("== Memory");
    memory::start(boot);
    let at_boot = story::memory::tell(boot);

    say!("== Page tables and heap");
    paging::start(boot);
    heap::start(boot);
    apic::start();
    story::memory::tell_heap();

    say!("== Collections");
    story::collections::run();

    say!("== Interrupts");
    story::interrupts::run();

    say!("== Exhaustion");
    story::exhaustion::run();

    say!("== Processors");
    story::processors::run(boot);

    say!("== The end");
    story::proof::run(&at_boot);
    say!("Nothing was lost.");
    exit(Exit::Success)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    print_at_any_cost(format_args!("PANIC on processor {}: {info}\n", machine::cpu::number()));
    exit(Exit::Failure)
}

// `core` and `alloc` were compiled to unwind; nothing does here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(Exit::Failure)
}
