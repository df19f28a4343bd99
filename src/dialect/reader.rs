//! The read side of a session: bytes in, what was heard out, whatever the cutting into packets.

use memchr::memchr;

use super::editor::{Editor, Outcome, Word};
use super::line::{Line, LineBuffer};
use super::negotiation::Change;
use super::telnet::{Meaning, Telnet, ETX, IAC};
use super::{text, Dialect};

/// The usual telnet client does not look at this bit when it looks for keys of its own. So it takes the byte 0x83 of
/// `у` for Ctrl-C, and 0x9a of `的` for Ctrl-Z, and sends the command for the key in the middle of the character.
const EIGHTH_BIT: u8 = 0x80;

/// What a session was heard to say or do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A line.
    Line(Line<'a>),
    /// Ctrl-C. The line being typed is forgotten.
    Interrupt,
    /// Telnet's Are You There.
    AreYouThere,
    /// Ctrl-D on an empty line, or telnet's EOF: the person wants to leave.
    EndOfFile,
    /// Tab behind a word, to be answered with [`Reader::complete`].
    Complete(Word),
    /// The person asked for line editing, and here it is.
    EditingBegins,
    /// The person asked for line editing, and the client does not go along.
    EditingRefused,
}

/// Turns the bytes of one session into what was heard.
///
/// Invariant: there is an editor that has not ended exactly while the client sends every key by itself.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: LineBuffer,
    /// `None` for programs.
    telnet: Option<Telnet>,
    editing: Option<Box<Editing>>,
}

/// The editor of a session that has one.
#[derive(Debug)]
struct Editing {
    editor: Editor,
    /// What it has drawn since the last frame.
    drawn: Vec<u8>,
    /// The client edits lines itself again; only what was drawn is still to be sent.
    ended: bool,
}

