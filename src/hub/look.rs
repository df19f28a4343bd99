//! What an operator may see of the sessions.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::dialect::Dialect;
use crate::hub::session::{Flow, Session, Stage};
use crate::hub::Hub;
use crate::id::SessionId;
use crate::name::Name;
use crate::origin::Origin;

/// One session, as it is at the moment.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    pub(crate) number: u64,
    pub(crate) name: &'a Name,
    /// Empty for who is in none.
    pub(crate) room: &'a str,
    pub(crate) dialect: Dialect,
    pub(crate) from: Origin,
    /// How long it has been there.
    pub(crate) age: Duration,
    /// How long nothing was heard of it.
    pub(crate) silent: Duration,
    pub(crate) state: State,
    pub(crate) lines_in: u64,
    pub(crate) bytes_out: u64,
    /// Bytes that wait for it.
    pub(crate) queued: usize,
    /// A rule lets nobody hear it.
    pub(crate) muted: bool,
    /// It may moderate.
    pub(crate) op: bool,
}

/// One room, as it is at the moment.
#[derive(Debug)]
pub(crate) struct RoomLook<'a> {
    pub(crate) name: &'a str,
    /// Who hears it.
    pub(crate) people: usize,
    pub(crate) has_key: bool,
    /// How many lines it keeps of what was said.
    pub(crate) lines: usize,
}

impl<T> Hub<T> {
    /// The rooms that are kept at this place and behind it, each with its own place.
    pub(crate) fn rooms_from(&self, place: usize) -> impl Iterator<Item = (usize, RoomLook<'_>)> {
        self.core.rooms.from(place).map(|(place, room)| {
            let look = RoomLook {
                name: room.name.text(),
                people: room.members.len(),
                has_key: room.key.is_some(),
                lines: room.history.len(),
            };
            (place, look)
        })
    }
}

/// What a session is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Its input waits.
    Paused,
    /// Its socket takes nothing.
    Blocked,
    /// It takes its last bytes.
    Draining,
    /// It has taken them, and its own last bytes are dropped.
    Lingering,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Paused,
        Self::Blocked,
        Self::Draining,
        Self::Lingering,
    ];

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Blocked => "blocked",
            Self::Draining => "draining",
            Self::Lingering => "lingering",
        }
    }

    /// The state that this word stands for.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    fn of<T>(session: &Session<T>) -> Self {
        let is_paused = |session: &Session<T>| {
            let pending = session.pending.as_ref();
            pending.is_some_and(|pending| pending.paused_until.is_some())
        };
        match session.stage() {
            Some(Stage::Draining) => Self::Draining,
            Some(Stage::Lingering { .. } | Stage::Closed(_)) => Self::Lingering,
            None if session.flow == Flow::Blocked => Self::Blocked,
            None if is_paused(session) => Self::Paused,
            None => Self::Open,
        }
    }
}

impl<T> Hub<T> {
    /// How many slots there are for sessions, free ones among them.
    pub(crate) fn slots(&self) -> usize {
        self.sessions.slots()
    }

    /// The sessions that hold one of these slots, each with its number.
    pub(crate) fn in_slots(
        &self,
        slots: Range<usize>,
    ) -> impl Iterator<Item = (u64, SessionId)> + '_ {
        let sessions = self.sessions.in_slots(slots);
        sessions.map(|session| (session.number, session.id))
    }

    /// Looks at a session; `None` if it is gone.
    pub(crate) fn look_at(&self, id: SessionId, now: Instant) -> Option<Look<'_>> {
        let session = self.sessions.get(id)?;
        Some(Look {
            number: session.number,
            name: &session.name,
            room: if session.is_open() && !session.is_nowhere() {
                self.core.room_of(session).name.text()
            } else {
                ""
            },
            dialect: session.codec.dialect(),
            from: session.from,
            age: now.saturating_duration_since(session.opened_at),
            silent: now.saturating_duration_since(session.heard_at()),
            state: State::of(session),
            lines_in: session.lines_in,
            bytes_out: session.bytes_out,
            queued: session.outbox.bytes(),
            muted: session.muted,
            op: session.is_operator(),
        })
    }

    /// The session whose person is called so, or so that nobody else could be.
    pub(crate) fn who_is(&self, name: &str) -> Option<SessionId> {
        let found = self.core.roster.find(name);
        found.filter(|id| self.sessions.get(*id).is_some())
    }
}
