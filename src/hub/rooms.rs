//! All rooms: the lobby, those that are always there, and those that people make.
//!
//! A room is changed in [`Rooms::change`], which alone keeps the sums and lists that are about all
//! rooms. So no turn looks at a room in which nothing happened.
//!
//! Invariants: the sums are those of all rooms; a room is on `untold` exactly while something was said in it that
//! somebody has not been told; the first sum that a room will tell has an entry in `sums`; a room that was made is there
//! exactly while it has members.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::dialect::irc;
use crate::hub::lookalikes::LookAlikes;
use crate::hub::room::key::RoomKey;
use crate::hub::room::Room;
use crate::name::Keys;
use crate::room_name::{without_hash, RoomName};

/// All that is kept of what was said before, in all rooms together, in bytes.
const HISTORY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a room is kept: no more than 61,001 are, as the table of settings says. Its place may be given to another one when it is gone: see [`RoomId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoomAt(u16);

impl RoomAt {
    /// The room that everybody who connects is in.
    pub(super) const LOBBY: Self = Self(0);
}

/// Names one room, and never another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoomId {
    pub(super) at: RoomAt,
    serial: u64,
}

/// All rooms.
#[derive(Debug)]
pub(super) struct Rooms {
    lobby: Room,
    /// The room at place `n` is `others[n - 1]`.
    others: Slab<Room>,
    by_name: LookAlikes<RoomAt>,
    /// Those of the others that have no key, in the order in which they are listed.
    ranks: BTreeSet<Rank>,
    /// How many of these have people in them.
    peopled: usize,
    /// How many were made by people.
    made: usize,
    /// How many rooms there ever were.
    serial: u64,
    /// Rooms in which something was said that somebody has not been told: those are told first that have waited longest.
    untold: Vec<RoomAt>,
    /// When rooms have a sum of joins, leaves or renames to tell. A room may have been told of it, or have gone, since.
    sums: BinaryHeap<Reverse<(Instant, RoomAt)>>,
    /// The rooms that keep what was said before, by when something was said in them last.
    silent: BTreeMap<u64, RoomAt>,
    /// How often something was said that is kept.
    spoken: u64,
    totals: Sizes,
    history_lines: usize,
    pace_max: Option<Duration>,
    /// The time of day, in seconds since 1970 in UTC.
    wall_seconds: u64,
    /// What the server is called.
    server: Box<str>,
}

/// How a room stands in the list: by how many are there, then by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    here: Reverse<usize>,
    name: Box<str>,
    at: RoomAt,
}

/// What rooms hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Sessions that hear them.
    pub(super) members: usize,
    /// Those of them who were announced.
    pub(super) here: usize,
    /// Bytes that were said and not everybody has heard.
    pub(super) feed_bytes: usize,
    /// Bytes of what was said before.
    pub(super) history_bytes: usize,
}

impl Sizes {
    fn of(room: &Room) -> Self {
        Self {
            members: room.members.len(),
            here: room.here(),
            feed_bytes: room.feed.len(),
            history_bytes: room.history.bytes(),
        }
    }

    fn change(&mut self, from: Self, to: Self) {
        let changed = |sum: &mut usize, from, to| *sum = *sum + to - from;
        changed(&mut self.members, from.members, to.members);
        changed(&mut self.here, from.here, to.here);
        changed(&mut self.feed_bytes, from.feed_bytes, to.feed_bytes);
        changed(
            &mut self.history_bytes,
            from.history_bytes,
            to.history_bytes,
        );
    }
}

impl Rooms {
    /// The lobby alone. Each room keeps `history_lines`, and a line to a crowded one waits at most `pace_max` for others.
    pub(super) fn new(history_lines: usize, pace_max: Option<Duration>) -> Self {
        let name = RoomName::lobby();
        let mut by_name = LookAlikes::default();
        by_name.insert(&Keys::of(name.text()), RoomAt::LOBBY);
        Self {
            lobby: Room::new(name, None, 0, history_lines, pace_max),
            others: Slab::new(),
            by_name,
            ranks: BTreeSet::new(),
            peopled: 0,
            made: 0,
            serial: 0,
            untold: Vec::new(),
            sums: BinaryHeap::new(),
            silent: BTreeMap::new(),
            spoken: 0,
            totals: Sizes::default(),
            history_lines,
            pace_max,
            wall_seconds: 0,
            server: irc::NAME.into(),
        }
    }

    /// Tells the time of day.
    pub(super) fn set_wall_clock(&mut self, seconds: u64) {
        self.wall_seconds = seconds;
    }

    /// The server is called this.
    pub(super) fn set_server(&mut self, name: &str) {
        self.server = name.into();
    }

    /// What the server is called.
    pub(super) fn server(&self) -> Box<str> {
        self.server.clone()
    }

    /// What all rooms hold together.
    pub(super) fn totals(&self) -> Sizes {
        self.totals
    }

    /// How many rooms there are.
    pub(super) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// How many were made by people.
    pub(super) fn made(&self) -> usize {
        self.made
    }

    /// The room that is kept there; the lobby if there is none.
    pub(super) fn get(&self, at: RoomAt) -> &Room {
        let other = at.0.checked_sub(1);
        let other = other.and_then(|at| self.others.get(at as usize));
        other.unwrap_or(&self.lobby)
    }

    /// The same for what concerns that room alone, and neither what it holds nor what it has to tell.
    pub(super) fn get_mut(&mut self, at: RoomAt) -> &mut Room {
        debug_assert!(self.is_there(at), "{at:?} is gone");
        let other = at.0.checked_sub(1);
        let other = other.and_then(|at| self.others.get_mut(at as usize));
        other.unwrap_or(&mut self.lobby)
    }

    /// Whether a room is kept there.
    fn is_there(&self, at: RoomAt) -> bool {
        let other = at.0.checked_sub(1);
        other.is_none_or(|other| self.others.contains(other as usize))
    }

    /// What people are shown of where they are: nothing in the lobby.
    pub(super) fn shown(&self, at: RoomAt) -> Option<&str> {
        (at != RoomAt::LOBBY).then(|| self.get(at).name.text())
    }

    /// The room that is kept there, by a name that is never another one's.
    pub(super) fn id(&self, at: RoomAt) -> RoomId {
        let serial = self.get(at).serial;
        RoomId { at, serial }
    }

    /// The room that is called so, if it is still there.
    pub(super) fn by_id(&self, id: RoomId) -> Option<&Room> {
        Some(self.get(id.at)).filter(|room| room.serial == id.serial)
    }

    /// The room whose name `text` spells, or what looks like it.
    pub(super) fn find(&self, text: &str) -> Option<RoomAt> {
        self.by_name.find(without_hash(text))
    }

    /// The same, of those that somebody may know of who is in the room `own`.
    pub(super) fn find_known(&self, text: &str, own: RoomAt) -> Option<RoomAt> {
        let is_known = |at: &RoomAt| *at == own || self.get(*at).key.is_none();
        self.find(text).filter(is_known)
    }

    /// All rooms.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RoomAt, &Room)> {
        let others = self.others.iter();
        let others = others.map(|(place, room)| (RoomAt(place as u16 + 1), room));
        std::iter::once((RoomAt::LOBBY, &self.lobby)).chain(others)
    }

    /// The rooms from this place on, each with its own.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = (usize, &Room)> {
        let places = place..=self.others.capacity();
        places.filter_map(|place| {
            let room = match place.checked_sub(1) {
                None => Some(&self.lobby),
                Some(other) => self.others.get(other),
            };
            room.map(|room| (place, room))
        })
    }

    /// The rooms as they are listed: the lobby, then those without a key by how many are there, then by name.
    pub(super) fn listed(&self) -> impl Iterator<Item = (RoomAt, &Room)> {
        let others = self.ranks.iter().map(|rank| (rank.at, self.get(rank.at)));
        std::iter::once((RoomAt::LOBBY, &self.lobby)).chain(others)
    }

    /// How many rooms beside the lobby have people in them and no key; they are the first in [`Rooms::listed`] behind it.
    pub(super) fn peopled(&self) -> usize {
        self.peopled
    }

    /// Changes something in a room, and keeps what must be known of it.
    pub(super) fn change<R>(&mut self, at: RoomAt, change: impl FnOnce(&mut Room) -> R) -> R {
        let wall_seconds = self.wall_seconds;
        let room = self.get_mut(at);
        room.wall_seconds = wall_seconds;
        let (before, said_before) = (Sizes::of(room), room.history.said());
        let result = change(room);
        let (after, is_said) = (Sizes::of(room), room.history.said() != said_before);
        let is_to_be_listed = !room.is_listed && !room.feed.is_silent();
        room.is_listed |= is_to_be_listed;
        let sum_at = room.sum_due_at();
        let is_sooner = |at: &Instant| room.wakes_at.is_none_or(|wakes_at| *at < wakes_at);
        let sum_at = sum_at.filter(is_sooner);
        room.wakes_at = sum_at.or(room.wakes_at);
        if is_to_be_listed {
            self.untold.push(at);
        }
        if let Some(sum_at) = sum_at {
            self.sums.push(Reverse((sum_at, at)));
        }
        if before != after {
            self.totals.change(before, after);
            self.rank(at, before, after);
        }
        if is_said {
            self.note_spoken(at);
        } else if before.history_bytes > 0 && after.history_bytes == 0 {
            let spoken = self.get(at).spoken;
            self.silent.remove(&spoken);
        }
        result
    }

    /// Keeps the order in which rooms are listed.
    fn rank(&mut self, at: RoomAt, before: Sizes, after: Sizes) {
        let room = self.get(at);
        if before.here == after.here || at == RoomAt::LOBBY || room.key.is_some() {
            return;
        }
        let mut rank = Rank::of(at, room, before.here);
        self.ranks.remove(&rank);
        rank.here = Reverse(after.here);
        self.ranks.insert(rank);
        self.peopled -= usize::from(before.here > 0);
        self.peopled += usize::from(after.here > 0);
    }

    /// Something was said in a room that is kept. The room that was silent longest gives first if that is too much.
    fn note_spoken(&mut self, at: RoomAt) {
        let last = self.silent.last_key_value();
        if last.is_none_or(|(_, last)| *last != at) {
            self.spoken += 1;
            let spoken = self.spoken;
            let room = self.get_mut(at);
            let before = std::mem::replace(&mut room.spoken, spoken);
            let keeps = !room.history.is_empty();
            self.silent.remove(&before);
            if keeps {
                self.silent.insert(spoken, at);
            }
        }
        while self.totals.history_bytes > HISTORY_BYTES_MAX {
            let Some((_, at)) = self.silent.first_key_value() else {
                return;
            };
            let (at, excess) = (*at, self.totals.history_bytes - HISTORY_BYTES_MAX);
            let room = self.get_mut(at);
            let before = room.history.bytes();
            room.history.give(excess);
            let given = before - room.history.bytes();
            let is_empty = room.history.is_empty();
            self.totals.history_bytes -= given;
            if is_empty {
                self.silent.pop_first();
            }
        }
    }

    /// Makes a room, which the caller lets somebody enter. Its name is that of no other one.
    pub(super) fn make(&mut self, name: RoomName, key: Option<RoomKey>) -> RoomAt {
        self.made += 1;
        self.add(name, key, false)
    }

    /// Lets these rooms be there always, and none but these: the others go when nobody is in them.
    pub(super) fn set_permanent(&mut self, names: &[RoomName]) {
        let all: Vec<RoomAt> = self.iter().map(|(at, _)| at).skip(1).collect();
        for at in all {
            let room = self.get_mut(at);
            let was_permanent = std::mem::take(&mut room.is_permanent);
            self.made += usize::from(was_permanent);
        }
        for name in names {
            match self.find(name.text()) {
                None => _ = self.add(name.clone(), None, true),
                Some(RoomAt::LOBBY) => {}
                Some(at) => self.keep(at),
            }
        }
        let all: Vec<RoomAt> = self.iter().map(|(at, _)| at).skip(1).collect();
        for at in all {
            self.end_if_empty(at);
        }
    }

    /// A room that was made is always there from now on. It has no key then.
    fn keep(&mut self, at: RoomAt) {
        let room = self.get_mut(at);
        if std::mem::replace(&mut room.is_permanent, true) {
            return;
        }
        let had_key = room.key.take().is_some();
        let here = room.here();
        self.made -= 1;
        if had_key {
            self.ranks.insert(Rank::of(at, self.get(at), here));
            self.peopled += usize::from(here > 0);
        }
    }

    fn add(&mut self, name: RoomName, key: Option<RoomKey>, is_permanent: bool) -> RoomAt {
        self.serial += 1;
        let keys = Keys::of(name.text());
        let mut room = Room::new(name, key, self.serial, self.history_lines, self.pace_max);
        room.is_permanent = is_permanent;
        let at = RoomAt(self.others.insert(room) as u16 + 1);
        self.by_name.insert(&keys, at);
        let room = self.get(at);
        if room.key.is_none() {
            let rank = Rank::of(at, room, 0);
            self.ranks.insert(rank);
        }
        at
    }

    /// Ends a room that was made by people and has nobody in it, with its key and its history.
    pub(super) fn end_if_empty(&mut self, at: RoomAt) {
        let room = self.get(at);
        if at == RoomAt::LOBBY || room.is_permanent || room.members.len() + room.abroad > 0 {
            return;
        }
        let Some(room) = self.others.try_remove(at.0 as usize - 1) else {
            return;
        };
        self.made -= 1;
        self.by_name.remove(&Keys::of(room.name.text()), at);
        self.silent.remove(&room.spoken);
        self.totals.change(Sizes::of(&room), Sizes::default());
        if room.key.is_none() {
            self.ranks.remove(&Rank::of(at, &room, room.here()));
        }
        if room.is_listed {
            self.untold.retain(|untold| *untold != at);
        }
        if self.others.len() < self.others.capacity() / 4 {
            self.others.shrink_to_fit();
        }
    }

    /// Each room keeps so many lines from now on, and paces them so.
    pub(super) fn set_limits(&mut self, history_lines: usize, pace_max: Option<Duration>) {
        (self.history_lines, self.pace_max) = (history_lines, pace_max);
        let all: Vec<RoomAt> = self.iter().map(|(at, _)| at).collect();
        for at in all {
            self.change(at, |room| {
                room.history.set_lines_max(history_lines);
                room.pace.set_delay_max(pace_max);
            });
        }
    }

    /// Tells the sums of joins, leaves and renames that are due.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(Reverse((due_at, at))) = self.sums.peek().copied() {
            if now < due_at {
                return;
            }
            self.sums.pop();
            if !self.is_there(at) {
                // What it had to tell went with it, and the lobby is not to be told in its place.
                continue;
            }
            self.get_mut(at).wakes_at = None;
            self.change(at, |room| room.tick(now));
        }
    }

    /// When a sum is due, or some may be told what was said. `is_urgent` says of a room whether it must be told before
    /// anything else is done.
    pub(super) fn wake_at(
        &self,
        is_urgent: impl Fn(&Room) -> bool,
        now: Instant,
    ) -> Option<Instant> {
        let rooms = self.untold.iter().map(|at| self.get(*at));
        let told = rooms.filter_map(|room| room.told_at(is_urgent(room), now));
        let sum = self.sums.peek().map(|Reverse((at, _))| *at);
        told.chain(sum).min()
    }

    /// Takes the rooms in which something is to be told, those first that have waited longest.
    pub(super) fn take_untold(&mut self) -> Vec<RoomAt> {
        std::mem::take(&mut self.untold)
    }

    /// A room that was among the untold was looked after: it is among them as long as it has something to tell.
    pub(super) fn note_told(&mut self, at: RoomAt, feed_bytes_before: usize) {
        let room = self.get_mut(at);
        let is_silent = room.feed.is_silent();
        room.is_listed = !is_silent;
        let feed_bytes = room.feed.len();
        self.totals.feed_bytes = self.totals.feed_bytes + feed_bytes - feed_bytes_before;
        if !is_silent {
            self.untold.push(at);
        }
    }

    /// Rooms that were among the untold and were not looked after are the first the next time.
    pub(super) fn put_off(&mut self, rooms: &[RoomAt]) {
        self.untold.splice(0..0, rooms.iter().copied());
    }

    /// Whether there is such a room among those in which something was said that somebody has not been told.
    pub(super) fn has_untold_that(&self, is_so: impl Fn(&Room) -> bool) -> bool {
        self.untold.iter().any(|at| is_so(self.get(*at)))
    }

    /// Whether something was said that somebody has not been told yet.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }
}

impl Rank {
    fn of(at: RoomAt, room: &Room, here: usize) -> Self {
        Self {
            here: Reverse(here),
            name: room.name.text().into(),
            at,
        }
    }
}

/// What must hold, for tests and simulations to sweep.
#[cfg(any(test, feature = "internals"))]
impl Rooms {
    /// # Panics
    /// If an invariant is broken; the message says which.
    pub(super) fn check_invariants(&self) {
        let mut totals = Sizes::default();
        let (mut keys, mut made) = (0, 0);
        for (at, room) in self.iter() {
            let (name, sizes) = (&room.name, Sizes::of(room));
            totals.change(Sizes::default(), sizes);
            for key in Keys::of(name.text()).iter() {
                keys += 1;
                assert_eq!(self.by_name.holder(key), Some(at), "{name} by its name");
            }
            let is_made = at != RoomAt::LOBBY && !room.is_permanent;
            made += usize::from(is_made);
            assert!(
                !is_made || sizes.members + room.abroad > 0,
                "nobody is in {name}"
            );
            let listed = self.untold.iter().filter(|untold| **untold == at);
            assert_eq!(usize::from(room.is_listed), listed.count(), "{name}");
            assert_eq!(room.is_listed, !room.feed.is_silent(), "{name} untold");
            let has_sum = room.sum_due_at().is_none_or(|due_at| {
                let mut sums = self.sums.iter();
                sums.any(|Reverse((entry_at, room))| *room == at && *entry_at <= due_at)
            });
            assert!(has_sum, "nothing tells the sum of {name}");
            let is_ranked = self.ranks.contains(&Rank::of(at, room, sizes.here));
            let has_rank = at != RoomAt::LOBBY && room.key.is_none();
            assert_eq!(is_ranked, has_rank, "{name} in the list");
            let is_silent = self.silent.get(&room.spoken) == Some(&at);
            assert_eq!(is_silent, !room.history.is_empty(), "the history of {name}");
            assert!(at == RoomAt::LOBBY || room.listening() == 0, "{name}");
        }
        assert_eq!(self.totals, totals, "what all rooms hold");
        assert!(totals.history_bytes <= HISTORY_BYTES_MAX, "history");
        assert_eq!(self.made, made, "rooms made");
        assert_eq!(self.by_name.len(), keys, "names of rooms");
        let silent = self.iter().filter(|(_, room)| !room.history.is_empty());
        assert_eq!(self.silent.len(), silent.count());
        let open = self.iter().skip(1).filter(|(_, room)| room.key.is_none());
        let (open, peopled): (Vec<_>, Vec<_>) = open.partition(|(_, room)| room.here() == 0);
        assert_eq!(self.ranks.len(), open.len() + peopled.len());
        assert_eq!(self.peopled, peopled.len(), "rooms with people");
    }
}
