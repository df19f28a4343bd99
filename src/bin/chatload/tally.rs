//! Who has heard what: lost, doubled and out of order, exactly, for every pair of seats in a room, and what was heard in
//! a wrong room.
//!
//! Invariants: `next` of a pair is the number of the message that the receiver must hear next from the sender; while
//! [`OPEN`] is set in it, it may begin with an earlier one, which was under way when it joined. `missing` holds exactly
//! the messages that were skipped and have not come since.

use std::collections::HashSet;

use crate::rooms::Rooms;

/// The receiver has heard nothing of this sender yet.
const OPEN: u16 = 1 << 15;

/// What was heard in one round.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    seats: usize,
    rooms: Rooms,
    /// A row for each receiver, with a place for everybody in its room.
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
    /// Heard in a room in which it was not said.
    pub(crate) leaked: u64,
    /// The first of these: the room in which it was said, and that in which it was heard.
    pub(crate) first_leak: Option<[usize; 2]>,
    lost_for_good: Lost,
}

/// How many deliveries never came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) all: u64,
    /// Those whose sender is at another server than their receiver.
    pub(crate) between_servers: u64,
}

/// What a message is to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// What it was to hear and had not heard.
    New,
    /// What it had heard already.
    Again,
    /// What was said in another room than that in which it was heard.
    Leaked,
    /// What it may hear and need not: it passes through the lobby, is not seated yet, or has left.
    Besides,
    /// What was said from its own seat since it has been there.
    Own,
}

impl Tally {
    pub(crate) fn new(seats: usize, rooms: Rooms) -> Self {
        Self {
            seats,
            rooms,
            next: vec![OPEN; seats * rooms.largest()],
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
        let row = self.row(seat);
        for (place, sender) in self.rooms.mates(seat).enumerate() {
            self.next[row + place] = OPEN | self.sent[sender];
        }
    }

    /// Somebody leaves. What it has missed until now is lost; what comes later is not for it.
    pub(crate) fn leave(&mut self, seat: usize) {
        self.present[seat] = false;
        let rooms = self.rooms;
        let missed = self.missing.extract_if(|(receiver, ..)| *receiver == seat);
        for (receiver, sender, _) in missed {
            self.lost_for_good.add(rooms, receiver, sender, 1);
        }
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

    /// A message was heard by a receiver that is in this room, as far as the server has said.
    pub(crate) fn hear(
        &mut self,
        receiver: usize,
        room: usize,
        sender: usize,
        number: u16,
    ) -> Heard {
        self.known[sender] = self.known[sender].max(number + 1);
        let said_in = self.rooms.of(sender);
        if said_in != room {
            self.leaked += 1;
            self.first_leak.get_or_insert([said_in, room]);
            return Heard::Leaked;
        }
        if !self.present[receiver] || self.rooms.of(receiver) != room {
            return Heard::Besides;
        }
        if sender == receiver {
            return Heard::Own;
        }
        let place = self.row(receiver) + self.rooms.place(sender);
        let next = &mut self.next[place];
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
            return Heard::Again;
        }
        self.received += 1;
        Heard::New
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
            let receiver = self.incomplete_from;
            if self
                .missing_at_the_end(receiver)
                .any(|(_, count)| count > 0)
            {
                return false;
            }
            self.incomplete_from += 1;
        }
        self.missing.is_empty()
    }

    /// How many deliveries never came.
    pub(crate) fn lost(&self) -> Lost {
        let mut lost = self.lost_for_good;
        for (receiver, sender, _) in &self.missing {
            lost.add(self.rooms, *receiver, *sender, 1);
        }
        for receiver in 0..self.seats {
            for (sender, count) in self.missing_at_the_end(receiver) {
                lost.add(self.rooms, receiver, sender, count);
            }
        }
        lost
    }

    /// How many deliveries there should have been.
    pub(crate) fn expected(&self) -> u64 {
        self.received + self.lost().all
    }

    fn sent_from(&self, seat: usize) -> u16 {
        if self.doubtful[seat] {
            self.known[seat]
        } else {
            self.sent[seat]
        }
    }

