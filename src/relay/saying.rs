//! What this node says to the others, and what they know of its people then.

use std::time::Instant;

use crate::relay::data::{Leaving, News, State};
use crate::relay::node::Relay;
use crate::relay::record::{Digest, Entry, Event, NodeId};

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
        if self.nodes.get_mut(node).is_some() {
            self.ring.push(Some(node), event, false, now);
        }
    }

    /// Keeps what the others know of this node's people.
    pub(super) fn note_fact(&mut self, event: &Event, digest: Option<Digest>) {
        let session = match event {
            Event::Join { room, who } => {
                let before = self.people.get(&who.session);
                let away = before.and_then(|entry| entry.away.clone());
                let (who, room) = (who.clone(), room.clone());
                let entry = Entry {
                    who,
                    room,
                    digest,
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

    /// This node says that it is there.
    pub(super) fn say_up(&mut self, now: Instant) {
        let event = Event::Up {
            version: env!("CARGO_PKG_VERSION").into(),
            label: self.options.label.clone(),
        };
        // It is nothing that anybody here would hear.
        self.ring.push(None, event, true, now);
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
