//! What a half-typed word may stand for: commands, rooms, and the names of those here.

use std::cmp::Reverse;

use crate::dialect::commands::{takes_room, COMMANDS};
use crate::dialect::input::Word;
use crate::dialect::request::Command;
use crate::hub::relayed::name_of;
use crate::hub::rooms::RoomAt;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::room_name::without_hash;
use crate::work::Work;

/// At most this many names are offered for a word …
const CANDIDATES_MAX: usize = 50;
/// … out of those who spoke last, and at most this many others whose names begin so.
const LOOKED_AT_MAX: usize = 500;

impl<T> Hub<T> {
    /// Answers Tab: with commands, or the names of those here, the last who spoke first.
    pub(super) fn complete(&mut self, id: SessionId, word: &Word) {
        let prefix = word.prefix.to_lowercase();
        let candidates: Vec<String> = match prefix.strip_prefix('/') {
            Some(prefix) if word.is_at_line_start => {
                let words = COMMANDS.iter().map(Command::word);
                let fitting = words.filter(|word| word.starts_with(prefix));
                fitting.map(|word| format!("/{word}")).collect()
            }
            _ if takes_room(&word.before) => self.rooms_that_begin(&prefix, id),
            _ => self.names_that_begin(&prefix, id),
        };
        if let Some(session) = self.session(id) {
            session.codec.complete(&candidates);
        }
    }

    /// The rooms that somebody may know of, and whose names begin with `prefix`, which is in lower case.
    fn rooms_that_begin(&mut self, prefix: &str, own: SessionId) -> Vec<String> {
        let own_room = self.sessions.get(own).map(|session| session.room);
        let rooms = &self.core.rooms;
        let prefix = without_hash(prefix);
        let own = own_room.map(|at| rooms.get(at));
        let known = rooms.listed().map(|(_, room)| room);
        let known = known.chain(own.filter(|room| room.key.is_some()));
        let begins = |name: &&str| name.to_lowercase().starts_with(prefix);
        let found = known.map(|room| room.name.text()).filter(begins);
        let found = found.take(CANDIDATES_MAX).map(str::to_owned).collect();
        self.core
            .work
            .add(Work::PERSON.times(self.core.rooms.len()));
        found
    }

    /// The names of those here, but for `own`, that begin with `prefix`, which is in lower case.
    fn names_that_begin(&mut self, prefix: &str, own: SessionId) -> Vec<String> {
        let Self { sessions, core } = self;
        let relayed = core.relayed.as_deref();
        let name_of = |id| name_of(sessions, relayed, id);
        let begins = |id: &SessionId| {
            name_of(*id).is_some_and(|name| name.text().to_lowercase().starts_with(prefix))
        };
        let own_room = sessions.get(own).map(|session| session.room);
        let room = core.rooms.get(own_room.unwrap_or(RoomAt::LOBBY));
        let speakers_count = room.speakers.len();
        let others = room.names.from(prefix, name_of).iter();
        let others = others.take_while(|id| begins(id)).take(LOOKED_AT_MAX);
        let speakers = room.speakers.iter().filter(|id| begins(id));
        let mut named: Vec<_> = speakers
            .chain(others)
            .filter(|id| **id != own)
            .filter_map(|id| {
                let spoke = match sessions.get(*id) {
                    Some(session) => room.members.get(session.member)?.spoke,
                    None => relayed?.abroad.get(*id)?.spoke,
                };
                Some((Reverse(spoke), name_of(*id)?.text()))
            })
            .collect();
        core.work
            .add(Work::PERSON.times(named.len() + speakers_count));
        named.sort_unstable();
        named.dedup();
        named.truncate(CANDIDATES_MAX);
        named
            .into_iter()
            .map(|(_, name)| name.into_owned())
            .collect()
    }

    /// Sorts the names of those who have just been announced or renamed.
    pub(super) fn sort_names(&mut self) {
        let Self { sessions, core } = self;
        while let Some(id) = core.unsorted.pop() {
            let others = core.relayed.as_deref();
            let name_of = |id| name_of(sessions, others, id);
            let session = sessions.get(id).filter(|session| session.is_open());
            let person = others.and_then(|others| others.abroad.get(id));
            let place = match (session, person) {
                (Some(session), _) => session.place(),
                (None, Some(person)) => person.place.as_ref().map(|(at, _)| *at),
                (None, None) => None,
            };
            if let (Some(at), Some(name)) = (place, name_of(id)) {
                let room = core.rooms.get_mut(at);
                room.names.insert(id, name, name_of);
                core.work.add(Work::SORTED_NAME);
            }
        }
    }

    /// Takes the name of somebody who is here out of the sorted ones; gives whether it was there.
    pub(super) fn unsort_name(&mut self, id: SessionId) -> bool {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get(id) else {
            return false;
        };
        let (room, others) = (core.rooms.get_mut(session.room), core.relayed.as_deref());
        let member = room.members.get(session.member);
        if member.is_none_or(|member| member.announced.is_none()) {
            return false;
        }
        let name_of = |id| name_of(sessions, others, id);
        room.names.remove(id, &session.name, name_of);
        core.work.add(Work::SORTED_NAME);
        true
    }
}
