//! A whole program on a heap in the binary: real work on several threads, blocks freed by others
//! than allocated them. One test, so that nothing else allocates while the figures are compared.

mod work;

use buddy_global::{BuddyHeap, static_heap};

#[global_allocator]
static HEAP: BuddyHeap = static_heap!(64 << 20);

#[test]
fn threads_give_back_all_they_took() {
    work::assert_all_is_given_back(|| HEAP.total_allocated());
    HEAP.validate().unwrap();
    assert_eq!(HEAP.refused(), 0);
    assert!(HEAP.statistics().peak() * 16 > 1 << 20);

    too_much_is_an_error_and_no_more();
}

fn too_much_is_an_error_and_no_more() {
    let before = HEAP.total_allocated();
    let mut bytes = vec![7_u8; 1 << 20];
    assert!(bytes.try_reserve(64 << 20).is_err());
    assert!(bytes.iter().all(|byte| *byte == 7));
    drop(bytes);
    assert_eq!(HEAP.total_allocated(), before);
}
