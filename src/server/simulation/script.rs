//! What a person or a program means, and how that is spelled in bytes. The model goes by the meaning, the hub by the
//! bytes, so neither can copy a mistake of the other.

pub(crate) mod orders;
pub(crate) mod typed;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;

use self::orders::ChatOrder;
use crate::dialect::Dialect;
use crate::random::Random;

/// Names that people want, each with a number that it shares with those which nobody could tell apart from it.
pub(crate) const NAMES: [(&str, usize); 11] = [
    ("ann", 0),
    ("Ann", 0),
    ("\u{430}nn", 0),
    ("bob", 1),
    ("BOB", 1),
    ("b0b", 1),
    ("老罗", 2),
    ("cy", 3),
    ("dora", 4),
    ("eve.2", 5),
    ("ｆｒｅｄ", 6),
];
/// Rooms to which people go, in the same manner. Those who run the server, and persons, may be called like rooms.
const ROOMS: [(&str, usize); 11] = [
    ("lobby", 0),
    ("Lobby", 0),
    ("games", 1),
    ("Games", 1),
    ("g\u{430}mes", 1),
    ("#games", 1),
    ("help", 2),
    ("Help", 2),
    ("bob", 3),
    ("guest7", 4),
    ("老罗", 5),
];
const MALFORMED_ROOMS: [&str; 2] = ["-dash", "abcdefghijklmnopqrstuvwxyz"];
const KEYS: [&str; 3] = ["sesame", "Sesame", "k/#2"];
/// No name is kept by any of these, and the first could be no key at all.
const NO_KEYS: [&str; 2] = ["nokey", "k7fq-2p9m-x3wd-8htn-4c6y"];
const MALFORMED_NAMES: [&str; 3] = ["-dash", "two words", "abcdefghijklmnopqrstuvwxyz"];
const RESERVED_NAMES: [&str; 3] = ["guest7", "Server", "chatd"];

const FOREIGN: &str = "GET / HTTP/1.1";

