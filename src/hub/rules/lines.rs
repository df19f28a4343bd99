//! The file of the rules as text: one rule a line, between comments that stay where they are.
//!
//! `KIND TARGET [UNTIL] [by=WHO] [at=MOMENT] [name=NAME] [REASON]`

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

use crate::hub::rules::rule::{as_author, Kind, Target, Terms, RULES_MAX};
use crate::hygiene;
use crate::net::Net;
use crate::when::{End, Moment, Span};

/// What is wrong with a line, which is counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongLine {
    pub(crate) line: usize,
    pub(crate) what: Box<str>,
}

impl Display for WrongLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The rules of a file.
///
/// # Errors
/// The first line that is neither a rule nor a comment, nor empty; or the first one too many.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Terms>, WrongLine> {
    parse_some((1..).zip(text.split(|byte| *byte == b'\n')))
}

/// The rules of some lines of a file, which come with their numbers.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_some<'a>(
    lines: impl IntoIterator<Item = (usize, &'a [u8])>,
) -> Result<Vec<Terms>, WrongLine> {
    let mut rules = Vec::new();
    for (number, line) in lines {
        let wrong = |what: String| WrongLine {
            line: number,
            what: what.into(),
        };
        let line = std::str::from_utf8(line).map_err(|_| wrong("this is not UTF-8".into()))?;
        if let Some(terms) = parse_line(line).map_err(wrong)? {
            if rules.len() == RULES_MAX {
                return Err(wrong(format!("more than {RULES_MAX} rules")));
            }
            rules.push(terms);
        }
    }
    Ok(rules)
}

/// The rule of a line; `None` if it is empty or a comment.
fn parse_line(line: &str) -> Result<Option<Terms>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (word, rest) = next_word(line);
    let kind = Kind::of(word)
        .ok_or_else(|| format!("{} is no kind of rule: ban, mute or name", shown(word)))?;
    let (word, rest) = next_word(rest);
    let target = parse_target(kind, word)?;
    let (until, mut rest) = parse_end(rest)?;
    let [mut by, mut at, mut name] = [None; 3];
    loop {
        let (word, behind) = next_word(rest);
        let field = word.split_once('=');
        let place = match field {
            Some(("by", _)) => &mut by,
            Some(("at", _)) => &mut at,
            Some(("name", _)) => &mut name,
            _ => break,
        };
        // The second one of a kind is part of the reason.
        if place.is_some() {
            break;
        }
        *place = field.map(|(_, value)| value);
        rest = behind;
    }
    let at = at.filter(|at| !at.is_empty()).map(|at| {
        Moment::parse(at)
            .ok_or_else(|| format!("{} is no time: write 2026-11-27T14:05:00Z", shown(at)))
    });
    Ok(Some(Terms {
        kind,
        target,
        until,
        by: as_author(by.unwrap_or_default()),
        at: at.transpose()?,
        name: cleaned(name.unwrap_or_default()),
        reason: cleaned(rest),
    }))
}

fn parse_target(kind: Kind, word: &str) -> Result<Target, String> {
    match kind {
        Kind::Name => {
            let pattern = word.parse();
            pattern
                .map(Target::Pattern)
                .map_err(|error| format!("{}: {error}", shown(word)))
        }
        Kind::Ban | Kind::Mute => match word.parse::<Net>() {
            Err(_) => Err(format!("no such address: {}", shown(word))),
            Ok(net) if net.is_loopback() => Err(format!(
                "{} is the loopback address: front ends come from there",
                shown(word)
            )),
            Ok(net) => Ok(Target::Net(net)),
        },
    }
}

