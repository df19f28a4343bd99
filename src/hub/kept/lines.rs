//! The lines of the file of kept names: `ann sha256:HEX 2026-11-25`, the day on which it was last used.

use std::fmt;

use super::key::Digest;
use super::{ByName, Kept};
use crate::hub::lookalikes::LookAlikes;
use crate::name::{Keys, Name};
use crate::when::Day;

/// What a digest begins with.
const SHA256: &str = "sha256:";

/// A line is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongLine {
    number: usize,
    why: String,
}

impl fmt::Display for WrongLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

/// All names of a file. Lines that begin with `#`, and blank ones, say nothing.
///
/// # Errors
/// The first line that is wrong, or whose name looks like one before.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Kept>, WrongLine> {
    let lines = parse_some((1..).zip(bytes.split(|byte| *byte == b'\n')))?;
    find_alike(&lines, |_| None)?;
    Ok(lines.into_iter().map(|(_, kept)| kept).collect())
}

/// The names of some lines of a file, which come with their numbers.
///
/// # Errors
/// The first line that is wrong.
pub(crate) fn parse_some<'a>(
    lines: impl IntoIterator<Item = (usize, &'a [u8])>,
) -> Result<Vec<(usize, Kept)>, WrongLine> {
    let mut all = Vec::new();
    for (number, line) in lines {
        let wrong = |why| WrongLine { number, why };
        let line = std::str::from_utf8(line).map_err(|_| wrong("not UTF-8".to_owned()))?;
        if let Some(kept) = parse_line(line).map_err(wrong)? {
            all.push((number, kept));
        }
    }
    Ok(all)
}

/// Looks whether a name looks like one before, or like one that `other` knows.
///
/// # Errors
/// The first line of which that is so.
pub(in crate::hub) fn find_alike<'a>(
    lines: &'a [(usize, Kept)],
    other: impl Fn(&Kept) -> Option<&'a str>,
) -> Result<(), WrongLine> {
    let mut known: LookAlikes<usize> = LookAlikes::default();
    for (index, (number, kept)) in lines.iter().enumerate() {
        let keys = Keys::of(&kept.name);
        let before = keys.iter().find_map(|key| known.holder(key));
        let before = before.and_then(|index| lines.get(index));
        let before = before.map(|(_, kept)| &*kept.name);
        if let Some(before) = before.or_else(|| other(kept)) {
            return Err(WrongLine {
                number: *number,
                why: format!("{} looks like {before}, which is kept", kept.name),
            });
        }
        known.insert(&keys, index);
    }
    Ok(())
}

/// One line: a name, or nothing.
fn parse_line(line: &str) -> Result<Option<Kept>, String> {
    let mut words = line.split_whitespace();
    let Some(name) = words.next().filter(|word| !word.starts_with('#')) else {
        return Ok(None);
    };
    let name = Name::parse_kept(name).map_err(|error| error.to_string())?;
    let (digest, day) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let digest = digest.strip_prefix(SHA256).and_then(Digest::parse);
    let digest = digest.ok_or(format!("no {SHA256} and 64 digits behind {name}"))?;
    let used = Day::parse(day).ok_or(format!(
        "no day such as 2026-11-25 behind the digest of {name}"
    ))?;
    if let Some(more) = words.next() {
        return Err(format!("{} behind the day", more.escape_default()));
    }
    let name = name.text().into();
    Ok(Some(Kept { name, digest, used }))
}

/// A name as a line of the file.
pub(crate) fn line(kept: &Kept) -> String {
    let Kept { name, digest, used } = kept;
    format!("{name} {SHA256}{digest} {used}")
}

/// A file with other names in it: each name of `changed` that it has gets another line at its place, or none; `new` ones
/// stand at the end. Comments, order, and all other lines are kept as they are. Only where a name was written by hand, and
/// otherwise than we write it, are the lines understood.
pub(crate) fn edit(text: &str, mut changed: ByName<'_>, new: &[&Kept]) -> String {
    let first_word = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let mut edited = replace(text, &mut changed, first_word);
    if !changed.is_empty() {
        let name = |line: &str| Some(parse_line(line).ok()??.name.into());
        edited = replace(&edited, &mut changed, name);
    }
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    for kept in new {
        edited.push_str(&line(kept));
        edited.push('\n');
    }
    edited
}

