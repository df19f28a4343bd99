//! The header that a front end writes before what its client sends: the PROXY protocol, versions 1 and 2
//! (`proxy-protocol.txt`).

use std::net::{IpAddr, SocketAddr};

/// A header may have 4 KiB: an address takes at most 52 bytes, and the rest are extensions, which are passed over.
pub(super) const HEADER_BYTES_MAX: usize = 4096;

/// A line of version 1 has at most 107 bytes with its end (section 2.1).
const LINE_BYTES_MAX: usize = 107;

/// How a header of version 2 begins (section 2.2) …
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// … and how many bytes stand before its addresses.
const FIXED_BYTES: usize = 16;

/// How a header of version 1 begins.
const WORD: &[u8; 6] = b"PROXY ";

/// For whom a front end has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// For a client at this address.
    Client(SocketAddr),
    /// For a client that it cannot name.
    Unknown,
    /// For itself: it looks whether we live (section 2.2, `LOCAL`).
    Itself,
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preface {
    /// The beginning of a header.
    Partial,
    /// A header of this many bytes.
    Whole(usize, Source),
    /// Something else.
    Wrong,
}

/// Looks at the first bytes of a connection.
pub(super) fn parse(bytes: &[u8]) -> Preface {
    let begins = |with: &[u8]| {
        let length = bytes.len().min(with.len());
        bytes[..length] == with[..length]
    };
    if bytes.is_empty() {
        Preface::Partial
    } else if begins(WORD) {
        parse_line(bytes)
    } else if begins(SIGNATURE) {
        parse_binary(bytes)
    } else {
        Preface::Wrong
    }
}

/// Version 1: `PROXY TCP4 SOURCE DESTINATION PORT PORT`, or `PROXY UNKNOWN` and whatever follows.
fn parse_line(bytes: &[u8]) -> Preface {
    let head = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', head) else {
        return if head.len() < LINE_BYTES_MAX {
            Preface::Partial
        } else {
            Preface::Wrong
        };
    };
    let source = head[..end]
        .strip_suffix(b"\r")
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(source_of_line);
    source.map_or(Preface::Wrong, |source| Preface::Whole(end + 1, source))
}

fn source_of_line(line: &str) -> Option<Source> {
    let mut words = line.split(' ').skip(1);
    let is_right = match words.next()? {
        "TCP4" => IpAddr::is_ipv4,
        "TCP6" => IpAddr::is_ipv6,
        "UNKNOWN" => return Some(Source::Unknown),
        _ => return None,
    };
    let mut address = || {
        let address = words.next()?.parse::<IpAddr>().ok();
        address.filter(is_right)
    };
    let (source, _) = (address()?, address()?);
    let mut port = || {
        let word = words.next()?;
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse::<u16>().ok().filter(|_| is_number)
    };
    let (port, _) = (port()?, port()?);
    words
        .next()
        .is_none()
        .then(|| Source::Client(SocketAddr::new(source.to_canonical(), port)))
}

/// Version 2: the signature, version and command, family and protocol, a length, and addresses of that length or less.
fn parse_binary(bytes: &[u8]) -> Preface {
    let Some(fixed) = bytes.get(..FIXED_BYTES) else {
        return Preface::Partial;
    };
    let (version, command) = (fixed[12] >> 4, fixed[12] & 0xf);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if version != 2 || command > 1 || FIXED_BYTES + length > HEADER_BYTES_MAX {
        return Preface::Wrong;
    }
    let whole = FIXED_BYTES + length;
    let Some(addresses) = bytes.get(FIXED_BYTES..whole) else {
        return Preface::Partial;
    };
    let source = match (command, fixed[13]) {
        (0, _) => Some(Source::Itself),
        // TCP over IPv4 and IPv6.
        (_, 0x11) => client(addresses, 4),
        (_, 0x21) => client(addresses, 16),
        // Of no family, or of a Unix socket.
        (_, 0x00 | 0x31) => Some(Source::Unknown),
        _ => None,
    };
    source.map_or(Preface::Wrong, |source| Preface::Whole(whole, source))
}

