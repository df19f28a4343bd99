//! The English of the server, once for every dialect: without what a dialect puts around it.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::dialect::event::{
    Elsewhere, Farewell, Foreign, Here, Listed, ListedRoom, Made, Note, Presence, RoomList,
};
use crate::dialect::request::{Command, Refusal};
use crate::ledger::CloseReason;
use crate::name::NameError;
use crate::when::MomentForPeople;

impl Display for Presence<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Joined { name, here } => write!(f, "{name} joined ({here} here)"),
            Self::Left {
                name,
                words: "",
                here,
            }
            | Self::Parted {
                name,
                words: "",
                here,
            } => write!(f, "{name} left ({here} here)"),
            Self::Left { name, words, here } | Self::Parted { name, words, here } => {
                write!(f, "{name} left: {words} ({here} here)")
            }
            Self::WentTo { name, to, here } => write!(f, "{name} left for {to} ({here} here)"),
            Self::Renamed { from, to } => write!(f, "{from} is now known as {to}"),
            Self::MoreJoined { count, here } => write!(f, "{count} more joined ({here} here)"),
            Self::MoreLeft { count, here } => write!(f, "{count} more left ({here} here)"),
            Self::MoreRenamed { count: 1 } => f.write_str("1 changed their name"),
            Self::MoreRenamed { count } => write!(f, "{count} changed their names"),
        }
    }
}

impl Display for Note<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let on_or_off = |on: bool| if on { "on" } else { "off" };
        match *self {
            Self::Welcome(name) => write!(
                f,
                "Welcome! You are {name}: /name NAME changes that, /help lists commands."
            ),
            Self::MessageOfTheDay(line) => f.write_str(line),
            Self::Earlier => f.write_str("earlier:"),
            Self::Now => f.write_str("now"),
            Self::YouAre(name) => write!(f, "you are {name}"),
            Self::Kept { name, key, lasts } => {
                let while_it_runs = if lasts { "" } else { " while this server runs" };
                write!(
                    f,
                    "{name} is yours{while_it_runs}: /name {name} {key} takes it; write that down, it is shown once"
                )
            }
            Self::KeptNoMore(name) => write!(f, "{name} is kept no more"),
            Self::Help(command) => write!(f, "{command}   {}", command.summary),
            Self::IsAway { name, reason: "" } => write!(f, "{name} is away"),
            Self::IsAway { name, reason } => write!(f, "{name} is away: {reason}"),
            Self::Person {
                name,
                here,
                silent,
                dialect,
                room,
            } => {
                let (here, silent) = (span(here), span(silent));
                write!(f, "{name}: here {here}, silent {silent}, {dialect}")?;
                room.map_or(Ok(()), |room| write!(f, ", in {room}"))
            }
            Self::PersonElsewhere { name, room } => {
                write!(f, "{name}: on another server")?;
                room.map_or(Ok(()), |room| write!(f, ", in {room}"))
            }
            Self::Moved { from, to, made } => {
                write!(f, "you left {from} and are in {to}")?;
                f.write_str(match made {
                    Made::No => "",
                    Made::Yes => ", a new room",
                    Made::WithKey => ", a new room with a key",
                })
            }
            Self::Parted { room, .. } => write!(f, "you left {room} and are in no room"),
            Self::RoomClosed { room, why: "" } => {
                write!(f, "{room} is closed; you are in lobby")
            }
            Self::RoomClosed { room, why } => {
                write!(f, "{room} is closed: {why}; you are in lobby")
            }
            Self::YouAreIn(room) => write!(f, "you are in {room}"),
            Self::Recorded => f.write_str("what is said in rooms without a key is recorded"),
            Self::MoreRooms { count, listed } => more_rooms(f, count, listed),
            Self::Away(true) => f.write_str("you are away"),
            Self::Away(false) => f.write_str("you are back"),
            Self::Ignoring(name) => write!(f, "ignoring {name}"),
            Self::NoLongerIgnoring(name) => write!(f, "no longer ignoring {name}"),
            Self::Ignored([]) => f.write_str("ignoring nobody"),
            Self::Ignored(names) => {
                f.write_str("ignoring: ")?;
                for (index, name) in names.iter().enumerate() {
                    let separator = if index > 0 { ", " } else { "" };
                    write!(f, "{separator}{name}")?;
                }
                Ok(())
            }
            Self::Quiet(true) => f.write_str("quiet on: no joins, leaves and renames"),
            Self::Quiet(false) => f.write_str("quiet off"),
            Self::Times(None) => f.write_str("times off"),
            Self::Times(Some(offset)) => {
                let sign = if offset < 0 { '-' } else { '+' };
                let (hours, minutes) = (offset.unsigned_abs() / 60, offset.unsigned_abs() % 60);
                write!(f, "times on, {sign}{hours:02}:{minutes:02}")
            }
            Self::Bell(on) => write!(f, "bell {}", on_or_off(on)),
            Self::Editing(on) => write!(f, "editing {}", on_or_off(on)),
            Self::LinesWait => f.write_str("slow down: your lines wait"),
            Self::RoomIsSlow => f.write_str("the room is slow; your lines wait"),
            Self::StillHere => f.write_str("yes, still here"),
            Self::InterruptAgain => f.write_str("Ctrl-C again, or /quit, to leave"),
            Self::Named(name) => write!(f, "an operator named you {name}"),
            Self::OperatorTells(words) => write!(f, "an operator tells you: {words}"),
            Self::MaySpeak => f.write_str("you may speak again"),
            Self::Done(words) => f.write_str(words),
        }
    }
}

