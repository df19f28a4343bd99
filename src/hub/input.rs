//! What sessions send: bytes, the end of their stream, the break of their connection.

use std::mem;
use std::time::Instant;

use crate::dialect::command::{Command, Refusal, Typed};
use crate::dialect::event::Reply;
use crate::dialect::line::Line;
use crate::dialect::{hygiene, text, wire, Dialect, Heard};
use crate::hub::peer::{Flow, Phase, Stage};
use crate::hub::{Hub, SessionId};
use crate::ledger::CloseReason;

/// At most so many lines of one session are understood in one turn; the rest waits for the next one.
const TURN_LINES_MAX: usize = 64;

/// A session that has nothing more to be told may send so many bytes, which are dropped, before it is cut off.
const LINGER_BYTES_MAX: usize = 64 * 1024;

impl<T> Hub<T> {
    /// Passes on what was read from a session. Only so much of it is understood at once; while
    /// [`Hub::has_carry`] holds, read nothing more but call [`Hub::resume`] in the next turn.
    pub fn handle_input(&mut self, id: SessionId, bytes: &[u8], now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        peer.heard_at = now;
        match &mut peer.phase {
            Phase::Open => self.understand(id, bytes, now),
            Phase::Closing {
                stage: Stage::Lingering { dropped },
                ..
            } => {
                *dropped += bytes.len();
                if *dropped > LINGER_BYTES_MAX {
                    self.finish_close(id);
                }
            }
            Phase::Closing { .. } => {}
        }
    }

    /// Whether input of this session waits to be understood.
    #[must_use]
    pub fn has_carry(&self, id: SessionId) -> bool {
        self.peers
            .get(id.slot as usize)
            .is_some_and(|peer| peer.serial == id.serial && !peer.carry.is_empty())
    }

    /// Goes on with the input of a session that was too much for one turn.
    pub fn resume(&mut self, id: SessionId, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        let carry = mem::take(&mut peer.carry);
        self.understand(id, &carry, now);
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
            Some(Stage::Draining) => {}
            Some(Stage::Lingering { .. } | Stage::Closed) => self.finish_close(id),
        }
    }

    /// The connection of a session is broken.
    pub fn handle_reset(&mut self, id: SessionId, now: Instant) {
        self.begin_close(id, CloseReason::Reset, now);
        self.finish_close(id);
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

    fn understand(&mut self, id: SessionId, bytes: &[u8], now: Instant) {
        let mut input = bytes;
        let mut protocol_reply = Vec::new();
        for _ in 0..TURN_LINES_MAX {
            let words_bytes_max = self.limits.line_bytes_max;
            let Some(peer) = self.peer(id).filter(|peer| peer.is_open()) else {
                return;
            };
            let line_bytes_max = peer.dialect.line_bytes_max(words_bytes_max);
            let heard = peer
                .reader
                .next(&mut input, line_bytes_max, &mut protocol_reply);
            if !protocol_reply.is_empty() {
                self.say_alone(id, |_, out| out.append(&mut protocol_reply));
            }
            match heard {
                None => return,
                Some(Heard::Line(line)) => self.handle_line(id, line, now),
                Some(Heard::Interrupt) => self.interrupt(id, now),
                Some(Heard::AreYouThere) => self.reply(id, &Reply::StillHere),
                Some(Heard::EndOfFile) => self.begin_close(id, CloseReason::Quit, now),
            }
            if self.has_said_enough() {
                break;
            }
        }
        if let Some(peer) = self.peer(id).filter(|peer| peer.is_open()) {
            peer.carry = input.to_vec();
        }
    }

    fn interrupt(&mut self, id: SessionId, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        if mem::replace(&mut peer.interrupted, true) {
            self.begin_close(id, CloseReason::Quit, now);
        } else {
            self.reply(id, &Reply::InterruptHint);
        }
    }

    fn handle_line(&mut self, id: SessionId, line: Line<'_>, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        peer.lines_in += 1;
        peer.interrupted = false;
        let outcome = match line {
            Line::TooLong(bytes) => {
                let bytes_max = peer.dialect.line_bytes_max(self.limits.line_bytes_max);
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