    /// How many of the last messages of each sender a receiver has not heard.
    fn missing_at_the_end(&self, receiver: usize) -> impl Iterator<Item = (usize, u64)> + '_ {
        let row = &self.next[self.row(receiver)..];
        let pairs = self.rooms.mates(receiver).zip(row);
        let is_present = self.present[receiver];
        pairs
            .filter(move |(sender, _)| is_present && *sender != receiver)
            .map(|(sender, next)| {
                let unheard = self.sent_from(sender).saturating_sub(next & !OPEN);
                (sender, u64::from(unheard))
            })
    }

    /// Where the row of a receiver begins.
    fn row(&self, receiver: usize) -> usize {
        receiver * self.rooms.largest()
    }
}

impl Lost {
    fn add(&mut self, rooms: Rooms, receiver: usize, sender: usize, count: u64) {
        self.all += count;
        if rooms.server(receiver) != rooms.server(sender) {
            self.between_servers += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::LOBBY;

    fn tally(seats: usize) -> Tally {
        in_rooms(seats, 1)
    }

    fn in_rooms(seats: usize, rooms: usize) -> Tally {
        at_servers(seats, rooms, 1)
    }

    fn at_servers(seats: usize, rooms: usize, servers: usize) -> Tally {
        let mut tally = Tally::new(seats, Rooms::new(seats, rooms, servers));
        (0..seats).for_each(|seat| tally.join(seat));
        tally
    }

    impl Tally {
        /// The same in the lobby.
        fn hear_there(&mut self, receiver: usize, sender: usize, number: u16) -> Heard {
            self.hear(receiver, LOBBY, sender, number)
        }
    }

    fn counts(tally: &Tally) -> [u64; 5] {
        [
            tally.expected(),
            tally.received,
            tally.lost().all,
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
            assert_eq!(tally.hear_there(1, 0, number), Heard::New);
            assert_eq!(tally.hear_there(2, 0, number), Heard::New);
        }
        assert!(tally.is_complete());
        assert_eq!(counts(&tally), [4, 4, 0, 0, 0]);
        assert_eq!(tally.sent(), 2);
    }

    #[test]
    fn a_gap_and_a_missing_end_are_lost() {
        let mut tally = tally(2);
        (0..4).for_each(|_| tally.send(0));
        tally.hear_there(1, 0, 0);
        tally.hear_there(1, 0, 2);
        assert!(!tally.is_complete());
        assert_eq!(counts(&tally), [4, 2, 2, 0, 0]);
    }

    #[test]
    fn a_late_one_is_out_of_order_and_a_second_one_is_duplicated() {
        let mut tally = tally(2);
        (0..3).for_each(|_| tally.send(0));
        for number in [0, 2, 1] {
            assert_eq!(tally.hear_there(1, 0, number), Heard::New);
        }
        assert_eq!(tally.hear_there(1, 0, 1), Heard::Again);
        assert_eq!(tally.hear_there(1, 0, 2), Heard::Again);
        assert_eq!(counts(&tally), [3, 3, 0, 2, 1]);
        assert!(tally.is_complete());
    }

    #[test]
    fn a_newcomer_may_hear_what_was_under_way_and_must_hear_what_comes() {
        let mut tally = tally(2);
        (0..5).for_each(|_| tally.send(0));
        (0..5).for_each(|number| assert_eq!(tally.hear_there(1, 0, number), Heard::New));
        tally.leave(1);
        tally.join(1);
        assert!(tally.is_complete());
        assert_eq!(tally.hear_there(1, 0, 4), Heard::New);
        assert_eq!(tally.lost().all, 0);
        tally.leave(1);
        tally.join(1);
        (0..3).for_each(|_| tally.send(0));
        tally.hear_there(1, 0, 6);
        assert_eq!(tally.lost().all, 2, "the sixth and the eighth");
    }

    #[test]
    fn who_has_left_misses_nothing_more() {
        let mut tally = tally(2);
        (0..3).for_each(|_| tally.send(0));
        tally.hear_there(1, 0, 0);
        tally.hear_there(1, 0, 2);
        tally.leave(1);
        tally.send(0);
        assert_eq!(counts(&tally), [3, 2, 1, 0, 0]);
    }

    #[test]
    fn of_who_left_by_a_reset_counts_what_anybody_heard() {
        let mut tally = tally(3);
        (0..4).for_each(|_| tally.send(0));
        tally.doubt(0);
        tally.hear_there(1, 0, 0);
        tally.hear_there(1, 0, 1);
        tally.hear_there(2, 0, 0);
        assert_eq!(tally.sent(), 2);
        assert_eq!(tally.lost().all, 1);
    }

    #[test]
    fn everybody_is_to_hear_their_own_room_and_no_other() {
        // 0 and 2 are in the lobby, 1 and 3 in the other room, and nobody is beside 4 but them.
        let mut tally = in_rooms(5, 2);
        (0..5).for_each(|seat| tally.send(seat));
        for (receiver, sender) in [(0, 2), (0, 4), (2, 0), (2, 4), (4, 0), (4, 2)] {
            assert_eq!(tally.hear(receiver, LOBBY, sender, 0), Heard::New);
        }
        assert!(!tally.is_complete());
        assert_eq!(tally.hear(1, 1, 3, 0), Heard::New);
        assert_eq!(counts(&tally), [8, 7, 1, 0, 0], "3 has not heard 1");
        assert_eq!(tally.hear(3, 1, 1, 0), Heard::New);
        assert!(tally.is_complete());
        assert_eq!(counts(&tally), [8, 8, 0, 0, 0]);
        assert_eq!((tally.leaked, tally.first_leak), (0, None));
    }

    #[test]
    fn what_is_heard_in_a_wrong_room_has_leaked_and_is_no_delivery() {
        let mut tally = in_rooms(6, 3);
        tally.send(1);
        assert_eq!(tally.hear(2, 2, 1, 0), Heard::Leaked);
        assert_eq!(tally.hear(0, LOBBY, 1, 0), Heard::Leaked);
        assert_eq!((tally.leaked, tally.first_leak), (2, Some([1, 2])));
        assert_eq!(counts(&tally), [1, 0, 1, 0, 0], "4 was to hear it");
        // One of that room who is still in the lobby is not to hear it there.
        tally.leave(4);
        assert_eq!(tally.hear(4, LOBBY, 1, 0), Heard::Leaked);
        assert_eq!(tally.leaked, 3);
    }

    #[test]
    fn who_passes_through_the_lobby_may_hear_it() {
        let mut tally = in_rooms(4, 2);
        tally.leave(3);
        tally.send(0);
        assert_eq!(tally.hear(3, LOBBY, 0, 0), Heard::Besides);
        tally.join(3);
        assert_eq!(tally.hear(3, 1, 0, 0), Heard::Leaked);
    }

    #[test]
    fn who_takes_a_seat_may_hear_who_had_it_and_never_itself() {
        let mut tally = tally(2);
        tally.send(0);
        tally.leave(0);
        assert_eq!(tally.hear_there(0, 0, 0), Heard::Besides);
        tally.join(0);
        tally.send(0);
        assert_eq!(tally.hear_there(0, 0, 1), Heard::Own);
        assert_eq!(counts(&tally), [2, 0, 2, 0, 0]);
    }

    #[test]
    fn what_is_lost_on_its_way_to_another_server_is_told_apart() {
        // 0 and 2 are at one server, 1 and 3 at the other.
        let mut tally = at_servers(4, 1, 2);
        (0..3).for_each(|_| tally.send(0));
        for (receiver, number) in [(1, 0), (1, 2), (2, 0), (2, 1), (3, 0), (3, 2)] {
            tally.hear_there(receiver, 0, number);
        }
        let lost = |all, between_servers| Lost {
            all,
            between_servers,
        };
        assert_eq!(
            tally.lost(),
            lost(3, 2),
            "a gap each, and the last one of 2"
        );
        tally.leave(3);
        assert_eq!(tally.lost(), lost(3, 2));
        tally.hear_there(1, 0, 1);
        assert_eq!((tally.lost(), tally.out_of_order), (lost(2, 1), 1));
    }

    #[test]
    fn loss_double_and_wrong_order_are_found_in_every_room() {
        for room in 0..3 {
            let mut tally = in_rooms(9, 3);
            let (sender, receiver) = (room, room + 6);
            (0..5).for_each(|_| tally.send(sender));
            for (number, heard) in [
                (0, Heard::New),
                (2, Heard::New),
                (1, Heard::New),
                (2, Heard::Again),
                (3, Heard::New),
            ] {
                assert_eq!(tally.hear(receiver, room, sender, number), heard);
            }
            (0..5).for_each(|number| _ = tally.hear(room + 3, room, sender, number));
            assert_eq!(counts(&tally), [10, 9, 1, 1, 1], "room {room}");
        }
    }
}