impl Reader {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let telnet = (dialect == Dialect::Telnet).then(Telnet::default);
        Self {
            lines: LineBuffer::default(),
            telnet,
            editing: None,
        }
    }

    /// Takes bytes from `input` until something was heard, or gives `None` when they are used up. What the protocol
    /// below the text has to answer is added to `reply`.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        line_bytes_max: usize,
        reply: &mut Vec<u8>,
    ) -> Option<Heard<'a>> {
        if self.telnet.is_none() {
            return self
                .lines
                .next(input, line_bytes_max, None)
                .map(Heard::Line);
        }
        loop {
            if self.telnet.as_ref().is_some_and(Telnet::expects_text) {
                if let Some(heard) = self.next_of_text(input, line_bytes_max) {
                    return Some(heard);
                }
            }
            let Some((&byte, rest)) = input.split_first() else {
                return self.pause();
            };
            *input = rest;
            let telnet = self.telnet.as_mut()?;
            let meaning = match telnet.byte(byte, reply) {
                Meaning::Key(key) if breaks_off(self.lines.partial()) => {
                    telnet.ask_for_eight_bits(reply);
                    Meaning::Text(EIGHTH_BIT | key)
                }
                meaning => meaning,
            };
            if let Some(heard) = self.act(meaning, line_bytes_max) {
                return Some(heard);
            }
        }
    }

    /// Takes text up to the next telnet command.
    fn next_of_text<'a>(
        &mut self,
        input: &mut &'a [u8],
        line_bytes_max: usize,
    ) -> Option<Heard<'a>> {
        let Some(Editing { editor, drawn, .. }) = self.editing() else {
            return self
                .lines
                .next(input, line_bytes_max, Some(IAC))
                .map(Heard::Line);
        };
        let (mut text, _) = input.split_at(memchr(IAC, input).unwrap_or(input.len()));
        let length = text.len();
        let outcome = editor.input(&mut text, drawn);
        *input = &input[length - text.len()..];
        outcome.map(heard)
    }

    fn act<'a>(&mut self, meaning: Meaning, line_bytes_max: usize) -> Option<Heard<'a>> {
        match meaning {
            Meaning::AreYouThere => Some(Heard::AreYouThere),
            Meaning::EndOfFile => Some(Heard::EndOfFile),
            Meaning::Text(byte) => self.press(byte, line_bytes_max),
            Meaning::Key(ETX) if self.is_editing() => self.press(ETX, line_bytes_max),
            Meaning::Key(ETX) => {
                self.lines.clear();
                Some(Heard::Interrupt)
            }
            Meaning::Nothing | Meaning::Key(_) => None,
            Meaning::Columns(columns) => {
                if let Some(Editing { editor, drawn, .. }) = self.editing() {
                    editor.resize(columns, drawn);
                }
                None
            }
            Meaning::Change(change) => self.change(change, line_bytes_max),
        }
    }

    /// Takes one byte of text that came in other ways than as itself.
    fn press<'a>(&mut self, byte: u8, line_bytes_max: usize) -> Option<Heard<'a>> {
        if let Some(Editing { editor, drawn, .. }) = self.editing() {
            return editor.input(&mut &[byte][..], drawn).map(heard);
        }
        self.lines.push(&[byte], line_bytes_max);
        None
    }

    fn change<'a>(&mut self, change: Change, line_bytes_max: usize) -> Option<Heard<'a>> {
        match change {
            Change::Begins { asked } => {
                let mut drawn = Vec::new();
                self.begin_frame(true, &mut drawn);
                // What was typed ahead is on the screen already, and the editor takes it over.
                drawn.extend_from_slice(b"\r\x1b[J");
                let mut editor = Editor::new(line_bytes_max, &self.lines.take_partial());
                self.lines.clear();
                // A client tells its size when that changes, not again when editing begins again.
                editor.resize(self.telnet.as_ref().map_or(0, Telnet::columns), &mut drawn);
                self.editing = Some(Box::new(Editing {
                    editor,
                    drawn,
                    ended: false,
                }));
                asked.then_some(Heard::EditingBegins)
            }
            Change::Ends => {
                if let Some(editing) = self.editing() {
                    editing.ended = true;
                }
                None
            }
            Change::Refused => Some(Heard::EditingRefused),
        }
    }

    /// The bytes are used up; a Ctrl-D is not followed by a line end.
    fn pause<'a>(&mut self) -> Option<Heard<'a>> {
        if !text::asks_to_leave(self.lines.partial()) {
            return None;
        }
        self.lines.clear();
        Some(Heard::EndOfFile)
    }

    /// The last line of a stream that ended without a line end.
    pub(crate) fn finish(&mut self) -> Option<Line<'static>> {
        self.lines.finish()
    }

    /// The unfinished line as far as it is known.
    pub(crate) fn partial(&self) -> &[u8] {
        self.lines.partial()
    }

    /// Bytes of an over-long line that goes on and on.
    pub(crate) fn discarded(&self) -> usize {
        self.lines.discarded()
    }

    /// Bytes that are kept of an unfinished line, and of those that its person can call back.
    pub(crate) fn buffered(&self) -> usize {
        let editing = self.editing.as_ref().filter(|editing| !editing.ended);
        self.lines.partial().len() + editing.map_or(0, |editing| editing.editor.bytes())
    }

    /// Forgets the unfinished line, and those that its person can call back.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        if let Some(Editing { editor, .. }) = self.editing() {
            editor.forget();
        }
    }
}

/// Line editing.
impl Reader {
    /// Whether the server edits the line, so that the person sees her own lines only if they are sent back.
    pub(crate) fn is_editing(&self) -> bool {
        self.editing.as_ref().is_some_and(|editing| !editing.ended)
    }

    fn editing(&mut self) -> Option<&mut Editing> {
        self.editing.as_deref_mut().filter(|editing| !editing.ended)
    }

