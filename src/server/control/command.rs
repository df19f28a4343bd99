//! What operators may ask for: one table for parsing, for help and for what a usage is told with.

use std::fmt;

use log::LevelFilter;

/// A row of the table.
#[derive(Debug)]
pub(in crate::server) struct Row {
    /// The word that it begins with.
    pub(in crate::server) verb: &'static str,
    /// What follows that, as it stands in the help.
    arguments: &'static str,
    /// What it does, in a few words.
    help: &'static str,
    parse: for<'a> fn(&'a str) -> Result<Command<'a>, Refusal>,
}

/// One thing that an operator asks for.
#[derive(Debug)]
pub(in crate::server) enum Command<'a> {
    /// Conditions, as they were written.
    Sessions(&'a str),
    /// Whether newcomers are let in.
    Admit(bool),
    Stop {
        at_once: bool,
    },
    /// A level, as it was written.
    Log(Option<&'a str>),
    Watch(Option<LevelFilter>),
    Reload,
    /// A key, as it was written.
    Settings(Option<&'a str>),
    Set {
        key: &'a str,
        value: &'a str,
    },
    /// What is done to people, and to the rules about them.
    Moderate(Order<'a>),
    Rooms,
    /// The names that are kept, or those that fit this, as it was written.
    Names(Option<&'a str>),
    /// A name is to be kept, or kept no more.
    Keep(&'a str),
    Unkeep(&'a str),
    /// All that is measured, one value a line …
    Stats,
    /// … and as Prometheus reads it.
    Metrics,
    As(&'a str),
    Help(Option<&'static Row>),
    Quit,
}

/// One thing that is to be done to people, or to the rules about them. Texts are as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Order<'a> {
    Kick {
        who: &'a str,
        reason: &'a str,
    },
    Ban(Measure<'a>),
    Mute(Measure<'a>),
    Forbid {
        pattern: &'a str,
        time: &'a str,
        reason: &'a str,
    },
    Lift(u64),
    Unban(&'a str),
    Unmute(&'a str),
    Bans(Option<&'a str>),
    Rename {
        who: &'a str,
        name: &'a str,
    },
    Say {
        room: Option<&'a str>,
        text: &'a str,
    },
    Tell {
        who: &'a str,
        text: &'a str,
    },
    Op {
        who: &'a str,
        on: bool,
    },
    CloseRoom {
        room: &'a str,
        reason: &'a str,
    },
}

/// A rule that is to be made for an address or a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Measure<'a> {
    pub(in crate::server) force: bool,
    pub(in crate::server) who: &'a str,
    pub(in crate::server) time: &'a str,
    pub(in crate::server) reason: &'a str,
}

impl Command<'_> {
    /// Whether it changes nothing of the server.
    pub(in crate::server) fn only_looks(&self) -> bool {
        match self {
            Self::Sessions(_)
            | Self::Log(None)
            | Self::Watch(_)
            | Self::Settings(_)
            | Self::Moderate(Order::Bans(_))
            | Self::Names(_)
            | Self::Rooms
            | Self::Stats
            | Self::Metrics
            | Self::As(_)
            | Self::Help(_)
            | Self::Quit => true,
            Self::Admit(_)
            | Self::Moderate(_)
            | Self::Keep(_)
            | Self::Unkeep(_)
            | Self::Stop { .. }
            | Self::Log(Some(_))
            | Self::Reload
            | Self::Set { .. } => false,
        }
    }
}

/// Why nothing was done.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Refusal {
    /// What follows the verb is not what the table says.
    Usage,
    /// All else, in words.
    Because(String),
}

impl Refusal {
    /// What an operator is told who asked for the command of this row.
    pub(in crate::server) fn words(self, row: &Row) -> String {
        match self {
            Self::Usage => format!("usage: {row}"),
            Self::Because(words) => words,
        }
    }
}

/// Nobody has this number.
pub(super) fn no_session(number: &str) -> Refusal {
    Refusal::Because(format!("no session {number}"))
}

/// This is no address, or no network.
pub(super) fn no_address(text: &str) -> Refusal {
    Refusal::Because(format!("no such address: {text}"))
}

/// No command begins with this word.
pub(in crate::server) fn no_such_command(verb: &str) -> String {
    format!("no such command: {verb}; help lists them")
}

/// In alphabetical order, as `help` lists them.
pub(in crate::server) const COMMANDS: &[Row] = &[
    Row {
        verb: "accept",
        arguments: "",
        help: "let newcomers in again",
        parse: |text| nothing(text, Command::Admit(true)),
    },
    Row {
        verb: "as",
        arguments: "USER",
        help: "say who you are, for the log",
        parse: |text| word(text).map(Command::As),
    },
    Row {
        verb: "ban",
        arguments: "[force] WHO TIME [REASON]",
        help: "keep an address out, and close who is there from it",
        parse: |text| Ok(Command::Moderate(Order::Ban(measure(text)?))),
    },
    Row {
        verb: "bans",
        arguments: "[TARGET]",
        help: "list the rules in force, or those that meet an address or network",
        parse: |text| match text {
            "" => Ok(Command::Moderate(Order::Bans(None))),
            target => Ok(Command::Moderate(Order::Bans(Some(word(target)?)))),
        },
    },
    Row {
        verb: "close",
        arguments: "ROOM [REASON]",
        help: "send all who are in a room to the lobby",
        parse: |text| match split(text) {
            ("", _) => Err(Refusal::Usage),
            (room, reason) => Ok(Command::Moderate(Order::CloseRoom { room, reason })),
        },
    },
    Row {
        verb: "deop",
        arguments: "WHO",
        help: "let somebody moderate in the chat no more",
        parse: |text| word(text).map(|who| Command::Moderate(Order::Op { who, on: false })),
    },
    Row {
        verb: "drain",
        arguments: "",
        help: "turn newcomers away",
        parse: |text| nothing(text, Command::Admit(false)),
    },
    Row {
        verb: "forbid",
        arguments: "PATTERN TIME [REASON]",
        help: "let nobody take such a name, with * at its end or beginning",
        parse: |text| {
            let (pattern, time, reason) = two(text)?;
            Ok(Command::Moderate(Order::Forbid {
                pattern,
                time,
                reason,
            }))
        },
    },
    Row {
        verb: "help",
        arguments: "[COMMAND]",
        help: "list the commands, or explain one",
        parse: |text| match text {
            "" => Ok(Command::Help(None)),
            verb => match find(verb) {
                Some(row) => Ok(Command::Help(Some(row))),
                None => Err(Refusal::Because(no_such_command(verb))),
            },
        },
    },
    Row {
        verb: "keep",
        arguments: "NAME",
        help: "let nobody take a name without its key, which is told",
        parse: |text| word(text).map(Command::Keep),
    },
    Row {
        verb: "kick",
        arguments: "WHO [REASON]",
        help: "close sessions",
        parse: |text| match split(text) {
            ("", _) => Err(Refusal::Usage),
            (who, reason) => Ok(Command::Moderate(Order::Kick { who, reason })),
        },
    },
    Row {
        verb: "lift",
        arguments: "N",
        help: "end a rule",
        parse: |text| match text.parse() {
            Ok(number) => Ok(Command::Moderate(Order::Lift(number))),
            Err(_) => Err(Refusal::Usage),
        },
    },
    Row {
        verb: "log",
        arguments: "[LEVEL]",
        help: "tell or set how much is logged: error, warn, info, debug or trace",
        parse: |text| match text {
            "" => Ok(Command::Log(None)),
            word => level(word).map(|_| Command::Log(Some(word))),
        },
    },
    Row {
        verb: "metrics",
        arguments: "",
        help: "tell all that is measured as Prometheus reads it",
        parse: |text| nothing(text, Command::Metrics),
    },
    Row {
        verb: "mute",
        arguments: "[force] WHO TIME [REASON]",
        help: "let people hear and not be heard",
        parse: |text| Ok(Command::Moderate(Order::Mute(measure(text)?))),
    },
    Row {
        verb: "names",
        arguments: "[PATTERN]",
        help: "list the names that are kept, or those that fit, with * at the end or beginning",
        parse: |text| match text {
            "" => Ok(Command::Names(None)),
            pattern => Ok(Command::Names(Some(word(pattern)?))),
        },
    },
    Row {
        verb: "op",
        arguments: "WHO",
        help: "let somebody moderate in the chat until their session ends",
        parse: |text| word(text).map(|who| Command::Moderate(Order::Op { who, on: true })),
    },
    Row {
        verb: "quit",
        arguments: "",
        help: "leave",
        parse: |text| nothing(text, Command::Quit),
    },
    Row {
        verb: "reload",
        arguments: "",
        help: "read the files again, as SIGHUP does",
        parse: |text| nothing(text, Command::Reload),
    },
    Row {
        verb: "rename",
        arguments: "WHO NAME",
        help: "give somebody a name, or by guest the one that they came with",
        parse: |text| match two(text)? {
            (who, name, "") => Ok(Command::Moderate(Order::Rename { who, name })),
            _ => Err(Refusal::Usage),
        },
    },
    Row {
        verb: "rooms",
        arguments: "",
        help: "list the rooms",
        parse: |text| nothing(text, Command::Rooms),
    },
    Row {
        verb: "say",
        arguments: "[room=ROOM] TEXT",
        help: "tell everybody, or a room",
        parse: |text| {
            let (first, rest) = split(text);
            let (room, text) = match first.strip_prefix("room=") {
                Some(room) => (Some(room), rest),
                None => (None, text),
            };
            let order = Order::Say { room, text };
            (!text.is_empty())
                .then_some(Command::Moderate(order))
                .ok_or(Refusal::Usage)
        },
    },
    Row {
        verb: "sessions",
        arguments: "[KEY=VALUE]...",
        help: "list the sessions for which all hold: id, name, addr, net, room, dialect, state",
        parse: |text| Ok(Command::Sessions(text)),
    },
    Row {
        verb: "set",
        arguments: "KEY VALUE",
        help: "change a setting until the server stops",
        parse: |text| match split(text) {
            (_, "") => Err(Refusal::Usage),
            (key, value) => Ok(Command::Set { key, value }),
        },
    },
    Row {
        verb: "settings",
        arguments: "[KEY]",
        help: "list the settings, or tell one",
        parse: |text| match text {
            "" => Ok(Command::Settings(None)),
            key => word(key).map(|key| Command::Settings(Some(key))),
        },
    },
    Row {
        verb: "stats",
        arguments: "",
        help: "tell all that is measured",
        parse: |text| nothing(text, Command::Stats),
    },
    Row {
        verb: "stop",
        arguments: "[now]",
        help: "stop the server in good order, or at once",
        parse: |text| match text {
            "" => Ok(Command::Stop { at_once: false }),
            "now" => Ok(Command::Stop { at_once: true }),
            _ => Err(Refusal::Usage),
        },
    },
    Row {
        verb: "tell",
        arguments: "WHO TEXT",
        help: "tell somebody alone",
        parse: |text| match split(text) {
            (_, "") => Err(Refusal::Usage),
            (who, text) => Ok(Command::Moderate(Order::Tell { who, text })),
        },
    },
    Row {
        verb: "unban",
        arguments: "TARGET",
        help: "end the bans of exactly this address or network",
        parse: |text| word(text).map(|target| Command::Moderate(Order::Unban(target))),
    },
    Row {
        verb: "unkeep",
        arguments: "NAME",
        help: "let anybody take a name again that is kept",
        parse: |text| word(text).map(Command::Unkeep),
    },
    Row {
        verb: "unmute",
        arguments: "WHO",
        help: "end the mutes of exactly this person, address or network",
        parse: |text| word(text).map(|who| Command::Moderate(Order::Unmute(who))),
    },
    Row {
        verb: "watch",
        arguments: "[LEVEL]",
        help: "see the log until you send a line: error, warn, info, debug or trace",
        parse: |text| match text {
            "" => Ok(Command::Watch(None)),
            word => level(word).map(|level| Command::Watch(Some(level))),
        },
    },
];

/// `ban [force] WHO TIME [REASON]`
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb)?;
        let separator = if self.arguments.is_empty() { "" } else { " " };
        write!(f, "{separator}{}", self.arguments)
    }
}

impl Row {
    /// The line of the help.
    pub(in crate::server) fn explained(&self) -> String {
        format!("{self}   {}", self.help)
    }

    /// What this command asks for that is followed by `text`.
    pub(in crate::server) fn parse<'a>(&self, text: &'a str) -> Result<Command<'a>, Refusal> {
        (self.parse)(text)
    }
}

/// The command that begins with this word, in any letter case.
pub(in crate::server) fn find(verb: &str) -> Option<&'static Row> {
    let mut rows = COMMANDS.iter();
    rows.find(|row| row.verb.eq_ignore_ascii_case(verb))
}

/// The first word, and what follows it.
pub(in crate::server) fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn nothing<'a>(text: &str, command: Command<'a>) -> Result<Command<'a>, Refusal> {
    text.is_empty().then_some(command).ok_or(Refusal::Usage)
}

/// One word and no more.
fn word(text: &str) -> Result<&str, Refusal> {
    let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
    is_word.then_some(text).ok_or(Refusal::Usage)
}

/// Two words, and what follows them.
fn two(text: &str) -> Result<(&str, &str, &str), Refusal> {
    let (first, rest) = split(text);
    let (second, rest) = split(rest);
    (!second.is_empty())
        .then_some((first, second, rest))
        .ok_or(Refusal::Usage)
}

/// `[force] WHO TIME [REASON]`
fn measure(text: &str) -> Result<Measure<'_>, Refusal> {
    let (first, rest) = split(text);
    let force = first.eq_ignore_ascii_case("force");
    let (who, time, reason) = two(if force { rest } else { text })?;
    Ok(Measure {
        force,
        who,
        time,
        reason,
    })
}

