//! What has come from other nodes: who is there, and what they say and do.

use std::time::Instant;

use crate::dialect::event::{Note, Presence, Reply};
use crate::dialect::request::Refusal;
use crate::hub::abroad::Person;
use crate::hub::relayed::name_of;
use crate::hub::returned::said;
use crate::hub::room::abroad;
use crate::hub::rooms::RoomAt;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::name::Name;
use crate::relay::place::Id;
use crate::relay::record::{Entry, Event, NodeId, Who};
use crate::room_name::RoomName;
use crate::work::Work;

/// At most this many people of another node leave in one turn, so that the death of one with thousands keeps nobody here
/// waiting.
pub(super) const LEAVING_MAX: usize = 128;

/// At most this many people of other nodes are known: a hundred nodes of 15,000 are fewer. A test would take long for that.
pub(super) const PEOPLE_MAX: usize = if cfg!(test) { 15_000 } else { 2_000_000 };

/// At most this many rooms are made because people of other nodes go there; who goes to more of them is in none here.
pub(super) const ROOMS_MAX: usize = 10_000;

/// How somebody leaves a room.
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    /// The server, with these words, which may be empty.
    Leaves(&'a str),
    /// The room alone.
    Parts(&'a str),
    /// For this room.
    GoesTo(&'a RoomName),
}

impl<T> Hub<T> {
    pub(super) fn hear_other(&mut self, node: NodeId, event: Event, now: Instant) {
        match event {
            Event::Say {
                room,
                who,
                words,
                manner,
            } => {
                let id = self.find_or_add(node, &who, Some(&room), now);
                if let Some(at) = self.core.rooms.find(room.text()) {
                    self.core
                        .say_for(at, id, &said(&who.name, &words, manner), now);
                }
            }
            Event::Join { room, who, named } => {
                self.set_person(node, &who, named, room.as_ref(), now);
            }
            Event::Move { who, to, words, .. } => {
                self.move_person(node, &who, to.as_ref(), &words, now);
            }
            Event::Left { who, words, .. } => {
                if let Some(id) = self.person(node, who.session) {
                    self.remove_person(id, &words, now);
                }
            }
            Event::Claim { who } => {
                if let Some(relayed) = &mut self.core.relayed {
                    relayed.note_claim(node, &who, now);
                }
            }
            Event::Name {
                room,
                who,
                before,
                named,
            } => {
                let before = Who {
                    session: who.session,
                    name: before,
                };
                let id = self.find_or_add(node, &before, room.as_ref(), now);
                self.rename_person(id, &who.name, named, now);
            }
            Event::Away { session, why } => self.set_person_away(node, session, Some(why)),
            Event::Back { session } => self.set_person_away(node, session, None),
            Event::Open { room, digest } => self.core.open(&room, digest),
            Event::Message {
                to,
                from,
                words,
                is_notice,
                name,
            } => {
                let receiver = SessionId::from_bits(to as usize);
                if !self.tell_from_abroad(node, receiver, &from, &words, is_notice, now) {
                    let from = from.session;
                    self.core.tell_node(node, Event::Gone { from, name });
                }
            }
            Event::Gone { from, name } => {
                let refusal = Refusal::Nobody(name);
                self.reply(
                    SessionId::from_bits(from as usize),
                    &Reply::Refused(&refusal),
                    now,
                );
            }
            // The relay has seen to it.
            Event::Up { .. } | Event::Down | Event::Dead(_) => {}
        }
    }

    /// All people of a node are about to be told.
    pub(crate) fn begin_roster(&mut self, node: NodeId) {
        if let Some(relayed) = &mut self.core.relayed {
            for person in relayed
                .abroad
                .iter_mut()
                .filter(|person| person.node == node)
            {
                person.is_seen = false;
            }
        }
    }

    /// One of them.
    pub(crate) fn note_in_roster(&mut self, node: NodeId, entry: Entry, now: Instant) {
        if let (Some(room), Some(digest)) = (&entry.room, entry.digest) {
            self.core.open(room, digest);
        }
        let session = entry.who.session;
        self.set_person(node, &entry.who, entry.named, entry.room.as_ref(), now);
        self.set_person_away(node, session, entry.away);
        self.sort_names();
    }

    /// These were all: who was not among them has left. Gives whether there are more than leave in one turn.
    pub(crate) fn end_roster(&mut self, node: NodeId, now: Instant) -> bool {
        self.remove_people(|person| person.node == node && !person.is_seen, now)
    }

    /// All people of a node have left at once. Gives whether there are more than leave in one turn.
    pub(crate) fn lose_node(&mut self, node: NodeId, now: Instant) -> bool {
        self.remove_people(|person| person.node == node, now)
    }

    fn remove_people(&mut self, which: impl Fn(&Person) -> bool, now: Instant) -> bool {
        let others = self.core.others();
        let people = others.into_iter().flat_map(|others| others.abroad.iter());
        let leaving = people
            .filter(|person| which(person))
            .map(|person| person.id);
        let ids: Vec<SessionId> = leaving.take(LEAVING_MAX).collect();
        for id in &ids {
            self.remove_person(*id, "", now);
        }
        ids.len() == LEAVING_MAX
    }

    fn person(&self, node: NodeId, session: u64) -> Option<SessionId> {
        self.core.others()?.abroad.find(node, session)
    }

    /// Somebody is known by this name, and where they are, from now on.
    fn find_or_add(
        &mut self,
        node: NodeId,
        who: &Who,
        room: Option<&RoomName>,
        now: Instant,
    ) -> SessionId {
        if let Some(id) = self.person(node, who.session) {
            return id;
        }
        let Some(relayed) = &mut self.core.relayed else {
            return SessionId::abroad(0, 0);
        };
        relayed.end_claims(node, who.session);
        if relayed.abroad.len() >= PEOPLE_MAX {
            return SessionId::abroad(0, 0);
        }
        let id = relayed
            .abroad
            .insert(node, who.session, who.name.clone())
            .id;
        self.claim_for(id, None, now);
        self.enter_abroad(id, room, now);
        id
    }

    /// This is what is known of somebody from now on, whatever was known before.
    fn set_person(
        &mut self,
        node: NodeId,
        who: &Who,
        named: Option<Id>,
        room: Option<&RoomName>,
        now: Instant,
    ) {
        let id = self.find_or_add(node, who, room, now);
        self.rename_person(id, &who.name, named, now);
        self.move_person(node, who, room, "", now);
        let relayed = self.core.relayed.as_mut();
        if let Some(person) = relayed.and_then(|it| it.abroad.get_mut(id)) {
            person.is_seen = true;
        }
    }

    fn set_person_away(&mut self, node: NodeId, session: u64, why: Option<Box<str>>) {
        let id = self.person(node, session);
        let relayed = self.core.relayed.as_mut();
        let person = relayed.zip(id).and_then(|(it, id)| it.abroad.get_mut(id));
        if let Some(person) = person {
            person.away = why;
        }
    }

    fn move_person(
        &mut self,
        node: NodeId,
        who: &Who,
        to: Option<&RoomName>,
        words: &str,
        now: Instant,
    ) {
        let Some(id) = self.person(node, who.session) else {
            self.find_or_add(node, who, to, now);
            return;
        };
        let others = self.core.others();
        let place = others.and_then(|it| it.abroad.get(id)?.place.as_ref());
        let from = place.map(|(at, _)| *at);
        // What looks like its name is the room.
        let is_there = to.and_then(|to| self.core.rooms.find(to.text())) == from;
        if is_there && to.is_some() == from.is_some() {
            return;
        }
        let to = to.filter(|to| self.may_be_made(to));
        let Some(to) = to else {
            return self.leave_abroad(id, Way::Parts(words), now);
        };
        let (at, _) = self.core.find_or_make(to.clone(), None);
        let room = self.core.rooms.get(at);
        // One with a key is not named.
        let (name, is_secret) = (room.name.clone(), room.key.is_some());
        let way = if is_secret {
            Way::Parts("")
        } else {
            Way::GoesTo(&name)
        };
        self.leave_abroad(id, way, now);
        self.enter_abroad(id, Some(&name), now);
    }

    /// Whether a room is there, or may be made because somebody at another node goes there.
    fn may_be_made(&self, room: &RoomName) -> bool {
        let rooms = &self.core.rooms;
        rooms.made() < ROOMS_MAX || rooms.find(room.text()).is_some()
    }

    /// Somebody is in a room, of which it hears.
    fn enter_abroad(&mut self, id: SessionId, room: Option<&RoomName>, now: Instant) {
        let Some(room) = room.filter(|room| self.may_be_made(room)) else {
            return;
        };
        let core = &mut self.core;
        let (at, _) = core.find_or_make(room.clone(), None);
        let Some(relayed) = &mut core.relayed else {
            return;
        };
        let Some(person) = relayed.abroad.get_mut(id) else {
            return;
        };
        let name = &person.name;
        let announced = core.rooms.change(at, |room| room.arrive(id, name, now));
        person.place = Some((at, announced));
        core.unsorted.push(id);
        self.sort_names();
    }

    /// Somebody is in no room any more, of which theirs hears.
    fn leave_abroad(&mut self, id: SessionId, way: Way<'_>, now: Instant) {
        self.unsort_name_abroad(id);
        let core = &mut self.core;
        let relayed = core.relayed.as_mut();
        let Some(person) = relayed.and_then(|it| it.abroad.get_mut(id)) else {
            return;
        };
        let Some((at, announced)) = person.place.take() else {
            return;
        };
        let name = &person.name;
        core.rooms.change(at, |room| {
            let left = |here| match way {
                Way::Leaves(words) => Presence::Left { name, words, here },
                Way::Parts(words) => Presence::Parted { name, words, here },
                Way::GoesTo(to) => Presence::WentTo { name, to, here },
            };
            room.depart(id, announced, left, now);
        });
        core.rooms.end_if_empty(at);
    }

    /// Somebody has left the server.
    fn remove_person(&mut self, id: SessionId, words: &str, now: Instant) {
        self.leave_abroad(id, Way::Leaves(words), now);
        let core = &mut self.core;
        let removed = core.relayed.as_mut().and_then(|it| it.abroad.remove(id));
        let Some(person) = removed else { return };
        if person.holds_name {
            core.roster.release(id, &person.name);
        }
    }

    fn rename_person(&mut self, id: SessionId, name: &Name, named: Option<Id>, now: Instant) {
        let others = self.core.others();
        let Some(person) = others.and_then(|it| it.abroad.get(id)) else {
            return;
        };
        if person.name == *name {
            return self.claim_for(id, named, now);
        }
        self.unsort_name_abroad(id);
        let core = &mut self.core;
        let relayed = core.relayed.as_mut();
        let Some(relayed) = relayed else { return };
        let Some(person) = relayed.abroad.get_mut(id) else {
            return;
        };
        person.named = None;
        if std::mem::take(&mut person.holds_name) {
            core.roster.release(id, &person.name);
        }
        let before = std::mem::replace(&mut person.name, name.clone());
        if let Some((at, announced)) = &mut person.place {
            core.rooms.change(*at, |room| {
                room.rename_abroad(id, announced, &before, name, now);
            });
            core.unsorted.push(id);
        }
        let (node, session) = (person.node, person.session);
        relayed.end_claims(node, session);
        self.claim_for(id, named, now);
        self.sort_names();
    }

    /// Takes the name of somebody at another node out of the sorted ones of their room.
    fn unsort_name_abroad(&mut self, id: SessionId) {
        self.sort_names();
        let Self { sessions, core } = self;
        let others = core.relayed.as_deref();
        let Some(person) = others.and_then(|it| it.abroad.get(id)) else {
            return;
        };
        if let Some((at, _)) = &person.place {
            let name_of = |id| name_of(sessions, others, id);
            let room = core.rooms.get_mut(*at);
            room.names.remove(id, &person.name, name_of);
        }
    }

    /// Who at another node is called so.
    pub(super) fn find_abroad(&mut self, name: &str) -> Option<SessionId> {
        let relayed = self.core.relayed.as_deref()?;
        if relayed.abroad.len() == 0 {
            return None;
        }
        self.core.work.add(Work::look_up(name));
        let id = self.core.roster.find(name)?;
        relayed.abroad.get(id).map(|person| person.id)
    }

    /// Writes to somebody at another node.
    pub(super) fn tell_abroad(
        &mut self,
        id: SessionId,
        to: &str,
        words: &str,
        is_notice: bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        let found = self.find_abroad(to);
        let others = self.core.others();
        let person = others
            .zip(found)
            .and_then(|(it, found)| it.abroad.get(found));
        let (Some(others), Some(person)) = (others, person) else {
            return Err(Refusal::Nobody(to.into()));
        };
        let (receiver, name) = (person.id, person.name.clone());
        if others.is_alone {
            return Err(Refusal::Unreachable(name.text().into()));
        }
        let (node, to, away) = (person.node, person.session, person.away.clone());
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        let event = Event::Message {
            to,
            from: session.who(),
            words: words.into(),
            is_notice,
            name: name.text().into(),
        };
        self.core.tell_node(node, event);
        self.reply(id, &Reply::YouTold { to: &name, words }, now);
        if let Some(reason) = away.as_deref() {
            let name = &name;
            self.reply(id, &Reply::Note(Note::IsAway { name, reason }), now);
        }
        let session = self.session(id);
        let prefs = session.and_then(|session| session.prefs.as_deref_mut());
        if let Some(teller) = prefs.and_then(|prefs| prefs.last_teller.as_mut()) {
            if teller.0 == receiver {
                // They may have another name by now.
                teller.1 = name;
            }
        }
        Ok(())
    }

    /// Tells a session who somebody at another node is.
    pub(super) fn describe_abroad(&mut self, id: SessionId, found: SessionId, now: Instant) {
        let others = self.core.others();
        let Some(person) = others.and_then(|others| others.abroad.get(found)) else {
            return;
        };
        let at = person.place.as_ref().map(|(at, _)| *at);
        let room = at
            .filter(|at| *at != RoomAt::LOBBY)
            .map(|at| self.core.rooms.get(at));
        let room = room
            .filter(|room| room.key.is_none())
            .map(|room| room.name.clone());
        let name = &person.name.clone();
        let room = room.as_ref();
        self.reply(id, &Reply::Note(Note::PersonElsewhere { name, room }), now);
    }

    /// Tells a session what somebody at another node has written to it; gives whether it is there.
    fn tell_from_abroad(
        &mut self,
        node: NodeId,
        to: SessionId,
        from: &Who,
        words: &str,
        notice: bool,
        now: Instant,
    ) -> bool {
        let author = self.person(node, from.session);
        let Self { sessions, core } = self;
        let Some(receiver) = sessions.get_mut(to).filter(|session| session.is_open()) else {
            return false;
        };
        let prefs = receiver.prefs.as_deref();
        let ignores =
            |author: SessionId| prefs.is_some_and(|prefs| prefs.ignored.contains(&author.into()));
        if author.is_some_and(ignores) {
            return true;
        }
        if let Some(author) = author.filter(|_| receiver.codec.is_for_people()) {
            receiver.prefs().last_teller = Some((author, from.name.clone()));
        }
        let told = Reply::Told {
            from: &from.name,
            user: abroad::USER,
            words,
            notice,
        };
        core.reply(receiver, &told, now);
        true
    }
}
