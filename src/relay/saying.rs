//! What this node says to the others, and what they know of its people then.

use std::time::Instant;

use crate::relay::data::{Leaving, News, State};
use crate::relay::node::Relay;
use crate::relay::place::Id;
use crate::relay::record::{Digest, Entry, Event, NodeId, Who};

impl Relay {
    /// Something happens here: it is told to all, and heard when it comes back. `digest` is that of the key of the room to
    /// which somebody goes.
    pub(crate) fn submit(&mut self, event: Event, digest: Option<Digest>, now: Instant) {
        self.note_fact(&event, digest);
        let is_alone = self.state == State::Alone;
        if is_alone {
            let event = event.clone();
            self.news.push_back(News::Heard { node: None, event });
        }
        self.ring.push(None, event, is_alone, now);
    }

    /// Something is for the people of one other node.
    pub(crate) fn submit_to(&mut self, node: NodeId, event: Event, now: Instant) {
        // What another node makes this one say is bounded: it says that somebody is gone, or not.
        let is_full = matches!(event, Event::Gone { .. }) && self.waiting_share() >= 100;
        if self.nodes.get_mut(node).is_some() && !is_full {
            self.ring.push(Some(node), event, false, now);
        }
    }

    /// Keeps what the others know of this node's people.
    pub(super) fn note_fact(&mut self, event: &Event, digest: Option<Digest>) {
        let session = match event {
            Event::Join { room, who, .. } => {
                let before = self.people.get(&who.session);
                let away = before.and_then(|entry| entry.away.clone());
                let (who, room) = (who.clone(), room.clone());
                let entry = Entry {
                    who,
                    room,
                    digest,
                    named: None,
                    away,
                };
                let session = entry.who.session;
                self.people.insert(session, entry);
                session
            }
            Event::Move { who, to, .. } => {
                let before = self.people.get(&who.session);
                let entry = Entry {
                    who: who.clone(),
                    room: to.clone(),
                    digest,
                    named: before.and_then(|entry| entry.named),
                    away: before.and_then(|entry| entry.away.clone()),
                };
                self.people.insert(who.session, entry);
                who.session
            }
            Event::Left { who, .. } => {
                self.people.remove(&who.session);
                who.session
            }
            Event::Name { who, .. } => {
                if let Some(entry) = self.people.get_mut(&who.session) {
                    entry.who.name = who.name.clone();
                    entry.named = None;
                }
                who.session
            }
            Event::Away { session, why } => {
                if let Some(entry) = self.people.get_mut(session) {
                    entry.away = Some(why.clone());
                }
                *session
            }
            Event::Back { session } => {
                if let Some(entry) = self.people.get_mut(session) {
                    entry.away = None;
                }
                *session
            }
            _ => return,
        };
        self.changed.push(session);
    }

    /// It is settled here in the log what one of this node's people is called, which the engine is to know: of two who
    /// have one name the first keeps it.
    pub(super) fn settle_name(&mut self, who: &Who, place: Id) {
        let entry = self.people.get_mut(&who.session);
        let Some(entry) = entry.filter(|entry| entry.who.name == who.name) else {
            return;
        };
        if entry.named.is_none() {
            entry.named = Some(place);
            self.changed.push(who.session);
            self.news.push_back(News::Settled(who.clone(), place));
        }
    }

    /// Somebody else has taken the name of this person later: their node is to hear that they were the first.
    pub(crate) fn tell_again(&mut self, session: u64, now: Instant) {
        let entry = self.people.get(&session);
        let is_full = self.waiting_share() >= 100;
        let Some(entry) = entry.filter(|entry| entry.named.is_some() && !is_full) else {
            return;
        };
        let event = Event::Join {
            room: entry.room.clone(),
            who: entry.who.clone(),
            named: entry.named,
        };
        self.ring.push(None, event, true, now);
    }

    /// This node says that it is there.
    pub(super) fn say_up(&mut self, now: Instant) {
        // It is nothing that anybody here would hear.
        self.ring.push(None, self.up(), true, now);
    }

    /// That this node is there, which may be told at any time.
    pub(super) fn up(&self) -> Event {
        Event::Up {
            version: env!("CARGO_PKG_VERSION").into(),
            label: self.options.label.clone(),
        }
    }

    /// This node stops: all its people leave.
    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leaving == Leaving::Stays {
            self.leaving = Leaving::Says;
            self.ring.push(None, Event::Down, true, now);
        }
    }

    /// Whether the others know that this node stops, or cannot be told.
    pub(crate) fn has_left(&self) -> bool {
        self.leaving == Leaving::Gone || self.state != State::Attached
    }
}
