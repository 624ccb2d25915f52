//! A figure: what was measured of whom, and whether it may be compared; lines and tables of them.

use crate::csv::{OK, Row, rounded};
use crate::peers::{Entrant, Memory};
use crate::statistics::{Summary, geometric_mean};
use crate::table::Table;
use std::fmt;

/// One figure; the smaller, the better, unless it is a rate.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was done.
    pub workload: String,
    /// With what sizes; may be empty.
    pub parameter: String,
    /// By whom.
    pub entrant: Entrant,
    /// What was measured.
    pub metric: &'static str,
    /// In which unit.
    pub unit: String,
    /// The figure, if there is one.
    pub summary: Option<Summary>,
    /// Whether it may be compared.
    pub status: Status,
}

/// Whether a figure may be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may.
    Ok,
    /// Too slow: it is of the first part of the work only, so much of it.
    Part(String),
    /// Something was wrong.
    Failed(String),
    /// It is no allocator's.
    Floor,
}

impl Status {
    /// The first `part` of `whole`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub fn part(part: usize, whole: usize) -> Self {
        Self::Part(format!("{:.1} % of the work", part as f64 / whole as f64 * 100.0))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str(OK),
            Self::Part(words) => write!(f, "part: {words}"),
            Self::Failed(words) => write!(f, "failed: {words}"),
            Self::Floor => f.write_str("floor: not an allocator"),
        }
    }
}

impl Figure {
    /// Its line in a file of figures.
    #[must_use]
    pub fn row(&self, command: &str) -> Row {
        let summary = |figure: fn(Summary) -> f64| self.summary.map(figure).map(rounded);
        Row {
            command: command.to_owned(),
            workload: self.workload.clone(),
            parameter: self.parameter.clone(),
            allocator: self.entrant.name.to_owned(),
            package: self.entrant.package.to_owned(),
            metric: self.metric.to_owned(),
            unit: self.unit.clone(),
            median: summary(|summary| summary.median),
            low: summary(|summary| summary.quartiles.0),
            high: summary(|summary| summary.quartiles.1),
            runs: self.summary.map_or(0, |summary| summary.rounds),
            status: self.status.to_string(),
        }
    }

    fn median(&self) -> Option<f64> {
        self.summary.map(|summary| summary.median)
    }

    /// The figure if the best may be chosen by it: of an allocator with a fixed region, and sound.
    fn contends(&self) -> Option<f64> {
        let sound = self.status == Status::Ok && self.entrant.memory == Memory::Fixed;
        self.median().filter(|_| sound)
    }
}

/// Figures of one metric: entrants in rows, works in columns.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// What stands above.
    pub title: String,
    /// Of each work, one figure of each entrant, in the same order.
    pub columns: Vec<(String, Vec<Figure>)>,
    /// Whether larger figures are better.
    pub is_rate: bool,
    /// Decimals; none above 1000.
    pub decimals: usize,
    /// Whether the mean of the columns has a meaning.
    pub has_mean: bool,
}

impl Sheet {
    /// The table: with marks, means and, where the first entrant is this project's, a comparison.
    #[must_use]
    pub fn table(&self) -> Table {
        let heads = self.columns.iter().map(|(head, _)| format!("{head} "));
        let mut head: Vec<String> = [String::new()].into_iter().chain(heads).collect();
        let has_mean = self.has_mean && self.columns.len() > 1;
        head.extend(has_mean.then(|| "mean ".to_owned()));
        let mut table = Table::new(&self.title, head);
        let entrants = self.columns.first().map_or(0, |(_, figures)| figures.len());
        for index in 0..entrants {
            let cells = self.columns.iter().map(|(_, figures)| self.cell(figures, index));
            let name = self.columns[0].1[index].entrant.name.to_owned();
            let mut row: Vec<String> = [name].into_iter().chain(cells).collect();
            row.extend(has_mean.then(|| self.mean(index)));
            table.row(row);
        }
        if entrants > 1 && self.columns[0].1[0].entrant.is_ours() {
            self.compare(&mut table, has_mean);
        }
        table
    }

    fn cell(&self, figures: &[Figure], index: usize) -> String {
        let figure = &figures[index];
        let Some(summary) = figure.summary else {
            return if matches!(figure.status, Status::Failed(_)) { "! " } else { "- " }.to_owned();
        };
        let best = self.best(figures, |_| true).map(|(_, best)| best);
        let mark = match figure.status {
            Status::Failed(_) => '!',
            Status::Part(_) => '~',
            Status::Ok if best.is_some() && figure.contends() == best => '*',
            Status::Ok | Status::Floor => ' ',
        };
        let digits = if summary.median < 1000.0 { self.decimals } else { 0 };
        let spread = (summary.spread() * 100.0).round();
        let spread = if summary.rounds > 1 { format!("±{spread:>2} %") } else { String::new() };
        format!("{:.digits$}{mark}{spread}", summary.median)
    }

    /// The mean over all columns, if there is a figure for the whole of each.
    fn mean(&self, index: usize) -> String {
        let whole = |(_, figures): &(String, Vec<Figure>)| {
            figures[index].median().filter(|_| !matches!(figures[index].status, Status::Part(_)))
        };
        let values: Option<Vec<f64>> = self.columns.iter().map(whole).collect();
        let mean = values.and_then(|values| geometric_mean(&values));
        mean.map_or("- ".to_owned(), |mean| format!("{mean:.*} ", self.decimals))
    }

