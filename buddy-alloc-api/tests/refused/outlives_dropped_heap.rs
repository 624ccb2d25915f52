use buddy_alloc_api::{Buddy, allocator_api2::boxed::Box};
use buddy_core::BuddyAllocator;

fn main() {
    let buddy = Buddy::new(BuddyAllocator::<4096, 16>::new(false));
    let boxed = Box::new_in(1, &buddy);
    drop(buddy);
    drop(boxed);
}
