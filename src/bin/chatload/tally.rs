//! Who has heard what: lost, doubled and out of order, exactly, for every pair of seats.
//!
//! Invariants: `next` of a pair is the number of the message that the receiver must hear next from the sender; while
//! [`OPEN`] is set in it, it may begin with an earlier one, which was under way when it joined. `missing` holds exactly
//! the messages that were skipped and have not come since.

use std::collections::HashSet;

/// The receiver has heard nothing of this sender yet.
const OPEN: u16 = 1 << 15;

/// What was heard in one round.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    seats: usize,
    /// A row for each receiver.
    next: Vec<u16>,
    /// Somebody sits there who is to hear everything.
    present: Vec<bool>,
    /// How many messages were sent from each seat.
    sent: Vec<u16>,
    /// How many messages of each seat anybody knows of, at least.
    known: Vec<u16>,
    /// Whether what was sent last from a seat may never have left it.
    doubtful: Vec<bool>,
    missing: HashSet<(usize, usize, u16)>,
    /// From here on rows may be incomplete; those before are complete.
    incomplete_from: usize,
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
    lost_for_good: u64,
}

impl Tally {
    pub(crate) fn new(seats: usize) -> Self {
        Self {
            seats,
            next: vec![OPEN; seats * seats],
            present: vec![false; seats],
            sent: vec![0; seats],
            known: vec![0; seats],
            doubtful: vec![false; seats],
            ..Self::default()
        }
    }

    /// Somebody sits down, and is to hear everything that is sent from now on.
    pub(crate) fn join(&mut self, seat: usize) {
        self.present[seat] = true;
        let row = seat * self.seats..(seat + 1) * self.seats;
        for (next, sent) in self.next[row].iter_mut().zip(&self.sent) {
            *next = OPEN | sent;
        }
    }

    /// Somebody leaves. What it has missed until now is lost; what comes later is not for it.
    pub(crate) fn leave(&mut self, seat: usize) {
        self.present[seat] = false;
        let missed = self.missing.len();
        self.missing.retain(|(receiver, ..)| *receiver != seat);
        self.lost_for_good += (missed - self.missing.len()) as u64;
    }

    /// The number of the message that is sent next from this seat.
    pub(crate) fn next_number(&self, seat: usize) -> u16 {
        self.sent[seat]
    }

    /// A message was sent.
    pub(crate) fn send(&mut self, seat: usize) {
        self.sent[seat] += 1;
    }

    /// What was sent last from this seat may not have left it: only what anybody heard of it counts as sent.
    pub(crate) fn doubt(&mut self, seat: usize) {
        self.doubtful[seat] = true;
    }

    /// A message was heard; gives whether for the first time.
    pub(crate) fn hear(&mut self, receiver: usize, sender: usize, number: u16) -> bool {
        self.known[sender] = self.known[sender].max(number + 1);
        let next = &mut self.next[receiver * self.seats + sender];
        let due = *next & !OPEN;
        let may_be_earlier = *next & OPEN != 0;
        if number >= due || may_be_earlier {
            *next = number + 1;
            let skipped = due..number;
            self.missing
                .extend(skipped.map(|number| (receiver, sender, number)));
        } else if self.missing.remove(&(receiver, sender, number)) {
            self.out_of_order += 1;
        } else {
            self.duplicated += 1;
            return false;
        }
        self.received += 1;
        true
    }

    /// How many messages were sent.
    pub(crate) fn sent(&self) -> u64 {
        (0..self.seats)
            .map(|seat| u64::from(self.sent_from(seat)))
            .sum()
    }

    /// Whether everybody who is there has heard everything that was sent. Nothing more may be sent then.
    pub(crate) fn is_complete(&mut self) -> bool {
        while self.incomplete_from < self.seats {
            if self.missing_at_the_end(self.incomplete_from) > 0 {
                return false;
            }
            self.incomplete_from += 1;
        }
        self.missing.is_empty()
    }

    /// How many deliveries never came.
    pub(crate) fn lost(&self) -> u64 {
        let tails: u64 = (0..self.seats)
            .map(|receiver| self.missing_at_the_end(receiver))
            .sum();
        self.lost_for_good + self.missing.len() as u64 + tails
    }

