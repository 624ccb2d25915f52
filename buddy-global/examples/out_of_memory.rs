//! A program with a cache that it gives up when memory runs out, and a reserve for the worst case.

use buddy_global::{BuddyHeap, static_heap};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

#[global_allocator]
static HEAP: BuddyHeap = static_heap!(8 << 20).out_of_memory(give_up_something);

/// A cache of one entry. What the hook frees must be freed without a lock that somebody who
/// allocates may hold: here, whoever swaps the pointer out has the entry.
static CACHE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
const ENTRY: Layout = Layout::new::<[u8; 5 << 20]>();

/// Called without a lock, by the thread whose request cannot be served.
fn give_up_something(request: Layout) -> bool {
    let entry = CACHE.swap(ptr::null_mut(), Ordering::AcqRel);
    if entry.is_null() {
        eprintln!("no memory for {} bytes, and nothing left to give up", request.size());
        return false;
    }
    // SAFETY: the cache's entry, which nobody has any more.
    unsafe { HEAP.dealloc(entry, ENTRY) };
    eprintln!("no memory for {} bytes: the cache was given up", request.size());
    true
}

fn main() {
    // SAFETY: the size is not 0.
    CACHE.store(unsafe { HEAP.alloc(ENTRY) }, Ordering::Release);
    println!("{} bytes in use with the cache", HEAP.total_allocated());

    let numbers: Vec<u64> = (0..500_000).collect();
    println!("{} numbers, {} bytes in use", numbers.len(), HEAP.total_allocated());

    let too_many = Vec::<u8>::new().try_reserve(64 << 20);
    println!("64 MiB more: {too_many:?}");
}