fn level(text: &str) -> Result<LevelFilter, Refusal> {
    match text.parse() {
        Ok(LevelFilter::Off) | Err(_) => Err(Refusal::Usage),
        Ok(level) => Ok(level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_alphabetical_order_and_its_verbs_are_found_in_any_case() {
        let verbs: Vec<&str> = COMMANDS.iter().map(|row| row.verb).collect();
        let mut sorted = verbs.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(verbs, sorted);
        for verb in verbs {
            let found = find(&verb.to_uppercase());
            assert_eq!(found.map(|row| row.verb), Some(verb));
        }
        assert!(find("ses").is_none() && find("").is_none());
    }

    #[test]
    fn a_line_is_a_verb_and_what_follows() {
        assert_eq!(split("  kick  ann  go away "), ("kick", "ann  go away"));
        assert_eq!(split("quit"), ("quit", ""));
        assert_eq!(split(" \t"), ("", ""));
    }

    #[test]
    fn who_and_what_are_told_from_the_reason() {
        let parsed = |line: &'static str| {
            let (verb, rest) = split(line);
            let row = find(verb).unwrap();
            match row.parse(rest).unwrap() {
                Command::Moderate(order) => order,
                other => panic!("{other:?}"),
            }
        };
        let measure = Measure {
            force: false,
            who: "ann",
            time: "2d",
            reason: "spam in  the lobby",
        };
        let forced = Measure {
            force: true,
            ..measure
        };
        assert_eq!(parsed("ban ann 2d spam in  the lobby"), Order::Ban(measure));
        assert_eq!(
            parsed("MUTE Force  ann 2d spam in  the lobby"),
            Order::Mute(forced)
        );
        let say = |room, text| Order::Say { room, text };
        assert_eq!(parsed("say be kind"), say(None, "be kind"));
        assert_eq!(
            parsed("say room=games be  kind"),
            say(Some("games"), "be  kind")
        );
    }

    #[test]
    fn what_is_too_much_or_missing_is_a_wrong_usage() {
        for line in [
            "accept now",
            "ban",
            "ban ann",
            "ban force ann",
            "bans of ann",
            "close",
            "keep",
            "names of mine",
            "rooms of mine",
            "deop",
            "forbid spam*",
            "kick",
            "lift",
            "lift x",
            "mute ann",
            "op ann bob",
            "rename ann",
            "rename ann bob eve",
            "say",
            "say room=lobby",
            "tell ann",
            "unban",
            "unmute",
            "as",
            "as two words",
            "log off",
            "quit now",
            "reload it",
            "set",
            "set idle-seconds",
            "settings of mine",
            "stop later",
            "stop now now",
            "watch off",
            "watch everything",
        ] {
            let (verb, rest) = split(line);
            let row = find(verb).unwrap();
            assert_eq!(row.parse(rest).unwrap_err(), Refusal::Usage, "{line}");
        }
        assert_eq!(
            Refusal::Usage.words(find("stop").unwrap()),
            "usage: stop [now]"
        );
    }
}
