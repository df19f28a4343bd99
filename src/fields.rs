//! Fields as data for operators and the log have them: `key=value`, with one space between two.

use std::fmt::{self, Display, Write};

/// The target of the lines of the log about what operators do and what comes of it, which are never suppressed.
pub(crate) const LOG_TARGET: &str = "chatd::ops";

/// A value that is empty, or in which a space, `"`, `=` or `\` stands, is put into `"`, with `\"` and `\\` for the two.
/// A control character becomes a space.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a>(pub(crate) &'a str);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_special =
            |char: char| char.is_whitespace() || char.is_control() || "\"=\\".contains(char);
        if !self.0.is_empty() && !self.0.contains(is_special) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                _ if char.is_control() => f.write_char(' ')?,
                _ => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_stands_in_quotes() {
        for (value, written) in [
            ("ann", "ann"),
            ("", r#""""#),
            ("two words", r#""two words""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            ("a=b", r#""a=b""#),
            (r"a\b", r#""a\\b""#),
            ("a\u{a0}b", "\"a\u{a0}b\""),
            ("a\tb\x1b", r#""a b ""#),
        ] {
            assert_eq!(Value(value).to_string(), written);
        }
    }
}
