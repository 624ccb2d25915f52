//! Vectors that grow by reallocs.

mod common;

fn main() {
    common::heaps("grow");
}
