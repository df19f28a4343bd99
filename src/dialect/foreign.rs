//! Other protocols, told by their first bytes or their first line: what they say is not chat.
//!
//! A browser can be made to send any text to any port, and a program that is set up for another port may send a password
//! in its first lines; so the first one ends the session, before the lines behind it could speak. A person whose first
//! words were taken for a protocol would not know why, so where both are likely it is a person.

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;

use crate::dialect::event::Foreign;
use crate::dialect::input::Input;
use crate::dialect::line::{Line, LineBuffer};
use crate::dialect::request::Refusal;
use crate::name::{Name, NameError};

/// A line of more bytes than this means no line at all.
const FLOOD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The first bytes of a TLS handshake (RFC 8446, section 5.1): its type and the version of the record.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

/// How the header of a proxy in front of us begins, version 2 (`proxy-protocol.txt` of `HAProxy`, section 2.2).
const PROXY_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// U+FEFF in UTF-8, which some programs write before all else.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Counts a line in `lines_in`, and gives the bytes of it that are to be understood: all but the byte order mark before
/// the first one.
///
/// # Errors
/// What is to be said of it instead: it was longer than `line_bytes_max`, or it is the first one and `judge` knows it.
pub(super) fn admit<'a>(
    line: &'a Line<'_>,
    lines_in: &mut u64,
    line_bytes_max: usize,
    judge: fn(&[u8]) -> Option<Foreign>,
) -> Result<&'a [u8], Input<'static>> {
    *lines_in += 1;
    match line {
        Line::Whole(line) if *lines_in == 1 => match judge(line) {
            Some(foreign) => Err(Input::Foreign(foreign)),
            None => Ok(without_byte_order_mark(line)),
        },
        Line::Whole(line) => Ok(line),
        Line::TooLong(bytes) => Err(Input::Refused(Refusal::LineTooLong {
            bytes: *bytes,
            bytes_max: line_bytes_max,
        })),
    }
}

/// The first line of a stream without a byte order mark before it.
fn without_byte_order_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}

/// What a stream speaks whose first line this is, if it is neither for a person nor for a program of ours.
pub(super) fn judge(first_line: &[u8]) -> Option<Foreign> {
    let line = without_byte_order_mark(first_line);
    if is_foreign(line) {
        return Some(Foreign::Other);
    }
    let text = std::str::from_utf8(line).ok()?;
    let words: Vec<&str> = text.splitn(FIRST_WORDS_MAX, ' ').collect();
    if is_irc(&words) {
        return Some(Foreign::Irc);
    }
    let other = is_mail(&words) || is_imap(&words) || is_transfer(&words) || is_redis(text);
    other.then_some(Foreign::Other)
}

/// As [`judge`], where people are expected and not programs of ours.
pub(super) fn judge_among_people(first_line: &[u8]) -> Option<Foreign> {
    let is_wire = || is_wire(without_byte_order_mark(first_line));
    judge(first_line).or_else(|| is_wire().then_some(Foreign::Wire))
}

/// No rule looks at more words of a line than this; the last of them is all the rest.
const FIRST_WORDS_MAX: usize = 6;

/// Whether a stream that begins so is foreign whatever else follows.
pub(super) fn is_foreign(first_line: &[u8]) -> bool {
    first_line.starts_with(TLS_HANDSHAKE)
        // RFC 4253, section 4.2.
        || first_line.starts_with(b"SSH-")
        // The header of a proxy in front of us, version 1.
        || first_line.starts_with(b"PROXY TCP")
        || first_line.starts_with(b"PROXY UNKNOWN")
        || is_request(first_line)
}

/// `METHOD TARGET HTTP/x.y` (RFC 9112, section 3), and the same of RTSP and SIP; or `GET /` of the first HTTP.
fn is_request(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let version = words.next_back().unwrap_or_default();
    let protocols = [&b"HTTP/"[..], b"RTSP/", b"SIP/"];
    let is_version = protocols.iter().any(|protocol| {
        let number = version.strip_prefix(*protocol);
        number.is_some_and(|number| number.first().is_some_and(u8::is_ascii_digit))
    });
    is_method(method) && words.next().is_some() && is_version
}

/// `CAP LS`, `PASS x`, `NICK x`, `USER a b c :d` (RFC 2812, section 3.1), in capitals as programs write them.
fn is_irc(words: &[&str]) -> bool {
    match words {
        ["CAP", "LS" | "LIST" | "REQ" | "END", ..] => true,
        // If it were said, it would be a password.
        ["PASS", password] => !password.is_empty(),
        ["NICK", name] => is_nick(name.strip_prefix(':').unwrap_or(name)),
        ["USER", _, _, _, name] | ["USER", _, _, _, name, _] => name.starts_with(':'),
        _ => false,
    }
}

