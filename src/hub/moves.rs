//! Going from one room to another.
//!
//! A session hears all that was said in the old room until it went, then the reply, then what is said in the new one:
//! what it has not heard of the old room goes into its outbox, and the reply behind that, before it leaves; and it comes
//! into the new room having heard all that was said there.

use std::mem;
use std::time::Instant;

use log::debug;

use crate::dialect::event::{Arrived, First, Here, Listed, Made, Note, Presence, Reply};
use crate::dialect::request::Refusal;
use crate::fields::{self, Value};
use crate::hub::absences::Missed;
use crate::hub::core::Core;
use crate::hub::relayed::{Departed, Going};
use crate::hub::replies::listed_as;
use crate::hub::room::key::RoomKey;
use crate::hub::room::members::NOWHERE;
use crate::hub::room::presence::Announced;
use crate::hub::room::Room;
use crate::hub::rooms::{RoomAt, RoomId};
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::relay::record::{Digest, Event};
use crate::room_name::RoomName;
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
        let found = core.rooms.find(name.text());
        match found {
            Some(at) => core.admits(session, at, key)?,
            None => core.may_make_room(session, &name)?,
        }
        if core.relayed.is_some() {
            self.ask_to_go(id, name, key);
            return Ok(());
        }
        let (to, made) = if let Some(at) = found {
            (at, Made::No)
        } else {
            let typed = key.map(|key| RoomKey::Text(key.into()));
            (core.rooms.make(name, typed), Made::of(key))
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
        if self.core.relayed.is_some() {
            self.ask_to_go(id, RoomName::lobby(), None);
        } else {
            self.go(id, RoomAt::LOBBY, Made::No, now);
        }
        Ok(())
    }

    /// Asks all nodes to go to another room: there the session goes when that comes back, and waits until then.
    fn ask_to_go(&mut self, id: SessionId, to: RoomName, key: Option<&str>) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let found = core.rooms.find(to.text()).map(|at| core.rooms.get(at));
        let to = found.map_or(to, |room| room.name.clone());
        let epoch = core.others().map_or("", |others| &others.epoch);
        let typed = key.map(|key| RoomKey::Text(key.into()));
        let digest = match (found, &typed) {
            (Some(room), _) => room.key.as_ref().map(|key| key.digest(epoch, to.text())),
            (None, Some(typed)) => Some(typed.digest(epoch, to.text())),
            (None, None) => None,
        };
        if let Some(digest) = digest.filter(|_| found.is_none()) {
            let room = to.clone();
            core.tell_others(Event::Open { room, digest });
        }
        session.wait_until_asked();
        core.tell_of_move(session, Some(to), "", digest);
        if let Some(relayed) = &mut core.relayed {
            let key = key.map(Into::into);
            relayed.moving.insert(id, Going { key, closed: None });
        }
    }

    /// Goes to another room.
    pub(super) fn go(&mut self, id: SessionId, to: RoomAt, made: Made, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let name = core.rooms.get(to).name.clone();
        let left = session.place().map(|from| core.rooms.get(from));
        debug!(target: fields::LOG_TARGET, "{}", move_line(session.number, left, Some(core.rooms.get(to))));
        if let Some(left) = left {
            let (from, said, at) = (left.name.clone(), left.history.said(), session.room);
            let (from, to) = (&from, &name);
            core.reply(session, &Reply::Note(Note::Moved { from, to, made }), now);
            session.note_lobby(at, said);
        }
        let since = session.lobby_said(to);
        self.move_to(id, to, now);
        self.welcome(id, since, now);
    }

    /// Leaves the room, and is in none.
    pub(super) fn part(&mut self, id: SessionId, words: &str, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id).filter(|it| !it.is_nowhere()) else {
            return;
        };
        if core.relayed.is_some() {
            session.wait_until_asked();
            return core.tell_of_move(session, None, words, None);
        }
        self.part_now(id, words, now);
    }

    /// The same at once.
    pub(super) fn part_now(&mut self, id: SessionId, words: &str, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id).filter(|it| !it.is_nowhere()) else {
            return;
        };
        let room = core.room_of(session);
        debug!(target: fields::LOG_TARGET, "{}", move_line(session.number, Some(room), None));
        let (name, room) = (session.name.clone(), room.name.clone());
        let room = &room;
        core.note(session, Note::Parted { room, words }, now);
        self.unsort_name(id);
        let name = &name;
        self.leave(id, |here| Presence::Parted { name, words, here }, now);
        self.core.nowhere += 1;
        if let Some(session) = self.session(id) {
            session.codec.set_place(None);
        }
    }

    /// Sends a session to the lobby, because an operator closes the room where it is.
    pub(super) fn send_to_lobby(&mut self, id: SessionId, room: RoomId, why: &str, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let is_there = session.place() == Some(room.at);
        if core.rooms.by_id(room).is_none() || !is_there {
            return;
        }
        let Some(relayed) = &mut core.relayed else {
            return self.send_to_lobby_now(id, room, why, now);
        };
        let closed = Some(why.into());
        relayed.moving.insert(id, Going { key: None, closed });
        core.tell_of_move(session, Some(RoomName::lobby()), "", None);
    }

    /// The same at once.
    pub(super) fn send_to_lobby_now(
        &mut self,
        id: SessionId,
        room: RoomId,
        why: &str,
        now: Instant,
    ) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let Some(left) = core.rooms.by_id(room).filter(|_| session.room == room.at) else {
            return;
        };
        debug!(target: fields::LOG_TARGET, "{}", move_line(session.number, Some(left), Some(core.rooms.get(RoomAt::LOBBY))));
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
        let most = session.codec.greeting_names_max();
        let is_one_by_one = session.codec.encoding().is_one_by_one();
        let arrivals = room.arrivals_after(0);
        // The others are introduced when they are heard.
        let is_introduced = |who| match self.sessions.get(who) {
            Some(session) => room.is_introduced(session.member),
            None => self.core.is_introduced_abroad(who),
        };
        let is_listed = |who| who != id && is_introduced(who);
        let arrivals = arrivals.filter(|(_, who)| !is_one_by_one || is_listed(*who));
        let others = self.core.others();
        let mut arrivals = arrivals.filter_map(|(at, who)| {
            let listed = listed_as(&self.sessions, others, who)?;
            let former = room.former_name(who).filter(|_| is_one_by_one);
            let name = former.unwrap_or(listed.name);
            Some((at, Listed { name, ..listed }))
        });
        // Its client looks for itself in the list, where it came last.
        let own = listed_as(&self.sessions, others, id).filter(|_| is_one_by_one);
        let listed = arrivals.by_ref().take(most - usize::from(own.is_some()));
        let listed = listed.map(|(_, it)| it).chain(own);
        let mut listed: Vec<_> = listed.collect();
        let unlisted = room.here() - listed.len();
        let mut cut_at = arrivals.next().map(|(at, _)| at).filter(|_| is_one_by_one);
        drop(arrivals);
        if is_one_by_one {
            let more = most.saturating_sub(listed.len());
            let mut departing = room.departing();
            listed.extend(departing.by_ref().take(more));
            // These may have arrived before anybody who is here.
            cut_at = departing.next().map(|_| 0).or(cut_at);
        }
        let here = Here {
            room: None,
            count: room.here(),
            begins: true,
            listed: &listed,
            unlisted,
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
        if let Some(cut_at) = cut_at {
            let at = session.room;
            self.core.rooms.get_mut(at).note_cut(cut_at);
        }
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
                return Presence::Parted { name, words, here };
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
        core.announce_now(session, now);
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
        let Some((from, announced, user)) = self.take_out(id) else {
            return;
        };
        let core = &mut self.core;
        let is_told = !core.going_down;
        if is_told {
            core.rooms.change(from, |room| {
                room.tell_leave(id, announced, left, &user, now);
            });
        }
        core.rooms.end_if_empty(from);
    }

    /// A session leaves the server, of which all nodes are told first.
    pub(super) fn leave_all(&mut self, id: SessionId, words: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let (room, who) = (self.core.room_name_of(session), session.who());
        let taken_out = self.take_out(id);
        let core = &mut self.core;
        if let Some((from, announced, user)) = taken_out {
            let room = core.rooms.id(from);
            if let (Some(relayed), Some(announced)) = (&mut core.relayed, announced) {
                let departed = Departed {
                    room,
                    announced,
                    user,
                };
                relayed.departing.insert(id, departed);
            }
            core.rooms.end_if_empty(from);
        }
        if core.end_crossing(id) && !core.going_down {
            let words = words.into();
            core.tell_others(Event::Left { room, who, words });
        }
    }

    /// Takes a session out of its room; gives that, how the session was announced there, and what stands beside its name
    /// in IRC. `None` if it is in none.
    fn take_out(&mut self, id: SessionId) -> Option<(RoomAt, Option<Announced>, Box<str>)> {
        let Self { sessions, core } = self;
        let session = sessions.get_mut(id)?;
        if session.is_nowhere() {
            core.nowhere -= 1;
            return None;
        }
        core.note_slow(session, false);
        let user: Box<str> = session.codec.user().into();
        let (place, prefix) = (mem::replace(&mut session.member, NOWHERE), session.prefix());
        let from = mem::replace(&mut session.room, RoomAt::LOBBY);
        let announced = core.rooms.change(from, |room| {
            room.leave(place, prefix, |moved, place| {
                if let Some(moved) = sessions.get_mut(moved) {
                    moved.member = place;
                }
            })
        });
        Some((from, announced, user))
    }
}

