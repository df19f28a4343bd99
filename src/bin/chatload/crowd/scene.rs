//! What the clients of a round do and hear: who sits where, what was said and heard, and what went wrong.

use std::collections::BTreeMap;
use std::iter;
use std::mem;
use std::net::SocketAddr;
use std::process;
use std::time::{Duration, Instant};

use chatd::client::{ClientId, Connection, Event, Leave, Message, Refusal, SendError, Why};

use crate::load::latency::Latencies;
use crate::plan::Plan;
use crate::tally::Tally;

/// When all is said and nothing was heard for this long, what is missing is lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Who left by a reset may still be heard for this long.
pub(super) const ECHO_MAX: Duration = Duration::from_millis(100);
/// The latencies that are told.
pub(crate) const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// One connection of the load.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) seat: usize,
    /// Our own address, if the connection ever stood.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) ending: Ending,
    /// The server has confirmed its name.
    pub(crate) named: bool,
    pub(crate) closed: Option<Why>,
}

/// How a connection ends, by our own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not at all yet: if it is closed now, somebody else did it.
    None,
    Quit,
    Reset,
    /// It never reads: the server may close it at any time, and it is reset in the end.
    Stalled,
}

/// What came of a round.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) seats: usize,
    /// How many seats were taken before the first word.
    pub(crate) connected: usize,
    pub(crate) sent: u64,
    pub(crate) expected: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
    /// Those of [`QUANTILES`], in microseconds.
    pub(crate) latency_us: [u64; QUANTILES.len()],
    /// From the beginning of the talk to the last delivery.
    pub(crate) talk: Duration,
    /// What went wrong at the clients, and how often.
    pub(crate) troubles: BTreeMap<String, u64>,
}

/// What the clients do and hear.
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) words: Words,
    pub(super) tally: Tally,
    pub(super) latencies: Latencies,
    pub(super) seats: Vec<Seat>,
    /// By the index of the client, for none is removed.
    pub(super) visits: Vec<Visit>,
    /// Connections that are not named or closed yet.
    pub(super) joining: usize,
    /// Seats that somebody else is to take.
    pub(super) vacant: Vec<usize>,
    pub(super) began_at: Instant,
    pub(super) said_at: Instant,
    pub(super) heard_at: Instant,
    pub(super) troubles: BTreeMap<String, u64>,
}

/// Who sits there now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seat {
    pub(super) client: Option<ClientId>,
    /// It has a name and may talk.
    pub(super) ready: bool,
    /// How many messages were due while nobody could say them.
    pub(super) owed: u16,
    /// When the client has left, another one is to come.
    pub(super) changes_hands: bool,
}

/// What messages look like: `RUN ROUND SEAT NUMBER xxx…`.
#[derive(Debug)]
pub(super) struct Words {
    /// `RUN ROUND `, unlike that of any other load and round.
    pub(super) prefix: String,
    pub(super) bytes: usize,
}

impl Words {
    pub(super) fn new(round: u32, bytes: usize) -> Self {
        let prefix = format!("{} {round} ", process::id());
        Self { prefix, bytes }
    }

    fn of(&self, seat: usize, number: u16) -> String {
        let mut words = format!("{}{seat} {number} ", self.prefix);
        words.extend(iter::repeat_n('x', self.bytes.saturating_sub(words.len())));
        words
    }

    /// The seat and the number, if these are words of this run and round.
    fn read(&self, words: &str) -> Option<(usize, u16)> {
        let mut fields = words.strip_prefix(&self.prefix)?.split(' ');
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    }
}

