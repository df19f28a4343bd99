//! What has come back from the log and was said here: now it happens.

use std::time::Instant;

use crate::dialect::event::{Event as Said, Made, Note, Reply};
use crate::hub::core::Core;
use crate::hub::relayed::Going;
use crate::hub::room::abroad;
use crate::hub::room::key::RoomKey;
use crate::hub::rooms::RoomAt;
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::name::Name;
use crate::relay::record::{Event, Manner, NodeId, Who};
use crate::room_name::RoomName;

impl<T> Hub<T> {
    /// Something comes from the log, in the order that all nodes share: of another node, or of this one.
    pub(crate) fn relayed(&mut self, node: Option<NodeId>, event: Event, now: Instant) {
        match node {
            Some(node) => self.hear_other(node, event, now),
            None => self.hear_own(event, now),
        }
        self.sort_names();
    }

    fn hear_own(&mut self, event: Event, now: Instant) {
        match event {
            Event::Say {
                room,
                who,
                words,
                manner,
            } => self.say_back(&room, &who, &said(&who.name, &words, manner), now),
            Event::Join { who, .. } => self.join_back(id_of(&who), now),
            Event::Move { who, to, words, .. } => self.move_back(id_of(&who), to, &words, now),
            Event::Left { who, words, .. } => self.left_back(&who, &words, now),
            Event::Claim { who } => self.claim_back(id_of(&who), now),
            Event::Name { who, before, .. } => self.name_back(&who, &before, now),
            Event::Open { room, digest } => self.core.open(&room, digest),
            // It happened when it was asked for, or is none of this node's own.
            Event::Away { .. }
            | Event::Back { .. }
            | Event::Up { .. }
            | Event::Down
            | Event::Dead(_)
            | Event::Message { .. }
            | Event::Gone { .. } => {}
        }
    }

    /// Says what a session has said; it may have gone since.
    fn say_back(&mut self, room: &RoomName, who: &Who, said: &Said<'_>, now: Instant) {
        let Self { sessions, core } = self;
        let Some(at) = core.rooms.find(room.text()) else {
            return;
        };
        match sessions
            .get_mut(id_of(who))
            .filter(|it| it.place() == Some(at))
        {
            Some(session) => core.say_now(session, said, now),
            None => core.say_for(at, id_of(who), said, now),
        }
    }

    fn join_back(&mut self, id: SessionId, now: Instant) {
        let Self { sessions, core } = self;
        if let Some(relayed) = &mut core.relayed {
            relayed.note_returned(id);
        }
        let Some(session) = sessions.get_mut(id).filter(|it| it.is_open()) else {
            return;
        };
        core.heard_back(session);
        if session.place().is_some() {
            core.announce_now(session, now);
        }
    }

    /// A session goes where it has asked to go.
    fn move_back(&mut self, id: SessionId, to: Option<RoomName>, words: &str, now: Instant) {
        let Self { sessions, core } = self;
        let going = core.relayed.as_mut().map(|relayed| {
            relayed.note_returned(id);
            relayed.moving.remove(id).unwrap_or_default()
        });
        let going = going.unwrap_or_default();
        let Some(session) = sessions.get_mut(id).filter(|session| session.is_open()) else {
            return;
        };
        core.heard_back(session);
        let Some(to) = to else {
            return self.part_now(id, words, now);
        };
        let place = session.place();
        let (at, made) = core.find_or_make(to, going.key.as_deref());
        if place == Some(at) {
            return;
        }
        match (going, place) {
            (
                Going {
                    closed: Some(why), ..
                },
                Some(from),
            ) => {
                let room = core.rooms.id(from);
                self.send_to_lobby_now(id, room, &why, now);
            }
            _ => self.go(id, at, made, now),
        }
    }

    /// Tells the room of somebody who has left.
    fn left_back(&mut self, who: &Who, words: &str, now: Instant) {
        let id = id_of(who);
        let core = &mut self.core;
        let departed = core.relayed.as_mut().and_then(|it| it.departing.remove(id));
        let Some(departed) = departed else { return };
        if core.rooms.by_id(departed.room).is_none() {
            return;
        }
        let name = &who.name;
        core.rooms.change(departed.room.at, |room| {
            let left = |here| crate::dialect::event::Presence::Left { name, words, here };
            room.tell_leave(id, Some(departed.announced), left, &departed.user, now);
        });
    }

