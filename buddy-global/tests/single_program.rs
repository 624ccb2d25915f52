//! A whole program of one thread on a heap without a lock and without atomics. It has no test harness,
//! which would start threads.

use buddy_global::{LockedHeap, NoLock, StaticMemory};
use std::collections::{BTreeMap, HashMap};

static MEMORY: StaticMemory<{ 16 << 20 }> = StaticMemory::new();

// SAFETY: this program has one thread and no signal handler.
#[global_allocator]
static HEAP: LockedHeap<NoLock> = LockedHeap::over(unsafe { NoLock::new() }, &MEMORY);

fn work(seed: u64) -> usize {
    let document: serde_json::Value = (0..200)
        .map(|n| (format!("key {}", n * seed), serde_json::json!([n, null, { "seed": seed }])))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let text = document.to_string();
    let words = regex::Regex::new("[a-z]+").unwrap();
    let mut sorted = BTreeMap::new();
    let mut hashed = HashMap::new();
    for word in words.find_iter(&text) {
        *sorted.entry(word.as_str().to_owned()).or_insert(0) += 1;
        *hashed.entry(word.as_str()).or_insert(0) += 1;
    }
    assert!(sorted.iter().all(|(word, count)| hashed[word.as_str()] == *count));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), document);
    text.len()
}

fn main() {
    let lengths = [1, 2, 3].map(work);
    let before = HEAP.total_allocated();
    for _ in 0..20 {
        assert_eq!([1, 2, 3].map(work), lengths);
        assert_eq!(HEAP.total_allocated(), before);
    }
    assert!(Vec::<u8>::new().try_reserve(16 << 20).is_err());
    HEAP.validate().unwrap();
    assert_eq!((HEAP.total_allocated(), HEAP.refused()), (before, 0));
    println!("a program of one thread: {HEAP:?}");
}
