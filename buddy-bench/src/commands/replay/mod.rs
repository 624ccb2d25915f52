//! `replay`: traces of real programs through all allocators; time, failures, smallest heap.

mod csv;
mod measure;
mod tables;

use super::Error;
use crate::arena::Arena;
use crate::machine;
use crate::peers::{self, Contestant};
use crate::progress::Progress;
use crate::random::Random;
use crate::trace::{self, Trace};
use clap::Args;
use measure::{Effort, Measured, arena_bytes, measure, steps};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// What to replay, and how thoroughly.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Only these allocators (names as in the tables)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub alloc: Vec<String>,
    /// Only these traces: names as in the tables, or files
    #[arg(long, value_name = "NAME|PATH", value_delimiter = ',')]
    pub trace: Vec<String>,
    /// Fewer rounds, shorter time limits, a rougher search
    #[arg(long)]
    pub quick: bool,
    /// Varies the block patterns of the check and the order of the allocators in each round
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Also write all figures to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// Runs the command and writes its tables to `out`.
///
/// # Errors
/// If a trace or an allocator cannot be had, there is no memory, or a file cannot be written.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), Error> {
    let contestants = peers::select(&options.alloc)?;
    let traces = load(&options.trace)?;
    // Before the work, so that a wrong path is told at once.
    let file = options.csv.as_ref().map(create).transpose()?;
    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    write_head(out, options, &contestants)?;
    let results = measure_all(&traces, &contestants, &effort, options.seed)?;
    tables::write(out, &results, &contestants, &effort)?;
    if let (Some(path), Some(mut file)) = (&options.csv, file) {
        let written = crate::csv::write(&mut file, &csv::rows(&results));
        written.map_err(|source| Error::Csv { path: path.clone(), source })?;
    }
    Ok(())
}

fn load(names: &[String]) -> Result<Vec<Trace>, Error> {
    let all = || trace::NAMES.iter().map(|&name| name.to_owned()).collect();
    let names = if names.is_empty() { all() } else { names.to_vec() };
    let load = |name: String| trace::load(&name).map_err(|source| Error::Trace { name, source });
    names.into_iter().map(load).collect()
}

fn create(path: &PathBuf) -> Result<File, Error> {
    File::create(path).map_err(|source| Error::File { path: path.clone(), source })
}

fn measure_all(
    traces: &[Trace],
    contestants: &[&'static Contestant],
    effort: &Effort,
    seed: u64,
) -> Result<Vec<Measured>, Error> {
    let largest = traces.iter().map(arena_bytes).max().unwrap_or(0);
    let mut arena = Arena::new(largest)?;
    let mut random = Random::new(seed);
    let progress = Progress::new(traces.len() * steps(contestants, effort));
    let results = traces
        .iter()
        .map(|trace| measure(trace, contestants, &mut arena, effort, &mut random, &progress));
    let results = results.collect();
    progress.finish();
    Ok(results)
}

fn write_head(
    out: &mut impl Write,
    options: &Options,
    contestants: &[&'static Contestant],
) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    let (cpu, cores, rustc) = (machine::cpu_model(), machine::cores(), machine::RUSTC);
    let unit = if cores == 1 { "core" } else { "cores" };
    writeln!(out, "buddy-bench {version} replay, seed {}", options.seed)?;
    writeln!(out, "machine   {cpu}, {cores} {unit}; {rustc}")?;
    if cfg!(debug_assertions) {
        writeln!(out, "warning   a debug build: its figures mean nothing; use --release")?;
    }
    let mut packages: Vec<&str> = contestants.iter().map(|peer| peer.package).collect();
    packages.dedup();
    writeln!(out, "versions  {}\n", packages.join(", "))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs};

    fn options(alloc: &[&str], trace: &[&str]) -> Options {
        let owned = |names: &[&str]| names.iter().copied().map(str::to_owned).collect();
        Options { alloc: owned(alloc), trace: owned(trace), quick: true, ..Options::default() }
    }

    #[test]
    fn a_run_prints_its_tables_and_writes_its_figures() {
        let path = env::temp_dir().join(format!("buddy-bench-{}.csv", std::process::id()));
        let mut options = options(&["talc", "rlsf"], &["git-log"]);
        options.csv = Some(path.clone());
        let mut out = Vec::new();
        run(&options, &mut out).unwrap();
        let (text, csv) = (String::from_utf8(out).unwrap(), fs::read_to_string(&path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(text.contains("git-log") && text.contains("rlsf") && !text.contains("linked_list"));
        assert_eq!(csv.lines().count(), 2 + 2 * 3);
        let rows = crate::csv::read(csv.as_bytes()).unwrap();
        assert!(rows.iter().all(|row| row.status == crate::csv::OK && row.median.is_some()));
    }

    #[test]
    fn bad_options_are_told_before_any_work() {
        let error = |options: &Options| run(options, &mut Vec::new()).unwrap_err().to_string();
        assert!(error(&options(&["nobody"], &[])).contains("`nobody`"));
        assert!(error(&options(&[], &["no/such/file"])).starts_with("trace no/such/file: "));
        let mut unwritable = options(&["talc"], &["git-log"]);
        unwritable.csv = Some("/no/such/directory/file.csv".into());
        assert!(error(&unwritable).starts_with("/no/such/directory/file.csv: "));
    }
}
