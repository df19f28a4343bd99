//! Who comes, who goes, and how it ends.

use std::net::IpAddr;
use std::time::Duration;

use super::due::Due;
use super::rooms::Leaving;
use super::session::{Ended, Phase, Session};
use super::words::{class_of, head_of_list, list, refusal};
use super::Model;
use crate::dialect::Dialect;
use crate::hub::{Ending, SessionId};
use crate::ledger::{CloseReason, Closed, Entry};
use crate::server::simulation::connection::Connection;
use crate::server::simulation::LISTENERS;

/// A session that was told everything may send this much more.
const LINGER_BYTES_MAX: usize = 64 * 1024;
/// A session that was told everything has this long to close its own side.
const LINGER: Duration = Duration::from_secs(1);
/// At most this many who are refused are held until they have read why.
const REFUSED_MAX: usize = 32;
/// Guests who never took a name nor spoke make room for newcomers after this time.
const SILENT_MAX: Duration = Duration::from_secs(10);
/// A session whose input is paused counts as silent at most so much later.
const PAUSE_SECONDS_MAX: u64 = 4;
/// No address owes more time than this: it is what the fullest bucket takes, and one request.
const DEBT_MAX: Duration = Duration::from_secs(6);
/// How many connections of an address come at once where `sessions-per-address-max` is off.
const CONNECTS_BURST: u32 = 64;
/// How many names a greeting has at most.
const GREETING_NAMES_MAX: usize = 20;

/// Whether events of a newcomer are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registered {
    /// It was not even taken in.
    No,
    Failed,
    As(SessionId),
}

/// What becomes of a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Admit,
    Refuse(CloseReason),
    TurnAway(CloseReason),
}

impl Model {
    /// A newcomer.
    pub(super) fn admit(&mut self, client: usize, registered: Registered, connection: &Connection) {
        let address = connection.from.ip();
        let dialect = LISTENERS[connection.listener];
        let mut verdict = self.judge_newcomer(address);
        let full = [
            Verdict::Refuse(CloseReason::Full),
            Verdict::TurnAway(CloseReason::Full),
        ];
        if let Some(silent) = self.oldest_silent().filter(|_| full.contains(&verdict)) {
            self.hit("place is made");
            self.close(silent, CloseReason::Idle, "");
            verdict = self.judge_place();
        }
        self.opened += 1;
        let number = self.opened;
        let was_turned_away = matches!(verdict, Verdict::TurnAway(_));
        assert_eq!(
            registered == Registered::No,
            was_turned_away,
            "{client}: {verdict:?}"
        );
        if let Verdict::TurnAway(reason) = verdict {
            return self.turn_away(number, client, dialect, reason, connection);
        }
        let mut session = Session::new(number, client, connection, dialect, self.now);
        if let Registered::As(id) = registered {
            session.slot = id.slot();
        }
        let owes_until = self.debts.get(&address).copied();
        if let Some(paid_at) = owes_until.filter(|at| verdict == Verdict::Admit && *at > self.now) {
            session.paid_at = paid_at;
            session.lines_wait_since = Some(self.now);
            session.read_at = paid_at;
            self.hit("debt taken over");
        } else if self.past.rate_changed && verdict == Verdict::Admit {
            // What its address may owe since then, the model does not know.
            session.lines_wait_since = Some(self.now);
            session.read_at = self.now + DEBT_MAX;
        }
        self.sessions.insert(number, session);
        if let Verdict::Refuse(reason) = verdict {
            self.it(number).refused = true;
            self.expect_end(number, reason);
            let why = self.why_kept_out(reason, address);
            self.bid_farewell(number, reason, &why);
            self.hit("refused");
        } else {
            self.greet(number);
            self.judge_newcomer_for_mutes(number);
        }
        if registered == Registered::Failed {
            self.it(number).ended = Ended::Broken;
            if verdict == Verdict::Admit {
                self.close(number, CloseReason::Reset, "");
            }
        }
    }

