//! What one person types: bytes in, requests out, whatever the cutting into packets. Telnet, keys, line editing and the
//! cleaning of lines end here.

use std::mem;

use memchr::memchr;

use crate::dialect::commands;
use crate::dialect::event::{Note, Reply};
use crate::dialect::foreign::{self, Opening};
use crate::dialect::input::{Context, Input};
use crate::dialect::line::{Line, LineBuffer};
use crate::dialect::request::Refusal;
use crate::dialect::telnet::editor::{is_sensible, Editor, Outcome, CHARACTERS_MAX};
use crate::dialect::telnet::options::Change;
use crate::dialect::telnet::protocol::{Meaning, Protocol, ETX, IAC};
use crate::dialect::telnet::text;
use crate::hygiene;
use crate::work::Work;

/// The usual telnet client does not look at this bit when it looks for keys of its own. So it takes the byte 0x83 of
/// `у` for Ctrl-C, and 0x9a of `的` for Ctrl-Z, and sends the command for the key in the middle of the character.
const EIGHTH_BIT: u8 = 0x80;

/// The read side of one person.
///
/// Invariant: there is an editor that has not ended exactly while the client sends every key by itself.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    opening: Opening,
    lines: LineBuffer,
    protocol: Protocol,
    editing: Option<Box<Editing>>,
    /// Ctrl-C was pressed and no line came since. Between the keys of an editor, that is for the editor to know.
    interrupted: bool,
    /// An interrupt came that is still to be acted on. A client that sends one throws away what it gets until the timing
    /// mark that follows is answered; so the hint comes after that answer.
    interrupt_waits: bool,
    /// The last second of the session's life in which Are You There was answered, counted from 1; 0 for never. After
    /// 18 hours the count begins anew, and all that suffers is one answer.
    answered_in: u16,
    /// The session was told that what is typed is not UTF-8.
    unreadable_told: bool,
}

/// The editor of a session that has one.
#[derive(Debug)]
struct Editing {
    editor: Editor,
    /// The client edits lines itself again; only its row is still to be erased.
    ended: bool,
}

