//! Records what a program asks its allocator for.
//!
//! ```text
//!   a Rust program                        any dynamically linked program
//!     #[global_allocator] Recorder          LD_PRELOAD: buddy-record-preload
//!                 \                           /
//!                  writer   one record a call, into a mapped file
//!                              |
//!                  format   the log: a head, and records in one total order
//!                              |
//!                  `buddy-bench record` makes a trace of it, which replays
//! ```
//!
//! A Rust program needs one line:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: buddy_record::Recorder = buddy_record::Recorder::new();
//! # fn main() { drop(vec![1, 2, 3]); }
//! ```
//!
//! It runs as ever, unless the environment has `BUDDY_RECORD=FILE`: then each call is recorded in that
//! file, which must be new. `cargo run --release -- record -- PROGRAM` sets it, and makes a trace
//! afterwards; `record --log FILE` makes one of a file that is there.
//!
//! # What is promised
//!
//! - **One total order** over all threads, in which an address is free before it is handed out again.
//! - **Nothing is lost** when the program is killed: a record is in the file as soon as it is written.
//! - **Nothing is allocated**, no lock is taken, and `errno` is left alone.
//! - **One process**: what it forks is not recorded. If it executes another program in its place, what
//!   was recorded before is passed over.
//!
//! Records are made on Linux. Elsewhere [`Recorder`] passes the calls on, and that is all.

pub mod format;
mod recorder;
#[cfg(target_os = "linux")]
pub mod writer;

pub use recorder::Recorder;

/// The environment variable that names the log.
pub const LOG: &str = "BUDDY_RECORD";

/// The environment variable that says how many records a new log has room for.
pub const RECORDS: &str = "BUDDY_RECORD_LIMIT";

/// The environment variable that says which program is recorded, by its file's name; unset, the first.
pub const PROCESS: &str = "BUDDY_RECORD_PROCESS";

/// How many records a log has room for unless [`RECORDS`] says otherwise.
pub const DEFAULT_RECORDS: u64 = 4_000_000;
