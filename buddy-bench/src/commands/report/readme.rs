//! The README's section of figures, from the same lines as everything else.

use super::sheets::{Allocator, Figures, Sheet, sound, versions};
use crate::plot::figure;
use crate::statistics::geometric_mean;
use std::fmt::Write;

/// Where the section begins and ends.
pub(super) const MARKS: [&str; 2] = ["<!-- figures -->\n", "<!-- /figures -->\n"];

/// A README with its section replaced; `None` if it has none.
pub(super) fn with_section(readme: &str, figures: &Figures) -> Option<String> {
    let (before, rest) = readme.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    let section = section(figures);
    Some(format!("{before}{}{section}{}{after}", MARKS[0], MARKS[1]))
}

/// The section: machine, versions, a table for each command, and what it comes to.
fn section(figures: &Figures) -> String {
    let mut text = String::new();
    let machines = figures.machines.join("; ");
    let versions = versions(&figures.allocators);
    let _ = writeln!(text, "On {machines}, with {}.\n", versions.join(", "));
    let commands = ["replay", "minheap", "micro", "latency", "scale", "threads"];
    for command in commands {
        let sheets: Vec<&Sheet> = figures
            .sheets
            .iter()
            .filter(|sheet| sheet.command == command && sheet.is_shown())
            .collect();
        if let Some(table) = table(command, &sheets, figures) {
            text.push_str(&table);
        }
    }
    text.push_str(
        "**bold**: the best of those that manage a fixed region and nothing else. `~`: too slow for \
         the whole, left out. `!`: something went wrong (overlap, misalignment, a refused request, a \
         panic), as the report says. `-`: not measured.\n",
    );
    text
}

/// One table: a sheet's columns or, of several sheets, the geometric mean of each.
fn table(command: &str, sheets: &[&Sheet], figures: &Figures) -> Option<String> {
    let first = sheets.first()?;
    let mut text = String::new();
    let columns: Vec<Column<'_>> = sheets.iter().flat_map(|sheet| columns(sheet)).collect();
    let _ = write!(text, "| {} |", head(command, first));
    for column in &columns {
        let _ = write!(text, " {} |", column.name);
    }
    let _ = writeln!(text, "\n|---|{}", "--:|".repeat(columns.len()));
    for allocator in &figures.allocators {
        if sheets.iter().all(|sheet| sheet.row(allocator).is_none()) {
            continue;
        }
        let _ = write!(text, "| {} |", allocator.name);
        for column in &columns {
            let _ = write!(text, " {} |", column.cell(allocator));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "\n{}\n", outcome(&columns, figures.ours()?));
    Some(text)
}

fn head(command: &str, sheet: &Sheet) -> String {
    match command {
        "replay" => format!("time per event of a trace, {}", unit(sheet)),
        "minheap" => "smallest heap / peak of live bytes".to_owned(),
        "micro" => "time per operation, ns (means over the sizes)".to_owned(),
        "latency" => format!("the slowest calls, {} (the last percentile)", sheet.unit),
        "scale" => format!("{} (means over the heaps)", sheet.unit),
        _ => format!("{command}, {} (more is better)", sheet.unit),
    }
}

fn unit(sheet: &Sheet) -> &str {
    sheet.unit.split_once('/').map_or(sheet.unit.as_str(), |(unit, _)| unit)
}

/// A column of a table: some columns of a sheet.
struct Column<'a> {
    name: String,
    sheet: &'a Sheet,
    places: Vec<usize>,
}

fn columns(sheet: &Sheet) -> Vec<Column<'_>> {
    let of = |name: String, places: Vec<usize>| Column { name, sheet, places };
    let last = sheet.columns.len().saturating_sub(1);
    match sheet.command.as_str() {
        "latency" => vec![of(format!("{} {}", sheet.workload, sheet.columns[last]), vec![last])],
        "micro" | "scale" if !sheet.workload.is_empty() => {
            vec![of(sheet.workload.clone(), (0..=last).collect())]
        }
        _ => {
            sheet.columns.iter().enumerate().map(|(at, name)| of(name.clone(), vec![at])).collect()
        }
    }
}

impl Column<'_> {
    fn figure(&self, allocator: &Allocator) -> Option<f64> {
        let row = self.sheet.row(allocator)?;
        let figures: Option<Vec<f64>> =
            self.places.iter().map(|&at| sound(row[at].as_ref())).collect();
        geometric_mean(&figures?)
    }

    /// How much worse the best peer is than `ours`, and which it is.
    fn against_best(&self, ours: &Allocator) -> Option<(&Allocator, f64)> {
        let own = self.figure(ours)?;
        let peers = self.contenders().filter(|(allocator, _)| !allocator.is_ours());
        let ratios = peers.map(|(peer, figure)| (peer, self.sheet.ratio(own, figure)));
        ratios.min_by(|one, other| one.1.total_cmp(&other.1))
    }

    fn contenders(&self) -> impl Iterator<Item = (&Allocator, f64)> {
        let fixed = self.sheet.rows.iter().map(|(allocator, _)| allocator);
        let fixed = fixed.filter(|allocator| allocator.has_fixed_region());
        fixed.filter_map(|allocator| Some((allocator, self.figure(allocator)?)))
    }

    fn cell(&self, allocator: &Allocator) -> String {
        let Some(row) = self.sheet.row(allocator) else { return "-".to_owned() };
        let worst = |word: &str| {
            let mut cells = self.places.iter().filter_map(|&at| row[at].as_ref());
            cells.any(|cell| cell.status.starts_with(word))
        };
        let Some(own) = self.figure(allocator) else {
            if worst("floor") {
                let figures = self.places.iter().filter_map(|&at| row[at].as_ref()?.median);
                let mean = geometric_mean(&figures.collect::<Vec<_>>());
                return mean.map_or("-".to_owned(), figure);
            }
            let mark = if worst("failed") {
                "!"
            } else if worst("part") {
                "~"
            } else {
                "-"
            };
            return mark.to_owned();
        };
        let best = self.contenders().all(|(_, other)| self.sheet.ratio(own, other) >= 1.0);
        let text = figure(own);
        if best && allocator.has_fixed_region() { format!("**{text}**") } else { text }
    }
}

/// In how many columns ours is the better one, and in which it is not.
fn outcome(columns: &[Column<'_>], ours: &Allocator) -> String {
    let compared: Vec<_> = columns
        .iter()
        .filter_map(|column| column.against_best(ours).map(|(peer, ratio)| (column, peer, ratio)))
        .collect();
    let told = |wins: bool| {
        let chosen = compared.iter().filter(|(.., ratio)| (*ratio >= 1.0) == wins);
        let words = chosen.map(|(column, peer, ratio)| {
            let times = if wins { *ratio } else { 1.0 / ratio };
            format!("{} ({times:.2} times, {})", column.name, peer.name)
        });
        words.collect::<Vec<_>>()
    };
    let (wins, losses) = (told(true), told(false));
    let list =
        |words: &[String]| if words.is_empty() { "nowhere".to_owned() } else { words.join(", ") };
    format!(
        "Beside the best peer of each column, `{}` is better on {}; worse on {}.",
        ours.name,
        list(&wins),
        list(&losses)
    )
}
