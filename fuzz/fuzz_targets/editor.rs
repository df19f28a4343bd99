#![no_main]

#[path = "../../tests/fuzz/mod.rs"]
#[allow(dead_code, reason = "the replay of the corpora uses the rest")]
mod fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::check_target("editor", input));
