//! A whole program on memory of the operating system, as `static_array.rs` is on an array.

#![cfg(all(feature = "hosted", target_os = "linux"))]

mod work;

use buddy_global::HostedHeap;

#[global_allocator]
static HEAP: HostedHeap = HostedHeap::with_limit(1 << 30);

#[test]
fn threads_give_back_all_they_took() {
    work::assert_all_is_given_back(|| HEAP.total_allocated());
    HEAP.validate().unwrap();
    assert_eq!(HEAP.refused(), 0);

    let before = HEAP.total_allocated();
    assert!(Vec::<u8>::new().try_reserve(1 << 30).is_err());
    assert_eq!(HEAP.total_allocated(), before);
}
