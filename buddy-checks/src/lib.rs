//! What is tried against the allocator with bytes that nobody chose: each body takes bytes, makes
//! calls of them, and panics as soon as an answer is wrong.
//!
//! ```text
//!   fuzz/ (libFuzzer)     tests/corpus.rs (committed inputs, random bytes)
//!            \              /
//!   tree::run   frames::run   heap::run   collections::run   traces::run      &[u8] -> calls
//!        |           |           |             |                |
//!       naive models          Shadow      std's Vec, HashMap   the format's rules     the oracles
//!                                |
//!                          tests/misuse.rs, examples/soak.rs
//! ```

pub mod collections;
pub mod frames;
pub mod heap;
mod input;
mod memory;
mod random;
mod shadow;
#[cfg(feature = "traces")]
pub mod traces;
pub mod tree;

// The tree's calls, model and oracle are those of the exhaustive search, which uses more of them.
#[allow(dead_code, reason = "the exhaustive search uses the rest")]
#[path = "../../buddy-core/tests/tree/action.rs"]
mod action;
#[path = "../../buddy-core/tests/tree/model.rs"]
mod model;
#[path = "../../buddy-core/tests/tree/oracle.rs"]
mod oracle;
#[allow(dead_code, reason = "the exhaustive search uses the rest")]
#[path = "../../buddy-core/tests/tree/subject.rs"]
mod subject;

pub use input::Input;
pub use memory::Memory;
pub use random::Random;
pub use shadow::{Live, Shadow};
