//! Other protocols, told by their first bytes: what they say is not chat.
//!
//! A browser can be made to send any text to any port; so the first line of a request ends the session, before the
//! lines behind it could speak.

use crate::dialect::input::Input;
use crate::dialect::line::LineBuffer;

/// A line of more bytes than this means no line at all.
const FLOOD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The first bytes of a TLS handshake (RFC 8446, section 5.1): its type and the version of the record.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

/// Whether a stream that begins so is not spoken by a person or a program of ours.
pub(super) fn is_foreign(first_line: &[u8]) -> bool {
    first_line.starts_with(TLS_HANDSHAKE)
        // RFC 4253, section 4.2.
        || first_line.starts_with(b"SSH-")
        // The header of a proxy in front of us, version 1.
        || first_line.starts_with(b"PROXY TCP")
        || first_line.starts_with(b"PROXY UNKNOWN")
        || is_http_request(first_line)
}

/// `METHOD TARGET HTTP/x.y` (RFC 9112, section 3).
fn is_http_request(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let version = words.next_back().unwrap_or_default();
    is_method(method)
        && words.next().is_some()
        && version
            .strip_prefix(b"HTTP/")
            .is_some_and(|version| version.first().is_some_and(u8::is_ascii_digit))
}

/// Whether the first line of a stream, of which `lines` has the beginning and `input` what follows, is an HTTP request
/// that is longer than a line may be.
pub(super) fn is_endless(lines: &LineBuffer, input: &[u8], line_bytes_max: usize) -> bool {
    lines.discarded() == 0 && is_endless_request(lines.partial(), input, line_bytes_max)
}

/// What is to be said of a line whose end has not come: nothing, if it may still become one. `begun` if it is not the
/// first of its stream.
pub(super) fn judge_unfinished<'a>(lines: &LineBuffer, begun: bool) -> Option<Input<'a>> {
    if !begun && is_foreign(lines.partial()) {
        return Some(Input::Foreign);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_told_by_their_first_bytes() {
        for line in [
            &b"\x16\x03\x01\x02\x00\x01\x00"[..],
            b"GET / HTTP/1.1",
            b"POST /chat?x HTTP/1.0",
            b"OPTIONS * HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"SSH-2.0-OpenSSH_9.2p1",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2",
        ] {
            assert!(is_foreign(line), "{}", line.escape_ascii());
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

    #[test]
    fn people_may_say_such_words() {
        for line in [
            "",
            "GET it",
            "get / HTTP/1.1",
            "what is HTTP/2",
            "SSHhh",
            "PROXY votes",
            "GET HTTP/1.1",
            "NAME YW5u",
        ] {
            assert!(!is_foreign(line.as_bytes()), "{line}");
        }
    }
}
