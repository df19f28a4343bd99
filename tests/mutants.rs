//! The mutants of `tests/mutants/` can be applied; whether they are found, `tests/mutants/run` shows on demand.

use std::fs;
use std::path::Path;

/// What stands in a file of a mutant for this key.
fn value<'a>(mutant: &'a str, key: &str) -> &'a str {
    for quote in ["'''", "\""] {
        let begin = format!("\n{key} = {quote}");
        if let Some((_, rest)) = mutant.split_once(&begin) {
            return rest.split_once(quote).expect("the quote ends").0;
        }
    }
    panic!("a mutant without {key}")
}

#[test]
fn what_a_mutant_changes_is_there_exactly_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in fs::read_dir(root.join("tests/mutants")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let mutant = fs::read_to_string(&path).unwrap();
        let source = fs::read_to_string(root.join(value(&mutant, "file"))).unwrap();
        let (find, replace) = (value(&mutant, "find"), value(&mutant, "replace"));
        assert_eq!(source.matches(find).count(), 1, "{}", path.display());
        assert_ne!(find, replace, "{}", path.display());
        assert!(!value(&mutant, "found_by").is_empty());
        count += 1;
    }
    assert!(count >= 75, "{count} mutants");
}
