//! Numbers on a command line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use getopts::Matches;

/// The number behind an option, if it is there.
///
/// # Errors
/// One line that says what is wrong with it.
pub(crate) fn number<T: FromStr + PartialOrd + Display>(
    matches: &Matches,
    key: &str,
    range: RangeInclusive<T>,
) -> Result<Option<T>, String> {
    let Some(text) = matches.opt_str(key) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(format!(
            "--{key}: {text:?} is no number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

/// The options of a command line, each a name, its value, and what it is for; those without a value are flags, and those
/// whose value ends in `...` may be given several times.
pub(crate) fn grammar(rows: &[(&str, &str, &str)]) -> getopts::Options {
    let mut options = getopts::Options::new();
    for (name, value, what) in rows {
        if value.is_empty() {
            options.optflag("", name, what);
        } else if value.ends_with("...") {
            options.optmulti("", name, what, value);
        } else {
            options.optopt("", name, what, value);
        }
    }
    options.optflag("h", "help", "this");
    options
}
