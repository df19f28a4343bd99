//! Replays the corpora of the fuzz targets: what they begin with, and what they have found.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[test]
fn f067_every_corpus_agrees_with_its_reference() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let targets = files(&fuzz.join("fuzz_targets"));
    assert!(targets.len() >= 5, "the targets are not found");
    for target in targets {
        let target = target.file_stem().expect("a file").to_string_lossy();
        let files = files(&fuzz.join("corpus").join(&*target));
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            let text = fs::read_to_string(&file).expect("text");
            let input = unescape(&text).expect("known escapes");
            let outcome = catch_unwind(|| chatd::internals::fuzz(&target, &input));
            assert!(outcome.is_ok(), "{}", file.display());
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|_| panic!("no {}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// The bytes that a file of a corpus stands for: `\xHH`, `\r`, `\n`, `\t` and `\\` are what they are in most languages,
/// all else is itself, and the line ends of the file are only for its reader.
///
/// # Errors
/// The escape sequence that is none of these.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\n' => {}
            '\\' => bytes.push(escaped(&mut rest)?),
            character => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Ok(bytes)
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match rest.next() {
        Some('r') => Ok(b'\r'),
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = rest.take(2).collect();
            u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits}"))
        }
        other => Err(format!("\\{}", other.unwrap_or(' '))),
    }
}

#[test]
fn a_corpus_file_stands_for_bytes() {
    let bytes = unescape("a\\r\\n\\xff\n\\\\\\x00é").expect("known escapes");
    assert_eq!(bytes, b"a\r\n\xff\\\0\xc3\xa9");
    assert!(unescape("\\q").is_err());
}
