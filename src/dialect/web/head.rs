//! What is asked for over HTTP/1.1 (RFC 9112) where the page is, and whether who asks may.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use httparse::{Error, Status, EMPTY_HEADER};

use crate::dialect::web::coming::Coming;

/// The head of a request may have 8 KiB.
pub(super) const HEAD_BYTES_MAX: usize = 8 * 1024;

/// More header fields than this are too many.
const FIELDS_MAX: usize = 64;

/// At most this many front ends are looked through for the client before them.
const FORWARDED_MAX: usize = 16;

/// A host and, where it is given, a port: the value of `Host` (RFC 9110, section 7.2), and of `web-host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// A name or an address, IPv6 with its brackets.
    pub(super) host: Box<str>,
    pub(super) port: Option<u16>,
}

impl Authority {
    /// Whether it is the machine itself, or an address: nobody can make these point elsewhere.
    pub(super) fn is_local(&self) -> bool {
        let host = &*self.host;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
            None => host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok(),
        }
    }
}

impl FromStr for Authority {
    type Err = NoAuthority;

    fn from_str(text: &str) -> Result<Self, NoAuthority> {
        let end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']').ok_or(NoAuthority)? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(end);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err(NoAuthority),
            Some(port) => {
                let is_number = port.bytes().all(|digit| digit.is_ascii_digit());
                Some(port.parse().ok().filter(|_| is_number).ok_or(NoAuthority)?)
            }
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        if host.is_empty() || host.len() > 255 || !host.bytes().all(is_plain) {
            return Err(NoAuthority);
        }
        let host = host.into();
        Ok(Self { host, port })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A text is no host with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAuthority;

impl fmt::Display for NoAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no host")
    }
}

impl std::error::Error for NoAuthority {}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// The page, unless they have this version of it.
    Page { known: Option<String> },
    /// A WebSocket, with the answer to their key.
    Socket { accept: String, coming: Coming },
    /// A WebSocket, but not asked for as RFC 6455 says.
    NoUpgrade,
    /// Nothing that there is, or that is given: answered with this status.
    Refused(u16),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) wish: Wish,
    /// It is answered with the head alone.
    pub(super) head_only: bool,
    /// The connection is of no use behind the answer.
    pub(super) is_last: bool,
    /// Whose connection it is, as front ends say: the client first.
    pub(super) forwarded: Vec<IpAddr>,
}

impl Request {
    fn refused(status: u16) -> Self {
        Self {
            wish: Wish::Refused(status),
            head_only: false,
            is_last: true,
            forwarded: Vec::new(),
        }
    }

    /// The request with which `bytes` begin, and how long it is; `None` if it is not whole but may become so. `is_called`
    /// says whether a page may be asked for under a name.
    pub(super) fn parse(
        bytes: &[u8],
        is_called: impl Fn(&Authority) -> bool,
    ) -> Option<(usize, Self)> {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let length = match request.parse(bytes) {
            Ok(Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
            Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return None,
            Ok(_) | Err(Error::TooManyHeaders) => return Some((bytes.len(), Self::refused(431))),
            Err(_) => return Some((bytes.len(), Self::refused(400))),
        };
        let head = Head { request: &request };
        Some((length, head.judge(is_called)))
    }
}

/// A whole head.
struct Head<'a, 'h, 'b> {
    request: &'a httparse::Request<'h, 'b>,
}

