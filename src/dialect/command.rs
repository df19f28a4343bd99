//! What a line asks for.

use std::fmt;

use crate::name::{Name, NameError};

/// A line understood. It is complete: whatever is missing or wrong has become a [`Refusal`] instead.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Say these words to everybody else.
    Say(&'a str),
    /// `/me`: tell everybody else what one does.
    Act(&'a str),
    /// `/name`: take a name.
    Take(Name),
    /// `/who`: who is here?
    Who,
    /// `/msg`: say these words to one person only.
    Tell {
        /// Her name, as typed.
        to: &'a str,
        /// What she is to be told.
        words: &'a str,
    },
    /// `/help`: the commands, or one of them.
    Help(Option<&'static Usage>),
    /// `/quit`, with a last word.
    Quit(&'a str),
    /// `/reply`: say these words to whoever wrote to one privately last.
    Reply(&'a str),
    /// `/whois`: how long is this person here?
    Whois(&'a str),
    /// `/away`: one is away, for this reason; it may be empty.
    Away(&'a str),
    /// `/back`: one is not away any more.
    Back,
    /// `/ignore`: hear nothing of this person, or say who is ignored.
    Ignore(Option<&'a str>),
    /// `/unignore`: hear of this person again.
    Unignore(&'a str),
    /// `/quiet`: hear nothing of who comes and goes.
    Quiet(bool),
    /// `/time`: see the time in each line, so many minutes off UTC; `None` for none.
    Time(Option<i16>),
    /// `/bell`: be rung for.
    Bell(bool),
    /// `/history`: what was said before, so many lines of it or all that is kept.
    History(Option<usize>),
    /// `/edit`: let the server edit the line.
    Edit(bool),
}

/// Why a line could not be understood or obeyed. Its `Display` gives the words of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such command, or the short form stands for several.
    NoSuchCommand(Box<str>),
    /// Arguments are missing or wrong.
    Usage(&'static Usage),
    /// Nobody here has that name.
    Nobody(Box<str>),
    /// Somebody else has that name, or one that looks like it.
    Taken(Box<str>),
    /// That is not a name.
    MalformedName,
    /// A name that nobody can take.
    Reserved(Box<str>),
    /// The line was too long and is gone.
    LineTooLong {
        /// How long it was.
        bytes: usize,
        /// How long it could have been.
        bytes_max: usize,
    },
    /// There is nothing to say.
    NoText,
    /// That person hears nothing in private: a program does.
    Deaf(Box<str>),
    /// Nobody has written to one privately, or she has gone.
    NobodyWrote,
    /// One cannot do that to oneself.
    Yourself,
    /// So many are ignored already, and more cannot be.
    IgnoresTooMany(usize),
    /// The client does not agree to line editing.
    NoEditing,
    /// A program's line begins with no known verb.
    NoSuchVerb,
    /// A program's line lacks a value, or has one that is wrong or too many.
    WireUsage(WireUsage),
    /// A program's words have a line end in them.
    SeveralLines,
}

/// How a program's line is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireUsage {
    /// To take a name.
    Name,
    /// To say something.
    Chat,
    /// To ask for a sign of life.
    Ping,
    /// To leave.
    Quit,
}

impl fmt::Display for WireUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "NAME B64(name)",
            Self::Chat => "CHAT B64(name) B64(words)",
            Self::Ping => "PING TOKEN",
            Self::Quit => "QUIT",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCommand(word) => write!(f, "no such command: /{word}; /help lists them"),
            Self::Usage(usage) => write!(f, "usage: {usage}"),
            Self::Nobody(name) => write!(f, "nobody here is called {name}"),
            Self::Taken(name) => write!(f, "{name} is taken"),
            Self::MalformedName => NameError::Malformed.fmt(f),
            Self::Reserved(name) => write!(f, "{name} is reserved"),
            Self::LineTooLong { bytes, bytes_max } => {
                write!(
                    f,
                    "line too long: {bytes} bytes, at most {bytes_max}; not sent"
                )
            }
            Self::NoText => f.write_str("you have no text to send"),
            Self::Deaf(name) => write!(f, "{name} is a program and hears nothing in private"),
            Self::NobodyWrote => f.write_str("nobody has written to you"),
            Self::Yourself => f.write_str("that is you"),
            Self::IgnoresTooMany(most) => write!(f, "you ignore {most} people already"),
            Self::NoEditing => {
                f.write_str("your client does not speak telnet; staying in line mode")
            }
            Self::NoSuchVerb => {
                f.write_str("no such command: a line begins with NAME, CHAT, PING or QUIT")
            }
            Self::WireUsage(usage) => write!(f, "usage: {usage}"),
            Self::SeveralLines => f.write_str("a message is one line; not sent"),
        }
    }
}

/// How a command is called.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its word and its other names, without the slash.
    words: &'static [&'static str],
    arguments: &'static str,
    /// What it does, for `/help`.
    pub summary: &'static str,
    verb: Verb,
}

impl Usage {
    /// What the command is called first, without the slash.
    pub(crate) fn word(&self) -> &'static str {
        self.words[0]
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.words[0])?;
        if !self.arguments.is_empty() {
            write!(f, " {}", self.arguments)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Name,
    Who,
    Me,
    Msg,
    Help,
    Quit,
    Reply,
    Whois,
    Away,
    Back,
    Ignore,
    Unignore,
    Quiet,
    Time,
    Bell,
    History,
    Edit,
}

/// Every command, in the order in which `/help` lists them.
pub const COMMANDS: &[Usage] = &[
    usage(&["name", "nick"], "NAME", "take a name", Verb::Name),
    usage(&["who", "names", "list"], "", "see who is here", Verb::Who),
    usage(&["me"], "TEXT", "say what you are doing", Verb::Me),
    usage(&["msg"], "NAME TEXT", "tell one person only", Verb::Msg),
    usage(
        &["reply", "r"],
        "TEXT",
        "answer who wrote to you last",
        Verb::Reply,
    ),
    usage(
        &["whois"],
        "NAME",
        "see how long somebody is here, and silent",
        Verb::Whois,
    ),
    usage(
        &["away"],
        "[TEXT]",
        "let it be known that you are away",
        Verb::Away,
    ),
    usage(&["back"], "", "and that you are back", Verb::Back),
    usage(
        &["ignore"],
        "[NAME]",
        "hear nothing of somebody, or see whom you ignore",
        Verb::Ignore,
    ),
    usage(
        &["unignore"],
        "NAME",
        "hear of somebody again",
        Verb::Unignore,
    ),
    usage(
        &["quiet"],
        "on|off",
        "hear nothing of who comes and goes",
        Verb::Quiet,
    ),
    usage(
        &["time"],
        "on [+HH:MM]|off",
        "see the time in every line, in UTC or so far from it",
        Verb::Time,
    ),
    usage(
        &["bell"],
        "on|off",
        "be rung for when you are named or written to",
        Verb::Bell,
    ),
    usage(
        &["history"],
        "[N]",
        "see what was said before",
        Verb::History,
    ),
    usage(
        &["edit"],
        "[on|off]",
        "keep your half-typed line whole, with telnet or PuTTY",
        Verb::Edit,
    ),
    usage(
        &["help"],
        "[COMMAND]",
        "list the commands, or explain one",
        Verb::Help,
    ),
    usage(
        &["quit", "exit"],
        "[TEXT]",
        "leave, with a last word if you like",
        Verb::Quit,
    ),
];

const fn usage(
    words: &'static [&'static str],
    arguments: &'static str,
    summary: &'static str,
    verb: Verb,
) -> Usage {
    Usage {
        words,
        arguments,
        summary,
        verb,
    }
}

/// A clean line, and whether cleaning took anything out of it that could not be seen.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// The text, without white space at its ends.
    pub text: &'a str,
    /// Something invisible or forbidden was taken out. Then the text is fit to be said, but not to be a name: a name
    /// is never silently changed.
    pub altered: bool,
}

