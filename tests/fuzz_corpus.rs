//! Replays the corpora of the fuzz targets: what they begin with, and what they have found.

mod fuzz;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use fuzz::TARGETS;

#[test]
fn f067_every_corpus_agrees_with_its_reference() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, _) in TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpora.join(target))
            .expect("each target has a corpus")
            .map(|entry| entry.expect("a file").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            let text = fs::read_to_string(&file).expect("text");
            let input = fuzz::unescape(&text).expect("known escapes");
            let outcome = catch_unwind(|| fuzz::check_target(target, &input));
            assert!(outcome.is_ok(), "{}", file.display());
        }
    }
}

#[test]
fn a_corpus_file_stands_for_bytes() {
    let bytes = fuzz::unescape("a\\r\\n\\xff\n\\\\\\x00é").expect("known escapes");
    assert_eq!(bytes, b"a\r\n\xff\\\0\xc3\xa9");
    assert!(fuzz::unescape("\\q").is_err());
}