/// What was found in the bytes, before anything is made of it.
#[derive(Debug, PartialEq, Eq)]
enum Found<'a> {
    Line(Line<'a>),
    Interrupt,
    AreYouThere,
    Input(Input<'static>),
}

impl Codec {
    /// Takes bytes from `input` until they ask for something; `None` when they are used up, or were enough work for one
    /// call. `scratch` lends room for the words of a request.
    pub(in crate::dialect) fn next<'a>(
        &mut self,
        input: &mut &[u8],
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        let begun = *context.lines_in > 0;
        let foreign = (self.opening).judge(&self.lines, input, begun, context.words_bytes_max);
        if foreign.is_some() {
            return foreign;
        }
        let length = input.len();
        let found = self.find(input, context);
        self.opening.handle_taken(length - input.len());
        if let Some(leave) = self.settle(context) {
            return Some(leave);
        }
        match found {
            None => foreign::judge_unfinished(&self.lines, begun),
            Some(Found::Line(line)) => Some(self.understand(&line, scratch, context)),
            Some(Found::Interrupt) => {
                self.interrupt_waits = true;
                Some(Input::Answered)
            }
            Some(Found::AreYouThere) => {
                self.say_that_we_are_there(context);
                Some(Input::Answered)
            }
            Some(Found::Input(input)) => Some(input),
        }
    }

    /// Acts on an interrupt that waits: the first one is answered with a hint, the second one in a row is a wish to
    /// leave. To be called when no more input is looked at for now.
    pub(in crate::dialect) fn settle<'a>(
        &mut self,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        if !mem::take(&mut self.interrupt_waits) {
            return None;
        }
        if mem::replace(&mut self.interrupted, true) && !self.is_editing() {
            return Some(Input::Leave);
        }
        answer(&Reply::Note(Note::InterruptAgain), context);
        None
    }

    /// What the last line asks for, of a stream that has ended without a line end.
    pub(in crate::dialect) fn finish<'a>(
        &mut self,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        let line = self.lines.finish()?;
        Some(self.understand(&line, scratch, context))
    }

    fn find<'a>(&mut self, input: &mut &'a [u8], context: &mut Context<'_>) -> Option<Found<'a>> {
        loop {
            if self.protocol.expects_text() {
                if let Some(found) = self.find_in_text(input, context) {
                    return Some(found);
                }
            }
            let Some((&byte, rest)) = input.split_first() else {
                return self.pause();
            };
            if context.has_done_enough() {
                return None;
            }
            if let Some(stray) = self.protocol.give_up_command(byte) {
                // What seemed to be a command was text, and the byte is looked at again for itself.
                let found = stray.iter().find_map(|byte| self.press(*byte, context));
                if found.is_some() {
                    return found;
                }
                continue;
            }
            *input = rest;
            context.work.add(Work::COMMAND_BYTE);
            let meaning = match self.protocol.byte(byte, context.out) {
                Meaning::Key(key) if breaks_off(self.lines.partial()) => {
                    self.protocol.ask_for_eight_bits(context.out);
                    Meaning::Text(EIGHTH_BIT | key)
                }
                meaning => meaning,
            };
            if let Some(found) = self.act(meaning, context) {
                return Some(found);
            }
        }
    }

    /// Takes text up to the next telnet command.
    fn find_in_text<'a>(
        &mut self,
        input: &mut &'a [u8],
        context: &mut Context<'_>,
    ) -> Option<Found<'a>> {
        let Some(Editing { editor, .. }) = self.editing() else {
            let line = self.lines.next(input, context.words_bytes_max, Some(IAC));
            return line.map(Found::Line);
        };
        let end = memchr(IAC, input).unwrap_or(input.len());
        let mut text = &input[..end.min(context.work.room_for(Work::KEY_BYTE))];
        let length = text.len();
        let outcome = editor.input(&mut text);
        context.work.add(Work::KEY_BYTE.times(length - text.len()));
        *input = &input[length - text.len()..];
        outcome.map(found)
    }

    fn act<'a>(&mut self, meaning: Meaning, context: &mut Context<'_>) -> Option<Found<'a>> {
        match meaning {
            Meaning::AreYouThere => Some(Found::AreYouThere),
            Meaning::EndOfFile => Some(Found::Input(Input::Leave)),
            Meaning::Text(byte) => self.press(byte, context),
            Meaning::Key(ETX) if self.is_editing() => self.press(ETX, context),
            Meaning::Key(ETX) => {
                self.lines.clear();
                Some(Found::Interrupt)
            }
            Meaning::Nothing | Meaning::Key(_) => None,
            Meaning::Columns(columns) => {
                if let Some(Editing { editor, .. }) = self.editing() {
                    editor.resize(columns);
                }
                None
            }
            Meaning::Change(change) => {
                let answered = self.change(change, context);
                answered.then_some(Found::Input(Input::Answered))
            }
        }
    }

    /// Takes one byte of text that came in other ways than as itself.
    fn press<'a>(&mut self, byte: u8, context: &mut Context<'_>) -> Option<Found<'a>> {
        if let Some(Editing { editor, .. }) = self.editing() {
            context.work.add(Work::KEY_BYTE);
            return editor.input(&mut &[byte][..]).map(found);
        }
        self.lines.push(&[byte], context.words_bytes_max);
        None
    }

    /// The bytes are used up; a Ctrl-D is not followed by a line end.
    fn pause<'a>(&mut self) -> Option<Found<'a>> {
        if !text::asks_to_leave(self.lines.partial()) {
            return None;
        }
        self.lines.clear();
        Some(Found::Input(Input::Leave))
    }

    fn understand<'a>(
        &mut self,
        line: &Line<'_>,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        self.interrupted = false;
        // If line editing was asked for and the client did not answer before this line, it never will.
        if let Some(change) = self.protocol.give_up_waiting() {
            self.change(change, context);
        }
        let line_bytes_max = match line {
            // It had too many characters for an editor.
            Line::TooLong(bytes) if *bytes <= context.words_bytes_max => CHARACTERS_MAX,
            _ => context.words_bytes_max,
        };
        let judge = foreign::judge_among_people;
        let line = match foreign::admit(line, context.lines_in, line_bytes_max, judge) {
            Ok(line) => line,
            Err(input) => return input,
        };
        let edited = text::edit(line);
        let clean = hygiene::clean(&edited);
        // The editor has decoded what it gives.
        let unreadable = clean.unreadable
            || self.is_editing() && clean.text.contains(char::REPLACEMENT_CHARACTER);
        if unreadable && !mem::replace(&mut self.unreadable_told, true) {
            answer(&Reply::Refused(&Refusal::Unreadable), context);
        }
        scratch.clear();
        scratch.push_str(&clean.text);
        match commands::parse(scratch, clean.altered) {
            Ok(None) => Input::Blank,
            Ok(Some(request)) => Input::Request(request),
            Err(refusal) => Input::Refused(refusal),
        }
    }

    /// Answers once in each second of the session's life, so that few bytes do not become many.
    fn say_that_we_are_there(&mut self, context: &mut Context<'_>) {
        let second = (context.age.as_secs() as u16).wrapping_add(1);
        if mem::replace(&mut self.answered_in, second) != second {
            answer(&Reply::Note(Note::StillHere), context);
        }
    }

    /// Bytes that are kept of an unfinished line, and all that an editor holds.
    pub(in crate::dialect) fn buffered(&self) -> usize {
        let editing = self.editing.as_ref().filter(|editing| !editing.ended);
        let edited = editing.map_or(0, |it| size_of::<Editing>() + it.editor.bytes());
        self.lines.partial().len() + edited
    }

    /// Forgets the unfinished line, and those that its person can call back.
    pub(in crate::dialect) fn clear(&mut self) {
        self.lines.clear();
        if let Some(Editing { editor, .. }) = self.editing() {
            editor.forget();
        }
    }
}

