//! The tables of a page.

use super::page::shown;
use super::sheets::{Allocator, Figures, Sheet, mean, sound};
use crate::csv::Row;
use crate::plot::figure;
use crate::statistics::geometric_mean;
use maud::{Markup, html};

/// A sheet as a table. Under each peer's figure stands how many times ours it is.
pub(super) fn sheet_table(sheet: &Sheet, ours: Option<&Allocator>) -> Markup {
    let own = ours.and_then(|ours| sheet.row(ours));
    let has_mean = !sheet.is_ordered && sheet.columns.len() > 1;
    html! {
        div.scroll {
            table {
                tr {
                    th { "" }
                    @for column in &sheet.columns { th { (column) } }
                    @if has_mean { th { "mean" } }
                }
                @for (allocator, cells) in &sheet.rows {
                    tr.ours[ours == Some(allocator)].kin[allocator.is_ours()] {
                        td { (allocator.name) }
                        @for (column, cell) in cells.iter().enumerate() {
                            (cell_of(sheet, column, allocator, cell.as_ref(), own))
                        }
                        @if has_mean {
                            td { @match mean(cells) { Some(mean) => (figure(mean)), None => "–" } }
                        }
                    }
                }
            }
        }
    }
}

fn cell_of(
    sheet: &Sheet,
    column: usize,
    allocator: &Allocator,
    cell: Option<&Row>,
    own: Option<&[Option<Row>]>,
) -> Markup {
    let Some(row) = cell else { return html! { td { "–" } } };
    let best = sheet.best(column, |_| true).is_some_and(|(best, _)| best == allocator);
    let mark = match row.status.split(':').next() {
        Some("part") => "~",
        Some("failed") => "!",
        _ => "",
    };
    let ratio = own.and_then(|own| Some(sheet.ratio(sound(own[column].as_ref())?, sound(cell)?)));
    let ratio = ratio.filter(|_| !allocator.is_ours());
    html! {
        td.best[best] title=(row.status) {
            @match shown(cell) {
                Some(median) => { (figure(median)) (mark) },
                None => { @if mark.is_empty() { "–" } @else { (mark) } },
            }
            @if let Some(ratio) = ratio {
                small class=(class(ratio)) { (figure(ratio)) "×" }
            } @else if let Some(spread) = spread(row) {
                small { "± " (spread) " %" }
            }
        }
    }
}

/// Whether the peer or this project's is the better one.
fn class(ratio: f64) -> &'static str {
    if ratio >= 1.0 { "win" } else { "loss" }
}

/// Half the width of the middle half of the runs, in percent of the median.
fn spread(row: &Row) -> Option<String> {
    let (low, high, median) = (row.low?, row.high?, row.median.filter(|median| *median > 0.0)?);
    let percent = (high - low) / 2.0 / median * 100.0;
    let words = if percent < 100.0 { format!("{percent:.0}") } else { ">\u{202f}100".to_owned() };
    (row.runs > 1).then_some(words)
}

/// One figure for each peer and kind of work: the geometric mean of all that can be compared.
pub(super) fn glance(figures: &Figures) -> Markup {
    let Some(ours) = figures.ours() else { return html! {} };
    let columns = columns(figures);
    let peers: Vec<&Allocator> = figures.allocators.iter().filter(|&peer| peer != ours).collect();
    let cells = |peer: &Allocator| -> Vec<Vec<f64>> {
        columns.iter().map(|column| column.ratios(ours, peer, &peers)).collect()
    };
    let rows: Vec<(&Allocator, Vec<Vec<f64>>)> = peers
        .iter()
        .filter(|peer| columns.iter().any(|column| column.is_of(peer)))
        .map(|peer| (*peer, cells(peer)))
        .filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()))
        .collect();
    html! {
        section id="glance" {
            h2 { "At a glance" }
            p {
                "How many times as much each peer takes as " strong { (ours.name) } ". "
                span.key {
                    span { span.win { "Above 1, " (ours.name) " is the better one" } "; " }
                    span { span.loss { "below 1, the peer is" } "." }
                }
            }
            (outcome(figures, ours))
            div.card.scroll {
                table {
                    tr { th { "" } @for column in &columns { th { (column.name) } } }
                    @for (peer, cells) in &rows {
                        tr.kin[peer.is_ours()] {
                            td { (peer.name) }
                            @for (cell, column) in cells.iter().zip(&columns) {
                                (glance_cell(cell, column.count(ours)))
                            }
                        }
                    }
                }
            }
            p.quiet {
                "Geometric means over what both did completely and without a fault; where that is not \
                 all of it, how much it is stands below. Times, heaps and rates alike: 2× is twice the \
                 time, twice the memory, or half the rate."
            }
        }
    }
}

