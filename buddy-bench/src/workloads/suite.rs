//! The workloads that are measured where nobody asks for others.

use super::{Batch, Churn, Exchange, Frames, Grow, Growth, Order, Pair, Scan, Work, Workload};
use crate::random::Random;
use std::iter;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All of them, kind by kind; equal seeds give equal work.
#[must_use]
pub fn suite(seed: u64) -> Vec<Workload> {
    let mut random = Random::new(seed);
    let mut workloads = Vec::new();
    pairs(&mut workloads, &mut random);
    batches(&mut workloads, &mut random);
    churns(&mut workloads, &mut random);
    scans(&mut workloads);
    growths(&mut workloads);
    workloads
}

/// Page frames of 4 KiB in 1 and 16 GiB.
#[must_use]
pub fn frames(seed: u64) -> Vec<Frames> {
    let mut random = Random::new(seed);
    let frames = |memory: usize| Frames::new(memory / 4096, &bytes(memory), &mut random);
    [1 << 30, 16 << 30].map(frames).into()
}

/// Threads that keep their blocks to themselves, and threads that hand every fourth to another: 1, 2,
/// 4, .. and as many as there are cores.
#[must_use]
pub fn exchanges(cores: usize, seed: u64) -> Vec<Exchange> {
    let mut random = Random::new(seed);
    let mut exchanges = Vec::new();
    for (name, swaps) in [("threads, own frees", 0), ("threads, 1/4 freed by others", 4)] {
        let exchange = |threads| Exchange::new(name, threads, swaps, &mut random);
        exchanges.extend(thread_counts(cores).into_iter().map(exchange));
    }
    exchanges
}

fn thread_counts(cores: usize) -> Vec<usize> {
    let powers = iter::successors(Some(1), |count| Some(2 * count));
    powers.take_while(|&count| count < cores).chain([cores]).collect()
}

fn workload(name: &str, parameter: String, heap_bytes: usize, work: Work) -> Workload {
    Workload { work, name: name.to_owned(), parameter, heap_bytes }
}

/// In an empty heap, and beside live blocks.
fn pairs(workloads: &mut Vec<Workload>, random: &mut Random) {
    for (name, live) in [("pair", 0), ("pair in use", 2000)] {
        for size in [16, 64, 256, 1024, 4096, 16 << 10, 64 << 10] {
            let pair = Pair::new(size, live, random);
            workloads.push(workload(name, bytes(size as usize), 16 * MIB, Work::Pair(pair)));
        }
    }
}

fn batches(workloads: &mut Vec<Workload>, random: &mut Random) {
    for (name, least, most) in [("batch 64 B", 64, 64), ("batch 16 B..4 KiB", 16, 4096)] {
        for order in [Order::Lifo, Order::Fifo, Order::Shuffled] {
            let batch = Batch::new(1000, least, most, order, random);
            let parameter = order.name().to_owned();
            workloads.push(workload(name, parameter, 16 * MIB, Work::Batch(batch)));
        }
    }
}

fn churns(workloads: &mut Vec<Workload>, random: &mut Random) {
    let mixes = [(1 << 10, 4 * MIB), (1 << 10, 64 * MIB), (64 << 10, 64 * MIB)];
    for (most, heap_bytes) in mixes {
        let churn = Churn::new(16, most, heap_bytes, random);
        let parameter = format!("16 B..{} in {}", bytes(most as usize), bytes(heap_bytes));
        workloads.push(workload("churn", parameter, heap_bytes, Work::Churn(churn)));
    }
}

fn scans(workloads: &mut Vec<Workload>) {
    for blocks in [100, 1000, 10_000, 100_000] {
        workloads.push(workload(
            "scan",
            blocks.to_string(),
            64 * MIB,
            Work::Scan(Scan::new(blocks)),
        ));
    }
}

fn growths(workloads: &mut Vec<Workload>) {
    for (growth, how) in [(Growth::Doubling, "doubling"), (Growth::Steps, "by 8 KiB")] {
        for (vectors, beside) in [(1, "alone"), (2, "two")] {
            let grow = Grow::new(vectors, growth);
            let parameter = format!("{how}, {beside}");
            workloads.push(workload("grow", parameter, 16 * MIB, Work::Grow(grow)));
        }
    }
}

/// A number of bytes as tables have it.
#[must_use]
pub fn bytes(bytes: usize) -> String {
    const GIB: usize = 1 << 30;
    match bytes {
        GIB.. if bytes % GIB == 0 => format!("{} GiB", bytes / GIB),
        MIB.. if bytes % MIB == 0 => format!("{} MiB", bytes / MIB),
        KIB.. if bytes % KIB == 0 => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn equal_seeds_give_equal_work() {
        let debug = |seed| format!("{:?} {:?} {:?}", suite(seed), frames(seed), exchanges(2, seed));
        assert!(debug(1) == debug(1) && debug(1) != debug(2));
    }

    #[test]
    fn no_two_works_are_called_the_same() {
        let suite = suite(1);
        let titles: BTreeSet<String> = suite.iter().map(|work| work.label().title()).collect();
        assert_eq!(titles.len(), suite.len());
    }

    #[test]
    fn threads_double_up_to_the_cores() {
        let counts = [1, 2, 6, 16].map(thread_counts);
        assert_eq!(counts, [vec![1], vec![1, 2], vec![1, 2, 4, 6], vec![1, 2, 4, 8, 16]]);
    }

    #[test]
    fn sizes_are_told_in_the_largest_unit_that_fits() {
        let told = [1, 1000, 1024, 1536, 3 << 20, 16 << 30].map(bytes);
        assert_eq!(told, ["1 B", "1000 B", "1 KiB", "1536 B", "3 MiB", "16 GiB"]);
    }
}
