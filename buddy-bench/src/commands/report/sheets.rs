//! From lines of figures to what is shown together: sheets of one metric.

use crate::csv::{MACHINE, OK, Row};
use crate::statistics::geometric_mean;

/// Peers that take memory from the system as they please: they are shown, and compared with, but
/// the best peer is one that has a fixed region, as this project's allocators have.
const OWN_MEMORY: [&str; 4] = ["system", "mimalloc", "jemalloc", "snmalloc"];

/// What stands for a package where there is no allocator.
const FLOOR: &str = "the floor";

/// Commands in the order of a report; what is not here comes behind.
const COMMANDS: [&str; 6] = ["replay", "minheap", "micro", "latency", "scale", "threads"];

/// All figures of some files.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// The machines, in words.
    pub(super) machines: Vec<String>,
    /// The allocators in the order of the files.
    pub(super) allocators: Vec<Allocator>,
    /// What is shown together.
    pub(super) sheets: Vec<Sheet>,
    /// How many figures there are.
    pub(super) count: usize,
}

/// Who was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allocator {
    /// Its name in the tables.
    pub(super) name: String,
    /// Its package and version.
    pub(super) package: String,
}

/// Figures of one metric: allocators in rows, works in columns.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    /// Which command measured it.
    pub(super) command: String,
    /// What was done; empty if the columns tell.
    pub(super) workload: String,
    /// What was measured; empty if the columns tell.
    pub(super) metric: String,
    /// In which unit.
    pub(super) unit: String,
    /// Whether the columns are steps of one quantity, from small to large.
    pub(super) is_ordered: bool,
    /// What the columns are.
    pub(super) columns: Vec<String>,
    /// A row for each allocator that has any figure.
    pub(super) rows: Vec<(Allocator, Vec<Option<Row>>)>,
}

impl Allocator {
    /// Whether it is this project's.
    pub(super) fn is_ours(&self) -> bool {
        self.package.starts_with("buddy-core ")
    }

    /// Whether it has a fixed region and nothing else.
    pub(super) fn has_fixed_region(&self) -> bool {
        !OWN_MEMORY.contains(&self.name.as_str())
    }

    /// Its name without the lock that it is behind, if it is.
    pub(super) fn without_lock(&self) -> &str {
        let rest = self.name.strip_suffix("-spin").or(self.name.strip_suffix("-mutex"));
        rest.unwrap_or(&self.name)
    }

    /// Whether it is none: what the work costs by itself.
    pub(super) fn is_floor(&self) -> bool {
        self.package == FLOOR
    }

    fn of(row: &Row) -> Self {
        Self { name: row.allocator.clone(), package: row.package.clone() }
    }
}

impl Figures {
    /// Sorts the lines of one or several files.
    pub(super) fn new(rows: &[Row]) -> Self {
        let (machines, rows): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| row.command == MACHINE);
        // What a map tells, it draws itself.
        let rows: Vec<&Row> = rows.into_iter().filter(|row| row.command != "map").collect();
        let rank = |command: &str| COMMANDS.iter().position(|&known| known == command);
        let mut commands = distinct(rows.iter().map(|row| row.command.as_str()));
        commands.sort_by_key(|command| rank(command).unwrap_or(COMMANDS.len()));
        let sheets = commands.iter().flat_map(|&command| {
            let rows: Vec<&Row> =
                rows.iter().copied().filter(|row| row.command == command).collect();
            sheets_of(command, &rows)
        });
        Self {
            sheets: sheets.collect(),
            machines: distinct(machines.iter().map(|row| machine(row))),
            allocators: distinct(rows.iter().map(|row| Allocator::of(row))),
            count: rows.len(),
        }
    }

    /// The name of the allocator that the others are compared with: this project's first.
    pub(super) fn ours(&self) -> Option<&Allocator> {
        self.allocators.iter().find(|allocator| allocator.is_ours())
    }
}