impl Core {
    /// Lets a session into a room, of which it hears what is said from now on.
    pub(super) fn enter<T>(&mut self, session: &mut Session<T>, at: RoomAt) {
        session.room = at;
        session.room_waited = 0;
        session
            .codec
            .set_place(Some(self.rooms.get(at).name.text()));
        let (encoding, prefix) = (session.codec.encoding(), session.prefix());
        session.member = self.rooms.change(at, |room| {
            room.free_name(&session.name, session.id);
            room.enter(session.id, encoding, prefix)
        });
    }

    /// All nodes are told where a session goes.
    fn tell_of_move<T>(
        &mut self,
        session: &mut Session<T>,
        to: Option<RoomName>,
        words: &str,
        digest: Option<Digest>,
    ) {
        self.let_cross(session.id);
        let (room, who, words) = (self.room_name_of(session), session.who(), words.into());
        let event = Event::Move {
            room,
            who,
            to,
            words,
        };
        self.tell_others_of_room(event, digest);
    }

    /// Whether somebody at another node was introduced to those who keep a list.
    pub(super) fn is_introduced_abroad(&self, id: SessionId) -> bool {
        let person = self.others().and_then(|others| others.abroad.get(id));
        let place = person.and_then(|person| person.place.as_ref());
        place.is_some_and(|(_, announced)| announced.introduced.is_some())
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
        if session.place() == Some(at) {
            return Err(match at {
                RoomAt::LOBBY => Refusal::InLobbyAlready,
                _ => Refusal::InRoomAlready(name()),
            });
        }
        match key {
            _ if room.key.is_none() => Ok(()),
            None => Err(Refusal::KeyWanted(name())),
            Some(typed) => match room.key.as_deref() {
                Some(key) if !key.is(room.name.text(), typed) => Err(Refusal::WrongKey(name())),
                _ => Ok(()),
            },
        }
    }

    /// Whether a room may be made for a session, which goes there.
    fn may_make_room<T>(&mut self, session: &Session<T>, name: &RoomName) -> Result<(), Refusal> {
        self.may_be_heard(session)?;
        self.is_allowed(name.text())?;
        let most = self.limits.rooms_max;
        // The room that it leaves may be gone then, and is counted nevertheless: it might not go there.
        match self.rooms.made() {
            _ if most == 0 => Err(Refusal::NoRoomsMade),
            made if made >= most => Err(Refusal::TooManyRooms(most)),
            _ => Ok(()),
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

/// What the log says of who went to another room, or is in none. One that has a key is not named.
pub(super) fn move_line(id: u64, from: Option<&Room>, to: Option<&Room>) -> String {
    let name = |room: Option<&Room>| match room {
        None => "-".to_owned(),
        Some(room) if room.key.is_some() => "*".to_owned(),
        Some(room) => Value(room.name.text()).to_string(),
    };
    format!("move id={id} from={} to={}", name(from), name(to))
}
