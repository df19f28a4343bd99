//! Whom operators mean, what came of what they asked for, and why it was refused: data.

use std::net::IpAddr;

use crate::dialect::request::Refusal;
use crate::hub::rules::guard::Guard;
use crate::hub::rules::pattern::NoPattern;
use crate::hub::rules::rule::Kind;
use crate::name::Name;
use crate::net::Net;
use crate::when::Span;

/// Whom an operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// The session of this number.
    Id(u64),
    /// Who is called so.
    Name(Box<str>),
    /// Who comes from this address.
    Address(IpAddr),
    /// Who comes from there.
    Net(Net),
    /// Who is in this room.
    Room(Box<str>),
}

impl Who {
    /// Reads `id=17`, `name=ann`, `addr=198.51.100.7`, `net=198.51.100.0/24`, `room=games`, or a bare word: a network if
    /// it has `/`, else an address if it reads as one, else a name.
    ///
    /// # Errors
    /// If it is to be an address or a network and is none, or a number and is none.
    pub(crate) fn parse(text: &str) -> Result<Self, Denied> {
        let Some((key, value)) = text.split_once('=') else {
            return Self::parse_bare(text);
        };
        match key {
            "id" => match value.parse() {
                Ok(number) => Ok(Self::Id(number)),
                Err(_) => Err(Denied::NoSession(value.into())),
            },
            "name" => Ok(Self::Name(value.into())),
            "addr" => match value.parse() {
                Ok(address) => Ok(Self::Address(address)),
                Err(_) => Err(Denied::NoAddress(value.into())),
            },
            "net" => parse_net(value).map(Self::Net),
            "room" => Ok(Self::Room(value.into())),
            _ => Ok(Self::Name(text.into())),
        }
    }

    fn parse_bare(text: &str) -> Result<Self, Denied> {
        if text.contains('/') {
            return parse_net(text).map(Self::Net);
        }
        let address = text.parse().map(Self::Address);
        Ok(address.unwrap_or_else(|_| Self::Name(text.into())))
    }
}

/// Reads what a rule is for.
///
/// # Errors
/// If it is no address and no network.
pub(crate) fn parse_net(text: &str) -> Result<Net, Denied> {
    text.parse().map_err(|_| Denied::NoAddress(text.into()))
}

/// Reads how long a rule is to last.
///
/// # Errors
/// If it is no time.
pub(crate) fn parse_span(text: &str) -> Result<Span, Denied> {
    text.parse().map_err(|_| Denied::NoSpan(text.into()))
}

/// A rule that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) who: &'a Who,
    pub(crate) span: Span,
    /// May be empty.
    pub(crate) reason: &'a str,
    /// Who asks for it.
    pub(crate) by: &'a str,
    /// It is to be made though a guard says no.
    pub(crate) force: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// This many sessions were closed.
    Kicked(usize),
    /// A rule was made.
    Made {
        number: u64,
        target: MadeFor,
        /// When it ends, in seconds since 1970; `None`: never.
        until: Option<u64>,
        /// How many sessions it met.
        sessions: usize,
    },
    /// These rules were lifted, with their kinds; they were for this target.
    Lifted {
        rules: Vec<(Kind, u64)>,
        target: Shown,
    },
    /// Somebody has another name.
    Renamed { from: Name, to: Name },
    /// This many sessions were told.
    Told(usize),
    /// A room is closed: this many sessions are sent to the lobby.
    RoomClosed(usize),
    /// Somebody is an operator, or no more.
    Operator { name: Name, on: bool },
}

/// What a rule was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MadeFor {
    Ban(Net),
    Mute(Net),
    /// One session alone, of who is called so, because this many others with names share its address; `None` where the
    /// address is not met by rules.
    Session {
        name: Name,
        others: Option<(usize, Net)>,
    },
    /// Names like this.
    Name(Box<str>),
}

/// A target as operators are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Those who moderate in the chat are not told it.
    Net(Net),
    Text(Box<str>),
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    NoSession(Box<str>),
    Nobody(Box<str>),
    NoAddress(Box<str>),
    NoRoom(Box<str>),
    /// The lobby cannot be closed.
    Lobby,
    NoSpan(Box<str>),
    NoPattern(NoPattern),
    NoRule(u64),
    /// There are 10,000 rules.
    Full,
    /// A rule is for an address or for one person, not for a room.
    NoTarget,
    /// This many sessions are meant, and one is wanted.
    NotOne(usize),
    /// No such rule is for this target.
    NotRuled {
        kind: Kind,
        target: Shown,
    },
    /// A wider rule is for it.
    RuledBy {
        kind: Kind,
        target: Shown,
        by: Net,
        number: u64,
    },
    Guard(Guard),
    /// The name cannot be given.
    Refused(Refusal),
    /// It is longer than an operator in the chat may make it.
    TooLongHere,
}

/// What became of the rules in their file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They are saved.
    Saved,
    /// There is no file.
    UntilStop,
    /// They could not be saved, for this reason.
    NotSaved(Box<str>),
}

/// Who reads what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// An operator of the server.
    Operator,
    /// Somebody who moderates in the chat, and is told no address.
    Moderator,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_an_operator_means() {
        let name = |name: &str| Ok(Who::Name(name.into()));
        let address = |text: &str| Ok(Who::Address(text.parse().unwrap()));
        let net = |text: &str| Ok(Who::Net(text.parse().unwrap()));
        let no_address = |text: &str| Err(Denied::NoAddress(text.into()));
        for (text, who) in [
            ("id=17", Ok(Who::Id(17))),
            ("id=x", Err(Denied::NoSession("x".into()))),
            ("name=17", name("17")),
            ("name=198.51.100.7", name("198.51.100.7")),
            ("17", name("17")),
            ("ann", name("ann")),
            ("198.51.100.7", address("198.51.100.7")),
            ("addr=2001:db8::1", address("2001:db8::1")),
            ("2001:db8::1", address("2001:db8::1")),
            ("10.0.0", name("10.0.0")),
            ("addr=10.0.0", no_address("10.0.0")),
            ("198.51.100.0/24", net("198.51.100.0/24")),
            ("net=198.51.100.7", net("198.51.100.7")),
            ("10.0.0.0/33", no_address("10.0.0.0/33")),
            ("a/b", no_address("a/b")),
            ("room=games", Ok(Who::Room("games".into()))),
            ("foo=bar", name("foo=bar")),
        ] {
            assert_eq!(Who::parse(text), who, "{text}");
        }
    }
}
