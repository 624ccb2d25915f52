//! A steady state of mixed sizes, with reallocs.

mod common;

fn main() {
    common::heaps("churn");
}
