//! What sessions send, and why those end who end by it.

use super::session::Ended;
use super::Model;
use crate::ledger::{CloseReason, Entry};
use crate::server::simulation::script::Item;

/// At most this many lines of one session are heard in a turn.
const TURN_LINES_MAX: usize = 64;
/// A line that never ends ends its session.
const FLOOD_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Model {
    /// Hears all that was read of a session, but for the last `kept` bytes.
    pub(super) fn hear(&mut self, number: u64, kept: usize) {
        let now = self.now;
        let it = self.it(number);
        it.heard_at = now;
        let (client, limit) = (it.client, it.given - kept);
        let (mut lines, mut interrupted) = (0, false);
        while let Some(item) = self.typed[client].next_until(limit) {
            let is_dead = self.sessions[&number].dead;
            if item.counts() {
                // Ctrl-C is answered behind the timing mark that clients send after it.
                if std::mem::take(&mut interrupted) {
                    self.interrupt(number);
                }
                lines += 1;
            }
            if !self.sessions[&number].is_open() {
                return;
            }
            if is_dead && item.is_line() {
                self.hit("last lines of one who takes nothing");
            }
            match item {
                Item::Interrupt => interrupted = true,
                item => self.obey(number, &item),
            }
            if !self.sessions[&number].is_open() {
                return;
            }
        }
        if interrupted {
            self.interrupt(number);
        }
        if kept > 0 {
            let is_unlimited = self.limits.line_rate.is_unlimited();
            self.hit(match lines {
                _ if !is_unlimited => "paused",
                TURN_LINES_MAX.. => "more lines than a turn takes",
                _ => "said enough",
            });
        }
        if self.sessions[&number].is_open() {
            self.foresee_end(number, limit);
        }
    }

    /// Who speaks another protocol, or never ends a line, must end now.
    fn foresee_end(&self, number: u64, limit: usize) {
        let typed = &self.typed[self.sessions[&number].client];
        let reason = match typed.front() {
            Some((at, Item::Foreign)) if at <= limit => CloseReason::WrongProtocol,
            Some((_, Item::Endless)) if typed.endless(limit) > FLOOD_BYTES_MAX + 64 * 1024 => {
                CloseReason::Flood
            }
            _ => return,
        };
        let expected = Entry::Ended { id: number, reason };
        assert_eq!(self.diary.front(), Some(&expected), "what was done next");
    }

    /// Says why a session may end that does not by what it said, and does what comes before that.
    pub(super) fn prepare_end(&mut self, number: u64, reason: CloseReason) {
        let it = &self.sessions[&number];
        let (client, given, ended) = (it.client, it.given, it.ended);
        match reason {
            CloseReason::Eof | CloseReason::Reset if ended == Ended::Orderly => {
                let expected = if it.dead {
                    CloseReason::Reset
                } else {
                    CloseReason::Eof
                };
                // Nothing but a last line without an end can be left.
                if let Some(item) = self.typed[client].take_unfinished(given) {
                    self.hit(match item {
                        Item::TooLong(_) => "last line is too long",
                        _ => "last line without an end",
                    });
                    self.obey(number, &item);
                }
                assert_eq!(reason, expected, "{number} has ended");
            }
            CloseReason::Reset => {
                let is_broken = it.dead || ended != Ended::No;
                assert!(is_broken, "{number} is not broken");
            }
            CloseReason::Eof => {
                assert!(
                    !self.limits.line_rate.is_unlimited(),
                    "{number} has not ended"
                );
                self.hit("ghost");
                self.tick();
            }
            CloseReason::WrongProtocol => {
                let front = self.typed[client].front().map(|(_, item)| item);
                assert_eq!(front, Some(&Item::Foreign), "what {number} sent");
                assert_eq!(it.lines_in, 0, "lines of {number}");
            }
            CloseReason::Flood => {
                let endless = self.typed[client].endless(given);
                assert!(endless > FLOOD_BYTES_MAX, "{endless} bytes of {number}");
            }
            CloseReason::SlowConsumer | CloseReason::WriteStall | CloseReason::Idle => {
                self.tick();
                self.justify(number, reason);
            }
            CloseReason::Shutdown => {
                assert!(self.stops > 0, "nobody stopped it");
                self.tick();
                self.begin_shutdown();
            }
            CloseReason::Quit | CloseReason::Full | CloseReason::PerAddress => {
                panic!("{number} ends, {reason}, without having done anything for it");
            }
        }
    }
}
