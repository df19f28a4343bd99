//! Those who keep a list of who is there, as IRC clients do: they are told of each who comes and goes, in a crowd later.
//!
//! Invariant: nobody hears a line of somebody whom they were not told of. Being told twice does no harm; being told that
//! somebody has gone of whom they were not told is noise on a screen, and of themselves the end of their being here.

use std::num::NonZeroU32;
use std::time::Instant;

use crate::dialect::event::{Event, Listed, Presence};
use crate::dialect::Encoding;
use crate::hub::room::changes::{Change, What};
use crate::hub::room::feed::Listeners;
use crate::hub::room::presence::{Announced, Audience};
use crate::hub::room::{Room, Whose, LONG_AGO};
use crate::id::SessionId;
use crate::name::Name;

impl Room {
    /// Those of the listeners who are told so of who comes and goes.
    pub(super) fn listeners_of(&self, audience: Audience) -> Listeners {
        let mut listeners = self.listeners;
        for encoding in Encoding::ALL {
            if encoding.is_one_by_one() != (audience == Audience::OneByOne) {
                listeners[encoding as usize] = 0;
            }
        }
        listeners
    }

    /// Whether somebody keeps a list of who is there.
    pub(super) fn has_lists(&self) -> bool {
        self.listeners_of(Audience::OneByOne) != [0; Encoding::COUNT]
    }

    /// Sees to it that all who keep a list know of the member at `place` before they hear what it does.
    pub(in crate::hub) fn introduce(&mut self, place: u32, name: &Name, user: &str) {
        let member = self.members.get(place);
        let Some((id, mut announced)) = member.and_then(|it| Some((it.id, it.announced?))) else {
            return;
        };
        let place = Some(place);
        let whose = Whose { id, place, user };
        self.introduce_as(&mut announced, whose, name);
        let member = place.and_then(|place| self.members.get_mut(place));
        if let Some(member) = member {
            member.announced = Some(announced);
        }
    }

    /// The same of somebody who was announced so.
    pub(super) fn introduce_as(
        &mut self,
        announced: &mut Announced,
        whose: Whose<'_>,
        name: &Name,
    ) {
        if self.tell_name_of(whose) {
            announced.introduced = Some(self.introduction());
        }
        let is_long_ago = announced.introduced.is_none_or(|at| at == LONG_AGO);
        let is_known = !is_long_ago && !self.is_left_out(*announced);
        if is_known || !self.has_lists() {
            return;
        }
        self.introductions += 1;
        announced.introduced = Some(self.introduction());
        self.forget_departure(name);
        self.free_name(name, whose.id);
        let here = self.here();
        let joined = Event::Presence(Presence::Joined { name, here });
        self.say_of(whose, &joined, self.listeners_of(Audience::OneByOne));
    }

    /// Whether somebody who keeps a list, and was given one that left some out, may not know of who was introduced so.
    fn is_left_out(&self, announced: Announced) -> bool {
        let cut = self.gates.as_deref().and_then(|gates| gates.cut);
        let introduced = announced.introduced.zip(cut);
        introduced.is_some_and(|(introduced, (at, from))| {
            introduced <= at && announced.arrival.get() >= from
        })
    }

    /// Somebody with this name is here again, so nobody is to be told that they have gone. Gives whether those who keep
    /// a list have the name in it still.
    pub(super) fn forget_departure(&mut self, name: &Name) -> bool {
        let Some(gates) = self.gates.as_deref_mut() else {
            return false;
        };
        let waits = gates.changes.listed(name);
        let is_gone = waits.is_some_and(|change| matches!(change.what, What::Gone { .. }));
        is_gone && gates.changes.take_listed(name).is_some()
    }

    /// A session has this name here from now on: who has it in the lists and another one by now is told of before. What
    /// is told later of that name would be taken for its own.
    pub(in crate::hub) fn free_name(&mut self, name: &Name, id: SessionId) {
        let Some(gates) = self.gates.as_deref_mut() else {
            return;
        };
        let waits = gates.changes.listed(name);
        let is_of_others = |change: &Change| match change.what {
            What::Renamed { id: whose, .. } => whose != id,
            What::Gone { .. } => false,
        };
        if !waits.is_some_and(is_of_others) {
            return;
        }
        if let Some(change) = gates.changes.take_listed(name) {
            self.say_change(&change);
        }
    }

