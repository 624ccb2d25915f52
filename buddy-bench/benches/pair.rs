//! Blocks that go straight back, of 16 B to 64 KiB, alone and beside others.

mod common;

fn main() {
    common::heaps("pair");
}
