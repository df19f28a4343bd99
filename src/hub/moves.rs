//! Going from one room to another.
//!
//! A session hears all that was said in the old room until it went, then the reply, then what is said in the new one:
//! what it has not heard of the old room goes into its outbox, and the reply behind that, before it leaves; and it comes
//! into the new room having heard all that was said there.

use std::mem;
use std::time::Instant;

use log::debug;

use crate::dialect::event::{Arrived, First, Here, Made, Note, Presence, Reply};
use crate::dialect::request::Refusal;
use crate::fields::{self, Value};
use crate::hub::absences::Missed;
use crate::hub::core::Core;
use crate::hub::room::members::NOWHERE;
use crate::hub::room::Room;
use crate::hub::rooms::{is_key_of, RoomAt, RoomId};
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::name::RoomName;
use crate::work::Work;

impl<T> Hub<T> {
    /// Lets these rooms be there always.
    pub(crate) fn set_rooms(&mut self, names: &[RoomName]) {
        self.core.rooms.set_permanent(names);
    }

    /// Goes to a room, which is made if it is not there.
    pub(super) fn join(
        &mut self,
        id: SessionId,
        name: RoomName,
        key: Option<&str>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Self { sessions, core } = self;
        core.work.add(Work::LOOK_UP);
        let Some(session) = sessions.get(id) else {
            return Ok(());
        };
        let (to, made) = match core.rooms.find(name.text()) {
            Some(at) => {
                core.admits(session, at, key)?;
                (at, Made::No)
            }
            None => (core.make_room(session, name, key)?, Made::of(key)),
        };
        self.go(id, to, made, now);
        Ok(())
    }

    /// Goes back to the lobby.
    pub(super) fn leave_for_lobby(&mut self, id: SessionId, now: Instant) -> Result<(), Refusal> {
        let session = self.sessions.get(id);
        if session.is_some_and(|session| session.room == RoomAt::LOBBY) {
            return Err(Refusal::InLobbyAlready);
        }
        self.go(id, RoomAt::LOBBY, Made::No, now);
        Ok(())
    }

    /// Goes to another room.
    fn go(&mut self, id: SessionId, to: RoomAt, made: Made, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let from = session.room;
        let (left, name) = (core.rooms.get(from), core.rooms.get(to).name.clone());
        debug!(target: fields::LOG_TARGET, "{}", move_line(session.number, left, core.rooms.get(to)));
        let (old_name, said) = (left.name.clone(), left.history.said());
        let note = Note::Moved {
            from: &old_name,
            to: &name,
            made,
        };
        core.reply(session, &Reply::Note(note), now);
        session.note_lobby(from, said);
        let since = session.lobby_said(to);
        self.move_to(id, to, now);
        self.welcome(id, since, now);
    }

    /// Sends a session to the lobby, because an operator closes the room where it is.
    pub(super) fn send_to_lobby(&mut self, id: SessionId, room: RoomId, why: &str, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let Some(left) = core.rooms.by_id(room).filter(|_| session.room == room.at) else {
            return;
        };
        debug!(target: fields::LOG_TARGET, "{}", move_line(session.number, left, core.rooms.get(RoomAt::LOBBY)));
        let name = left.name.clone();
        core.note(session, Note::RoomClosed { room: &name, why }, now);
        let keeps_list = session.codec.keeps_list();
        self.move_to(id, RoomAt::LOBBY, now);
        if keeps_list {
            self.welcome(id, 0, now);
        }
    }

    /// Tells a session who is in the room where it has just come, and what was said there before.
    fn welcome(&mut self, id: SessionId, since: u64, now: Instant) {
        let session = self.sessions.get(id);
        if session.is_some_and(|session| session.codec.is_for_people()) {
            self.tell_arrival(id, None, now);
            self.tell_past(id, Missed::Since(since), now);
        }
    }

    /// Tells a session where it is, and who is there. It has just connected if there is a `first`.
    pub(super) fn tell_arrival(&mut self, id: SessionId, first: Option<First>, now: Instant) {
        let mut out = Vec::new();
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let room = self.core.room_of(session);
        let arrivals = room.arrivals().filter_map(|id| self.sessions.get(id));
        let listed: Vec<_> = arrivals
            .take(session.codec.greeting_names_max())
            .map(Session::listed_as)
            .collect();
        let here = Here {
            room: None,
            count: room.here(),
            begins: true,
            listed: &listed,
            unlisted: room.here() - listed.len(),
            listening: Some(room.listening()),
        };
        let reply = Reply::Arrived(Arrived {
            first,
            you: &session.name,
            room: &room.name,
            here,
        });
        let to = session.to(self.core.wall_seconds);
        session.codec.encode_reply(&reply, &to, &mut out);
        self.send(id, &mut out, now);
    }

