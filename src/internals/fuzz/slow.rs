//! Inputs that make the server do much for few bytes: the codecs' charged work, what they find, and what they answer.
//!
//! Whatever the bytes are and however they are cut, each of these stays below a constant for each byte and each packet.
//! The work is counted, so the same input is always as slow.

use std::time::Duration;

use crate::dialect::event::To;
use crate::dialect::input::{Context, Input};
use crate::dialect::{Codec, Dialect};
use crate::work::Work;

/// More than this is never sent at once in the other targets either.
const INPUT_BYTES_MAX: usize = 1000;

/// Short enough that inputs reach it.
const LINE_BYTES_MAX: usize = 200;

/// Each byte is a key or part of a telnet command at most, and neither is looked at twice.
const WORK_PER_BYTE: [Work; 2] = [Work::KEY_BYTE, Work::COMMAND_BYTE];

/// A question of the protocol has two bytes at least, and its answer three; a key that ends a line shows that line.
const ANSWER_BYTES_PER_BYTE: usize = 8;

/// A draw shows what was typed so far, each byte of which may take three on the screen, and moves the cursor …
const DRAWN_BYTES_PER_TYPED_BYTE: usize = 3;
/// … beside the mark before the line, the names that Tab offers, and telnet's own questions.
const DRAWN_BYTES: usize = 500;

/// Each thing that is found takes a byte, but for what waits at the end of a packet.
const FOUND_PER_PACKET: usize = 1;

/// The first byte says how long the packets are, which dialect is spoken, and whether there is an editor.
pub(super) fn check(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX)];
    let packet = usize::from(first & 0x3f) + 1;
    let dialect = if first & 0x40 == 0 {
        Dialect::Telnet
    } else {
        Dialect::Wire
    };
    let mut session = Session::new(dialect);
    if first & 0x80 != 0 {
        session.take(b"\xff\xfd\x01\xff\xfd\x03");
        session.set_editing();
    }
    for packet in bytes.chunks(packet) {
        session.take(packet);
    }
}

/// A codec, and what it was given so far.
struct Session {
    codec: Codec,
    bytes: usize,
    lines_in: u64,
}

impl Session {
    fn new(dialect: Dialect) -> Self {
        Self {
            codec: Codec::new(dialect),
            bytes: 0,
            lines_in: 0,
        }
    }

    fn set_editing(&mut self) {
        let (mut work, mut out) = (Work::default(), Vec::new());
        let mut context = context(&mut self.lines_in, &mut work, &mut out);
        self.codec.set_editing(true, &mut context);
        self.draw(&mut out);
    }

    /// One turn: a packet comes, all of it is understood, and what an editor has to show is drawn.
    fn take(&mut self, packet: &[u8]) {
        self.bytes += packet.len();
        let (mut work, mut out, mut found) = (Work::default(), Vec::new(), 0);
        let (mut rest, mut scratch) = (packet, String::new());
        loop {
            let mut of_call = Work::default();
            let mut context = context(&mut self.lines_in, &mut of_call, &mut out);
            let next = self.codec.next(&mut rest, &mut scratch, &mut context);
            let is_used_up = rest.is_empty();
            let next = match next {
                None if is_used_up => self.codec.settle(&mut context),
                next => next,
            };
            work.add(of_call);
            found += usize::from(next.is_some() || !is_used_up);
            assert!(
                found <= packet.len() + FOUND_PER_PACKET,
                "found without input"
            );
            let Some(next) = next else {
                if is_used_up {
                    break;
                }
                continue;
            };
            if let Input::Complete(word) = next {
                let names = ["ann", "anna", "安娜"].map(str::to_owned);
                let fitting = names.into_iter().filter(|it| it.starts_with(&word.prefix));
                self.codec.complete(&fitting.collect::<Vec<_>>());
            }
        }
        let mut work_max = Work::default();
        for each in WORK_PER_BYTE {
            work_max.add(each.times(packet.len()));
        }
        assert!(
            work <= work_max,
            "{work:?} for {} bytes, at most {work_max:?}",
            packet.len()
        );
        self.draw(&mut out);
        let out_max = ANSWER_BYTES_PER_BYTE * packet.len()
            + DRAWN_BYTES_PER_TYPED_BYTE * self.bytes
            + DRAWN_BYTES;
        assert!(
            out.len() <= out_max,
            "{} bytes of output for {} of {} bytes, at most {out_max}",
            out.len(),
            packet.len(),
            self.bytes
        );
    }

    fn draw(&mut self, out: &mut Vec<u8>) {
        if self.codec.has_frame() {
            self.codec.begin_frame(false, out);
            self.codec.end_frame(out);
        }
    }
}

fn context<'a>(lines_in: &'a mut u64, work: &'a mut Work, out: &'a mut Vec<u8>) -> Context<'a> {
    Context {
        age: Duration::ZERO,
        words_bytes_max: LINE_BYTES_MAX,
        to: To::default(),
        room: None,
        work,
        lines_in,
        out,
    }
}
