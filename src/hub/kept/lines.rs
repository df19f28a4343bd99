//! The lines of the file of kept names: `ann sha256:HEX 2026-11-25`, the day on which it was last used.

use std::collections::BTreeMap;
use std::fmt;

use super::key::Digest;
use super::Kept;
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
    let mut known: LookAlikes<usize> = LookAlikes::default();
    let mut all: Vec<Kept> = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let wrong = |why| WrongLine { number, why };
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(wrong("not UTF-8".to_owned()));
        };
        let Some(kept) = parse_line(line).map_err(wrong)? else {
            continue;
        };
        let keys = Keys::of(&kept.name);
        if let Some(before) = keys.iter().find_map(|key| known.holder(key)) {
            let before = all.get(before).map_or("", |kept| &kept.name);
            return Err(wrong(format!(
                "{} looks like {before}, which is kept",
                kept.name
            )));
        }
        known.insert(&keys, all.len());
        all.push(kept);
    }
    Ok(all)
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

/// Kept names by their names. They are put in one by one: `collect` would sort them first, in 3 kB of code more.
fn by_name<'a>(all: impl Iterator<Item = &'a Kept>) -> BTreeMap<&'a str, &'a Kept> {
    let mut by_name = BTreeMap::new();
    all.for_each(|kept| _ = by_name.insert(&*kept.name, kept));
    by_name
}

/// A file with other names in it: those of `wanted`. Comments, order, and the lines of names that stay as they are, are
/// kept; a name that has another key or day has another line at its place; new ones stand at the end.
pub(crate) fn edit<'a>(text: &str, wanted: impl Iterator<Item = &'a Kept>) -> String {
    let all: Vec<&Kept> = wanted.collect();
    let mut missing = by_name(all.iter().copied());
    let mut edited = String::with_capacity(text.len());
    for old in text.split_inclusive('\n') {
        match parse_line(old) {
            Ok(Some(was)) => match missing.remove(&*was.name) {
                Some(kept) if *kept == was => edited.push_str(old),
                Some(kept) => {
                    edited.push_str(&line(kept));
                    edited.push('\n');
                }
                None => {}
            },
            Ok(None) | Err(_) => edited.push_str(old),
        }
    }
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    for kept in all.iter().filter(|kept| missing.contains_key(&*kept.name)) {
        edited.push_str(&line(kept));
        edited.push('\n');
    }
    edited
}

/// What is kept where the file was changed from `before` to `theirs`, and we changed the names from `before` to `ours`: a
/// name that we changed is as we have it.
pub(crate) fn merge(before: &[Kept], ours: &[Kept], theirs: Vec<Kept>) -> Vec<Kept> {
    let (before, mut ours) = (by_name(before.iter()), by_name(ours.iter()));
    let mut merged = Vec::new();
    let mut known: LookAlikes<()> = LookAlikes::default();
    for kept in theirs {
        let own = ours.remove(&*kept.name);
        let is_ours = own != before.get(&*kept.name).copied();
        if let Some(kept) = if is_ours { own.cloned() } else { Some(kept) } {
            known.insert(&Keys::of(&kept.name), ());
            merged.push(kept);
        }
    }
    for (name, kept) in ours {
        let is_new = before.get(name) != Some(&kept);
        let keys = Keys::of(name);
        if is_new && keys.iter().all(|key| known.holder(key).is_none()) {
            known.insert(&keys, ());
            merged.push(kept.clone());
        }
    }
    merged
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
        let wanted = [kept("eve", "2026-11-26"), kept("ann", "2026-11-26")];
        let edited = edit(&text, wanted.iter());
        let expected = format!(
            "# a\n{}# b\n  # c\n{}",
            row("ann", "2026-11-26"),
            row("eve", "2026-11-26")
        );
        assert_eq!(edited, expected);
    }

    #[test]
    fn either_change_holds() {
        let [ann, bob, eve, fay] =
            ["ann", "bob", "eve", "fay"].map(|name| kept(name, "2026-11-25"));
        let later = kept("ann", "2026-11-26");
        let before = [ann.clone(), bob.clone(), eve.clone()];
        // We used ann and keep bob no more; they took eve out and put fay in.
        let ours = [later.clone(), eve];
        let theirs = vec![fay.clone(), bob, ann];
        assert_eq!(merge(&before, &ours, theirs), [fay, later]);
    }

    proptest! {
        #[test]
        fn a_line_is_read_back(name in "\\PC{1,12}", seed: [u8; 32], day in 0..40_000_u32) {
            if let Ok(name) = Name::parse(&name) {
                let digest = Key::of_random(&seed).digest();
                let kept = Kept { name: name.text().into(), digest, used: Day(day) };
                let text = line(&kept);
                prop_assert_eq!(parse(text.as_bytes()).unwrap(), [kept.clone()]);
                prop_assert_eq!(edit("", [&kept].into_iter()), text + "\n");
            }
        }

        #[test]
        fn no_file_panics(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
