//! Lines as they go out: never more than 512 bytes with their end, and who they are from.

use std::fmt;
use std::io::Write;

use crate::dialect::irc::format::pieces;
use crate::when::Moment;

/// What the server is called where nothing else is said.
pub(crate) const NAME: &str = "chatd.local";

/// A line without its end has at most this many bytes (RFC 2812, section 2.3). Tags before it do not count.
pub(super) const LINE_BYTES_MAX: usize = 510;

/// Every capability, by the word for it.
const CAPABILITIES: [(&str, Caps); 4] = [
    ("echo-message", Caps::ECHO),
    ("multi-prefix", Caps::MULTI_PREFIX),
    ("server-time", Caps::TIME),
    ("userhost-in-names", Caps::USERHOST),
];

/// Which capabilities a client has asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Caps(u8);

impl Caps {
    pub(super) const ECHO: Self = Self(1);
    const MULTI_PREFIX: Self = Self(2);
    pub(super) const TIME: Self = Self(4);
    pub(super) const USERHOST: Self = Self(8);
    const ALL: Self = Self(15);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The words for those that are on.
    fn words(self) -> String {
        let on = CAPABILITIES.iter().filter(|(_, cap)| self.has(*cap));
        on.map(|(word, _)| *word).collect::<Vec<_>>().join(" ")
    }

    /// What they are once all of these words are obeyed; `None` if one of them is unknown.
    fn changed_by(self, words: &str) -> Option<Self> {
        let mut caps = self;
        for word in words.split_ascii_whitespace() {
            let (word, is_off) = word
                .strip_prefix('-')
                .map_or((word, false), |word| (word, true));
            let (_, cap) = CAPABILITIES.iter().find(|(known, _)| *known == word)?;
            caps.0 = if is_off {
                caps.0 & !cap.0
            } else {
                caps.0 | cap.0
            };
        }
        Some(caps)
    }
}

/// Somebody who speaks IRC, as far as their own lines and those of the server to them must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Me {
    /// What the server is called.
    pub(super) server: Box<str>,
    /// Their name; empty before they have one.
    pub(super) nick: Box<str>,
    /// What their client gave as USER: letters and digits.
    pub(super) user: Box<str>,
    pub(super) caps: Caps,
}

impl Default for Me {
    fn default() -> Self {
        Self::new(NAME.into())
    }
}

impl Me {
    pub(super) fn new(server: Box<str>) -> Self {
        Self {
            server,
            nick: "".into(),
            user: "".into(),
            caps: Caps::default(),
        }
    }

    /// What they are called in a numeric.
    fn called(&self) -> &str {
        match &*self.nick {
            "" => "*",
            nick => nick,
        }
    }

    /// Adds `:SERVER CODE NICK …`.
    pub(super) fn numeric(&self, out: &mut Vec<u8>, code: u16, rest: fmt::Arguments<'_>) {
        let (server, nick) = (&self.server, self.called());
        put(out, format_args!(":{server} {code:03} {nick} {rest}"));
    }

    /// Adds `:SERVER …`.
    pub(super) fn by_server(&self, out: &mut Vec<u8>, rest: fmt::Arguments<'_>) {
        put(out, format_args!(":{} {rest}", self.server));
    }

    /// Adds `:NICK!USER@chatd …`.
    pub(super) fn by_me(&self, out: &mut Vec<u8>, rest: fmt::Arguments<'_>) {
        put(
            out,
            format_args!(":{}!{}@chatd {rest}", self.called(), self.user),
        );
    }

    /// Adds the words of the server as a NOTICE, in as many lines as they need.
    pub(super) fn notice(&self, out: &mut Vec<u8>, words: &str) {
        let prefix = format!(":{} NOTICE {} :", self.server, self.called());
        for piece in pieces(words, LINE_BYTES_MAX - prefix.len()) {
            put(out, format_args!("{prefix}{piece}"));
        }
    }

    /// Adds a list of words behind `head`, in as many lines as it needs.
    pub(super) fn list(
        &self,
        out: &mut Vec<u8>,
        head: fmt::Arguments<'_>,
        words: impl Iterator<Item = String>,
        words_max: usize,
        tail: &str,
    ) {
        let head = format!(":{} {head}", self.server);
        let room = LINE_BYTES_MAX - tail.len();
        let (mut text, mut count) = (head.clone(), 0);
        for word in words {
            let is_full = text.len() + 1 + word.len() > room || count == words_max;
            if is_full && count > 0 {
                put(out, format_args!("{text}{tail}"));
                text.clone_from(&head);
                count = 0;
            }
            if count > 0 {
                text.push(' ');
            }
            text.push_str(&word);
            count += 1;
        }
        if count > 0 {
            put(out, format_args!("{text}{tail}"));
        }
    }

    /// Adds that a verb wants more.
    pub(super) fn too_few(&self, out: &mut Vec<u8>, verb: &str) {
        self.numeric(out, 461, format_args!("{verb:.20} :Not enough parameters"));
    }

