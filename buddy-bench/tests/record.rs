//! Programs are recorded as they are, and what is recorded replays.
#![cfg(target_os = "linux")]

use buddy_bench::trace::{Op, Trace, load};
use std::ffi::OsStr;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};
use tempfile::TempDir;

/// This test is itself a program with a recorder inside.
#[global_allocator]
static ALLOCATOR: buddy_record::Recorder = buddy_record::Recorder::new();

/// A folder for one test.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Compiles a program of `tests/programs`.
    fn program(&self, name: &str) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.c"));
        let program = self.path(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-O0", "-pthread", "-Wno-alloc-size-larger-than", "-o"]);
        assert!(compiler.arg(&program).arg(source).status().unwrap().success());
        program
    }

    /// Runs `record` with these arguments.
    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buddy-bench"));
        command.arg("record").args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// Records a program, and reads the trace.
    fn record<S: AsRef<OsStr>>(&self, options: &[&str], command: &[S]) -> Trace {
        let output = self.path("recorded.trc.zst");
        let mut arguments = vec![OsStr::new("-o"), output.as_os_str()];
        arguments.extend(options.iter().map(OsStr::new));
        arguments.push(OsStr::new("--"));
        arguments.extend(command.iter().map(AsRef::as_ref));
        let done = self.run(&arguments);
        let message = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && !message.contains("ended with"), "{message}");
        load(output.to_str().unwrap()).unwrap()
    }

    /// The message of a run that must fail, and must leave nothing behind.
    fn failure<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let before = fs::read_dir(self.0.path()).unwrap().count();
        let done = self.run(arguments);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        assert_eq!(fs::read_dir(self.0.path()).unwrap().count(), before);
        String::from_utf8(done.stderr).unwrap()
    }
}

/// What a trace says of these sizes: operation, size, alignment.
fn of_sizes(trace: &Trace, wanted: impl Fn(u32) -> bool) -> Vec<(Op, u32, u32)> {
    let events = trace.events.iter().filter(|event| wanted(event.size));
    events.map(|event| (event.op, event.size, 1 << event.align_log2)).collect()
}

#[test]
fn every_function_is_recorded_and_works_as_ever() {
    let workshop = Workshop::new();
    let trace = workshop.record(&[], &[workshop.program("calls")]);
    let expected = [
        (Op::Alloc, 7001, 16),
        (Op::Realloc, 7002, 16),
        (Op::Realloc, 7063, 16),
        (Op::AllocZeroed, 7147, 16),
        (Op::Alloc, 7101, 256),
        (Op::Alloc, 7168, 512),
        (Op::Alloc, 7103, 1024),
        (Op::Alloc, 7104, 4096),
        // 7201 is the forked process's.
        (Op::Alloc, 7202, 16),
    ];
    assert_eq!(of_sizes(&trace, |size| (7000..7300).contains(&size)), expected);
    assert_eq!(trace.events.last().unwrap().op, Op::Free);
}

#[test]
fn events_of_threads_are_in_an_order_that_can_have_been() {
    let workshop = Workshop::new();
    let done = workshop.program("threads");
    let trace = workshop.record(&[], &[done]);
    let count = |op, sizes: std::ops::Range<u32>| {
        let of = |event: &&buddy_bench::trace::Event| event.op == op && sizes.contains(&event.size);
        trace.events.iter().filter(of).count()
    };
    // The C library allocates a little for each thread, too.
    assert!((80_000..80_100).contains(&count(Op::Alloc, 24..280)));
    assert!((30_000..50_000).contains(&count(Op::Realloc, 48..560)));
    let frees = count(Op::Free, 0..1);
    assert!(frees >= 80_000, "{frees} frees");
    assert_eq!(trace.threads, 5);
    let message = workshop.run(&["-o", "again.trc.zst", "--", "./threads"]).stderr;
    let message = String::from_utf8(message).unwrap();
    assert!(!message.contains("left out"), "{message}");
}

#[test]
fn a_program_that_another_one_executes_is_recorded_in_its_place() {
    let workshop = Workshop::new();
    workshop.program("calls");
    let trace = workshop.record(&[], &["sh", "-c", "exec ./calls"]);
    assert_eq!(of_sizes(&trace, |size| size == 7202).len(), 1);
}

