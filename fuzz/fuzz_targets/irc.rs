#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chatd::internals::fuzz("irc", input));
