//! What sessions send: bytes, the end of their stream, the break of their connection.
//!
//! All that is understood passes through [`Core::charge_for`] and [`Core::charge_for_what_it_did`]: there a line is
//! rate-limited, and its session paused.

use std::mem;
use std::time::Instant;

use crate::dialect::event::Reply;
use crate::dialect::input::{Context, Input};
use crate::dialect::Codec;
use crate::hub::close::Parting;
use crate::hub::core::Core;
use crate::hub::room::keeping_up::KeepingUp;
use crate::hub::session::{Ending, Flow, Phase, Session, Stage};
use crate::hub::{Hub, Next, Then};
use crate::id::SessionId;
use crate::ledger::CloseReason;
use crate::work::Work;

/// At most this many lines of one session are understood in one turn; the rest waits for the next one.
const TURN_LINES_MAX: usize = 64;

/// A session that has nothing more to be told may send this many bytes, which are dropped, before it is cut off.
const LINGER_BYTES_MAX: usize = 64 * 1024;

impl<T> Hub<T> {
    /// What is to be done with a session that may have something to be read; `None` if it is gone.
    pub(crate) fn next(&mut self, id: SessionId, now: Instant) -> Option<Next<'_, T>> {
        let Self { sessions, core } = self;
        let session = sessions.get_mut(id)?;
        if session.flow == Flow::Absent {
            return None;
        }
        let is_full = session.talks && core.is_full_for(session, now);
        Some(if session.is_paused() {
            Next::Wait
        } else if is_full {
            Next::Later
        } else if session.has_pending() {
            Next::Resume
        } else {
            Next::Read(&mut session.transport)
        })
    }

    /// Passes on what was read from a session. At most 64 lines of it are understood at once.
    pub(crate) fn handle_input(&mut self, id: SessionId, bytes: &[u8], now: Instant) -> Then {
        let Self { sessions, core } = self;
        core.counts.received_bytes += bytes.len() as u64;
        let Some(session) = sessions.get_mut(id) else {
            return Then::Read;
        };
        let is_paused = session.is_paused();
        match &mut session.phase {
            Phase::Open if is_paused => {
                // It came with its connection, and its address still owes something.
                session.add_pending(bytes);
                core.count_input(session);
                return Then::Wait;
            }
            Phase::Open => return self.understand(id, bytes, now),
            Phase::Closing(closing) => {
                if let Stage::Lingering { dropped } = &mut closing.stage {
                    *dropped += bytes.len();
                    if *dropped > LINGER_BYTES_MAX {
                        core.finish_close(session, Ending::Orderly);
                    }
                }
            }
        }
        Then::Read
    }

    /// Goes on with the input of a session that was too much for one turn.
    pub(crate) fn resume(&mut self, id: SessionId, now: Instant) -> Then {
        let pending = self.session(id).and_then(|it| it.pending.as_mut());
        let Some(pending) = pending else {
            return Then::Read;
        };
        let bytes = mem::take(&mut pending.bytes);
        if bytes.is_empty() {
            return Then::Read;
        }
        self.understand(id, &bytes, now)
    }

    /// The stream of a session has ended: its last line counts even without a line end.
    pub(crate) fn handle_eof(&mut self, id: SessionId, now: Instant) {
        self.understand_last(id, now);
        let Some(session) = self.session(id) else {
            return;
        };
        if session.is_open() {
            let reason = if session.flow == Flow::Dead {
                CloseReason::Reset
            } else {
                CloseReason::Eof
            };
            self.lose(id, reason, now);
        }
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let Some(closing) = session.closing() else {
            return;
        };
        closing.ended = true;
        // While it drains, what it was to be told may still go out: its peer has only stopped to talk.
        if closing.stage != Stage::Draining {
            core.finish_close(session, Ending::Orderly);
        }
    }

    /// The stream of a session has ended in the middle: what stands behind the last line end may be half of a line.
    #[cfg(feature = "tls")]
    pub(crate) fn handle_truncation(&mut self, id: SessionId, now: Instant) {
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id) {
            core.drop_input(session);
        }
        self.handle_eof(id, now);
    }

    /// What was read of a session came in so many records of TLS, for which it pays.
    #[cfg(feature = "tls")]
    pub(crate) fn note_records(&mut self, id: SessionId, records: usize, now: Instant) {
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id) {
            // A pause that this is worth begins with the next that is charged: the read.
            let _ = core.charge(session, 0, Work::RECORD.times(records), now);
        }
    }

    /// The connection of a session keeps so many bytes for it.
    #[cfg(feature = "tls")]
    pub(crate) fn note_carried(&mut self, id: SessionId, bytes: u32) {
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id) {
            session.carried = bytes;
            core.count_input(session);
        }
    }

    /// The connection of a session is broken.
    pub(crate) fn handle_reset(&mut self, id: SessionId, now: Instant) {
        self.lose(id, CloseReason::Reset, now);
        self.free(id, Ending::Orderly);
    }

    /// There is nothing to be read from a session for now. If its write side is dead, that was all.
    pub(crate) fn handle_drained(&mut self, id: SessionId, now: Instant) {
        if self.session(id).is_some_and(|it| it.flow == Flow::Dead) {
            self.handle_reset(id, now);
        }
    }

    /// The client of a session seems to have gone. If the session is paused, that could not be seen by reading, and
    /// it is heard for a moment only; not at all if what is written to it goes nowhere.
    pub(crate) fn handle_hangup(&mut self, id: SessionId, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        if session.flow == Flow::Dead {
            return self.handle_reset(id, now);
        }
        if let Some(until) = session.note_gone(now) {
            core.wake_by(until);
        }
    }

    /// A session's socket may take bytes again; gives what carries them.
    pub(crate) fn handle_writable(&mut self, id: SessionId) -> Option<&mut T> {
        let Self { sessions, core } = self;
        let session = sessions.get_mut(id)?;
        if session.flow == Flow::Blocked {
            session.flow = Flow::Ready;
            core.list(session);
        }
        Some(&mut session.transport)
    }

    /// Understands input as far as one turn allows, and keeps the rest for the next one.
    fn understand(&mut self, id: SessionId, bytes: &[u8], now: Instant) -> Then {
        #[cfg(test)]
        self.note_heard(id);
        let session = self.sessions.get(id);
        let waited_on = session.is_some_and(|session| session.is_right_behind_a_pause(now));
        let waits_for_room = session.and_then(|session| {
            let core = &self.core;
            let waits_for_relay = core.waits_for_relay(session.talks, now);
            core.waits_for_room(session, now).max(waits_for_relay)
        });
        let mut input = bytes;
        let paused_until = match waits_for_room {
            None => self.understand_some(id, &mut input, now),
            until => until,
        };
        #[cfg(test)]
        self.core.ledger.keep(input.len());
        let Self { sessions, core } = self;
        let session = sessions.get_mut(id);
        let Some(session) = session.filter(|session| session.is_open()) else {
            return Then::Read;
        };
        session.keep_input(input, paused_until, waited_on, now);
        core.count_input(session);
        core.tell_of_waiting(session, now);
        if session.codec.is_stale() {
            session.hear_until(now);
            core.list(session);
        }
        if let Some(until) = paused_until {
            // A pause is no silence: what is said meanwhile is not read.
            session.hear_until(until);
        }
        if let Some(until) = paused_until {
            core.pause_until(id, until);
        }
        if session.is_paused() {
            Then::Wait
        } else if session.has_pending() {
            Then::Resume
        } else {
            Then::Read
        }
    }

    /// Gives until when the session has been heard enough.
    fn understand_some(
        &mut self,
        id: SessionId,
        input: &mut &[u8],
        now: Instant,
    ) -> Option<Instant> {
        let (mut text, mut out) = (String::new(), Vec::new());
        let began = self.core.work;
        let mut work = Work::READ;
        for _ in 0..TURN_LINES_MAX {
            let Self { sessions, core } = self;
            let session = sessions.get_mut(id).filter(|it| it.is_open())?;
            let bytes = input.len();
            let (codec, mut context) = session.codec_in_context(
                &core.limits,
                core.wall_seconds,
                core.rooms.shown(session.room),
                &mut work,
                &mut out,
                now,
            );
            let found = codec.next(input, &mut text, &mut context);
            work.add(Work::BYTE.times(bytes - input.len()));
            work.add(Work::OUTPUT_BYTE.times(out.len()));
            core.send(session, now, |_, _, bytes| bytes.append(&mut out));
            let Some(found) = found else {
                return core.charge(session, 0, work, now);
            };
            work.add(Work::INPUT);
            let charged = core.charge_for(session, &found, mem::take(&mut work), now);
            let refused_lines = self.act(id, found, now);
            self.sort_names();
            let Self { sessions, core } = self;
            let session = sessions.get_mut(id);
            let Some(session) = session.filter(|session| session.is_open()) else {
                break;
            };
            let paused_until = core.charge_for_what_it_did(session, &charged, refused_lines, now);
            if paused_until.is_some()
                || session.long.is_some()
                || core.work.since(began) >= Work::CALL_MAX
                || (session.talks && core.is_full_for(session, now))
                || core.has_done_enough()
            {
                self.settle(id, now);
                return paused_until;
            }
        }
        self.settle(id, now);
        None
    }

    /// No more input is looked at for now.
    fn settle(&mut self, id: SessionId, now: Instant) {
        self.act_on(id, now, Codec::settle);
    }

    fn understand_last(&mut self, id: SessionId, now: Instant) {
        let text = &mut String::new();
        self.act_on(id, now, |codec, context| codec.finish(text, context));
    }

    /// Does what the codec of an open session finds without further input.
    fn act_on<'a>(
        &mut self,
        id: SessionId,
        now: Instant,
        find: impl FnOnce(&mut Codec, &mut Context<'_>) -> Option<Input<'a>>,
    ) {
        let Self { sessions, core } = self;
        let session = sessions.get_mut(id).filter(|it| it.is_open());
        let found = session.and_then(|session| core.with_codec(session, now, find));
        if let Some(found) = found {
            self.act(id, found, now);
        }
    }

    /// Does what was found in the input; gives how many lines more that costs for having been refused.
    fn act(&mut self, id: SessionId, input: Input<'_>, now: Instant) -> usize {
        let outcome = match input {
            Input::Request(request) => self.obey(id, request, now),
            Input::Refused(refusal) => {
                // It may have been looked at as a name, to find that it is none.
                self.core.work.add(Work::LOOK_UP.times(4));
                Err(refusal)
            }
            Input::Question(question) => {
                self.answer_question(id, question, now);
                Ok(())
            }
            Input::Encoding => {
                self.follow_caps(id);
                Ok(())
            }
            Input::Blank | Input::Answered => Ok(()),
            Input::Complete(word) => {
                self.complete(id, &word);
                Ok(())
            }
            Input::Leave => {
                self.begin_close(id, CloseReason::Quit, now);
                Ok(())
            }
            Input::Foreign(foreign) => {
                let parting = Parting {
                    foreign,
                    ..Parting::from(CloseReason::WrongProtocol)
                };
                self.close(id, &parting, now);
                Ok(())
            }
            Input::Flood => {
                self.begin_close(id, CloseReason::Flood, now);
                Ok(())
            }
        };
        let Err(refusal) = outcome else {
            return 0;
        };
        self.reply(id, &Reply::Refused(&refusal), now);
        refusal.lines()
    }
}

