use buddy_alloc_api::{Buddy, allocator_api2::vec::Vec};
use buddy_core::BuddyAllocator;

type Owned = Buddy<BuddyAllocator<4096, 16>>;

fn numbers<'b>() -> Vec<u8, &'b Owned> {
    let buddy = Owned::new(BuddyAllocator::new(false));
    Vec::with_capacity_in(10, &buddy)
}

fn main() {
    drop(numbers());
}
