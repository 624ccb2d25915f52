//! One heap for several threads, without a lock: collections are made in one thread, grown in another
//! and freed in a third.

use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::vec::Vec;
use buddy_core::{Atomic, Heap};
use core::mem::MaybeUninit;
use hashbrown::HashMap;
use std::sync::mpsc;
use std::thread;

const WORKERS: u64 = 4;
const BATCHES: u64 = 200;

type Shared<'m> = Buddy<Heap<&'m mut [Atomic], 16>>;

/// How many numbers of each batch have how many prime factors.
fn count_factors<'b>(numbers: &[u64], shared: &'b Shared) -> Vec<(u32, u32), &'b Shared<'b>> {
    let mut counts = HashMap::new_in(shared);
    for &number in numbers {
        let (mut rest, mut factors) = (number, 0);
        for divisor in 2.. {
            if divisor * divisor > rest {
                break;
            }
            while rest % divisor == 0 {
                (rest, factors) = (rest / divisor, factors + 1);
            }
        }
        *counts.entry(factors + u32::from(rest > 1)).or_insert(0) += 1;
    }
    let mut result = Vec::with_capacity_in(counts.len(), shared);
    result.extend(counts);
    result
}

fn main() {
    let mut memory = vec![MaybeUninit::uninit(); 1 << 20];
    let shared: Shared = Buddy::new(Heap::from_region(&mut memory).expect("room for one block"));

    let mut totals = HashMap::new_in(&shared);
    thread::scope(|scope| {
        let (finished, results) = mpsc::channel();
        for worker in 0..WORKERS {
            let (finished, shared) = (finished.clone(), &shared);
            scope.spawn(move || {
                for batch in (worker..BATCHES).step_by(WORKERS as usize) {
                    let mut numbers = Vec::new_in(shared);
                    numbers.extend((1..=500).map(|number| batch * 500 + number));
                    // The result is freed by whoever receives it.
                    let _ = finished.send(count_factors(&numbers, shared));
                }
            });
        }
        drop(finished);
        for (factors, count) in results.into_iter().flatten() {
            *totals.entry(factors).or_insert(0) += count;
        }
    });

    let mut rows = Vec::new_in(&shared);
    rows.extend(&totals);
    rows.sort_unstable();
    for (factors, count) in rows {
        println!("{count:>6} numbers up to {} have {factors} prime factors", BATCHES * 500);
    }
    assert_eq!(totals.values().sum::<u32>(), (BATCHES * 500) as u32);
    drop(totals);

    let statistics = shared.heap().statistics();
    println!("{} bytes at most, {} left", statistics.peak() * 16, statistics.used() * 16);
    assert_eq!(statistics.used(), 0);
}