fn machine(row: &Row) -> String {
    let cores = row.median.unwrap_or(0.0);
    let plural = if cores > 1.0 { "s" } else { "" };
    format!("{}, {cores} core{plural}; {}", row.workload, row.package)
}

/// Each of the things once, in the order in which they come.
pub(super) fn distinct<T: PartialEq>(things: impl IntoIterator<Item = T>) -> Vec<T> {
    things.into_iter().fold(Vec::new(), |mut all, thing| {
        if !all.contains(&thing) {
            all.push(thing);
        }
        all
    })
}

/// The sheets of a command: one for each work with several parameters or, of latencies, for each work
/// and kind of call; the other works share one.
fn sheets_of(command: &str, rows: &[&Row]) -> Vec<Sheet> {
    if command == "latency" {
        let works = distinct(rows.iter().map(|row| (&row.workload, &row.parameter, &row.unit)));
        return works
            .into_iter()
            .map(|work| {
                let rows: Vec<_> = rows
                    .iter()
                    .copied()
                    .filter(|row| (&row.workload, &row.parameter, &row.unit) == work)
                    .collect();
                let workload = format!("{} {}", work.0, work.1).trim().to_owned();
                sheet(command, workload, String::new(), true, &rows, |row| row.metric.clone())
            })
            .collect();
    }
    let metrics = distinct(rows.iter().map(|row| (&row.metric, &row.unit)));
    metrics
        .into_iter()
        .flat_map(|metric| {
            let rows: Vec<_> =
                rows.iter().copied().filter(|row| (&row.metric, &row.unit) == metric).collect();
            sheets_of_metric(command, &rows)
        })
        .collect()
}

fn sheets_of_metric(command: &str, rows: &[&Row]) -> Vec<Sheet> {
    let metric = rows.first().map_or(String::new(), |row| row.metric.clone());
    let parameters = |workload: &str| {
        let rows = rows.iter().filter(|row| row.workload == workload);
        distinct(rows.map(|row| row.parameter.as_str())).len()
    };
    let (mut sheets, mut shared) = (Vec::new(), Vec::new());
    for workload in distinct(rows.iter().map(|row| row.workload.as_str())) {
        let rows = rows.iter().copied().filter(|row| row.workload == workload);
        if parameters(workload) > 1 {
            let rows: Vec<_> = rows.collect();
            let column = |row: &Row| row.parameter.clone();
            let is_ordered = rows.iter().all(|row| is_quantity(&row.parameter));
            sheets.push(sheet(
                command,
                workload.to_owned(),
                metric.clone(),
                is_ordered,
                &rows,
                column,
            ));
        } else {
            shared.extend(rows);
        }
    }
    if !shared.is_empty() {
        let column = |row: &Row| format!("{} {}", row.workload, row.parameter).trim().to_owned();
        sheets.insert(0, sheet(command, String::new(), metric, false, &shared, column));
    }
    sheets
}

/// Whether it is one number, with a unit or without.
fn is_quantity(parameter: &str) -> bool {
    let mut words = parameter.split(' ');
    let is_number = words.next().is_some_and(|number| number.parse::<f64>().is_ok());
    is_number && words.count() <= 1
}

fn sheet(
    command: &str,
    workload: String,
    metric: String,
    is_ordered: bool,
    rows: &[&Row],
    column: impl Fn(&Row) -> String,
) -> Sheet {
    let columns = distinct(rows.iter().map(|row| column(row)));
    let cell = |allocator: &Allocator, name: &String| {
        let found =
            rows.iter().find(|row| Allocator::of(row) == *allocator && column(row) == *name);
        found.map(|&row| row.clone())
    };
    let lines = distinct(rows.iter().map(|row| Allocator::of(row))).into_iter().map(|allocator| {
        let cells = columns.iter().map(|name| cell(&allocator, name)).collect();
        (allocator, cells)
    });
    let unit = rows.first().map_or(String::new(), |row| row.unit.clone());
    let rows = lines.collect();
    Sheet { command: command.to_owned(), workload, metric, unit, is_ordered, columns, rows }
}

