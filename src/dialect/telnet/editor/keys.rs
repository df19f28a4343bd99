//! Bytes from a keyboard to keys.
//!
//! Owns what a packet may break off: a character, an escape sequence, the second half of a line end. Knows
//! nothing of lines or terminals' names: each key is taken in every form that telnet clients send.
//!
//! Invariant: at most four bytes of a character and `PARAMETERS_MAX` of a sequence are kept.

/// No known key has more bytes than this between `ESC [` and the end of its sequence.
const PARAMETERS_MAX: usize = 4;

const ESCAPE: u8 = 0x1b;

/// What a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Character(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    /// Ctrl-D: [`Key::Delete`], or the end on an empty line.
    DeleteOrQuit,
    Left,
    Right,
    Home,
    End,
    Up,
    Down,
    KillToStart,
    KillToEnd,
    KillWord,
    Redraw,
    Interrupt,
}

/// Where in the stream the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Behind ESC. There is no time limit: a lone ESC waits for the next byte.
    Escape,
    /// Behind `ESC [`.
    Sequence,
    /// Behind `ESC O`.
    Single,
    /// Behind `ESC [ [`, as the Linux console begins F1 to F5.
    Console,
}

/// The state between two bytes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
    parameters: Parameters,
    character: [u8; 4],
    character_length: usize,
    /// The last byte was a CR, so that a LF or NUL belongs to the same line end (RFC 1123, 3.3.1).
    after_return: bool,
}

/// The bytes of a control sequence before its last, as far as a known key can have them.
#[derive(Debug, Default)]
struct Parameters {
    bytes: [u8; PARAMETERS_MAX],
    /// Counts on behind the last kept byte, so that a longer sequence is not taken for its beginning.
    length: usize,
}

impl Decoder {
    /// Takes bytes from the front until they make a key; `None` when they are used up.
    pub(super) fn next_key(&mut self, bytes: &mut &[u8]) -> Option<Key> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.character_length > 0 && !self.continues_character(byte) {
                // The byte that broke the character off is looked at again, for itself.
                self.character_length = 0;
                return Some(Key::Character(char::REPLACEMENT_CHARACTER));
            }
            *bytes = rest;
            let key = self.take(byte);
            if key.is_some() {
                return key;
            }
        }
        None
    }

    fn take(&mut self, byte: u8) -> Option<Key> {
        let after_return = std::mem::take(&mut self.after_return);
        if after_return && matches!(byte, b'\n' | 0) {
            return None;
        }
        match byte {
            // Whatever a sequence was, a control character or the start of another one breaks it off.
            0x80.. => {
                self.state = State::Ground;
                self.take_of_character(byte)
            }
            ESCAPE => {
                self.state = State::Escape;
                None
            }
            0x00..=0x1f | 0x7f => {
                self.state = State::Ground;
                self.after_return = byte == b'\r';
                control(byte)
            }
            _ => self.take_printable(byte),
        }
    }

    fn take_printable(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.state) {
            State::Ground => return Some(Key::Character(char::from(byte))),
            // Two bytes and no more, also where a string of any length might follow (`ESC ]`): no answer of a
            // terminal is ever asked for, and a slip of Alt must not swallow what is typed next.
            State::Escape => {
                self.parameters.length = 0;
                match byte {
                    b'[' => self.state = State::Sequence,
                    b'O' => self.state = State::Single,
                    _ => {}
                }
            }
            State::Sequence if byte < b'@' => {
                self.parameters.push(byte);
                self.state = State::Sequence;
            }
            State::Sequence if byte == b'[' && self.parameters.length == 0 => {
                self.state = State::Console;
            }
            State::Sequence => {
                return self
                    .parameters
                    .kept()
                    .and_then(|parameters| sequence(parameters, byte))
            }
            State::Single => return sequence(b"", byte),
            State::Console => {}
        }
        None
    }

    fn take_of_character(&mut self, byte: u8) -> Option<Key> {
        let slot = self.character.get_mut(self.character_length)?;
        *slot = byte;
        self.character_length += 1;
        let kept = self.character.get(..self.character_length)?;
        match std::str::from_utf8(kept) {
            Err(error) if error.error_len().is_none() => None,
            outcome => {
                self.character_length = 0;
                let character = outcome.ok().and_then(|text| text.chars().next());
                Some(Key::Character(
                    character.unwrap_or(char::REPLACEMENT_CHARACTER),
                ))
            }
        }
    }

    /// Whether the byte can stand behind those of the character kept so far.
    fn continues_character(&self, byte: u8) -> bool {
        let mut longer = self.character;
        let Some(slot) = longer.get_mut(self.character_length) else {
            return false;
        };
        *slot = byte;
        let longer = longer.get(..=self.character_length).unwrap_or(&[]);
        std::str::from_utf8(longer).map_or_else(|error| error.error_len().is_none(), |_| true)
    }
}

impl Parameters {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    /// All of them, or `None` if there were more than any known key has.
    fn kept(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }
}

fn control(byte: u8) -> Option<Key> {
    Some(match byte {
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Interrupt,
        0x04 => Key::DeleteOrQuit,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x08 | 0x7f => Key::Backspace,
        b'\t' => Key::Tab,
        b'\n' | b'\r' => Key::Enter,
        0x0b => Key::KillToEnd,
        0x0c => Key::Redraw,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x15 => Key::KillToStart,
        0x17 => Key::KillWord,
        _ => return None,
    })
}