    /// How many deliveries there should have been.
    pub(crate) fn expected(&self) -> u64 {
        self.received + self.lost()
    }

    fn sent_from(&self, seat: usize) -> u16 {
        if self.doubtful[seat] {
            self.known[seat]
        } else {
            self.sent[seat]
        }
    }

    /// How many of the last messages of all senders a receiver has not heard.
    fn missing_at_the_end(&self, receiver: usize) -> u64 {
        if !self.present[receiver] {
            return 0;
        }
        let row = &self.next[receiver * self.seats..][..self.seats];
        let pairs = row
            .iter()
            .enumerate()
            .filter(|(sender, _)| *sender != receiver);
        pairs
            .map(|(sender, next)| u64::from(self.sent_from(sender).saturating_sub(next & !OPEN)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(seats: usize) -> Tally {
        let mut tally = Tally::new(seats);
        (0..seats).for_each(|seat| tally.join(seat));
        tally
    }

    fn counts(tally: &Tally) -> [u64; 5] {
        [
            tally.expected(),
            tally.received,
            tally.lost(),
            tally.duplicated,
            tally.out_of_order,
        ]
    }

    #[test]
    fn everything_once_in_order_is_complete() {
        let mut tally = tally(3);
        for number in 0..2 {
            tally.send(0);
            assert!(!tally.is_complete());
            assert!(tally.hear(1, 0, number));
            assert!(tally.hear(2, 0, number));
        }
        assert!(tally.is_complete());
        assert_eq!(counts(&tally), [4, 4, 0, 0, 0]);
        assert_eq!(tally.sent(), 2);
    }

    #[test]
    fn a_gap_and_a_missing_end_are_lost() {
        let mut tally = tally(2);
        (0..4).for_each(|_| tally.send(0));
        tally.hear(1, 0, 0);
        tally.hear(1, 0, 2);
        assert!(!tally.is_complete());
        assert_eq!(counts(&tally), [4, 2, 2, 0, 0]);
    }

    #[test]
    fn a_late_one_is_out_of_order_and_a_second_one_is_duplicated() {
        let mut tally = tally(2);
        (0..3).for_each(|_| tally.send(0));
        for number in [0, 2, 1] {
            assert!(tally.hear(1, 0, number));
        }
        assert!(!tally.hear(1, 0, 1));
        assert!(!tally.hear(1, 0, 2));
        assert_eq!(counts(&tally), [3, 3, 0, 2, 1]);
        assert!(tally.is_complete());
    }

    #[test]
    fn a_newcomer_may_hear_what_was_under_way_and_must_hear_what_comes() {
        let mut tally = tally(2);
        (0..5).for_each(|_| tally.send(0));
        (0..5).for_each(|number| assert!(tally.hear(1, 0, number)));
        tally.leave(1);
        tally.join(1);
        assert!(tally.is_complete());
        assert!(tally.hear(1, 0, 4));
        assert_eq!(tally.lost(), 0);
        tally.leave(1);
        tally.join(1);
        (0..3).for_each(|_| tally.send(0));
        tally.hear(1, 0, 6);
        assert_eq!(tally.lost(), 2, "the sixth and the eighth");
    }

    #[test]
    fn who_has_left_misses_nothing_more() {
        let mut tally = tally(2);
        (0..3).for_each(|_| tally.send(0));
        tally.hear(1, 0, 0);
        tally.hear(1, 0, 2);
        tally.leave(1);
        tally.send(0);
        assert_eq!(counts(&tally), [3, 2, 1, 0, 0]);
    }

    #[test]
    fn of_who_left_by_a_reset_counts_what_anybody_heard() {
        let mut tally = tally(3);
        (0..4).for_each(|_| tally.send(0));
        tally.doubt(0);
        tally.hear(1, 0, 0);
        tally.hear(1, 0, 1);
        tally.hear(2, 0, 0);
        assert_eq!(tally.sent(), 2);
        assert_eq!(tally.lost(), 1);
    }
}
