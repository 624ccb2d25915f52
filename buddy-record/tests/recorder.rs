//! A program with a recorder inside: this test, which runs itself again with a log.
#![cfg(target_os = "linux")]

use buddy_record::format::{Kind, Log, Record};
use buddy_record::writer::{RECORDER, Writer, set_errno};
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs, io, thread};

#[global_allocator]
static ALLOCATOR: buddy_record::Recorder = buddy_record::Recorder::new();

/// What the process that is recorded does: not a test by itself.
#[test]
fn program() {
    match env::var("PROGRAM").as_deref() {
        Ok("allocate") => {
            let mut vec = black_box(Vec::<u16>::with_capacity(5000));
            vec.reserve_exact(7000);
            drop(thread::spawn(|| black_box(vec![0_u64; 3000])).join());
            drop(black_box(vec));
        }
        Ok("errno") => {
            set_errno(4711);
            Writer::new(RECORDER).start();
            assert_eq!(io::Error::last_os_error().raw_os_error(), Some(4711));
        }
        _ => {}
    }
}

fn run(program: &str, log: &Path) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "program"]).env("PROGRAM", program);
    let done = command.env("BUDDY_RECORD", log).env("BUDDY_RECORD_LIMIT", "50000").output();
    done.inspect(|done| assert!(done.status.success(), "{done:?}")).unwrap()
}

/// The records of the blocks with these addresses' sizes: kind, alignment, thread, size.
fn records(bytes: &[u8]) -> Vec<Record> {
    Log::new(bytes).unwrap().records().flatten().collect()
}

#[test]
fn calls_are_recorded_in_order_with_their_layouts_and_threads() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    run("allocate", &log);
    let bytes = fs::read(&log).unwrap();
    assert!(Log::new(&bytes).unwrap().begun);
    let records = records(&bytes);
    assert_eq!(records[0].kind, Kind::Start);
    let of_size = |size| {
        let at = records.iter().position(|record| record.size == size).unwrap();
        (at, records[at])
    };
    let (first, alloc) = of_size(10_000);
    let (second, moved) = of_size(14_000);
    let (third, zeroed) = of_size(24_000);
    assert_eq!((alloc.kind, alloc.align_log2), (Kind::Alloc, 1));
    assert_eq!((moved.kind, moved.thread), (Kind::ReallocEnd, alloc.thread));
    assert_eq!((zeroed.kind, zeroed.align_log2), (Kind::AllocZeroed, 3));
    assert!(first < second && second < third && zeroed.thread != alloc.thread);
    let freed = |address| {
        records[third..].iter().any(|record| record.kind == Kind::Free && record.address == address)
    };
    assert!(freed(moved.address) && freed(zeroed.address));
}

#[test]
fn the_log_of_another_process_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    run("allocate", &log);
    let before = fs::read(&log).unwrap();
    run("allocate", &log);
    assert!(fs::read(&log).unwrap() == before);
}

#[test]
fn a_file_that_is_no_log_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("letter");
    for text in
        [String::new(), "Dear friend".to_owned(), "Dear friend".repeat(1000), "\0".repeat(5000)]
    {
        fs::write(&log, &text).unwrap();
        run("allocate", &log);
        assert_eq!(fs::read_to_string(&log).unwrap(), text);
    }
}

#[test]
fn a_log_that_cannot_be_created_is_told_and_errno_stays() {
    let done = run("errno", Path::new("/no/such/folder/log"));
    let message = String::from_utf8(done.stderr).unwrap();
    assert!(message.contains("the log cannot be created"), "{message}");
}
