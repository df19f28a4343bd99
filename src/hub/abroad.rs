//! The people at other nodes, of whom this one knows their names, where they are, and why they are away.
//!
//! Invariants: `by_session` leads to each of them; who is in a room is counted there; `holds_name` is true for exactly
//! those whose name the roster gives to them.

use std::collections::HashMap;

use slab::Slab;

use crate::hub::room::presence::Announced;
use crate::hub::rooms::RoomAt;
use crate::id::SessionId;
use crate::name::Name;
use crate::relay::place::Id;
use crate::relay::record::NodeId;

/// Somebody at another node.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: SessionId,
    pub(super) node: NodeId,
    /// What their node calls their session.
    pub(super) session: u64,
    pub(super) name: Name,
    /// The room that they are in, and how its members were told of that.
    pub(super) place: Option<(RoomAt, Announced)>,
    pub(super) away: Option<Box<str>>,
    /// When they spoke last, counted in what was ever said; 0 if they did not.
    pub(super) spoke: u32,
    /// The name is theirs: nobody who has it was the first.
    pub(super) holds_name: bool,
    /// Where in the log they got it, if that is known.
    pub(super) named: Option<Id>,
    /// They were seen since their node's people were last looked at.
    pub(super) is_seen: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Abroad {
    people: Slab<Person>,
    by_session: HashMap<(NodeId, u64), SessionId>,
    serial: u32,
}

impl Abroad {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.people.len()
    }

    /// Adds somebody, who is in no room and holds no name yet.
    pub(super) fn insert(&mut self, node: NodeId, session: u64, name: Name) -> &mut Person {
        self.serial = self.serial.wrapping_add(1);
        let entry = self.people.vacant_entry();
        let id = SessionId::abroad(entry.key(), self.serial);
        self.by_session.insert((node, session), id);
        entry.insert(Person {
            id,
            node,
            session,
            name,
            place: None,
            away: None,
            spoke: 0,
            holds_name: false,
            named: None,
            is_seen: true,
        })
    }

    pub(super) fn find(&self, node: NodeId, session: u64) -> Option<SessionId> {
        self.by_session.get(&(node, session)).copied()
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Person> {
        let person = self.people.get(id.index_abroad()?);
        person.filter(|person| person.id == id)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Person> {
        let person = self.people.get_mut(id.index_abroad()?);
        person.filter(|person| person.id == id)
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Person> {
        self.get(id)?;
        let person = self.people.try_remove(id.index_abroad()?)?;
        self.by_session.remove(&(person.node, person.session));
        if self.people.len() < self.people.capacity() / 4 {
            self.people.shrink_to_fit();
            self.by_session.shrink_to_fit();
        }
        Some(person)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().map(|(_, person)| person)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Person> {
        self.people.iter_mut().map(|(_, person)| person)
    }
}
