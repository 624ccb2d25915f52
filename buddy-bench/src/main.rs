//! The command line of buddy-bench. Without a command it replays the traces and searches for the
//! smallest heaps.

use buddy_bench::commands::{
    self, Options, execute, latency, map, micro, minheap, record, replay, report, scale, threads,
};
use clap::{Parser, Subcommand};
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// Compares this project's buddy allocators with their peers.
///
/// Without a command: replay, then minheap.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Traces of real programs: time per event, failures
    Replay(Options),
    /// The smallest heap that completes each trace
    Minheap(Options),
    /// Pairs, batches, churn, scans, growth, page frames: time per operation
    Micro(Options),
    /// How long single calls take, by kind: median to maximum
    Latency(Options),
    /// The same work in heaps of 1 MiB to 16 GiB
    Scale(Options),
    /// Allocators shared by 1, 2, 4, .. threads, which free each other's blocks
    Threads(Options),
    /// The heap at a moment of a trace, and over all of it: pictures
    Map(map::Options),
    /// One page of tables and pictures, of everything
    Report(report::Options),
    /// What a program of yours asks its allocator for, as a trace that replays
    Record(record::Options),
}

fn run(cli: Cli) -> Result<(), commands::Error> {
    let out = &mut io::stdout().lock();
    match cli.command {
        None => execute(&cli.options, out, &|options, out| {
            let mut rows = replay::run(options, out)?;
            writeln!(out)?;
            rows.extend(minheap::run(options, out)?);
            Ok(rows)
        }),
        Some(Command::Replay(options)) => execute(&options, out, &replay::run),
        Some(Command::Minheap(options)) => execute(&options, out, &minheap::run),
        Some(Command::Micro(options)) => execute(&options, out, &micro::run),
        Some(Command::Latency(options)) => execute(&options, out, &latency::run),
        Some(Command::Scale(options)) => execute(&options, out, &scale::run),
        Some(Command::Threads(options)) => execute(&options, out, &threads::run),
        Some(Command::Map(options)) => map::run(&options, out),
        Some(Command::Report(options)) => report::run(&options, out),
        // The program has stdout.
        Some(Command::Record(options)) => record::run(&options, &mut io::stderr().lock()),
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(commands::Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