/// `2 more rooms: games (4), help (1); /join NAME goes there`
fn more_rooms(f: &mut Formatter<'_>, count: usize, listed: &[ListedRoom<'_>]) -> fmt::Result {
    let rooms = if count == 1 { "room" } else { "rooms" };
    write!(f, "{count} more {rooms}: ")?;
    for (index, room) in listed.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(f, "{separator}{room}")?;
    }
    if count > listed.len() {
        write!(f, " and {} more", count - listed.len())?;
    }
    f.write_str("; /join NAME goes there")
}

/// A list of those who are here, or a part of it.
impl Display for Here<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        write_list(f, self.listed)?;
        self.write_tail(f)
    }
}

impl Here<'_> {
    /// What stands before the names.
    pub(super) fn write_head(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match (self.count, self.room) {
            _ if !self.begins => Ok(()),
            (0, None) => out.write_str("nobody here yet"),
            (0, Some(room)) => write!(out, "0 in {room}"),
            (count, None) => write!(out, "{count} here: "),
            (count, Some(room)) => write!(out, "{count} in {room}: "),
        }
    }

    /// What stands behind them.
    pub(super) fn write_tail(&self, out: &mut impl fmt::Write) -> fmt::Result {
        if self.unlisted > 0 {
            write!(out, " and {} more", self.unlisted)?;
        }
        match self.listening {
            None | Some(0) => Ok(()),
            Some(listening) => write!(out, "; {listening} listening"),
        }
    }
}

/// `ann`, `ann (op, away)`
impl Display for Listed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        let marks = [
            (self.op, "op"),
            (self.away, "away"),
            (self.unreachable, "unreachable"),
        ];
        let mut marks = marks
            .iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, mark)| mark);
        let Some(first) = marks.next() else {
            return Ok(());
        };
        write!(f, " ({first}")?;
        marks.try_for_each(|mark| write!(f, ", {mark}"))?;
        f.write_str(")")
    }
}

/// A list of rooms, or a part of it.
impl Display for RoomList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        write_list(f, self.listed)
    }
}

impl RoomList<'_> {
    /// What stands before the rooms.
    pub(super) fn write_head(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.count {
            _ if !self.begins => Ok(()),
            1 => out.write_str("1 room: "),
            count => write!(out, "{count} rooms: "),
        }
    }
}