#[test]
fn a_child_is_recorded_where_its_name_is_asked_for() {
    let workshop = Workshop::new();
    workshop.program("calls");
    let command = ["sh", "-c", "ls; ./calls; ls"];
    let trace = workshop.record(&["--process", "calls"], &command);
    assert_eq!(of_sizes(&trace, |size| size == 7202).len(), 1);
    let trace = workshop.record(&[], &command);
    assert_eq!(of_sizes(&trace, |size| size == 7202), []);
}

#[test]
fn a_long_recording_is_cut_and_says_so() {
    let workshop = Workshop::new();
    workshop.program("threads");
    let done = workshop.run(&["-o", "cut.trc.zst", "--events", "1000", "--", "./threads"]);
    let message = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && message.contains("--events"), "{message}");
    let trace = load(workshop.path("cut.trc.zst").to_str().unwrap()).unwrap();
    assert!((500..=1000).contains(&trace.events.len()));
}

/// What the recorded process does: not a test by itself.
#[test]
fn allocate_for_the_recorder() {
    if env::var_os("BUDDY_RECORD").is_some() {
        let mut vec = black_box(Vec::<u64>::with_capacity(1111));
        vec.reserve_exact(2222);
        drop(black_box(vec![0_u8; 9999]));
    }
}

#[test]
fn a_recorder_inside_takes_the_place_of_the_preloaded_library() {
    let workshop = Workshop::new();
    let program = env::current_exe().unwrap();
    let arguments = ["--exact", "allocate_for_the_recorder"].map(OsStr::new);
    let command = [&[program.as_os_str()], &arguments[..]].concat();
    let trace = workshop.record(&[], &command);
    let expected = [(Op::Alloc, 8888, 8), (Op::Realloc, 17776, 8), (Op::AllocZeroed, 9999, 1)];
    assert_eq!(of_sizes(&trace, |size| [8888, 17776, 9999].contains(&size)), expected);

    // And it works without the library, into a log that it creates.
    let log = workshop.path("program.log");
    let mut command = Command::new(program);
    assert!(command.args(arguments).env("BUDDY_RECORD", &log).output().unwrap().status.success());
    let done = workshop.run(&[OsStr::new("--log"), log.as_os_str()]);
    assert!(done.status.success(), "{done:?}");
    let trace = load(workshop.path("program.trc.zst").to_str().unwrap()).unwrap();
    assert_eq!(of_sizes(&trace, |size| [8888, 17776, 9999].contains(&size)), expected);
}

#[test]
fn what_cannot_be_recorded_is_told() {
    let workshop = Workshop::new();
    let failure = |arguments: &[&str]| workshop.failure(arguments);
    assert!(failure(&["--", "./no-such-program"]).contains("no-such-program"));
    assert!(failure(&["--process", "nobody", "--", "ls"]).contains("nothing was recorded"));
    assert!(failure(&["-o", "/", "--", "ls"]).starts_with("error: /: "));
    assert!(failure(&["-o", "/dev/full", "--", "ls"]).contains("No space left"));
    assert!(failure(&["-o", "no/such/folder", "--", "ls"]).starts_with("error: no/such/folder: "));
    assert!(failure(&["--library", "no.so", "--", "ls"]).contains("no.so does not exist"));
    let limit = u64::MAX.to_string();
    assert!(failure(&["--events", &limit, "--", "ls"]).contains("the log of the recording"));
}

#[test]
fn damaged_logs_are_told() {
    let workshop = Workshop::new();
    let log = workshop.path("damaged");
    for (bytes, message) in [
        (vec![], "not a log"),
        (vec![7; 5000], "not a log"),
        ([b"BUDLOG01".as_slice(), &[9; 4088]].concat(), "truncated"),
    ] {
        fs::write(&log, bytes).unwrap();
        let told = workshop.failure(&[OsStr::new("--log"), log.as_os_str()]);
        assert!(told.contains(message), "{told}");
    }
    assert!(workshop.failure(&["--log", "no.log"]).starts_with("error: no.log: "));
}
