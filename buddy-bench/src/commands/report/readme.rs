//! The README's section of figures, from the same lines as everything else.

use super::sheets::{Allocator, Figures, Sheet, sound, versions};
use crate::csv::OK;
use crate::plot::figure;
use crate::statistics::geometric_mean;
use std::fmt::Write;

/// Where the section begins and ends.
pub(super) const MARKS: [&str; 2] = ["<!-- figures -->\n", "<!-- /figures -->\n"];

/// What is told of how long single calls take.
const PERCENTILE: &str = "p99.9";

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
        // Figures of one table have one unit, but for those of single kinds of work.
        let sheets: Vec<&Sheet> = sheets
            .iter()
            .copied()
            .filter(|sheet| command == "micro" || sheet.unit == sheets[0].unit)
            .collect();
        if let Some(table) = table(command, &sheets, figures) {
            text.push_str(&table);
        }
    }
    text.push_str(
        "**bold**: the best of those that manage a fixed region and nothing else; *beside the best \
         peer*: above 1, `buddy` is the better one. `~`: too slow for the whole, left out. `!`: something went wrong (overlap, misalignment, a refused request, a \
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
    let ours = figures.ours()?;
    let outcomes: Vec<String> = columns.iter().map(|column| outcome(column, ours)).collect();
    let _ = writeln!(text, "| *beside the best peer* | {} |", outcomes.join(" | "));
    let faults = columns.iter().filter(|column| column.figure(ours).is_none());
    let faults = faults
        .filter_map(|column| Some(format!("{} ({})", column.name, column.fault(ours)?)))
        .collect::<Vec<_>>();
    if !faults.is_empty() {
        let _ = writeln!(text, "\n`{}` has no figure for {}.", ours.name, faults.join(", "));
    }
    text.push('\n');
    Some(text)
}

fn head(command: &str, sheet: &Sheet) -> String {
    match command {
        "replay" => format!("time per event of a trace, {}", unit(sheet)),
        "minheap" => "smallest heap / peak of live bytes".to_owned(),
        "micro" => "time per operation, ns (means over the sizes)".to_owned(),
        "latency" => {
            let work = sheet.workload.rsplit_once(' ').map_or("", |(work, _)| work);
            format!("single calls, {PERCENTILE}, {} ({work})", sheet.unit)
        }
        "scale" => format!("time in ever larger heaps, {} ({})", unit(sheet), sheet.workload),
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
    let each = || sheet.columns.iter().enumerate();
    match sheet.command.as_str() {
        "latency" => {
            let place = sheet.columns.iter().position(|name| name == PERCENTILE);
            let kind = sheet.workload.rsplit(' ').next().unwrap_or_default();
            place.map(|place| of(kind.to_owned(), vec![place])).into_iter().collect()
        }
        "micro" if !sheet.workload.is_empty() => {
            vec![of(sheet.workload.clone(), each().map(|(at, _)| at).collect())]
        }
        "threads" => {
            let work = sheet.workload.trim_start_matches("threads, ");
            each().map(|(at, name)| of(format!("{work}, {name}"), vec![at])).collect()
        }
        _ => each().map(|(at, name)| of(name.clone(), vec![at])).collect(),
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

    /// What the first figure that is not sound says of itself.
    fn fault(&self, allocator: &Allocator) -> Option<&str> {
        let row = self.sheet.row(allocator)?;
        let mut cells = self.places.iter().filter_map(|&at| row[at].as_ref());
        cells.find(|cell| cell.status != OK).map(|cell| cell.status.as_str())
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

/// How many times as good ours is as the best peer.
fn outcome(column: &Column<'_>, ours: &Allocator) -> String {
    match column.against_best(ours) {
        Some((peer, ratio)) => format!("{ratio:.2}× {}", peer.name),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::{MACHINE, Row};

    fn row(workload: &str, allocator: &str, median: f64, status: &str) -> Row {
        let package = if allocator == "buddy" { "buddy-core 1.0" } else { "peers 2.0" };
        Row {
            command: "replay".to_owned(),
            workload: workload.to_owned(),
            allocator: allocator.to_owned(),
            package: package.to_owned(),
            metric: "time".to_owned(),
            unit: "ns/event".to_owned(),
            median: Some(median),
            runs: 3,
            status: status.to_owned(),
            ..Row::default()
        }
    }

    fn figures() -> Figures {
        let machine = Row {
            command: MACHINE.to_owned(),
            workload: "a processor".to_owned(),
            package: "rustc 1".to_owned(),
            median: Some(2.0),
            ..Row::default()
        };
        Figures::new(&[
            machine,
            row("one", "buddy", 10.0, OK),
            row("one", "talc", 20.0, OK),
            row("one", "system", 1.0, OK),
            row("one", "bump", 0.5, "floor: not an allocator"),
            row("two", "buddy", 30.0, OK),
            row("two", "talc", 20.0, OK),
            row("two", "system", 9.0, "part: 1 %"),
            row("three", "buddy", 30.0, "failed: 1 refused"),
            row("three", "talc", 20.0, OK),
        ])
    }

    #[test]
    fn better_worse_and_faults_are_told_alike() {
        let text = section(&figures());
        let start = "On a processor, 2 cores; rustc 1, with buddy-core 1.0, peers 2.0.";
        assert!(text.starts_with(start), "{text}");
        for line in [
            "| time per event of a trace, ns | one | two | three |",
            "| buddy | **10.0** | 30.0 | ! |",
            "| talc | 20.0 | **20.0** | **20.0** |",
            "| system | 1.00 | ~ | - |",
            "| bump | 0.50 | - | - |",
            "| *beside the best peer* | 2.00× talc | 0.67× talc | - |",
            "`buddy` has no figure for three (failed: 1 refused).",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_section_and_nothing_else_is_replaced() {
        let readme = format!("before\n{}stale\n{}after\n", MARKS[0], MARKS[1]);
        let new = with_section(&readme, &figures()).unwrap();
        assert!(new.starts_with("before\n<!-- figures -->\nOn a processor"));
        assert!(new.ends_with("<!-- /figures -->\nafter\n") && !new.contains("stale"));
        assert_eq!(with_section(&new, &figures()), Some(new));
        assert_eq!(with_section("no section", &figures()), None);
    }
}