impl Head<'_, '_, '_> {
    /// The value of a field that is there once.
    fn field<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    fn values<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'s str> {
        let fields = self.request.headers.iter();
        let named = fields.filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| std::str::from_utf8(field.value).unwrap_or_default())
    }

    /// Whether a list has a word in it.
    fn has(&self, name: &str, word: &str) -> bool {
        let lists = self.values(name).flat_map(|value| value.split(','));
        let mut words = lists.map(str::trim);
        words.any(|found| found.eq_ignore_ascii_case(word))
    }

    fn judge(&self, is_called: impl Fn(&Authority) -> bool) -> Request {
        let has_body = self
            .field("content-length")
            .is_some_and(|length| length != "0")
            || self.values("transfer-encoding").next().is_some();
        let host = self.field("host").and_then(|host| host.parse().ok());
        let host = host.filter(|_| self.request.version == Some(1));
        let method = self.request.method.unwrap_or_default();
        let is_read = matches!(method, "GET" | "HEAD");
        let wish = match host {
            None => Wish::Refused(400),
            Some(_) if has_body => Wish::Refused(413),
            Some(host) if !is_called(&host) => Wish::Refused(421),
            Some(host) if !self.is_from(&host) => Wish::Refused(403),
            Some(_) => self.wish(method, is_read),
        };
        let is_broken = matches!(wish, Wish::Refused(400 | 413));
        Request {
            wish,
            head_only: method == "HEAD",
            is_last: is_broken || self.has("connection", "close"),
            forwarded: self.forwarded(),
        }
    }

    fn wish(&self, method: &str, is_read: bool) -> Wish {
        let target = self.request.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/" | "/ws" if !is_read => Wish::Refused(405),
            "/" => Wish::Page {
                known: self.field("if-none-match").map(Into::into),
            },
            "/ws" if method == "GET" => self.accept().map_or(Wish::NoUpgrade, |accept| {
                let coming = Coming::parse(query);
                Wish::Socket { accept, coming }
            }),
            "/ws" => Wish::NoUpgrade,
            _ => Wish::Refused(404),
        }
    }

    /// The answer to a WebSocket's key, if one is asked for as RFC 6455, section 4.2.1, says.
    fn accept(&self) -> Option<String> {
        let key = self.field("sec-websocket-key")?;
        let is_asked = self.has("upgrade", "websocket")
            && self.has("connection", "upgrade")
            && self.field("sec-websocket-version") == Some("13");
        is_asked.then(|| accept(key)).flatten()
    }

    /// Whether the page that asks, if it is one, was served under this name: another one must not act for who looks at
    /// it. Its scheme is not compared, for TLS may end in front of us.
    fn is_from(&self, host: &Authority) -> bool {
        let mut origins = self.values("origin");
        let Some(origin) = origins.next() else {
            return true;
        };
        let (scheme, origin) = origin.split_once("://").unwrap_or(("", ""));
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let Ok(origin) = origin.parse::<Authority>() else {
            return false;
        };
        origins.next().is_none()
            && origin.host.eq_ignore_ascii_case(&host.host)
            && origin.port.unwrap_or(usual) == host.port.unwrap_or(usual)
    }

    /// The last addresses of `X-Forwarded-For`, up to one that is none.
    fn forwarded(&self) -> Vec<IpAddr> {
        let values = self.values("x-forwarded-for").rev();
        let listed = values.flat_map(|value| value.rsplit(','));
        let addresses = listed.map_while(|address| address.trim().parse().ok());
        let mut forwarded: Vec<IpAddr> = addresses.take(FORWARDED_MAX).collect();
        forwarded.reverse();
        forwarded
    }
}

