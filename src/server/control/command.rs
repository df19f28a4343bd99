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
    As(&'a str),
    Help(Option<&'static Row>),
    Quit,
}

impl Command<'_> {
    /// Whether it changes nothing of the server.
    pub(in crate::server) fn only_looks(&self) -> bool {
        match self {
            Self::Sessions(_)
            | Self::Log(None)
            | Self::Watch(_)
            | Self::Settings(_)
            | Self::As(_)
            | Self::Help(_)
            | Self::Quit => true,
            Self::Admit(_)
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
        verb: "drain",
        arguments: "",
        help: "turn newcomers away",
        parse: |text| nothing(text, Command::Admit(false)),
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
        verb: "log",
        arguments: "[LEVEL]",
        help: "tell or set how much is logged: error, warn, info, debug or trace",
        parse: |text| match text {
            "" => Ok(Command::Log(None)),
            word => level(word).map(|_| Command::Log(Some(word))),
        },
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
    fn what_is_too_much_or_missing_is_a_wrong_usage() {
        for line in [
            "accept now",
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
