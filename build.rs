//! Makes the binary smaller.
//!
//! The table of look-alike letters of `unicode-security` is made of slices, 24 bytes for each letter beside what it says;
//! here it is made anew as plain numbers, a quarter as large. Other tables have pointers, too, and each costs a relocation
//! of 24 bytes unless these are packed (`DT_RELR`, which the loader of glibc knows since 2.36). And where a panic ends the
//! process, nothing is ever unwound: the tables for that (`.eh_frame`) are a fourteenth of the binary.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

/// For the linker: what is to be left out.
const WITHOUT_UNWINDING: &str = "\
SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame.* .gcc_except_table .gcc_except_table.*) } }
INSERT AFTER .text;
";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |key: &str| env::var(key).unwrap_or_default();
    let out = variable("OUT_DIR");
    fs::write(Path::new(&out).join("prototypes.rs"), prototypes())?;
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return Ok(());
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    // The release profile has panics that abort. Those with names are for profilers, which unwind.
    if variable("PROFILE") == "release" && variable("DEBUG") == "false" {
        let script = Path::new(&out).join("without-unwinding.ld");
        fs::write(&script, WITHOUT_UNWINDING)?;
        println!("cargo:rustc-link-arg-bin=chatd=-Wl,--no-eh-frame-hdr");
        println!("cargo:rustc-link-arg-bin=chatd={}", script.display());
    }
    Ok(())
}

/// The source of the tables of `src/skeleton.rs`: every letter that is shown for another text, or for nothing, which text
/// that is, and where it stands among all of them.
fn prototypes() -> String {
    let (mut letters, mut texts) = (Vec::new(), BTreeMap::<String, usize>::new());
    for letter in '\0'..=char::MAX {
        let text = letter.to_string();
        if !text.nfd().eq(text.chars()) {
            // It is taken apart before it is looked up.
            continue;
        }
        let prototype: String = skeleton(&text).collect();
        if prototype != text {
            let next = texts.len();
            letters.push((letter, *texts.entry(prototype).or_insert(next)));
        }
    }
    let mut ordered: Vec<(&String, &usize)> = texts.iter().collect();
    ordered.sort_by_key(|(_, place)| **place);
    let (mut all, mut ends) = (String::new(), String::new());
    for (text, _) in ordered {
        all.push_str(text);
        // Writing to a String cannot fail.
        let _ = write!(ends, "{},", all.len());
    }
    let list = |numbers: &mut dyn Iterator<Item = u32>| {
        numbers.fold(String::new(), |list, number| list + &format!("{number},"))
    };
    let keys = list(&mut letters.iter().map(|(letter, _)| u32::from(*letter)));
    let places = list(&mut letters.iter().map(|(_, place)| *place as u32));
    format!(
        "pub(super) static LETTERS: &[u32] = &[{keys}];\n\
         pub(super) static PLACES: &[u16] = &[{places}];\n\
         pub(super) static ENDS: &[u16] = &[{ends}];\n\
         pub(super) static TEXTS: &str = {all:?};\n"
    )
}
