//! Measures this project's allocators beside their peers, on recorded programs.
//!
//! ```text
//!   commands/     one file a command: its options, its passes, its tables
//!      |
//!   replay/       a trace through an allocator: checked, timed, or only "does it fit?"
//!   smallest      the smallest heap that fits, by bisection
//!      |
//!   peers/        one adapter a peer, behind the trait Peer; the roster of them all
//!   arena         the memory that all of them share
//!   trace/        the traces, decoded
//!      |
//!   statistics, table, csv, machine, progress      how it is told
//! ```
//!
//! What keeps the figures comparable: every allocator gets the same memory, touched beforehand, and
//! the same events, decoded beforehand; each replay loop is compiled for its allocator, so that no
//! call goes through a pointer; passes of all allocators alternate, round by round, so that noise
//! meets all alike; and none is timed that was not checked first.

pub mod arena;
pub mod commands;
pub mod csv;
pub mod machine;
pub mod peers;
pub mod plot;
pub mod progress;
pub mod random;
pub mod replay;
pub mod smallest;
pub mod statistics;
pub mod table;
pub mod trace;

#[cfg(test)]
mod toys;
