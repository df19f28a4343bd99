//! A room: who is in it, what they are to hear, and who has been told of.

use std::time::Instant;

use crate::dialect::event::Event;
use crate::dialect::Dialect;
use crate::hub::arrivals::Arrivals;
use crate::hub::feed::{Bookmark, Cursor, Feed};
use crate::hub::history::History;
use crate::hub::members::Members;
use crate::hub::peer::{SessionId, Standing};
use crate::hub::presence::{Gate, Told};
use crate::name::Name;

/// Who says something.
#[derive(Debug)]
pub(super) struct Author<'a> {
    pub(super) id: SessionId,
    pub(super) dialect: Dialect,
    /// Hers, so that she does not hear herself.
    pub(super) cursor: &'a mut Cursor,
}

/// One room.
///
/// Invariants: `listeners` counts `members` by dialect; `arrivals` holds the members that have joined, each once.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) members: Members,
    pub(super) listeners: [usize; Dialect::COUNT],
    /// Those told of, or about to be, by the order of their joining.
    arrivals: Arrivals,
    joins: Gate,
    leaves: Gate,
    pub(super) history: History,
    pub(super) feed: Feed,
    /// How far the feed went when the round began in which the members are told of it now: so far all have heard it
    /// when the round is over.
    pub(super) round: Bookmark,
}

impl Room {
    pub(super) fn new(history_lines: usize) -> Self {
        Self {
            history: History::new(history_lines),
            ..Self::default()
        }
    }

    /// How many are here: those told of, or about to be.
    pub(super) fn here(&self) -> usize {
        self.arrivals.len()
    }

    /// Those who are here, in the order of their joining.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.arrivals.iter()
    }

    /// Adds a member; gives its place in the list, which it must keep.
    pub(super) fn enter(&mut self, id: SessionId, dialect: Dialect) -> u32 {
        self.listeners[dialect as usize] += 1;
        self.members.enter(id)
    }

    /// Removes the member at `place`, and says who has `moved` to which place for that.
    pub(super) fn leave(
        &mut self,
        place: u32,
        dialect: Dialect,
        moved: impl FnMut(SessionId, u32),
    ) {
        self.listeners[dialect as usize] -= 1;
        self.members.leave(place, moved);
    }

    /// Says something to everybody but its author.
    pub(super) fn say_to_others(&mut self, event: &Event<'_>, author: Author<'_>) {
        let Author {
            id,
            dialect,
            cursor,
        } = author;
        let from = self.feed.end(dialect);
        self.feed.say(event, Some(id), self.listeners);
        self.feed.skip_since(cursor, dialect, from);
    }

    /// Says something to everybody. `about` is who said it or whom it is about, for those who ignore her.
    pub(super) fn say_to_all(&mut self, event: &Event<'_>, about: Option<SessionId>) {
        self.feed.say(event, about, self.listeners);
    }

    /// Somebody took a name or spoke for the first time.
    pub(super) fn join(&mut self, name: &Name, author: Author<'_>, now: Instant) -> Standing {
        let arrival = self.arrivals.add(author.id);
        let told = self.joins.admit(now);
        if told == Told::ByName {
            self.say_to_others(
                &Event::Joined {
                    name,
                    here: self.here(),
                },
                author,
            );
        }
        Standing::Joined { arrival, told }
    }

    /// Somebody has gone, with these last words.
    pub(super) fn part(
        &mut self,
        id: SessionId,
        standing: Standing,
        name: &Name,
        words: &str,
        now: Instant,
    ) {
        let Some(told) = self.forget(standing) else {
            return;
        };
        if self.joins.retract(told) {
            return;
        }
        if self.leaves.admit(now) == Told::ByName {
            self.say_to_all(
                &Event::Left {
                    name,
                    words,
                    here: self.here(),
                },
                Some(id),
            );
        }
    }

    /// Somebody is not here any more; gives how that she is was told, if she was.
    pub(super) fn forget(&mut self, standing: Standing) -> Option<Told> {
        let Standing::Joined { arrival, told } = standing else {
            return None;
        };
        self.arrivals.remove(arrival);
        Some(told)
    }

    /// Somebody has another name.
    pub(super) fn rename(&mut self, told: Told, from: &Name, to: &Name, author: Author<'_>) {
        if !self.joins.waits(told) {
            self.say_to_others(&Event::Renamed { from, to }, author);
        }
    }

    /// When a sum of joins or leaves is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.joins
            .due_at()
            .into_iter()
            .chain(self.leaves.due_at())
            .min()
    }

    /// Tells the sums that are due.
    pub(super) fn tick(&mut self, now: Instant) {
        let here = self.here();
        if let Some(count) = self.joins.take_due(now) {
            self.say_to_all(&Event::MoreJoined { count, here }, None);
        }
        if let Some(count) = self.leaves.take_due(now) {
            self.say_to_all(&Event::MoreLeft { count, here }, None);
        }
    }
}
