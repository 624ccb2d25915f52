//! The program as a user meets it: exit status and messages.

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

#[test]
fn unknown_names_are_told_with_the_known_ones() {
    assert!(failure(&["--alloc", "nobody"]).contains("buddy-eager"));
    assert!(failure(&["replay", "--trace", "nothing"]).contains("sqlite-sql"));
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
fn a_file_that_cannot_be_written_is_told() {
    let message = failure(&["--alloc", "talc", "--trace", "git-log", "--csv", "/"]);
    assert!(message.starts_with("error: /: "), "{message}");
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
