//! The tables of a run: allocators in rows, traces in columns.

use super::measure::{Effort, Measured, Outcome};
use crate::peers::{Contestant, is_ours};
use crate::replay::Stop;
use crate::smallest::Smallest;
use crate::statistics::geometric_mean;
use crate::table::Table;
use std::io::{self, Write};

const NOTES: &str = "\
* best of those that manage a fixed region and nothing else, where all was replayed without a fault
~ only the first part of the trace was replayed, as the failures table says: too slow for the rest
  (the heap is then a multiple of that part's peak)
Each pass begins with a fresh allocator in the same memory; of each block the first byte is written.
Requests of several threads are replayed in their total order by one. The system's allocator has no
region, takes memory where it likes, and keeps it from pass to pass.";

pub(super) fn write(
    out: &mut impl Write,
    results: &[Measured],
    contestants: &[&'static Contestant],
    effort: &Effort,
) -> io::Result<()> {
    writeln!(out, "{}", traces(results))?;
    let rounds = effort.rounds;
    let title = format!(
        "Time per event, ns: median of up to {rounds} rounds (± half the width of the middle half)"
    );
    let time = Figure { title, value: median, text: time_text, summary: |ns| format!("{ns:.1} ") };
    writeln!(out, "{}", time.table(results, contestants))?;
    let tolerance = effort.tolerance * 100.0;
    let title = format!(
        "Smallest heap that completes the trace, as a multiple of the peak of live bytes\n\
         (metadata and the allocator's own value counted; to {tolerance} %)"
    );
    let heap = Figure { title, value: ratio, text: heap_text, summary: |to| format!("{to:.3} ") };
    writeln!(out, "{}", heap.table(results, contestants))?;
    writeln!(out, "{}", failures(results, contestants))?;
    write_faults(out, results)?;
    writeln!(out, "{NOTES}")
}

/// The head of a table: the traces' names.
fn head(results: &[Measured]) -> Vec<String> {
    let names = results.iter().map(|measured| measured.trace.clone());
    [String::new()].into_iter().chain(names).collect()
}

fn traces(results: &[Measured]) -> Table {
    let mut table = Table::new("Traces", head(results));
    let mut row = |name: &str, text: fn(&Measured) -> String| {
        let cells = results.iter().map(text);
        table.row([name.to_owned()].into_iter().chain(cells).collect());
    };
    row("events", |measured| measured.events.to_string());
    row("threads", |measured| measured.threads.to_string());
    row("peak of live bytes, MiB", |measured| mebibytes(measured.peak_bytes));
    row("memory given, MiB", |measured| mebibytes(measured.arena_bytes));
    table
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn mebibytes(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// A figure that is the better the smaller it is, and how to tell it.
struct Figure {
    title: String,
    /// The figure, if there is one.
    value: fn(&Outcome) -> Option<f64>,
    /// What the cell says, with a mark.
    text: fn(&Measured, &Outcome, char) -> String,
    /// What a mean says.
    summary: fn(f64) -> String,
}

fn median(outcome: &Outcome) -> Option<f64> {
    outcome.time.map(|time| time.median)
}

fn ratio(outcome: &Outcome) -> Option<f64> {
    outcome.smallest.and_then(|heap| heap.ratio())
}

fn time_text(_: &Measured, outcome: &Outcome, mark: char) -> String {
    outcome.time.map_or("- ".to_owned(), |time| {
        let spread = (time.spread() * 100.0).round();
        let digits = usize::from(time.median < 1000.0);
        format!("{:.digits$}{mark}±{spread:>2} %", time.median)
    })
}

fn heap_text(measured: &Measured, outcome: &Outcome, mark: char) -> String {
    let Some(heap) = outcome.smallest else { return "- ".to_owned() };
    match (heap.bytes, heap.ratio()) {
        (_, Some(ratio)) => format!("{ratio:.3}{mark}"),
        (Smallest::NotEnough, _) => format!("> {} ", measured.arena_bytes / measured.peak_bytes),
        _ => "? ".to_owned(),
    }
}

/// Whether an outcome may be compared: the whole trace, and nothing wrong.
fn is_comparable(measured: &Measured, outcome: &Outcome) -> bool {
    outcome.timed_events == measured.events && outcome.refused == 0 && outcome.check.is_clean()
}

impl Figure {
    fn table(&self, results: &[Measured], contestants: &[&'static Contestant]) -> Table {
        let mut head = head(results);
        head.push("mean ".to_owned());
        let mut table = Table::new(&self.title, head);
        for (index, contestant) in contestants.iter().enumerate() {
            let cells = results.iter().map(|measured| self.cell(measured, index));
            let mut row: Vec<String> =
                [contestant.name.to_owned()].into_iter().chain(cells).collect();
            row.push(self.mean(results, index).map_or("- ".to_owned(), self.summary));
            table.row(row);
        }
        if contestants.first().is_some_and(|first| is_ours(first)) {
            self.compare(&mut table, results, contestants[0].name);
        }
        table
    }

    fn cell(&self, measured: &Measured, index: usize) -> String {
        let outcome = &measured.outcomes[index];
        let best = self.best(measured, |_| true).map(|(best, _)| best);
        let mark = if outcome.timed_events < measured.events {
            '~'
        } else if best == Some(outcome.contestant.name) {
            '*'
        } else {
            ' '
        };
        (self.text)(measured, outcome, mark)
    }

    /// The mean over all traces, if there is a figure for the whole of each.
    fn mean(&self, results: &[Measured], index: usize) -> Option<f64> {
        let whole = |measured: &Measured| {
            let outcome = &measured.outcomes[index];
            (self.value)(outcome).filter(|_| outcome.timed_events == measured.events)
        };
        let values: Option<Vec<f64>> = results.iter().map(whole).collect();
        geometric_mean(&values?)
    }

    /// The best contestant with a fixed region, of those that `filter` lets pass.
    fn best(
        &self,
        measured: &Measured,
        filter: fn(&Contestant) -> bool,
    ) -> Option<(&'static str, f64)> {
        let fixed = measured.outcomes.iter().filter(|outcome| {
            outcome.contestant.fixed
                && filter(outcome.contestant)
                && is_comparable(measured, outcome)
        });
        let values =
            fixed.filter_map(|outcome| Some((outcome.contestant.name, (self.value)(outcome)?)));
        values.min_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    /// Two rows: the best peer of each trace, and the first contestant's ratio to it.
    fn compare(&self, table: &mut Table, results: &[Measured], ours: &str) {
        let mut peers = vec!["best peer".to_owned()];
        let mut row = vec![format!("{ours} / best peer")];
        let mut ratios = Vec::new();
        for measured in results {
            let best = self.best(measured, |contestant| !is_ours(contestant));
            let own = Some(&measured.outcomes[0]).filter(|own| is_comparable(measured, own));
            let own = own.and_then(self.value);
            let ratio = own.zip(best).map(|(own, (_, best))| own / best);
            peers.push(format!("{} ", best.map_or("-", |(name, _)| name)));
            row.push(ratio.map_or("- ".to_owned(), |ratio| format!("{ratio:.2} ")));
            ratios.extend(ratio);
        }
        row.push(geometric_mean(&ratios).map_or("- ".to_owned(), |mean| format!("{mean:.2} ")));
        table.line();
        table.row(peers);
        table.row(row);
    }
}

fn failures(results: &[Measured], contestants: &[&'static Contestant]) -> Table {
    let title = "Failures, every block checked (place, alignment, contents)";
    let mut table = Table::new(title, head(results));
    for (index, contestant) in contestants.iter().enumerate() {
        let cells = results.iter().map(|measured| verdict(measured, &measured.outcomes[index]));
        table.row([contestant.name.to_owned()].into_iter().chain(cells).collect());
    }
    table
}

pub(super) fn verdict(measured: &Measured, outcome: &Outcome) -> String {
    let check = &outcome.check;
    let counts = [
        (check.refused.max(outcome.refused), "refused"),
        (check.misaligned, "misaligned"),
        (check.damaged, "damaged"),
    ];
    let wrong = counts.iter().filter(|(count, _)| *count > 0);
    let mut words: Vec<String> = wrong.map(|(count, what)| format!("{count} {what}")).collect();
    if check.stop == Some(Stop::Panic) {
        words.push("panic".to_owned());
    }
    if words.is_empty() {
        words.push("none".to_owned());
    }
    if outcome.timed_events < measured.events && outcome.check.is_usable() {
        words.push(format!("~{}", percent(outcome.timed_events, measured.events)));
    }
    words.join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", part as f64 / whole as f64 * 100.0)
}

/// The first fault of each allocator, in words.
fn write_faults(out: &mut impl Write, results: &[Measured]) -> io::Result<()> {
    for measured in results {
        for outcome in &measured.outcomes {
            if let Some(fault) = outcome.check.first {
                let name = outcome.contestant.name;
                writeln!(out, "! {name} on {}, first at {fault}", measured.trace)?;
            }
        }
    }
    Ok(())
}