/// Line editing.
impl Codec {
    /// Whether the server edits the line, so that its person sees their own lines only if they are sent back.
    pub(in crate::dialect) fn is_editing(&self) -> bool {
        self.editing.as_ref().is_some_and(|editing| !editing.ended)
    }

    /// How wide the window is, where that is known and matters.
    pub(in crate::dialect) fn fold_columns(&self) -> Option<u16> {
        let columns = self.protocol.columns();
        (self.is_editing() && is_sensible(columns)).then_some(columns)
    }

    /// The session is in this room; `None`: in the lobby.
    pub(in crate::dialect) fn set_room(&mut self, room: Option<&str>) {
        if let Some(Editing { editor, .. }) = self.editing() {
            editor.set_prompt(room.unwrap_or_default());
        }
    }

    fn editing(&mut self) -> Option<&mut Editing> {
        self.editing.as_deref_mut().filter(|editing| !editing.ended)
    }

    /// The person wants line editing, or wants it no more.
    pub(in crate::dialect) fn set_editing(&mut self, on: bool, context: &mut Context<'_>) {
        if !on {
            if let Some(change) = self.protocol.stop_editing(context.out) {
                self.change(change, context);
            }
            answer(&Reply::Note(Note::Editing(false)), context);
        } else if self.protocol.is_editing() {
            answer(&Reply::Note(Note::Editing(true)), context);
        } else {
            self.protocol.ask_for_editing(context.out);
        }
    }

    /// Follows the client's agreement to line editing; whether something was said about it.
    fn change(&mut self, change: Change, context: &mut Context<'_>) -> bool {
        match change {
            Change::Begins { asked } => {
                let typed = self.lines.take_partial();
                let mut editor = Editor::new(context.words_bytes_max, &typed);
                self.lines.clear();
                // A client tells its size when that changes, not again when editing begins again.
                editor.resize(self.protocol.columns());
                editor.set_prompt(context.room.unwrap_or_default());
                // What was typed ahead is on the screen already, and the editor takes it over.
                editor.take_over_row();
                self.editing = Some(Box::new(Editing {
                    editor,
                    ended: false,
                }));
                if asked {
                    answer(&Reply::Note(Note::Editing(true)), context);
                }
                asked
            }
            Change::Ends => {
                if let Some(editing) = self.editing() {
                    editing.editor.forget();
                    editing.ended = true;
                }
                false
            }
            Change::Refused => {
                answer(&Reply::Refused(&Refusal::NoEditing), context);
                true
            }
        }
    }

    /// Answers [`Input::Complete`] with what the word may stand for, the best first.
    pub(in crate::dialect) fn complete(&mut self, candidates: &[String]) {
        if let Some(Editing { editor, .. }) = self.editing() {
            editor.complete(candidates);
        }
    }

    /// Whether texts must be framed by what the editor draws.
    pub(in crate::dialect) fn has_frame(&self) -> bool {
        self.editing.is_some()
    }

    /// Whether the screen does not show yet what the editor has to show.
    pub(in crate::dialect) fn is_stale(&self) -> bool {
        let editing = self.editing.as_ref();
        editing.is_some_and(|editing| editing.ended || editing.editor.is_stale())
    }

    /// Takes the row off the screen if texts follow.
    pub(in crate::dialect) fn begin_frame(&mut self, texts_follow: bool, out: &mut Vec<u8>) {
        let Some(Editing { editor, ended }) = self.editing.as_deref_mut() else {
            return;
        };
        if texts_follow || *ended {
            editor.erase(out);
        }
        if *ended {
            self.editing = None;
        }
    }

