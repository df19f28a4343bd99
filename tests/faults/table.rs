//! The table of faults in `README.md`: it has every number, and what it names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Test;

pub(crate) const TESTS: &[Test] = tests![the_table_of_faults_is_true];

/// The numbers of the catalogue, which leaves out some. What attacks have found has higher ones, and a row once it is
/// stood.
const NUMBERS_MAX: u32 = 118;
const LEFT_OUT: [u32; 12] = [4, 10, 24, 39, 42, 63, 65, 78, 86, 99, 105, 117];

fn the_table_of_faults_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("tests/faults/README.md")).expect("it is there");
    let rows: BTreeMap<u32, &str> = table.lines().filter_map(row).collect();
    let wanted: BTreeSet<u32> = (1..=NUMBERS_MAX)
        .filter(|number| !LEFT_OUT.contains(number))
        .collect();
    let found = rows.range(..=NUMBERS_MAX).map(|(number, _)| *number);
    assert_eq!(found.collect::<BTreeSet<u32>>(), wanted);

    let sources: BTreeMap<String, String> = ["src", "tests"]
        .into_iter()
        .flat_map(|folder| sources(&root.join(folder)))
        .map(|path| {
            let name = path.strip_prefix(root).expect("below it").to_string_lossy();
            (
                name.into_owned(),
                fs::read_to_string(&path).expect("it is there"),
            )
        })
        .collect();
    // Whatever the table names is there.
    for (number, row) in &rows {
        for (path, test) in row.split('`').filter_map(|code| code.split_once("::")) {
            let source = sources.get(path);
            let source = source.unwrap_or_else(|| panic!("row {number}: no file {path}"));
            let there = source.contains(&format!("fn {test}("));
            assert!(there, "row {number}: no test {test} in {path}");
        }
    }
    // Whatever carries a number stands in its row.
    for (path, source) in &sources {
        for test in source
            .split("fn ")
            .filter_map(|rest| rest.split('(').next())
        {
            for number in test.split('_').map_while(number_of) {
                let named = rows.get(&number).is_some_and(|row| row.contains(test));
                assert!(named, "row {number} does not name {path}::{test}");
            }
        }
    }
}

/// `| 43 | … |`
fn row(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
    Some((number.parse().ok()?, rest))
}

/// `f043`
fn number_of(word: &str) -> Option<u32> {
    let digits = word.strip_prefix('f').filter(|digits| digits.len() == 3)?;
    digits.parse().ok()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is there").flatten();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries
        .map(|entry| entry.path())
        .partition(|path| path.is_dir());
    let rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let mut all: Vec<PathBuf> = files.into_iter().filter(rust).collect();
    all.extend(folders.iter().flat_map(|folder| sources(folder)));
    all
}
