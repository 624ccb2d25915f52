//! The program as a user meets it: exit status and messages.

use buddy_bench::csv;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, process};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_buddy-bench")).args(arguments).output().unwrap()
}

/// What a run that fails says; it must print no table and not panic.
fn failure(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: ") && message.lines().count() == 1, "{message}");
    message
}

/// A damaged copy of a trace, removed at the end.
struct Damaged(PathBuf);

impl Damaged {
    fn new(name: &str, damage: fn(&mut Vec<u8>)) -> Self {
        let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/git-log.trc.zst");
        let mut bytes = fs::read(trace).unwrap();
        damage(&mut bytes);
        let path = env::temp_dir().join(format!("buddy-bench-{}-{name}", process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Every command that measures.
const COMMANDS: [&str; 6] = ["replay", "minheap", "micro", "latency", "scale", "threads"];

#[test]
fn unknown_names_are_told_with_the_known_ones() {
    assert!(failure(&["--alloc", "nobody"]).contains("buddy-eager"));
    assert!(failure(&["replay", "--trace", "nothing"]).contains("sqlite-sql"));
    assert!(failure(&["threads", "--alloc", "nobody"]).contains("talc-spin"));
    for command in COMMANDS {
        assert!(failure(&[command, "--alloc", "talc,nobody"]).contains("`nobody`"));
    }
}

#[test]
fn allocators_that_are_left_out_and_traces_that_are_not_replayed_are_told() {
    if cfg!(not(feature = "jemalloc")) {
        assert!(failure(&["micro", "--alloc", "jemalloc"]).contains("--features jemalloc"));
    }
    assert!(failure(&["threads", "--trace", "git-log"]).contains("takes no --trace"));
    for command in ["minheap", "scale"] {
        assert!(failure(&[command, "--alloc", "system"]).contains("no fixed region"));
    }
}

#[test]
fn bad_usage_is_told() {
    for arguments in [&["--seed", "x"][..], &["no-such-command"], &["micro", "--alloc"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn truncated_and_corrupted_files_are_told() {
    let cut = Damaged::new("cut", |bytes| bytes.truncate(100_000));
    assert!(failure(&["--trace", cut.path()]).contains("cannot be decompressed"));
    let other = Damaged::new("other", |bytes| bytes.splice(..4, *b"PNG\0").for_each(drop));
    assert!(failure(&["--trace", other.path()]).contains("not a trace"));
    let empty = Damaged::new("empty", Vec::clear);
    assert!(failure(&["--trace", empty.path()]).contains("not a trace"));
}

#[test]
fn bytes_that_changed_anywhere_never_panic() {
    for place in (0..190_000).step_by(9_973) {
        let changed = Damaged::new(&format!("changed-{place}"), |_| ());
        let mut bytes = fs::read(&changed.0).unwrap();
        bytes[place] ^= 0x41;
        fs::write(&changed.0, bytes).unwrap();
        let output = run(&["--quick", "--alloc", "talc", "--trace", changed.path()]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{place}: {output:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_work() {
    for path in ["/", "/no/such/directory/figures.csv"] {
        for command in COMMANDS {
            let message = failure(&[command, "--alloc", "talc", "--csv", path]);
            assert!(message.starts_with(&format!("error: {path}: ")), "{message}");
        }
    }
}

#[test]
fn no_space_for_figures_is_told() {
    let output = run(&["threads", "--quick", "--alloc", "talc-spin", "--csv", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: /dev/full: No space"), "{message}");
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_buddy-bench"))
        .args(["threads", "--quick", "--alloc", "talc-spin"])
        .stdout(process::Stdio::piped())
        .stderr(process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn every_command_writes_the_figures_of_its_tables() {
    let directory = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let path = directory.path().join(command);
        let alloc = if command == "threads" { "buddy,rlsf-spin" } else { "buddy,rlsf" };
        let trace: &[&str] = if command == "threads" { &[] } else { &["--trace", "git-log"] };
        let csv = ["--alloc", alloc, "--csv", path.to_str().unwrap()];
        let output = run(&[&[command, "--quick", "--seed", "7"], &csv[..], trace].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("seed 7"), "{command}: {text}");
        let rows = csv::read(fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(rows[0].command, csv::MACHINE);
        let figures = &rows[1..];
        assert!(!figures.is_empty() && figures.iter().all(|row| row.command == command));
        for row in figures {
            assert!(row.median.is_some() || row.status != csv::OK, "{row:?}");
            assert!(row.low <= row.median && row.median <= row.high, "{row:?}");
            assert!(text.contains(&row.allocator) && text.contains(&row.package), "{row:?}");
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), COMMANDS.len());
}

#[test]
fn the_suite_of_workloads_runs_whole() {
    let output = run(&["micro", "--quick", "--alloc", "rlsf,offset-allocator"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for name in ["pair,", "pair in use,", "batch", "churn", "scan", "grow", "frames"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(!text.contains("failed"), "{text}");
}

#[test]
fn an_interrupt_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("figures.csv");
    let mut child = Command::new(env!("CARGO_BIN_EXE_buddy-bench"))
        .args(["micro", "--alloc", "talc", "--csv", path.to_str().unwrap()])
        .stdout(process::Stdio::piped())
        .spawn()
        .unwrap();
    // The head of the tables is written after the file was tried.
    let mut head = [0; 10];
    child.stdout.as_mut().unwrap().read_exact(&mut head).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn without_a_command_it_replays_and_searches_for_heaps() {
    let chosen = ["--quick", "--alloc", "talc,rlsf", "--trace", "git-log"];
    let tables = |command: &[&str]| {
        let output = run(&[command, &chosen].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        [text.contains("Time per event"), text.contains("Smallest heap")]
    };
    assert_eq!(tables(&[]), [true, true]);
    assert_eq!(tables(&["replay"]), [true, false]);
    assert_eq!(tables(&["minheap"]), [false, true]);
}