    /// Obeys CAP; gives whether capabilities are being agreed on, if it says so.
    pub(super) fn obey_cap(
        &mut self,
        out: &mut Vec<u8>,
        subcommand: &str,
        words: &str,
    ) -> Option<bool> {
        let nick = self.called().to_owned();
        match &*subcommand.to_ascii_uppercase() {
            "LS" => self.by_server(out, format_args!("CAP {nick} LS :{}", Caps::ALL.words())),
            "LIST" => {
                self.by_server(out, format_args!("CAP {nick} LIST :{}", self.caps.words()));
                return None;
            }
            "REQ" => match self.caps.changed_by(words) {
                Some(caps) => {
                    self.caps = caps;
                    self.by_server(out, format_args!("CAP {nick} ACK :{words}"));
                }
                None => self.by_server(out, format_args!("CAP {nick} NAK :{words}")),
            },
            "END" => return Some(false),
            _ => {
                self.numeric(
                    out,
                    410,
                    format_args!("{subcommand:.20} :Invalid CAP subcommand"),
                );
                return None;
            }
        }
        Some(true)
    }
}

/// Adds a line; of one that is too long, as much as fits.
pub(super) fn put(out: &mut Vec<u8>, line: fmt::Arguments<'_>) {
    let begin = out.len();
    // Writing to a `Vec` cannot fail.
    let _ = out.write_fmt(line);
    if out.len() - begin > LINE_BYTES_MAX {
        let mut end = begin + LINE_BYTES_MAX;
        while out[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        out.truncate(end);
    }
    out.extend_from_slice(b"\r\n");
}

/// Adds the time as a tag (`IRCv3`, server-time), with the space behind it: 31 bytes.
pub(super) fn put_time(out: &mut Vec<u8>, wall_seconds: u64) {
    let moment = Moment(wall_seconds).to_string();
    let seconds = moment.trim_end_matches('Z');
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "@time={seconds}.000Z ");
}

/// Adds somebody's words: as many lines as they need, each behind `prefix`, which ends where the words begin.
pub(super) fn put_words(
    out: &mut Vec<u8>,
    time: Option<u64>,
    prefix: &str,
    acts: bool,
    words: &str,
) {
    let (before, behind) = if acts {
        ("\x01ACTION ", "\x01")
    } else {
        ("", "")
    };
    let around = prefix.len() + before.len() + behind.len();
    for piece in pieces(words, LINE_BYTES_MAX.saturating_sub(around).max(4)) {
        if let Some(wall_seconds) = time {
            put_time(out, wall_seconds);
        }
        for part in [prefix, before, piece, behind, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn no_line_is_longer_than_512_bytes_and_no_character_is_torn() {
        for word in ["a", "罗", "é"] {
            let line = text(|out| put(out, format_args!("{}", word.repeat(600))));
            assert!(line.len() <= 512 && line.len() > 508, "{}", line.len());
        }
        let words = "罗永浩 ".repeat(400);
        let prefix = ":ann!telnet@chatd PRIVMSG #lobby :";
        let lines = text(|out| put_words(out, None, prefix, true, &words));
        let mut said = String::new();
        for line in lines.split_inclusive("\r\n") {
            assert!(line.len() <= 512);
            let words = line
                .strip_prefix(prefix)
                .and_then(|it| it.strip_prefix("\x01ACTION "));
            said.push_str(
                words
                    .and_then(|it| it.strip_suffix("\x01\r\n"))
                    .expect("an action"),
            );
        }
        assert_eq!(said, words);
    }

    #[test]
    fn capabilities_are_all_or_nothing() {
        let mut me = Me::default();
        let mut cap = |subcommand, words| text(|out| _ = me.obey_cap(out, subcommand, words));
        let ls =
            ":chatd.local CAP * LS :echo-message multi-prefix server-time userhost-in-names\r\n";
        assert_eq!(cap("ls", "302"), ls);
        let ack = ":chatd.local CAP * ACK :server-time echo-message\r\n";
        assert_eq!(cap("REQ", "server-time echo-message"), ack);
        let nak = ":chatd.local CAP * NAK :-server-time sasl\r\n";
        assert_eq!(cap("REQ", "-server-time sasl"), nak);
        let list = ":chatd.local CAP * LIST :echo-message server-time\r\n";
        assert_eq!(cap("LIST", ""), list);
        assert_eq!(
            cap("REQ", "-echo-message"),
            ":chatd.local CAP * ACK :-echo-message\r\n"
        );
        assert_eq!(cap("LIST", ""), ":chatd.local CAP * LIST :server-time\r\n");
        assert_eq!(
            cap("FOO", ""),
            ":chatd.local 410 * FOO :Invalid CAP subcommand\r\n"
        );
        assert_eq!(cap("END", ""), "");
    }

    #[test]
    fn a_time_takes_31_bytes() {
        let time = text(|out| put_time(out, 1_795_788_345));
        assert_eq!(time, "@time=2026-11-27T14:05:45.000Z ");
        assert_eq!(time.len(), 31);
    }
}
