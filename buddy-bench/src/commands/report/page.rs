//! The page: one file with all that it needs.

use super::sheets::{Allocator, Figures, Sheet, distinct, sound};
use super::tables::{glance, sheet_table};
use crate::commands::map::Maps;
use crate::csv::{self, OK, Row};
use crate::plot::chart::{Axis, Chart, Line};
use crate::plot::theme::{Colour, OURS, QUIET, SERIES, style_sheet, with_variables};
use crate::plot::{PlotError, count, figure, round};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What a report is made of.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) figures: &'a Figures,
    pub(super) rows: &'a [Row],
    /// Pictures of the heap, by the trace's name.
    pub(super) maps: Vec<(String, Maps)>,
}

const PLOT: (u32, u32) = (460, 320);

/// Headings of the commands, and what stands under each.
const ABOUT: [(&str, &str, &str); 6] = [
    (
        "replay",
        "Real programs",
        "Recorded programs, event by event: what an allocation, a reallocation or a free costs in the mean. Under each peer's figure: how many times ours it is.",
    ),
    (
        "minheap",
        "Memory",
        "The smallest heap in which a program completes, metadata and the allocator's own value counted, as a multiple of the most that was live at once. 1 would be perfect.",
    ),
    (
        "micro",
        "Single kinds of work",
        "The same seeded work for all, in the same memory, by size or number of blocks.",
    ),
    (
        "latency",
        "Single calls",
        "How long calls take, from the median to the slowest one: what a program waits for at worst.",
    ),
    (
        "scale",
        "Size of the heap",
        "The same work in ever larger heaps: what does not depend on the size is a flat line.",
    ),
    ("threads", "Threads", "Calls of all threads in a second, with frees on other threads."),
];