    /// The best figure of those that `filter` lets pass, and whose it is.
    fn best(
        &self,
        figures: &[Figure],
        filter: fn(&Entrant) -> bool,
    ) -> Option<(&'static str, f64)> {
        let contenders = figures.iter().filter(|figure| filter(&figure.entrant));
        let values =
            contenders.filter_map(|figure| Some((figure.entrant.name, figure.contends()?)));
        let value = |(_, one): &(&str, f64)| if self.is_rate { -one } else { *one };
        values.min_by(|one, other| value(one).total_cmp(&value(other)))
    }

    /// Rows for the best peer of each column, and the ratios of this project's first entrants to it.
    fn compare(&self, table: &mut Table, has_mean: bool) {
        let bests: Vec<_> = self
            .columns
            .iter()
            .map(|(_, figures)| self.best(figures, |entrant| !entrant.is_ours()))
            .collect();
        table.line();
        let names = bests.iter().map(|best| format!("{} ", best.map_or("-", |(name, _)| name)));
        table.row(["best peer".to_owned()].into_iter().chain(names).collect());
        let ours = self.columns[0].1.iter().take_while(|figure| figure.entrant.is_ours());
        for (index, figure) in ours.enumerate() {
            let ratio = |((_, figures), best): (&(String, Vec<Figure>), &Option<(_, f64)>)| {
                Some(figures[index].contends()? / best.as_ref()?.1)
            };
            let ratios: Vec<Option<f64>> = self.columns.iter().zip(&bests).map(ratio).collect();
            let known: Vec<f64> = ratios.iter().copied().flatten().collect();
            let mean = has_mean.then(|| geometric_mean(&known));
            let cells = ratios.into_iter().chain(mean);
            let cells =
                cells.map(|ratio| ratio.map_or("- ".to_owned(), |ratio| format!("{ratio:.2} ")));
            let name = format!("{} / best peer", figure.entrant.name);
            table.row([name].into_iter().chain(cells).collect());
        }
    }

    /// What was wrong, a line each.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let figures = self.columns.iter().flat_map(|(_, figures)| figures);
        let wrong = figures.filter(|figure| !matches!(figure.status, Status::Ok | Status::Floor));
        let line = |figure: &Figure| {
            let Figure { entrant, workload, parameter, status, .. } = figure;
            let work = format!("{workload} {parameter}");
            format!("{} ({}), {}: {status}", entrant.name, entrant.package, work.trim_end())
        };
        let mut lines: Vec<String> = wrong.map(line).collect();
        lines.dedup();
        lines
    }
}

/// What the marks in all tables mean.
pub const MARKS: &str = "\
* best of those that manage a fixed region and nothing else, where all went without a fault
~ only a first part was done, as said below the tables: too slow for the rest
! something was wrong, as said below the tables";

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &'static str, memory: Memory, median: f64, status: Status) -> Figure {
        let package = if name.starts_with("buddy") { "buddy-core 1" } else { "peer 1" };
        Figure {
            workload: "pair".to_owned(),
            parameter: "16 B".to_owned(),
            entrant: Entrant { name, package, memory },
            metric: "time",
            unit: "ns/pair".to_owned(),
            summary: Summary::of(&[median, median, median]),
            status,
        }
    }

    fn sheet(is_rate: bool) -> Sheet {
        let figures = vec![
            figure("buddy", Memory::Fixed, 10.0, Status::Ok),
            figure("talc", Memory::Fixed, 20.0, Status::Ok),
            figure("rlsf", Memory::Fixed, 5.0, Status::Failed("1 damaged".to_owned())),
            figure("linked", Memory::Fixed, 6.0, Status::part(1, 8)),
            figure("system", Memory::Own, 4.0, Status::Ok),
            figure("bump", Memory::Floor, 1.0, Status::Floor),
        ];
        Sheet {
            title: "t".to_owned(),
            columns: vec![("16 B".to_owned(), figures)],
            is_rate,
            decimals: 1,
            has_mean: true,
        }
    }

    #[test]
    fn only_sound_allocators_of_a_fixed_region_are_compared() {
        let text = sheet(false).table().to_string();
        assert!(
            text.contains("10.0*") && text.contains("20.0 ") && text.contains("5.0!"),
            "{text}"
        );
        assert!(text.contains("6.0~") && text.contains("4.0 ") && text.contains("0.50"), "{text}");
        assert!(text.contains("best peer               talc"), "{text}");
    }

    #[test]
    fn of_rates_the_largest_is_the_best() {
        assert!(sheet(true).table().to_string().contains("20.0*"));
    }

    #[test]
    fn what_was_wrong_is_told_with_the_version() {
        assert_eq!(
            sheet(false).faults(),
            [
                "rlsf (peer 1), pair 16 B: failed: 1 damaged",
                "linked (peer 1), pair 16 B: part: 12.5 % of the work"
            ]
        );
    }

    #[test]
    fn a_row_has_all_that_is_told() {
        let row = figure("talc", Memory::Fixed, 1.000_49, Status::Floor).row("micro");
        assert_eq!((row.command.as_str(), row.median, row.runs), ("micro", Some(1.0), 3));
        assert_eq!(row.status, "floor: not an allocator");
    }
}
