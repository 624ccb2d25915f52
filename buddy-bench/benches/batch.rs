//! A thousand blocks at once, freed in three orders.

mod common;

fn main() {
    common::heaps("batch");
}