/// Whether it is a nickname (RFC 2812, section 2.3.1), and nobody's shout.
fn is_nick(text: &str) -> bool {
    let is_special = |c: char| "[]\\`_^{|}".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || is_special(c));
    let follows = |c: char| c.is_ascii_alphanumeric() || is_special(c) || c == '-';
    begins && text.chars().all(follows) && !is_shout(text)
}

/// `EHLO host`, `HELO host` (RFC 5321, section 4.1.1.1).
fn is_mail(words: &[&str]) -> bool {
    match words {
        ["EHLO"] | ["EHLO" | "LHLO", _] => true,
        ["HELO", host] => {
            let may_be_in_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
            !host.is_empty() && host.chars().all(may_be_in_host) && !is_shout(host)
        }
        _ => false,
    }
}

/// `a001 CAPABILITY`, `a001 LOGIN ann secret` (RFC 9051, section 2.2.1).
fn is_imap(words: &[&str]) -> bool {
    let is_tag = |tag: &str| {
        let number = tag.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        number.len() + 5 >= tag.len() && !number.is_empty() && is_number(number)
    };
    match words {
        [tag, "CAPABILITY" | "STARTTLS"] => is_tag(tag) || tag.len() == 1,
        [tag, "LOGIN", _, _] => is_tag(tag) && tag.len() >= 3 && !is_number(tag),
        [tag, "AUTHENTICATE", _] | [tag, "AUTHENTICATE", _, _] => is_tag(tag),
        _ => false,
    }
}

/// `USER anonymous`, `AUTH TLS` (FTP: RFC 959, RFC 4217), and `GET /` of the first HTTP.
fn is_transfer(words: &[&str]) -> bool {
    matches!(
        words,
        ["USER", "anonymous" | "ftp"] | ["AUTH", "TLS" | "SSL" | "TLS-C"]
    ) || matches!(words, ["GET" | "HEAD", target] if target.starts_with('/'))
}

/// `*1`, the beginning of an array of one word.
fn is_redis(line: &str) -> bool {
    let count = line.strip_prefix('*');
    count.is_some_and(|count| (1..=4).contains(&count.len()) && is_number(count))
}

