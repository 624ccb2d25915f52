//! Work as real programs do it, on several threads, through crates that they use. All of it is
//! seeded: it allocates the same every time, but for how the threads meet.

use rayon::prelude::*;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::thread;

pub(crate) const THREADS: usize = 4;

/// Numbers that look like chance.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn word(&mut self) -> String {
        let length = 1 + self.below(12);
        (0..length).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }

    fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

/// A document as services exchange them: records with nested lists, texts, optional fields.
fn document(seed: u64, records: u64) -> Value {
    let mut numbers = Numbers(seed);
    let records: Vec<Value> = (0..records)
        .map(|id| {
            let tags: Vec<String> = (0..numbers.below(6)).map(|_| numbers.word()).collect();
            let orders: Vec<Value> = (0..numbers.below(4))
                .map(|_| json!({ "sku": numbers.word(), "count": numbers.below(50), "price": f64::from(numbers.below(1_000_000) as u32) / 100.0 }))
                .collect();
            let words = 3 + numbers.below(30);
            json!({
                "id": id,
                "name": format!("{} {}", numbers.word(), numbers.word()),
                "mail": format!("{}@{}.example", numbers.word(), numbers.word()),
                "note": numbers.text(words),
                "tags": tags,
                "orders": orders,
                "parent": if numbers.below(3) == 0 { Value::Null } else { json!(numbers.below(id + 1)) },
            })
        })
        .collect();
    json!({ "seed": seed, "records": records })
}

/// Writes a document, reads it back, changes it, and counts what it holds.
fn exchange_documents(seed: u64) -> usize {
    let mut value = document(seed, 400);
    let text = serde_json::to_string_pretty(&value).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read, value);
    let records = value["records"].as_array_mut().unwrap();
    records.retain(|record| record["parent"].is_null());
    for record in records {
        record["note"] = json!(record["note"].to_string().repeat(3));
    }
    serde_json::to_vec(&value).unwrap().len() + text.len()
}

/// Finds the mails of a document's text.
fn find_mails(seed: u64) -> usize {
    let text = document(seed, 200).to_string();
    let mail = Regex::new(r"(?P<user>[a-z]+)@(?P<domain>[a-z]+)\.example").unwrap();
    let found: Vec<String> = mail
        .captures_iter(&text)
        .map(|mail| format!("{}/{}", &mail["domain"], &mail["user"]))
        .collect();
    let masked = mail.replace_all(&text, "$domain@$user");
    assert_eq!((found.len(), mail.is_match(&masked)), (200, false));
    masked.len()
}

/// Counts words in maps of both kinds, which grow, shrink and are compared.
fn count_words(seed: u64) -> BTreeMap<String, usize> {
    let mut numbers = Numbers(seed);
    let mut sorted = BTreeMap::new();
    let mut hashed = HashMap::new();
    for _ in 0..5_000 {
        let word = numbers.below(900).to_string() + &numbers.word()[..1];
        *sorted.entry(word.clone()).or_insert(0) += 1;
        *hashed.entry(word).or_insert(0) += 1;
    }
    assert!(sorted.iter().all(|(word, count)| hashed[word] == *count));
    hashed.retain(|_, count| *count > 1);
    hashed.shrink_to_fit();
    sorted
}

/// Sorts and groups in a pool of threads that steal each other's work, and waits for the threads' end:
/// they free some of what they have in the very last moment.
fn share_out(seed: u64) -> usize {
    let mut threads = Vec::new();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS).spawn_handler(|thread| {
        threads.push(thread::spawn(|| thread.run()));
        Ok(())
    });
    let pool = pool.build().unwrap();
    let sum = pool.install(|| sort_and_group(seed));
    drop(pool);
    for thread in threads {
        thread.join().unwrap();
    }
    sum
}

fn sort_and_group(seed: u64) -> usize {
    let numbers = (0..20_000_u64).into_par_iter();
    let mut words: Vec<String> = numbers.map(|n| Numbers(seed ^ (n << 20)).word()).collect();
    words.par_sort();
    let group = |mut lengths: HashMap<usize, Vec<String>>, word: &String| {
        lengths.entry(word.len()).or_default().push(word.clone());
        lengths
    };
    let groups = words.par_iter().fold(HashMap::new, group);
    groups.map(|lengths| lengths.values().map(Vec::len).sum::<usize>()).sum()
}

/// Threads that work, and one that merges and frees what the others allocated.
pub(crate) fn work(seed: u64) -> usize {
    let (sender, receiver) = mpsc::sync_channel::<BTreeMap<String, usize>>(8);
    let collector = thread::spawn(move || {
        let mut all = BTreeMap::new();
        for counts in receiver {
            for (word, count) in counts {
                *all.entry(word).or_insert(0) += count;
            }
        }
        all.values().sum::<usize>()
    });
    let workers: Vec<_> = (0..THREADS as u64)
        .map(|thread| {
            let sender = sender.clone();
            let seed = seed * 1000 + thread;
            thread::spawn(move || {
                let mut sum = 0;
                for round in 0..3 {
                    sender.send(count_words(seed + 10 * round)).unwrap();
                    sum += exchange_documents(seed + 10 * round) + find_mails(seed + 10 * round);
                }
                sum
            })
        })
        .collect();
    drop(sender);
    let sum: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert_eq!(collector.join().unwrap(), THREADS * 3 * 5_000);
    sum
}

/// Works again and again: the bytes in use are the same after every round but the first, in which the
/// standard library and the crates allocate what they keep.
pub(crate) fn assert_all_is_given_back(used: impl Fn() -> usize) {
    let result = work(1);
    let before = used();
    for _ in 0..4 {
        assert_eq!(work(1), result);
        assert_eq!(used(), before);
    }
    assert_pools_are_given_back(&used);
}

/// What a pool's threads leave to each other to free, they free some rounds later; a round allocates
/// a hundred times as much.
fn assert_pools_are_given_back(used: impl Fn() -> usize) {
    const LEFT: usize = 64 << 10;
    assert_eq!(share_out(1), 20_000);
    let before = used();
    for round in 0..8 {
        assert_eq!(share_out(round), 20_000);
        assert!(used() <= before + LEFT, "{before} bytes in use before, {} after", used());
    }
}
