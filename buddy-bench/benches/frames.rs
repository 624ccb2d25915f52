//! Page frames of orders 0 to 10, in 1 and 16 GiB.

mod common;

use buddy_bench::ranges::{RANGES, Ranges};
use buddy_bench::workloads::frames;

fn main() {
    let mut criterion = common::criterion();
    let contestants: Vec<_> = RANGES.iter().collect();
    for frames in &frames(common::SEED) {
        common::group(&mut criterion, Ranges { frames, contestants: &contestants });
    }
    criterion.final_summary();
}
