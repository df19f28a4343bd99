//! What sessions send: bytes, the end of their stream, the break of their connection.

use std::cmp::Reverse;
use std::mem;
use std::time::Instant;

use crate::dialect::command::{Command, Refusal, Typed};
use crate::dialect::editor::CHARACTERS_MAX;
use crate::dialect::event::Reply;
use crate::dialect::foreign::{is_endless_request, is_foreign};
use crate::dialect::line::Line;
use crate::dialect::{text, wire, Dialect, Heard};
use crate::hub::peer::{Flow, Phase, Stage};
use crate::hub::{Ending, Hub, Limits, SessionId};
use crate::hygiene;
use crate::ledger::CloseReason;

/// At most so many lines of one session are understood in one turn; the rest waits for the next one.
const TURN_LINES_MAX: usize = 64;

/// A session that has nothing more to be told may send so many bytes, which are dropped, before it is cut off.
const LINGER_BYTES_MAX: usize = 64 * 1024;

/// A line is refused if it is too long; who then still does not end it means no line at all.
const FLOOD_BYTES_MAX: usize = 16 * 1024 * 1024;

impl<T> Hub<T> {
    /// Passes on what was read from a session. Only so much of it is understood at once; while
    /// [`Hub::has_carry`] holds, read nothing more but call [`Hub::resume`] in the next turn.
    pub fn handle_input(&mut self, id: SessionId, bytes: &[u8], now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        match &mut peer.phase {
            Phase::Open => self.understand(id, bytes, now),
            Phase::Closing(closing) => {
                if let Stage::Lingering { dropped, .. } = &mut closing.stage {
                    *dropped += bytes.len();
                    if *dropped > LINGER_BYTES_MAX {
                        self.finish_close(id, Ending::Orderly);
                    }
                }
            }
        }
    }

    /// Whether input of this session waits to be understood.
    #[must_use]
    pub fn has_carry(&self, id: SessionId) -> bool {
        let held = self.peer_ref(id).and_then(|peer| peer.held.as_ref());
        held.is_some_and(|held| !held.bytes.is_empty())
    }

    /// Goes on with the input of a session that was too much for one turn.
    pub fn resume(&mut self, id: SessionId, now: Instant) {
        if let Some(held) = self.peer(id).and_then(|peer| peer.held.as_mut()) {
            let bytes = mem::take(&mut held.bytes);
            self.understand(id, &bytes, now);
        }
    }

    /// The stream of a session has ended: its last line counts even without a line end.
    pub fn handle_eof(&mut self, id: SessionId, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        peer.ended = true;
        match peer.stage() {
            None => {
                if let Some(line) = peer.reader.finish() {
                    self.handle_line(id, line, now);
                }
                let dead = self.peer(id).is_some_and(|peer| peer.flow == Flow::Dead);
                self.begin_close(
                    id,
                    if dead {
                        CloseReason::Reset
                    } else {
                        CloseReason::Eof
                    },
                    now,
                );
            }
            // What it was to be told may still go out: it has only stopped to talk.
            Some(Stage::Draining { .. }) => {}
            Some(Stage::Lingering { .. } | Stage::Closed(_)) => {
                self.finish_close(id, Ending::Orderly);
            }
        }
    }

    /// The connection of a session is broken.
    pub fn handle_reset(&mut self, id: SessionId, now: Instant) {
        self.begin_close(id, CloseReason::Reset, now);
        self.finish_close(id, Ending::Orderly);
    }

    /// There is nothing to be read from a session for now. If its write side is dead, that was all.
    pub fn handle_drained(&mut self, id: SessionId, now: Instant) {
        if self.peer(id).is_some_and(|peer| peer.flow == Flow::Dead) {
            self.handle_reset(id, now);
        }
    }

    /// A session's socket may take bytes again.
    pub fn handle_writable(&mut self, id: SessionId) {
        let Some(peer) = self.peer(id) else { return };
        if peer.flow == Flow::Blocked {
            peer.flow = Flow::Ready;
            self.list(id);
        }
    }

