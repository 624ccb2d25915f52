//! As `static_array.rs`, with a lock.

mod work;

use buddy_global::{LockedHeap, Spin, StaticMemory};

static MEMORY: StaticMemory<{ 64 << 20 }> = StaticMemory::new();

#[global_allocator]
static HEAP: LockedHeap<Spin> = LockedHeap::over(Spin::new(), &MEMORY);

#[test]
fn threads_give_back_all_they_took() {
    work::assert_all_is_given_back(|| HEAP.total_allocated());
    HEAP.validate().unwrap();
    assert_eq!(HEAP.refused(), 0);

    let before = HEAP.total_allocated();
    assert!(Vec::<u8>::new().try_reserve(64 << 20).is_err());
    assert_eq!(HEAP.total_allocated(), before);
}
