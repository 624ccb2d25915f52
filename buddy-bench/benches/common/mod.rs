//! What the criterion benches have in common: groups of workloads with all allocators in each.
//!
//! The work is that of the command `micro`, with the same seed. Allocators that fail, and those that
//! are too slow for it, are left out, and that is told.

use buddy_bench::arena::Arena;
use buddy_bench::measure::{Field, Heaps};
use buddy_bench::meter::Limit;
use buddy_bench::peers::ROSTER;
use buddy_bench::workloads::suite;
use criterion::{Criterion, Throughput};
use std::time::Duration;

/// Of the work and of the checks.
pub(crate) const SEED: u64 = 1;

/// Criterion with times that fit a dozen allocators in each of many groups.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args()
}

/// The groups of the suite's workloads whose names begin so.
#[allow(dead_code, reason = "frames and threads are no workloads of heaps")]
pub(crate) fn heaps(name: &str) {
    let workloads: Vec<_> =
        suite(SEED).into_iter().filter(|workload| workload.name.starts_with(name)).collect();
    let largest = workloads.iter().map(|workload| workload.heap_bytes).max().unwrap_or(0);
    let mut arena = match Arena::new(largest) {
        Ok(arena) => arena,
        Err(error) => return eprintln!("{error}"),
    };
    let mut criterion = criterion();
    let contestants: Vec<_> = ROSTER.iter().collect();
    for workload in &workloads {
        let heaps = Heaps { workload, contestants: &contestants, arena: &mut arena };
        group(&mut criterion, heaps);
    }
    criterion.final_summary();
}

/// A group: some work, and all who do it.
pub(crate) fn group(criterion: &mut Criterion, mut field: impl Field) {
    let label = field.label();
    let mut group = criterion.benchmark_group(label.title());
    group.throughput(Throughput::Elements(label.lap as u64));
    for (index, entrant) in field.entrants().iter().enumerate() {
        let limit = Limit { time: label.patience(), ..Limit::events(label.lap) };
        let check = field.check(index, Limit { time: label.patience() * 4, ..limit }, SEED);
        if let Some(faults) = check.faults(0) {
            eprintln!("{} ({}), {}: {faults}", entrant.name, entrant.package, label.title());
            continue;
        }
        if check.stop.is_some() || field.time(index, limit).stop.is_some() {
            eprintln!("{} ({}), {}: too slow", entrant.name, entrant.package, label.title());
            continue;
        }
        group.bench_function(entrant.name, |bencher| {
            bencher.iter_custom(|laps| {
                let events = label.lap.saturating_mul(usize::try_from(laps).unwrap_or(usize::MAX));
                field.time(index, Limit::events(events)).elapsed
            });
        });
    }
    group.finish();
}
