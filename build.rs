//! Makes the binary smaller. The table of look-alike letters is full of pointers, and each costs a relocation of 24 bytes
//! unless these are packed (`DT_RELR`, which the loader of glibc knows since 2.36). And where a panic ends the process,
//! nothing is ever unwound: the tables for that (`.eh_frame`) are a fourteenth of the binary.

use std::env;
use std::fs;
use std::path::Path;

/// For the linker: what is to be left out.
const WITHOUT_UNWINDING: &str = "\
SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame.* .gcc_except_table .gcc_except_table.*) } }
INSERT AFTER .text;
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |key: &str| env::var(key).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    // The release profile has panics that abort. Those with names are for profilers, which unwind.
    if variable("PROFILE") == "release" && variable("DEBUG") == "false" {
        let script = Path::new(&variable("OUT_DIR")).join("without-unwinding.ld");
        if fs::write(&script, WITHOUT_UNWINDING).is_ok() {
            println!("cargo:rustc-link-arg-bin=chatd=-Wl,--no-eh-frame-hdr");
            println!("cargo:rustc-link-arg-bin=chatd={}", script.display());
        }
    }
}