/// When the rule ends, and what stands behind that. A word that means a time in any other way is no reason: the rule
/// would be for ever.
fn parse_end(rest: &str) -> Result<(Option<u64>, &str), String> {
    let (word, behind) = next_word(rest);
    if word == "forever" {
        return Ok((None, behind));
    }
    if let Some(until) = Moment::parse(word) {
        return Ok((Some(until), behind));
    }
    let year = word.split_once('-').map(|(year, _)| year);
    let is_digits = |year: &str| year.len() == 4 && year.bytes().all(|it| it.is_ascii_digit());
    let is_date = year.is_some_and(is_digits);
    if is_date || word.parse::<Span>().is_ok() {
        return Err(format!(
            "{} is no time: write 2026-11-27T14:05:00Z or forever",
            shown(word)
        ));
    }
    Ok((None, rest))
}

/// The first word, and the rest without the blanks between.
fn next_word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_start())
}

/// Text as everybody may see it, without blanks around it.
pub(crate) fn cleaned(text: &str) -> Box<str> {
    hygiene::clean(text.as_bytes()).text.trim().into()
}

/// A word of the file within a message: not too long.
fn shown(word: &str) -> String {
    let mut clean: String = hygiene::clean(word.as_bytes())
        .text
        .chars()
        .take(60)
        .collect();
    if clean.is_empty() {
        clean.push_str("\"\"");
    }
    clean
}

/// A rule as a line of the file, without its end: read again it is the same rule.
pub(crate) fn line(terms: &Terms) -> String {
    let mut line = format!(
        "{} {} {}",
        terms.kind.word(),
        terms.target,
        End(terms.until)
    );
    let at = terms
        .at
        .map(|at| Moment(at).to_string())
        .unwrap_or_default();
    let fields = [("by=", &*terms.by), ("at=", &*at), ("name=", &*terms.name)];
    // A reason that begins like a field that is not given would be read as one.
    let is_ambiguous = fields.iter().any(|(key, _)| terms.reason.starts_with(key));
    for (key, value) in fields {
        if !value.is_empty() || is_ambiguous {
            line.push(' ');
            line.push_str(key);
            line.push_str(value);
        }
    }
    if !terms.reason.is_empty() {
        line.push(' ');
        line.push_str(&terms.reason);
    }
    line
}

/// Rules, counted by the lines that they are written as.
struct Counted(HashMap<String, u64>);

impl Counted {
    fn of(rules: &[Terms]) -> Self {
        let mut counts = HashMap::new();
        for terms in rules {
            *counts.entry(line(terms)).or_default() += 1;
        }
        Self(counts)
    }

    /// Takes one of these out; gives whether there was one.
    fn take(&mut self, line: &str) -> bool {
        match self.0.get_mut(line) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => _ = self.0.remove(line),
            None => return false,
        }
        true
    }
}

/// A file in which `gone` are no more, and `new` stand at the end. Comments, order, and all other lines are kept as they
/// are. Only where a rule was written by hand, and otherwise than we write it, are the lines understood.
pub(crate) fn edit<'a>(text: &str, gone: &[Terms], new: impl Iterator<Item = &'a Terms>) -> String {
    let mut gone = Counted::of(gone);
    let without = |text: &str, is_gone: &mut dyn FnMut(&str) -> bool| -> String {
        let lines = text.split_inclusive('\n');
        lines.filter(|line| !is_gone(line)).collect()
    };
    let mut edited = without(text, &mut |old| gone.take(old.trim_end_matches('\n')));
    if !gone.0.is_empty() {
        edited = without(&edited, &mut |old| match parse_line(old) {
            Ok(Some(terms)) => gone.take(&line(&terms)),
            _ => false,
        });
    }
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    for terms in new {
        edited.push_str(&line(terms));
        edited.push('\n');
    }
    edited
}

