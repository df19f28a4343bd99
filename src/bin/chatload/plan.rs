//! Who does what when in a round, from a seed: nothing here knows a clock or a socket.
//!
//! A round has seats. In each sits one client at a time; with churn somebody else takes it over in the middle.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;

use crate::options::Options;
use crate::rooms::Rooms;

/// What every round does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seats: Vec<Seat>,
    pub(crate) rooms: Rooms,
    messages: u16,
}

/// What happens in one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    /// Between two messages, and before the first one.
    pub(crate) interval: Duration,
    pub(crate) conduct: Conduct,
    /// When a client leaves that does not stay until the end.
    leave_after: Duration,
}

/// How somebody behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Talks, hears, and leaves in good order when all is said.
    Steady,
    /// Leaves in good order in the middle, and somebody else takes the place.
    Changing,
    /// Leaves by a reset in the middle; the place stays empty.
    Aborting,
    /// Says nothing and never reads.
    Stalling,
}

/// What is to be done in a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// Say the message of this number.
    Say(u16),
    /// Leave before the others do.
    Leave,
}

/// The deeds of a round in their order.
#[derive(Debug)]
pub(crate) struct Agenda(BinaryHeap<Reverse<(Duration, usize, Deed)>>);

impl Plan {
    pub(crate) fn new(options: &Options) -> Self {
        let mut random = Rng::with_seed(options.seed);
        let others = options.clients - options.stall - options.abort;
        let changing = if options.churn { others / 2 } else { 0 };
        let mut conducts = vec![Conduct::Stalling; options.stall];
        conducts.resize(options.stall + options.abort, Conduct::Aborting);
        conducts.resize(conducts.len() + changing, Conduct::Changing);
        conducts.resize(options.clients, Conduct::Steady);
        random.shuffle(&mut conducts);
        let spread = options
            .interval_max
            .saturating_sub(options.interval_min)
            .as_secs_f64();
        let seats = conducts.into_iter().map(|conduct| {
            let interval = options.interval_min + Duration::from_secs_f64(spread * random.f64());
            // Between a message and the next one, and not before the first or behind the last.
            let middle = interval * u32::from(options.messages);
            Seat {
                interval,
                conduct,
                leave_after: middle.mul_f64(0.1 + 0.8 * random.f64()),
            }
        });
        Self {
            seats: seats.collect(),
            rooms: options.seating(),
            messages: options.messages,
        }
    }

    /// When, from the beginning of a round, the message of this number is due in a seat.
    pub(crate) fn due(&self, seat: usize, number: u16) -> Duration {
        self.seats[seat].interval * (u32::from(number) + 1)
    }

    /// How many messages a round has, if nobody leaves early for good.
    pub(crate) fn messages(&self) -> u64 {
        let talking = self
            .seats
            .iter()
            .filter(|seat| seat.conduct != Conduct::Stalling);
        talking.count() as u64 * u64::from(self.messages)
    }

    /// The deeds of a round.
    pub(crate) fn agenda(&self) -> Agenda {
        let mut agenda = BinaryHeap::new();
        for (seat, of) in self.seats.iter().enumerate() {
            if of.conduct != Conduct::Stalling {
                agenda.push(Reverse((self.due(seat, 0), seat, Deed::Say(0))));
            }
            if matches!(of.conduct, Conduct::Changing | Conduct::Aborting) {
                agenda.push(Reverse((of.leave_after, seat, Deed::Leave)));
            }
        }
        Agenda(agenda)
    }
}

impl Agenda {
    /// When the next deed is due, from the beginning of the round; `None` if all is done.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((due, ..))| *due)
    }

    /// Takes the next deed that is due at `since`, and puts the one that follows it in its place.
    pub(crate) fn take_due(&mut self, plan: &Plan, since: Duration) -> Option<(usize, Deed)> {
        self.next_due().filter(|due| *due <= since)?;
        let Reverse((_, seat, deed)) = self.0.pop()?;
        if let Deed::Say(number) = deed {
            let next = number + 1;
            if next < plan.messages {
                let due = plan.due(seat, next);
                self.0.push(Reverse((due, seat, Deed::Say(next))));
            }
        }
        Some((seat, deed))
    }

    /// Forgets what was still to be done in a seat that stays empty.
    pub(crate) fn abandon(&mut self, seat: usize) {
        self.0.retain(|Reverse((_, other, _))| *other != seat);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::options::Request;

    fn plan(arguments: &str) -> Plan {
        let arguments = arguments.split_whitespace().map(OsString::from);
        match Options::parse(arguments) {
            Ok(Request::Run(options)) => Plan::new(&options),
            other => panic!("{other:?}"),
        }
    }

    fn deeds(plan: &Plan) -> Vec<(usize, Deed)> {
        let mut agenda = plan.agenda();
        std::iter::from_fn(|| agenda.take_due(plan, Duration::MAX)).collect()
    }

    #[test]
    fn everybody_says_everything_in_order_at_an_interval_of_its_own() {
        let plan = plan("--clients 50 --messages 11");
        assert_eq!(plan.messages(), 550);
        let deeds = deeds(&plan);
        assert_eq!(deeds.len(), 550);
        for seat in 0..50 {
            let said = deeds.iter().filter(|(other, _)| *other == seat);
            let said: Vec<Deed> = said.map(|(_, deed)| *deed).collect();
            assert_eq!(said, (0..11).map(Deed::Say).collect::<Vec<_>>());
        }
        let mut intervals: Vec<_> = plan.seats.iter().map(|seat| seat.interval).collect();
        assert!(intervals
            .iter()
            .all(|interval| (1..=3).contains(&interval.as_secs())));
        intervals.sort_unstable();
        intervals.dedup();
        assert_eq!(intervals.len(), 50);
    }

    #[test]
    fn the_same_seed_is_the_same_plan() {
        let of_seed = |seed| {
            let plan = plan(&format!(
                "--clients 40 --stall 5 --abort 5 --churn --seed {seed}"
            ));
            format!("{plan:?}")
        };
        assert_eq!(of_seed(7), of_seed(7));
        assert_ne!(of_seed(7), of_seed(8));
    }

    #[test]
    fn as_many_as_asked_for_stall_abort_and_change() {
        let plan = plan("--clients 40 --stall 4 --abort 6 --churn");
        let count = |conduct| {
            let seats = plan.seats.iter();
            seats.filter(|seat| seat.conduct == conduct).count()
        };
        assert_eq!(count(Conduct::Stalling), 4);
        assert_eq!(count(Conduct::Aborting), 6);
        assert_eq!(count(Conduct::Changing), 15);
        assert_eq!(plan.messages(), 36 * 11);
    }

    #[test]
    fn an_abandoned_seat_does_nothing_more() {
        let plan = plan("--clients 2 --messages 3");
        let mut agenda = plan.agenda();
        agenda.abandon(0);
        while let Some((seat, _)) = agenda.take_due(&plan, Duration::MAX) {
            assert_eq!(seat, 1);
        }
    }
}
