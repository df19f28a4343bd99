//! What a session may look at of people and rooms, for the questions that only its dialect has; and how it comes in by name.

use std::cell::Cell;
use std::mem;
use std::time::{Duration, Instant};

use crate::dialect::directory::{Directory, Person, Totals};
use crate::dialect::irc::question::Question;
use crate::dialect::request::Refusal;
use crate::dialect::Opening;
use crate::hub::abroad;
use crate::hub::core::Core;
use crate::hub::room;
use crate::hub::rooms::RoomAt;
use crate::hub::session::Session;
use crate::hub::sessions::Sessions;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::log_name;
use crate::name::{Kind, Name};
use crate::origin::Origin;
use crate::work::Work;

/// What one session may see.
struct View<'a, T> {
    sessions: &'a Sessions<T>,
    core: &'a Core,
    viewer: SessionId,
    /// The room that the viewer is in.
    own: Option<RoomAt>,
    now: Instant,
    /// How many people and rooms were looked at.
    looked_at: Cell<usize>,
}

impl<T> View<'_, T> {
    fn see<'s>(&self, session: &'s Session<T>) -> Person<'s>
    where
        Self: 's,
    {
        let silent = self.now.saturating_duration_since(session.heard_at());
        let age = self.now.saturating_duration_since(session.opened_at);
        Person {
            name: &session.name,
            user: session.codec.user(),
            real: session.codec.real(),
            away: session.away(),
            op: session.is_operator(),
            is_hidden: session.codec.is_hidden(),
            room: None,
            silent,
            since: self.core.wall_seconds.saturating_sub(age.as_secs()),
        }
    }

    /// The same, with the room that they are in.
    fn person_of<'s>(&'s self, session: &'s Session<T>) -> Person<'s> {
        Person {
            room: self.shown_room(session.place()),
            ..self.see(session)
        }
    }

    /// Somebody at another node.
    fn person_abroad<'s>(&'s self, person: &'s abroad::Person) -> Person<'s> {
        let at = person.place.as_ref().map(|(at, _)| *at);
        Person {
            name: &person.name,
            user: room::abroad::USER,
            real: "",
            away: person.away.as_deref(),
            op: false,
            is_hidden: false,
            room: self.shown_room(at),
            silent: Duration::ZERO,
            since: self.core.wall_seconds,
        }
    }

    /// Somebody here, or at another node.
    fn anybody(&self, id: SessionId) -> Option<Person<'_>> {
        if let Some(session) = self.sessions.get(id) {
            return Some(self.person_of(session));
        }
        let person = self.core.others()?.abroad.get(id)?;
        Some(self.person_abroad(person))
    }

    /// The name of a room, if the viewer may know of it.
    fn shown_room(&self, at: Option<RoomAt>) -> Option<&str> {
        let room = at.map(|at| self.core.rooms.get(at));
        let room = room.filter(|room| room.key.is_none() || at == self.own);
        room.map(|room| room.name.text())
    }

    fn find_room(&self, name: &str) -> Option<RoomAt> {
        let found = self.core.rooms.find(name)?;
        let is_known = Some(found) == self.own || self.core.rooms.get(found).key.is_none();
        is_known.then_some(found)
    }

    fn look(&self) {
        self.looked_at.set(self.looked_at.get() + 1);
    }
}

