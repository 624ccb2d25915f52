use buddy_alloc_api::{Buddy, allocator_api2::vec::Vec};
use buddy_core::BuddyAllocator;

fn main() {
    let buddy = Buddy::new(BuddyAllocator::<4096, 16>::new(false));
    let numbers = Vec::<u8, _>::with_capacity_in(10, &buddy);
    let moved = buddy;
    drop((moved, numbers));
}
