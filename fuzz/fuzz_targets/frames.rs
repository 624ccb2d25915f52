#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| buddy_checks::frames::run(bytes));
