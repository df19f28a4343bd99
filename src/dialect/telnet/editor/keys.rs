//! Bytes from a keyboard to keys.
//!
//! Owns what a packet may break off: a character, an escape sequence, the second half of a line end. Knows
//! nothing of lines or terminals' names: each key is taken in every form that telnet clients send, and whatever else a
//! terminal sends by itself (function keys, mouse, focus, answers to queries) is swallowed whole (ECMA-48, section 5,
//! and xterm's "Control Sequences").
//!
//! A lone ESC waits for the next byte without a time limit. A control character or the start of another sequence
//! breaks a sequence off, so that a slip of Alt never swallows more than the line it is in.
//!
//! Invariant: at most four bytes of a character and `PARAMETERS_MAX` of a sequence are kept.

use crate::dialect::telnet::steps;

/// No known key has more bytes than this between `ESC [` and the end of its sequence.
const PARAMETERS_MAX: usize = 4;

/// At most this many bytes belong to a sequence that does not end; what follows is text again.
const SEQUENCE_BYTES_MAX: u16 = 4_096;

const ESCAPE: u8 = 0x1b;

const BELL: u8 = 0x07;

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
    WordLeft,
    WordRight,
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

/// Bits of what was held with a cursor key, beside Shift (1) and Meta (8).
const ALT: u8 = 2;
const CTRL: u8 = 4;

/// Where in the stream the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Behind ESC.
    Escape,
    /// Behind `ESC [`.
    Sequence,
    /// Behind `ESC O`.
    Single,
    /// Behind `ESC [ [`, as the Linux console begins F1 to F5.
    Console,
    /// Behind `ESC [ M`: this many bytes more say where the mouse is.
    Mouse(u8),
    /// In a control string (OSC, DCS, SOS, PM, APC), which BEL or ST ends. `true` behind the byte C2, which may begin
    /// the ST of one character, U+009C.
    String(bool),
}

/// The state between two bytes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
    /// Of the sequence at hand.
    bytes: u16,
    parameters: Parameters,
    character: [u8; 4],
    character_length: usize,
    /// The last byte was a CR, so that a LF or NUL belongs to the same line end (RFC 1123, 3.3.1).
    after_return: bool,
    /// Between `ESC [ 200 ~` and `ESC [ 201 ~`: what comes is text, and no key but Enter. Ctrl-C, which no terminal
    /// pastes, ends it as well, so that nobody is caught in it.
    is_pasting: bool,
}

/// The bytes of a control sequence before its last, as far as a known key can have them.
#[derive(Debug, Default)]
struct Parameters {
    bytes: [u8; PARAMETERS_MAX],
    /// Counts on behind the last kept byte, so that a longer sequence is not taken for its beginning.
    length: usize,
    /// All of them are digits.
    are_digits: bool,
}

