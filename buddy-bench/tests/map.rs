//! `map` as a user meets it: its files, its messages, its exit status.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn map(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buddy-bench"));
    command.arg("map").args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn pictures_and_figures_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let done = map(&["-o", "a/b", "--at", "50%", "--csv", "course.csv"], folder.path());
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && text.contains("largest free block"), "{text}");
    for name in ["git-log-map", "git-log-course"] {
        let path = |extension| folder.path().join(format!("a/b/{name}.{extension}"));
        assert!(fs::read_to_string(path("svg")).unwrap().starts_with("<svg"));
        assert!(fs::read(path("png")).unwrap().starts_with(b"\x89PNG"));
    }
    let csv = fs::read_to_string(folder.path().join("course.csv")).unwrap();
    assert!(csv.lines().count() > 1000 && csv.contains("map,git-log,event 0,buddy,"));
}

#[test]
fn bad_input_is_told_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let failure = |arguments: &[&str]| {
        let done = map(arguments, folder.path());
        assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{done:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        String::from_utf8(done.stderr).unwrap()
    };
    assert!(failure(&["--trace", "nothing"]).contains("sqlite-sql"));
    assert!(failure(&["--at", "999999999"]).contains("of a trace with 173259"));
    assert!(failure(&["--heap", "10"]).contains("too small"));
    assert!(failure(&["--heap", "9223372036854775807"]).contains("no memory"));
    assert!(failure(&["-o", "/dev/null/no"]).starts_with("error: /dev/null/no: "));
    assert!(failure(&["--csv", "/"]).starts_with("error: /: "));
    assert_eq!(map(&["--at", "noon"], folder.path()).status.code(), Some(2));
}
