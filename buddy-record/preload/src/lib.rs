//! The C library's allocation functions, recorded: for `LD_PRELOAD`.
//!
//! Each function here takes the place of the C library's, or of whichever comes next in the program,
//! passes the call on to it, and records what came of it. `buddy-bench record` sets it all up; by hand:
//!
//! ```text
//! BUDDY_RECORD=ls.log LD_PRELOAD=target/release/libbuddy_record_preload.so ls -l /
//! ```
//!
//! - `next` finds the functions to pass on to, and `early` serves requests that come meanwhile.
//! - `functions` are what the program calls.
//!
//! Not seen: what a statically linked program does, or one with an allocator of its own inside.

#![cfg(target_os = "linux")]

mod early;
mod functions;
mod next;
