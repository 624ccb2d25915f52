//! What the others here do, done right.

use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::vec::Vec;
use buddy_core::{Atomic, BuddyAllocator, Heap};
use core::mem::MaybeUninit;

type Owned = Buddy<BuddyAllocator<4096, 16>>;

fn numbers(buddy: &Owned) -> Vec<u8, &Owned> {
    Vec::with_capacity_in(10, buddy)
}

fn main() {
    let buddy = Owned::new(BuddyAllocator::new(false));
    drop(numbers(&buddy));
    let moved = buddy;
    drop(numbers(&moved));
    drop(moved.into_inner());

    let mut memory = [MaybeUninit::uninit(); 4096];
    let buddy = Buddy::new(Heap::<&mut [Atomic], 16>::from_region(&mut memory).unwrap());
    let numbers = Vec::<u8, _>::with_capacity_in(10, &buddy);
    std::thread::scope(|scope| {
        scope.spawn(move || drop(numbers));
    });
}