    /// A session wants a name: it is decided now whether it may have it.
    fn claim_back(&mut self, id: SessionId, now: Instant) {
        let Self { sessions, core } = self;
        let Some(relayed) = &mut core.relayed else {
            return;
        };
        let Some(wanted) = relayed.naming.remove(id) else {
            return;
        };
        let is_claimed = relayed.is_claimed(&wanted.name, now);
        if !sessions.get(id).is_some_and(Session::is_open) {
            return;
        }
        let name = wanted.name;
        let taken = if is_claimed {
            Err(crate::dialect::request::Refusal::Taken(name.text().into()))
        } else {
            self.with_unsorted_name(id, |core, session| {
                if wanted.by_operator {
                    core.rename(session, name.clone(), now)?;
                    core.note(session, Note::Named(&name), now);
                    return Ok(());
                }
                core.take_name(session, name, now)
            })
        };
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        core.heard_back(session);
        let Err(refusal) = taken else { return };
        if session.owned().is_some() {
            session.set_owned(wanted.owned_before);
        }
        if !wanted.by_operator {
            self.reply(id, &Reply::Refused(&refusal), now);
        }
    }

    /// The room hears that somebody has another name.
    fn name_back(&mut self, who: &Who, before: &Name, now: Instant) {
        let Self { sessions, core } = self;
        let id = id_of(who);
        if let Some(relayed) = &mut core.relayed {
            relayed.note_returned(id);
        }
        let Some(session) = sessions.get_mut(id).filter(|it| it.is_open()) else {
            return;
        };
        core.heard_back(session);
        if session.is_nowhere() {
            return;
        }
        core.rooms.change(session.room, |room| {
            let user = session.codec.user();
            room.rename(session.member, before, &who.name, user, now);
        });
    }
}

impl Core {
    /// A room that nobody is in has a key from now on.
    pub(super) fn open(&mut self, room: &RoomName, digest: crate::relay::record::Digest) {
        /// So many rooms are opened and not gone to, at most.
        const OPENS_MAX: usize = 1000;
        let is_there = self.rooms.find(room.text()).is_some();
        let Some(relayed) = self.relayed.as_mut().filter(|_| !is_there) else {
            return;
        };
        if relayed.opens.len() >= OPENS_MAX {
            relayed.opens.clear();
        }
        relayed.opens.push((room.text().into(), digest));
    }

    /// The room of this name, which is made if it is not there; `key` is what was typed by who goes there.
    pub(super) fn find_or_make(&mut self, name: RoomName, key: Option<&str>) -> (RoomAt, Made) {
        let relayed = self.relayed.as_mut();
        let opened = relayed.and_then(|it| {
            // The latest counts.
            let place = it
                .opens
                .iter()
                .rposition(|(room, _)| **room == *name.text())?;
            let (_, digest) = it.opens.remove(place);
            it.opens.retain(|(room, _)| **room != *name.text());
            Some(digest)
        });
        let epoch = self
            .others()
            .map_or_else(Box::default, |others| others.epoch.clone());
        let typed = || key.map(|key| RoomKey::Text(key.into()));
        match self.rooms.find(name.text()) {
            Some(at) => {
                let room = self.rooms.get_mut(at);
                let is_it = |typed: &str, known: &RoomKey| known.is(name.text(), typed);
                if let (Some(known), Some(typed)) = (&mut room.key, key) {
                    if matches!(**known, RoomKey::Digest(..)) && is_it(typed, known) {
                        **known = RoomKey::Text(typed.into());
                    }
                }
                (at, Made::No)
            }
            None => match opened {
                Some(digest) => {
                    let known = typed().unwrap_or(RoomKey::Digest(digest, epoch));
                    (self.rooms.make(name, Some(known)), Made::WithKey)
                }
                None => (self.rooms.make(name, None), Made::Yes),
            },
        }
    }

    /// Says something in a room of somebody who is not a member of it here.
    pub(super) fn say_for(&mut self, at: RoomAt, id: SessionId, said: &Said<'_>, now: Instant) {
        self.speeches = self.speeches.wrapping_add(1);
        let (speeches, wall_seconds) = (self.speeches, self.wall_seconds);
        let transcript = &mut self.transcript;
        let person = self.relayed.as_mut().and_then(|it| it.abroad.get_mut(id));
        self.rooms.change(at, |room| {
            room.note_said(now);
            if let Some(transcript) = transcript.as_mut().filter(|_| room.key.is_none()) {
                transcript.add(&room.name, said, wall_seconds);
            }
            if let Some(person) = person {
                person.spoke = speeches;
                if let Some((_, announced)) =
                    person.place.as_mut().filter(|(place, _)| *place == at)
                {
                    room.note_speaker(id);
                    room.introduce_abroad(id, announced, &person.name);
                }
            }
            room.history.keep(said, id.into(), wall_seconds);
            room.say_to_all(said, Some(id), abroad::USER);
        });
    }
}

/// The session of somebody at this node.
fn id_of(who: &Who) -> SessionId {
    SessionId::from_bits(who.session as usize)
}

/// What somebody of this name says.
pub(super) fn said<'a>(name: &'a Name, words: &'a str, manner: Manner) -> Said<'a> {
    match manner {
        Manner::Said => Said::Said { name, words },
        Manner::Did => Said::Did { name, words },
        Manner::Noticed => Said::Noticed { name, words },
    }
}
