//! See `network` in `src/lib.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| apono_operator_fuzz::network(data));
