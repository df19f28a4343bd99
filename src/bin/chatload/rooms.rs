//! Which seat belongs to which room: seat by seat in turn, so that rooms differ in size by one at most. And to which
//! server its client comes, where several share the chat: those of a room are spread over all of them.
//!
//! The first room is the lobby, where all clients come in; a client that belongs to another one goes there before it talks.

use std::process;

/// The number of the room in which everybody is at first.
pub(crate) const LOBBY: usize = 0;

/// The rooms of a round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rooms {
    seats: usize,
    count: usize,
    servers: usize,
}

impl Rooms {
    /// `seats` in this many rooms at this many servers, of each of which there is one at least.
    pub(crate) fn new(seats: usize, rooms: usize, servers: usize) -> Self {
        Self {
            seats,
            count: rooms.max(1),
            servers: servers.max(1),
        }
    }

    /// The room of a seat.
    pub(crate) fn of(self, seat: usize) -> usize {
        seat % self.count
    }

    /// How many seats of its room stand before this one.
    pub(crate) fn place(self, seat: usize) -> usize {
        seat / self.count
    }

    /// The server to which the client of a seat comes.
    pub(crate) fn server(self, seat: usize) -> usize {
        // Each room begins at another one, so that small rooms come to all of them.
        (self.of(seat) + self.place(seat)) % self.servers
    }

    /// Whether somebody comes to each server.
    pub(crate) fn reach_all_servers(self) -> bool {
        (0..self.servers).all(|server| (0..self.seats).any(|seat| self.server(seat) == server))
    }

    /// How many seats the largest room has.
    pub(crate) fn largest(self) -> usize {
        self.seats.div_ceil(self.count)
    }

    /// All seats of the room of this one, in order.
    pub(crate) fn mates(self, seat: usize) -> impl Iterator<Item = usize> {
        (self.of(seat)..self.seats).step_by(self.count)
    }
}

/// What a room is called; `None` for the lobby. Two loads of one server have rooms of their own.
pub(crate) fn name(room: usize) -> Option<String> {
    (room != LOBBY).then(|| format!("room{}-{room}", process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seat_is_in_one_room_and_has_a_place_there() {
        let rooms = Rooms::new(10, 4, 1);
        let of_all = [0, 1, 2, 3].map(|room| rooms.mates(room).collect::<Vec<_>>());
        assert_eq!(
            of_all,
            [vec![0, 4, 8], vec![1, 5, 9], vec![2, 6], vec![3, 7]]
        );
        for (room, mates) in of_all.iter().enumerate() {
            for (place, seat) in mates.iter().enumerate() {
                assert_eq!((rooms.of(*seat), rooms.place(*seat)), (room, place));
            }
        }
        assert_eq!(rooms.largest(), 3);
        assert_eq!(Rooms::new(10, 1, 1).mates(7).count(), 10);
    }

    #[test]
    fn those_of_a_room_are_spread_over_all_servers() {
        let rooms = Rooms::new(12, 4, 3);
        for room in 0..4 {
            let mut servers: Vec<_> = rooms.mates(room).map(|seat| rooms.server(seat)).collect();
            servers.sort_unstable();
            assert_eq!(servers, [0, 1, 2], "room {room}");
        }
        // Two in each room still come to all of three.
        assert!(Rooms::new(8, 4, 3).reach_all_servers());
        assert!(!Rooms::new(3, 2, 3).reach_all_servers());
        assert!(!Rooms::new(2, 1, 3).reach_all_servers());
    }

    #[test]
    fn only_the_lobby_needs_no_name() {
        assert_eq!(name(LOBBY), None);
        let longest = name(20_000).expect("it is none");
        assert!(longest.len() <= 24, "{longest}");
    }
}
