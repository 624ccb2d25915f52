//! Why a heap was not given its memory.

use buddy_core::heap::BuildError;
use thiserror::Error;

/// Why a heap was not given its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InitError {
    /// It has memory already, or is to have it.
    #[error("the heap was given its memory before")]
    Twice,
    /// The memory or metadata does not do.
    #[error(transparent)]
    Build(#[from] BuildError),
}