/// What a server proves with that it speaks the protocol (RFC 6455, section 4.2.2); `None` if the key is none: 16 bytes
/// in base64.
fn accept(key: &str) -> Option<String> {
    use base64::engine::general_purpose::STANDARD as BASE64;
    use base64::Engine;

    let decoded = BASE64.decode(key).ok()?;
    (decoded.len() == 16).then(|| {
        let mut sha1 = sha1_smol::Sha1::from(key);
        sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        BASE64.encode(sha1.digest().bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn parse(head: &str) -> Option<Request> {
        let parsed = Request::parse(head.as_bytes(), |host| {
            host.is_local() || &*host.host == "chat.example.org"
        });
        parsed.map(|(_, request)| request)
    }

    /// What becomes of a request with these fields behind its first line.
    #[track_caller]
    fn wish(line: &str, fields: &[&str]) -> Wish {
        let head = [&[line], fields, &["", ""]].concat().join("\r\n");
        parse(&head).unwrap().wish
    }

    const UPGRADE: [&str; 5] = [
        "Host: localhost:8080",
        "Upgrade: WebSocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    #[test]
    fn a_socket_is_opened_as_the_rfc_says() {
        // Its own example, section 1.3.
        assert_eq!(accept(KEY).as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        let Wish::Socket { accept, coming } = wish("GET /ws?i=7 HTTP/1.1", &UPGRADE) else {
            panic!("it is one");
        };
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(coming.heard, Some(7));
        for without in 1..UPGRADE.len() {
            let mut fields = UPGRADE.to_vec();
            fields.remove(without);
            assert_eq!(wish("GET /ws HTTP/1.1", &fields), Wish::NoUpgrade);
        }
        for (index, wrong) in [
            (3, "Sec-WebSocket-Version: 8"),
            (4, "Sec-WebSocket-Key: short"),
            (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="),
        ] {
            let mut fields = UPGRADE.to_vec();
            fields[index] = wrong;
            assert_eq!(
                wish("GET /ws HTTP/1.1", &fields),
                Wish::NoUpgrade,
                "{wrong}"
            );
        }
        let [host, ..] = UPGRADE;
        assert_eq!(wish("HEAD /ws HTTP/1.1", &[host]), Wish::NoUpgrade);
    }

    #[test]
    fn a_page_of_another_origin_opens_no_socket() {
        for (origin, host, is_let_in) in [
            ("http://localhost:8080", "localhost:8080", true),
            ("https://chat.example.org", "chat.example.org", true),
            ("https://CHAT.example.org:443", "chat.example.org", true),
            ("http://chat.example.org", "chat.example.org:80", true),
            ("http://localhost:8081", "localhost:8080", false),
            ("http://evil.example.org", "chat.example.org", false),
            ("http://127.0.0.1:8080", "localhost:8080", false),
            ("null", "localhost:8080", false),
            ("file://", "localhost:8080", false),
            ("", "localhost:8080", false),
        ] {
            let mut fields = UPGRADE.map(str::to_owned).to_vec();
            fields[0] = format!("Host: {host}");
            fields.push(format!("Origin: {origin}"));
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let wish = wish("GET /ws HTTP/1.1", &fields);
            let is_socket = matches!(wish, Wish::Socket { .. });
            assert_eq!(is_socket, is_let_in, "{origin} at {host}");
            assert!(is_socket || wish == Wish::Refused(403));
        }
        let twice = [
            "Host: localhost",
            "Origin: http://localhost",
            "Origin: http://localhost",
        ];
        assert_eq!(wish("GET / HTTP/1.1", &twice), Wish::Refused(403));
    }

    #[test]
    fn what_is_not_there_or_not_asked_for_rightly_has_its_status() {
        let host = "Host: localhost";
        for (line, fields, status) in [
            ("GET /x HTTP/1.1", vec![host], 404),
            ("GET /favicon.ico HTTP/1.1", vec![host], 404),
            ("POST / HTTP/1.1", vec![host], 405),
            ("POST / HTTP/1.1", vec![host, "Content-Length: 3"], 413),
            (
                "GET / HTTP/1.1",
                vec![host, "Transfer-Encoding: chunked"],
                413,
            ),
            ("GET / HTTP/1.0", vec![host], 400),
            ("GET / HTTP/1.1", vec![], 400),
            ("GET / HTTP/1.1", vec![host, host], 400),
            ("GET / HTTP/1.1", vec!["Host: evil.example.org"], 421),
            ("GET / HTTP/1.1", vec!["Host: a b"], 400),
            ("hello everybody", vec![], 400),
        ] {
            assert_eq!(
                wish(line, &fields),
                Wish::Refused(status),
                "{line} {fields:?}"
            );
        }
        let many: Vec<String> = (0..65).map(|n| format!("X-{n}: y")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(wish("GET / HTTP/1.1", &many), Wish::Refused(431));
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(parse(&endless).unwrap().wish, Wish::Refused(431));
        assert_eq!(parse("GET / HTTP/1.1\r\nHost: local"), None);
    }

    #[test]
    fn a_head_that_is_cut_anywhere_is_understood_when_it_is_whole() {
        let head = format!(
            "GET /ws?run=1 HTTP/1.1\r\n{}\r\n\r\nrest",
            UPGRADE.join("\r\n")
        );
        let whole = head.len() - "rest".len();
        for end in 0..whole {
            assert_eq!(parse(&head[..end]), None, "{end} bytes");
        }
        let parsed = Request::parse(head.as_bytes(), |_| true);
        assert_eq!(parsed.map(|(length, _)| length), Some(whole));
    }

    #[test]
    fn front_ends_say_for_whom_they_come() {
        let of = |fields: &str| {
            let request = parse(&format!(
                "GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
            ));
            let addresses = request.unwrap().forwarded;
            addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(""), [""; 0]);
        let two = "X-Forwarded-For: 198.51.100.7, 10.0.0.1\r\nx-forwarded-for: ::1\r\n";
        assert_eq!(of(two), ["198.51.100.7", "10.0.0.1", "::1"]);
        assert_eq!(of("X-Forwarded-For: unknown, 10.0.0.1\r\n"), ["10.0.0.1"]);
        assert_eq!(of("X-Forwarded-For: 10.0.0.1:80\r\n"), [""; 0]);
    }
}
