//! A budget of memory per request: one that needs more is answered with an error, the server goes on.
//!
//! Each request gets a heap of its own over the same memory. Whatever it leaves behind is gone when
//! the next one starts.

use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::collections::TryReserveError;
use buddy_alloc_api::allocator_api2::vec::Vec;
use buddy_core::{Heap, Plain};
use core::mem::MaybeUninit;
use hashbrown::HashMap;

const BUDGET: usize = 64 << 10;

type Budget<'m> = Buddy<Heap<&'m mut [Plain], 16>>;

/// The request needs more than its budget.
#[derive(Debug)]
struct OverBudget;

// `Vec` and `HashMap` have error types of their own.
impl From<TryReserveError> for OverBudget {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}
impl From<hashbrown::TryReserveError> for OverBudget {
    fn from(_: hashbrown::TryReserveError) -> Self {
        Self
    }
}

/// The most frequent word, all intermediate results in memory of the budget.
fn most_frequent<'t>(text: &'t str, budget: &Budget) -> Result<Option<(&'t str, u32)>, OverBudget> {
    let mut counts = HashMap::new_in(budget);
    for word in text.split_whitespace() {
        counts.try_reserve(1)?;
        *counts.entry(word).or_insert(0) += 1;
    }
    let mut ranking = Vec::new_in(budget);
    ranking.try_reserve_exact(counts.len())?;
    ranking.extend(counts);
    ranking.sort_unstable_by_key(|&(word, count)| (core::cmp::Reverse(count), word));
    Ok(ranking.first().copied())
}

fn handle(name: &str, text: &str, memory: &mut [MaybeUninit<u8>]) {
    let heap = Heap::from_region(memory).expect("room for one block");
    let budget = Budget::new(heap);
    match most_frequent(text, &budget) {
        Ok(answer) => print!("{name}: {answer:?}"),
        Err(OverBudget) => print!("{name}: refused, more than {BUDGET} bytes"),
    }
    let peak = budget.heap().statistics().peak() * 16;
    println!(", {peak} bytes at most, {} left", budget.heap().total_allocated());
}

fn main() {
    let small = "one fish two fish red fish blue fish";
    let numbers =
        |count: u32| (0..count).map(|number| number.to_string()).collect::<std::vec::Vec<_>>();
    let (large, greedy) = (numbers(400).join(" "), numbers(100_000).join(" "));

    let mut memory = vec![MaybeUninit::uninit(); BUDGET];
    for (name, text) in
        [("small", small), ("greedy", &greedy), ("large", &large), ("small again", small)]
    {
        handle(name, text, &mut memory);
    }
}