impl Report<'_> {
    /// The page as HTML.
    pub(super) fn page(&self) -> Result<String, PlotError> {
        let sections = self.sections()?;
        let faults = self.faults();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    title { "buddy beside its peers" }
                    style { (PreEscaped(style_sheet())) (PreEscaped(include_str!("style.css"))) }
                }
                body {
                    (self.head())
                    nav {
                        a href="#glance" { "At a glance" }
                        @for (name, title, ..) in &sections { a href={ "#" (name) } { (title) } }
                        @if !self.maps.is_empty() { a href="#maps" { "Heap maps" } }
                        @if !faults.is_empty() { a href="#faults" { "What went wrong" } }
                        a href="#all" { "All figures" }
                    }
                    (glance(self.figures))
                    @for (name, title, about, cards) in &sections {
                        section id=(name) {
                            h2 { (title) }
                            p.quiet { (about) }
                            (cards)
                        }
                    }
                    (self.maps())
                    (fault_table(&faults))
                    (self.all())
                }
            }
        };
        Ok(page.into_string())
    }

    fn head(&self) -> Markup {
        let Figures { machines, allocators, count: figures, .. } = self.figures;
        let versions = super::sheets::versions(allocators);
        html! {
            header {
                h1 { "buddy beside its peers" }
                @for machine in machines { p { (machine) } }
                p.quiet { (versions.join(" · ")) }
                p.quiet { (count(*figures)) " figures: medians of several runs, in which the allocators took turns." }
            }
        }
    }

    /// Name, heading, explanation and cards of each command.
    fn sections(&self) -> Result<Vec<(String, String, &'static str, Markup)>, PlotError> {
        let mut sections: Vec<(String, String, &str, Markup)> = Vec::new();
        let sheets = &self.figures.sheets;
        for sheets in sheets.chunk_by(|one, other| one.command == other.command) {
            let command = &sheets[0].command;
            let about = ABOUT.iter().find(|(name, ..)| name == command);
            let (title, about) =
                about.map_or((command.as_str(), ""), |(_, title, about)| (title, about));
            let cards: Result<Vec<Markup>, PlotError> = sheets
                .iter()
                .filter(|sheet| sheet.is_shown())
                .map(|sheet| self.card(sheet))
                .collect();
            let cards = html! {
                div.cards {
                    @for card in cards? { (card) }
                }
            };
            sections.push((command.clone(), title.to_owned(), about, cards));
        }
        Ok(sections)
    }

    fn card(&self, sheet: &Sheet) -> Result<Markup, PlotError> {
        let plot = if sheet.is_ordered { self.plot(sheet)? } else { None };
        Ok(html! {
            div.card {
                h3 { (sheet.title()) }
                div.beside[plot.is_some()] {
                    @if let Some(plot) = plot {
                        div {
                            div.plot { (PreEscaped(plot)) }
                            (self.key(sheet))
                        }
                    }
                    (sheet_table(sheet, self.figures.ours()))
                }
            }
        })
    }

    /// The lines of all allocators over the columns but those of least times; the figures are told apart by their logarithms.
    fn plot(&self, sheet: &Sheet) -> Result<Option<String>, PlotError> {
        let columns: Vec<&String> =
            sheet.columns.iter().filter(|name| !name.ends_with(" least")).collect();
        let points = |cells: &[Option<Row>]| -> Vec<(f64, f64)> {
            let figures = (0_u32..).zip(&cells[..columns.len()]).filter_map(|(at, cell)| {
                let median = cell.as_ref()?.median.filter(|median| *median > 0.0);
                Some((f64::from(at), median?.log10()))
            });
            figures.collect()
        };
        let line = |(allocator, cells): &(Allocator, Vec<Option<Row>>)| {
            let (colour, width) = self.stroke(allocator);
            Line { colour, width, dots: width > 1, points: points(cells) }
        };
        // Ours is drawn last, above the others.
        let lines: Vec<Line> = sheet.rows.iter().rev().map(line).collect();
        let heights = || lines.iter().flat_map(|line| &line.points).map(|(_, height)| *height);
        if heights().next().is_none() {
            return Ok(None);
        }
        let (least, most) =
            (heights().fold(f64::MAX, f64::min), heights().fold(f64::MIN, f64::max));
        let (least, most) = (10_f64.powf(least), 10_f64.powf(most));
        let x = Axis::things("", columns.iter().map(|column| short(column)));
        let y = Axis::logarithmic(&sheet.unit, least, most, round);
        let svg = Chart { x, y, areas: Vec::new(), lines }.svg(PLOT)?;
        Ok(Some(in_page(&svg)))
    }

    /// Which line is whose.
    fn key(&self, sheet: &Sheet) -> Markup {
        html! {
            ul.key {
                @for (allocator, _) in &sheet.rows {
                    li {
                        @let (colour, width) = self.stroke(allocator);
                        i style={ "background:" (colour.variable()) ";height:" (width + 1) "px" } {}
                        (allocator.name)
                    }
                }
            }
        }
    }

    /// Colour and width of an allocator's line. Behind which lock it is, the width tells.
    fn stroke(&self, allocator: &Allocator) -> (Colour, u32) {
        if self.figures.ours() == Some(allocator) {
            return (OURS, 4);
        }
        if allocator.is_floor() {
            return (QUIET, 1);
        }
        let others = self.figures.allocators.iter().filter(|other| !other.is_floor());
        let names = distinct(others.map(Allocator::without_lock));
        let index = names.iter().position(|name| *name == allocator.without_lock()).unwrap_or(0);
        let width = if allocator.name.ends_with("-mutex") { 1 } else { 2 };
        (SERIES[(index + SERIES.len() - 1) % SERIES.len()], width)
    }

    fn maps(&self) -> Markup {
        html! {
            @if !self.maps.is_empty() {
                section id="maps" {
                    h2 { "Heap maps" }
                    p.quiet {
                        "The heap at the peak of live bytes, in twice as much memory: each row an order, \
                         each block at its address. Below it, the same heap over the whole program."
                    }
                    @for (name, maps) in &self.maps {
                        div.card style="margin-bottom:18px" {
                            h3 { (name) }
                            div.map.scroll { (PreEscaped(in_page(&maps.moment))) }
                            div.map.scroll { (PreEscaped(in_page(&maps.course))) }
                        }
                    }
                }
            }
        }
    }

    /// What may not be compared, and why.
    fn faults(&self) -> Vec<&Row> {
        let odd = |row: &&Row| row.status != OK && !row.status.starts_with("floor");
        self.rows.iter().filter(odd).collect()
    }

    /// Everything, to read and to take away.
    fn all(&self) -> Markup {
        let mut bytes = Vec::new();
        let written = csv::write(&mut bytes, self.rows);
        let text = String::from_utf8(bytes).unwrap_or_default();
        html! {
            section id="all" {
                h2 { "All figures" }
                @if written.is_ok() {
                    p { a download="figures.csv" href={ "data:text/csv;charset=utf-8," (encoded(&text)) } { "figures.csv" } }
                }
                details {
                    summary { "as a table" }
                    div.card.scroll {
                        table {
                            tr { @for head in HEAD { th { (head) } } }
                            @for row in self.rows {
                                tr {
                                    td { (row.command) } td.text { (row.workload) } td { (row.parameter) }
                                    td { (row.allocator) } td { (row.metric) } td { (told(row.median)) }
                                    td { (told(row.low)) } td { (told(row.high)) } td { (row.unit) }
                                    td { (row.runs) } td.text { (row.status) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

const HEAD: [&str; 11] = [
    "command",
    "workload",
    "parameter",
    "allocator",
    "metric",
    "median",
    "low",
    "high",
    "unit",
    "runs",
    "status",
];

fn told(number: Option<f64>) -> String {
    number.map_or(String::new(), figure)
}

fn fault_table(faults: &[&Row]) -> Markup {
    html! {
        @if !faults.is_empty() {
            section id="faults" {
                h2 { "What went wrong" }
                p.quiet {
                    "Each block's place, alignment and contents is looked at in a pass of its own, before \
                     anything is timed. Who failed is not compared with; who was too slow was stopped, and \
                     its figure is of the first part of the work."
                }
                div.card.scroll {
                    table {
                        tr { th { "allocator" } th.text { "version" } th.text { "work" } th.text { "what" } }
                        @for row in faults {
                            tr {
                                td { (row.allocator) } td.text { (row.package) }
                                td.text { (row.command) ": " (row.workload) " " (row.parameter) }
                                td.text { (row.status) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A picture for the page: its colours are the page's, its size the place's.
fn in_page(svg: &str) -> String {
    let themed =
        with_variables(svg).replace("font-family=\"sans-serif\"", "font-family=\"inherit\"");
    let (head, body) = themed.split_once('>').unwrap_or((&themed, ""));
    let size = |name: &str| {
        let rest = head.split_once(&format!(" {name}=\""))?.1;
        Some(rest.split_once('"')?.0.to_owned())
    };
    match (size("width"), size("height")) {
        (Some(width), Some(height)) => {
            format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\">{body}")
        }
        _ => svg.to_owned(),
    }
}

/// A column's name as it fits under an axis: without the unit, unless that is of bytes.
fn short(column: &str) -> &str {
    if column.ends_with('B') { column } else { column.split(' ').next().unwrap_or(column) }
}

/// Percent-encoded, as an address of data needs it.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b',' => {
                out.push(byte.into());
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The figure of a cell, whether it may be compared or not.
pub(super) fn shown(cell: Option<&Row>) -> Option<f64> {
    sound(cell).or_else(|| cell?.median)
}