/// `NAME B64(name)` or `CHAT B64(name) B64(words)`: what programs say where they are expected.
fn is_wire(line: &[u8]) -> bool {
    let text = |value: &[u8]| {
        let bytes = BASE64
            .decode(value)
            .ok()
            .filter(|bytes| !bytes.is_empty())?;
        let text = String::from_utf8(bytes).ok()?;
        (!text.contains(char::is_control)).then_some(text)
    };
    let fields: Vec<&[u8]> = line.splitn(4, |byte| *byte == b' ').collect();
    match fields[..] {
        [b"NAME", name] => {
            text(name).is_some_and(|name| !matches!(Name::parse(&name), Err(NameError::Malformed)))
        }
        [b"CHAT", name, words] => {
            (name.is_empty() || text(name).is_some()) && text(words).is_some()
        }
        _ => false,
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether somebody goes on in the capitals of the word before.
fn is_shout(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// What is to be said of a line whose end has not come: nothing, if it may still become one. `begun` if it is not the
/// first of its stream.
pub(super) fn judge_unfinished<'a>(lines: &LineBuffer, begun: bool) -> Option<Input<'a>> {
    if !begun && is_foreign(without_byte_order_mark(lines.partial())) {
        return Some(Input::Foreign(Foreign::Other));
    }
    (lines.discarded() > FLOOD_BYTES_MAX).then_some(Input::Flood)
}

/// Whether `bytes`, behind the `partial` first line of a stream, make that longer than `line_bytes_max`, and it begins
/// as an HTTP request does. Its end, which would tell, is not kept; but what stands behind it must not speak.
fn is_endless_request(partial: &[u8], bytes: &[u8], line_bytes_max: usize) -> bool {
    let room = line_bytes_max.saturating_sub(partial.len());
    let ends = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    if bytes.len() <= room || ends(&bytes[..=room]) {
        return false;
    }
    let head: Vec<u8> = partial.iter().chain(bytes).take(32).copied().collect();
    let mut words = head.splitn(2, |byte| *byte == b' ');
    let is_method = words.next().is_some_and(is_method);
    is_method
        && words
            .next()
            .is_some_and(|target| target.starts_with(b"/") || target.starts_with(b"http"))
}

fn is_method(word: &[u8]) -> bool {
    (3..=16).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase)
}

/// Looks at the first bytes of a stream, before anything is made of them, for what has no lines that could be judged:
/// UTF-16, and the header of a proxy, version 2. At most 12 bytes are looked at, each once, however they are cut.
#[derive(Debug, Default)]
pub(super) struct Opening {
    place: Place,
    /// Bytes that were looked at and are still to be taken as input.
    ahead: u8,
}

/// How far a stream goes on like one of these.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    /// After this many bytes of a proxy's header.
    Proxy(u8),
    /// After `ff`: the mark of UTF-16, or telnet.
    Little,
    /// After `ff fe`: the mark, or telnet's DONT.
    LittleMarked,
    /// After `ff fe` and a byte that is an option of telnet.
    Dont,
    /// After `fe`.
    Big,
    /// After `NUL`, `NUL x`, `NUL x NUL`.
    BigPlain(u8),
    /// After `x`, `x NUL`, `x NUL x`.
    LittlePlain(u8),
    /// It does not.
    Elsewhere,
}

impl Opening {
    /// Judges the next bytes of a stream, before they are cut into lines: `input` comes behind the unfinished line of
    /// `lines`. Until a line has `begun` before it, that may be an HTTP request that is longer than a line may be.
    pub(super) fn judge(
        &mut self,
        lines: &LineBuffer,
        input: &[u8],
        begun: bool,
        line_bytes_max: usize,
    ) -> Option<Input<'static>> {
        let is_endless = !begun
            && lines.discarded() == 0
            && is_endless_request(lines.partial(), input, line_bytes_max);
        let foreign = if is_endless {
            Some(Foreign::Other)
        } else {
            self.look(input)
        };
        foreign.map(Input::Foreign)
    }

    /// Looks at the next bytes of a stream: what `input` begins with comes behind what was taken before.
    fn look(&mut self, input: &[u8]) -> Option<Foreign> {
        if self.place == Place::Elsewhere {
            return None;
        }
        for &byte in input.get(usize::from(self.ahead)..)? {
            match self.place.after(byte) {
                Ok(place) => self.place = place,
                Err(foreign) => return Some(foreign),
            }
            if self.place == Place::Elsewhere {
                return None;
            }
            self.ahead += 1;
        }
        None
    }

    /// This many bytes were taken of what was looked at last.
    pub(super) fn handle_taken(&mut self, bytes: usize) {
        let bytes = u8::try_from(bytes).unwrap_or(u8::MAX);
        self.ahead = self.ahead.saturating_sub(bytes);
    }
}

impl Place {
    fn after(self, byte: u8) -> Result<Self, Foreign> {
        let is_text = matches!(byte, b' '..=b'~');
        let may_follow = is_text || matches!(byte, b'\r' | b'\n');
        Ok(match (self, byte) {
            (Self::Start, 0xff) => Self::Little,
            (Self::Start, 0xfe) => Self::Big,
            (Self::Start, 0) => Self::BigPlain(1),
            (Self::Start, _) if is_text => Self::LittlePlain(1),
            (Self::Start, b'\r') => Self::Proxy(1),
            (Self::Proxy(known), _) if PROXY_SIGNATURE[usize::from(known)] == byte => {
                if usize::from(known) + 1 == PROXY_SIGNATURE.len() {
                    return Err(Foreign::Other);
                }
                Self::Proxy(known + 1)
            }
            (Self::Little, 0xfe) => Self::LittleMarked,
            (Self::LittleMarked, option) if is_telnet_option(option) => Self::Dont,
            (Self::LittleMarked, _) | (Self::Dont, 0) | (Self::Big, 0xff) => {
                return Err(Foreign::Utf16)
            }
            (Self::BigPlain(1), _) if is_text => Self::BigPlain(2),
            (Self::BigPlain(2), 0) => Self::BigPlain(3),
            (Self::BigPlain(3), _) if may_follow => return Err(Foreign::Utf16),
            (Self::LittlePlain(1), 0) => Self::LittlePlain(2),
            (Self::LittlePlain(2), _) if may_follow => Self::LittlePlain(3),
            (Self::LittlePlain(3), 0) => return Err(Foreign::Utf16),
            _ => Self::Elsewhere,
        })
    }
}