/// Both addresses, of this many bytes each, and both ports: the client's.
fn client(bytes: &[u8], address_bytes: usize) -> Option<Source> {
    let address = bytes.get(..address_bytes)?;
    let ports: &[u8; 4] = bytes.get(2 * address_bytes..)?.first_chunk()?;
    let address = match <[u8; 4]>::try_from(address) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    let port = u16::from_be_bytes([ports[0], ports[1]]);
    Some(Source::Client(SocketAddr::new(
        address.to_canonical(),
        port,
    )))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = addresses.len() as u16;
        let fixed = [&SIGNATURE[..], &[command, family], &length.to_be_bytes()].concat();
        [&fixed, addresses].concat()
    }

    fn v4() -> Vec<u8> {
        binary(
            0x21,
            0x11,
            &[198, 51, 100, 7, 10, 0, 0, 1, 0xc8, 0x22, 0x0d, 0x05],
        )
    }

    fn client_at(address: &str) -> Source {
        Source::Client(address.parse().unwrap())
    }

    fn wholes() -> Vec<(Vec<u8>, Source)> {
        let v6 = [
            &Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets()[..],
            &Ipv6Addr::LOCALHOST.octets(),
            &[0xc8, 0x22, 0x0d, 0x05],
        ];
        let mut extended = v4();
        extended[15] += 6;
        extended.extend(b"\x04\0\x03abc");
        let lines = [
            (
                "PROXY TCP4 198.51.100.7 10.0.0.1 51234 3333\r\n",
                "198.51.100.7:51234",
            ),
            (
                "PROXY TCP6 2001:db8::7 ::1 51234 3333\r\n",
                "[2001:db8::7]:51234",
            ),
            (
                "PROXY TCP6 ::ffff:198.51.100.7 ::1 1 2\r\n",
                "198.51.100.7:1",
            ),
        ];
        let lines = lines.map(|(line, address)| (line.into(), client_at(address)));
        let mut all = Vec::from(lines);
        all.extend([
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Unknown),
            (
                b"PROXY UNKNOWN ffff::1 what ever\r\n".to_vec(),
                Source::Unknown,
            ),
            (v4(), client_at("198.51.100.7:51234")),
            (extended, client_at("198.51.100.7:51234")),
            (
                binary(0x21, 0x21, &v6.concat()),
                client_at("[2001:db8::7]:51234"),
            ),
            (binary(0x21, 0x00, b""), Source::Unknown),
            (binary(0x21, 0x31, &[0; 216]), Source::Unknown),
            (binary(0x20, 0x00, b""), Source::Itself),
            (binary(0x20, 0x11, &[0; 12]), Source::Itself),
        ]);
        all
    }

    #[test]
    fn a_header_is_whole_at_its_end_and_not_before() {
        for (header, source) in wholes() {
            for split in 0..header.len() {
                let part = &header[..split];
                assert_eq!(parse(part), Preface::Partial, "{part:?}");
            }
            let whole = Preface::Whole(header.len(), source);
            assert_eq!(parse(&header), whole);
            for rest in [&b"hello\r\n"[..], b"\0", &header] {
                assert_eq!(parse(&[&header, rest].concat()), whole, "{rest:?} behind");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_wrong_as_soon_as_that_is_known() {
        let wrong = |bytes: &[u8]| {
            let from = (0..=bytes.len()).find(|end| parse(&bytes[..*end]) != Preface::Partial);
            let from = from.unwrap_or_else(|| panic!("{bytes:?} may become a header"));
            for end in from..=bytes.len() {
                assert_eq!(parse(&bytes[..end]), Preface::Wrong, "{:?}", &bytes[..end]);
            }
            from
        };
        assert_eq!(wrong(b"hello\r\n"), 1);
        assert_eq!(wrong(b"PROXX TCP4"), 5);
        assert_eq!(wrong(b"\r\n\r\nGET"), 5);
        assert_eq!(wrong(&[b'\xff'; 40]), 1);
        for line in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 51234\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 51234 3333 1\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 51234 65536\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 +1 2\r\n",
            "PROXY TCP4  198.51.100.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
            "PROXY TCP6 198.51.100.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 198.51.100.07 10.0.0.1 1 2\r\n",
            "PROXY TCP5 198.51.100.7 10.0.0.1 1 2\r\n",
            "PROXY tcp4 198.51.100.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 1 2\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\r\n",
            "PROXY UNKNOWN\n",
        ] {
            assert_eq!(wrong(line.as_bytes()), line.len(), "{line:?}");
        }
        let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
        assert_eq!(wrong(&endless), LINE_BYTES_MAX);
        let not_text = b"PROXY UNKNOWN \xff\xfe\r\n";
        assert_eq!(wrong(not_text), not_text.len());
        // A version, a command, a length and protocols that there are not, and too few bytes for the addresses.
        for (place, byte) in [(12, 0x11), (12, 0x22), (14, 0x10)] {
            let mut header = v4();
            header[place] = byte;
            assert_eq!(wrong(&header), FIXED_BYTES, "{byte} at {place}");
        }
        for family in [0x12, 0x22, 0x41, 0x13] {
            let mut header = v4();
            header[13] = family;
            assert_eq!(wrong(&header), header.len(), "{family}");
        }
        assert_eq!(wrong(&binary(0x21, 0x11, &[0; 11])), FIXED_BYTES + 11);
        assert_eq!(wrong(&binary(0x21, 0x21, &[0; 35])), FIXED_BYTES + 35);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_a_header_lies_within_them(
            start in 0..3_usize,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let start: &[u8] = [&b""[..], WORD, SIGNATURE][start];
            let bytes = [start, &bytes].concat();
            if let Preface::Whole(length, _) = parse(&bytes) {
                prop_assert!(length <= bytes.len() && length <= HEADER_BYTES_MAX);
            }
        }
    }
}
