//! A kernel's heap from a memory map: the first region at boot, the others later, while the heap is
//! in use. The "physical memory" here is an array, so that this runs anywhere.

use buddy_global::BuddyHeap;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use std::error::Error;

/// With `#[global_allocator]`, in a kernel.
static HEAP: BuddyHeap<64> = BuddyHeap::empty();

/// What firmware says about a stretch of memory.
struct Entry {
    start: usize,
    len: usize,
    usable: bool,
}

/// Two usable stretches that touch, a hole, and another.
const MAP: [Entry; 4] = [
    Entry { start: 0, len: 1 << 20, usable: true },
    Entry { start: 1 << 20, len: 3 << 20, usable: true },
    Entry { start: 4 << 20, len: 1 << 20, usable: false },
    Entry { start: 5 << 20, len: 3 << 20, usable: true },
];

fn main() -> Result<(), Box<dyn Error>> {
    let memory = NonNull::from(vec![0_u8; 8 << 20].leak()).cast::<u8>();
    let total = MAP.iter().filter(|entry| entry.usable).map(|entry| entry.len).sum();

    let mut usable = MAP.iter().filter(|entry| entry.usable);
    let first = usable.next().ok_or("no memory")?;
    // SAFETY: inside the memory.
    let start = unsafe { memory.add(first.start) };
    // SAFETY: the map says that these bytes are there, and nobody's; the memory is one allocation.
    let size = unsafe { HEAP.init_raw_with_room(start, first.len, total)? };
    println!("booted with {size} bytes of {}: the metadata has room for {total}", first.len);

    // The kernel allocates already.
    let layout = Layout::from_size_align(100 << 10, 4096)?;
    // SAFETY: the size is not 0.
    let early = unsafe { HEAP.alloc(layout) };
    println!("100 KiB at an offset of {:#x}", early.addr() - memory.addr().get());

    for entry in usable {
        // SAFETY: inside the memory.
        let start = unsafe { memory.add(entry.start) };
        // SAFETY: as above.
        let added = unsafe { HEAP.add_raw(start, entry.len)? };
        println!("{added} bytes added at {:#x}; {} in all", entry.start, HEAP.size());
    }

    // SAFETY: the block of that layout.
    unsafe { HEAP.dealloc(early, layout) };
    HEAP.validate()?;
    println!("{}", HEAP.statistics());
    Ok(())
}
