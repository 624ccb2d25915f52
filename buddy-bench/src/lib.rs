//! Measures this project's allocators beside their peers.
//!
//! ```text
//!   commands/     one file a command: its options, its passes, its tables
//!      |
//!   measure       one workload through all contestants, round by round
//!   smallest      the smallest heap that fits, by bisection
//!      |
//!   passes        one allocator over some work: checked, timed, or each call for itself
//!   checked, calls      the allocators that look at, and that time, what another does
//!      |
//!   workloads/    what is done: traces, pairs, batches, churn, ..; the suite of them
//!   peers/        one adapter a peer, behind the trait Peer; the roster of them all
//!   ranges/       as peers/, for allocators of page frames
//!   shared/       as peers/, for allocators that threads share
//!   holder, meter, arena      the blocks held, the time taken, the memory shared
//!   trace/        the traces, decoded
//!      |
//!   figure, statistics, table, csv, machine, progress      how it is told
//! ```
//!
//! What keeps the figures comparable: every allocator gets the same memory, touched beforehand, and
//! the same work, made beforehand; each loop is compiled for its allocator, so that no call goes
//! through a pointer; passes of all allocators alternate, round by round, so that noise meets all
//! alike; and none is timed that was not checked first.

pub mod arena;
pub mod calls;
pub mod checked;
pub mod clock;
pub mod commands;
pub mod csv;
pub mod figure;
pub mod holder;
pub mod machine;
pub mod measure;
pub mod meter;
pub mod passes;
mod pattern;
pub mod peers;
pub mod plot;
pub mod progress;
pub mod random;
pub mod ranges;
pub mod shared;
pub mod smallest;
pub mod statistics;
pub mod table;
pub mod trace;
pub mod workloads;

#[cfg(test)]
mod toys;