impl<'a> Command<'a> {
    /// Understands a line of a person. `None` is an empty line, which asks for nothing.
    ///
    /// # Errors
    /// A [`Refusal`] says what is wrong with a line that begins with a slash.
    pub fn parse(line: Typed<'a>) -> Result<Option<Self>, Refusal> {
        let Some(slashed) = line.text.strip_prefix('/') else {
            return Ok((!line.text.is_empty()).then_some(Self::Say(line.text)));
        };
        if slashed.starts_with('/') {
            return Ok(Some(Self::Say(slashed)));
        }
        let (word, rest) = split_word(slashed);
        let usage = find(word)?;
        let wrong = || Refusal::Usage(usage);
        match usage.verb {
            Verb::Name if rest.is_empty() => Err(wrong()),
            Verb::Name if line.altered => Err(Refusal::MalformedName),
            Verb::Name => Self::take(rest),
            Verb::Who | Verb::Back if !rest.is_empty() => Err(wrong()),
            Verb::Who => Ok(Self::Who),
            Verb::Me => some_text(rest).map(Self::Act),
            Verb::Msg => {
                let (to, words) = split_word(rest);
                if to.is_empty() {
                    return Err(wrong());
                }
                some_text(words).map(|words| Self::Tell { to, words })
            }
            Verb::Help => match rest.strip_prefix('/').unwrap_or(rest) {
                "" => Ok(Self::Help(None)),
                word => find(word).map(|usage| Self::Help(Some(usage))),
            },
            Verb::Quit => Ok(Self::Quit(rest)),
            Verb::Reply => some_text(rest).map(Self::Reply),
            Verb::Whois => some_name(rest).map(Self::Whois).ok_or_else(wrong),
            Verb::Away => Ok(Self::Away(rest)),
            Verb::Back => Ok(Self::Back),
            Verb::Ignore if rest.is_empty() => Ok(Self::Ignore(None)),
            Verb::Ignore => some_name(rest)
                .map(|name| Self::Ignore(Some(name)))
                .ok_or_else(wrong),
            Verb::Unignore => some_name(rest).map(Self::Unignore).ok_or_else(wrong),
            Verb::Quiet => on_or_off(rest).map(Self::Quiet).ok_or_else(wrong),
            Verb::Bell => on_or_off(rest).map(Self::Bell).ok_or_else(wrong),
            Verb::Edit if rest.is_empty() => Ok(Self::Edit(true)),
            Verb::Edit => on_or_off(rest).map(Self::Edit).ok_or_else(wrong),
            Verb::Time => parse_time(rest).ok_or_else(wrong),
            Verb::History if rest.is_empty() => Ok(Self::History(None)),
            Verb::History => rest
                .parse()
                .map(|lines| Self::History(Some(lines)))
                .map_err(|_| wrong()),
        }
        .map(Some)
    }
}