fn write_list(f: &mut Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

impl Display for ListedRoom<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.here)
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.word())?;
        if !self.arguments.is_empty() {
            write!(f, " {}", self.arguments)?;
        }
        Ok(())
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCommand(word) => write!(
                f,
                "no such command: /{word}; /help lists them, // says a slash"
            ),
            Self::Ambiguous { typed, words } => ambiguous(f, typed, words),
            Self::Usage(command) => write!(f, "usage: {command}"),
            Self::Nobody(name) => write!(f, "nobody here is called {name}"),
            Self::Taken(name) => write!(f, "{name} is taken"),
            Self::Kept(name) => write!(f, "{name} is kept: /name {name} KEY takes it"),
            Self::NotKept(name) => write!(f, "{name} is not kept"),
            Self::NameFirst => f.write_str("take a name first: /name NAME"),
            Self::NoNamesKept => f.write_str("names are not kept here"),
            Self::KeptEnoughToday => {
                f.write_str("enough names were kept from your address today")
            }
            Self::KeptTooMany => f.write_str("no more names can be kept"),
            Self::MalformedName => NameError::Malformed.fmt(f),
            Self::NameTooWide(columns) => NameError::TooWide(*columns).fmt(f),
            Self::Reserved(name) => write!(f, "{name} is reserved"),
            Self::LineTooLong { bytes, bytes_max } => write!(
                f,
                "line too long: {bytes} bytes, at most {bytes_max}; not sent"
            ),
            Self::NoText => f.write_str("you have no text to send"),
            Self::NobodyWrote => f.write_str("nobody has written to you"),
            Self::HasLeft(name) => write!(f, "{name} has left"),
            Self::Yourself => f.write_str("that is you"),
            Self::IgnoresTooMany(most) => write!(f, "you ignore {most} people already"),
            Self::NoEditing => {
                f.write_str("your client does not speak telnet; staying in line mode")
            }
            Self::Unreadable => f.write_str("what you type is not UTF-8 and is not readable here"),
            Self::NoSuchVerb => f.write_str(
                "no such command: a line begins with NAME, CHAT, TELL, JOIN, ROOMS, KEEP, UNKEEP, WATCH, WHO, PING or QUIT",
            ),
            Self::WireUsage(usage) => write!(f, "usage: {usage}"),
            Self::SeveralLines => f.write_str("a message is one line; not sent"),
            Self::Muted { until, why } => f.write_str(&ruled("you are muted", *until, why)),
            Self::NotAllowed(name) => write!(f, "{name} is not allowed here"),
            Self::Denied(words) => f.write_str(words),
            Self::InRoomAlready(room) => write!(f, "you are in {room} already"),
            Self::InLobbyAlready => {
                f.write_str("you are in the lobby already; /quit leaves the server")
            }
            Self::KeyWanted(room) => write!(f, "{room} has a key: /join {room} KEY"),
            Self::WrongKey(room) => write!(f, "that is not the key of {room}"),
            Self::NoSuchRoom(room) => write!(f, "no such room: {room}"),
            Self::TooManyRooms(1) => f.write_str("there is 1 room already; /rooms lists them"),
            Self::TooManyRooms(most) => {
                write!(f, "there are {most} rooms already; /rooms lists them")
            }
            Self::NoRoomsMade => f.write_str("no rooms are made here; /rooms lists those there are"),
            Self::ForTerminals => f.write_str("that is for terminals"),
            Self::TakenElsewhere { name, guest } => {
                write!(f, "{name} is taken; you are {guest}")
            }
            Self::Unreachable(name) => write!(f, "{name} cannot be reached just now"),
            Self::MalformedRoom => f.write_str(
                "a room's name is 1 to 24 letters, digits or _ - . and begins with a letter or digit",
            ),
            Self::RoomTooWide(columns) => write!(
                f,
                "a room's name is 1 to 24 columns wide, and this one is {columns}"
            ),
        }
    }
}

/// `/wh could be /whisper, /who or /whois`
fn ambiguous(f: &mut Formatter<'_>, typed: &str, words: &[&str]) -> fmt::Result {
    write!(f, "/{typed} could be ")?;
    for (index, word) in words.iter().enumerate() {
        let separator = match index {
            0 => "",
            _ if index + 1 == words.len() => " or ",
            _ => ", ",
        };
        write!(f, "{separator}/{word}")?;
    }
    Ok(())
}

/// What an operator did, until when, and why, as far as there is anything of that.
fn ruled(what: &str, until: Option<u64>, why: &str) -> String {
    let until = until.map(|until| format!(" until {}", MomentForPeople(until)));
    let separator = if why.is_empty() { "" } else { ": " };
    [what, &until.unwrap_or_default(), separator, why].concat()
}

/// What everybody is told whom an operator tells something.
pub(crate) const ANNOUNCEMENT: &str = "announcement: ";

