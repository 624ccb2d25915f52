//! A budget of memory per request: a request that asks for too much fails, the server goes on.

use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::collections::TryReserveError;
use buddy_alloc_api::allocator_api2::vec::Vec;
use buddy_core::{Heap, Plain};
use core::mem::MaybeUninit;

const BUDGET: usize = 64 << 10;

/// Sums squares, by a detour through memory of the budget.
fn handle(request: usize, memory: &mut [MaybeUninit<u8>]) -> Result<u64, TryReserveError> {
    let heap = Heap::<&mut [Plain], 16>::from_region(memory).expect("room for one block");
    let buddy = Buddy::new(heap);
    let mut squares = Vec::new_in(&buddy);
    squares.try_reserve(request)?;
    squares.extend((0..request as u64).map(|number| number * number));
    Ok(squares.iter().sum())
}

fn main() {
    let mut memory = vec![MaybeUninit::uninit(); BUDGET];
    for request in [10, 3_000, 1_000_000, 4_000] {
        match handle(request, &mut memory) {
            Ok(sum) => println!("{request:>9} numbers: {sum}"),
            Err(_) => println!("{request:>9} numbers: refused, more than {BUDGET} bytes"),
        }
    }
}
