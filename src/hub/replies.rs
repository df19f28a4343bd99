//! Replies of any length, made a step at a time as the socket takes them, so that nobody is closed for having asked.
//!
//! A session has at most one, and its input waits meanwhile. What else it is to hear is heard between two steps.

use std::cmp::Reverse;
use std::time::Instant;

use crate::dialect::event::{Here, Listed, Reply, RoomList};
use crate::dialect::request::Refusal;
use crate::hub::relayed::Relayed;
use crate::hub::room::{abroad, Room};
use crate::hub::rooms::{RoomAt, RoomId};
use crate::hub::session::{Flow, Long, Session};
use crate::hub::sessions::Sessions;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::room_name::without_hash;
use crate::work::Work;

/// At most this many bytes of names, and a last one, are listed in one step, so that what waits for a session is no more for its asking.
const STEP_BYTES: usize = 16 * 1024;

/// How many bytes at most stand behind a room in a list, to say how many are there.
const COUNT_BYTES: usize = 12;

/// A session with no more than this in its outbox is heard on at once.
const HEARD_ON_BYTES: usize = 4 * 1024;

impl<T> Hub<T> {
    /// Lists those who are here: the first of them now, the others as the session takes them.
    pub(super) fn begin_list(&mut self, id: SessionId, now: Instant) {
        let own = self.core.rooms.id(self.room_at(id));
        self.list_on(id, own, None, now);
    }

    /// The same for a room that is called so.
    ///
    /// # Errors
    /// If there is none, or it has a key and is not the session's own.
    pub(super) fn begin_list_of(
        &mut self,
        id: SessionId,
        room: &str,
        now: Instant,
    ) -> Result<(), Refusal> {
        let own = self.room_at(id);
        self.core.work.add(Work::LOOK_UP);
        let found = self.core.rooms.find_known(room, own);
        let at = found.ok_or_else(|| Refusal::NoSuchRoom(without_hash(room).into()))?;
        self.list_on(id, self.core.rooms.id(at), None, now);
        Ok(())
    }

    /// Lists the rooms: the lobby, then by how many are there, then by name; without those that have a key, but for the
    /// session's own.
    pub(super) fn begin_rooms(&mut self, id: SessionId, now: Instant) {
        let own = self.room_at(id);
        let rooms = &self.core.rooms;
        let mut listed: Vec<RoomAt> = rooms.listed().map(|(at, _)| at).collect();
        if rooms.get(own).key.is_some() {
            let own_rank = (Reverse(rooms.get(own).here()), rooms.get(own).name.text());
            let is_before = |at: &RoomAt| {
                let room = rooms.get(*at);
                *at == RoomAt::LOBBY || (Reverse(room.here()), room.name.text()) < own_rank
            };
            let place = listed.partition_point(is_before);
            listed.insert(place, own);
        }
        let count = listed.len();
        let rest = listed.into_iter().rev().map(|at| rooms.id(at)).collect();
        self.list_rooms_on(id, rest, count, now);
    }

    /// Lists the next of these rooms, and sees to it that the session waits if those were not all.
    fn list_rooms_on(&mut self, id: SessionId, mut rest: Vec<RoomId>, count: usize, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let begins = rest.len() == count;
        core.work.add(Work::PERSON.times(rest.len()));
        core.send(session, now, |core, session, out| {
            let (mut bytes, mut listed) = (0, Vec::new());
            while bytes < STEP_BYTES {
                let Some(room) = rest.pop() else { break };
                // One that has gone meanwhile was counted.
                let Some(room) = core.rooms.by_id(room) else {
                    continue;
                };
                bytes += session.codec.listed_bytes(room.name.text().len()) + COUNT_BYTES;
                listed.push(room.listed_as());
            }
            let list = RoomList {
                count,
                begins,
                ends: rest.is_empty(),
                listed: &listed,
            };
            let to = session.to(core.wall_seconds);
            session.codec.encode_reply(&Reply::Rooms(list), &to, out);
        });
        if rest.is_empty() {
            session.wait_until_sent();
        } else {
            session.wait_for(Long::Rooms { rest, count });
        }
        core.count_input(session);
    }

    /// The room in which a session is.
    fn room_at(&self, id: SessionId) -> RoomAt {
        let session = self.sessions.get(id);
        session.map_or(RoomAt::LOBBY, |session| session.room)
    }