/// Whether telnet has such an option (IANA, Telnet Options).
fn is_telnet_option(byte: u8) -> bool {
    matches!(byte, 0..=49 | 138..=140 | 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f135_other_protocols_are_told_by_their_first_bytes() {
        for line in [
            &b"\x16\x03\x01\x02\x00\x01\x00"[..],
            b"GET / HTTP/1.1",
            b"POST /chat?x HTTP/1.0",
            b"OPTIONS * HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"OPTIONS rtsp://example.net/ RTSP/1.0",
            b"OPTIONS sip:nm SIP/2.0",
            b"SSH-2.0-OpenSSH_9.2p1",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2",
            b"PROXY UNKNOWN",
        ] {
            assert!(is_foreign(line), "{}", line.escape_ascii());
            assert_eq!(judge(line), Some(Foreign::Other));
            let marked = [BYTE_ORDER_MARK, line].concat();
            assert_eq!(judge(&marked), Some(Foreign::Other));
        }
    }

    #[test]
    fn f135_other_protocols_are_told_by_their_first_line() {
        for (line, foreign) in [
            ("GET /", Foreign::Other),
            ("HEAD /index.html", Foreign::Other),
            ("EHLO mail.example.net", Foreign::Other),
            ("EHLO x", Foreign::Other),
            ("HELO x", Foreign::Other),
            ("HELO [192.0.2.1]", Foreign::Other),
            ("CAP LS 302", Foreign::Irc),
            ("CAP LS", Foreign::Irc),
            ("CAP REQ :sasl", Foreign::Irc),
            ("PASS secret", Foreign::Irc),
            ("PASS SECRET", Foreign::Irc),
            ("NICK x", Foreign::Irc),
            ("NICK ann_[m]", Foreign::Irc),
            ("NICK :ann", Foreign::Irc),
            ("USER ann 0 * :Ann Example", Foreign::Irc),
            ("USER a b c :d", Foreign::Irc),
            ("a001 CAPABILITY", Foreign::Other),
            ("1 CAPABILITY", Foreign::Other),
            ("a CAPABILITY", Foreign::Other),
            ("KDAL1 CAPABILITY", Foreign::Other),
            ("a1 STARTTLS", Foreign::Other),
            ("a001 LOGIN ann secret", Foreign::Other),
            ("A1 AUTHENTICATE PLAIN", Foreign::Other),
            ("USER anonymous", Foreign::Other),
            ("AUTH TLS", Foreign::Other),
            ("*1", Foreign::Other),
            ("*12", Foreign::Other),
        ] {
            assert_eq!(judge(line.as_bytes()), Some(foreign), "{line}");
            // As long as its end has not come, more words may follow.
            assert!(!is_foreign(line.as_bytes()), "{line}");
        }
        for line in [
            "NAME YW5u",
            "NAME 6ICB572X",
            "CHAT YW5u aGVsbG8=",
            "CHAT  aGk=",
        ] {
            assert_eq!(judge(line.as_bytes()), None, "{line}");
            assert_eq!(
                judge_among_people(line.as_bytes()),
                Some(Foreign::Wire),
                "{line}"
            );
        }
    }

    #[test]
    fn a_request_is_known_by_its_beginning_when_it_is_longer_than_a_line() {
        let request = [b"POST /", &b"x".repeat(100)[..], b" HTTP/1.1\r\n"].concat();
        for (partial, line_bytes_max, expected) in [
            (0, 64, true),
            (1, 64, true),
            (64, 64, true),
            // Exactly as long, and a byte too long.
            (0, request.len() - 2, false),
            (0, request.len() - 3, true),
        ] {
            let (partial, bytes) = request.split_at(partial);
            let got = is_endless_request(partial, bytes, line_bytes_max);
            assert_eq!(got, expected, "{} of {line_bytes_max}", partial.len());
        }
        let words = b"I write /x or http more than once ".repeat(10);
        assert!(!is_endless_request(b"", &words, 64));
    }

    /// First lines of people.
    const ORDINARY: &[&str] = &[
        "",
        " ",
        "hi",
        "hello",
        "Hello everybody",
        "HELLO",
        "HELO",
        "HELO ALL",
        "helo all",
        "HELO there, all",
        "ehlo",
        "GET it",
        "GET OUT",
        "GET /who and see",
        "get /",
        "get / HTTP/1.1",
        "what is HTTP/2",
        "GET HTTP/1.1",
        "HTTP/1.1 is old",
        "SSHhh",
        "SSH",
        "SSH is down",
        "PROXY votes",
        "PROXY",
        "PING",
        "PING me",
        "ping",
        "QUIT",
        "QUIT IT",
        "INFO",
        "HELP",
        "HELP me",
        "NICK",
        "NICK is my name",
        "NICK CAVE",
        "NICK?",
        "Nick x",
        "nick ann",
        "NICK, hi",
        "NICK's here",
        "PASS",
        "PASS the salt",
        "Pass x",
        "CAP",
        "CAP is off",
        "CAP!",
        "NO CAP",
        "USER",
        "USER manual is not here",
        "USER error",
        "USER ERROR",
        "JOIN us",
        "JOIN #x",
        "LIST",
        "WHO",
        "1 login failed",
        "3 LOGIN attempts failed",
        "Q3 LOGIN numbers down",
        "a LOGIN x y",
        "LOGIN ann secret",
        "I AUTHENTICATE",
        "AUTH",
        "*",
        "* waves",
        "*waves*",
        "*two",
        "**bold**",
        "*12345",
        "$4",
        "+1",
        "-1",
        ":)",
        ":wq",
        "NAME John",
        "NAME Anna",
        "NAME",
        "NAME me",
        "NAME them all",
        "Name YW5u",
        "NAMES",
        "CHAT",
        "CHAT with them",
        "CHAT some more",
        "CHAT soon then",
        "CHAT here",
        "CHAT is here",
        "OPTIONS are few",
        "A1",
        "a1 steak sauce",
        "200 OK",
        "220 volts",
        "{\"a\": 1}",
        "<xml>",
        "EHLO there you",
        "MAIL me",
        "DATA",
        "RSET",
        "\u{feff}hello",
        "你好",
        "привет",
        "a\tb",
    ];

    #[test]
    fn people_may_say_such_words() {
        for line in ORDINARY {
            assert_eq!(judge_among_people(line.as_bytes()), None, "{line}");
        }
        assert_eq!(judge_among_people(b"\xff\xfe\xfd"), None);
        assert_eq!(judge_among_people(b"\xcf\xf0\xe8\xe2\xe5\xf2"), None);
    }

    /// What is found in a stream that comes in packets of this many bytes, of which a line is taken at a time.
    fn looked(bytes: &[u8], packet: usize) -> Option<Foreign> {
        let mut opening = Opening::default();
        bytes.chunks(packet).find_map(|mut input| {
            while !input.is_empty() {
                if let Some(foreign) = opening.look(input) {
                    return Some(foreign);
                }
                let end = input.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                let taken = end.map_or(input.len(), |end| end + 1);
                opening.handle_taken(taken);
                input = &input[taken..];
            }
            None
        })
    }

    #[test]
    fn f135_what_has_no_lines_is_told_by_its_first_bytes_however_cut() {
        let utf16 = |text: &str, marked: bool| {
            let units = marked.then_some(0xfeff_u16).into_iter();
            let units: Vec<u16> = units.chain(text.encode_utf16()).collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            [little, big]
        };
        let texts = [
            ("hello\r\n", true),
            ("hi", false),
            ("a\r\n", false),
            ("你好\n", true),
        ];
        let mut streams: Vec<(Vec<u8>, Foreign)> = Vec::new();
        for (text, marked) in texts {
            streams.extend(utf16(text, marked).map(|bytes| (bytes, Foreign::Utf16)));
        }
        let header = [PROXY_SIGNATURE, b"\x20\0\0\0"].concat();
        streams.push((header, Foreign::Other));
        for (bytes, foreign) in streams {
            for packet in 1..=bytes.len() {
                let got = looked(&bytes, packet);
                assert_eq!(got, Some(foreign), "{} by {packet}", bytes.escape_ascii());
            }
        }
        for bytes in [
            // What telnet clients begin with.
            &b"\xff\xfd\x03\xff\xfb\x18"[..],
            b"\xff\xfe\x01hi\r\n",
            b"\xff\xfe\x01\xff\xfc\x01",
            b"\xff\xf4\xff\xfd\x06",
            b"\0/who\r\n",
            b"\r\0\r\0",
            b"\r\n\r\n\r\nQUIT\n",
            b"\r\n\r\n\0hello",
            b"a\0b\n",
            b"h\0",
            b"hello\r\n",
            "你好\n".as_bytes(),
            b"\xfe\xfe",
        ] {
            for packet in 1..=bytes.len() {
                assert_eq!(looked(bytes, packet), None, "{}", bytes.escape_ascii());
            }
        }
    }
}