/// The key of `ESC [ parameters last`, and of `ESC O last`.
fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    Some(match (parameters, last) {
        (b"", b'A') => Key::Up,
        (b"", b'B') => Key::Down,
        (b"", b'C') => Key::Right,
        (b"", b'D') => Key::Left,
        (b"", b'H') | (b"1" | b"7", b'~') => Key::Home,
        (b"", b'F') | (b"4" | b"8", b'~') => Key::End,
        (b"3", b'~') => Key::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The keys of the pieces, decoded one after the other.
    fn keys(pieces: &[&[u8]]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            found.extend(std::iter::from_fn(|| decoder.next_key(&mut rest)));
            assert!(rest.is_empty());
        }
        found
    }

    fn typed(text: &str) -> Vec<Key> {
        text.chars().map(Key::Character).collect()
    }

    #[test]
    fn every_line_end_is_one_enter() {
        for (bytes, count) in [
            (&b"\r\n"[..], 1),
            (b"\r\0", 1),
            (b"\n", 1),
            (b"\r", 1),
            (b"\r\r", 2),
            (b"\n\n", 2),
            (b"\r\n\n", 2),
            (b"\r\n\r\n", 2),
            (b"\r\0\n", 2),
            (b"\n\r", 2),
            (b"\0\0", 0),
        ] {
            assert_eq!(keys(&[bytes]), vec![Key::Enter; count], "{bytes:?}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(
                keys(&single),
                vec![Key::Enter; count],
                "{bytes:?} byte by byte"
            );
        }
    }

    #[test]
    fn every_form_of_a_key_is_known() {
        for (key, forms) in [
            (Key::Up, &["\x1b[A", "\x1bOA", "\x10"][..]),
            (Key::Down, &["\x1b[B", "\x1bOB", "\x0e"]),
            (Key::Right, &["\x1b[C", "\x1bOC", "\x06"]),
            (Key::Left, &["\x1b[D", "\x1bOD", "\x02"]),
            (
                Key::Home,
                &["\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01"],
            ),
            (
                Key::End,
                &["\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05"],
            ),
            (Key::Delete, &["\x1b[3~"]),
            (Key::Backspace, &["\x08", "\x7f"]),
        ] {
            for form in forms {
                assert_eq!(keys(&[form.as_bytes()]), [key], "{form:?}");
                let single: Vec<&[u8]> = form.as_bytes().chunks(1).collect();
                assert_eq!(keys(&single), [key], "{form:?} byte by byte");
            }
        }
    }

    #[test]
    fn unknown_sequences_leave_nothing_behind() {
        for unknown in [
            "\x1b[1;5C",
            "\x1b[200~",
            "\x1b[15~",
            "\x1b[33333~",
            "\x1b[[A",
            "\x1b[?1;2c",
            "\x1b[3;2~",
            "\x1bb",
            "\x1bOP",
            "\x1b\x1b[Z",
            "\x1b[0 q",
            "\x1b[31~",
        ] {
            assert_eq!(
                keys(&[format!("{unknown}x").as_bytes()]),
                typed("x"),
                "{unknown:?}"
            );
        }
    }

    #[test]
    fn a_broken_off_sequence_does_not_swallow_what_breaks_it_off() {
        assert_eq!(keys(&[b"\x1b\r"]), [Key::Enter]);
        assert_eq!(keys(&[b"\x1b[1\x03"]), [Key::Interrupt]);
        assert_eq!(keys(&[b"\x1b[1\x1b[A"]), [Key::Up]);
        assert_eq!(keys(&["\x1b你".as_bytes()]), typed("你"));
        assert_eq!(keys(&["\x1bO你".as_bytes()]), typed("你"));
    }

    #[test]
    fn half_a_character_waits_and_a_broken_one_is_replaced() {
        assert_eq!(keys(&[b"\xe4\xbd"]), []);
        assert_eq!(keys(&[b"\xe4\xbd", b"\xa0"]), typed("你"));
        assert_eq!(keys(&[b"\xe4\xbd", b"a"]), typed("\u{fffd}a"));
        assert_eq!(
            keys(&[b"\xe4\xbd", b"\r"]),
            [Key::Character('\u{fffd}'), Key::Enter]
        );
        assert_eq!(keys(&[b"\xff"]), typed("\u{fffd}"));
    }

    proptest! {
        #[test]
        fn text_is_decoded_as_the_standard_library_does(bytes in proptest::collection::vec(prop_oneof![0x20..0x7fu8, 0x80..=0xffu8], 0..40)) {
            // A control character at the end shows what still waits.
            let mut ended = bytes.clone();
            ended.push(b'\r');
            let mut expected = typed(&String::from_utf8_lossy(&bytes));
            expected.push(Key::Enter);
            let single: Vec<&[u8]> = ended.chunks(1).collect();
            prop_assert_eq!(keys(&single), expected.clone());
            prop_assert_eq!(keys(&[&ended]), expected);
        }

        #[test]
        fn no_split_changes_the_keys(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(ESCAPE), Just(b'['), Just(b'O'), Just(b'\r'), Just(b'\n'), Just(b'3'), Just(b'~')], 0..40)) {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(keys(&single), keys(&[&bytes]));
        }
    }
}