/// What a column of the first table is about.
struct Column<'a> {
    name: String,
    sheets: Vec<&'a Sheet>,
}

impl Column<'_> {
    /// Whether the column alone is reason enough for a row: allocators behind locks are compared in
    /// the rows of those that they lock.
    fn is_of(&self, peer: &Allocator) -> bool {
        self.name != THREADS && self.sheets.iter().any(|sheet| sheet.row(peer).is_some())
    }

    /// How many times worse than ours the peer is, in each cell; of threads, behind its best lock.
    fn ratios(&self, ours: &Allocator, peer: &Allocator, peers: &[&Allocator]) -> Vec<f64> {
        let of = |peer: &Allocator| -> Vec<f64> {
            self.sheets.iter().flat_map(|sheet| sheet.ratios(ours, peer)).collect()
        };
        if self.name != THREADS {
            return of(peer);
        }
        let locked = |other: &&&Allocator| other.without_lock() == peer.name;
        let all = peers.iter().filter(locked).map(|other| of(other)).filter(|all| !all.is_empty());
        let mean = |ratios: &Vec<f64>| geometric_mean(ratios).unwrap_or(f64::MAX);
        all.min_by(|one, other| mean(one).total_cmp(&mean(other))).unwrap_or_default()
    }

    /// In how many cells there is a figure of ours.
    fn count(&self, ours: &Allocator) -> usize {
        let cells = self.sheets.iter().filter_map(|sheet| sheet.row(ours)).flatten();
        cells.filter(|cell| sound(cell.as_ref()).is_some()).count()
    }
}

/// The column of rates of threads.
const THREADS: &str = "threads";

fn columns(figures: &Figures) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = Vec::new();
    for sheet in figures.sheets.iter().filter(|sheet| sheet.is_shown()) {
        let name = match (sheet.command.as_str(), sheet.workload.as_str()) {
            ("replay", _) => "time",
            ("minheap", _) => "memory",
            ("micro", workload) if !workload.is_empty() => first_word(workload),
            ("scale", "create") => "creation",
            (command, _) => command,
        };
        match columns.iter_mut().find(|column| column.name == name) {
            Some(column) => column.sheets.push(sheet),
            None => columns.push(Column { name: name.to_owned(), sheets: vec![sheet] }),
        }
    }
    columns
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

fn glance_cell(ratios: &[f64], all: usize) -> Markup {
    let Some(mean) = geometric_mean(ratios) else { return html! { td { "–" } } };
    // The bar's end stands for eight times as much, or an eighth.
    let width = (mean.log2().abs() / 3.0).min(1.0) * 50.0;
    html! {
        td {
            span class=(class(mean)) { (figure(mean)) "×" }
            span.bar { i class=(class(mean)) style={ "width:" (format!("{width:.1}")) "%" } {} }
            @if ratios.len() < all { small { (ratios.len()) " of " (all) } }
        }
    }
}

/// Wins and losses against the best peer of each work, counted.
fn outcome(figures: &Figures, ours: &Allocator) -> Markup {
    let (mut wins, mut losses, mut faults) = (0, 0, 0);
    for sheet in figures.sheets.iter().filter(|sheet| sheet.is_shown()) {
        let Some(own) = sheet.row(ours) else { continue };
        for (column, against) in sheet.against_best(ours).into_iter().enumerate() {
            match against {
                Some((_, ratio)) if ratio >= 1.0 => wins += 1,
                Some(_) => losses += 1,
                None => faults += usize::from(sound(own[column].as_ref()).is_none()),
            }
        }
    }
    html! {
        p {
            "Beside the best peer with a fixed region of each single figure, " (ours.name)
            " is the better one in " strong { (wins) } " and the worse one in "
            strong { (losses) } " of " (wins + losses) "."
            @if faults > 0 {
                " In " strong { (faults) } " more it went wrong, or was too slow, and cannot be \
                 compared: " a href="#faults" { "what went wrong" } "."
            }
        }
    }
}
