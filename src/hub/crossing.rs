//! What this node tells the others, and what it is told of them as a whole.

use std::time::{Duration, Instant};

use crate::dialect::event::{Event, Past};
use crate::hub::core::Core;
use crate::hub::relayed::{Backlog, Outgoing, Relayed};
use crate::hub::session::{Long, Session};
use crate::hub::Hub;
use crate::id::SessionId;
use crate::relay::place::Id;
use crate::relay::record::{self as relay, Digest, Manner, NodeId, Who};
use crate::room_name::RoomName;

/// While too much waits for the engine, a talker waits so long before they are looked at again.
const FULL_WAIT: Duration = Duration::from_millis(100);

impl Core {
    /// What is kept of the other nodes, if there are any.
    pub(super) fn others(&self) -> Option<&Relayed> {
        self.relayed.as_deref()
    }

    /// Tells the other nodes something.
    pub(super) fn tell_others(&mut self, event: relay::Event) {
        self.tell_others_of_room(event, None);
    }

    /// The same of somebody who goes to a room whose key makes this digest.
    pub(super) fn tell_others_of_room(&mut self, event: relay::Event, digest: Option<Digest>) {
        let Some(relayed) = &mut self.relayed else {
            return;
        };
        if let relay::Event::Join { who, .. }
        | relay::Event::Move { who, .. }
        | relay::Event::Name { who, .. } = &event
        {
            let id = SessionId::from_bits(who.session as usize);
            match relayed.unreturned.get_mut(id) {
                Some(count) => *count += 1,
                None => _ = relayed.unreturned.insert(id, 1),
            }
            if !matches!(event, relay::Event::Move { .. }) {
                relayed.settled.remove(id);
            }
        }
        let to = None;
        relayed.outgoing.push(Outgoing { to, event, digest });
    }

    /// Tells one other node something.
    pub(super) fn tell_node(&mut self, node: NodeId, event: relay::Event) {
        if let Some(relayed) = &mut self.relayed {
            let (to, digest) = (Some(node), None);
            relayed.outgoing.push(Outgoing { to, event, digest });
        }
    }

    /// The name of the room that a session is in.
    pub(super) fn room_name_of<T>(&self, session: &Session<T>) -> Option<RoomName> {
        session.place().map(|at| self.rooms.get(at).name.clone())
    }

    /// Whether the other nodes were told of a session.
    pub(super) fn crosses(&self, id: SessionId) -> bool {
        self.others()
            .is_some_and(|others| others.crossing.contains(id))
    }

    /// The other nodes are told of a session from now on; gives whether they were not.
    pub(super) fn let_cross(&mut self, id: SessionId) -> bool {
        let relayed = self.relayed.as_mut();
        relayed.is_some_and(|relayed| relayed.crossing.insert(id, ()))
    }

    /// The other nodes are told that a session has left; gives whether they knew of it.
    pub(super) fn end_crossing(&mut self, id: SessionId) -> bool {
        let relayed = self.relayed.as_mut();
        relayed.is_some_and(|relayed| {
            relayed.settled.remove(id);
            relayed.crossing.remove(id).is_some()
        })
    }

    /// Lets all nodes know of a session, if they were not told of it before.
    pub(super) fn introduce_to_others<T>(&mut self, session: &mut Session<T>) {
        if !self.let_cross(session.id) {
            return;
        }
        // It finds itself among those who are here when it is heard again.
        session.wait_until_asked();
        let (room, who) = (self.room_name_of(session), session.who());
        let session_number = who.session;
        let digest = self.digest_of(session);
        let join = relay::Event::Join {
            room,
            who,
            named: None,
        };
        self.tell_others_of_room(join, digest);
        if let Some(why) = session.away() {
            let (session, why) = (session_number, why.into());
            self.tell_others(relay::Event::Away { session, why });
        }
    }

    /// What the others are to know of the key of the room that a session is in.
    fn digest_of<T>(&self, session: &Session<T>) -> Option<Digest> {
        let room = self.rooms.get(session.place()?);
        let key = room.key.as_deref()?;
        let epoch = self.others().map_or("", |others| &others.epoch);
        Some(key.digest(epoch, room.name.text()))
    }

    /// All nodes are to hear what a session says.
    pub(super) fn say_to_others<T>(&mut self, session: &Session<T>, words: &str, manner: Manner) {
        let Some(room) = self.room_name_of(session) else {
            return;
        };
        let (who, words) = (session.who(), words.into());
        self.tell_others(relay::Event::Say {
            room,
            who,
            words,
            manner,
        });
    }

    /// The number of the next guest; a node alone has those that its sessions have.
    pub(super) fn next_guest(&mut self, number: u64) -> u64 {
        // So many guests have come before numbers from here on are given twice.
        const ALONE: u64 = 1_000_000_000;
        let Some(relayed) = &mut self.relayed else {
            return number;
        };
        // An engine that was emptied counts from 1 again, so that some guest may have the next number.
        while let Some((first, count)) = relayed.guests.front_mut() {
            let next = *first;
            (*first, *count) = (first.saturating_add(1), *count - 1);
            if *count == 0 {
                relayed.guests.pop_front();
            }
            if !self.roster.has_guest(next) {
                return next;
            }
        }
        let first = ALONE * (1 + self.run % 1_000_000) + number;
        let mut free = (first..).filter(|next| !self.roster.has_guest(*next));
        free.next().unwrap_or(first)
    }

