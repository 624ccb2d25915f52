//! A buddy allocator over an implicit binary tree.

#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod heap;
#[forbid(unsafe_code)]
pub mod tree;

#[cfg(feature = "alloc")]
pub use heap::BuddyAllocator;
pub use heap::Heap;
#[cfg(target_has_atomic = "ptr")]
pub use tree::Atomic;
#[cfg(all(target_has_atomic = "ptr", target_has_atomic = "32"))]
pub use tree::Atomic32;
pub use tree::{
    Constraints, Eager, Extent, Kind, Lazy, Order, Plain, Plain32, Policy, Statistics, Storage,
    Tree, Word,
};