    fn judge_newcomer(&mut self, address: IpAddr) -> Verdict {
        if self.stops == 0 && self.ban_of(address).is_some() {
            return self.reject(CloseReason::Banned);
        }
        if self.stops == 0 && self.operators.drains {
            return self.reject(CloseReason::Drain);
        }
        let same = |it: &&Session| !it.refused && it.address == address;
        let of_address = self.sessions.values().filter(same).count();
        let of_address_max = self.terms.admission.per_address_max;
        if self.stops > 0 {
            return Verdict::TurnAway(CloseReason::Shutdown);
        }
        if !address.is_loopback() {
            if of_address_max.is_some_and(|max| of_address >= max as usize) {
                return self.reject(CloseReason::PerAddress);
            }
            if self.connects_too_often(address) {
                return self.reject(CloseReason::ConnectRate);
            }
        }
        self.judge_place()
    }

    /// Counts a connection of an address, unless it must wait: then notes for how long.
    fn connects_too_often(&mut self, address: IpAddr) -> bool {
        let Some(per_minute) = self.terms.admission.connects_per_minute else {
            return false;
        };
        let interval = Duration::from_secs(60) / per_minute;
        let burst = self
            .terms
            .admission
            .per_address_max
            .unwrap_or(CONNECTS_BURST);
        let paid_at = self.connects.get(&address).copied().unwrap_or_default();
        let paid_at = paid_at.max(self.now) + interval;
        let allowed = self.now + interval * burst;
        if paid_at <= allowed {
            self.connects.insert(address, paid_at);
            return false;
        }
        self.connect_seconds = paid_at.saturating_sub(allowed).as_millis().div_ceil(1000) as u64;
        true
    }

    fn judge_place(&self) -> Verdict {
        let open = self.sessions.values().filter(|it| it.is_open()).count();
        if open < self.terms.admission.sessions_max {
            return Verdict::Admit;
        }
        self.reject(CloseReason::Full)
    }

    fn reject(&self, reason: CloseReason) -> Verdict {
        let refused = self.sessions.values().filter(|it| it.refused).count();
        if refused < REFUSED_MAX {
            Verdict::Refuse(reason)
        } else {
            Verdict::TurnAway(reason)
        }
    }

    fn oldest_silent(&self) -> Option<u64> {
        let is_silent = |(number, it): &(&u64, &Session)| it.is_open() && !self.is_here(**number);
        let (number, it) = self.sessions.iter().find(is_silent)?;
        (it.opened_at + SILENT_MAX <= self.now).then_some(*number)
    }

    fn turn_away(
        &mut self,
        number: u64,
        client: usize,
        dialect: Dialect,
        reason: CloseReason,
        connection: &Connection,
    ) {
        let mut due = Due::default();
        let why = self.why_kept_out(reason, connection.from.ip());
        due.push(farewell(dialect, reason, self.connect_seconds, &why));
        if let Err(why) = due.take(&connection.fresh) {
            panic!("{number} was turned away and {why}");
        }
        self.hit("turned away");
        self.hit(reason.as_str());
        self.reasons.insert(client, reason);
        self.turned_away.push((number, client, reason));
    }

    fn greet(&mut self, number: u64) {
        if self.sessions[&number].dialect != Dialect::Telnet {
            return;
        }
        let name = self.it(number).name.clone();
        self.tell(
            number,
            &format!("-- Welcome! You are {name}: /name NAME changes that, /help lists commands."),
        );
        self.show_here(number);
        self.tell_of_rooms(number);
        for line in self.message.clone() {
            self.tell(number, &format!("-- {line}"));
        }
        if !self.room_of(number).history.is_empty() {
            self.hit("newcomer is shown what was said");
            self.show_history(number, 0);
        }
    }

    /// Shows who is in the room to which a session has come.
    pub(super) fn show_here(&mut self, number: u64) {
        let room = self.sessions[&number].room;
        let mut names = self.names_here(room);
        let count = names.len();
        let more = count.saturating_sub(GREETING_NAMES_MAX);
        let mut end = String::new();
        if more > 0 {
            self.hit("greeting leaves names out");
            end = format!(" and {more} more");
        }
        end += &self.listening(room);
        names.truncate(GREETING_NAMES_MAX);
        for line in list(&head_of_list(count), &names, &end) {
            self.tell(number, &line);
        }
    }

    /// The next thing that the server did is to end this session.
    pub(super) fn expect_end(&mut self, number: u64, reason: CloseReason) {
        self.set_closes_aside();
        let next = self.diary.pop_front();
        let expected = Entry::Ended { id: number, reason };
        assert_eq!(next, Some(expected), "what was done next");
        self.hit(reason.as_str());
    }

