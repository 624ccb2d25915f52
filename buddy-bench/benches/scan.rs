//! Frees of every other block, then the rest, of 100 to 100,000 blocks.

mod common;

fn main() {
    common::heaps("scan");
}