    /// Understands input as far as one turn allows, and keeps the rest for the next one.
    fn understand(&mut self, id: SessionId, bytes: &[u8], now: Instant) {
        let words_bytes_max = self.limits.line_bytes_max;
        #[cfg(test)]
        self.note_heard(id);
        let Some(peer) = self.peer(id) else { return };
        peer.hear_until(now);
        let line_bytes_max = peer.dialect.line_bytes_max(words_bytes_max);
        if peer.lines_in == 0
            && peer.reader.discarded() == 0
            && is_endless_request(peer.reader.partial(), bytes, line_bytes_max)
        {
            return self.begin_close(id, CloseReason::WrongProtocol, now);
        }
        let mut input = bytes;
        let paused_until = self.understand_some(id, &mut input, now);
        #[cfg(test)]
        self.ledger.keep(input.len());
        let Some(peer) = self.peer(id).filter(|peer| peer.is_open()) else {
            return;
        };
        peer.hold(input, paused_until);
        // A pause is no silence: what is said meanwhile is not read.
        peer.hear_until(paused_until.unwrap_or(now));
        let foreign = peer.lines_in == 0 && is_foreign(peer.reader.partial());
        let flood = peer.reader.discarded() > FLOOD_BYTES_MAX;
        let has_drawn = peer.reader.has_drawn();
        self.count_input(id);
        if let Some(until) = paused_until {
            self.pauses.push(Reverse((until, id)));
        }
        if foreign {
            self.begin_close(id, CloseReason::WrongProtocol, now);
        } else if flood {
            self.begin_close(id, CloseReason::Flood, now);
        } else if has_drawn {
            self.list(id);
        }
    }

    /// Gives until when the session has been heard enough.
    fn understand_some(
        &mut self,
        id: SessionId,
        input: &mut &[u8],
        now: Instant,
    ) -> Option<Instant> {
        let Limits {
            line_bytes_max: words_bytes_max,
            line_rate,
            ..
        } = self.limits;
        let mut protocol_reply = Vec::new();
        let mut interrupted = false;
        let mut paused_until = None;
        for _ in 0..TURN_LINES_MAX {
            let peer = self.peer(id).filter(|peer| peer.is_open())?;
            let line_bytes_max = peer.dialect.line_bytes_max(words_bytes_max);
            let heard = peer.reader.next(input, line_bytes_max, &mut protocol_reply);
            if heard.is_some() {
                paused_until = line_rate.and_then(|rate| peer.charge(rate, now));
            }
            self.say_protocol(id, &mut protocol_reply);
            // A client that sends an interrupt throws away what it gets until the timing mark that
            // follows is answered; so the hint comes after that answer.
            if mem::take(&mut interrupted) {
                self.interrupt(id, now);
                // What follows the one that was meant is not heard any more.
                if !self.peer(id).is_some_and(|peer| peer.is_open()) {
                    return None;
                }
            }
            match heard {
                None => return None,
                Some(Heard::Interrupt) => interrupted = true,
                Some(heard) => self.handle_heard(id, heard, now),
            }
            if paused_until.is_some() || self.has_said_enough() {
                break;
            }
        }
        if interrupted {
            self.interrupt(id, now);
        }
        paused_until
    }

    pub(super) fn handle_heard(&mut self, id: SessionId, heard: Heard<'_>, now: Instant) {
        match heard {
            Heard::Line(line) => self.handle_line(id, line, now),
            Heard::Interrupt => self.interrupt(id, now),
            Heard::AreYouThere => self.reassure(id, now),
            Heard::EndOfFile => self.begin_close(id, CloseReason::Quit, now),
            Heard::Complete(word) => self.complete(id, &word),
            Heard::EditingBegins => self.note(id, format_args!("editing on")),
            Heard::EditingRefused => self.reply(id, &Reply::Refused(&Refusal::NoEditing)),
        }
    }

    /// Says that the server is there, once in each second of the session's life: few bytes that ask are not to become
    /// many that answer.
    fn reassure(&mut self, id: SessionId, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        let age = now.saturating_duration_since(peer.opened_at);
        let second = (age.as_secs() as u16).wrapping_add(1);
        if mem::replace(&mut peer.reassured, second) != second {
            self.note(id, format_args!("yes, still here"));
        }
    }