/// Leaves of each only what the other has not: a line that was written otherwise, and says the same, is no change.
pub(super) fn leave_differences(gone: &mut Vec<Terms>, new: &mut Vec<Terms>) {
    let mut unmatched = Counted::of(new);
    gone.retain(|terms| !unmatched.take(&line(terms)));
    new.retain(|terms| unmatched.take(&line(terms)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Terms {
        let mut rules = parse(line.as_bytes()).unwrap();
        assert_eq!(rules.len(), 1);
        rules.remove(0)
    }

    #[track_caller]
    fn wrong(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn rules_are_read_with_what_is_given_and_without() {
        let text = "\u{20}# who was here\r\n\nban 198.51.100.7 2026-11-27T14:05:00Z by=alice \
                    at=2026-11-25T14:05:00Z name=ann spam in the lobby\r\n\
                    mute 2001:db8:1:2::/64 forever\nname spam* forever advertising\nban 198.51.100.9";
        let rules = parse(text.as_bytes()).unwrap();
        let lines: Vec<String> = rules.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "ban 198.51.100.7 2026-11-27T14:05:00Z by=alice at=2026-11-25T14:05:00Z name=ann spam in the lobby",
                "mute 2001:db8:1:2::/64 forever",
                "name spam* forever advertising",
                "ban 198.51.100.9 forever",
            ]
        );
        assert_eq!(&*rules[0].reason, "spam in the lobby");
        assert_eq!(rules[0].at, Some(1_795_615_500));
        let other = one("ban 10.0.0.1 spam name=x by=y");
        assert_eq!((other.until, &*other.reason), (None, "spam name=x by=y"));
        let twice = one("ban 10.0.0.1 forever by=a by=b");
        assert_eq!((&*twice.by, &*twice.reason), ("a", "by=b"));
    }

    #[test]
    fn a_wrong_line_is_told_by_its_number() {
        for (text, what) in [
            ("# a\nbam 10.0.0.1", "line 2: bam is no kind of rule: ban, mute or name"),
            ("ban", "line 1: no such address: \"\""),
            ("ban 10.0.0", "line 1: no such address: 10.0.0"),
            ("mute 10.0.0.1\nban ann", "line 2: no such address: ann"),
            ("mute id=17", "line 1: no such address: id=17"),
            (
                "ban 127.0.0.1",
                "line 1: 127.0.0.1 is the loopback address: front ends come from there",
            ),
            (
                "name ab*",
                "line 1: ab*: a pattern is at least 3 letters of a name, with * at its end or beginning",
            ),
            (
                "ban 10.0.0.1 2h spam",
                "line 1: 2h is no time: write 2026-11-27T14:05:00Z or forever",
            ),
            (
                "ban 10.0.0.1 2026-13-27T14:05:00Z",
                "line 1: 2026-13-27T14:05:00Z is no time: write 2026-11-27T14:05:00Z or forever",
            ),
            (
                "ban 10.0.0.1 forever at=noon",
                "line 1: noon is no time: write 2026-11-27T14:05:00Z",
            ),
        ] {
            assert_eq!(wrong(text), what);
        }
        let bytes = b"ban 10.0.0.1 caf\xe9";
        assert_eq!(
            parse(bytes).unwrap_err().to_string(),
            "line 1: this is not UTF-8"
        );
        let many = "ban 10.0.0.1\n".repeat(RULES_MAX);
        assert_eq!(parse(many.as_bytes()).unwrap().len(), RULES_MAX);
        assert_eq!(
            wrong(&format!("{many}#\nban 10.0.0.1")),
            "line 10002: more than 10000 rules"
        );
    }

    #[test]
    fn comments_and_order_are_kept() {
        let text =
            "# theirs\nban 10.0.0.1 by=bob  two  blanks\n\n# ours\nmute 10.0.0.2\nban 10.0.0.1";
        let rules = parse(text.as_bytes()).unwrap();
        let none = || std::iter::empty();
        assert_eq!(edit(text, &[], none()), format!("{text}\n"));
        let new = one("name spam* forever");
        assert_eq!(
            edit(
                text,
                &[rules[1].clone(), rules[2].clone()],
                [&new].into_iter()
            ),
            "# theirs\nban 10.0.0.1 by=bob  two  blanks\n\n# ours\nname spam* forever\n"
        );
        assert_eq!(
            edit(text, &rules[..1], none()),
            "# theirs\n\n# ours\nmute 10.0.0.2\nban 10.0.0.1\n"
        );
        assert_eq!(
            edit("", &rules, [&new, &new].into_iter()),
            "name spam* forever\nname spam* forever\n"
        );
        assert_eq!(edit("", &[], none()), "");
    }

    #[test]
    fn what_says_the_same_is_no_change() {
        let rules = |text: &str| parse(text.as_bytes()).unwrap();
        let mut gone = rules("ban 10.0.0.1\nban 10.0.0.1\nmute 10.0.0.2\n");
        let mut new = rules("name spam*\nban 10.0.0.1/32 forever\nmute 10.0.0.2 spam\n");
        leave_differences(&mut gone, &mut new);
        assert_eq!(gone, rules("ban 10.0.0.1\nmute 10.0.0.2\n"));
        assert_eq!(new, rules("name spam*\nmute 10.0.0.2 spam\n"));
    }

    fn any_terms() -> impl Strategy<Value = Terms> {
        let target = prop_oneof![
            (0..99u32).prop_map(|n| (Kind::Ban, format!("10.0.{n}.0/24"))),
            (0..99u32).prop_map(|n| (Kind::Mute, format!("2001:db8:{n}::/48"))),
            "[a-z]{3,5}\\*?".prop_map(|text| (Kind::Name, text)),
        ];
        let reason = "(by=|at=|name=|forever |#)?[ a-z=]{0,12}|\\PC{0,12}";
        let moment = prop::option::of(0..4_000_000_000u64);
        (
            target,
            moment.clone(),
            "[a-z]{0,3}",
            moment,
            "[a-z]{0,3}",
            reason,
        )
            .prop_map(|((kind, target), until, by, at, name, reason)| Terms {
                kind,
                target: parse_target(kind, &target).unwrap(),
                until,
                by: by.into(),
                at,
                name: name.into(),
                reason: cleaned(&reason),
            })
    }

    proptest! {
        #[test]
        fn a_rule_is_read_as_it_is_written(terms in any_terms()) {
            let line = line(&terms);
            prop_assert_eq!(parse(line.as_bytes()), Ok(vec![terms]));
        }

        #[test]
        fn an_edited_file_holds_what_is_wanted(
            old in prop::collection::vec(any_terms(), 0..6),
            new in prop::collection::vec(any_terms(), 0..3),
            stays in prop::collection::vec(any::<bool>(), 6),
        ) {
            let lines: Vec<String> = old.iter().map(line).collect();
            let text: String = lines.iter().flat_map(|line| ["# c\n", line, "\n"]).collect();
            let pick = |is_to_stay| {
                let picked = old.iter().zip(&stays).filter(move |(_, stays)| **stays == is_to_stay);
                picked.map(|(terms, _)| terms.clone()).collect::<Vec<_>>()
            };
            let wanted: Vec<Terms> = pick(true).into_iter().chain(new.clone()).collect();
            let edited = edit(&text, &pick(false), new.iter());
            prop_assert_eq!(edited.matches("# c\n").count(), old.len());
            let sorted = |rules: &[Terms]| {
                let mut lines: Vec<String> = rules.iter().map(line).collect();
                lines.sort_unstable();
                lines
            };
            let read = parse(edited.as_bytes()).unwrap();
            prop_assert_eq!(sorted(&read), sorted(&wanted));
        }

        #[test]
        fn reading_a_file_never_panics(text in "(ban|mute|name|#)? ?\\PC{0,30}") {
            if let Ok(rules) = parse(text.as_bytes()) {
                let again = edit(&text, &[], std::iter::empty());
                prop_assert_eq!(parse(again.as_bytes()), Ok(rules.clone()));
                let without = edit(&text, &rules, std::iter::empty());
                prop_assert_eq!(parse(without.as_bytes()), Ok(vec![]));
            }
        }
    }
}
