//! All figures of a run, one line for each trace and allocator.

use super::measure::{Measured, Outcome};
use crate::csv::write_row;
use crate::machine;
use crate::smallest::Smallest;
use std::io::{self, Write};

const HEAD: [&str; 21] = [
    "trace",
    "events",
    "peak_bytes",
    "arena_bytes",
    "allocator",
    "package",
    "ns_per_event",
    "ns_min",
    "ns_max",
    "rounds",
    "events_timed",
    "refused",
    "events_checked",
    "refused_checked",
    "misaligned",
    "damaged",
    "smallest_heap_bytes",
    "smallest_heap_ratio",
    "cpu",
    "cores",
    "rustc",
];

pub(super) fn write(out: &mut impl Write, results: &[Measured]) -> io::Result<()> {
    write_row(out, HEAD)?;
    for measured in results {
        for outcome in &measured.outcomes {
            write_row(out, row(measured, outcome))?;
        }
    }
    out.flush()
}

/// Figures that there are not are empty.
fn row(measured: &Measured, outcome: &Outcome) -> [String; HEAD.len()] {
    let Outcome { contestant, check, time, smallest, .. } = outcome;
    let ns = |ns: Option<f64>| ns.map_or(String::new(), |ns| format!("{ns:.3}"));
    let heap = smallest.and_then(|heap| match heap.bytes {
        Smallest::Bytes(bytes) => Some((bytes, heap.ratio()?)),
        Smallest::NotEnough | Smallest::OutOfTime => None,
    });
    [
        measured.trace.clone(),
        measured.events.to_string(),
        measured.peak_bytes.to_string(),
        measured.arena_bytes.to_string(),
        contestant.name.to_owned(),
        contestant.package.to_owned(),
        ns(time.map(|time| time.median)),
        ns(time.map(|time| time.min)),
        ns(time.map(|time| time.max)),
        time.map_or(0, |time| time.rounds).to_string(),
        outcome.timed_events.to_string(),
        outcome.refused.to_string(),
        check.events.to_string(),
        check.refused.to_string(),
        check.misaligned.to_string(),
        check.damaged.to_string(),
        heap.map_or(String::new(), |(bytes, _)| bytes.to_string()),
        heap.map_or(String::new(), |(_, ratio)| format!("{ratio:.4}")),
        machine::cpu_model(),
        machine::cores().to_string(),
        machine::RUSTC.to_owned(),
    ]
}
