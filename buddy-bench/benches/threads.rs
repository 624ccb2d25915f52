//! Allocators shared by 1, 2, 4, .. threads, which free each other's blocks.

mod common;

use buddy_bench::arena::Arena;
use buddy_bench::machine;
use buddy_bench::shared::{SHARED, Shared};
use buddy_bench::workloads::{Exchange, exchanges};

fn main() {
    let works = exchanges(machine::cores(), common::SEED);
    let largest = works.iter().map(Exchange::heap_bytes).max().unwrap_or(0);
    let mut arena = match Arena::new(largest) {
        Ok(arena) => arena,
        Err(error) => return eprintln!("{error}"),
    };
    let mut criterion = common::criterion();
    let contestants: Vec<_> = SHARED.iter().collect();
    for exchange in &works {
        let shared = Shared { exchange, contestants: &contestants, arena: &mut arena };
        common::group(&mut criterion, shared);
    }
    criterion.final_summary();
}
