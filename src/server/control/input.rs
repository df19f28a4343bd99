//! What an operator has sent, cut into lines.
//!
//! Invariant: besides one read, at most a line is kept.

use memchr::memchr;

/// A line may have 4096 bytes, without its end.
pub(in crate::server) const LINE_BYTES_MAX: usize = 4096;

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Line {
    Whole(String),
    /// It is not UTF-8, and gone.
    NoText,
    /// It was longer than allowed, by bytes, and is gone.
    TooLong(usize),
}

/// The lines of a stream, ended by LF or CR LF.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// How many bytes of a line that is too long have gone.
    skipped: usize,
    /// Nothing more comes.
    has_ended: bool,
}

impl Input {
    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // A CR at the end may belong to the end of the line.
        let text = without_cr(&self.bytes).len();
        if text > LINE_BYTES_MAX && !self.has_end() {
            self.skip(text);
        }
    }

    /// The stream has ended.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a line is there, be it the last one, which has no end.
    pub(super) fn has_line(&self) -> bool {
        self.has_end() || self.has_ended && (!self.bytes.is_empty() || self.skipped > 0)
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Option<Line> {
        let (length, taken) = match memchr(b'\n', &self.bytes) {
            Some(end) => (without_cr(&self.bytes[..end]).len(), end + 1),
            None if self.has_line() => (without_cr(&self.bytes).len(), self.bytes.len()),
            None => return None,
        };
        let whole = self.skipped + length;
        let line = if whole > LINE_BYTES_MAX {
            Line::TooLong(whole)
        } else {
            let text = String::from_utf8(self.bytes[..length].to_vec());
            text.map_or(Line::NoText, Line::Whole)
        };
        self.bytes.drain(..taken);
        self.skipped = 0;
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        let rest = without_cr(&self.bytes).len();
        if rest > LINE_BYTES_MAX && !self.has_end() {
            self.skip(rest);
        }
        Some(line)
    }

    fn has_end(&self) -> bool {
        memchr(b'\n', &self.bytes).is_some()
    }

    fn skip(&mut self, bytes: usize) {
        self.skipped += bytes;
        self.bytes.drain(..bytes);
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.bytes.len()
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(packets: &[&[u8]]) -> Vec<Line> {
        let (mut input, mut lines) = (Input::default(), Vec::new());
        for packet in packets {
            input.push(packet);
            assert!(input.kept() <= packet.len() + LINE_BYTES_MAX + 1);
            lines.extend(std::iter::from_fn(|| input.next()));
        }
        input.end();
        lines.extend(std::iter::from_fn(|| input.next()));
        assert_eq!(input.next(), None);
        assert!(!input.has_line());
        lines
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.to_owned())
    }

    #[test]
    fn lines_end_with_lf_or_cr_lf_and_the_last_one_with_the_stream() {
        assert_eq!(
            lines(&[b"a\nb\r\n\nc\rd", b"e\r", b"\nf"]),
            ["a", "b", "", "c\rde", "f"].map(whole)
        );
        assert_eq!(lines(&[b"a\n"]), [whole("a")]);
        assert_eq!(lines(&[b"a\xff\nb\n"]), [Line::NoText, whole("b")]);
        assert_eq!(lines(&[]), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_gone() {
        let longest = "x".repeat(LINE_BYTES_MAX);
        for end in ["\n", "\r\n"] {
            let fits = format!("{longest}{end}y\n");
            assert_eq!(lines(&[fits.as_bytes()]), [whole(&longest), whole("y")]);
            let too_long = format!("{longest}x{end}y\n");
            let expected = [Line::TooLong(LINE_BYTES_MAX + 1), whole("y")];
            assert_eq!(lines(&[too_long.as_bytes()]), expected);
            for cut in [1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, LINE_BYTES_MAX + 2] {
                let (first, second) = too_long.as_bytes().split_at(cut);
                assert_eq!(lines(&[first, second]), expected, "{cut}");
            }
        }
        let long = vec![b'x'; 1_000_000];
        let packets: Vec<&[u8]> = long.chunks(8192).collect();
        assert_eq!(lines(&packets), [Line::TooLong(1_000_000)]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_lines_are_cut(
            lengths in prop::collection::vec((4090..4100_usize, any::<bool>()), 1..4),
            size in 1..9000_usize,
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (length, with_cr) in lengths {
                bytes.extend(std::iter::repeat_n(b'x', length));
                bytes.extend(if with_cr { &b"\r\n"[..] } else { b"\n" });
                expected.push(if length > LINE_BYTES_MAX {
                    Line::TooLong(length)
                } else {
                    Line::Whole("x".repeat(length))
                });
            }
            let packets: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(lines(&packets), expected);
        }
    }
}
