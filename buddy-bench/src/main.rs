//! The command line of buddy-bench. Without a command it replays the traces.

use buddy_bench::commands::{self, map, record, replay};
use clap::{Parser, Subcommand};
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// Compares this project's buddy allocators with their peers on traces of real programs.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    replay: replay::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Replay traces: time per event, failures, smallest heap (the default)
    Replay(replay::Options),
    /// Draw the heap at a moment of a trace, and over all of it
    Map(map::Options),
    /// Record what a program of yours asks its allocator for, as a trace that replays
    Record(record::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command.unwrap_or(Command::Replay(cli.replay)) {
        Command::Map(options) => map::run(&options, &mut io::stdout().lock()),
        // The program has stdout.
        Command::Record(options) => record::run(&options, &mut io::stderr().lock()),
        Command::Replay(options) => replay::run(&options, &mut io::stdout().lock()),
    };
    match result {
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