    /// The person wants line editing, or wants it no more. What is to be sent to her client goes to `reply`.
    pub(crate) fn set_editing(
        &mut self,
        on: bool,
        line_bytes_max: usize,
        reply: &mut Vec<u8>,
    ) -> Option<Heard<'static>> {
        let telnet = self.telnet.as_mut()?;
        if !on {
            let change = telnet.stop_editing(reply)?;
            return self.change(change, line_bytes_max);
        }
        if telnet.is_editing() {
            return Some(Heard::EditingBegins);
        }
        telnet.ask_for_editing(reply);
        None
    }

    /// A line was typed in line mode. If line editing was asked for and the client did not answer, it never will.
    pub(crate) fn give_up_waiting(&mut self) -> Option<Heard<'static>> {
        let change = self.telnet.as_mut()?.give_up_waiting()?;
        self.change(change, 0)
    }

    /// Answers [`Heard::Complete`] with what the word may stand for, the best first.
    pub(crate) fn complete(&mut self, candidates: &[String]) {
        if let Some(Editing { editor, drawn, .. }) = self.editing() {
            editor.complete(candidates, drawn);
        }
    }

    /// Whether texts must be framed by what the editor draws.
    pub(crate) fn has_frame(&self) -> bool {
        self.editing.is_some()
    }

    /// Whether the editor has drawn something that has not been sent.
    pub(crate) fn has_drawn(&self) -> bool {
        self.editing
            .as_ref()
            .is_some_and(|editing| !editing.drawn.is_empty())
    }

    /// Adds what was drawn since the last frame, and takes the row off the screen if texts follow.
    pub(crate) fn begin_frame(&mut self, texts_follow: bool, out: &mut Vec<u8>) {
        let Some(Editing {
            editor,
            drawn,
            ended,
        }) = self.editing.as_deref_mut()
        else {
            return;
        };
        out.extend(std::mem::take(drawn));
        if texts_follow || *ended {
            editor.erase(out);
        }
        if *ended {
            self.editing = None;
        }
    }

    /// Puts the row back on the screen, behind the texts.
    pub(crate) fn end_frame(&mut self, out: &mut Vec<u8>) {
        if let Some(Editing { editor, .. }) = self.editing() {
            editor.draw(out);
        }
    }
}

/// Whether the text breaks off within a character.
fn breaks_off(text: &[u8]) -> bool {
    let is_first = |byte: &u8| *byte & 0xc0 != 0x80;
    let Some(last) = text.iter().rposition(is_first) else {
        return false;
    };
    std::str::from_utf8(&text[last..]).is_err_and(|error| error.error_len().is_none())
}

