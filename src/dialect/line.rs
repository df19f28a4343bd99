//! Bytes to lines: where one line ends and the next begins, and nothing else.
//!
//! A [`LineBuffer`] looks at every byte once. A line that lies whole in the bytes at hand is lent from them; only
//! an unfinished tail is copied, and its memory leaves with the line when that is complete, so that a session which
//! is not in the middle of a line owns no heap.
//!
//! Invariant: at most `line_bytes_max` bytes are ever buffered.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

/// What stands between two line ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// The bytes of the line without its end.
    Whole(Cow<'a, [u8]>),
    /// The line was longer than allowed and is gone; its length in bytes.
    TooLong(usize),
}

/// Cuts a stream of bytes into lines.
///
/// CR LF, CR NUL, LF and a lone CR are one line end each (RFC 1123, section 3.3.1), however the bytes are cut into
/// packets.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    partial: Vec<u8>,
    /// Bytes of an over-long line seen so far; 0 while the line still fits.
    discarded: usize,
    /// The last byte was CR: a LF or NUL that follows belongs to it.
    after_cr: bool,
}

impl LineBuffer {
    /// Takes bytes from `input` up to and with the next line end and gives that line, or `None` when `input` is used
    /// up or begins with `escape`, the byte that is not part of the text (telnet's IAC).
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        line_bytes_max: usize,
        escape: Option<u8>,
    ) -> Option<Line<'a>> {
        if self.after_cr {
            match input.first() {
                None => return None,
                Some(b'\n' | 0) => *input = &input[1..],
                Some(_) => {}
            }
            self.after_cr = false;
        }
        let found = match escape {
            Some(escape) => memchr3(b'\n', b'\r', escape, input),
            None => memchr2(b'\n', b'\r', input),
        };
        let (text, rest) = input.split_at(found.unwrap_or(input.len()));
        if let Some((&end @ (b'\n' | b'\r'), rest)) = rest.split_first() {
            *input = rest;
            self.after_cr = end == b'\r';
            return Some(self.complete(text, line_bytes_max));
        }
        *input = rest;
        self.push(text, line_bytes_max);
        None
    }

    /// Adds bytes, none of them a line end, to the unfinished line.
    pub(crate) fn push(&mut self, text: &[u8], line_bytes_max: usize) {
        if self.discarded > 0 {
            self.discarded += text.len();
        } else if self.partial.len() + text.len() > line_bytes_max {
            self.discarded = self.partial.len() + text.len();
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(text);
        }
    }

    /// The unfinished line, which counts as a line when the stream has ended; `None` if there is none.
    pub(crate) fn finish(&mut self) -> Option<Line<'static>> {
        if self.discarded > 0 {
            return Some(Line::TooLong(std::mem::take(&mut self.discarded)));
        }
        let line = self.take_partial();
        (!line.is_empty()).then_some(Line::Whole(Cow::Owned(line)))
    }

    /// Forgets the unfinished line.
    pub(crate) fn clear(&mut self) {
        self.partial = Vec::new();
        self.discarded = 0;
    }

    /// The unfinished line as far as it is known.
    pub(crate) fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// Takes the unfinished line away.
    pub(crate) fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// Bytes of the over-long line that is being skipped; 0 if none is.
    pub(crate) fn discarded(&self) -> usize {
        self.discarded
    }

    fn complete<'a>(&mut self, text: &'a [u8], line_bytes_max: usize) -> Line<'a> {
        if self.discarded == 0 && self.partial.is_empty() && text.len() <= line_bytes_max {
            return Line::Whole(Cow::Borrowed(text));
        }
        self.push(text, line_bytes_max);
        match std::mem::take(&mut self.discarded) {
            0 => Line::Whole(Cow::Owned(self.take_partial())),
            bytes => Line::TooLong(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 8;

    /// Feeds `bytes` in packets of the given lengths (the last one takes the rest) and collects the lines.
    fn lines(bytes: &[u8], packets: &[usize]) -> Vec<Result<Vec<u8>, usize>> {
        let mut buffer = LineBuffer::default();
        let mut got = Vec::new();
        let mut keep = |line: Line<'_>| {
            got.push(match line {
                Line::Whole(text) => Ok(text.into_owned()),
                Line::TooLong(bytes) => Err(bytes),
            });
        };
        let mut rest = bytes;
        for &length in packets.iter().chain(&[usize::MAX]) {
            let (mut packet, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            while let Some(line) = buffer.next(&mut packet, MAX, None) {
                keep(line);
            }
            assert!(packet.is_empty());
            assert!(buffer.partial.len() <= MAX);
        }
        if let Some(line) = buffer.finish() {
            keep(line);
        }
        got
    }

    /// The same by the slow and obvious way: one byte at a time over the whole stream.
    fn reference(bytes: &[u8]) -> Vec<Result<Vec<u8>, usize>> {
        let mut got = Vec::new();
        let mut line = Vec::new();
        let mut index = 0;
        let finish = |line: &mut Vec<u8>| {
            let line = std::mem::take(line);
            if line.len() > MAX {
                Err(line.len())
            } else {
                Ok(line)
            }
        };
        while index < bytes.len() {
            match bytes[index] {
                b'\n' => got.push(finish(&mut line)),
                b'\r' => {
                    got.push(finish(&mut line));
                    if matches!(bytes.get(index + 1), Some(b'\n' | 0)) {
                        index += 1;
                    }
                }
                byte => line.push(byte),
            }
            index += 1;
        }
        if !line.is_empty() {
            got.push(finish(&mut line));
        }
        got
    }

    #[test]
    fn every_line_end_counts_once() {
        let ok = |text: &str| Ok(text.as_bytes().to_vec());
        assert_eq!(
            lines(b"a\r\nb\r\0c\nd\re", &[]),
            [ok("a"), ok("b"), ok("c"), ok("d"), ok("e")]
        );
        assert_eq!(
            lines(b"\n\r\n\r\r\n", &[]),
            [ok(""), ok(""), ok(""), ok("")]
        );
    }

    #[test]
    fn the_limit_is_exact() {
        assert_eq!(lines(b"12345678\r\n", &[]), [Ok(b"12345678".to_vec())]);
        assert_eq!(
            lines(b"123456789\r\nnext\n", &[]),
            [Err(9), Ok(b"next".to_vec())]
        );
        assert_eq!(lines(b"123456789", &[3, 3]), [Err(9)]);
    }

    #[test]
    fn a_whole_line_is_lent_and_a_tail_gives_its_memory_back() {
        let mut buffer = LineBuffer::default();
        let mut input: &[u8] = b"whole\nta";
        assert_eq!(
            buffer.next(&mut input, MAX, None),
            Some(Line::Whole(Cow::Borrowed(b"whole")))
        );
        assert_eq!(buffer.next(&mut input, MAX, None), None);
        input = b"il\n";
        assert_eq!(
            buffer.next(&mut input, MAX, None),
            Some(Line::Whole(Cow::Borrowed(b"tail")))
        );
        assert_eq!(buffer.partial.capacity(), 0);
    }

    #[test]
    fn stops_at_the_escape_byte() {
        let mut buffer = LineBuffer::default();
        let mut input: &[u8] = b"ab\xffcd\n";
        assert_eq!(buffer.next(&mut input, MAX, Some(0xff)), None);
        assert_eq!(input, b"\xffcd\n");
        assert_eq!(buffer.partial(), b"ab");
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_lines(
            bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b'x')], 0..60),
            packets in prop::collection::vec(0_usize..6, 0..30),
        ) {
            prop_assert_eq!(lines(&bytes, &packets), reference(&bytes));
        }
    }
}