    /// Until when a session waits because too much waits for the engine.
    pub(super) fn waits_for_relay(&self, talks: bool, now: Instant) -> Option<Instant> {
        let waits = match self.others()?.backlog {
            Backlog::Little => false,
            Backlog::Much => talks,
            Backlog::TooMuch => true,
        };
        waits.then_some(now + FULL_WAIT)
    }

    /// If all that a session has asked of all nodes has come back, it is heard again.
    pub(super) fn heard_back<T>(&mut self, session: &mut Session<T>) {
        let asks = self.others().is_some_and(|others| others.asks(session.id));
        if !asks && session.long.as_deref() == Some(&Long::Asked) {
            session.long = None;
            self.resumed.push(session.id);
        }
    }
}

impl<T> Session<T> {
    /// How the other nodes know it.
    pub(super) fn who(&self) -> Who {
        Who {
            session: self.id.to_bits() as u64,
            name: self.name.clone(),
        }
    }
}

impl<T> Hub<T> {
    /// From now on this is one of several nodes. A claim of another one counts for so long as somebody who has the name.
    pub(crate) fn begin_relayed(&mut self, claimed_for: Duration) {
        self.core.relayed = Some(Box::new(Relayed::new(claimed_for)));
    }

    /// It is settled at all nodes, since this place of the log, that somebody here is called so.
    pub(crate) fn settle_name(&mut self, who: &Who, place: Id) {
        let id = SessionId::from_bits(who.session as usize);
        let session = self.sessions.get(id);
        let is_still_so = session.is_some_and(|session| session.name == who.name);
        if let Some(relayed) = self.core.relayed.as_mut().filter(|_| is_still_so) {
            relayed.settled.insert(id, place);
        }
    }

    /// The others are told anew what a session is called, so that it may have to give way.
    pub(crate) fn unsettle_name(&mut self, session: u64) {
        let id = SessionId::from_bits(session as usize);
        if let Some(relayed) = &mut self.core.relayed {
            relayed.settled.remove(id);
        }
    }

    /// Sessions of which the others are told again because somebody else has taken their name later.
    pub(crate) fn take_told_again(&mut self) -> Vec<SessionId> {
        let relayed = self.core.relayed.as_mut();
        relayed.map_or_else(Vec::new, |relayed| std::mem::take(&mut relayed.told_again))
    }

    /// What is to be told to the others.
    pub(crate) fn take_outgoing(&mut self) -> Vec<Outgoing> {
        let relayed = self.core.relayed.as_mut();
        relayed.map_or_else(Vec::new, |relayed| std::mem::take(&mut relayed.outgoing))
    }

    /// So much waits for the engine.
    pub(crate) fn set_backlog(&mut self, backlog: Backlog) {
        if let Some(relayed) = &mut self.core.relayed {
            relayed.backlog = backlog;
        }
    }

    /// So the engine's memory is called from now on.
    pub(crate) fn set_epoch(&mut self, epoch: Box<str>) {
        if let Some(relayed) = &mut self.core.relayed {
            relayed.epoch = epoch;
        }
    }

    /// Guests have these numbers, too.
    pub(crate) fn add_guests(&mut self, first: u64, count: u64) {
        if let Some(relayed) = self.core.relayed.as_mut().filter(|_| count > 0) {
            relayed.guests.push_back((first, count));
        }
    }

    /// How many numbers of guests are left; `None` where that does not matter.
    pub(crate) fn guests_left(&self) -> Option<u64> {
        self.core.others().map(Relayed::guests_left)
    }

    /// The others cannot be reached, or can again: who is there is marked in lists.
    pub(crate) fn set_alone(&mut self, is_alone: bool) {
        if let Some(relayed) = &mut self.core.relayed {
            relayed.is_alone = is_alone;
        }
    }

    /// Tells each room something of the other nodes, of so many who hear it here.
    pub(crate) fn tell_of_others(&mut self, words: impl Fn(usize) -> String) {
        let rooms = &mut self.core.rooms;
        let server = rooms.server();
        let all: Vec<_> = rooms.iter().map(|(at, _)| at).collect();
        for at in all {
            let words = words(rooms.get(at).here_at_home());
            let event = Event::Announced {
                before: "",
                words: &words,
                server: &server,
            };
            rooms.change(at, |room| room.say_to_all(&event, None, ""));
        }
    }

    /// Lets this have been said before, the oldest first, each in its room if that is there, and at that time.
    pub(crate) fn set_past(&mut self, past: &[(relay::Event, u64)]) {
        let rooms = &mut self.core.rooms;
        for (event, wall_seconds) in past {
            let relay::Event::Say {
                room,
                who,
                words,
                manner,
            } = event
            else {
                continue;
            };
            if let Some(at) = rooms.find(room.text()) {
                let past = Past {
                    number: 0,
                    wall_seconds: *wall_seconds,
                    name: &who.name.text(),
                    acts: *manner == Manner::Did,
                    words,
                };
                rooms.change(at, |room| room.history.restore(&past));
            }
        }
    }

    /// The people at other nodes, with the rooms that they are in.
    #[cfg(test)]
    pub(crate) fn all_abroad(&self) -> std::collections::BTreeMap<(NodeId, u64), String> {
        let people = self.core.others().into_iter();
        let shown = |person: &crate::hub::abroad::Person| {
            let room = person
                .place
                .as_ref()
                .map(|(at, _)| &self.core.rooms.get(*at).name);
            let shown = format!("{} in {room:?}", person.name);
            ((person.node, person.session), shown)
        };
        people.flat_map(|it| it.abroad.iter().map(shown)).collect()
    }

    /// How many people are known at other nodes.
    pub(crate) fn people_abroad(&self) -> usize {
        self.core.others().map_or(0, |others| others.abroad.len())
    }
}
