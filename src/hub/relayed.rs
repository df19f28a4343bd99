//! What a hub keeps that is one of several nodes: the people of the others, and what it has said and has not come back.
//!
//! What is said, who comes, goes, moves or takes a name is told to all nodes first ([`Hub::take_outgoing`]), and happens
//! when it comes back ([`Hub::relayed`]), in the one order that all share.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::hub::abroad::Abroad;
use crate::hub::kept::Number;
use crate::hub::room::presence::Announced;
use crate::hub::rooms::RoomId;
use crate::hub::sessions::Sessions;
use crate::id::SessionId;
use crate::name::{Keys, Name};
use crate::relay::place::Id;
use crate::relay::record::{self as relay, Digest, NodeId, Who};

/// What is to be told to the other nodes.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// To one node alone; `None`: to all.
    pub(crate) to: Option<NodeId>,
    pub(crate) event: relay::Event,
    /// Of the key of the room to which somebody goes.
    pub(crate) digest: Option<Digest>,
}

/// How much waits for the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backlog {
    #[default]
    Little,
    /// So much that talkers wait.
    Much,
    /// All who ask for something wait.
    TooMuch,
}

/// A name that a session wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: Name,
    /// An operator gives it.
    pub(super) by_operator: bool,
    /// The kept name that the session had by right before it came with the key of this one.
    pub(super) owned_before: Option<Number>,
}

/// Where a session goes.
#[derive(Debug, Default)]
pub(super) struct Going {
    /// The key that was typed.
    pub(super) key: Option<Box<str>>,
    /// An operator has closed its room, for this reason.
    pub(super) closed: Option<Box<str>>,
}

/// Somebody who has left, of whom the room is still to be told.
#[derive(Debug)]
pub(super) struct Departed {
    pub(super) room: RoomId,
    pub(super) announced: Announced,
    pub(super) user: Box<str>,
}

/// At most this many names that people of other nodes want are known; beyond it the oldest is forgotten.
pub(super) const CLAIMS_MAX: usize = 1000;

/// A name that somebody at another node wants.
#[derive(Debug)]
struct Claim {
    node: NodeId,
    session: u64,
    keys: Keys,
    until: Instant,
}

/// Something for some of the sessions. Whatever it is, the map is the same, so that there is one in the program.
#[derive(Debug)]
pub(super) struct BySession<V> {
    places: HashMap<SessionId, usize>,
    values: Slab<V>,
}

impl<V> Default for BySession<V> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            values: Slab::new(),
        }
    }
}

impl<V> BySession<V> {
    pub(super) fn contains(&self, id: SessionId) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut V> {
        let place = self.places.get(&id)?;
        self.values.get_mut(*place)
    }

    /// Gives whether there was nothing before.
    pub(super) fn insert(&mut self, id: SessionId, value: V) -> bool {
        if let Some(before) = self.get_mut(id) {
            *before = value;
            return false;
        }
        let place = self.values.insert(value);
        self.places.insert(id, place);
        true
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<V> {
        let place = self.places.remove(&id)?;
        if self.places.is_empty() {
            self.places = HashMap::new();
        }
        let value = self.values.try_remove(place);
        if self.values.is_empty() {
            self.values = Slab::new();
        }
        value
    }
}

/// What is kept.
#[derive(Debug)]
pub(super) struct Relayed {
    pub(super) abroad: Abroad,
    pub(super) outgoing: Vec<Outgoing>,
    /// The sessions of which the others were told.
    pub(super) crossing: BySession<()>,
    /// What the engine's memory is called.
    pub(super) epoch: Box<str>,
    pub(super) naming: BySession<Wanted>,
    pub(super) moving: BySession<Going>,
    pub(super) departing: BySession<Departed>,
    /// How often the others were told who this is, and it has not come back.
    pub(super) unreturned: BySession<u32>,
    claims: Vec<Claim>,
    /// Since when it is settled at all nodes what a session is called; of the others it is not.
    pub(super) settled: BySession<Id>,
    /// Sessions whose name somebody else has taken later, of whom the others are told again.
    pub(super) told_again: Vec<SessionId>,
    /// Rooms that have a key and that nobody is in yet.
    pub(super) opens: Vec<(Box<str>, Digest)>,
    pub(super) is_alone: bool,
    pub(super) backlog: Backlog,
    /// A claim counts for so long as somebody who has the name.
    claimed_for: Duration,
    /// Numbers of guests, each from the first of how many.
    pub(super) guests: VecDeque<(u64, u64)>,
}

impl Relayed {
    pub(super) fn new(claimed_for: Duration) -> Self {
        Self {
            abroad: Abroad::default(),
            outgoing: Vec::new(),
            crossing: BySession::default(),
            epoch: "".into(),
            naming: BySession::default(),
            moving: BySession::default(),
            departing: BySession::default(),
            unreturned: BySession::default(),
            claims: Vec::new(),
            settled: BySession::default(),
            told_again: Vec::new(),
            opens: Vec::new(),
            is_alone: false,
            backlog: Backlog::default(),
            claimed_for,
            guests: VecDeque::new(),
        }
    }

    /// Somebody at another node wants a name.
    pub(super) fn note_claim(&mut self, node: NodeId, who: &Who, now: Instant) {
        self.claims.retain(|claim| now < claim.until);
        if self.claims.len() >= CLAIMS_MAX {
            self.claims.remove(0);
        }
        self.claims.push(Claim {
            node,
            session: who.session,
            keys: Keys::of(&who.name.text()),
            until: now + self.claimed_for,
        });
    }

    /// It is known what that person is called.
    pub(super) fn end_claims(&mut self, node: NodeId, session: u64) {
        self.claims
            .retain(|claim| (claim.node, claim.session) != (node, session));
    }

    /// Whether somebody at another node was the first to want this name.
    pub(super) fn is_claimed(&self, name: &Name, now: Instant) -> bool {
        if self.claims.is_empty() {
            return false;
        }
        let keys = Keys::of(&name.text());
        let wants = |claim: &Claim| {
            let mut theirs = claim.keys.iter();
            now < claim.until && theirs.any(|key| keys.iter().any(|own| own == key))
        };
        self.claims.iter().any(wants)
    }

    /// What the others were told of a session has come back.
    pub(super) fn note_returned(&mut self, id: SessionId) {
        if let Some(count) = self.unreturned.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                self.unreturned.remove(id);
            }
        }
    }

    /// Whether a session has asked something of all nodes that has not come back.
    pub(super) fn asks(&self, id: SessionId) -> bool {
        self.naming.contains(id) || self.unreturned.contains(id)
    }

    /// Numbers of guests that are left.
    pub(super) fn guests_left(&self) -> u64 {
        self.guests.iter().map(|(_, count)| count).sum()
    }
}

/// What somebody is called, here or at another node.
pub(super) fn name_of<'a, T>(
    sessions: &'a Sessions<T>,
    others: Option<&'a Relayed>,
    id: SessionId,
) -> Option<&'a Name> {
    let session = sessions.get(id);
    let here = session.map(|session| &session.name);
    here.or_else(|| others?.abroad.get(id).map(|person| &person.name))
}