    fn interrupt(&mut self, id: SessionId, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        if mem::replace(&mut peer.interrupted, true) && !peer.reader.is_editing() {
            self.begin_close(id, CloseReason::Quit, now);
        } else {
            self.note(id, format_args!("Ctrl-C again, or /quit, to leave"));
        }
    }

    fn handle_line(&mut self, id: SessionId, line: Line<'_>, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        peer.lines_in += 1;
        peer.interrupted = false;
        if let Some(heard) = peer.reader.give_up_waiting() {
            self.handle_heard(id, heard, now);
        }
        let Some(peer) = self.peer(id) else { return };
        let first = peer.lines_in == 1;
        let outcome = match line {
            Line::Whole(bytes) if first && is_foreign(&bytes) => {
                return self.begin_close(id, CloseReason::WrongProtocol, now);
            }
            Line::TooLong(bytes) => {
                let mut bytes_max = peer.dialect.line_bytes_max(self.limits.line_bytes_max);
                if bytes <= bytes_max {
                    // It had too many characters for an editor.
                    bytes_max = CHARACTERS_MAX;
                }
                Err(Refusal::LineTooLong { bytes, bytes_max })
            }
            Line::Whole(bytes) => match peer.dialect {
                Dialect::Telnet => self.handle_typed(id, &bytes, now),
                Dialect::Wire => self.handle_request(id, &bytes, now),
            },
        };
        if let Err(refusal) = outcome {
            self.reply(id, &Reply::Refused(&refusal));
        }
    }

    fn handle_typed(&mut self, id: SessionId, line: &[u8], now: Instant) -> Result<(), Refusal> {
        let edited = text::edit(line);
        let clean = hygiene::clean(&edited);
        match Command::parse(Typed {
            text: &clean.text,
            altered: clean.altered,
        })? {
            Some(command) => self.obey(id, command, now),
            None => Ok(()),
        }
    }