    pub(super) fn close(&mut self, number: u64, reason: CloseReason, words: &str) {
        let name = self.sessions[&number].name.clone();
        self.close_for(number, reason, words, &name);
    }

    /// The same, for a reason of which its person is told `why`.
    pub(super) fn close_for(&mut self, number: u64, reason: CloseReason, words: &str, why: &str) {
        if !self.sessions[&number].is_open() {
            return self.hit("second close does nothing");
        }
        self.expect_end(number, reason);
        let it = &self.sessions[&number];
        if !it.address.is_loopback() {
            let owed = self.debts.entry(it.address).or_default();
            *owed = it.paid_at.max(*owed);
        }
        self.freed.extend(class_of(&it.name));
        self.give_up_kept(number);
        self.rules.end_session(number);
        let it = &self.sessions[&number];
        if it.unheard {
            self.hit("leaves before being told in the round");
        }
        self.bid_farewell(number, reason, why);
        let room = self.sessions[&number].room;
        self.leave_room(number, room, Leaving::Away(words));
    }

    fn bid_farewell(&mut self, number: u64, reason: CloseReason, why: &str) {
        let (now, is_paced) = (self.now, self.past.paced);
        let it = &self.sessions[&number];
        let (dialect, client) = (it.dialect, it.client);
        let silent = match reason {
            CloseReason::ConnectRate => self.connect_seconds,
            _ => now.saturating_sub(it.heard_at).as_secs(),
        };
        // A session whose input is paused is not silent meanwhile.
        let pause = if is_paced && reason == CloseReason::Idle {
            PAUSE_SECONDS_MAX
        } else {
            0
        };
        let shortest = silent.saturating_sub(pause);
        let time = if it.prefs.clock {
            self.time()
        } else {
            String::new()
        };
        let ways = (shortest..=silent)
            .map(|silent| farewell(dialect, reason, silent, why))
            .filter(|farewell| !farewell.is_empty())
            .map(|farewell| [time.as_bytes(), &farewell].concat());
        let ways: Vec<_> = ways.collect();
        let until = now + self.terms.limits.drain;
        let it = self.it(number);
        if !ways.is_empty() {
            it.due.push_either(ways);
        }
        it.reason = Some(reason);
        it.until = until;
        it.phase = Phase::Draining;
        self.ending.insert(number);
        self.reasons.insert(client, reason);
    }

    pub(super) fn finish(&mut self, client: usize) {
        let Some((number, _)) = self.of_client(client) else {
            return;
        };
        let now = self.now;
        let it = self.it(number);
        assert_eq!(it.phase, Phase::Draining, "{number} is finished");
        assert_eq!(it.due.range().0, 0, "{number} is finished, but due more");
        it.phase = Phase::Lingering;
        it.until = it.until.min(now + LINGER);
        it.due.clear();
    }

    pub(super) fn free(&mut self, client: usize, ending: Ending) {
        let Some((number, it)) = self.of_client(client) else {
            let place = self.turned_away.iter().position(|it| it.1 == client);
            let (number, _, reason) = self.turned_away.remove(place.expect("it was turned away"));
            let close = Closed {
                id: number,
                name: format!("guest{number}"),
                reason,
                lasted: Duration::ZERO,
                lines_in: 0,
                bytes_out: 0,
            };
            return self.close_in_ledger(number, &close);
        };
        let (cause, expected) = self.cause_of_end(number, it);
        if !cause.is_empty() {
            self.hit(cause);
        }
        if let Some(expected) = expected {
            assert_eq!(ending, expected, "{number} {cause}");
        }
        let it = self.sessions.remove(&number).expect("it was just there");
        let reason = it.reason.expect("it is ending");
        let mut close = Closed {
            id: number,
            name: it.name,
            reason,
            lasted: self.now.saturating_sub(it.opened_at),
            lines_in: it.lines_in,
            bytes_out: it.bytes_out as u64,
        };
        if reason == CloseReason::WrongProtocol {
            // Whether its first line counts depends on how much of it came at once.
            close.lines_in = self
                .closes
                .get(&number)
                .map_or(0, |close| close.lines_in.min(1));
        }
        self.close_in_ledger(number, &close);
    }