/// What a session was charged for something that its input asks for, before that was done.
struct Charged {
    lines: usize,
    /// Of what it says to all, if it does.
    spoken_bytes: Option<usize>,
    /// What had been done before.
    work: Work,
    paid_until: Option<Instant>,
}

impl Core {
    /// Charges a session for what was found in its input, by the lines that it is or by the work that it was to find it.
    fn charge_for<T>(
        &mut self,
        session: &mut Session<T>,
        found: &Input<'_>,
        work: Work,
        now: Instant,
    ) -> Charged {
        let (lines, spoken_bytes) = (found.lines(), found.spoken_bytes());
        session.talks = spoken_bytes.is_some();
        if *found != Input::Answered {
            session.hear_until(now);
        }
        Charged {
            lines,
            spoken_bytes,
            paid_until: self.charge(session, lines, work, now),
            work: self.work,
        }
    }

    /// Charges it for the work that this was, if that is more. Gives until when it has been heard enough.
    fn charge_for_what_it_did<T>(
        &mut self,
        session: &mut Session<T>,
        charged: &Charged,
        refused_lines: usize,
        now: Instant,
    ) -> Option<Instant> {
        let done = self.work.since(charged.work);
        let lines = charged.lines as u64;
        let dearer = done.millilines().saturating_sub(lines * 1000) + refused_lines as u64 * 1000;
        let rate = self.limits.line_rate;
        let paid_until = match dearer {
            0 => charged.paid_until,
            dearer => session.bucket.charge(rate, dearer, session.opened_at, now),
        };
        if let Some(bytes) = charged.spoken_bytes {
            session.say_line(now + KeepingUp::line_costs(bytes));
        }
        paid_until
            .max(self.waits_for_room(session, now))
            .max(self.waits_for_relay(charged.spoken_bytes.is_some(), now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::dialect::Dialect;
    use crate::hub::tests::world::{limits, shown, World};
    use crate::hub::{Hub, Limits};
    use crate::origin::Origin;
    #[cfg(feature = "tls")]
    use crate::rate::Rate;
    use crate::test_clock::outset;

    #[cfg(feature = "tls")]
    #[test]
    fn what_tls_keeps_for_a_session_counts_in_memory() {
        let (mut hub, now) = (Hub::new(limits()), outset());
        let id = hub.connect((), Dialect::Wire, Origin::Local, now);
        let before = hub.memory();
        hub.note_carried(id, 16_000);
        assert_eq!(hub.memory(), before + 16_000);
        hub.note_carried(id, 0);
        assert_eq!(hub.memory(), before);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_session_pays_for_its_records_of_tls() {
        let limits = Limits {
            line_rate: Rate {
                per_second: 1,
                burst: 3,
            },
            ..limits()
        };
        // A record is a hundredth of a line.
        for (records, is_heard) in [(0, true), (90, true), (1000, false)] {
            let (mut hub, now) = (Hub::new(limits), outset());
            let id = hub.connect((), Dialect::Wire, Origin::Local, now);
            hub.note_records(id, records, now);
            hub.handle_input(id, b"PING x\n", now);
            hub.handle_input(id, b"PING y\n", now);
            assert_eq!(
                hub.sessions.get(id).unwrap().lines_in == 2,
                is_heard,
                "{records} records"
            );
        }
    }

    /// What a person sees who sends these packets, each in a turn of its own, from the last one on.
    fn seen(packets: &[&[u8]]) -> String {
        seen_within(100, packets)
    }

    fn seen_within(line_bytes_max: usize, packets: &[&[u8]]) -> String {
        let mut world = World::new(Limits {
            line_bytes_max,
            ..limits()
        });
        let id = world.connect();
        world.turn();
        for packet in packets {
            world.read(id);
            world.send(id, packet);
        }
        shown(&world.read(id))
    }

    /// Whether what a session sends shows that somebody is there, so that it is not idle.
    fn is_a_sign(dialect: Dialect, bytes: &[u8]) -> bool {
        let idle = Duration::from_secs(10);
        let limits = Limits {
            idle: Some(idle),
            ..limits()
        };
        let (mut hub, outset) = (Hub::new(limits), outset());
        let id = hub.connect((), dialect, Origin::Local, outset);
        hub.handle_input(id, bytes, outset + idle / 2);
        hub.tick(outset + idle);
        hub.open_sessions() == 1
    }

    #[test]
    fn keepalives_do_not_hold_off_the_close_of_who_is_idle() {
        let (telnet, wire) = (Dialect::Telnet, Dialect::Wire);
        for (dialect, keepalive) in [
            (telnet, &b"\xff\xf1"[..]),
            (telnet, b"\xff\xf6"),
            (telnet, b"\xff\xfd\x06"),
            (wire, b"PING x\n"),
        ] {
            assert!(!is_a_sign(dialect, keepalive), "{keepalive:?}");
        }
        for (dialect, line) in [
            (telnet, &b"hello\r\n"[..]),
            (telnet, b"/who\r\n"),
            (telnet, b"/nosuch\r\n"),
            (wire, b"NAME YW5u\n"),
            (wire, b"nonsense\n"),
        ] {
            assert!(is_a_sign(dialect, line), "{line:?}");
        }
    }

    #[test]
    fn the_hint_of_an_interrupt_comes_after_its_timing_mark() {
        let seen = seen(&[b"half\xff\xf4\xff\xfd\x06"]);
        assert!(seen.starts_with(r"\xff\xfb\x06-- Ctrl-C again"), "{seen}");
    }

    #[test]
    fn f075_are_you_there_is_answered_once_a_second() {
        let mut world = World::new(limits());
        let id = world.connect();
        let outset = world.now;
        let answers = [0, 0, 999, 1000, 1999, 2000].map(|millis| {
            world.now = outset + Duration::from_millis(millis);
            world.send(id, b"\xff\xf6\xff\xf6");
            let seen = String::from_utf8(world.read(id)).unwrap();
            seen.matches("-- yes, still here\r\n").count()
        });
        assert_eq!(answers, [1, 0, 0, 1, 0, 1]);
    }

    const AGREE: &[u8] = b"\xff\xfd\x01\xff\xfd\x03";

    #[test]
    fn an_editor_frames_what_is_said_to_its_person() {
        let seen = seen(&[b"/edit\r\n", AGREE, b"/who\r"]);
        assert_eq!(
            seen,
            r"\r\x1b[J-- nobody here yet; 1 listening\r\n\r> \x1b[K"
        );
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
            let seen = seen_within(
                line_bytes_max,
                &[b"/edit\r\n", AGREE, b"/who\r", &long(bytes)],
            );
            let refused = format!(r"\r\x1b[J\x07{}\r> \x1b[K", words(bytes, most));
            assert_eq!(seen, refused);
        }
    }

    #[test]
    fn the_row_is_gone_before_what_follows_in_the_turn_in_which_editing_ends() {
        let seen = seen(&[b"/edit\r\n", AGREE, b"/who\r/edit off\r"]);
        let words =
            r"-- nobody here yet; 1 listening\r\n\xff\xfc\x01\xff\xfc\x03-- editing off\r\n";
        assert_eq!(seen, format!(r"\r\x1b[J{words}"));
    }

    #[test]
    fn a_client_that_never_answers_stays_in_line_mode() {
        let offered = seen(&[b"/edit\n"]);
        assert_eq!(offered, r"\xff\xfb\x01\xff\xfb\x03");
        let seen = seen(&[b"/edit\n", b"/who\n"]);
        let refusal = r"!! your client does not speak telnet; staying in line mode\r\n";
        assert_eq!(
            seen,
            format!(r"{refusal}-- nobody here yet; 1 listening\r\n")
        );
    }

    #[test]
    fn type_ahead_is_taken_over() {
        let seen = seen(&[b"/edit\r\nhello w", b"\xff\xfd\x01\xff\xfd\x03or"]);
        let on = r"\xff\xfd\x1f\xff\xfd\x00-- editing on\r\n";
        assert_eq!(seen, format!(r"\r\x1b[J{on}\r> hello wor\x1b[K"));
    }
}