/// The packages and versions, each once.
pub(super) fn versions(allocators: &[Allocator]) -> Vec<&str> {
    let versioned = |package: &&str| package.contains(|c: char| c.is_ascii_digit());
    distinct(allocators.iter().map(|allocator| allocator.package.as_str()).filter(versioned))
}

/// Whether a figure may be compared: there is one, of the whole work, and nothing was wrong.
pub(super) fn sound(row: Option<&Row>) -> Option<f64> {
    row.filter(|row| row.status == OK)?.median.filter(|median| *median > 0.0)
}

/// The geometric mean of a row, if it has a sound figure in each column.
pub(super) fn mean(cells: &[Option<Row>]) -> Option<f64> {
    let figures: Option<Vec<f64>> = cells.iter().map(|cell| sound(cell.as_ref())).collect();
    geometric_mean(&figures?)
}

impl Sheet {
    /// Whether it is shown: of heaps in bytes the ratios say more.
    pub(super) fn is_shown(&self) -> bool {
        self.command != "minheap" || self.unit == "ratio"
    }

    /// Whether larger figures are better: what is counted is done in a time.
    pub(super) fn is_rate(&self) -> bool {
        self.unit.ends_with("/s")
    }

    /// How many times worse than `ours` a peer's figure is; below 1, it is better.
    pub(super) fn ratio(&self, ours: f64, peer: f64) -> f64 {
        if self.is_rate() { ours / peer } else { peer / ours }
    }

    /// The row of an allocator.
    pub(super) fn row(&self, allocator: &Allocator) -> Option<&[Option<Row>]> {
        let row = self.rows.iter().find(|(name, _)| name == allocator);
        row.map(|(_, cells)| cells.as_slice())
    }

    /// [`Self::ratio`] for each column where both have a sound figure.
    pub(super) fn ratios(&self, ours: &Allocator, peer: &Allocator) -> Vec<f64> {
        let (Some(ours), Some(peer)) = (self.row(ours), self.row(peer)) else { return Vec::new() };
        let cells = ours.iter().zip(peer);
        let both = |(ours, peer): (&Option<Row>, &Option<Row>)| {
            Some(self.ratio(sound(ours.as_ref())?, sound(peer.as_ref())?))
        };
        cells.filter_map(both).collect()
    }

    /// The best sound figure of a column among those with a fixed region that `filter` lets pass.
    pub(super) fn best(
        &self,
        column: usize,
        filter: fn(&Allocator) -> bool,
    ) -> Option<(&Allocator, f64)> {
        let contends = |allocator: &Allocator| filter(allocator) && allocator.has_fixed_region();
        let rows = self.rows.iter().filter(|(allocator, _)| contends(allocator));
        let figures =
            rows.filter_map(|(allocator, cells)| Some((allocator, sound(cells[column].as_ref())?)));
        let worth = |figure: f64| if self.is_rate() { -figure } else { figure };
        figures.min_by(|one, other| worth(one.1).total_cmp(&worth(other.1)))
    }

    /// How many times worse than ours the best peer of each column is, and which it is.
    pub(super) fn against_best(&self, ours: &Allocator) -> Vec<Option<(&Allocator, f64)>> {
        let own = self.row(ours);
        let compare = |column: usize| {
            let own = sound(own?[column].as_ref())?;
            let (peer, figure) = self.best(column, |allocator| !allocator.is_ours())?;
            Some((peer, self.ratio(own, figure)))
        };
        (0..self.columns.len()).map(compare).collect()
    }

