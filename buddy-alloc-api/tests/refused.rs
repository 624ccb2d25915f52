//! Collections that outlive their heap do not compile: each program in tests/refused/ has what rustc
//! says of it beside it. (Which heaps threads may share is checked in heaps/threads.rs, by type.)

// The words are those of a stable compiler.
#![cfg(not(feature = "nightly"))]

#[test]
fn collections_that_outlive_their_heap_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/refused/accepted.rs");
    cases.compile_fail("tests/refused/outlives_*.rs");
    cases.compile_fail("tests/refused/heap_*.rs");
}
