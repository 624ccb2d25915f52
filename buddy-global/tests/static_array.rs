//! A whole program on a heap in the binary: threads, collections, blocks freed by other threads.
//! One test, so that nothing else allocates while the figures are compared.

use buddy_global::{BuddyHeap, static_heap};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

#[global_allocator]
static HEAP: BuddyHeap = static_heap!(32 << 20);

const THREADS: usize = 4;

/// Words, counted in a map of strings that grow one character at a time.
fn count_words(seed: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut state = seed;
    for _ in 0..5_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut word = String::new();
        for character in ((state >> 40) % 3_000).to_string().chars().rev() {
            word.push(character);
            word.push('-');
        }
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

/// Threads that count, and one that merges and frees what the others allocated.
fn work() -> usize {
    let (sender, receiver) = mpsc::channel::<BTreeMap<String, usize>>();
    let collector = thread::spawn(move || {
        let mut all = BTreeMap::new();
        for counts in receiver {
            for (word, count) in counts {
                *all.entry(word).or_insert(0) += count;
            }
        }
        all.values().sum()
    });
    let counters: Vec<_> = (0..THREADS)
        .map(|seed| {
            let sender = sender.clone();
            thread::spawn(move || {
                for round in 0..4 {
                    sender.send(count_words(seed * 100 + round)).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    for counter in counters {
        counter.join().unwrap();
    }
    collector.join().unwrap()
}

#[test]
fn threads_give_back_all_they_took() {
    // What the standard library allocates once and keeps is allocated here.
    assert_eq!(work(), THREADS * 4 * 5_000);
    let before = HEAP.total_allocated();
    for _ in 0..3 {
        assert_eq!(work(), THREADS * 4 * 5_000);
        assert_eq!(HEAP.total_allocated(), before);
    }
    HEAP.validate().unwrap();
    assert_eq!(HEAP.refused(), 0);
    assert!(HEAP.statistics().peak() * 16 > before + (64 << 10));

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
