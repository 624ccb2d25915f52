use buddy_alloc_api::{Buddy, allocator_api2::vec::Vec};
use buddy_core::{Heap, Plain};
use core::mem::MaybeUninit;

fn main() {
    let mut memory = [MaybeUninit::uninit(); 4096];
    let buddy = Buddy::new(Heap::<&mut [Plain], 16>::from_region(&mut memory).unwrap());
    let numbers = Vec::<u8, _>::with_capacity_in(10, &buddy);
    memory.fill(MaybeUninit::new(0));
    drop(numbers);
}
