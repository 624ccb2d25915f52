//! All figures of a run: time and smallest heap of each trace and allocator.

use super::measure::{Measured, Outcome};
use super::tables::verdict;
use crate::csv::{OK, Row, rounded};
use crate::machine;
use crate::smallest::Smallest;

pub(super) fn rows(results: &[Measured]) -> Vec<Row> {
    let mut rows = vec![machine::row()];
    for measured in results {
        for outcome in &measured.outcomes {
            rows.push(time(measured, outcome));
            rows.extend(heap(measured, outcome).into_iter().flatten());
        }
    }
    rows
}

fn row(measured: &Measured, outcome: &Outcome) -> Row {
    Row {
        command: "replay".to_owned(),
        workload: measured.trace.clone(),
        allocator: outcome.contestant.name.to_owned(),
        package: outcome.contestant.package.to_owned(),
        status: status(measured, outcome),
        ..Row::default()
    }
}

fn status(measured: &Measured, outcome: &Outcome) -> String {
    let words = verdict(measured, outcome);
    match words.as_str() {
        "none" => OK.to_owned(),
        _ if outcome.check.is_clean() && outcome.refused == 0 => format!("part: {words}"),
        _ => format!("failed: {words}"),
    }
}

fn time(measured: &Measured, outcome: &Outcome) -> Row {
    let mut row = row(measured, outcome);
    "time".clone_into(&mut row.metric);
    "ns/event".clone_into(&mut row.unit);
    if let Some(time) = outcome.time {
        row.median = Some(rounded(time.median));
        row.low = Some(rounded(time.quartiles.0));
        row.high = Some(rounded(time.quartiles.1));
        row.runs = time.rounds;
    }
    row
}

/// The heap in bytes and as a multiple of the peak.
fn heap(measured: &Measured, outcome: &Outcome) -> Option<[Row; 2]> {
    let heap = outcome.smallest?;
    let bytes = match heap.bytes {
        #[expect(clippy::cast_precision_loss, reason = "heaps are far smaller than 2^53")]
        Smallest::Bytes(bytes) => Some(bytes as f64),
        Smallest::NotEnough | Smallest::OutOfTime => None,
    };
    let with = |metric: &str, unit: &str, figure: Option<f64>| {
        let mut row = Row { command: "minheap".to_owned(), ..row(measured, outcome) };
        metric.clone_into(&mut row.metric);
        unit.clone_into(&mut row.unit);
        (row.median, row.low, row.high) = (figure, figure, figure);
        row.runs = usize::from(figure.is_some());
        row
    };
    let ratio = heap.ratio().map(rounded);
    Some([with("heap", "bytes", bytes), with("heap / peak", "ratio", ratio)])
}