    /// Why a session is freed now, and how its connection then is to end, if that is known.
    fn cause_of_end(&self, number: u64, it: &Session) -> (&'static str, Option<Ending>) {
        let (fewest, most) = it.due.range();
        let unless_due = match (fewest, most) {
            (_, 0) => Some(Ending::Orderly),
            (0, _) => None,
            _ => Some(Ending::Abrupt),
        };
        let late = it.until <= self.now;
        let is_over = |stopped_at| stopped_at + self.terms.limits.drain <= self.now;
        let cut_off = self.stops > 1 || self.stopped_at.is_some_and(is_over);
        let has_ended = it.ended != Ended::No;
        if it.is_hopeless() {
            return ("", unless_due.filter(|ending| *ending == Ending::Orderly));
        }
        match it.phase {
            Phase::Open => panic!("{number} is freed, but open"),
            Phase::Lingering if has_ended => ("linger ends by eof", Some(Ending::Orderly)),
            Phase::Lingering if it.dropped > LINGER_BYTES_MAX => {
                ("linger ends by bytes", Some(Ending::Orderly))
            }
            // What a slow one was given may still be on its way, and a reset would throw that away.
            Phase::Lingering if late => {
                let ending = match it.slow {
                    [_, true] => Some(Ending::Orderly),
                    [false, _] => Some(Ending::Abrupt),
                    _ => None,
                };
                ("linger ends by time", ending.filter(|_| !cut_off))
            }
            Phase::Lingering if cut_off => ("cut off", Some(Ending::Orderly)),
            Phase::Draining if has_ended && fewest == 0 => {
                ("", Some(Ending::Orderly).filter(|_| most == 0 && !late))
            }
            Phase::Draining if late => {
                ("drain deadline", Some(Ending::Abrupt).filter(|_| !cut_off))
            }
            Phase::Draining if cut_off => ("cut off", unless_due),
            Phase::Draining if it.reason == Some(CloseReason::SlowConsumer) => {
                assert!(
                    self.has_memory_limit(),
                    "{number} is not given the time to drain"
                );
                ("memory limit", Some(Ending::Abrupt))
            }
            Phase::Draining if self.has_memory_limit() && fewest > 0 => {
                ("memory limit", Some(Ending::Abrupt))
            }
            phase => panic!("{number} is freed too early: {phase:?}, {:?}", it.reason),
        }
    }
}

/// The last thing that a session is told. `why` is its name if that is taken back, else until when and for which reason an
/// operator keeps it out.
fn farewell(dialect: Dialect, reason: CloseReason, seconds: u64, why: &str) -> Vec<u8> {
    let words = match reason {
        CloseReason::Quit => "goodbye".to_owned(),
        CloseReason::Shutdown => "goodbye: the server is going down".to_owned(),
        CloseReason::SlowConsumer | CloseReason::WriteStall => {
            "goodbye: too slow to keep up".to_owned()
        }
        CloseReason::Full => "goodbye: the server is full".to_owned(),
        CloseReason::PerAddress => "goodbye: too many connections from your address".to_owned(),
        CloseReason::Idle => format!("goodbye: nothing heard for {seconds} s"),
        CloseReason::ConnectRate => {
            format!("goodbye: you connect too often; try again in {seconds} s")
        }
        CloseReason::Flood => "goodbye: too much at once".to_owned(),
        CloseReason::WrongProtocol => "this is a chat in plain text".to_owned(),
        CloseReason::Drain => "goodbye: the server takes no newcomers just now".to_owned(),
        CloseReason::Banned => format!("goodbye: you are banned{why}"),
        CloseReason::Kicked => format!("goodbye: you were kicked{why}"),
        CloseReason::NameTaken => format!("goodbye: {why} was taken back with its key"),
        CloseReason::Replaced => unreachable!("nobody in it has a page"),
        CloseReason::Reset | CloseReason::Eof => return Vec::new(),
    };
    match (dialect, reason) {
        (Dialect::Telnet, CloseReason::Quit | CloseReason::Shutdown) => {
            format!("-- {words}\r\n").into_bytes()
        }
        (Dialect::Wire, CloseReason::Quit) => Vec::new(),
        _ => refusal(dialect, &words, reason.as_str()),
    }
}