impl Scene<'_> {
    /// What has come of the round until now, but for the troubles.
    pub(super) fn outcome(&self, connected: usize) -> Outcome {
        let tally = &self.tally;
        Outcome {
            seats: self.seats.len(),
            connected,
            sent: tally.sent(),
            expected: tally.expected(),
            received: tally.received,
            lost: tally.lost(),
            duplicated: tally.duplicated,
            out_of_order: tally.out_of_order,
            latency_us: QUANTILES
                .map(|(_, share)| self.latencies.quantile(share).as_micros() as u64),
            talk: self.heard_at.saturating_duration_since(self.began_at),
            troubles: BTreeMap::new(),
        }
    }

    pub(super) fn visit(&mut self, id: ClientId) -> &mut Visit {
        &mut self.visits[id.index()]
    }

    fn trouble(&mut self, what: impl Into<String>) {
        self.troubles_with(what, 1);
    }

    pub(super) fn troubles_with(&mut self, what: impl Into<String>, count: u64) {
        if count > 0 {
            *self.troubles.entry(what.into()).or_default() += count;
        }
    }

    /// Somebody is on the way to a seat.
    pub(super) fn seat(&mut self, seat: usize, id: ClientId, ending: Ending) {
        self.visits.push(Visit {
            seat,
            address: None,
            ending,
            named: false,
            closed: None,
        });
        self.seats[seat].client = Some(id);
        self.joining += 1;
    }

    /// Somebody leaves by our own doing.
    pub(super) fn depart(&mut self, connection: &mut Connection, ending: Ending) {
        let visit = self.visit(connection.id());
        visit.ending = ending;
        let seat = visit.seat;
        self.seats[seat].ready = false;
        connection.leave(match ending {
            Ending::Quit | Ending::None => Leave::Quit,
            Ending::Reset | Ending::Stalled => Leave::Reset,
        });
    }

    pub(super) fn say(&mut self, seat: usize, connection: &mut Connection) {
        let words = self.words.of(seat, self.tally.next_number(seat));
        self.tally.send(seat);
        match connection.send(&words) {
            Ok(_) => {}
            Err(error @ SendError::Dropped) => self.trouble(error.to_string()),
            Err(error) => self.trouble(format!("a message was not taken: {error}")),
        }
    }

    pub(super) fn handle(&mut self, connection: &mut Connection, event: Event<'_>) {
        match event {
            Event::Connected => {
                let name = format!("load{}-{}", process::id(), connection.id().index());
                self.visit(connection.id()).address = connection.local_address();
                if let Err(error) = connection.set_name(&name) {
                    self.trouble(format!("no name could be asked for: {error}"));
                }
            }
            Event::Message(Message::Said { words, .. }) => self.hear(connection, &words),
            Event::Message(Message::Named(_)) => self.take_seat(connection),
            Event::Message(Message::Refused(Refusal { words, .. }) | Message::Goodbye(words))
                if self.visit(connection.id()).ending != Ending::Stalled =>
            {
                self.trouble(format!("refused: {words}"));
            }
            Event::Message(Message::Unknown(_) | Message::TooLong(_)) => {
                self.trouble("a line of the server could not be understood");
            }
            Event::Closed { why, .. } => self.close(connection, why),
            _ => {}
        }
    }

    fn hear(&mut self, connection: &Connection, words: &str) {
        let id = connection.id();
        let receiver = self.visit(id).seat;
        if !self.seats[receiver].ready {
            // What a newcomer is shown of the past.
            return;
        }
        let Some((sender, number)) = self.words.read(words) else {
            return;
        };
        if sender >= self.seats.len() || sender == receiver {
            return self.trouble("a message came that was not for this client");
        }
        if !self.tally.hear(receiver, sender, number) {
            return;
        }
        if let Some(heard_at) = connection.heard_at() {
            let due_at = self.began_at + self.plan.due(sender, number);
            self.latencies.record(due_at, heard_at);
            self.heard_at = heard_at;
        }
    }

    fn take_seat(&mut self, connection: &mut Connection) {
        let visit = self.visit(connection.id());
        if mem::replace(&mut visit.named, true) {
            return;
        }
        let seat = visit.seat;
        let stalls = visit.ending == Ending::Stalled;
        self.joining -= 1;
        self.seats[seat].ready = true;
        if stalls {
            return connection.pause_reading();
        }
        self.tally.join(seat);
        for _ in 0..mem::take(&mut self.seats[seat].owed) {
            self.say(seat, connection);
        }
    }

    fn close(&mut self, connection: &Connection, why: Why) {
        let visit = self.visit(connection.id());
        visit.closed = Some(why);
        let Visit {
            seat,
            ending,
            named,
            ..
        } = *visit;
        if !named {
            self.joining -= 1;
        }
        match ending {
            Ending::None => {
                self.tally.leave(seat);
                self.seats[seat] = Seat::default();
                self.trouble(format!("lost its connection: {why}"));
            }
            Ending::Quit => {
                if why != Why::Left {
                    self.trouble(format!("could not leave in good order: {why}"));
                }
                if mem::take(&mut self.seats[seat].changes_hands) {
                    self.vacant.push(seat);
                }
            }
            Ending::Reset | Ending::Stalled => {}
        }
    }

    /// Whether all that is to be heard was heard, or will not come any more.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let silence = now.saturating_duration_since(self.heard_at.max(self.said_at));
        if silence >= SILENCE_MAX {
            return true;
        }
        let settled = self.joining == 0 && self.vacant.is_empty();
        settled && self.tally.is_complete() && silence >= ECHO_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_who_said_them_and_are_as_long_as_wanted() {
        let words = Words::new(3, 48);
        let run = process::id();
        let said = words.of(499, 10);
        assert_eq!(said.len(), 48);
        assert_eq!(words.read(&said), Some((499, 10)));
        for foreign in [
            String::new(),
            "hello".to_owned(),
            format!("{run} 2 499 10 xxx"),
            format!("{} 3 499 10 xxx", run + 1),
            format!("{run} 3 x 1"),
            format!("{run} 3 1"),
        ] {
            assert_eq!(words.read(&foreign), None, "{foreign:?}");
        }
    }
}
