//! `report` as a user meets it: the page, the README, messages, exit status.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn report(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buddy-bench"));
    command.arg("report").args(arguments).current_dir(folder).output().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const HEAD: &str =
    "command,workload,parameter,allocator,package,metric,unit,median,low,high,runs,status\n";

const FIGURES: &str = "\
machine,<CPU> & Co,,,rustc 1,cores,,2,2,2,1,ok
replay,git-log,,buddy,buddy-core 1,time,ns/event,14.2,13.9,14.6,15,ok
replay,git-log,,talc,talc 5,time,ns/event,10,9,11,15,ok
replay,git-log,,linked_list,linked_list_allocator 1,time,ns/event,9,9,9,3,part: 3 %
scale,churn,1 MiB,buddy,buddy-core 1,time,ns/step,4,4,4,3,ok
scale,churn,1 GiB,buddy,buddy-core 1,time,ns/step,5,5,5,3,ok
";

#[test]
fn the_readme_has_the_figures_of_the_files() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let folder = folder(&[("README.md", &readme)]);
    let done = report(&["--readme", "README.md"], folder.path());
    assert!(done.status.success(), "{done:?}");
    let generated = fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(
        generated == readme,
        "README.md has other figures than buddy-bench/results; \
         run: cargo run --release -- report --readme README.md"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_page_has_all_that_it_needs() {
    let folder = folder(&[("one.csv", &format!("{HEAD}{FIGURES}"))]);
    let done = report(&["one.csv", "-o", "page.html", "--maps", "git-log"], folder.path());
    assert!(done.status.success(), "{done:?}");
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    for part in [
        "&lt;CPU&gt; &amp; Co, 2 cores",
        "prefers-color-scheme:dark",
        "name=\"viewport\"",
        // The loss of ours, the one that was too slow, the curve, the map, the figures.
        "0.70×",
        "part: 3 %",
        "<polyline",
        "git-log after",
        "data:text/csv",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing is fetched, and no picture is of fixed colours.
    let namespace = "http://www.w3.org/";
    assert_eq!(page.matches("http").count(), page.matches(namespace).count());
    assert!(!page.contains("fill=\"#") && !page.contains("stroke=\"#"));
    let sum = |name: &str| {
        (page.matches(&format!("<{name}")).count(), page.matches(&format!("</{name}>")).count())
    };
    for name in ["table", "section", "svg", "details"] {
        assert_eq!(sum(name).0, sum(name).1, "{name}");
    }
}

#[test]
fn figures_of_several_files_are_joined() {
    let one = format!("{HEAD}{FIGURES}");
    let two =
        format!("{HEAD}minheap,git-log,,buddy,buddy-core 1,heap / peak,ratio,1.2,1.2,1.2,1,ok\n");
    let folder = folder(&[("one.csv", &one), ("two.csv", &two)]);
    assert!(report(&["one.csv", "two.csv", "--maps", "git-log"], folder.path()).status.success());
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("Smallest heap") && page.contains("churn, ns/step"));
}

#[test]
fn bad_input_is_told_and_leaves_nothing_behind() {
    let good = format!("{HEAD}{FIGURES}");
    let files = [
        ("good.csv", good.as_str()),
        ("empty.csv", ""),
        ("head.csv", HEAD),
        ("cut.csv", &good[..good.len() - 20]),
        ("column.csv", &good.replace(",runs", "")),
        ("number.csv", &good.replace("14.2", "fast")),
        ("picture.csv", "\u{89}PNG\r\n"),
        ("README.md", "no section"),
    ];
    let folder = folder(&files);
    let failure = |arguments: &[&str]| {
        let done = report(arguments, folder.path());
        assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{done:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), files.len());
        let message = String::from_utf8(done.stderr).unwrap();
        assert!(message.starts_with("error: ") && message.lines().count() == 1, "{message}");
        message
    };
    for name in ["empty.csv", "head.csv", "cut.csv", "column.csv", "number.csv", "picture.csv"] {
        assert!(failure(&["good.csv", name]).starts_with(&format!("error: {name}: ")));
    }
    assert!(failure(&["no.csv"]).starts_with("error: no.csv: "));
    assert!(failure(&["good.csv", "-o", "/"]).starts_with("error: /: "));
    assert!(failure(&["good.csv", "-o", "no/page.html"]).starts_with("error: no/page.html: "));
    #[cfg(target_os = "linux")]
    assert!(failure(&["good.csv", "-o", "/dev/full"]).contains("No space left"));
    assert!(failure(&["good.csv", "--maps", "nothing"]).contains("sqlite-sql"));
    assert!(failure(&["good.csv", "--readme", "README.md"]).contains("no section"));
    assert!(failure(&["good.csv", "--readme", "NONE.md"]).starts_with("error: NONE.md: "));
}