impl Command<'_> {
    /// The wish to take the name that `text` spells.
    ///
    /// # Errors
    /// A [`Refusal`] says why that cannot be a name.
    pub fn take(text: &str) -> Result<Self, Refusal> {
        Name::parse(text)
            .map(Self::Take)
            .map_err(|error| match error {
                NameError::Malformed => Refusal::MalformedName,
                NameError::Reserved(name) => Refusal::Reserved(name),
            })
    }
}

fn some_text(text: &str) -> Result<&str, Refusal> {
    if text.is_empty() {
        return Err(Refusal::NoText);
    }
    Ok(text)
}

/// A single word, which may be somebody's name.
fn some_name(text: &str) -> Option<&str> {
    (!text.is_empty() && !text.contains(char::is_whitespace)).then_some(text)
}

fn on_or_off(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("on") => Some(true),
        _ if text.eq_ignore_ascii_case("off") => Some(false),
        _ => None,
    }
}

/// `off`, `on`, or `on +HH:MM`, which is so far from UTC.
fn parse_time(text: &str) -> Option<Command<'static>> {
    let (toggle, offset) = split_word(text);
    let offset = match (on_or_off(toggle)?, offset) {
        (false, "") => None,
        (false, _) => return None,
        (true, "") => Some(0),
        (true, offset) => Some(parse_offset(offset)?),
    };
    Some(Command::Time(offset))
}

/// Minutes to add to UTC. No place on earth is further from it than 14 hours.
fn parse_offset(text: &str) -> Option<i16> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |text: &str, most: i16| {
        let digits = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i16>()
            .ok()
            .filter(|number| digits && *number <= most)
    };
    Some(sign * (number(hours, 14)? * 60 + number(minutes, 59)?))
}

