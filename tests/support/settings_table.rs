//! The table of settings, read off the help text as people read it.

/// One setting.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) default: String,
    /// What it does, with its range in brackets at the end.
    pub(crate) meaning: String,
}

/// Every setting, in the order of the help.
pub(crate) fn rows() -> Vec<Row> {
    let help = chatd::settings::help();
    let (_, table) = help.split_once("MEANING (RANGE)\n").expect("its heading");
    let mut rows: Vec<Row> = Vec::new();
    for line in table.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        // What goes on below the meaning stands further to the right.
        if !line.starts_with("     ") {
            rows.push(Row {
                key: words.next().expect("a key"),
                default: words.next().expect("a default"),
                meaning: String::new(),
            });
        }
        let meaning = &mut rows.last_mut().expect("a row").meaning;
        for word in words {
            if !meaning.is_empty() {
                meaning.push(' ');
            }
            meaning.push_str(&word);
        }
    }
    rows
}
