//! The table of the commands that people type, and how a line of theirs is understood.

use std::ops::Range;

use crate::dialect::request::{Arguments, Command, Order, Refusal, Request, Wrong};
use crate::hygiene::is_blank;
use crate::name::Name;
use crate::room_name::RoomName;

/// Every command, in the order in which `/help` lists them.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        words: &["name", "nick"],
        arguments: "NAME [KEY]",
        summary: "take a name",
        parse: |arguments| match split_word(arguments.text) {
            ("", _) => Err(Wrong::Usage),
            _ if arguments.altered => Err(Refusal::MalformedName.into()),
            (name, "") => Ok(Request::TakeName(Name::parse(name)?)),
            (name, key) => Ok(Request::TakeKept {
                name: Name::parse_kept(name)?,
                key,
            }),
        },
    },
    Command {
        words: &["keep"],
        arguments: "",
        summary: "let nobody take your name but by a key, which you are shown",
        parse: |arguments| arguments.none(Request::Keep),
    },
    Command {
        words: &["unkeep"],
        arguments: "",
        summary: "let anybody take your name again",
        parse: |arguments| arguments.none(Request::Unkeep),
    },
    Command {
        words: &["who", "w", "names", "list", "users"],
        arguments: "[ROOM]",
        summary: "see who is here, or in another room",
        parse: |arguments| match arguments.text {
            "" => Ok(Request::Who(None)),
            _ => Ok(Request::Who(Some(arguments.name()?))),
        },
    },
    Command {
        words: &["join", "j"],
        arguments: "ROOM [KEY]",
        summary: "go to another room, or make one",
        parse: |arguments| match split_word(arguments.text) {
            ("", _) => Ok(Request::Where),
            _ if arguments.altered => Err(Refusal::MalformedRoom.into()),
            (room, key) => Ok(Request::Join {
                room: RoomName::parse(room).map_err(|error| Refusal::of_room(&error))?,
                key: match key {
                    "" => None,
                    key if is_key(key) => Some(key),
                    _ => return Err(Wrong::Usage),
                },
            }),
        },
    },
    Command {
        words: &["leave", "part"],
        arguments: "",
        summary: "go back to the lobby",
        parse: |arguments| arguments.none(Request::Leave),
    },
    Command {
        words: &["rooms"],
        arguments: "",
        summary: "see which rooms there are",
        parse: |arguments| arguments.none(Request::Rooms),
    },
    Command {
        words: &["me"],
        arguments: "TEXT",
        summary: "say what you are doing",
        parse: |arguments| Ok(Request::Act(some_text(arguments.text)?)),
    },
    Command {
        words: &["msg", "m", "tell", "pm", "whisper"],
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
        words: &["help", "h", "?"],
        arguments: "[COMMAND]",
        summary: "list the commands, or explain one",
        parse: |arguments| match arguments.text.trim_start_matches(is_slash) {
            "" => Ok(Request::Help(None)),
            word => match for_operators(word) {
                Some(command) => Ok(Request::ForOperators {
                    command,
                    typed: word,
                    arguments: None,
                }),
                None => Ok(Request::Help(Some(find(word)?))),
            },
        },
    },
    Command {
        words: &["quit", "q", "exit", "bye"],
        arguments: "[TEXT]",
        summary: "leave, with a last word if you like",
        parse: |arguments| Ok(Request::Quit(arguments.text)),
    },
];

