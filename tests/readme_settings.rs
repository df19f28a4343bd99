//! The README lists every setting as the program has it.

#[path = "support/settings_table.rs"]
mod settings_table;

#[test]
fn the_readme_has_the_table_of_settings() {
    let rows = settings_table::rows();
    assert!(rows.len() > 10, "{rows:?}");
    let rows = rows
        .iter()
        .map(|row| format!("| `{}` | {} | {} |\n", row.key, row.default, row.meaning));
    let table =
        "| key | default | meaning |\n|---|---|---|\n".to_owned() + &rows.collect::<String>();
    let readme = include_str!("../README.md");
    assert!(readme.contains(&table), "put this into README.md:\n{table}");
}
