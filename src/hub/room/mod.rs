//! A room: who is in it, what they are to hear and how fast, and who was announced.

pub(super) mod abroad;
mod arrivals;
mod changes;
pub(super) mod feed;
pub(super) mod history;
mod introductions;
pub(super) mod keeping_up;
pub(super) mod key;
mod lists;
pub(super) mod members;
pub(super) mod pace;
pub(super) mod presence;
mod sorted_names;
mod telling;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::dialect::event::{Event, ListedRoom, Moment, Presence, Scene};
use crate::dialect::Encoding;
use crate::id::SessionId;
use crate::name::Name;
use crate::origin::Prefix;
use crate::room_name::RoomName;

use arrivals::Arrivals;
use changes::Changes;
use feed::{Feed, Listeners, Snapshot};
use history::History;
use keeping_up::KeepingUp;
use key::RoomKey;
use members::{Member, Members};
use pace::{Pace, Waiting};
use presence::{Announced, Gate, Told};
use sorted_names::SortedNames;

/// At most this many who spoke last are known, to be offered first where a name is completed, and to be told first in a
/// room that is told in many turns.
const SPEAKERS_MAX: usize = 128;

/// A room with fewer members keeps no buffers while nothing is said in it: there may be thousands.
const CROWD_MIN: usize = 8;

/// Stands for the introduction of somebody before, whose name one has taken: it is in all lists but perhaps that of who gave
/// it up. So they are introduced again before their first line, and others are told when they go.
const LONG_AGO: NonZeroU32 = NonZeroU32::MIN;

/// One room.
///
/// What it holds or has to tell is changed through `Rooms::change` alone.
///
/// Invariants: `listeners` counts `members` by encoding; `arrivals` holds the members that were announced, each once.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomName,
    /// What must be known to go there.
    pub(super) key: Option<Box<RoomKey>>,
    /// Counts the rooms that ever were.
    pub(super) serial: u64,
    /// It is there even when nobody is.
    pub(super) is_permanent: bool,
    /// It is among those in which something is to be told.
    pub(super) is_listed: bool,
    /// When it is looked at for the sums that it has to tell.
    pub(super) wakes_at: Option<Instant>,
    /// When something was said in it last that is kept, counted in such things.
    pub(super) spoken: u64,
    pub(super) members: Members,
    pub(super) listeners: Listeners,
    /// Those announced, or about to be, by the order of their joining.
    arrivals: Arrivals,
    /// How many of them are at other nodes.
    pub(super) abroad: usize,
    /// Those of them who were sorted by name.
    pub(super) names: SortedNames,
    /// Who spoke last, the latest behind; at most [`SPEAKERS_MAX`].
    pub(super) speakers: VecDeque<SessionId>,
    /// None until somebody comes, goes or takes another name of which others are told.
    gates: Option<Box<Gates>>,
    pub(super) history: History,
    /// Counts those who were introduced to those who keep a list of who is there.
    introductions: u32,
    /// The time of day, in seconds since 1970 in UTC, when it was changed last.
    pub(super) wall_seconds: u64,
    pub(super) feed: Feed,
    /// How far the feed went when the round began in which the members are told of it now: so far all have heard it
    /// when the round is over.
    pub(super) round: Snapshot,
    /// When the oldest line was read that is to be told in the next round …
    said_at: Option<Instant>,
    /// … and when that of the round at hand was.
    round_said_at: Option<Instant>,
    /// Somebody was told something in the round at hand.
    round_told: bool,
    pub(super) pace: Pace,
    pub(super) keeping_up: KeepingUp,
}

/// Of whom something is told.
#[derive(Debug, Clone, Copy)]
struct Whose<'a> {
    id: SessionId,
    /// Where they stand among the members; `None` if they are at another node.
    place: Option<u32>,
    /// What stands beside their name in IRC.
    user: &'a str,
}

/// What bounds how often the members of a room are told who came, went or has another name.
#[derive(Debug, Default)]
struct Gates {
    joins: Gate,
    leaves: Gate,
    renames: Gate,
    changes: Changes,
    /// The latest introduction, counted, when somebody was last given a list that left some out, and the first arrival
    /// that any such list left out.
    cut: Option<(NonZeroU32, u64)>,
}

impl Room {
    /// An empty room that keeps `history_lines`; a line to a crowded room waits at most `pace_max` for others.
    pub(super) fn new(
        name: RoomName,
        key: Option<RoomKey>,
        serial: u64,
        history_lines: usize,
        pace_max: Option<Duration>,
    ) -> Self {
        Self {
            name,
            key: key.map(Box::new),
            serial,
            is_permanent: false,
            is_listed: false,
            wakes_at: None,
            spoken: 0,
            members: Members::default(),
            listeners: [0; Encoding::COUNT],
            arrivals: Arrivals::default(),
            abroad: 0,
            names: SortedNames::default(),
            speakers: VecDeque::new(),
            gates: None,
            history: History::new(history_lines),
            introductions: 0,
            wall_seconds: 0,
            feed: Feed::default(),
            round: Snapshot::default(),
            said_at: None,
            round_said_at: None,
            round_told: false,
            pace: Pace::new(pace_max),
            keeping_up: KeepingUp::default(),
        }
    }

