//! `map`: pictures of the heap at one moment of a trace, and over all of it.

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "pixels and labels")]

mod course;
mod heap;

use super::Error;
use super::destination::Destination;
use crate::arena::Arena;
use crate::csv::{OK, Row};
use crate::machine;
use crate::peers::{Buddy, Peer};
use crate::plot::heap::HeapPicture;
use crate::plot::{PlotError, bytes, count, png};
use crate::table::Table;
use crate::trace::{self, Trace, peak_bytes};
use buddy_core::tree::{Eager, Lazy, Policy};
use clap::{Args, ValueEnum};
use heap::{Figures, MIN_BLOCK, Replay};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

/// What to draw.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The trace: a name as in the tables, or a file
    #[arg(long, value_name = "NAME|PATH", default_value = "git-log")]
    pub trace: String,
    /// When: after so many events, as a part of them (50%), or at the peak of live bytes
    #[arg(long, value_name = "EVENT|PERCENT|peak", default_value = "peak")]
    pub at: Moment,
    /// The heap's bytes with its metadata; unset, twice the peak of live bytes
    #[arg(long, value_name = "BYTES")]
    pub heap: Option<usize>,
    /// Which of this project's allocators
    #[arg(long, value_name = "NAME", default_value = "buddy")]
    pub alloc: Ours,
    /// Where to put the pictures
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    pub output: PathBuf,
    /// Also write the figures over all of the trace to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// This project's allocators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ours {
    /// Freed blocks rest for a while.
    Buddy,
    /// Buddies merge at once.
    BuddyEager,
}

/// A moment of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// After so many events.
    Event(usize),
    /// After that part of the events.
    Percent(f64),
    /// When the sum of live bytes is largest.
    Peak,
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no moment: a number of events, a percentage as 50%, or `peak`");
        if text == "peak" {
            return Ok(Self::Peak);
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent =
                percent.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
            return percent.map(Self::Percent).ok_or_else(wrong);
        }
        text.parse().map(Self::Event).map_err(|_| wrong())
    }
}

impl Moment {
    /// How many events there were until then.
    fn events(self, trace: &Trace) -> Result<usize, MapError> {
        let events = trace.events.len();
        match self {
            Self::Event(event) if event > events => Err(MapError::Event { event, events }),
            Self::Event(event) => Ok(event),
            Self::Percent(percent) => Ok((events as f64 * percent / 100.0).round() as usize),
            Self::Peak => Ok(peak(trace)),
        }
    }
}

