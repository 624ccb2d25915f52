//! What the kernel does with its allocators, in order. Each chapter ends the run where it fails.

pub(crate) mod collections;
pub(crate) mod exhaustion;
pub(crate) mod faults;
pub(crate) mod interrupts;
pub(crate) mod memory;
pub(crate) mod processors;
pub(crate) mod proof;
mod race;
mod random;
mod stress;
