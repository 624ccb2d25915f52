//! Collections on every kind of heap, through every version of the trait.

#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[cfg(feature = "allocator-api2-04")]
mod arena;
mod kind;
mod programs;
mod threads;
mod versions;