    /// Brings the row up to date, behind the texts.
    pub(in crate::dialect) fn end_frame(&mut self, out: &mut Vec<u8>) {
        if let Some(Editing { editor, .. }) = self.editing() {
            editor.draw(out);
        }
    }
}

fn answer(reply: &Reply<'_>, context: &mut Context<'_>) {
    text::encode_reply(reply, &context.to, context.out);
}

/// Whether the text breaks off within a character, as its last three bytes show: a character has four at most.
fn breaks_off(text: &[u8]) -> bool {
    let is_first = |byte: &u8| *byte & 0xc0 != 0x80;
    let tail = text.len().saturating_sub(3);
    let Some(last) = text[tail..].iter().rposition(is_first) else {
        return false;
    };
    std::str::from_utf8(&text[tail + last..]).is_err_and(|error| error.error_len().is_none())
}

fn found<'a>(outcome: Outcome) -> Found<'a> {
    match outcome {
        Outcome::Line(line) => Found::Line(Line::Whole(line.into_bytes().into())),
        Outcome::TooLong(bytes) => Found::Line(Line::TooLong(bytes)),
        Outcome::Complete(word) => Found::Input(Input::Complete(word)),
        Outcome::Interrupt => Found::Interrupt,
        Outcome::Quit => Found::Input(Input::Leave),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::dialect::event::To;
    use crate::dialect::telnet::steps;

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

    /// What a telnet session is found to say and answers when `bytes` come in packets of at most `packet` bytes.
    fn hear(bytes: &[u8], packet: usize) -> (Vec<Seen>, Vec<u8>) {
        let (mut codec, mut seen) = (Codec::default(), Vec::new());
        let (mut lines_in, mut work, mut out) = (0, Work::default(), Vec::new());
        let mut context = Context {
            age: Duration::ZERO,
            words_bytes_max: 20,
            to: To::default(),
            work: &mut work,
            room: None,
            lines_in: &mut lines_in,
            out: &mut out,
        };
        for mut input in bytes.chunks(packet) {
            while let Some(found) = codec.find(&mut input, &mut context) {
                seen.push(match found {
                    Found::Line(found) => line(found),
                    Found::Interrupt => Seen::Interrupt,
                    Found::AreYouThere => Seen::AreYouThere,
                    Found::Input(Input::Leave) => Seen::EndOfFile,
                    other @ Found::Input(_) => panic!("not in line mode: {other:?}"),
                });
            }
            assert!(input.is_empty());
        }
        seen.extend(codec.lines.finish().map(line));
        (seen, out)
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
        let (seen, _) = hear_however_cut(b"a\xff\xf6b\xff\xf1\xff\xf9\xff\x01c\xff\xffd\n\xff\xec");
        assert_eq!(
            seen,
            [Seen::AreYouThere, text("abc\u{fffd}d"), Seen::EndOfFile]
        );
    }

    #[test]
    fn f136_a_stray_byte_of_255_does_not_swallow_the_line_end() {
        for (bytes, expected) in [
            (&b"my \xff\r\nname\r\n"[..], ["my \u{fffd}", "name"]),
            (b"my \xff\nname\n", ["my \u{fffd}", "name"]),
            (b"my \xff\rname\r", ["my \u{fffd}", "name"]),
            (b"my \xff\0\r\0name\r\0", ["my \u{fffd}\0", "name"]),
            (b"\xff\xfb\nname\n", ["\u{fffd}\u{fffd}", "name"]),
            (b"\xff\xfe\r\nname\n", ["\u{fffd}\u{fffd}", "name"]),
            (b"\xff\xfa\nname\n", ["\u{fffd}\u{fffd}", "name"]),
        ] {
            let (seen, reply) = hear_however_cut(bytes);
            assert_eq!(seen, expected.map(text), "{}", bytes.escape_ascii());
            assert!(reply.is_empty());
        }
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

    /// The longest that is read at once.
    const PACKET: usize = 64 * 1024;

    /// Somebody who edits, at a terminal of 1,000 columns.
    struct Desk {
        codec: Codec,
        lines_in: u64,
    }

    impl Desk {
        fn new() -> Self {
            let mut desk = Self {
                codec: Codec::default(),
                lines_in: 1,
            };
            // Agrees to be edited, and tells the size of the window.
            desk.turn(b"\xff\xfd\x01\xff\xfd\x03\xff\xfa\x1f\x03\xe8\x00\x18\xff\xf0");
            assert!(desk.codec.is_editing());
            assert_eq!(desk.codec.fold_columns(), Some(1000));
            desk
        }

        /// Reads a packet and sends a frame; gives how many code points were looked at, and what was drawn.
        fn turn(&mut self, mut input: &[u8]) -> (usize, Vec<u8>) {
            let (mut scratch, mut work, mut out) = (String::new(), Work::default(), Vec::new());
            let mut context = Context {
                age: Duration::ZERO,
                words_bytes_max: 4_096,
                to: To::default(),
                work: &mut work,
                room: None,
                lines_in: &mut self.lines_in,
                out: &mut out,
            };
            steps::take();
            while !input.is_empty() {
                *context.work = Work::default();
                while self
                    .codec
                    .next(&mut input, &mut scratch, &mut context)
                    .is_some()
                {}
            }
            let mut drawn = Vec::new();
            self.codec.begin_frame(false, &mut drawn);
            self.codec.end_frame(&mut drawn);
            assert!(!self.codec.is_stale());
            (steps::take(), drawn)
        }
    }

    /// What a packet may make the editor look at: some for each byte, and a few times the line for one row.
    fn steps_max(bytes: usize) -> usize {
        130 * bytes + 4 * CHARACTERS_MAX
    }

    #[test]
    fn f120_keys_are_as_much_work_as_they_are_bytes_whatever_is_in_the_line() {
        let lines = ["🇩", "\u{301}", "x", "👍🏽", "a\u{301}", "\u{200d}", "你", " "];
        let keys: [&[u8]; 16] = [
            b"\x01\xff\xf1\x05\xff\xf1",
            b"\x01\xff\xfa\x1f\x03\xe8\x00\x18\xff\xf0\x05\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0",
            b"\x02",
            b"\x01\x06\x06",
            b"\x02\x02\x06",
            b"\x1b[1;5D\x1b[1;5C",
            b"\x10\x0e",
            b"\x10 \x7f",
            b"\x10\x17",
            b"\x10\x15",
            b"\x10\x01\x0b",
            b"\x01\x04",
            b"\x01y\x05\x7f",
            b"\x05\x7fx",
            b"\x0c",
            b"\x1b[200~\t\x1b[201~\x7f",
        ];
        for line in lines {
            let line = line.repeat(2_000);
            let line = line.as_bytes();
            let line = &line[..line.len().min(4_000)];
            for keys in keys {
                let mut desk = Desk::new();
                let (steps, _) = desk.turn(line);
                assert!(steps <= steps_max(line.len()), "{steps} for the line");
                // Some of the keys want an older line.
                desk.turn(b"\r");
                desk.turn(line);
                desk.turn(b"!");
                let packet = keys.repeat(PACKET / keys.len());
                let (steps, drawn) = desk.turn(&packet);
                let what = keys.escape_ascii();
                assert!(steps <= steps_max(packet.len()), "{steps} for {what}");
                assert!(
                    drawn.len() < 4_200,
                    "{} bytes are drawn for {what}",
                    drawn.len()
                );
            }
        }
    }

    #[test]
    fn f120_all_that_an_editor_holds_is_counted() {
        let mut desk = Desk::new();
        let empty = desk.codec.buffered();
        for number in 0..60 {
            desk.turn(&[&[b'a' + number % 26; 300][..], b"\r"].concat());
        }
        let of_history = desk.codec.buffered() - empty;
        assert!((50 * 300..80 * 300).contains(&of_history), "{of_history}");
        desk.turn("\u{301}".repeat(2_000).as_bytes());
        let of_line = desk.codec.buffered() - empty - of_history;
        assert!((4_000..=8_192).contains(&of_line), "{of_line}");
        desk.turn(b"\x03");
        assert_eq!(desk.codec.buffered(), empty + of_history, "given back");
        desk.turn(b"a\t");
        let names: Vec<String> = (0..50).map(|number| format!("anna{number:060}")).collect();
        desk.codec.complete(&names);
        let of_names = desk.codec.buffered() - empty - of_history;
        assert!(of_names >= 50 * 64, "{of_names}");
        desk.codec.clear();
        assert_eq!(desk.codec.buffered(), empty);
    }

    #[test]
    fn f121_a_key_that_was_a_command_looks_at_the_last_character_alone() {
        assert!(breaks_off(b"\xd1") && breaks_off(b"x\xe2\x80") && breaks_off(b"\xf0\x9f\x8c"));
        for whole in [&b""[..], b"x", b"x\x80", "у".as_bytes(), "🌏".as_bytes()] {
            assert!(!breaks_off(whole), "{}", whole.escape_ascii());
        }
        // Four thousand of these are no character, whatever stands before them.
        assert!(!breaks_off(&[&b"\xf0"[..], &[0x80; 4_000]].concat()));
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