/// How many lines one burst has at least: more than a turn takes.
pub(crate) const BURST_LINES: usize = 70;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Say(String),
    /// Said by way of two slashes: the words begin with one.
    SaySlash(String),
    Act(String),
    Name(&'static str),
    MalformedName(&'static str),
    ReservedName(&'static str),
    Who,
    TakeKept(&'static str, String),
    Keep,
    Unkeep,
    // About rooms.
    Join(String, Option<String>),
    MalformedRoom(&'static str),
    Leave,
    Where,
    Rooms,
    WhoIn(&'static str),
    Tell(String, String),
    Whois(String),
    /// What only those may do whom an operator lets moderate.
    Order(ChatOrder),
    Help,
    Quit(String),
    Empty,
    TooLong(usize),
    Unknown,
    NoText,
    // What concerns oneself.
    Away(String),
    Back,
    Quiet(bool),
    Clock(bool),
    History,
    Ignore(String),
    Unignore(String),
    Ignored,
    Answer(String),
    // What only telnet clients send.
    AreYouThere,
    TimingMark,
    Interrupt,
    /// The urgent mark of telnet's Synch (RFC 854).
    DataMark,
    // What only programs send.
    Watch(bool),
    Ping(String),
    Garbage,
    SeveralLines,
    LongWords(usize),
    // What is neither.
    /// The beginning of a request for a web page.
    Foreign,
    /// A line without an end; its bytes are sent apart.
    Endless,
}

impl Item {
    /// Whether it counts toward the number of lines that a turn takes.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self, Self::TimingMark | Self::DataMark)
    }

    /// Whether it is a line, as the ledger counts them.
    pub(crate) fn is_line(&self) -> bool {
        !matches!(
            self,
            Self::AreYouThere | Self::TimingMark | Self::Interrupt | Self::DataMark | Self::Endless
        )
    }

    /// Whether somebody said or asked it: what a client says by itself does not count as that.
    pub(crate) fn is_of_people(&self) -> bool {
        self.is_line() && !matches!(self, Self::Ping(_))
    }

    /// Whether it is a command, or is said: all else is refused or answered before it is asked who sends it.
    pub(crate) fn is_understood(&self, dialect: Dialect) -> bool {
        match self {
            // What a person puts behind a name is the key of that.
            Self::MalformedName(name) => dialect == Dialect::Telnet && name.contains(' '),
            Self::ReservedName(_)
            | Self::MalformedRoom(_)
            | Self::Empty
            | Self::TooLong(_)
            | Self::LongWords(_)
            | Self::Unknown
            | Self::NoText
            | Self::Ping(_)
            | Self::Garbage
            | Self::SeveralLines
            | Self::Foreign => false,
            item => item.is_line(),
        }
    }

    /// Whether others read something of it; but for the last words of one who quits, and for making a room.
    pub(crate) fn is_read_by_others(&self) -> bool {
        match self {
            Self::Away(words) => !words.is_empty(),
            Self::Say(_)
            | Self::SaySlash(_)
            | Self::Act(_)
            | Self::Name(_)
            | Self::MalformedName(_)
            | Self::TakeKept(..)
            | Self::Keep
            | Self::Tell(..)
            | Self::Order(_)
            | Self::Answer(_) => true,
            _ => false,
        }
    }

    /// Whether its answer may be long, so that it is waited for.
    pub(crate) fn is_answered_at_length(&self) -> bool {
        matches!(
            self,
            Self::Who | Self::WhoIn(_) | Self::Rooms | Self::History
        )
    }

    /// How many lines it costs at least, by `docs/limits.md`.
    pub(crate) fn lines(&self) -> u32 {
        match self {
            Self::Say(words)
            | Self::SaySlash(words)
            | Self::Act(words)
            | Self::Tell(_, words)
            | Self::Answer(words)
            | Self::Quit(words) => words.len().div_ceil(512).max(1) as u32,
            Self::Name(_)
            | Self::TakeKept(..)
            | Self::Keep
            | Self::Unkeep
            | Self::Join(..)
            | Self::Leave => 5,
            item => u32::from(item.counts()),
        }
    }

    /// The bytes without a line end.
    pub(crate) fn spell(&self, dialect: Dialect) -> Vec<u8> {
        match dialect {
            Dialect::Telnet => self.spell_typed(),
            Dialect::Wire => self.spell_wire(),
            other => unreachable!("nobody here speaks {other}"),
        }
    }

    fn spell_typed(&self) -> Vec<u8> {
        match self {
            Self::Say(words) => words.clone(),
            Self::SaySlash(words) => format!("/{words}"),
            Self::Act(words) => format!("/me {words}"),
            Self::Name(name) | Self::MalformedName(name) | Self::ReservedName(name) => {
                format!("/name {name}")
            }
            Self::TakeKept(name, key) => format!("/name {name} {key}"),
            Self::Keep => "/keep".to_owned(),
            Self::Unkeep => "/unkeep".to_owned(),
            Self::Who => "/who".to_owned(),
            Self::Join(room, None) => format!("/join {room}"),
            Self::MalformedRoom(room) => format!("/join {room}"),
            Self::Join(room, Some(key)) => format!("/join {room} {key}"),
            Self::Leave => "/leave".to_owned(),
            Self::Where => "/join".to_owned(),
            Self::Rooms => "/rooms".to_owned(),
            Self::WhoIn(room) => format!("/who {room}"),
            Self::Tell(to, words) => format!("/msg {to} {words}"),
            Self::Whois(name) => format!("/whois {name}"),
            Self::Order(order) => order.spell(),
            Self::Help => "/help".to_owned(),
            Self::Quit(words) => format!("/quit {words}"),
            Self::TooLong(bytes) => "x".repeat(*bytes),
            Self::Unknown => "/frobnicate it".to_owned(),
            Self::NoText => "/me".to_owned(),
            Self::AreYouThere => return vec![0xff, 0xf6],
            Self::TimingMark => return vec![0xff, 0xfd, 6],
            Self::Interrupt => return vec![0xff, 0xf4],
            Self::DataMark => return vec![0xff, 0xf2],
            Self::Foreign => FOREIGN.to_owned(),
            item => item.spell_pref().unwrap_or_default(),
        }
        .into_bytes()
    }

    fn spell_wire(&self) -> Vec<u8> {
        // The name in a CHAT is not believed, so it is always somebody else's.
        let chat = |words: &str| wire_line("CHAT", &["mallory", words]);
        match self {
            Self::Say(words) | Self::SaySlash(words) => chat(words),
            Self::Act(words) => chat(&format!("/me {words}")),
            Self::Name(name) | Self::MalformedName(name) | Self::ReservedName(name) => {
                wire_line("NAME", &[name])
            }
            Self::Quit(_) => "QUIT".to_owned(),
            Self::TooLong(bytes) => "x".repeat(*bytes),
            Self::NoText => chat(" "),
            Self::Ping(token) => format!("PING {token}"),
            Self::Garbage => "HELLO".to_owned(),
            Self::SeveralLines => chat("one\ntwo"),
            Self::Tell(to, words) => wire_line("TELL", &[to, words]),
            Self::Watch(true) => "WATCH on".to_owned(),
            Self::Watch(false) => "WATCH off".to_owned(),
            Self::TakeKept(name, key) => format!("{} {key}", wire_line("NAME", &[name])),
            Self::Keep => "KEEP".to_owned(),
            Self::Unkeep => "UNKEEP".to_owned(),
            Self::Who => "WHO".to_owned(),
            Self::Join(room, None) => wire_line("JOIN", &[room]),
            Self::MalformedRoom(room) => wire_line("JOIN", &[room]),
            Self::Join(room, Some(key)) => wire_line("JOIN", &[room, key]),
            Self::Leave => wire_line("JOIN", &["lobby"]),
            Self::Rooms => "ROOMS".to_owned(),
            Self::LongWords(bytes) => chat(&"y".repeat(*bytes)),
            Self::Foreign => FOREIGN.to_owned(),
            _ => String::new(),
        }
        .into_bytes()
    }
}

/// What a room's name shares with those that look like it.
pub(crate) fn room_class(name: &str) -> usize {
    let known = ROOMS.iter().find(|known| known.0 == name);
    known.expect("a room that is known").1
}

/// A line of the wire dialect without its end.
pub(crate) fn wire_line(verb: &str, values: &[&str]) -> String {
    let values = values.iter().map(|value| BASE64.encode(value));
    [verb.to_owned()]
        .into_iter()
        .chain(values)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The longest line of the wire dialect, in bytes: long enough that the longest words fit in base64, and a name with them.
pub(crate) fn wire_line_bytes_max(line_bytes_max: usize) -> usize {
    line_bytes_max.div_ceil(3) * 4 + 512
}

/// How a line ends. Empty lines and keys of the telnet protocol need care: see the callers.
pub(crate) fn any_line_end(random: &mut Random) -> &'static [u8] {
    random.pick(&[b"\r\n".as_slice(), b"\n", b"\r\0", b"\r"])
}

/// Thinks up what people say and do.
pub(crate) struct Author {
    pub(crate) line_bytes_max: usize,
    /// How many things were thought up, so that no two lines are alike.
    count: usize,
}

impl Author {
    pub(crate) fn new(line_bytes_max: usize) -> Self {
        Self {
            line_bytes_max,
            count: 0,
        }
    }

    /// Words that were never said before, with some room left for a command and a name before them.
    pub(crate) fn words(&mut self, random: &mut Random) -> String {
        self.count += 1;
        let mut words = format!("w{}", self.count);
        if random.percent(10) {
            words.push_str(" 你好 é");
        }
        let room = self.line_bytes_max - 24 - words.len();
        if random.percent(20) {
            words.push_str(&" z".repeat(random.within(0..=room / 2 - 1)));
        }
        words
    }

    pub(crate) fn name(random: &mut Random) -> Item {
        match random.within(0..=19) {
            0 => Item::MalformedName(random.pick(&MALFORMED_NAMES)),
            1 => Item::ReservedName(random.pick(&RESERVED_NAMES)),
            _ => Item::Name(random.pick(&NAMES).0),
        }
    }

    /// Goes somewhere, or asks where one could go.
    pub(crate) fn travel(dialect: Dialect, random: &mut Random) -> Item {
        match (random.within(0..=19), dialect) {
            (0, _) => Item::MalformedRoom(random.pick(&MALFORMED_ROOMS)),
            (1..=3, _) => Item::Rooms,
            (4..=6, _) => Item::Leave,
            (7, Dialect::Telnet) => Item::Where,
            (8..=9, Dialect::Telnet) => Item::WhoIn(random.pick(&ROOMS).0),
            _ => Self::join(random),
        }
    }

    pub(crate) fn join(random: &mut Random) -> Item {
        let key = if random.percent(30) {
            Self::key(random)
        } else {
            None
        };
        Item::Join(random.pick(&ROOMS).0.to_owned(), key)
    }

    /// A key, or none.
    pub(crate) fn key(random: &mut Random) -> Option<String> {
        let key = random.percent(70).then(|| random.pick(&KEYS));
        key.map(str::to_owned)
    }

    pub(crate) fn item(&mut self, dialect: Dialect, opened: u64, random: &mut Random) -> Item {
        let over = random.within(1..=200);
        match random.within(0..=99) {
            0..=5 => return Self::travel(dialect, random),
            6 => return Item::Keep,
            7 if random.percent(30) => return Item::Unkeep,
            7 => return Item::TakeKept(random.pick(&NAMES).0, random.pick(&NO_KEYS).to_owned()),
            _ => {}
        }
        match (random.within(0..=99), dialect) {
            (0..=39, _) => Item::Say(self.words(random)),
            (40..=44, _) => Item::SaySlash(format!("/{}", self.words(random))),
            (45..=51, _) => Item::Act(self.words(random)),
            (52..=63, _) => Self::name(random),
            (64..=66, _) => Item::Empty,
            (67..=68, Dialect::Telnet) => Item::TooLong(self.line_bytes_max + over),
            (67..=68, Dialect::Wire) => {
                Item::TooLong(wire_line_bytes_max(self.line_bytes_max) + over)
            }
            (69..=70, _) => Item::NoText,
            (71, _) => Item::Quit(self.last_words(random)),
            (72..=75, Dialect::Telnet) | (89..=91, Dialect::Wire) => Item::Who,
            (76, Dialect::Telnet) => Item::Help,
            (77..=78, Dialect::Telnet) => Item::Whois(any_name(opened, random)),
            (79..=80, Dialect::Telnet) => Item::Unknown,
            (81..=82, Dialect::Telnet) => Item::AreYouThere,
            (83, Dialect::Telnet) => Item::TimingMark,
            (84, Dialect::Telnet) => Item::DataMark,
            (85, Dialect::Telnet) => Item::Interrupt,
            (86..=92, Dialect::Telnet) | (92..=95, Dialect::Wire) => {
                Item::Tell(any_name(opened, random), self.words(random))
            }
            (_, Dialect::Telnet) => self.pref(opened, random),
            (72..=77, Dialect::Wire) => Item::Ping(format!("t{over}")),
            (78..=79, Dialect::Wire) => Item::Garbage,
            (80..=81, Dialect::Wire) => Item::SeveralLines,
            (82..=83, Dialect::Wire) => Item::LongWords(self.line_bytes_max + over),
            (84..=88, Dialect::Wire) => Item::Watch(random.percent(60)),
            (_, Dialect::Wire) => Item::Say(self.words(random)),
            (_, other) => unreachable!("nobody here speaks {other}"),
        }
    }

    fn pref(&mut self, opened: u64, random: &mut Random) -> Item {
        match random.within(0..=19) {
            0..=1 => Item::Away(self.last_words(random)),
            2 => Item::Back,
            3..=4 => Item::Quiet(random.percent(70)),
            5..=6 => Item::Clock(random.percent(60)),
            7 => Item::History,
            8..=12 => Item::Ignore(any_name(opened, random)),
            13 => Item::Unignore(any_name(opened, random)),
            14 => Item::Ignored,
            _ => Item::Answer(self.words(random)),
        }
    }

    pub(crate) fn last_words(&mut self, random: &mut Random) -> String {
        if random.percent(50) {
            self.words(random)
        } else {
            String::new()
        }
    }
}

/// A name that somebody may have.
pub(crate) fn any_name(opened: u64, random: &mut Random) -> String {
    if random.percent(50) {
        format!("guest{}", random.within(1..=opened as usize + 1))
    } else {
        random.pick(&NAMES).0.to_owned()
    }
}
