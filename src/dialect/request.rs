//! What people and programs can ask for, why it may be refused, and the table of the commands that people type.

use crate::name::{Name, NameError};

/// What a session asks for, whatever its dialect. It is complete: whatever is missing or wrong has become a [`Refusal`]
/// instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Say these words to everybody else in the room.
    Say(&'a str),
    /// Tell everybody else in the room what one does.
    Act(&'a str),
    /// Take a name.
    TakeName(Name),
    /// Who is here?
    Who,
    /// Say these words to one person only, who is called `to`.
    Tell { to: &'a str, words: &'a str },
    /// Explain the commands, or one of them.
    Help(Option<&'static Command>),
    /// Leave, with these last words, which may be empty.
    Quit(&'a str),
    /// Say these words to whoever wrote to this session privately last.
    Reply(&'a str),
    /// How long is this person here?
    Whois(&'a str),
    /// Be away, for this reason, which may be empty; `None`: be back.
    Away(Option<&'a str>),
    /// Hear nothing of this person; `None`: who is ignored?
    Ignore(Option<&'a str>),
    /// Hear of this person again.
    Unignore(&'a str),
    /// Hear nothing of who comes and goes.
    Quiet(bool),
    /// See the time in each line, in minutes off UTC; `None`: no more.
    Time(Option<i16>),
    /// Hear a bell where one is named or written to.
    Bell(bool),
    /// What was said before: at most this many lines; `None`: all that is kept.
    History(Option<usize>),
    /// Let the server edit the line.
    Edit(bool),
}

/// Others hear this many bytes for the price of a line.
const LINE_BYTES: usize = 512;

/// Taking a name costs as much as this many lines.
const NAME_LINES: usize = 5;

impl Request<'_> {
    /// How many lines it costs: what others hear counts by its bytes, and taking a name more than a line.
    pub(crate) fn lines(&self) -> usize {
        match self {
            Self::Say(words)
            | Self::Act(words)
            | Self::Tell { words, .. }
            | Self::Reply(words)
            | Self::Quit(words) => words.len().div_ceil(LINE_BYTES).max(1),
            Self::TakeName(_) => NAME_LINES,
            _ => 1,
        }
    }
}

/// Why a line could not be understood or obeyed. `words` has the English for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such command, or the short form stands for several.
    NoSuchCommand(Box<str>),
    /// Arguments of a command are missing or wrong.
    Usage(&'static Command),
    /// Nobody here has that name.
    Nobody(Box<str>),
    /// Somebody else has that name, or one that looks like it.
    Taken(Box<str>),
    /// That is not a name.
    MalformedName,
    /// A name that nobody can take.
    Reserved(Box<str>),
    /// The line was too long and is gone. In bytes (of an editor's line that has too many characters, these).
    LineTooLong { bytes: usize, bytes_max: usize },
    /// There is nothing to say.
    NoText,
    /// That person hears nothing in private: a program does.
    Deaf(Box<str>),
    /// Nobody has written to this session privately, or whoever did has left.
    NobodyWrote,
    /// Nobody can do that to themselves.
    Yourself,
    /// This many people are ignored already, and more cannot be.
    IgnoresTooMany(usize),
    /// The client does not agree to line editing.
    NoEditing,
    /// A program's line begins with no known verb.
    NoSuchVerb,
    /// A program's line lacks a value, or has one that is wrong or too many: this is how it is made.
    WireUsage(&'static str),
    /// A program's words have a line end in them.
    SeveralLines,
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Malformed => Self::MalformedName,
            NameError::Reserved(name) => Self::Reserved(name),
        }
    }
}

/// A row of the table of commands: how a command is called, what it does, and how its arguments are understood.
pub(crate) struct Command {
    /// Its word and its other names, without the slash.
    words: &'static [&'static str],
    /// Its arguments, as `/help` and a refusal show them.
    pub(crate) arguments: &'static str,
    /// What it does, for `/help`.
    pub(crate) summary: &'static str,
    parse: for<'a> fn(Arguments<'a>) -> Result<Request<'a>, Wrong>,
}

/// What stands behind a command's word, without the blanks around it.
#[derive(Clone, Copy)]
struct Arguments<'a> {
    text: &'a str,
    /// Cleaning took something invisible out of the line. Then the text is fit to be said, but not to be a name: a name
    /// is never silently changed.
    altered: bool,
}

/// Why arguments were not understood.
enum Wrong {
    /// They are not what the row of the table says.
    Usage,
    Refused(Refusal),
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NameError> for Wrong {
    fn from(error: NameError) -> Self {
        Self::Refused(error.into())
    }
}

impl Command {
    /// What the command is called first, without the slash.
    pub(crate) fn word(&self) -> &'static str {
        self.words[0]
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Command {}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Every command, in the order in which `/help` lists them.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        words: &["name", "nick"],
        arguments: "NAME",
        summary: "take a name",
        parse: |arguments| match arguments.text {
            "" => Err(Wrong::Usage),
            _ if arguments.altered => Err(Refusal::MalformedName.into()),
            name => Ok(Request::TakeName(Name::parse(name)?)),
        },
    },
    Command {
        words: &["who", "names", "list"],
        arguments: "",
        summary: "see who is here",
        parse: |arguments| arguments.none(Request::Who),
    },
    Command {
        words: &["me"],
        arguments: "TEXT",
        summary: "say what you are doing",
        parse: |arguments| Ok(Request::Act(some_text(arguments.text)?)),
    },
    Command {
        words: &["msg"],
        arguments: "NAME TEXT",
        summary: "tell one person only",
        parse: |arguments| match split_word(arguments.text) {
            ("", _) => Err(Wrong::Usage),
            (to, words) => Ok(Request::Tell {
                to,
                words: some_text(words)?,
            }),
        },
    },
    Command {
        words: &["reply", "r"],
        arguments: "TEXT",
        summary: "answer who wrote to you last",
        parse: |arguments| Ok(Request::Reply(some_text(arguments.text)?)),
    },
    Command {
        words: &["whois"],
        arguments: "NAME",
        summary: "see how long somebody is here, and silent",
        parse: |arguments| Ok(Request::Whois(arguments.name()?)),
    },
    Command {
        words: &["away"],
        arguments: "[TEXT]",
        summary: "let it be known that you are away",
        parse: |arguments| Ok(Request::Away(Some(arguments.text))),
    },
    Command {
        words: &["back"],
        arguments: "",
        summary: "and that you are back",
        parse: |arguments| arguments.none(Request::Away(None)),
    },
    Command {
        words: &["ignore"],
        arguments: "[NAME]",
        summary: "hear nothing of somebody, or see whom you ignore",
        parse: |arguments| match arguments.text {
            "" => Ok(Request::Ignore(None)),
            _ => Ok(Request::Ignore(Some(arguments.name()?))),
        },
    },
    Command {
        words: &["unignore"],
        arguments: "NAME",
        summary: "hear of somebody again",
        parse: |arguments| Ok(Request::Unignore(arguments.name()?)),
    },
    Command {
        words: &["quiet"],
        arguments: "on|off",
        summary: "hear nothing of who comes and goes",
        parse: |arguments| Ok(Request::Quiet(arguments.on_or_off()?)),
    },
    Command {
        words: &["time"],
        arguments: "on [+HH:MM]|off",
        summary: "see the time in every line, in UTC or so far from it",
        parse: |arguments| match parse_time(arguments.text) {
            Some(offset) => Ok(Request::Time(offset)),
            None => Err(Wrong::Usage),
        },
    },
    Command {
        words: &["bell"],
        arguments: "on|off",
        summary: "be rung for when you are named or written to",
        parse: |arguments| Ok(Request::Bell(arguments.on_or_off()?)),
    },
    Command {
        words: &["history"],
        arguments: "[N]",
        summary: "see what was said before",
        parse: |arguments| match arguments.text {
            "" => Ok(Request::History(None)),
            lines => Ok(Request::History(Some(
                lines.parse().map_err(|_| Wrong::Usage)?,
            ))),
        },
    },
    Command {
        words: &["edit"],
        arguments: "[on|off]",
        summary: "keep your half-typed line whole, with telnet or PuTTY",
        parse: |arguments| match arguments.text {
            "" => Ok(Request::Edit(true)),
            _ => Ok(Request::Edit(arguments.on_or_off()?)),
        },
    },
    Command {
        words: &["help"],
        arguments: "[COMMAND]",
        summary: "list the commands, or explain one",
        parse: |arguments| match without_slash(arguments.text) {
            "" => Ok(Request::Help(None)),
            word => Ok(Request::Help(Some(find(word)?))),
        },
    },
    Command {
        words: &["quit", "exit"],
        arguments: "[TEXT]",
        summary: "leave, with a last word if you like",
        parse: |arguments| Ok(Request::Quit(arguments.text)),
    },
];

/// Understands a line of a person, which is clean and has no blanks around it. `altered` says whether cleaning took
/// something invisible out of it. `None` is an empty line, which asks for nothing.
///
/// # Errors
/// A [`Refusal`] says what is wrong with a line that begins with a slash.
pub(crate) fn parse(line: &str, altered: bool) -> Result<Option<Request<'_>>, Refusal> {
    let Some(slashed) = line.strip_prefix('/') else {
        return Ok((!line.is_empty()).then_some(Request::Say(line)));
    };
    if slashed.starts_with('/') {
        return Ok(Some(Request::Say(slashed)));
    }
    let (word, text) = split_word(slashed);
    let command = find(word)?;
    let parsed = (command.parse)(Arguments { text, altered });
    parsed.map(Some).map_err(|wrong| match wrong {
        Wrong::Usage => Refusal::Usage(command),
        Wrong::Refused(refusal) => refusal,
    })
}

impl<'a> Arguments<'a> {
    /// The request of a command that takes no arguments.
    fn none(self, request: Request<'a>) -> Result<Request<'a>, Wrong> {
        if self.text.is_empty() {
            Ok(request)
        } else {
            Err(Wrong::Usage)
        }
    }

    /// A single word, which may be somebody's name.
    fn name(self) -> Result<&'a str, Wrong> {
        match self.text {
            "" => Err(Wrong::Usage),
            text if text.contains(char::is_whitespace) => Err(Wrong::Usage),
            text => Ok(text),
        }
    }

    fn on_or_off(self) -> Result<bool, Wrong> {
        on_or_off(self.text).ok_or(Wrong::Usage)
    }
}

fn some_text(text: &str) -> Result<&str, Refusal> {
    if text.is_empty() {
        return Err(Refusal::NoText);
    }
    Ok(text)
}

fn on_or_off(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("on") => Some(true),
        _ if text.eq_ignore_ascii_case("off") => Some(false),
        _ => None,
    }
}

/// `off`, `on`, or `on +HH:MM`, which is so far from UTC.
#[allow(clippy::option_option, reason = "not understood, off, or on")]
fn parse_time(text: &str) -> Option<Option<i16>> {
    let (toggle, offset) = split_word(text);
    let offset = match (on_or_off(toggle)?, offset) {
        (false, "") => None,
        (false, _) => return None,
        (true, "") => Some(0),
        (true, offset) => Some(parse_offset(offset)?),
    };
    Some(offset)
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

fn without_slash(text: &str) -> &str {
    text.strip_prefix('/').unwrap_or(text)
}

/// The first word and, without the white space between, the rest.
fn split_word(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// The command that is called `word`, or the only one that begins with it; letter case does not matter. What a command
/// is called first counts before its other names, so that `/na` is `/name` and not `/names`.
fn find(word: &str) -> Result<&'static Command, Refusal> {
    let is = |known: &str| known.eq_ignore_ascii_case(word);
    let begins = |known: &str| known.get(..word.len()).is_some_and(is);
    if let Some(command) = COMMANDS
        .iter()
        .find(|command| command.words.iter().any(|known| is(known)))
    {
        return Ok(command);
    }
    let first: Vec<&Command> = COMMANDS
        .iter()
        .filter(|command| begins(command.words[0]))
        .collect();
    let other = COMMANDS
        .iter()
        .filter(|command| command.words[1..].iter().any(|known| begins(known)));
    let candidates = if first.is_empty() {
        other.collect()
    } else {
        first
    };
    match candidates[..] {
        [command] if !word.is_empty() => Ok(command),
        _ => Err(Refusal::NoSuchCommand(word.into())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<Request<'_>>, String> {
        super::parse(text, false).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn lines_are_said_unless_a_slash_begins_them() {
        assert_eq!(parse("hello there"), Ok(Some(Request::Say("hello there"))));
        assert_eq!(parse("1/2"), Ok(Some(Request::Say("1/2"))));
        assert_eq!(
            parse("//etc is a path"),
            Ok(Some(Request::Say("/etc is a path")))
        );
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn commands_have_other_names_short_forms_and_any_case() {
        let ann = || Ok(Some(Request::TakeName(Name::parse("ann").unwrap())));
        for line in ["/name ann", "/nick  ann", "/NAME ann", "/na ann"] {
            assert_eq!(parse(line), ann(), "{line}");
        }
        for line in ["/who", "/names", "/list", "/l", "/Who"] {
            assert_eq!(parse(line), Ok(Some(Request::Who)), "{line}");
        }
        assert_eq!(parse("/me waves"), Ok(Some(Request::Act("waves"))));
        assert_eq!(
            parse("/msg bob  a b"),
            Ok(Some(Request::Tell {
                to: "bob",
                words: "a b"
            }))
        );
        assert_eq!(parse("/quit"), Ok(Some(Request::Quit(""))));
        assert_eq!(parse("/exit see you"), Ok(Some(Request::Quit("see you"))));
        assert_eq!(parse("/help"), Ok(Some(Request::Help(None))));
        assert_eq!(
            parse("/help /nick"),
            Ok(Some(Request::Help(Some(&COMMANDS[0]))))
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
            ("/quiet on", Request::Quiet(true)),
            ("/quiet OFF", Request::Quiet(false)),
            ("/edit", Request::Edit(true)),
            ("/edit off", Request::Edit(false)),
            ("/time on", Request::Time(Some(0))),
            ("/time on +08:00", Request::Time(Some(480))),
            ("/time on -3:30", Request::Time(Some(-210))),
            ("/time off", Request::Time(None)),
            ("/history", Request::History(None)),
            ("/history 3", Request::History(Some(3))),
            ("/r yes", Request::Reply("yes")),
            ("/ignore", Request::Ignore(None)),
            ("/ignore bob", Request::Ignore(Some("bob"))),
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
        let refused = super::parse("/name ann", true);
        assert_eq!(refused, Err(Refusal::MalformedName));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "/?\\PC{0,40}", altered: bool) {
            // The result is looked at so that nothing of it is optimised away.
            let described = format!("{:?}", super::parse(text.trim(), altered));
            prop_assert!(!described.is_empty());
        }
    }
}