/// The first moment with as many live bytes as ever.
fn peak(trace: &Trace) -> usize {
    let reached =
        |events: usize| peak_bytes(&trace.events[..events], trace.slots) == trace.peak_bytes;
    let (mut low, mut high) = (0, trace.events.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if reached(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// There are not so many events.
    #[error("event {event} of a trace with {events}")]
    Event {
        /// What was asked for.
        event: usize,
        /// What there is.
        events: usize,
    },
    /// No heap fits in so few bytes.
    #[error("a heap of {0} bytes is too small to have a block")]
    TooSmall(usize),
    /// It could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// Both pictures of a trace, and their figures.
#[derive(Clone, Debug)]
pub struct Maps {
    /// The heap at the moment, as SVG.
    pub moment: String,
    /// The heap over the trace, as SVG.
    pub course: String,
    /// What there is to tell of the moment: names and figures.
    pub figures: Vec<(String, String)>,
    rows: Vec<Row>,
}

/// In how many places the course is looked at.
const PLACES: usize = 400;

/// Draws the pictures, and tells on `out` what they show.
///
/// # Errors
/// If the trace cannot be had, or a file cannot be written.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), Error> {
    let trace = load(&options.trace)?;
    // Before the work, so that a wrong path is told at once.
    let refused = |source| Error::File { path: options.output.clone(), source };
    fs::create_dir_all(&options.output).map_err(refused)?;
    let figures = options.csv.as_deref().map(Destination::at).transpose()?;
    let maps = draw(&trace, options)?;
    let mut table =
        Table::new(format!("The heap of {}", trace.name), vec![String::new(), "figure".to_owned()]);
    for (name, figure) in &maps.figures {
        table.row(vec![name.clone(), figure.clone()]);
    }
    write!(out, "{table}")?;
    for (name, svg) in [("map", &maps.moment), ("course", &maps.course)] {
        let png = png(svg).map_err(MapError::from)?;
        for (extension, bytes) in [("svg", svg.as_bytes()), ("png", &png)] {
            let path = options.output.join(format!("{}-{name}.{extension}", trace.name));
            Destination::at(&path)?.write_bytes(bytes)?;
            writeln!(out, "wrote {}", path.display())?;
        }
    }
    if let Some(figures) = figures {
        figures.write(&maps.rows)?;
    }
    Ok(())
}

/// The trace of that name.
pub(super) fn load(name: &str) -> Result<Trace, Error> {
    trace::load(name).map_err(|source| Error::Trace { name: name.to_owned(), source })
}

/// The pictures of a trace.
///
/// # Errors
/// If there is no memory for the heap, or no such moment.
pub fn draw(trace: &Trace, options: &Options) -> Result<Maps, Error> {
    match options.alloc {
        Ours::Buddy => draw_with::<Lazy>(trace, options),
        Ours::BuddyEager => draw_with::<Eager>(trace, options),
    }
}

fn draw_with<P: Policy>(trace: &Trace, options: &Options) -> Result<Maps, Error> {
    let moment = options.at.events(trace)?;
    let heap_bytes = options.heap.unwrap_or(trace.peak_bytes.saturating_mul(2).max(1 << 16));
    let mut arena = Arena::new(heap_bytes)?;
    let region = arena.region(heap_bytes);
    // SAFETY: the arena is borrowed for as long, and nobody else knows the region.
    let replay = unsafe { Replay::<P>::new(trace, region) };
    let mut replay = replay.ok_or(MapError::TooSmall(heap_bytes))?;
    let mut places: Vec<usize> =
        (0..=PLACES).map(|place| trace.events.len() * place / PLACES).chain([moment]).collect();
    places.sort_unstable();
    places.dedup();
    let (mut course, mut cells) = (Vec::new(), Vec::new());
    for place in places {
        replay.run_to(place);
        course.push(replay.figures());
        if place == moment {
            cells = replay.cells();
        }
    }
    let at = course.iter().find(|figures| figures.event == moment).cloned();
    let figures = told(&at.ok_or(MapError::TooSmall(heap_bytes))?, heap_bytes);
    let events = count(trace.events.len());
    let title = format!("{} after {} of {events} events", trace.name, count(moment));
    let picture =
        HeapPicture { title, min_block: MIN_BLOCK, heap_bytes, cells, figures: figures.clone() };
    let title = format!("{}, all {events} events", trace.name);
    Ok(Maps {
        moment: picture.svg().map_err(MapError::from)?,
        course: course::svg(&title, heap_bytes, &course, moment).map_err(MapError::from)?,
        figures,
        rows: rows(trace, &course),
    })
}

/// The figures of a moment, as they stand beside the picture.
fn told(at: &Figures, heap_bytes: usize) -> Vec<(String, String)> {
    let size = |size: usize| bytes(size as f64);
    let figures = [
        ("heap with its metadata", size(heap_bytes)),
        ("used", size(at.used)),
        ("asked for", size(at.live)),
        ("free", size(at.free)),
        ("largest free block", size(at.largest_free)),
        ("fragmentation", format!("{} %", at.fragmentation_percent)),
        ("allocated blocks", count(at.blocks)),
        ("requests refused", count(at.refused)),
    ];
    figures.map(|(name, figure)| (name.to_owned(), figure)).to_vec()
}

/// The figures over the trace, as in all files of figures.
fn rows(trace: &Trace, course: &[Figures]) -> Vec<Row> {
    let mut rows = vec![machine::row()];
    for at in course {
        let figures = [
            ("live", "bytes", at.live),
            ("used", "bytes", at.used),
            ("free", "bytes", at.free),
            ("largest free", "bytes", at.largest_free),
            ("fragmentation", "%", at.fragmentation_percent as usize),
            ("refused", "requests", at.refused),
        ];
        rows.extend(figures.map(|(metric, unit, figure)| Row {
            command: "map".to_owned(),
            workload: trace.name.clone(),
            parameter: format!("event {}", at.event),
            allocator: "buddy".to_owned(),
            package: Buddy::<Lazy>::PACKAGE.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            median: Some(figure as f64),
            low: Some(figure as f64),
            high: Some(figure as f64),
            runs: 1,
            status: OK.to_owned(),
        }));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toys::trace;
    use crate::trace::Op;

    fn options(at: Moment, heap: Option<usize>) -> Options {
        let (trace, alloc, output) = (String::new(), Ours::Buddy, PathBuf::new());
        Options { trace, at, heap, alloc, output, csv: None }
    }

    fn figure(maps: &Maps, name: &str) -> String {
        maps.figures.iter().find(|(figure, _)| figure == name).unwrap().1.clone()
    }

    #[test]
    fn moments_are_events_percentages_or_the_peak() {
        assert_eq!("17".parse(), Ok(Moment::Event(17)));
        assert_eq!("12.5%".parse(), Ok(Moment::Percent(12.5)));
        assert_eq!("peak".parse(), Ok(Moment::Peak));
        for wrong in ["", "%", "101%", "-1%", "NaN%", "-1", "top"] {
            assert!(wrong.parse::<Moment>().unwrap_err().contains("no moment"), "{wrong}");
        }
    }

    #[test]
    fn the_peak_is_the_first_moment_with_as_many_live_bytes_as_ever() {
        let trace = trace(&[
            (Op::Alloc, 0, 100),
            (Op::Realloc, 0, 300),
            (Op::Free, 0, 0),
            (Op::Alloc, 0, 300),
        ]);
        assert_eq!(Moment::Peak.events(&trace).unwrap(), 2);
        assert_eq!(Moment::Percent(50.0).events(&trace).unwrap(), 2);
        assert!(matches!(Moment::Event(5).events(&trace), Err(MapError::Event { .. })));
    }

    #[test]
    fn pictures_show_the_moment_that_was_asked_for() {
        let trace = trace(&[(Op::Alloc, 0, 4096), (Op::AllocZeroed, 1, 4096), (Op::Free, 0, 0)]);
        for (event, used, blocks) in [(0, "0 B", "0"), (2, "8 KiB", "2"), (3, "4 KiB", "1")] {
            let maps = draw(&trace, &options(Moment::Event(event), None)).unwrap();
            assert_eq!(figure(&maps, "used"), used);
            assert_eq!(figure(&maps, "asked for"), used);
            assert_eq!(figure(&maps, "allocated blocks"), blocks);
            assert!(maps.moment.contains(&format!("after {event} of 3 events")));
            assert!(maps.course.contains("fragmentation"));
        }
    }

    #[test]
    fn refused_requests_are_counted_and_the_rest_is_replayed() {
        let trace = trace(&[(Op::Alloc, 0, 1 << 20), (Op::Free, 0, 0), (Op::Alloc, 0, 4096)]);
        let maps = draw(&trace, &options(Moment::Percent(100.0), Some(1 << 16))).unwrap();
        assert_eq!(figure(&maps, "requests refused"), "1");
        assert_eq!(figure(&maps, "used"), "4 KiB");
        let error = draw(&trace, &options(Moment::Peak, Some(1))).unwrap_err();
        assert!(error.to_string().contains("too small"), "{error}");
    }
}
