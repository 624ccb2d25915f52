use buddy_alloc_api::Buddy;
use buddy_core::BuddyAllocator;
use hashbrown::HashSet;

fn main() {
    let buddy = Buddy::new(BuddyAllocator::<4096, 16>::new(false));
    let mut set = HashSet::new_in(&buddy);
    set.insert(1);
    let heap = buddy.into_inner();
    set.insert(2);
    drop(heap);
}
