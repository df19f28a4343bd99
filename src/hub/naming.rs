//! Taking a name: whether a session may have it, and who is told.

use std::mem;
use std::time::Instant;

use crate::dialect::event::{Note, Reply};
use crate::dialect::request::Refusal;
use crate::hub::core::Core;
use crate::hub::relayed::{Relayed, Wanted};
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::log_name;
use crate::name::{Keys, Kind, Name};
use crate::relay::record;
use crate::work::Work;

impl<T> Hub<T> {
    pub(super) fn take_name(
        &mut self,
        id: SessionId,
        name: Name,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.core.relayed.is_some() {
            let by_operator = false;
            return self.ask_for_name(id, name, by_operator, now);
        }
        self.with_unsorted_name(id, |core, session| core.take_name(session, name, now))
    }

    /// Asks all nodes for a name: the session has it, or is refused it, when that comes back, and waits until then.
    pub(super) fn ask_for_name(
        &mut self,
        id: SessionId,
        name: Name,
        by_operator: bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return Ok(());
        };
        core.may_take(session, &name, now)?;
        if session.name == name {
            return self.with_unsorted_name(id, |core, session| core.take_name(session, name, now));
        }
        if !by_operator {
            session.wait_until_asked();
        }
        let who = record::Who {
            name: name.clone(),
            ..session.who()
        };
        core.tell_others(record::Event::Claim { who });
        let owned_before = None;
        if let Some(relayed) = &mut core.relayed {
            relayed.naming.insert(
                id,
                Wanted {
                    name,
                    by_operator,
                    owned_before,
                },
            );
        }
        Ok(())
    }

    /// Lets something be done that may change the name of a session, and is work like a look-up. The caller sees to
    /// it that the names are sorted again.
    pub(super) fn with_unsorted_name(
        &mut self,
        id: SessionId,
        change: impl FnOnce(&mut Core, &mut Session<T>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.core.work.add(Work::LOOK_UP);
        let is_sorted = self.unsort_name(id);
        let Self { sessions, core } = self;
        let changed = match sessions.get_mut(id) {
            Some(session) => change(core, session),
            None => Ok(()),
        };
        if is_sorted {
            core.unsorted.push(id);
        }
        changed
    }
}

impl Core {
    pub(super) fn take_name<T>(
        &mut self,
        session: &mut Session<T>,
        name: Name,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.rename(session, name, now)?;
        self.announce(session, now);
        let name = session.name.clone();
        self.reply(session, &Reply::Note(Note::YouAre(&name)), now);
        Ok(())
    }

    /// Gives a session another name, and lets those know who know of it.
    pub(super) fn rename<T>(
        &mut self,
        session: &mut Session<T>,
        name: Name,
        now: Instant,
    ) -> Result<(), Refusal> {
        // The keys of either name are derived, and those of the new one once more.
        if let Kind::Chosen(text) = name.kind() {
            self.work.add(Work::look_up(text).times(3));
        }
        self.may_be_taken(&name)?;
        self.is_free_of_keys(session, &name)?;
        let (id, own) = (session.id, &session.name);
        if self.roster.rename(id, own, &name).is_err() {
            return Err(Refusal::Taken(name.to_string().into()));
        }
        self.keep_owned(session, &name);
        let from = mem::replace(&mut session.name, name);
        if session.name != from {
            log_name(session.number, &from, &session.name);
            self.rooms.change(session.room, |room| {
                room.free_name(&session.name, session.id);
            });
            self.send(session, now, |_, session, out| {
                session.codec.tell_name(&session.name, out);
            });
            session.codec.set_nick(&session.name.text());
            if self.relayed.is_none() {
                self.rooms.change(session.room, |room| {
                    let user = session.codec.user();
                    room.rename(session.member, &from, &session.name, user, now);
                });
            } else if self.crosses(session.id) {
                let (room, who) = (self.room_name_of(session), session.who());
                let before = from;
                self.tell_others(record::Event::Name {
                    room,
                    who,
                    before,
                    named: None,
                });
            }
        }
        Ok(())
    }

    /// Whether a session may have a name, as far as this node knows.
    fn may_take<T>(
        &mut self,
        session: &Session<T>,
        name: &Name,
        now: Instant,
    ) -> Result<(), Refusal> {
        if let Kind::Chosen(text) = name.kind() {
            self.work.add(Work::look_up(text).times(2));
        }
        self.may_be_taken(name)?;
        self.is_free_of_keys(session, name)?;
        let is_claimed = |others: &Relayed| others.is_claimed(name, now);
        if !self.roster.is_free_for(session.id, name) || self.others().is_some_and(is_claimed) {
            return Err(Refusal::Taken(name.text().into()));
        }
        Ok(())
    }

    /// Whether no rule forbids this name.
    fn may_be_taken(&mut self, name: &Name) -> Result<(), Refusal> {
        match name.kind() {
            Kind::Chosen(text) => self.is_allowed(text),
            Kind::Guest(_) => Ok(()),
        }
    }

    /// Whether no rule forbids that somebody, or a room, is called so.
    pub(super) fn is_allowed(&mut self, text: &str) -> Result<(), Refusal> {
        let wall_seconds = self.wall_seconds;
        if !self.rules.has_patterns() {
            return Ok(());
        }
        self.work.add(Work::look_up(text));
        let rule = self.rules.forbidden(&Keys::of(text), wall_seconds);
        let Some(number) = rule.map(|rule| rule.number) else {
            return Ok(());
        };
        self.rules.hit(number, wall_seconds);
        Err(Refusal::NotAllowed(text.into()))
    }
}
