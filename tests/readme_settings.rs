//! The README lists every setting as the program has it.

#[test]
fn the_readme_has_the_table_of_settings() {
    let table = chatd::settings::markdown();
    let readme = include_str!("../README.md");
    assert!(readme.contains(&table), "put this into README.md:\n{table}");
}