    /// Adds the next step of the long reply of a session, which has taken all that was before it; behind the last one
    /// the session is heard again.
    pub(super) fn go_on_replying(&mut self, id: SessionId, now: Instant) {
        let session = self.session(id);
        let Some(long) = session.and_then(|session| session.long.take()) else {
            return;
        };
        match *long {
            Long::Sent | Long::Asked => {}
            Long::Here { room, after } => self.list_on(id, room, Some(after), now),
            Long::Rooms { rest, count } => self.list_rooms_on(id, rest, count, now),
        }
        let session = self.session(id);
        if session.is_some_and(|session| session.long.is_none()) {
            self.core.resumed.push(id);
        }
    }

    /// Lists the next of those who are here, and sees to it that the session waits if that was not all.
    fn list_on(&mut self, id: SessionId, room: RoomId, after: Option<u64>, now: Instant) {
        let mut out = Vec::new();
        let next = self.list_some(id, room, after, &mut out);
        self.send(id, &mut out, now);
        if let Some(session) = self.session(id) {
            match next {
                Some(after) => session.wait_for(Long::Here { room, after }),
                None => session.wait_until_sent(),
            }
        }
    }

    /// Lists those who are in this room and came behind this arrival; gives where to go on, if these are not all.
    fn list_some(
        &mut self,
        id: SessionId,
        room: RoomId,
        after: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let own = self.room_at(id);
        let Self { sessions, core } = self;
        let is_other = room.at != own;
        let (room, mut bytes) = (core.rooms.by_id(room), 0);
        let reader = sessions.get(id).map(|session| &session.codec);
        // Nobody is left in one that has gone meanwhile.
        let arrivals = room.map(|room| room.arrivals_after(after.unwrap_or(0)));
        let mut arrivals = arrivals.into_iter().flatten().peekable();
        let (mut listed, mut last) = (Vec::new(), 0);
        while bytes < STEP_BYTES {
            let Some((arrival, id)) = arrivals.next() else {
                break;
            };
            last = arrival;
            if let Some(person) = listed_as(sessions, core.others(), id) {
                let name_bytes = person.name.text().len();
                bytes += reader.map_or(0, |reader| reader.listed_bytes(name_bytes));
                listed.push(person);
            }
        }
        let goes_on = arrivals.peek().is_some();
        let looked_at = listed.len();
        if let Some(session) = sessions.get(id) {
            let reply = Reply::Here(Here {
                room: room.map(|room| &room.name).filter(|_| is_other),
                count: room.map_or(0, Room::here),
                begins: after.is_none(),
                listed: &listed,
                unlisted: 0,
                listening: (!goes_on).then(|| room.map_or(0, Room::listening)),
            });
            let to = session.to(core.wall_seconds);
            session.codec.encode_reply(&reply, &to, out);
        }
        drop(arrivals);
        drop(listed);
        core.work.add(Work::PERSON.times(looked_at));
        goes_on.then_some(last)
    }
}

/// How somebody stands in a list who is here, or at another node.
pub(super) fn listed_as<'a, T>(
    sessions: &'a Sessions<T>,
    others: Option<&'a Relayed>,
    id: SessionId,
) -> Option<Listed<'a>> {
    if let Some(session) = sessions.get(id) {
        return Some(session.listed_as());
    }
    let others = others?;
    let person = others.abroad.get(id)?;
    Some(Listed {
        name: &person.name,
        user: abroad::USER,
        away: person.away.is_some(),
        op: false,
        unreachable: others.is_alone,
    })
}

impl<T> Session<T> {
    /// How it stands in a list.
    pub(super) fn listed_as(&self) -> Listed<'_> {
        Listed {
            name: &self.name,
            user: self.codec.user(),
            away: self.is_away(),
            op: self.is_operator(),
            unreachable: self.flow == Flow::Absent,
        }
    }

    /// Whether the next step of its long reply can be made.
    pub(super) fn wants_more(&self) -> bool {
        let takes = self.outbox.is_empty() && self.flow == Flow::Ready;
        let waits = self
            .long
            .as_deref()
            .is_some_and(|long| *long != Long::Asked);
        waits && self.is_open() && takes
    }

    /// Its input waits for what it has asked of all nodes.
    pub(super) fn wait_until_asked(&mut self) {
        self.wait_for(Long::Asked);
    }

    /// Its input waits for this long reply.
    fn wait_for(&mut self, long: Long) {
        self.long = Some(Box::new(long));
    }

    /// Its input waits until it has taken what is in its outbox, if that is much.
    pub(super) fn wait_until_sent(&mut self) {
        if self.outbox.bytes() > HEARD_ON_BYTES {
            self.wait_for(Long::Sent);
        }
    }
}