/// The commands of operators, in the order in which `/help` lists them to these behind the others. They are written in
/// full, so none of their words is the beginning of another command's.
pub(crate) const OPERATOR_COMMANDS: &[Command] = &[
    Command {
        words: &["kick"],
        arguments: "NAME [REASON]",
        summary: "close somebody's session",
        parse: |arguments| match split_word(arguments.text) {
            ("", _) => Err(Wrong::Usage),
            (name, reason) => Ok(Request::Order(Order::Kick { name, reason })),
        },
    },
    Command {
        words: &["mute"],
        arguments: "NAME TIME [REASON]",
        summary: "let nobody hear somebody for a while",
        parse: |arguments| {
            let (name, time, reason) = arguments.name_and_time()?;
            Ok(Request::Order(Order::Mute { name, time, reason }))
        },
    },
    Command {
        words: &["unmute"],
        arguments: "NAME",
        summary: "let them be heard again",
        parse: |arguments| {
            let name = arguments.name()?;
            Ok(Request::Order(Order::Unmute { name }))
        },
    },
    Command {
        words: &["ban"],
        arguments: "NAME TIME [REASON]",
        summary: "close somebody's session and keep their address out for a while",
        parse: |arguments| {
            let (name, time, reason) = arguments.name_and_time()?;
            Ok(Request::Order(Order::Ban { name, time, reason }))
        },
    },
];

/// Whether a line has the key of a name or of a room in it, which nothing is to remember.
pub(crate) fn has_key(line: &str) -> bool {
    let mut line = line.to_owned();
    let parsed = parse(&mut line, false);
    let with_key = |request| {
        matches!(
            request,
            Request::TakeKept { .. } | Request::Join { key: Some(_), .. }
        )
    };
    parsed.ok().flatten().is_some_and(with_key)
}

/// Understands a line of a person, which is clean. `altered` says whether cleaning took something invisible out of it.
/// `None` is an empty line, which asks for nothing. Of two slashes at the beginning the first is taken away.
///
/// # Errors
/// A [`Refusal`] says what is wrong with a line that begins with a slash.
pub(crate) fn parse(line: &mut String, altered: bool) -> Result<Option<Request<'_>>, Refusal> {
    let Some(slash) = find_slash(line) else {
        return Ok((!line.is_empty()).then_some(Request::Say(line)));
    };
    if line[slash.end..].starts_with(is_slash) {
        // Pasted code may be a comment, and keeps what stands before it.
        line.replace_range(slash, "");
        return Ok(Some(Request::Say(line)));
    }
    let (word, text) = split_word(&line[slash.end..]);
    if let Some(command) = for_operators(word) {
        return Ok(Some(Request::ForOperators {
            command,
            typed: word,
            arguments: Some(text),
        }));
    }
    let command = find(word)?;
    let parsed = (command.parse)(Arguments { text, altered });
    parsed.map(Some).map_err(|wrong| wrong.refusal(command))
}

/// The command of operators that is called `word`, in any letter case.
fn for_operators(word: &str) -> Option<&'static Command> {
    let mut commands = OPERATOR_COMMANDS.iter();
    commands.find(|command| command.word().eq_ignore_ascii_case(word))
}

/// Whether what is typed behind this is the name of a room.
pub(crate) fn takes_room(line: &str) -> bool {
    let Some(slash) = find_slash(line) else {
        return false;
    };
    let (word, text) = split_word(&line[slash.end..]);
    let command = find(word).map(Command::word);
    text.is_empty() && matches!(command, Ok("join" | "who"))
}

/// Where the slash stands that makes a clean line a command, if one does: nothing but blanks stands before it.
pub(crate) fn find_slash(line: &str) -> Option<Range<usize>> {
    let words = line.trim_start_matches(is_blank);
    let slash = words.chars().next().filter(|c| is_slash(*c))?;
    let begin = line.len() - words.len();
    Some(begin..begin + slash.len_utf8())
}

/// Whether a person may take this for a slash. Nothing private is to be said aloud because of a key of an Asian
/// keyboard.
fn is_slash(c: char) -> bool {
    matches!(
        c,
        '/' | '\u{2044}'
            | '\u{2215}'
            | '\u{2571}'
            | '\u{27cb}'
            | '\u{29f8}'
            | '\u{ff0f}'
            | '\u{1f67c}'
    )
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

    /// A name, a time and the rest.
    fn name_and_time(self) -> Result<(&'a str, &'a str, &'a str), Wrong> {
        let (name, rest) = split_word(self.text);
        let (time, reason) = split_word(rest);
        if time.is_empty() {
            return Err(Wrong::Usage);
        }
        Ok((name, time, reason))
    }

    fn on_or_off(self) -> Result<bool, Wrong> {
        on_or_off(self.text).ok_or(Wrong::Usage)
    }
}

