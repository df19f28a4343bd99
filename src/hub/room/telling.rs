//! How those in a room are told who has left, and who has another name.

use std::time::Instant;

use crate::dialect::event::{Event, Presence};
use crate::hub::room::changes::{Change, What};
use crate::hub::room::feed::Listeners;
use crate::hub::room::presence::{Announced, Audience, Told};
use crate::hub::room::{Room, Whose, LONG_AGO};
use crate::id::SessionId;
use crate::name::Name;

impl Room {
    /// Tells the others that a member has left, unless they were not told that it was here. `left` says how, for so many
    /// who are here still.
    pub(in crate::hub) fn tell_leave<'a>(
        &mut self,
        id: SessionId,
        announced: Option<Announced>,
        left: impl FnOnce(usize) -> Presence<'a>,
        user: &str,
        now: Instant,
    ) {
        self.pace.note_leave(now);
        let Some(announced) = announced else { return };
        let left = left(self.here());
        let gates = self.gates.get_or_insert_default();
        let is_told = !gates.joins.retract(announced.told);
        if is_told && gates.leaves.admit(now) == Told::ByName {
            let listeners = self.listeners_of(Audience::Summed);
            self.say_to(&Event::Presence(left), Some(id), user, listeners);
        }
        let gone = Change::gone(&left, user, announced);
        let gone = gone.filter(|_| announced.introduced.is_some());
        let Some(gone) = gone else { return };
        // Whose new name is still to be told goes with the old one.
        let changes = &mut self.gates.get_or_insert_default().changes;
        if let Some(what) = changes.replace(id, gone.what) {
            self.tell_change(Change { what, ..gone }, now);
        }
    }

    /// The member at `place` has another name.
    pub(in crate::hub) fn rename(
        &mut self,
        place: u32,
        from: &Name,
        to: &Name,
        user: &str,
        now: Instant,
    ) {
        let member = self.members.get(place);
        let Some((id, mut announced)) = member.and_then(|it| Some((it.id, it.announced?))) else {
            return;
        };
        let whose = Whose {
            id,
            place: Some(place),
            user,
        };
        self.tell_rename(&mut announced, whose, from, to, now);
        if let Some(member) = self.members.get_mut(place) {
            member.announced = Some(announced);
        }
    }

    /// Somebody who was announced so has another name.
    pub(super) fn tell_rename(
        &mut self,
        announced: &mut Announced,
        whose: Whose<'_>,
        from: &Name,
        to: &Name,
        now: Instant,
    ) {
        // Nobody knows the old name of who is still to be told of.
        let gates = self.gates.get_or_insert_default();
        let is_told = !gates.joins.waits(announced.told);
        let renamed = Event::Presence(Presence::Renamed { from, to });
        if is_told && gates.renames.admit(now) == Told::ByName {
            let listeners = self.listeners_of(Audience::Summed);
            self.say_of(whose, &renamed, listeners);
        }
        let changes = &mut self.gates.get_or_insert_default().changes;
        if changes.of(whose.id).is_some_and(|it| it.listed == *to) {
            // They have the name again by which they are known.
            changes.take_of(whose.id);
            return;
        }
        self.free_name(to, whose.id);
        let is_listed = self.forget_departure(to);
        if announced.introduced.is_none() {
            announced.introduced = is_listed.then_some(LONG_AGO);
            return;
        }
        let known_as = *announced;
        let what = if is_listed {
            // That of somebody who was to go before stays in the lists, for them, and the old one goes.
            announced.introduced = Some(LONG_AGO);
            let (words, quits) = ("".into(), true);
            What::Gone { words, quits }
        } else {
            let (id, to) = (whose.id, to.clone());
            What::Renamed { id, to }
        };
        let changes = &mut self.gates.get_or_insert_default().changes;
        if let Some(what) = changes.replace(whose.id, what) {
            let change = Change {
                listed: from.clone(),
                user: whose.user.into(),
                announced: known_as,
                what,
            };
            self.tell_change(change, now);
        }
    }

    /// Says something of somebody to the others.
    pub(super) fn say_of(&mut self, whose: Whose<'_>, event: &Event<'_>, listeners: Listeners) {
        match whose.place {
            Some(place) => self.say_beside(event, place, whose.user, listeners),
            None => self.say_to(event, Some(whose.id), whose.user, listeners),
        }
    }
}