impl Farewell<'_> {
    /// What is said, if anything is.
    pub(crate) fn words(self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self.reason {
            CloseReason::Quit => "goodbye",
            CloseReason::Shutdown => "goodbye: the server is going down",
            CloseReason::SlowConsumer | CloseReason::WriteStall => "goodbye: too slow to keep up",
            CloseReason::Full => "goodbye: the server is full",
            CloseReason::PerAddress => "goodbye: too many connections from your address",
            CloseReason::Idle => {
                return Some(Cow::Owned(format!(
                    "goodbye: nothing heard for {} s",
                    self.seconds
                )))
            }
            CloseReason::ConnectRate => {
                return Some(Cow::Owned(format!(
                    "goodbye: you connect too often; try again in {} s",
                    self.seconds
                )))
            }
            CloseReason::Banned => {
                return Some(Cow::Owned(ruled(
                    "goodbye: you are banned",
                    self.until,
                    self.why,
                )))
            }
            CloseReason::Kicked => {
                return Some(Cow::Owned(ruled(
                    "goodbye: you were kicked",
                    None,
                    self.why,
                )))
            }
            CloseReason::NameTaken => {
                return Some(Cow::Owned(format!(
                    "goodbye: {} was taken back with its key",
                    self.why
                )))
            }
            CloseReason::Replaced => "goodbye: you came back in another window",
            CloseReason::Flood => "goodbye: too much at once",
            CloseReason::Drain => "goodbye: the server takes no newcomers just now",
            CloseReason::WrongProtocol => return Some(self.directions()),
            // Nobody is there to hear it, or its own side has ended the stream.
            CloseReason::Reset | CloseReason::Eof => return None,
        }))
    }

    /// Where to go with what was spoken.
    fn directions(self) -> Cow<'static, str> {
        let Elsewhere { wire, irc } = self.elsewhere;
        match (self.foreign, wire, irc) {
            (Foreign::Utf16, _, _) => "this is UTF-16; chatd speaks UTF-8".into(),
            (Foreign::Wire, Some(port), _) => {
                format!("this port is for people; programs use port {port}").into()
            }
            (Foreign::Irc, _, Some(port)) => {
                format!("this port is for telnet; IRC is at port {port}").into()
            }
            (Foreign::Wire | Foreign::Irc | Foreign::Other, _, _) => {
                "this is a chat in plain text".into()
            }
        }
    }

    /// Whether it tells of something that went wrong.
    pub(crate) fn is_error(self) -> bool {
        !matches!(self.reason, CloseReason::Quit | CloseReason::Shutdown)
    }
}

/// A span of time in its largest unit.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3600 => format!("{} min", seconds / 60),
        seconds @ ..86400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f135_who_is_at_the_wrong_port_is_told_the_right_one_if_there_is_one() {
        let words = |foreign, wire, irc| {
            let farewell = Farewell {
                reason: CloseReason::WrongProtocol,
                seconds: 0,
                foreign,
                elsewhere: Elsewhere { wire, irc },
                until: None,
                why: "",
            };
            assert!(farewell.is_error());
            farewell.words().unwrap()
        };
        let plain = "this is a chat in plain text";
        for (foreign, at_ports) in [
            (
                Foreign::Wire,
                "this port is for people; programs use port 3334",
            ),
            (Foreign::Irc, "this port is for telnet; IRC is at port 6667"),
            (Foreign::Other, plain),
        ] {
            assert_eq!(words(foreign, Some(3334), Some(6667)), at_ports);
            assert_eq!(words(foreign, None, None), plain);
        }
        let utf16 = "this is UTF-16; chatd speaks UTF-8";
        assert_eq!(words(Foreign::Utf16, Some(3334), None), utf16);
    }

    #[test]
    fn what_an_operator_did_is_told_with_what_there_is_of_end_and_reason() {
        let farewell = |reason, until, why| Farewell {
            reason,
            seconds: 0,
            foreign: Foreign::default(),
            elsewhere: Elsewhere::default(),
            until,
            why,
        };
        let until = Some(1_795_788_345);
        for (reason, until, why, words) in [
            (
                CloseReason::Banned,
                until,
                "spam",
                "goodbye: you are banned until 2026-11-27 14:05 UTC: spam",
            ),
            (
                CloseReason::Banned,
                until,
                "",
                "goodbye: you are banned until 2026-11-27 14:05 UTC",
            ),
            (
                CloseReason::Banned,
                None,
                "spam",
                "goodbye: you are banned: spam",
            ),
            (CloseReason::Banned, None, "", "goodbye: you are banned"),
            (
                CloseReason::Kicked,
                None,
                "spam",
                "goodbye: you were kicked: spam",
            ),
            (CloseReason::Kicked, None, "", "goodbye: you were kicked"),
        ] {
            let farewell = farewell(reason, until, why);
            assert_eq!(farewell.words().as_deref(), Some(words));
            assert!(farewell.is_error());
        }
        let muted = Refusal::Muted {
            until,
            why: "spam".into(),
        };
        assert_eq!(
            muted.to_string(),
            "you are muted until 2026-11-27 14:05 UTC: spam"
        );
        assert_eq!(muted.code(), "muted");
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [told(0), told(59), told(60), told(3599)],
            ["0 s", "59 s", "1 min", "59 min"]
        );
        assert_eq!(
            [told(3600), told(86399), told(86400)],
            ["1 h", "23 h", "1 d"]
        );
    }
}
