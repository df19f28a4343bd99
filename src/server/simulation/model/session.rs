//! One session as the model sees it: how far it has come, what it is due, and by when something must happen to it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::due::{Due, Public};
use super::kept::Secrets;
use super::rooms::LOBBY;
use crate::dialect::Dialect;
use crate::ledger::CloseReason;
use crate::server::simulation::connection::Connection;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Draining,
    Lingering,
}

/// What its person has set for themselves.
#[derive(Debug, Default)]
pub(crate) struct Prefs {
    pub(crate) away: Option<String>,
    pub(crate) ignored: Vec<u64>,
    /// Who wrote last, and the name that they had then.
    pub(crate) teller: Option<(u64, String)>,
    pub(crate) quiet: bool,
    pub(crate) clock: bool,
}

impl Prefs {
    fn leaves_out(&self, public: &Public) -> bool {
        let is_ignored = public
            .about
            .is_some_and(|about| self.ignored.contains(&about));
        is_ignored || (self.quiet && public.is_presence)
    }
}

/// How its stream ended, as the server has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    No,
    Orderly,
    Broken,
    /// The last write went nowhere, and there is no more to read.
    Drained,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a session"
)]
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: usize,
    pub(crate) address: IpAddr,
    /// Its client always reads.
    pub(crate) reads: bool,
    pub(crate) dialect: Dialect,
    /// It is a program that hears who comes and goes.
    pub(crate) watches: bool,
    pub(crate) name: String,
    /// The room that it is in, or was in last.
    pub(crate) room: u64,
    /// It was judged not to be heard.
    pub(crate) muted: bool,
    /// An operator lets it moderate in the chat.
    pub(crate) moderates: bool,
    /// The place of its slot, in whose order many are looked at.
    pub(crate) slot: usize,
    /// Which kept name it has by right.
    pub(crate) owned: Option<u64>,
    pub(crate) secrets: Secrets,
    /// How many lines had been said in the lobby when it left it last.
    pub(crate) lobby_said: u64,
    /// It only came to be told why it cannot stay.
    pub(crate) refused: bool,
    pub(crate) phase: Phase,
    pub(crate) reason: Option<CloseReason>,
    /// When it is cut off, if it is ending.
    pub(crate) until: Duration,
    pub(crate) ended: Ended,
    /// A write to it failed: it takes nothing any more.
    pub(crate) dead: bool,
    /// It takes nothing until an edge comes.
    pub(crate) blocked: bool,
    /// Its farewell did not go out at once: perhaps, and surely.
    pub(crate) slow: [bool; 2],
    /// How many bytes came while it was lingering.
    pub(crate) dropped: usize,
    pub(crate) interrupted: bool,
    /// The seconds of its life in which it asked whether the server is there, and was answered.
    pub(crate) reassured: BTreeSet<u64>,
    pub(crate) prefs: Prefs,
    pub(crate) opened_at: Duration,
    pub(crate) heard_at: Duration,
    /// When it has paid at the earliest for what it said and asked.
    pub(crate) paid_at: Duration,
    /// When it was understood last, and since when it may be that its lines wait.
    pub(crate) read_at: Duration,
    pub(crate) lines_wait_since: Option<Duration>,
    pub(crate) lines_in: u64,
    pub(crate) bytes_out: usize,
    /// How many of its bytes were read.
    pub(crate) given: usize,
    pub(crate) due: Due,
    /// Something was said to all that it has not heard, for other reasons than that it does not read.
    pub(crate) unheard: bool,
    /// At least this much waits in its queue.
    pub(crate) surely_waits: usize,
    /// More waits than for a session that keeps up, perhaps.
    pub(crate) may_be_behind: bool,
    /// Since when what waits was not taken: perhaps, and surely.
    pub(crate) taken_at: [Duration; 2],
    /// Since when it is due more than the soft limit: perhaps, and surely.
    pub(crate) above_soft: [Option<Duration>; 2],
}

impl Session {
    pub(crate) fn new(
        number: u64,
        client: usize,
        connection: &Connection,
        dialect: Dialect,
        now: Duration,
    ) -> Self {
        Self {
            client,
            address: connection.from.ip(),
            reads: connection.window.is_none(),
            dialect,
            watches: false,
            name: format!("guest{number}"),
            room: LOBBY,
            muted: false,
            moderates: false,
            slot: 0,
            owned: None,
            secrets: Secrets::default(),
            lobby_said: 0,
            refused: false,
            phase: Phase::Open,
            reason: None,
            until: Duration::ZERO,
            ended: Ended::No,
            dead: false,
            blocked: false,
            slow: [false; 2],
            dropped: 0,
            interrupted: false,
            reassured: BTreeSet::new(),
            prefs: Prefs::default(),
            opened_at: now,
            heard_at: now,
            paid_at: Duration::ZERO,
            read_at: now,
            lines_wait_since: None,
            lines_in: 0,
            bytes_out: 0,
            given: 0,
            due: Due::default(),
            unheard: false,
            surely_waits: 0,
            may_be_behind: false,
            taken_at: [now; 2],
            above_soft: [None; 2],
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Nothing can be told to it any more.
    pub(crate) fn is_hopeless(&self) -> bool {
        let is_broken = matches!(self.ended, Ended::Broken | Ended::Drained);
        let reasons = [Some(CloseReason::Reset), Some(CloseReason::WriteStall)];
        self.dead || is_broken || reasons.contains(&self.reason)
    }

    pub(crate) fn waits(&self) -> bool {
        self.due.range().1 > 0
    }

    /// Which of the bytes of a line for all it hears.
    pub(crate) fn hearing(&self) -> usize {
        match self.dialect {
            Dialect::Telnet => 0,
            Dialect::Wire => 1 + usize::from(self.watches),
            other => unreachable!("nobody here speaks {other}"),
        }
    }

    /// How it sees a line for all; empty if it does not.
    pub(crate) fn show(&self, public: &Public, time: &str) -> Vec<u8> {
        let bytes = &public.bytes[self.hearing()];
        if bytes.is_empty() || self.prefs.leaves_out(public) {
            return Vec::new();
        }
        let time = if self.prefs.clock { time } else { "" };
        [time.as_bytes(), bytes].concat()
    }
}
