//! What operators ask for, and how that is spelled.

use std::net::{IpAddr, Ipv4Addr};

use super::{NAMES, ROOMS};
use crate::random::Random;

/// The network of all who are not of this machine.
pub(crate) const NET: &str = "192.0.2.0/24";

/// Patterns of names, with the classes of [`NAMES`] and of [`ROOMS`] that each forbids.
pub(crate) const PATTERNS: [(&str, &[usize], &[usize]); 4] = [
    ("bob", &[1], &[3]),
    ("dor*", &[4], &[]),
    ("*red", &[6], &[]),
    ("*ame*", &[], &[1]),
];

/// Whom an operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    Name(String),
    Id(u64),
    Address(IpAddr),
    /// All from [`NET`].
    Net,
    Room(String),
}

/// For how long: as it is typed, and in seconds; `None` for ever.
pub(crate) type Span = (&'static str, Option<u64>);

const SPANS: [Span; 5] = [
    ("90s", Some(90)),
    ("2s", Some(2)),
    ("15m", Some(900)),
    ("1d", Some(86_400)),
    ("forever", None),
];

/// What is listed: how its lines begin, and what they are counted as.
pub(crate) type List = (&'static str, &'static str, &'static str);

const LISTS: [List; 4] = [
    ("sessions", "id=", "session"),
    ("rooms", "room=", "room"),
    ("bans", "n=", "rule"),
    ("names", "name=", "name"),
];

/// What is set. Of long lines no more than three are kept, by their bytes.
const SETTINGS: [(&str, u64); 8] = [
    ("history-lines", 0),
    ("history-lines", 3),
    ("rooms-max", 0),
    ("rooms-max", 3),
    ("rooms-max", 200),
    ("idle-seconds", 0),
    ("idle-seconds", 20),
    ("idle-seconds", 60),
];

/// A rule that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) force: bool,
    pub(crate) whom: Whom,
    pub(crate) span: Span,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Says who asks.
    As(usize),
    Kick(Whom, String),
    Ban(Measure),
    Mute(Measure),
    Forbid(&'static str, Span, String),
    Lift(u64),
    Unban(IpAddr),
    Unmute(Whom),
    Rename(Whom, &'static str),
    Say(Option<String>, String),
    Tell(Whom, String),
    Close(String, String),
    /// Somebody may moderate in the chat, or may no more.
    Op(Whom),
    Deop(Whom),
    /// Sets a setting.
    Set(&'static str, u64),
    Drain,
    Accept,
    List(List),
    Nonsense,
    /// The beginning of a line, behind which nothing comes.
    Half,
}

/// What somebody asks for in the chat whom an operator lets moderate there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChatOrder {
    /// `kick`, `mute`, `unmute` or `ban`.
    pub(crate) verb: &'static str,
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) reason: String,
}

impl ChatOrder {
    pub(crate) fn any(name: String, reason: String, random: &mut Random) -> Self {
        Self {
            verb: random.pick(&["kick", "mute", "mute", "mute", "unmute", "ban"]),
            name,
            span: random.pick(&SPANS),
            reason,
        }
    }

    pub(crate) fn spell(&self) -> String {
        let (verb, name, reason) = (self.verb, &self.name, &self.reason);
        match verb {
            "unmute" => format!("/unmute {name}"),
            "kick" => format!("/kick {name} {reason}"),
            _ => format!("/{verb} {name} {} {reason}", self.span.0),
        }
    }
}

impl Whom {
    fn spell(&self) -> String {
        match self {
            Self::Name(name) => format!("name={name}"),
            Self::Id(number) => format!("id={number}"),
            Self::Address(address) => address.to_string(),
            Self::Net => NET.to_owned(),
            Self::Room(room) => format!("room={room}"),
        }
    }
}

impl Measure {
    fn spell(&self) -> String {
        let force = if self.force { "force " } else { "" };
        let (whom, reason) = (self.whom.spell(), &self.reason);
        format!("{force}{whom} {} {reason}", self.span.0)
    }
}

impl Order {
    /// What becomes of the file of the rules is told with what was done.
    pub(crate) fn is_about_rules(&self) -> bool {
        self.makes_rule() || matches!(self, Self::Lift(_) | Self::Unban(_) | Self::Unmute(_))
    }

    pub(crate) fn makes_rule(&self) -> bool {
        matches!(self, Self::Ban(_) | Self::Mute(_) | Self::Forbid(..))
    }

    /// The line without its end.
    pub(crate) fn spell(&self) -> String {
        match self {
            Self::As(client) => format!("as op{client}"),
            Self::Kick(whom, reason) => format!("kick {} {reason}", whom.spell()),
            Self::Ban(measure) => format!("ban {}", measure.spell()),
            Self::Mute(measure) => format!("mute {}", measure.spell()),
            Self::Forbid(pattern, span, reason) => format!("forbid {pattern} {} {reason}", span.0),
            Self::Lift(number) => format!("lift {number}"),
            Self::Unban(address) => format!("unban {address}"),
            Self::Unmute(whom) => format!("unmute {}", whom.spell()),
            Self::Rename(whom, name) => format!("rename {} {name}", whom.spell()),
            Self::Say(None, text) => format!("say {text}"),
            Self::Say(Some(room), text) => format!("say room={room} {text}"),
            Self::Tell(whom, text) => format!("tell {} {text}", whom.spell()),
            Self::Close(room, reason) => format!("close {room} {reason}"),
            Self::Op(whom) => format!("op {}", whom.spell()),
            Self::Deop(whom) => format!("deop {}", whom.spell()),
            Self::Set(key, value) => format!("set {key} {value}"),
            Self::Drain => "drain".to_owned(),
            Self::Accept => "accept".to_owned(),
            Self::List((verb, ..)) => (*verb).to_owned(),
            Self::Nonsense => "frobnicate".to_owned(),
            Self::Half => "sess".to_owned(),
        }
    }

    /// Any order, with these words. At most so many sessions and rules were ever there.
    pub(crate) fn any(words: String, opened: u64, rules: u64, random: &mut Random) -> Self {
        let whom = any_whom(opened, random);
        let any_room = |random: &mut Random| random.pick(&ROOMS).0.to_owned();
        let any_span = |random: &mut Random| random.pick(&SPANS);
        match random.within(0..=44) {
            0..=4 => Self::Kick(whom, words),
            5..=7 => Self::Ban(any_measure(whom, words, random)),
            8..=14 => Self::Mute(any_measure(whom, words, random)),
            15..=16 => {
                let pattern = random.pick(&PATTERNS).0;
                Self::Forbid(pattern, any_span(random), words)
            }
            17..=21 => Self::Lift(random.within(1..=rules as usize + 1) as u64),
            22 => Self::Unban(any_address(random)),
            23..=24 => Self::Unmute(match whom {
                Whom::Room(_) => Whom::Net,
                whom => whom,
            }),
            25..=27 => match random.within(0..=3) {
                0 => Self::Rename(whom, "guest"),
                _ => Self::Rename(whom, random.pick(&NAMES).0),
            },
            28..=29 => Self::Say(None, words),
            30..=31 => Self::Say(Some(any_room(random)), words),
            32 => Self::Tell(whom, words),
            33..=35 => Self::Close(any_room(random), words),
            36 if random.percent(20) => Self::Drain,
            36 => Self::Accept,
            37 => Self::Nonsense,
            38..=39 => Self::List(random.pick(&LISTS)),
            40 => Self::Deop(whom),
            41..=42 => {
                let (key, value) = random.pick(&SETTINGS);
                Self::Set(key, value)
            }
            _ => Self::Op(whom),
        }
    }

    pub(crate) fn list_sessions() -> Self {
        Self::List(LISTS[0])
    }

    pub(crate) fn mute(whom: Whom, words: String, random: &mut Random) -> Self {
        Self::Mute(any_measure(whom, words, random))
    }

    pub(crate) fn ban(whom: Whom, words: String, random: &mut Random) -> Self {
        Self::Ban(any_measure(whom, words, random))
    }
}

fn any_measure(whom: Whom, reason: String, random: &mut Random) -> Measure {
    Measure {
        force: random.percent(30),
        whom: match whom {
            Whom::Room(_) => Whom::Net,
            whom => whom,
        },
        span: random.pick(&SPANS),
        reason,
    }
}

fn any_address(random: &mut Random) -> IpAddr {
    if random.percent(10) {
        return Ipv4Addr::LOCALHOST.into();
    }
    Ipv4Addr::new(192, 0, 2, random.within(1..=6) as u8).into()
}

fn any_whom(opened: u64, random: &mut Random) -> Whom {
    match random.within(0..=19) {
        0..=5 => Whom::Name(random.pick(&NAMES).0.to_owned()),
        6..=13 => Whom::Id(random.within(1..=opened as usize + 1) as u64),
        14..=17 => Whom::Address(any_address(random)),
        18 => Whom::Net,
        _ => Whom::Room(random.pick(&ROOMS).0.to_owned()),
    }
}