/// Each line whose name has changed with what it is now; the names that are found are taken out of `changed`.
fn replace(text: &str, changed: &mut ByName<'_>, name: impl Fn(&str) -> Option<String>) -> String {
    let mut replaced = String::with_capacity(text.len());
    for old in text.split_inclusive('\n') {
        let name = if changed.is_empty() { None } else { name(old) };
        match name.and_then(|name| changed.remove(&*name)) {
            None => replaced.push_str(old),
            Some(None) => {}
            Some(Some(kept)) => {
                replaced.push_str(&line(kept));
                replaced.push('\n');
            }
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub::kept::key::Key;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn kept(name: &str, day: &str) -> Kept {
        let digest = Digest::parse(HEX).unwrap();
        let used = Day::parse(day).unwrap();
        let name = name.into();
        Kept { name, digest, used }
    }

    fn row(name: &str, day: &str) -> String {
        format!("{name} sha256:{HEX} {day}\n")
    }

    #[test]
    fn names_are_read_with_comments_between() {
        let text = format!(
            "# ours\n\n  {}{}",
            row("ann", "2026-11-25"),
            row("罗永浩", "2024-02-29")
        );
        let all = parse(text.as_bytes()).unwrap();
        assert_eq!(
            all,
            [kept("ann", "2026-11-25"), kept("罗永浩", "2024-02-29")]
        );
        // One that nobody can choose may be kept by an operator.
        assert_eq!(
            parse(row("admin", "2026-11-25").as_bytes()).unwrap().len(),
            1
        );
    }

    #[test]
    fn a_wrong_line_is_told_by_its_number() {
        for (text, what) in [
            (
                "# a\na/b x y".to_owned(),
                "line 2: a name is 1 to 24 letters",
            ),
            ("guest7 x y".to_owned(), "line 1: guest7 is reserved"),
            (
                "ann".to_owned(),
                "line 1: no sha256: and 64 digits behind ann",
            ),
            (
                "ann sha256:00 2026-11-25".to_owned(),
                "line 1: no sha256: and 64 digits behind ann",
            ),
            (
                format!("ann sha256:{HEX}"),
                "line 1: no day such as 2026-11-25 behind the digest of ann",
            ),
            (row("ann", "2026-02-30"), "line 1: no day such as "),
            (row("ann", "2026-11-25 x"), "line 1: x behind the day"),
            (
                row("ann", "2026-11-25") + &row("АNN", "2026-11-25"),
                "line 2: АNN looks like ann, which is kept",
            ),
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        }
        assert_eq!(parse(b"\xff").unwrap_err().to_string(), "line 1: not UTF-8");
    }

    #[test]
    fn an_edited_file_has_its_comments_and_its_order() {
        let text = format!(
            "# a\n{}# b\n{}  # c",
            row("ann", "2026-11-25"),
            row("bob", "2026-11-25")
        );
        let [ann, eve] = ["ann", "eve"].map(|name| kept(name, "2026-11-26"));
        let changed = ByName::from([("ann", Some(&ann)), ("bob", None), ("gil", None)]);
        let edited = edit(&text, changed, &[&eve]);
        let expected = format!(
            "# a\n{}# b\n  # c\n{}",
            row("ann", "2026-11-26"),
            row("eve", "2026-11-26")
        );
        assert_eq!(edited, expected);
        // Written by hand, with a letter and its mark apart.
        let text = row("jose\u{301}", "2026-11-25") + &row("ann", "2026-11-25");
        let changed = ByName::from([("jos\u{e9}", None)]);
        assert_eq!(edit(&text, changed, &[]), row("ann", "2026-11-25"));
    }

    proptest! {
        #[test]
        fn a_line_is_read_back(name in "\\PC{1,12}", seed: [u8; 32], day in 0..40_000_u32) {
            if let Ok(name) = Name::parse(&name) {
                let digest = Key::of_random(&seed).digest();
                let kept = Kept { name: name.text().into(), digest, used: Day(day) };
                let text = line(&kept);
                prop_assert_eq!(parse(text.as_bytes()).unwrap(), [kept.clone()]);
                let edited = edit("", ByName::new(), &[&kept]);
                prop_assert_eq!(edited, text + "\n");
            }
        }

        #[test]
        fn no_file_panics(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