/// The first word and, without the white space between, the rest.
fn split_word(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// The command that is called `word`, or the only one that begins with it; letter case does not matter. What a command
/// is called first counts before its other names, so that `/na` is `/name` and not `/names`.
fn find(word: &str) -> Result<&'static Usage, Refusal> {
    let is = |known: &str| known.eq_ignore_ascii_case(word);
    let begins = |known: &str| known.get(..word.len()).is_some_and(is);
    if let Some(usage) = COMMANDS
        .iter()
        .find(|usage| usage.words.iter().any(|known| is(known)))
    {
        return Ok(usage);
    }
    let first: Vec<&Usage> = COMMANDS
        .iter()
        .filter(|usage| begins(usage.words[0]))
        .collect();
    let other = COMMANDS
        .iter()
        .filter(|usage| usage.words[1..].iter().any(|known| begins(known)));
    let candidates = if first.is_empty() {
        other.collect()
    } else {
        first
    };
    match candidates[..] {
        [usage] if !word.is_empty() => Ok(usage),
        _ => Err(Refusal::NoSuchCommand(word.into())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<Command<'_>>, String> {
        Command::parse(Typed {
            text,
            altered: false,
        })
        .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn lines_are_said_unless_a_slash_begins_them() {
        assert_eq!(parse("hello there"), Ok(Some(Command::Say("hello there"))));
        assert_eq!(parse("1/2"), Ok(Some(Command::Say("1/2"))));
        assert_eq!(
            parse("//etc is a path"),
            Ok(Some(Command::Say("/etc is a path")))
        );
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn commands_have_other_names_short_forms_and_any_case() {
        let ann = || Ok(Some(Command::Take(Name::parse("ann").unwrap())));
        for line in ["/name ann", "/nick  ann", "/NAME ann", "/na ann"] {
            assert_eq!(parse(line), ann(), "{line}");
        }
        for line in ["/who", "/names", "/list", "/l", "/Who"] {
            assert_eq!(parse(line), Ok(Some(Command::Who)), "{line}");
        }
        assert_eq!(parse("/me waves"), Ok(Some(Command::Act("waves"))));
        assert_eq!(
            parse("/msg bob  a b"),
            Ok(Some(Command::Tell {
                to: "bob",
                words: "a b"
            }))
        );
        assert_eq!(parse("/quit"), Ok(Some(Command::Quit(""))));
        assert_eq!(parse("/exit see you"), Ok(Some(Command::Quit("see you"))));
        assert_eq!(parse("/help"), Ok(Some(Command::Help(None))));
        assert_eq!(
            parse("/help /nick"),
            Ok(Some(Command::Help(Some(&COMMANDS[0]))))
        );
    }

    #[test]
    fn what_cannot_be_understood_is_refused_in_words() {
        for (line, words) in [
            ("/foo", "no such command: /foo; /help lists them"),
            ("/", "no such command: /; /help lists them"),
            ("/z", "no such command: /z; /help lists them"),
            ("/help foo", "no such command: /foo; /help lists them"),
            ("/name", "usage: /name NAME"),
            ("/msg", "usage: /msg NAME TEXT"),
            ("/msg bob", "you have no text to send"),
            ("/me", "you have no text to send"),
            (
                "/name a b",
                "a name is 1 to 24 letters, digits or _ - . and begins with a letter or digit",
            ),
            ("/name Server", "Server is reserved"),
            ("/who bob", "usage: /who"),
            ("/names x", "usage: /who"),
            ("/back now", "usage: /back"),
        ] {
            assert_eq!(parse(line), Err(words.to_string()), "{line}");
        }
    }

    #[test]
    fn switches_and_offsets_are_understood() {
        for (line, command) in [
            ("/quiet on", Command::Quiet(true)),
            ("/quiet OFF", Command::Quiet(false)),
            ("/edit", Command::Edit(true)),
            ("/edit off", Command::Edit(false)),
            ("/time on", Command::Time(Some(0))),
            ("/time on +08:00", Command::Time(Some(480))),
            ("/time on -3:30", Command::Time(Some(-210))),
            ("/time off", Command::Time(None)),
            ("/history", Command::History(None)),
            ("/history 3", Command::History(Some(3))),
            ("/r yes", Command::Reply("yes")),
            ("/ignore", Command::Ignore(None)),
            ("/ignore bob", Command::Ignore(Some("bob"))),
        ] {
            assert_eq!(parse(line), Ok(Some(command)), "{line}");
        }
        for line in ["/quiet", "/quiet maybe", "/bell o", "/edit x"] {
            assert!(
                parse(line).is_err_and(|words| words.starts_with("usage: /")),
                "{line}"
            );
        }
        for line in [
            "/time",
            "/time +08:00",
            "/time on 8",
            "/time on +15:00",
            "/time on +1:60",
            "/time off +1:00",
        ] {
            assert_eq!(
                parse(line),
                Err("usage: /time on [+HH:MM]|off".into()),
                "{line}"
            );
        }
        for line in [
            "/history x",
            "/history -1",
            "/whois",
            "/whois a b",
            "/unignore",
        ] {
            assert!(
                parse(line).is_err_and(|words| words.starts_with("usage: /")),
                "{line}"
            );
        }
        assert!(parse("/wh").is_err(), "it may be /who or /whois");
    }

    #[test]
    fn a_name_with_something_invisible_in_it_is_refused() {
        let line = Typed {
            text: "/name ann",
            altered: true,
        };
        assert_eq!(Command::parse(line), Err(Refusal::MalformedName));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "/?\\PC{0,40}", altered: bool) {
            // The result is looked at so that nothing of it is optimised away.
            let described = format!("{:?}", Command::parse(Typed { text: text.trim(), altered }));
            prop_assert!(!described.is_empty());
        }
    }
}