    /// How many are here: those announced, or about to be.
    pub(super) fn here(&self) -> usize {
        self.arrivals.len()
    }

    /// How it stands in a list.
    pub(super) fn listed_as(&self) -> ListedRoom<'_> {
        let (name, here) = (&self.name, self.here());
        ListedRoom { name, here }
    }

    /// Those who are here, in the order of their joining.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.arrivals.iter()
    }

    /// Those who are here and came behind this arrival, with theirs.
    pub(super) fn arrivals_after(
        &self,
        arrival: u64,
    ) -> impl Iterator<Item = (u64, SessionId)> + '_ {
        self.arrivals.after(arrival)
    }

    /// How many of them are here at this node.
    pub(super) fn here_at_home(&self) -> usize {
        self.here() - self.abroad
    }

    /// How many hear the room and were not announced.
    pub(super) fn listening(&self) -> usize {
        self.members.len() - self.here_at_home()
    }

    /// Somebody has spoken.
    pub(super) fn note_speaker(&mut self, id: SessionId) {
        if self.speakers.back() == Some(&id) {
            return;
        }
        self.speakers.retain(|speaker| *speaker != id);
        if self.speakers.len() == SPEAKERS_MAX {
            self.speakers.pop_front();
        }
        self.speakers.push_back(id);
    }

    /// A line that was read now is being said.
    pub(super) fn note_said(&mut self, now: Instant) {
        self.said_at.get_or_insert(now);
    }

    /// Adds a member, which hears what is said from now on; gives its place in the list, which its session must keep.
    pub(super) fn enter(
        &mut self,
        id: SessionId,
        encoding: Encoding,
        prefix: Option<Prefix>,
    ) -> u32 {
        self.keeping_up.enter(prefix);
        self.listeners[encoding as usize] += 1;
        self.members.enter(Member {
            id,
            encoding,
            cursor: self.feed.cursor(encoding),
            announced: None,
            spoke: 0,
        })
    }

    /// Removes the member at `place`, and says who has `moved` to which place for that. Gives how it was announced.
    pub(super) fn leave(
        &mut self,
        place: u32,
        prefix: Option<Prefix>,
        moved: impl FnMut(SessionId, u32),
    ) -> Option<Announced> {
        self.keeping_up.leave(prefix);
        let member = self.members.leave(place, moved);
        self.listeners[member.encoding as usize] -= 1;
        self.feed.forget(member.cursor);
        if let Some(announced) = member.announced {
            self.arrivals.remove(announced.arrival.get());
        }
        member.announced
    }

    /// The member at `place` hears the room in this encoding, from now on; what was said before it has heard.
    pub(super) fn change_encoding(&mut self, place: u32, encoding: Encoding) {
        let Some(member) = self.members.get_mut(place) else {
            return;
        };
        self.listeners[member.encoding as usize] -= 1;
        self.listeners[encoding as usize] += 1;
        self.feed.forget(member.cursor);
        member.encoding = encoding;
        member.cursor = self.feed.cursor(encoding);
    }

    /// Says something of the member at `place` to everybody else.
    pub(super) fn say_to_others(&mut self, event: &Event<'_>, place: u32, user: &str) {
        self.say_beside(event, place, user, self.listeners);
    }

    fn say_beside(&mut self, event: &Event<'_>, place: u32, user: &str, listeners: Listeners) {
        let Some(member) = self.members.get(place) else {
            return;
        };
        let from = self.feed.end(member.encoding);
        self.say_to(event, Some(member.id), user, listeners);
        if let Some(member) = self.members.get_mut(place) {
            self.feed
                .skip_since(&mut member.cursor, member.encoding, from);
        }
    }

    /// Says something to everybody. `about` is who said it or whom it is about, for those who ignore them.
    pub(super) fn say_to_all(&mut self, event: &Event<'_>, about: Option<SessionId>, user: &str) {
        self.say_to(event, about, user, self.listeners);
    }

    fn say_to(
        &mut self,
        event: &Event<'_>,
        about: Option<SessionId>,
        user: &str,
        listeners: Listeners,
    ) {
        let scene = Scene {
            at: Moment {
                number: self.history.said(),
                wall_seconds: self.wall_seconds,
            },
            room: self.name.text(),
            user,
        };
        let about = about.map(Into::into);
        self.feed.say(event, &scene, about, listeners);
    }

    /// Lets the others know of the member at `place`, if they were not told of it before; gives whether they were not.
    pub(super) fn announce(&mut self, place: u32, name: &Name, user: &str, now: Instant) -> bool {
        let member = self.members.get(place);
        let Some(id) = member.filter(|it| it.announced.is_none()).map(|it| it.id) else {
            return false;
        };
        let announced = self.admit(id, name, now);
        if let Some(member) = self.members.get_mut(place) {
            member.announced = Some(announced);
        }
        if announced.told == Told::ByName {
            let here = self.here();
            let joined = Event::Presence(Presence::Joined { name, here });
            self.say_to_others(&joined, place, user);
        }
        true
    }

    /// Somebody is here from now on; says how that is to be told.
    fn admit(&mut self, id: SessionId, name: &Name, now: Instant) -> Announced {
        // Nobody is told of who makes a room.
        let makes_it =
            self.gates.is_none() && self.members.len() + self.abroad <= 1 && self.serial > 0;
        let told = if makes_it {
            Told::ByName
        } else {
            self.gates.get_or_insert_default().joins.admit(now)
        };
        let is_listed = self.forget_departure(name);
        let introduced = match told {
            Told::ByName => {
                self.free_name(name, id);
                self.introductions += 1;
                Some(self.introduction())
            }
            Told::InSum(_) => is_listed.then_some(LONG_AGO),
        };
        Announced {
            arrival: self.arrivals.add(id),
            told,
            introduced,
        }
    }

    /// When a sum of joins, leaves or renames is due.
    pub(super) fn sum_due_at(&self) -> Option<Instant> {
        let Gates {
            joins,
            leaves,
            renames,
            changes,
            ..
        } = self.gates.as_deref()?;
        let sums = [joins, leaves, renames].map(Gate::due_at);
        sums.into_iter().chain([changes.due_at()]).flatten().min()
    }

    /// When some may be told what was said. `is_urgent` if it must be told before anything else is done.
    pub(super) fn told_at(&self, is_urgent: bool, now: Instant) -> Option<Instant> {
        let waiting = self.waiting(is_urgent);
        waiting.map(|waiting| self.pace.due_at(waiting, now))
    }

    /// What waits to be told to all; `None` if nothing does.
    pub(super) fn waiting(&self, is_urgent: bool) -> Option<Waiting> {
        let lines = self.feed.events();
        (lines > 0).then(|| Waiting {
            lines,
            people: self.members.len(),
            is_presence: self.members.is_round_over() && self.feed.is_presence_only(),
            is_urgent,
        })
    }

    /// Tells the sums that are due.
    pub(super) fn tick(&mut self, now: Instant) {
        let here = self.here();
        let Some(gates) = self.gates.as_deref_mut() else {
            return;
        };
        let joined = gates.joins.take_due(now);
        let left = gates.leaves.take_due(now);
        let renamed = gates.renames.take_due(now);
        if let Some(count) = joined {
            let more = Presence::MoreJoined { count, here };
            self.say_to_all(&Event::Presence(more), None, "");
        }
        if let Some(count) = left {
            let more = Presence::MoreLeft { count, here };
            self.say_to_all(&Event::Presence(more), None, "");
        }
        if let Some(count) = renamed {
            let more = Presence::MoreRenamed { count };
            self.say_to_all(&Event::Presence(more), None, "");
        }
        while let Some(change) = self
            .gates
            .as_deref_mut()
            .and_then(|gates| gates.changes.take_due(now))
        {
            self.say_change(&change);
        }
    }

    /// Somebody was told what they had not heard.
    pub(super) fn note_told(&mut self) {
        self.round_told = true;
    }

    /// Begins a round, if the last one is over.
    pub(super) fn begin_round(&mut self) {
        if self.members.is_round_over() {
            self.members.begin_round();
            self.round = self.feed.snapshot();
            self.round_said_at = self.said_at.take();
            self.round_told = false;
        }
    }

    /// Whether the member at `place` is this session, and has not heard everything.
    pub(super) fn has_news_for(&self, id: SessionId, place: u32) -> bool {
        let member = self.members.get(place).filter(|member| member.id == id);
        member.is_some_and(|member| self.feed.has_news_for(member.encoding, member.cursor))
    }

    /// Goes on to the next members of the round that have not heard everything, `most` of them; to fewer when it is over.
    pub(super) fn go_on(&mut self, most: usize, next: &mut Vec<SessionId>) {
        while next.len() < most {
            let Some(member) = self.members.go_on() else {
                break;
            };
            if self.feed.has_news_for(member.encoding, member.cursor) {
                next.push(member.id);
            }
        }
    }

    /// Drops what all have heard, if the round is over; gives then when its oldest line was read, if somebody was told
    /// one.
    pub(super) fn end_round(&mut self) -> Option<Instant> {
        if !self.members.is_round_over() {
            return None;
        }
        self.feed.trim(self.round);
        if self.members.len() < CROWD_MIN {
            self.feed.close_if_silent();
        }
        self.round_said_at.take().filter(|_| self.round_told)
    }
}
