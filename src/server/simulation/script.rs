//! What a person or a program means, and how that is spelled in bytes. The model goes by the meaning, the hub by the
//! bytes, so neither can copy a mistake of the other.

use std::collections::VecDeque;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;

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
    Tell(String, String),
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

    /// How many lines it costs at least, by `docs/limits.md`.
    pub(crate) fn lines(&self) -> u32 {
        match self {
            Self::Say(words)
            | Self::SaySlash(words)
            | Self::Act(words)
            | Self::Tell(_, words)
            | Self::Answer(words)
            | Self::Quit(words) => words.len().div_ceil(512).max(1) as u32,
            Self::Name(_) => 5,
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
            Self::Who => "/who".to_owned(),
            Self::Tell(to, words) => format!("/msg {to} {words}"),
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
            Self::Who => "WHO".to_owned(),
            Self::LongWords(bytes) => chat(&"y".repeat(*bytes)),
            Self::Foreign => FOREIGN.to_owned(),
            _ => String::new(),
        }
        .into_bytes()
    }
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

    pub(crate) fn item(&mut self, dialect: Dialect, opened: u64, random: &mut Random) -> Item {
        let over = random.within(1..=200);
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
            (76..=77, Dialect::Telnet) => Item::Help,
            (78..=80, Dialect::Telnet) => Item::Unknown,
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
fn any_name(opened: u64, random: &mut Random) -> String {
    if random.percent(50) {
        format!("guest{}", random.within(1..=opened as usize + 1))
    } else {
        random.pick(&NAMES).0.to_owned()
    }
}

/// What a client typed, and how far it has come.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// How many bytes were sent.
    sent: usize,
    /// What was not understood yet, and where in the stream of bytes it is complete.
    items: VecDeque<(usize, Item)>,
    /// Where each thing ended with its line end.
    ends: Vec<usize>,
    /// Where a line began that never ends.
    endless_from: usize,
}

impl Typed {
    /// Types something; gives its bytes.
    pub(crate) fn add(&mut self, item: Item, dialect: Dialect, line_end: &[u8]) -> Vec<u8> {
        let mut bytes = item.spell(dialect);
        let end = self.sent + bytes.len();
        // A line is complete with the first byte of its end, and a last one that has no end with the end of the stream.
        let complete_at = match (&item, line_end) {
            (Item::Endless, _) => usize::MAX,
            (item, []) if item.is_line() => usize::MAX,
            (item, _) => end + usize::from(item.is_line()),
        };
        if item.is_line() {
            bytes.extend(line_end);
        }
        if item == Item::Endless {
            self.endless_from = self.sent;
        }
        self.items.push_back((complete_at, item));
        self.add_dregs(bytes.len());
        bytes
    }

    /// Counts bytes that nobody will understand.
    pub(crate) fn add_dregs(&mut self, bytes: usize) {
        self.sent += bytes;
        self.ends.push(self.sent);
    }

    pub(crate) fn is_new(&self) -> bool {
        self.sent == 0
    }

    /// Whether all that was typed has been understood.
    pub(crate) fn is_done(&self) -> bool {
        self.items.is_empty()
    }

    /// What comes next, and where it is complete.
    pub(crate) fn front(&self) -> Option<(usize, &Item)> {
        self.items.front().map(|(at, item)| (*at, item))
    }

    /// Takes what comes next, if it is complete there.
    pub(crate) fn next_until(&mut self, limit: usize) -> Option<Item> {
        self.take_if(|at, item| at <= limit && *item != Item::Foreign)
    }

    /// Takes a last line without an end.
    pub(crate) fn take_unfinished(&mut self, given: usize) -> Option<Item> {
        let is_all = given == self.sent;
        self.take_if(|at, _| at == usize::MAX && is_all)
    }

    fn take_if(&mut self, is_it: impl FnOnce(usize, &Item) -> bool) -> Option<Item> {
        self.front().filter(|(at, item)| is_it(*at, item))?;
        self.items.pop_front().map(|(_, item)| item)
    }

    /// How many bytes up to there belong to a line that never ends.
    pub(crate) fn endless(&self, limit: usize) -> usize {
        match self.front() {
            Some((_, Item::Endless)) => limit.saturating_sub(self.endless_from),
            _ => 0,
        }
    }

    /// Where what comes at this place, or goes on there, ends.
    pub(crate) fn end_of(&self, place: usize) -> usize {
        if place == 0 {
            return 0;
        }
        let after = self.ends.partition_point(|end| *end < place);
        self.ends.get(after).copied().unwrap_or(place)
    }
}
