//! Those in a room who are at another node: they are here as everybody is, and hear it there.

use std::time::Instant;

use crate::dialect::event::{Event, Presence};
use crate::hub::room::presence::{Announced, Told};
use crate::hub::room::{Room, Whose};
use crate::id::SessionId;
use crate::name::Name;

/// What stands beside the name of somebody at another node in IRC.
pub(in crate::hub) const USER: &str = "elsewhere";

fn whose(id: SessionId) -> Whose<'static> {
    Whose {
        id,
        place: None,
        user: USER,
    }
}

impl Room {
    /// Somebody at another node is here.
    pub(in crate::hub) fn arrive(&mut self, id: SessionId, name: &Name, now: Instant) -> Announced {
        let announced = self.admit(id, name, now);
        self.abroad += 1;
        if announced.told == Told::ByName {
            let here = self.here();
            let joined = Event::Presence(Presence::Joined { name, here });
            self.say_to_all(&joined, Some(id), USER);
        }
        announced
    }

    /// Somebody at another node is here no more. `left` says how, for so many who are here still.
    pub(in crate::hub) fn depart<'a>(
        &mut self,
        id: SessionId,
        announced: Announced,
        left: impl FnOnce(usize) -> Presence<'a>,
        now: Instant,
    ) {
        self.arrivals.remove(announced.arrival.get());
        self.abroad -= 1;
        self.tell_leave(id, Some(announced), left, USER, now);
    }

    /// Somebody at another node has another name.
    pub(in crate::hub) fn rename_abroad(
        &mut self,
        id: SessionId,
        announced: &mut Announced,
        from: &Name,
        to: &Name,
        now: Instant,
    ) {
        self.tell_rename(announced, whose(id), from, to, now);
    }

    /// Sees to it that all who keep a list know of somebody at another node before they hear what they do.
    pub(in crate::hub) fn introduce_abroad(
        &mut self,
        id: SessionId,
        announced: &mut Announced,
        name: &Name,
    ) {
        self.introduce_as(announced, whose(id), name);
    }
}