/// The longest key of a room, in characters.
const KEY_CHARACTERS_MAX: usize = 64;

/// Whether this may be the key of a room.
pub(crate) fn is_key(text: &str) -> bool {
    (1..=KEY_CHARACTERS_MAX).contains(&text.chars().count()) && !text.contains(char::is_whitespace)
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

/// No clock on earth is further from UTC than 14 hours.
const OFFSET_MINUTES_MAX: i16 = 14 * 60;

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
    let minutes = number(hours, 14)? * 60 + number(minutes, 59)?;
    (minutes <= OFFSET_MINUTES_MAX).then_some(sign * minutes)
}

/// The first word and, without the white space between, the rest.
fn split_word(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// The command that is called `word`, or the only one of which a word begins so; letter case does not matter.
fn find(word: &str) -> Result<&'static Command, Refusal> {
    let is = |known: &str| known.eq_ignore_ascii_case(word);
    let whole = COMMANDS
        .iter()
        .find(|command| command.words.iter().any(|known| is(known)));
    if let Some(command) = whole {
        return Ok(command);
    }
    let begins = |known: &str| !word.is_empty() && known.get(..word.len()).is_some_and(is);
    let mut candidates = COMMANDS
        .iter()
        .filter(|command| command.words.iter().any(|known| begins(known)));
    match (candidates.next(), candidates.next()) {
        (None, _) => Err(Refusal::NoSuchCommand(word.into())),
        (Some(command), None) => Ok(command),
        (Some(_), Some(_)) => {
            let all = COMMANDS.iter().flat_map(|command| command.words);
            let mut words: Vec<_> = all.copied().filter(|known| begins(known)).collect();
            words.sort_unstable();
            Err(Refusal::Ambiguous {
                typed: word.into(),
                words: words.into(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<Request<'static>>, String> {
        // What is understood borrows from the line.
        let line = Box::leak(Box::new(text.to_owned()));
        super::parse(line, false).map_err(|refusal| refusal.to_string())
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
    fn blanks_before_the_words_stay_and_make_no_command_into_chat() {
        for line in ["    if (x) {", "  1/2", "\u{3000}ja", "  \\o/"] {
            assert_eq!(parse(line), Ok(Some(Request::Say(line))), "{line}");
        }
        for line in [
            "/who",
            " /who",
            "\u{3000}/who",
            "\u{200d}/who",
            " \u{2800} /w",
        ] {
            assert_eq!(parse(line), Ok(Some(Request::Who(None))), "{line}");
        }
        let comment = Request::Say("    / a comment");
        assert_eq!(parse("    // a comment"), Ok(Some(comment)));
        assert_eq!(parse(" /foo").unwrap_err(), parse("/foo").unwrap_err());
    }

    #[test]
    fn what_looks_like_a_slash_begins_a_command() {
        for slash in "/／⁄∕╱⟋⧸🙼".chars() {
            let tell = Request::Tell {
                to: "bob",
                words: "psst",
            };
            assert_eq!(parse(&format!("{slash}msg bob psst")), Ok(Some(tell)));
            assert!(parse(&format!("{slash}foo")).is_err(), "{slash}");
            assert_eq!(parse(&format!("/help {slash}msg")), parse("/help msg"));
        }
        assert_eq!(parse("／／x"), Ok(Some(Request::Say("／x"))));
        assert_eq!(parse("ノ丿\\"), Ok(Some(Request::Say("ノ丿\\"))));
    }

    #[test]
    fn commands_have_other_names_short_forms_and_any_case() {
        let ann = || Ok(Some(Request::TakeName(Name::parse("ann").unwrap())));
        for line in ["/name ann", "/nick  ann", "/NAME ann", "/ni ann"] {
            assert_eq!(parse(line), ann(), "{line}");
        }
        for line in [
            "/who", "/names", "/list", "/li", "/Who", "/w", "/users", "/us",
        ] {
            assert_eq!(parse(line), Ok(Some(Request::Who(None))), "{line}");
        }
        assert_eq!(parse("/me waves"), Ok(Some(Request::Act("waves"))));
        for word in ["msg", "m", "tell", "pm", "whisper", "whisp", "te", "Ms"] {
            let tell = Request::Tell {
                to: "bob",
                words: "a b",
            };
            let line = format!("/{word} bob  a b");
            assert_eq!(parse(&line), Ok(Some(tell)), "{line}");
        }
        for line in ["/quit", "/q", "/exit", "/bye", "/by"] {
            assert_eq!(parse(line), Ok(Some(Request::Quit(""))), "{line}");
        }
        for line in ["/help", "/h", "/?", "/HE"] {
            assert_eq!(parse(line), Ok(Some(Request::Help(None))), "{line}");
        }
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
            (
                "/foo",
                "no such command: /foo; /help lists them, // says a slash",
            ),
            ("/", "no such command: /; /help lists them, // says a slash"),
            (
                "/z",
                "no such command: /z; /help lists them, // says a slash",
            ),
            (
                "/help foo",
                "no such command: /foo; /help lists them, // says a slash",
            ),
            (
                "／etc/passwd is a file",
                "no such command: /etc/passwd; /help lists them, // says a slash",
            ),
            ("/qui", "/qui could be /quiet or /quit"),
            ("/QUI on", "/QUI could be /quiet or /quit"),
            ("/wh", "/wh could be /whisper, /who or /whois"),
            ("/na ann", "/na could be /name or /names"),
            ("/b", "/b could be /back, /bell or /bye"),
            ("/help t", "/t could be /tell or /time"),
            ("/name", "usage: /name NAME [KEY]"),
            ("/msg", "usage: /msg NAME TEXT"),
            ("/msg bob", "you have no text to send"),
            ("/me", "you have no text to send"),
            ("/name Server", "Server is reserved"),
            (
                "/name 一二三四五六七八九十一二三",
                "a name is 1 to 24 columns wide, and this one is 26",
            ),
            ("/who a b", "usage: /who [ROOM]"),
            ("/names x y", "usage: /who [ROOM]"),
            ("/l", "/l could be /leave or /list"),
            ("/p", "/p could be /part or /pm"),
            ("/join games a b", "usage: /join ROOM [KEY]"),
            ("/leave games", "usage: /leave"),
            (
                "/join -games",
                "a room's name is 1 to 24 letters, digits or _ - . and begins with a letter or digit",
            ),
            (
                "/j ##games",
                "a room's name is 1 to 24 letters, digits or _ - . and begins with a letter or digit",
            ),
            (
                "/join 一二三四五六七八九十一二三",
                "a room's name is 1 to 24 columns wide, and this one is 26",
            ),
            ("/back now", "usage: /back"),
        ] {
            assert_eq!(parse(line), Err(words.to_string()), "{line}");
        }
    }

    /// Whether it is a key is for whom to say who knows whether the name is kept.
    #[test]
    fn what_stands_behind_a_name_is_its_key() {
        for (line, name, key) in [
            ("/name ann k7fq-2p9m", "ann", "k7fq-2p9m"),
            ("/nick admin  x", "admin", "x"),
            ("/name two words more", "two", "words more"),
        ] {
            let name = Name::parse_kept(name).unwrap();
            assert_eq!(
                parse(line),
                Ok(Some(Request::TakeKept { name, key })),
                "{line}"
            );
        }
        let reserved = Err("guest7 is reserved".to_owned());
        assert_eq!(parse("/name guest7 k7fq"), reserved);
    }

    #[test]
    fn rooms_and_keys_are_understood() {
        let room = |name| RoomName::parse(name).unwrap();
        let key = "k".repeat(64);
        let with_key = format!("/join games {key}");
        for (line, name, key) in [
            ("/join games", "games", None),
            ("/j #Games", "Games", None),
            ("/jo admin", "admin", None),
            ("/join guest7 x", "guest7", Some("x")),
            ("/join games  key#/", "games", Some("key#/")),
            (&with_key, "games", Some(&*key)),
        ] {
            let room = room(name);
            assert_eq!(parse(line), Ok(Some(Request::Join { room, key })), "{line}");
        }
        let too_long = format!("/join games {key}k");
        assert_eq!(parse(&too_long), Err("usage: /join ROOM [KEY]".to_owned()));
        for (line, request) in [
            ("/join", Request::Where),
            ("/leave", Request::Leave),
            ("/part", Request::Leave),
            ("/rooms", Request::Rooms),
            ("/who #games", Request::Who(Some("#games"))),
        ] {
            assert_eq!(parse(line), Ok(Some(request)), "{line}");
        }
        // What is not seen would make it another room.
        assert_eq!(parse("/join ga\u{200b}mes"), parse("/join -"));
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
    }

    #[test]
    fn a_name_with_something_invisible_in_it_is_refused() {
        let mut line = "/name ann".to_owned();
        let refused = super::parse(&mut line, true);
        assert_eq!(refused, Err(Refusal::MalformedName));
    }

    /// Every word is fixed, so that no command to come can take it from those who are used to it.
    #[test]
    fn a_whole_word_is_its_command_whatever_begins_so() {
        for command in COMMANDS {
            for word in command.words {
                assert_eq!(find(word), Ok(command), "/{word}");
            }
        }
    }

    #[test]
    fn what_operators_ask_for_is_written_in_full() {
        for command in OPERATOR_COMMANDS {
            let word = command.word();
            let typed = Box::leak(word.to_uppercase().into_boxed_str());
            let request = parse(&format!("/{typed} ann 2h  spam"));
            let arguments = Some("ann 2h  spam");
            let expected = Request::ForOperators {
                command,
                typed,
                arguments,
            };
            assert_eq!(request, Ok(Some(expected)));
            // So to others it is like any word that is no command.
            assert_eq!(find(word), Err(Refusal::NoSuchCommand(word.into())));
            let short = &word[..word.len() - 1];
            assert_ne!(find(short), Ok(command));
            assert!(for_operators(short).is_none());
            assert_eq!(command.ask(""), Err(Refusal::Usage(command)));
        }
        let [kick, mute, unmute, ban] = OPERATOR_COMMANDS else {
            panic!("these are four");
        };
        let (name, time, reason) = ("ann", "2h", "spam  x");
        let ordered = |order| Ok(Request::Order(order));
        assert_eq!(
            kick.ask("ann spam  x"),
            ordered(Order::Kick { name, reason })
        );
        assert_eq!(kick.ask("ann"), ordered(Order::Kick { name, reason: "" }));
        let muted = Order::Mute { name, time, reason };
        assert_eq!(mute.ask("ann 2h spam  x"), ordered(muted));
        assert_eq!(mute.ask("ann"), Err(Refusal::Usage(mute)));
        assert_eq!(unmute.ask("ann"), ordered(Order::Unmute { name }));
        assert_eq!(unmute.ask("ann bob"), Err(Refusal::Usage(unmute)));
        let banned = Order::Ban { name, time, reason };
        assert_eq!(ban.ask("ann 2h spam  x"), ordered(banned));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(mut text in "[ ／]?/?\\PC{0,40}", altered: bool) {
            // The result is looked at so that nothing of it is optimised away.
            let described = format!("{:?}", super::parse(&mut text, altered));
            prop_assert!(!described.is_empty());
        }
    }
}
