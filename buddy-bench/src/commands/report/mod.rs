//! `report`: one page of tables and pictures, and the README's section of figures.

mod page;
mod readme;
mod sheets;
mod tables;

use super::destination::Destination;
use super::map::{self, Moment, Ours};
use super::{Error, Options as Measure, latency, micro, minheap, replay, scale, threads};
use crate::csv::{self, CsvError, Row};
use crate::machine;
use crate::plot::PlotError;
use crate::trace;
use clap::Args;
use page::Report;
use sheets::Figures;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Which figures, and what to make of them.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Files of figures that other commands wrote; none, those that come with the program
    #[arg(value_name = "CSV")]
    pub files: Vec<PathBuf>,
    /// Measure everything now, instead
    #[arg(long, conflicts_with = "files")]
    pub run: bool,
    /// With --run: fewer rounds, shorter time limits, rougher searches
    #[arg(long, requires = "run")]
    pub quick: bool,
    /// With --run: also write the figures to this file
    #[arg(long, value_name = "FILE", requires = "run")]
    pub csv: Option<PathBuf>,
    /// The page to write; unset, report.html, unless there is a README to write
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Traces to draw the heap of: names as in the tables, or files
    #[arg(
        long,
        value_name = "NAME|PATH",
        value_delimiter = ',',
        default_value = "git-log,sqlite-sql,rustc-threads"
    )]
    pub maps: Vec<String>,
    /// A README whose section of figures is written anew
    #[arg(long, value_name = "FILE")]
    pub readme: Option<PathBuf>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of figures has none.
    #[error("{}: there are no figures in it", .0.display())]
    Empty(PathBuf),
    /// The figures that come with the program are not there.
    #[error("{}: there are no figures; name files of figures, or measure with --run", .0.display())]
    NoFiles(PathBuf),
    /// A README without a place for figures.
    #[error("{}: it has no section between `<!-- figures -->` and `<!-- /figures -->`", .0.display())]
    NoSection(PathBuf),
    /// A picture could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// Writes the report.
///
/// # Errors
/// If figures cannot be had, or a file cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Error> {
    let page = match (&options.output, &options.readme) {
        (None, None) => Some(PathBuf::from("report.html")),
        (output, _) => output.clone(),
    };
    // Before the work, so that a wrong path is told at once.
    let destination = page.as_deref().map(Destination::at).transpose()?;
    let readme = options.readme.as_deref().map(Readme::open).transpose()?;
    let traces: Result<Vec<_>, Error> = options.maps.iter().map(|name| map::load(name)).collect();
    let traces = if page.is_some() { traces? } else { Vec::new() };
    let rows = if options.run { measure(options, out)? } else { read(&options.files)? };
    let figures = Figures::new(&rows);
    if let (Some(path), Some(destination)) = (&page, destination) {
        let map = |trace: &trace::Trace| Ok((trace.name.clone(), map::draw(trace, &drawn())?));
        let maps = traces.iter().map(map).collect::<Result<_, Error>>()?;
        let page = Report { figures: &figures, rows: &rows, maps }.page();
        destination.write_bytes(page.map_err(ReportError::from)?.as_bytes())?;
        writeln!(out, "wrote {}", path.display())?;
    }
    if let Some(readme) = readme {
        readme.write(&figures)?;
        writeln!(out, "wrote {}", readme.path.display())?;
    }
    Ok(())
}

/// A README and where it lies.
struct Readme<'a> {
    path: &'a Path,
    text: String,
    destination: Destination,
}

impl<'a> Readme<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let refused = |source| Error::File { path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(refused)?;
        if !readme::MARKS.iter().all(|mark| text.contains(mark)) {
            return Err(ReportError::NoSection(path.to_owned()).into());
        }
        Ok(Self { path, text, destination: Destination::at(path)? })
    }

    fn write(&self, figures: &Figures) -> Result<(), Error> {
        let none = || ReportError::NoSection(self.path.to_owned());
        let text = readme::with_section(&self.text, figures).ok_or_else(none)?;
        self.destination.write_bytes(text.as_bytes())
    }
}

/// How heaps are drawn for a report.
fn drawn() -> map::Options {
    let (trace, output) = (String::new(), PathBuf::new());
    map::Options { trace, at: Moment::Peak, heap: None, alloc: Ours::Buddy, output, csv: None }
}

/// Measures with every command; its tables go to `out`.
fn measure(options: &Options, out: &mut dyn Write) -> Result<Vec<Row>, Error> {
    let destination = options.csv.as_deref().map(Destination::at).transpose()?;
    let measure = Measure { quick: options.quick, seed: 1, ..Measure::default() };
    let mut rows = vec![machine::row()];
    for command in [replay::run, minheap::run, micro::run, latency::run, scale::run, threads::run] {
        rows.extend(command(&measure, out)?);
        writeln!(out)?;
    }
    if let Some(destination) = destination {
        destination.write(&rows)?;
    }
    Ok(rows)
}

/// The figures of these files or, without any, of those that come with the program.
fn read(files: &[PathBuf]) -> Result<Vec<Row>, Error> {
    let files = if files.is_empty() { results()? } else { files.to_vec() };
    let mut rows = Vec::new();
    for path in files {
        let opened =
            File::open(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        let failed = |source: CsvError| Error::Csv { path: path.clone(), source };
        let read = csv::read(opened).map_err(failed)?;
        if !read.iter().any(|row| row.command != csv::MACHINE) {
            return Err(ReportError::Empty(path).into());
        }
        rows.extend(read);
    }
    Ok(rows)
}

/// The files of figures that come with the program, by name.
fn results() -> Result<Vec<PathBuf>, Error> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/results"));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "csv")).collect();
    files.sort();
    if files.is_empty() { Err(ReportError::NoFiles(folder.to_owned()).into()) } else { Ok(files) }
}
