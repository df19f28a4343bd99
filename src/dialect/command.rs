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
}

/// Every command, in the order in which `/help` lists them.
pub const COMMANDS: &[Usage] = &[
    Usage {
        words: &["name", "nick"],
        arguments: "NAME",
        summary: "take a name",
        verb: Verb::Name,
    },
    Usage {
        words: &["who", "names", "list"],
        arguments: "",
        summary: "see who is here",
        verb: Verb::Who,
    },
    Usage {
        words: &["me"],
        arguments: "TEXT",
        summary: "say what you are doing",
        verb: Verb::Me,
    },
    Usage {
        words: &["msg"],
        arguments: "NAME TEXT",
        summary: "tell one person only",
        verb: Verb::Msg,
    },
    Usage {
        words: &["help"],
        arguments: "[COMMAND]",
        summary: "list the commands, or explain one",
        verb: Verb::Help,
    },
    Usage {
        words: &["quit", "exit"],
        arguments: "[TEXT]",
        summary: "leave, with a last word if you like",
        verb: Verb::Quit,
    },
];

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
        match usage.verb {
            Verb::Name if rest.is_empty() => Err(Refusal::Usage(usage)),
            Verb::Name if line.altered => Err(Refusal::MalformedName),
            Verb::Name => Self::take(rest),
            Verb::Who => Ok(Self::Who),
            Verb::Me => some_text(rest).map(Self::Act),
            Verb::Msg => {
                let (to, words) = split_word(rest);
                if to.is_empty() {
                    return Err(Refusal::Usage(usage));
                }
                some_text(words).map(|words| Self::Tell { to, words })
            }
            Verb::Help => match rest.strip_prefix('/').unwrap_or(rest) {
                "" => Ok(Self::Help(None)),
                word => find(word).map(|usage| Self::Help(Some(usage))),
            },
            Verb::Quit => Ok(Self::Quit(rest)),
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
        ] {
            assert_eq!(parse(line), Err(words.to_string()), "{line}");
        }
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