    /// What it shows, in words.
    pub(super) fn title(&self) -> String {
        let what = match self.command.as_str() {
            "replay" => "Traces of real programs: time per event".to_owned(),
            "minheap" => "Smallest heap, as a multiple of the peak of live bytes".to_owned(),
            _ if self.workload.is_empty() => format!("{}: {}", self.command, self.metric),
            _ => self.workload.clone(),
        };
        let unit = if self.unit == "ratio" { String::new() } else { format!(", {}", self.unit) };
        let better = if self.is_rate() { " (more is better)" } else { "" };
        format!("{what}{unit}{better}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(work: [&str; 3], who: &str, metric: [&str; 2], median: f64) -> Row {
        let [command, workload, parameter] = work.map(str::to_owned);
        let [metric, unit] = metric.map(str::to_owned);
        let package = if who.starts_with("buddy") { "buddy-core 1" } else { "peer 1" }.to_owned();
        let (allocator, median, status) = (who.to_owned(), Some(median), OK.to_owned());
        Row {
            command,
            workload,
            parameter,
            allocator,
            package,
            metric,
            unit,
            median,
            low: median,
            high: median,
            runs: 3,
            status,
        }
    }

    const TIME: [&str; 2] = ["time", "ns/event"];

    fn sample() -> Vec<Row> {
        let mut slow = row(["replay", "git-log", ""], "linked", TIME, 1.0);
        slow.status = "part: 3 %".to_owned();
        vec![
            row(["threads", "exchange", "1 thread"], "buddy", ["rate", "Mops/s"], 10.0),
            row(["threads", "exchange", "2 threads"], "buddy", ["rate", "Mops/s"], 20.0),
            row(["threads", "exchange", "2 threads"], "talc", ["rate", "Mops/s"], 5.0),
            row(["replay", "git-log", ""], "buddy", TIME, 10.0),
            row(["replay", "git-log", ""], "talc", TIME, 20.0),
            row(["replay", "git-log", ""], "system", TIME, 5.0),
            slow,
            row(["replay", "cc1plus", ""], "buddy", TIME, 30.0),
            row(["replay", "cc1plus", ""], "talc", TIME, 20.0),
        ]
    }

    fn columns(sheet: &Sheet) -> Vec<&str> {
        sheet.columns.iter().map(String::as_str).collect()
    }

    #[test]
    fn works_with_parameters_have_sheets_of_their_own() {
        let figures = Figures::new(&sample());
        assert_eq!(figures.sheets.len(), 2);
        assert_eq!(columns(&figures.sheets[0]), ["git-log", "cc1plus"]);
        assert_eq!(columns(&figures.sheets[1]), ["1 thread", "2 threads"]);
        assert!(figures.sheets[1].is_ordered && !figures.sheets[0].is_ordered);
        let latency = |metric, figure| {
            row(["latency", "git-log", "alloc"], "buddy", [metric, "cycles"], figure)
        };
        let figures = Figures::new(&[latency("p50", 1.0), latency("max", 2.0)]);
        assert_eq!(columns(&figures.sheets[0]), ["p50", "max"]);
    }

    #[test]
    fn the_best_peer_is_sound_has_a_fixed_region_and_is_not_ours() {
        let figures = Figures::new(&sample());
        let ours = figures.ours().unwrap();
        let against: Vec<_> = figures.sheets[0].against_best(ours).into_iter().flatten().collect();
        let told: Vec<_> =
            against.iter().map(|(peer, ratio)| (peer.name.as_str(), *ratio)).collect();
        assert_eq!(told, [("talc", 2.0), ("talc", 20.0 / 30.0)]);
    }

    #[test]
    fn of_rates_more_is_better() {
        let figures = Figures::new(&sample());
        let (ours, threads) = (figures.ours().unwrap(), &figures.sheets[1]);
        let talc = figures.allocators.iter().find(|allocator| allocator.name == "talc").unwrap();
        assert_eq!(threads.ratios(ours, talc), [4.0]);
        assert!(threads.title().contains("more is better"));
    }

    #[test]
    fn a_mean_needs_a_sound_figure_in_each_column() {
        let figures = Figures::new(&sample());
        let rows = &figures.sheets[0].rows;
        let means: Vec<bool> = rows.iter().map(|(_, cells)| mean(cells).is_some()).collect();
        assert_eq!(means, [true, true, false, false]);
    }
}