    /// Takes a session from its room to another one, and lets both know. What it has not heard of the old room is its own
    /// already, behind which stands what it was told of that.
    fn move_to(&mut self, id: SessionId, to: RoomAt, now: Instant) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let name = session.name.clone();
        self.unsort_name(id);
        let (name, room) = (&name, self.core.rooms.get(to));
        let (to_name, is_secret) = (room.name.clone(), room.key.is_some());
        let (words, to_told) = ("", &to_name);
        let left = |here| {
            if is_secret {
                return Presence::Left { name, words, here };
            }
            let to = to_told;
            Presence::WentTo { name, to, here }
        };
        self.leave(id, left, now);
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        core.enter(session, to);
        core.announce(session, now);
        session.codec.set_room(core.rooms.shown(to));
        self.sort_names();
    }

    /// Takes a session out of its room, which hears how it left.
    pub(super) fn leave<'a>(
        &mut self,
        id: SessionId,
        left: impl FnOnce(usize) -> Presence<'a>,
        now: Instant,
    ) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        core.note_slow(session, false);
        let (place, prefix) = (mem::replace(&mut session.member, NOWHERE), session.prefix());
        let from = mem::replace(&mut session.room, RoomAt::LOBBY);
        let is_told = !core.going_down;
        core.rooms.change(from, |room| {
            let announced = room.leave(place, prefix, |moved, place| {
                if let Some(moved) = sessions.get_mut(moved) {
                    moved.member = place;
                }
            });
            if is_told {
                room.tell_leave(id, announced, left, now);
            }
        });
        core.rooms.end_if_empty(from);
    }
}

impl Core {
    /// Lets a session into a room, of which it hears what is said from now on.
    pub(super) fn enter<T>(&mut self, session: &mut Session<T>, at: RoomAt) {
        session.room = at;
        session.room_told = 0;
        let (encoding, prefix) = (session.codec.encoding(), session.prefix());
        session.member = self
            .rooms
            .change(at, |room| room.enter(session.id, encoding, prefix));
    }

    /// Tells a session where it is.
    pub(super) fn tell_where<T>(&mut self, session: &mut Session<T>, now: Instant) {
        let name = self.room_of(session).name.clone();
        self.note(session, Note::YouAreIn(&name), now);
    }

    /// Whether a session may go to a room that is there. A key for one that has none is not looked at.
    fn admits<T>(
        &self,
        session: &Session<T>,
        at: RoomAt,
        key: Option<&str>,
    ) -> Result<(), Refusal> {
        let room = self.rooms.get(at);
        let name = || room.name.text().into();
        if at == session.room {
            return Err(match at {
                RoomAt::LOBBY => Refusal::InLobbyAlready,
                _ => Refusal::InRoomAlready(name()),
            });
        }
        match key {
            _ if room.key.is_none() => Ok(()),
            None => Err(Refusal::KeyWanted(name())),
            Some(key) if is_key_of(room, key) => Ok(()),
            Some(_) => Err(Refusal::WrongKey(name())),
        }
    }

    /// Makes a room for a session, which goes there at once.
    fn make_room<T>(
        &mut self,
        session: &Session<T>,
        name: RoomName,
        key: Option<&str>,
    ) -> Result<RoomAt, Refusal> {
        self.may_be_heard(session)?;
        self.is_allowed(name.text())?;
        let most = self.limits.rooms_max;
        // The room that it leaves may be gone then, and is counted nevertheless: it might not go there.
        match self.rooms.made() {
            _ if most == 0 => Err(Refusal::NoRoomsMade),
            made if made >= most => Err(Refusal::TooManyRooms(most)),
            _ => Ok(self.rooms.make(name, key)),
        }
    }
}

impl<T> Session<T> {
    /// Notes how much had been said in the room that the session leaves, if that is the lobby.
    fn note_lobby(&mut self, from: RoomAt, said: u64) {
        if from == RoomAt::LOBBY && self.codec.is_for_people() {
            self.prefs().lobby_said = said;
        }
    }

    /// How much had been said in a room when the session left it, if that was the lobby.
    fn lobby_said(&self, room: RoomAt) -> u64 {
        let prefs = self.prefs.as_deref().filter(|_| room == RoomAt::LOBBY);
        prefs.map_or(0, |prefs| prefs.lobby_said)
    }
}

impl Made {
    fn of(key: Option<&str>) -> Self {
        match key {
            Some(_) => Self::WithKey,
            None => Self::Yes,
        }
    }
}

/// What the log says of who went to another room. One that has a key is not named.
pub(super) fn move_line(id: u64, from: &Room, to: &Room) -> String {
    let name = |room: &Room| match room.key {
        Some(_) => "*".to_owned(),
        None => Value(room.name.text()).to_string(),
    };
    format!("move id={id} from={} to={}", name(from), name(to))
}