fn heard<'a>(outcome: Outcome) -> Heard<'a> {
    match outcome {
        Outcome::Line(line) => Heard::Line(Line::Whole(line.into_bytes().into())),
        Outcome::TooLong(bytes) => Heard::Line(Line::TooLong(bytes)),
        Outcome::Complete(word) => Heard::Complete(word),
        Outcome::Interrupt => Heard::Interrupt,
        Outcome::Quit => Heard::EndOfFile,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Text(String),
        TooLong(usize),
        Interrupt,
        AreYouThere,
        EndOfFile,
    }

    fn line(line: Line<'_>) -> Seen {
        match line {
            Line::Whole(text) => Seen::Text(String::from_utf8_lossy(&text).into_owned()),
            Line::TooLong(bytes) => Seen::TooLong(bytes),
        }
    }

    /// What a telnet session hears and answers when `bytes` come in packets of at most `packet` bytes.
    fn hear(bytes: &[u8], packet: usize) -> (Vec<Seen>, Vec<u8>) {
        let (mut reader, mut seen, mut reply) =
            (Reader::new(Dialect::Telnet), Vec::new(), Vec::new());
        for mut input in bytes.chunks(packet) {
            while let Some(heard) = reader.next(&mut input, 20, &mut reply) {
                seen.push(match heard {
                    Heard::Line(heard) => line(heard),
                    Heard::Interrupt => Seen::Interrupt,
                    Heard::AreYouThere => Seen::AreYouThere,
                    Heard::EndOfFile => Seen::EndOfFile,
                    other => panic!("not in line mode: {other:?}"),
                });
            }
            assert!(input.is_empty());
        }
        seen.extend(reader.finish().map(line));
        (seen, reply)
    }

    fn hear_however_cut(bytes: &[u8]) -> (Vec<Seen>, Vec<u8>) {
        let whole = hear(bytes, usize::MAX);
        for packet in 1..=bytes.len() {
            assert_eq!(hear(bytes, packet), whole, "in packets of {packet}");
        }
        whole
    }

    fn text(text: &str) -> Seen {
        Seen::Text(text.into())
    }

    #[test]
    fn control_c_of_the_usual_client_is_an_interrupt_and_its_mark_is_answered() {
        let (seen, reply) = hear_however_cut(b"half\xff\xf4\xff\xfd\x06hello\r\n\xff\xfd\x06");
        assert_eq!(seen, [Seen::Interrupt, text("hello")]);
        assert_eq!(
            reply, b"\xff\xfb\x06\xff\xfb\x06",
            "every mark, each time anew"
        );
    }

    #[test]
    fn a_byte_that_the_client_took_for_a_key_is_put_back() {
        // `у` is d1 83, `的` is e7 9a 84, `“` is e2 80 9c, `🌏` is f0 9f 8c 8f.
        let (seen, reply) = hear_however_cut(
            b"t\xd1\xff\xf4\xff\xfd\x06t \xe7\xff\xed\xff\xfd\x06\x84 \xe2\x80\xff\xf3 \xf0\x9f\x8c\xff\xf5\r\n",
        );
        assert_eq!(seen, [text("tуt 的 “ 🌏")]);
        assert_eq!(
            reply, b"\xff\xfd\x00\xff\xfb\x06\xff\xfb\x06",
            "the client is asked once to stop that"
        );
        let (seen, reply) = hear_however_cut(b"\xd1\xff\xf4\n\xff\xfb\x00\xff\xfb\x00\xff\xf4");
        assert_eq!(seen, [text("у"), Seen::Interrupt]);
        assert_eq!(reply, b"\xff\xfd\x00", "its answer is not answered");
    }

    #[test]
    fn an_option_is_refused_once() {
        let (seen, reply) = hear_however_cut(
            b"\xff\xfd\x05a\xff\xfd\x05\xff\xfb\x18\xff\xfb\x18\xff\xfc\x05\xff\xfe\x05b\n",
        );
        assert_eq!(seen, [text("ab")]);
        assert_eq!(reply, b"\xff\xfc\x05\xff\xfe\x18");
    }

    #[test]
    fn plain_text_is_never_answered() {
        let (seen, reply) = hear_however_cut("你好 héllo\r\nplain\n".as_bytes());
        assert_eq!(seen, [text("你好 héllo"), text("plain")]);
        assert!(reply.is_empty());
    }

    #[test]
    fn commands_act_and_unknown_ones_vanish() {
        let (seen, _) = hear_however_cut(b"a\xff\xf6b\xff\xf1\xff\xf9\xff\x00c\xff\xffd\n\xff\xec");
        assert_eq!(
            seen,
            [Seen::AreYouThere, text("abc\u{fffd}d"), Seen::EndOfFile]
        );
    }

    #[test]
    fn erasing_commands_are_keys() {
        let (seen, _) = hear_however_cut(b"ab\xff\xf7c\xff\xf8d\n");
        assert_eq!(seen, [text("ab\x7fc\x15d")]);
    }

    #[test]
    fn subnegotiations_are_skipped() {
        let (seen, reply) = hear_however_cut(
            b"a\xff\xfa\x1f\x00\xff\xff\x00\x10\xff\xf0b\xff\xfa\x1f\x00\xff\x00\x10\xff\xf0c\n",
        );
        assert_eq!(seen, [text("abc")]);
        assert!(reply.is_empty());
    }

    #[test]
    fn an_endless_subnegotiation_does_not_swallow_the_connection() {
        let mut bytes = b"\xff\xfa\x1f".to_vec();
        bytes.extend([b'x'; 200]);
        bytes.extend(b"\nhello\n");
        let (seen, _) = hear_however_cut(&bytes);
        assert_eq!(seen.last(), Some(&text("hello")));
    }

    #[test]
    fn control_d_leaves_on_an_empty_line_only() {
        assert_eq!(hear(b"\x04", 1).0, [Seen::EndOfFile]);
        assert_eq!(hear(b"ab\x7f\x08\x04", 1).0, [Seen::EndOfFile]);
        assert_eq!(hear(b"a\x04\n", 1).0, [text("a\x04")]);
    }

    proptest! {
        #[test]
        fn any_cutting_is_heard_the_same(
            bytes in prop::collection::vec(
                prop_oneof![
                    Just(0xff), Just(0xf4), Just(0xfa), Just(0xf0), Just(0xfb), Just(0xfd), Just(0xfe), Just(6), Just(1),
                    Just(b'\r'), Just(b'\n'), Just(0), Just(b'x'), any::<u8>()
                ].prop_filter("Control-D is judged when the packet ends", |byte| *byte != 4),
                0..80,
            ),
            packet in 1_usize..8,
        ) {
            prop_assert_eq!(hear(&bytes, packet), hear(&bytes, usize::MAX));
        }
    }
}