impl<T> Directory for View<'_, T> {
    fn person(&self, name: &str) -> Option<Person<'_>> {
        self.looked_at.set(self.looked_at.get() + 50);
        let id = self.core.roster.find(name)?;
        self.anybody(id)
    }

    fn each_in(&self, room: &str, each: &mut dyn FnMut(&Person<'_>) -> bool) -> bool {
        let Some(at) = self.find_room(room) else {
            return false;
        };
        let room = self.core.rooms.get(at);
        for id in room.arrivals() {
            self.look();
            let is_known = match self.sessions.get(id) {
                Some(session) => id == self.viewer || room.is_introduced(session.member),
                None => self.core.is_introduced_abroad(id),
            };
            // As the lists of those who keep one have them.
            let former = room.former_name(id).filter(|_| id != self.viewer);
            let person = self.anybody(id).filter(|_| is_known).map(|person| Person {
                name: former.unwrap_or(person.name),
                ..person
            });
            if person.is_some_and(|person| !each(&person)) {
                break;
            }
        }
        true
    }

    fn each_person(&self, each: &mut dyn FnMut(&Person<'_>) -> bool) {
        for session in self.sessions.iter().filter(|session| session.is_open()) {
            // A name is compared with a mask.
            self.looked_at.set(self.looked_at.get() + 5);
            if !each(&self.person_of(session)) {
                return;
            }
        }
        let others = self.core.others();
        for person in others.into_iter().flat_map(|others| others.abroad.iter()) {
            self.looked_at.set(self.looked_at.get() + 5);
            if !each(&self.person_abroad(person)) {
                return;
            }
        }
    }

    fn each_room(&self, each: &mut dyn FnMut(&str, usize) -> bool) {
        for (_, room) in self.core.rooms.listed() {
            self.look();
            if room.here() > 0 && !each(room.name.text(), room.here()) {
                return;
            }
        }
    }

    fn room(&self, name: &str) -> Option<&str> {
        self.look();
        let at = self.find_room(name)?;
        Some(self.core.rooms.get(at).name.text())
    }

    fn totals(&self) -> Totals {
        let (mut hidden, mut operators, mut people) = (0, 0, 0);
        for session in self.sessions.iter().filter(|session| session.is_open()) {
            self.look();
            people += 1;
            hidden += usize::from(session.codec.is_hidden());
            operators += usize::from(session.is_operator());
        }
        let lobby = self.core.rooms.get(RoomAt::LOBBY).here();
        people += self.core.others().map_or(0, |others| others.abroad.len());
        Totals {
            people,
            hidden,
            operators,
            unregistered: self.core.unregistered,
            rooms: usize::from(lobby > 0) + self.core.rooms.peopled(),
            most: self.core.most,
        }
    }

    fn motd(&self) -> &[String] {
        &self.core.motd
    }

    fn is_recorded(&self) -> bool {
        self.core.transcript.is_some()
    }

    fn began(&self) -> u64 {
        self.core.began
    }
}

impl<T> Hub<T> {
    /// Lets a session's dialect answer a question that only it has.
    pub(super) fn answer_question(&mut self, id: SessionId, question: Question<'_>, now: Instant) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let view = View {
            sessions: &self.sessions,
            core: &self.core,
            viewer: id,
            own: session.place(),
            now,
            looked_at: Cell::new(0),
        };
        let mut out = Vec::new();
        session.codec.answer(question, &view, &mut out);
        let looked_at = view.looked_at.get();
        self.core.work.add(Work::PERSON.times(looked_at));
        self.core.work.add(Work::OUTPUT_BYTE.times(out.len()));
        self.send(id, &mut out, now);
        if let Some(session) = self.session(id) {
            session.wait_until_sent();
        }
    }

    /// A session hears in the encoding that it has asked for from now on. It has heard all that was said before, behind
    /// which the answer stands.
    pub(super) fn follow_caps(&mut self, id: SessionId) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        session.codec.follow_caps();
        let encoding = session.codec.encoding();
        core.rooms.change(session.room, |room| {
            room.change_encoding(session.member, encoding);
        });
    }

    /// Whether somebody who comes from there and is registered at the door may have the name that they want.
    ///
    /// # Errors
    /// Why they may not.
    pub(crate) fn may_come(&mut self, opening: &Opening, from: Origin) -> Result<(), Refusal> {
        let Opening::Irc(coming) = opening else {
            return Ok(());
        };
        let Kind::Chosen(text) = coming.name.kind() else {
            return Ok(());
        };
        let core = &mut self.core;
        let wall_seconds = core.wall_seconds;
        if core.rules.muted(from.address(), 0, wall_seconds).is_some() {
            // They come in without a name.
            return Ok(());
        }
        core.may_be_named(text)
    }
}

impl Core {
    /// Whether a newcomer may have this name.
    fn may_be_named(&mut self, text: &str) -> Result<(), Refusal> {
        self.work.add(Work::look_up(text).times(3));
        self.is_allowed(text)?;
        self.is_kept_by_nobody(text)?;
        match self.roster.find(text) {
            Some(_) => Err(Refusal::Taken(text.into())),
            None => Ok(()),
        }
    }

    /// Gives somebody who has registered the name that they came with; who is muted has none, nor a real
    /// name.
    pub(super) fn name_newcomer<T>(&mut self, session: &mut Session<T>, opening: &Opening) {
        if let Opening::Irc(coming) = opening {
            let is_muted = self.mute_of(session).is_some();
            if is_muted {
                // It is a text that others read.
                session.codec.forget_real();
            }
            let is_free = |core: &mut Self, name: &Name| match name.kind() {
                Kind::Chosen(text) => core.may_be_named(text).is_ok(),
                Kind::Guest(_) => false,
            };
            let (id, guest) = (session.id, &session.name);
            let is_named = !is_muted
                && is_free(self, &coming.name)
                && self.roster.rename(id, guest, &coming.name).is_ok();
            if is_named {
                let before = mem::replace(&mut session.name, coming.name.clone());
                log_name(session.number, &before, &session.name);
                if self.relayed.is_some() {
                    self.introduce_to_others(session);
                }
            }
        }
        session.codec.set_nick(&session.name.text());
    }
}
