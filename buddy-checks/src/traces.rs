//! Files that claim to be traces: a damaged one is refused, and one that is read keeps the rules that
//! replayers rely on and is written as it was read.

use buddy_bench::trace::{Op, Trace, TraceError, load, peak_bytes};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;
use tempfile::NamedTempFile;

/// Reads the bytes as a file, or, if the first is odd, what follows it as the contents of one.
///
/// # Panics
/// If a trace is read that breaks a rule.
pub fn run(bytes: &[u8]) {
    let answer = match bytes.split_first() {
        Some((first, contents)) if first % 2 == 1 => {
            read(&compress_to_vec(contents, CompressionLevel::Fastest))
        }
        _ => read(bytes),
    };
    if let Ok(trace) = answer {
        check_rules(&trace);
        let again = read(&trace.to_file()).expect("what was written");
        assert_eq!(again.events, trace.events);
        assert_eq!((again.slots, again.threads), (trace.slots, trace.threads));
    }
}

fn read(file: &[u8]) -> Result<Trace, TraceError> {
    let mut path = NamedTempFile::new().expect("a temporary file");
    path.write_all(file).expect("a temporary file");
    load(path.path().to_str().expect("a path in UTF-8"))
}

fn check_rules(trace: &Trace) {
    let mut is_full = vec![false; trace.slots];
    for event in &trace.events {
        let slot = &mut is_full[event.slot as usize];
        let fills = matches!(event.op, Op::Alloc | Op::AllocZeroed);
        assert_eq!(*slot, !fills, "{event:?}");
        *slot = event.op != Op::Free;
        assert_eq!(event.size == 0, event.op == Op::Free, "{event:?}");
        assert!(event.align_log2 < 32, "{event:?}");
        assert!(u64::from(event.thread) < trace.threads, "{event:?}");
    }
    assert_eq!(peak_bytes(&trace.events, trace.slots), trace.peak_bytes);
}
