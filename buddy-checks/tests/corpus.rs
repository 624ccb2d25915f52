//! The fuzz targets' bodies without a fuzzer: over the inputs in `corpus/`, which libFuzzer found to
//! reach different code, and over random ones.

use buddy_checks::{Random, collections, frames, heap, tree};
use std::fs;
use std::path::Path;

/// Runs the body over the committed inputs and so many random ones of up to so many bytes.
fn check(name: &str, inputs: u64, most_bytes: usize, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    assert!(!paths.is_empty(), "no corpus of {name}");
    for path in paths {
        let _told = Told(path.display().to_string());
        body(&fs::read(&path).unwrap());
    }
    for seed in 0..inputs {
        let _told = Told(format!("random input {seed}"));
        let mut random = Random::new(seed);
        let count = random.below(most_bytes);
        body(&random.bytes(count));
    }
}

/// Names the input with which a body failed.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with {}", self.0);
        }
    }
}

#[test]
fn trees_answer_as_the_model_does() {
    check("tree", 2000, 1500, tree::run);
}

#[test]
fn frames_answer_as_the_model_does() {
    check("frames", 2000, 800, frames::run);
}

#[test]
fn heaps_hold_what_their_shadows_hold() {
    check("heap", 1000, 3000, heap::run);
}

#[test]
fn collections_hold_what_those_of_std_hold() {
    check("collections", 500, 1000, collections::run);
}

#[cfg(feature = "traces")]
#[test]
fn traces_that_are_read_keep_the_rules() {
    check("traces", 500, 300, buddy_checks::traces::run);
}