impl Decoder {
    /// Takes bytes from the front until they make a key; `None` when they are used up.
    pub(super) fn next_key(&mut self, bytes: &mut &[u8]) -> Option<Key> {
        while let Some((&byte, rest)) = bytes.split_first() {
            steps::count();
            if self.character_length > 0 && !self.continues_character(byte) {
                // The byte that broke the character off is looked at again, for itself.
                self.character_length = 0;
                return Some(Key::Character(char::REPLACEMENT_CHARACTER));
            }
            *bytes = rest;
            let key = self.take(byte).and_then(|key| self.paste(key));
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
            0x80.. => self.take_high(byte),
            ESCAPE => {
                self.begin(State::Escape);
                None
            }
            BELL if matches!(self.state, State::String(_)) => {
                self.state = State::Ground;
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

    /// In the middle of a paste, most keys are none.
    fn paste(&mut self, key: Key) -> Option<Key> {
        if !self.is_pasting {
            return Some(key);
        }
        match key {
            Key::Character(_) | Key::Enter => Some(key),
            Key::Tab => Some(Key::Character(' ')),
            Key::Interrupt => {
                self.is_pasting = false;
                Some(key)
            }
            _ => None,
        }
    }

    /// A sequence begins, or another part of it.
    fn begin(&mut self, state: State) {
        self.state = state;
        self.bytes = 0;
        self.parameters = Parameters {
            are_digits: true,
            ..Parameters::default()
        };
    }

    /// Counts a byte of a sequence that goes on, unless there were too many of them.
    fn go_on(&mut self, state: State) {
        self.bytes += 1;
        self.state = if self.bytes < SEQUENCE_BYTES_MAX {
            state
        } else {
            State::Ground
        };
    }

    fn take_printable(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.state) {
            State::Ground => return Some(Key::Character(char::from(byte))),
            State::Escape => self.take_escaped(byte),
            // Keys with Shift of rxvt end so (`ESC [ 7 $`), answers do not (`ESC [ ? 1 ; 2 $ y`).
            State::Sequence if byte == b'$' && self.parameters.is_number() => {
                return self.end_sequence(byte);
            }
            State::Sequence if byte < b'@' => {
                self.parameters.push(byte);
                self.go_on(State::Sequence);
            }
            State::Sequence if self.parameters.length == 0 && byte == b'[' => {
                self.state = State::Console;
            }
            State::Sequence if self.parameters.length == 0 && byte == b'M' => {
                self.state = State::Mouse(3);
            }
            State::Sequence => return self.end_sequence(byte),
            State::Single if matches!(byte, b'0'..=b'9' | b';') => {
                self.parameters.push(byte);
                self.go_on(State::Single);
            }
            State::Single => {
                let parameters = self.parameters.kept()?;
                return single(byte).or_else(|| sequence(parameters, byte));
            }
            State::Console => {}
            State::Mouse(left) => self.take_mouse(left),
            State::String(_) => self.go_on(State::String(false)),
        }
        None
    }

    /// Takes the byte behind ESC. Alt and a letter is no key of ours.
    fn take_escaped(&mut self, byte: u8) {
        match byte {
            b'[' => self.begin(State::Sequence),
            b'O' => self.begin(State::Single),
            b']' | b'P' | b'X' | b'^' | b'_' => self.begin(State::String(false)),
            _ => {}
        }
    }

    fn take_mouse(&mut self, left: u8) {
        if left > 1 {
            self.state = State::Mouse(left - 1);
        } else {
            self.state = State::Ground;
        }
    }

    /// Takes a byte of a character of more than one.
    fn take_high(&mut self, byte: u8) -> Option<Key> {
        match self.state {
            State::Mouse(left) => {
                self.take_mouse(left);
                return None;
            }
            State::String(true) if byte == 0x9c => {
                self.state = State::Ground;
                return None;
            }
            State::String(_) => {
                self.go_on(State::String(byte == 0xc2));
                return None;
            }
            // No sequence holds such a character, so it was broken off and this is text again.
            _ => self.state = State::Ground,
        }
        match self.take_of_character(byte)? {
            // The same as ESC and a letter, in one character.
            '\u{9b}' => self.begin(State::Sequence),
            '\u{8f}' => self.begin(State::Single),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => self.begin(State::String(false)),
            c => return Some(Key::Character(c)),
        }
        None
    }

    fn take_of_character(&mut self, byte: u8) -> Option<char> {
        let slot = self.character.get_mut(self.character_length)?;
        *slot = byte;
        self.character_length += 1;
        let kept = self.character.get(..self.character_length)?;
        match std::str::from_utf8(kept) {
            Err(error) if error.error_len().is_none() => None,
            outcome => {
                self.character_length = 0;
                let character = outcome.ok().and_then(|text| text.chars().next());
                Some(character.unwrap_or(char::REPLACEMENT_CHARACTER))
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

    fn end_sequence(&mut self, last: u8) -> Option<Key> {
        match (self.parameters.kept()?, last) {
            (b"200", b'~') => self.is_pasting = true,
            (b"201", b'~') => self.is_pasting = false,
            (parameters, last) => return sequence(parameters, last),
        }
        None
    }
}

impl Parameters {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
        }
        self.length = self.length.saturating_add(1);
        self.are_digits &= byte.is_ascii_digit();
    }

    /// All of them, or `None` if there were more than any known key has.
    fn kept(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }

    fn is_number(&self) -> bool {
        self.length > 0 && self.are_digits
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

/// The key of `ESC [ parameters last`, and of `ESC O parameters last`.
fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    // Those of rxvt with Shift end in `$`, with Ctrl in `^`, with both in `@`.
    let key = match (parameters, last) {
        (b"1" | b"7", b'~' | b'$' | b'^' | b'@') => Some(Key::Home),
        (b"4" | b"8", b'~' | b'$' | b'^' | b'@') => Some(Key::End),
        (b"3", b'~') => Some(Key::Delete),
        _ => None,
    };
    key.or_else(|| cursor_key(parameters, last))
}

fn cursor_key(parameters: &[u8], last: u8) -> Option<Key> {
    let held = match parameters {
        b"" => 0,
        parameters => modifiers(parameters)?,
    };
    let by_word = held & (ALT | CTRL) != 0;
    Some(match last {
        // A small letter is the key with Shift of rxvt.
        b'A' | b'a' => Key::Up,
        b'B' | b'b' => Key::Down,
        b'C' if by_word => Key::WordRight,
        b'C' | b'c' => Key::Right,
        b'D' if by_word => Key::WordLeft,
        b'D' | b'd' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}

/// Which keys were held: one less than the last number of `1;5`, or of `5`, as older terminals send it.
fn modifiers(parameters: &[u8]) -> Option<u8> {
    let digits = parameters.strip_prefix(b"1;").unwrap_or(parameters);
    let number: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (1..=16).contains(&number).then(|| number - 1)
}

/// The key of `ESC O last` that has no form with `ESC [`: the number pad in application mode, and the cursor keys with
/// Ctrl of rxvt.
fn single(last: u8) -> Option<Key> {
    Some(match last {
        b'p'..=b'y' => Key::Character(char::from(last - b'p' + b'0')),
        // `*`, `+`, `,`, `-`, `.` and `/`.
        b'j'..=b'o' => Key::Character(char::from(last - b'j' + b'*')),
        b'X' => Key::Character('='),
        b' ' => Key::Character(' '),
        b'I' => Key::Tab,
        b'M' => Key::Enter,
        b'c' => Key::WordRight,
        b'd' => Key::WordLeft,
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

    /// The keys of these bytes and of an `x` behind them, in one packet and byte by byte.
    #[track_caller]
    fn keys_before_x(bytes: impl AsRef<[u8]>) -> Vec<Key> {
        let bytes = [bytes.as_ref(), b"x"].concat();
        let whole = keys(&[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let shown = bytes.escape_ascii().to_string();
        assert_eq!(keys(&single), whole, "{shown} byte by byte");
        assert_eq!(whole.last(), Some(&Key::Character('x')), "{shown}");
        whole[..whole.len() - 1].to_vec()
    }

    #[test]
    fn cursor_keys_with_others_held_move_by_words_or_as_without() {
        for (key, forms) in [
            (
                Key::WordRight,
                &[
                    "\x1b[1;5C",
                    "\x1b[1;3C",
                    "\x1b[1;6C",
                    "\x1b[5C",
                    "\x1bO5C",
                    "\x1bOc",
                ][..],
            ),
            (
                Key::WordLeft,
                &["\x1b[1;5D", "\x1b[1;3D", "\x1b[5D", "\x1bO1;5D", "\x1bOd"],
            ),
            (
                Key::Right,
                &["\x1b[1;2C", "\x1b[c", "\x1bOC", "\u{9b}C", "\u{8f}C"],
            ),
            (Key::Left, &["\x1b[1;2D", "\x1b[d", "\x1b[1D"]),
            (Key::Up, &["\x1b[1;5A", "\x1b[a", "\x1bOa", "\x1b\x1b[A"]),
            (Key::Down, &["\x1b[1;2B", "\x1b[b", "\x1bOb"]),
            (Key::Home, &["\x1b[1;5H", "\x1b[7$", "\x1b[7^", "\x1b[7@"]),
            (Key::End, &["\x1b[1;2F", "\x1b[8$", "\x1b[8^", "\x1b[8@"]),
        ] {
            for form in forms {
                assert_eq!(keys_before_x(form), [key], "{form:?}");
            }
        }
    }

    #[test]
    fn the_number_pad_types_what_is_on_its_keys() {
        for (last, typed) in "pqrstuvwxyjklmnoX "
            .chars()
            .zip("0123456789*+,-./= ".chars())
        {
            let form = format!("\x1bO{last}");
            assert_eq!(keys_before_x(&form), [Key::Character(typed)], "{form:?}");
        }
        assert_eq!(keys_before_x("\x1bOM"), [Key::Enter]);
        assert_eq!(keys_before_x("\x1bOI"), [Key::Tab]);
    }

    #[test]
    fn what_is_no_key_of_ours_leaves_nothing_behind() {
        for unknown in [
            // Function keys, of xterm, of rxvt and of the Linux console; Insert and pages.
            "\x1bOP",
            "\x1bOS",
            "\x1bO2P",
            "\x1b[11~",
            "\x1b[15~",
            "\x1b[15;5~",
            "\x1b[23$",
            "\x1b[1;2P",
            "\x1b[[A",
            "\x1b[[E",
            "\x1b[2~",
            "\x1b[5~",
            "\x1b[6;5~",
            "\x1b[3;2~",
            "\x1b[33333~",
            "\x1b[31~",
            "\x1b[Z",
            "\x1b[P",
            "\x1b[K",
            "\x1b[2K",
            "\x1b[E",
            "\x1b[G",
            "\x1b[97;5u",
            "\x1b[27;5;13~",
            // Alt and a letter, twice ESC.
            "\x1ba",
            "\x1b\x1b[Z",
            // Focus and mouse.
            "\x1b[I",
            "\x1b[O",
            "\x1b[M !!",
            "\x1b[MCqz",
            "\x1b[<0;12;3M",
            "\x1b[<0;12;3m",
            "\x1b[32;10;20M",
            // Answers: attributes, place, size, state, modes, colours, clipboard, settings, names.
            "\x1b[?1;2c",
            "\x1b[>41;367;0c",
            "\x1b[=1c",
            "\x1b[24;80R",
            "\x1b[?24;80R",
            "\x1b[8;24;80t",
            "\x1b[0n",
            "\x1b[?0u",
            "\x1b[?2026;2$y",
            "\x1b[4;1$y",
            "\x1b[0 q",
            "\x1b]10;rgb:ffff/ffff/ffff\x07",
            "\x1b]52;c;aGVsbG8=\x1b\\",
            "\x1b]l老本罗\x1b\\",
            "\x1bP1$r0m\x1b\\",
            "\x1bP>|XTerm(367)\x1b\\",
            "\x1bP!|00000000\x1b\\",
            "\x1b_Gi=31;OK\x1b\\",
            "\x1b^pm\x1b\\",
            "\x1bXsos\x1b\\",
            "\u{9b}31m",
            "\u{9d}0;老罗\u{9c}",
            "\u{90}x\u{9c}",
            "\u{98}x\u{9c}",
            "\u{9e}x\x07",
            "\u{9f}x\u{9c}",
        ] {
            assert_eq!(keys_before_x(unknown), [], "{unknown:?}");
        }
        // Where the window is wider than 95 columns, the place of the mouse is no text.
        assert_eq!(keys_before_x(b"\x1b[M \xe4\xff"), []);
    }

    #[test]
    fn a_sequence_that_does_not_end_swallows_so_much_and_no_more() {
        for begin in [
            "\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b[", "\x1bO",
        ] {
            let most = usize::from(SEQUENCE_BYTES_MAX);
            let endless = [begin.as_bytes(), &b"1".repeat(most), b"end"].concat();
            assert_eq!(keys(&[&endless]), typed("end"), "{begin:?}");
            let single: Vec<&[u8]> = endless.chunks(1).collect();
            assert_eq!(keys(&single), typed("end"), "{begin:?} byte by byte");
        }
    }

    #[test]
    fn what_is_pasted_is_text() {
        let pasted = "\x1b[200~a\tb\x04\x7f\x01\x1b[A\x1bOp\r\nc\x1b[201~\x01";
        let mut expected = typed("a b0");
        expected.push(Key::Enter);
        expected.extend(typed("c"));
        expected.push(Key::Home);
        assert_eq!(keys_before_x(pasted), expected);
        let stuck = [Key::Character('a'), Key::Interrupt, Key::Home];
        assert_eq!(keys_before_x("\x1b[200~a\x03\x01"), stuck, "Ctrl-C ends it");
    }

    #[test]
    fn a_broken_off_sequence_does_not_swallow_what_breaks_it_off() {
        assert_eq!(keys(&[b"\x1b\r"]), [Key::Enter]);
        assert_eq!(keys(&[b"\x1b[1\x03"]), [Key::Interrupt]);
        assert_eq!(keys(&[b"\x1b[1\x1b[A"]), [Key::Up]);
        assert_eq!(keys(&["\x1b你".as_bytes()]), typed("你"));
        assert_eq!(keys(&["\x1bO你".as_bytes()]), typed("你"));
        assert_eq!(keys(&[b"\x1b]0;x\r"]), [Key::Enter]);
        assert_eq!(keys(&[b"\x1b]0;x\x1b[A"]), [Key::Up]);
        assert_eq!(keys(&[b"\x1b]0;x\x18y"]), typed("y"));
        assert_eq!(keys(&[b"\x1b[M \r"]), [Key::Enter]);
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
        fn text_is_decoded_as_the_standard_library_does(bytes in proptest::collection::vec(prop_oneof![0x20..0x7fu8, 0x80..0xc2u8, 0xc3..=0xffu8], 0..40)) {
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
        fn no_split_changes_the_keys(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(ESCAPE), Just(b'['), Just(b'O'), Just(b'\r'), Just(b'\n'), Just(b'3'), Just(b'~'), Just(b']'), Just(b'M'), Just(0xc2), Just(0x9b), Just(0x9c), Just(7)], 0..40)) {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(keys(&single), keys(&[&bytes]));
        }
    }
}
