//! An ordinary program whose whole heap is an array in the binary.

use buddy_global::{BuddyHeap, static_heap};
use std::collections::BTreeMap;
use std::thread;

#[global_allocator]
static HEAP: BuddyHeap = static_heap!(8 << 20);

fn main() {
    println!("{} bytes in use before", HEAP.total_allocated());
    let threads: Vec<_> = (0..4_u32)
        .map(|thread| {
            thread::spawn(move || {
                (0..1000)
                    .map(|n| (n, format!("{thread}-{}", n * n)))
                    .collect::<BTreeMap<u32, String>>()
            })
        })
        .collect();
    let maps: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();

    println!("{} bytes in use with {} maps", HEAP.total_allocated(), maps.len());
    drop(maps);
    println!("{} bytes in use after", HEAP.total_allocated());
    println!("{}", HEAP.statistics());
}