    fn handle_request(&mut self, id: SessionId, line: &[u8], now: Instant) -> Result<(), Refusal> {
        match wire::parse(line)? {
            Some(request) => self.obey_wire(id, request, now),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice};
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::hub::{Limits, Sink};
    use crate::test_clock::outset;

    /// Collects what is written.
    struct Screen;

    impl Sink<Vec<u8>> for Screen {
        fn write(
            &mut self,
            _: SessionId,
            screen: &mut Vec<u8>,
            slices: &[IoSlice<'_>],
        ) -> io::Result<usize> {
            let before = screen.len();
            screen.extend(slices.iter().flat_map(|slice| slice.iter()));
            Ok(screen.len() - before)
        }

        fn finish(&mut self, _: &mut Vec<u8>) {}
    }

    const LIMITS: Limits = Limits {
        line_bytes_max: 100,
        ..Limits::WIDE
    };

    /// What a person sees who sends these packets, each in a turn of its own, from the last one on.
    fn seen(packets: &[&[u8]]) -> String {
        seen_within(LIMITS, packets)
    }

    fn seen_within(limits: Limits, packets: &[&[u8]]) -> String {
        let (mut hub, now) = (Hub::new(limits), outset());
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let id = hub.connect(Vec::new(), Dialect::Telnet, from, now);
        for packet in packets {
            hub.flush(now, &mut Screen);
            hub.transport(id).unwrap().clear();
            hub.handle_input(id, packet, now);
        }
        hub.flush(now, &mut Screen);
        hub.check_invariants();
        hub.transport(id).unwrap().escape_ascii().to_string()
    }

    #[test]
    fn the_hint_of_an_interrupt_comes_after_its_timing_mark() {
        let seen = seen(&[b"half\xff\xf4\xff\xfd\x06"]);
        assert!(seen.starts_with(r"\xff\xfb\x06-- Ctrl-C again"), "{seen}");
    }

    #[test]
    fn f075_are_you_there_is_answered_once_a_second() {
        let (mut hub, outset) = (Hub::new(LIMITS), outset());
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let id = hub.connect(Vec::new(), Dialect::Telnet, from, outset);
        hub.flush(outset, &mut Screen);
        let answers = [0, 0, 999, 1000, 1999, 2000].map(|millis| {
            let now = outset + Duration::from_millis(millis);
            hub.transport(id).unwrap().clear();
            hub.handle_input(id, b"\xff\xf6\xff\xf6", now);
            hub.flush(now, &mut Screen);
            let seen = String::from_utf8_lossy(hub.transport(id).unwrap());
            seen.matches("-- yes, still here\r\n").count()
        });
        assert_eq!(answers, [1, 0, 0, 1, 0, 1]);
    }

    const AGREE: &[u8] = b"\xff\xfd\x01\xff\xfd\x03";

    #[test]
    fn an_editor_frames_what_is_said_to_its_person() {
        let seen = seen(&[b"/edit\r\n", AGREE, b"/who\r"]);
        assert_eq!(seen, r"\r\x1b[J-- 1 here: guest1\r\n\r> \x1b[K");
    }

    #[test]
    fn only_two_interrupts_in_a_row_end_a_session_with_an_editor() {
        let seen_after = |packets: &[&str]| {
            let packets = packets.iter().map(|packet| packet.as_bytes());
            let begin = [&b"/edit\r\n"[..], AGREE];
            seen(&begin.into_iter().chain(packets).collect::<Vec<_>>())
        };
        for apart in [
            &["\x03", "typed", "\x03", "\x03"][..],
            &["\x03", "x\x7f\x03"],
            &["\x03x\x03\x03"],
        ] {
            let seen = seen_after(apart);
            assert!(seen.contains("-- Ctrl-C again"), "{apart:?} {seen}");
            assert!(!seen.contains("goodbye"), "{apart:?} {seen}");
        }
        for in_a_row in [&["\x03", "\x03"][..], &["typed\x03\x03\x03"]] {
            let seen = seen_after(in_a_row);
            assert!(seen.ends_with(r"-- goodbye\r\n"), "{in_a_row:?} {seen}");
        }
    }

    #[test]
    fn an_editor_refuses_a_line_that_is_too_long_as_line_mode_does() {
        let long = |bytes| [&vec![b'x'; bytes], &b"\r\n"[..]].concat();
        let words =
            |bytes, most| format!(r"!! line too long: {bytes} bytes, at most {most}; not sent\r\n");
        assert_eq!(seen(&[&long(120)]), words(120, 100));
        // Beyond its 2,000 characters it takes nothing, however long a line may be.
        for (line_bytes_max, bytes, most) in [(100, 120, 100), (4096, 2500, 2000)] {
            let limits = Limits {
                line_bytes_max,
                ..LIMITS
            };
            let seen = seen_within(limits, &[b"/edit\r\n", AGREE, b"/who\r", &long(bytes)]);
            let refused = format!(r"\r\x1b[J\x07{}\r> \x1b[K", words(bytes, most));
            assert_eq!(seen, refused);
        }
    }

    #[test]
    fn the_row_is_gone_before_what_follows_in_the_turn_in_which_editing_ends() {
        let seen = seen(&[b"/edit\r\n", AGREE, b"/who\r/edit off\r"]);
        let words = r"-- 1 here: guest1\r\n\xff\xfc\x01\xff\xfc\x03-- editing off\r\n";
        assert_eq!(seen, format!(r"\r\x1b[J{words}"));
    }

    #[test]
    fn a_client_that_never_answers_stays_in_line_mode() {
        let offered = seen(&[b"/edit\n"]);
        assert_eq!(offered, r"\xff\xfb\x01\xff\xfb\x03");
        let seen = seen(&[b"/edit\n", b"/who\n"]);
        let refusal = r"!! your client does not speak telnet; staying in line mode\r\n";
        assert_eq!(seen, format!(r"{refusal}-- 1 here: guest1\r\n"));
    }

    #[test]
    fn type_ahead_is_taken_over() {
        let seen = seen(&[b"/edit\r\nhello w", b"\xff\xfd\x01\xff\xfd\x03or"]);
        let on = r"\xff\xfd\x1f\xff\xfd\x00-- editing on\r\n";
        assert_eq!(seen, format!(r"\r\x1b[J{on}\r> hello wor\x1b[K"));
    }
}