    /// Somebody is about to be heard: if those who keep a list know them by another name, they are told of the new one.
    /// Gives whether they were introduced for that.
    fn tell_name_of(&mut self, whose: Whose<'_>) -> bool {
        let gates = self.gates.as_deref_mut();
        let change = gates.and_then(|gates| gates.changes.take_of(whose.id));
        let Some(change) = change else { return false };
        if let What::Renamed { to, .. } = &change.what {
            self.say_renamed(&change, to, whose)
        } else {
            false
        }
    }

    /// The name by which those who keep a list know somebody who has another one.
    pub(in crate::hub) fn former_name(&self, id: SessionId) -> Option<&Name> {
        let change = self.gates.as_deref()?.changes.of(id)?;
        Some(&change.listed)
    }

    /// Those who have gone and are still in the lists of others. A newcomer who keeps one has them in it as well, for
    /// it hears, too, that they go.
    pub(in crate::hub) fn departing(&self) -> impl Iterator<Item = Listed<'_>> {
        let waiting = self.gates.iter().flat_map(|it| it.changes.waiting());
        let gone = waiting.filter(|change| matches!(change.what, What::Gone { .. }));
        gone.map(|change| Listed {
            name: &change.listed,
            user: &change.user,
            away: false,
            op: false,
            unreachable: false,
        })
    }

    /// Whether the session at this place was introduced to those who keep a list.
    pub(in crate::hub) fn is_introduced(&self, place: u32) -> bool {
        let member = self.members.get(place);
        let announced = member.and_then(|member| member.announced);
        announced.is_some_and(|announced| announced.introduced.is_some())
    }

    /// The number of the last introduction; [`LONG_AGO`] if there was none.
    pub(super) fn introduction(&self) -> NonZeroU32 {
        LONG_AGO.saturating_add(self.introductions)
    }

    /// Somebody who keeps a list was told of those who arrived before this one only.
    pub(in crate::hub) fn note_cut(&mut self, arrival: u64) {
        let at = self.introduction();
        let gates = self.gates.get_or_insert_default();
        let from = gates.cut.map_or(arrival, |(_, before)| before.min(arrival));
        gates.cut = Some((at, from));
    }

    /// Those who keep a list are told that somebody is an operator, or no more.
    pub(in crate::hub) fn tell_operator(&mut self, name: &Name, on: bool, server: &str) {
        let listeners = self.listeners_of(Audience::OneByOne);
        let event = Event::Operator { name, on, server };
        self.say_to(&event, None, "", listeners);
    }

    /// Tells those who keep a list that somebody has gone, or has another name, of whom they know: of at most ten in a
    /// second.
    pub(super) fn tell_change(&mut self, change: Change, now: Instant) {
        if !self.has_lists() {
            return;
        }
        let changes = &mut self.gates.get_or_insert_default().changes;
        if let Some(change) = changes.admit(change, now) {
            self.say_change(&change);
        }
    }

    /// Those who may not know who has gone, or has another name, are told right before that they were here.
    pub(super) fn say_change(&mut self, change: &Change) {
        let Change {
            listed, user, what, ..
        } = change;
        let listeners = self.listeners_of(Audience::OneByOne);
        let (name, here) = (listed, self.here());
        match what {
            What::Gone { words, quits } => {
                if self.is_left_out(change.announced) {
                    let joined = Event::Presence(Presence::Joined { name, here });
                    self.say_to(&joined, None, user, listeners);
                }
                let left = if *quits {
                    Presence::Left { name, words, here }
                } else {
                    Presence::Parted { name, words, here }
                };
                self.say_to(&Event::Presence(left), None, user, listeners);
            }
            What::Renamed { id, to } => {
                // Who has it knows it. Looking for them costs little at ten a second.
                let whose = Whose {
                    id: *id,
                    place: self.members.find(*id),
                    user,
                };
                self.say_renamed(change, to, whose);
            }
        }
    }

    /// Gives whether they were introduced for that, by the name that they had.
    fn say_renamed(&mut self, change: &Change, to: &Name, whose: Whose<'_>) -> bool {
        let listeners = self.listeners_of(Audience::OneByOne);
        let (name, here) = (&change.listed, self.here());
        let is_left_out = self.is_left_out(change.announced);
        if is_left_out {
            self.introductions += 1;
            let joined = Event::Presence(Presence::Joined { name, here });
            self.say_of(whose, &joined, listeners);
        }
        let renamed = Event::Presence(Presence::Renamed { from: name, to });
        self.say_of(whose, &renamed, listeners);
        is_left_out
    }
}
