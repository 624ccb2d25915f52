//! An ordinary program on memory that it reserves from the system, up to a limit of its own.

use buddy_global::HostedHeap;
use std::collections::HashMap;
use std::fs;
use std::thread;

/// At most 2 GiB, whatever the machine has. Blocks from 1 MiB on go back when they are freed.
#[global_allocator]
static HEAP: HostedHeap = HostedHeap::with_limit(2 << 30).giving_back_from(1 << 20);

/// What the system says that this process has in memory.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: ?");
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

fn report(when: &str) {
    println!("{when:<30} {:>11} bytes in use, {:>10} resident", HEAP.total_allocated(), resident());
}

fn main() {
    report("at the start:");
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            thread::spawn(move || {
                (0..50_000).map(|n| (n, format!("{thread}-{n}"))).collect::<HashMap<u64, String>>()
            })
        })
        .collect();
    let maps: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
    report("with four maps:");
    drop(maps);
    report("after they were dropped:");
    HEAP.trim();
    report("after a trim:");
    let mut beyond = Vec::<u8>::new();
    println!(
        "3 GiB: {}",
        beyond.try_reserve(3 << 30).map_or_else(|e| e.to_string(), |()| "had".into())
    );
}
