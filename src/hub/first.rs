//! Two who have one name, at two nodes: the first in the log keeps it, wherever what is known of them comes from.

use std::time::Instant;

use crate::dialect::event::Reply;
use crate::dialect::request::Refusal;
use crate::hub::relayed::name_of;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::name::Name;
use crate::relay::place::Id;

impl<T> Hub<T> {
    /// Gives somebody their name, which they got at this place of the log. Of two who have one name the first keeps it: who
    /// has it here and was later gets that of a guest, and who was the first is told of again, so that the others know.
    pub(super) fn claim_for(&mut self, id: SessionId, named: Option<Id>, now: Instant) {
        let Some(name) = name_of(&self.sessions, self.core.others(), id).cloned() else {
            return;
        };
        let others = self.core.others();
        let person = others.and_then(|it| it.abroad.get(id));
        let holds_already = person.is_some_and(|person| person.holds_name);
        let mut holds_name = holds_already || self.core.roster.claim(id, &name).is_ok();
        if !holds_name {
            for holder in self.core.roster.all_like(&name) {
                self.give_way(holder, named, now);
            }
            holds_name = self.core.roster.claim(id, &name).is_ok();
        }
        let relayed = self.core.relayed.as_mut();
        if let Some(person) = relayed.and_then(|it| it.abroad.get_mut(id)) {
            person.holds_name = holds_name;
            person.named = named.or(person.named);
        }
    }

    /// Somebody else got at this place a name like that of this one, who loses it if they were not the first. Of whom it is
    /// not known where they got it that is still to come.
    fn give_way(&mut self, holder: SessionId, named: Option<Id>, now: Instant) {
        let (Some(named), Some(relayed)) = (named, &mut self.core.relayed) else {
            return;
        };
        if let Some(person) = relayed.abroad.get_mut(holder) {
            if person.named.is_none_or(|theirs| named < theirs) {
                person.holds_name = false;
                self.core.roster.release(holder, &person.name);
            }
            return;
        }
        match relayed.settled.get_mut(holder) {
            Some(own) if *own < named => relayed.told_again.push(holder),
            Some(own) if *own == named => {}
            _ => self.lose_name(holder, now),
        }
    }

    /// Somebody else was told of first who has the name of this session.
    fn lose_name(&mut self, id: SessionId, now: Instant) {
        let changed = self.with_unsorted_name(id, |core, session| {
            let lost = session.name.clone();
            let guest = Name::guest(core.next_guest(session.number));
            core.rename(session, guest.clone(), now)?;
            let refusal = Refusal::TakenElsewhere {
                name: lost.text().into(),
                guest: guest.text().into(),
            };
            core.reply(session, &Reply::Refused(&refusal), now);
            Ok(())
        });
        debug_assert!(changed.is_ok(), "a guest's number is its own");
        self.sort_names();
    }
}
