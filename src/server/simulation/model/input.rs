//! What sessions send, and why those end who end by it.

use std::time::Duration;

use super::session::Ended;
use super::Model;
use crate::dialect::Dialect;
use crate::ledger::{CloseReason, Entry};
use crate::server::simulation::script::{wire_line, Item};

/// At most this many lines of one session are heard in a turn.
const TURN_LINES_MAX: usize = 64;
/// A line that never ends ends its session.
const FLOOD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A talker whose lines wait for longer may be told so.
const UNTOLD_MAX: Duration = Duration::from_secs(2);
pub(super) const LINES_WAIT: &str = "slow down: your lines wait";
pub(super) const ROOM_IS_SLOW: &str = "the room is slow; your lines wait";
/// No pause is longer, but for what was owed before: it has the price of one request, or of a line in a slow room. Where
/// the rate was lowered, what was owed at that time comes on top.
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// Times are kept in whole microseconds.
const ROUNDING: Duration = Duration::from_micros(2);

impl Model {
    /// Hears all that was read of a session, but for the last `kept` bytes.
    pub(super) fn hear(&mut self, number: u64, kept: usize) {
        let now = self.now;
        let it = self.it(number);
        let (client, limit) = (it.client, it.given - kept);
        let (mut lines, mut interrupted, mut asked_last) = (0, false, false);
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
            if item.is_of_people() {
                self.it(number).heard_at = now;
            }
            self.charge(number, &item);
            asked_last = item.is_answered_at_length();
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
        if self.sessions[&number].is_open() {
            self.tell_of_waiting(number, kept);
        }
        if kept > 0 {
            let is_unlimited = self.terms.limits.line_rate.is_unlimited();
            self.hit(match lines {
                _ if !is_unlimited => "paused",
                ..TURN_LINES_MAX if asked_last => "long reply is waited for",
                TURN_LINES_MAX.. => "more lines than a turn takes",
                _ => "said enough",
            });
        }
        if self.sessions[&number].is_open() {
            self.foresee_end(number, limit);
        }
    }

    /// How long it takes until one more line may be heard.
    pub(super) fn token(&self) -> Duration {
        let rate = self.terms.limits.line_rate;
        if rate.is_unlimited() {
            return Duration::ZERO;
        }
        Duration::from_micros(1_000_000 / u64::from(rate.per_second))
    }

    /// Nobody is heard who owes a line. What else it costs than lines the model does not know, so it knows no more.
    fn charge(&mut self, number: u64, item: &Item) {
        let (rate, token, now) = (self.terms.limits.line_rate, self.token(), self.now);
        if rate.is_unlimited() {
            return;
        }
        let it = self.it(number);
        let allowed = now + token * (rate.burst - 1) + ROUNDING;
        assert!(
            item.lines() == 0 || it.paid_at <= allowed,
            "{number} is heard, and owes until {:?}",
            it.paid_at
        );
        it.paid_at = it.paid_at.max(now) + token * item.lines();
    }

    /// A talker whose lines wait is told so, behind what was said of them: once for each long pause, and once each time the
    /// room falls behind. When exactly a pause began and ended the model does not know.
    fn tell_of_waiting(&mut self, number: u64, kept: usize) {
        let now = self.now;
        let room_is_slow = self.room_may_be_behind(self.sessions[&number].room);
        let is_unlimited = self.terms.limits.line_rate.is_unlimited();
        let it = self.it(number);
        if is_unlimited {
            return;
        }
        let goes_on = it.read_at + PAUSE_MAX >= now;
        let since = it.lines_wait_since.filter(|_| goes_on).unwrap_or(now);
        it.lines_wait_since = Some(since);
        it.read_at = now;
        let mut lines = vec![String::new()];
        if now.saturating_sub(since) >= UNTOLD_MAX {
            lines.push(unasked(it.dialect, LINES_WAIT));
        }
        if room_is_slow {
            lines.push(unasked(it.dialect, ROOM_IS_SLOW));
        }
        let hears = it.dialect == Dialect::Telnet || it.watches;
        if hears && kept > 0 && lines.len() > 1 {
            self.tell_perhaps(number, &lines);
        }
    }

    /// A session that speaks another protocol, or never ends a line, must end now.
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
                assert!(self.past.paced, "{number} has not ended");
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
            CloseReason::Quit
            | CloseReason::Full
            | CloseReason::PerAddress
            | CloseReason::Drain
            | CloseReason::Banned
            | CloseReason::Kicked
            | CloseReason::NameTaken
            | CloseReason::Replaced
            | CloseReason::ConnectRate => {
                panic!("{number} ends, {reason}, without having done anything for it");
            }
        }
    }
}

/// What the server says without having been asked, as a session of this dialect hears it.
pub(super) fn unasked(dialect: Dialect, words: &str) -> String {
    match dialect {
        Dialect::Telnet => format!("-- {words}\r\n"),
        Dialect::Wire => wire_line("TELL", &["chatd", words]) + "\n",
        other => unreachable!("nobody here speaks {other}"),
    }
}
