//! One session as the model sees it: how far it has come, what it typed, what it is due.

use std::collections::{BTreeSet, VecDeque};

use chatd::dialect::Dialect;
use chatd::hub::Ending;
use chatd::ledger::CloseReason;

use crate::comforts::Comforts;
use crate::presence::Ms;
use crate::script::Item;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Draining,
    Lingering,
    Closed,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a session"
)]
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) dialect: Dialect,
    pub(crate) name: String,
    pub(crate) phase: Phase,
    pub(crate) reason: Option<CloseReason>,
    /// When it is cut off, if it is ending.
    pub(crate) until: Ms,
    /// It has ended its own stream.
    pub(crate) ended: bool,
    /// It takes nothing any more.
    pub(crate) dead: bool,
    /// It takes nothing until an edge comes.
    pub(crate) blocked: bool,
    pub(crate) finished: bool,
    /// Its farewell did not go out at once.
    pub(crate) slow: bool,
    pub(crate) ending: Ending,
    pub(crate) dropped: usize,
    pub(crate) interrupted: bool,
    /// The seconds of its life in which it asked whether the server is there, and was answered.
    pub(crate) reassured: BTreeSet<Ms>,
    pub(crate) comforts: Comforts,
    /// Deadlines are seen to in this order.
    pub(crate) slot: usize,
    pub(crate) opened_at: Ms,
    pub(crate) heard_at: Ms,
    pub(crate) lines_in: u64,
    pub(crate) bytes_out: usize,
    /// What its person typed and where in the stream of bytes it is complete.
    pub(crate) typed: VecDeque<(usize, Item)>,
    /// So many of its bytes were handed to the hub, and so many of these understood.
    pub(crate) given: usize,
    pub(crate) understood: usize,
    /// The part of the log that it hears.
    pub(crate) came: usize,
    pub(crate) left: Option<usize>,
    /// What it is due and did not take yet.
    pub(crate) due: Vec<u8>,
    pub(crate) taken_at: Ms,
    pub(crate) above_soft_since: Option<Ms>,
}

/// What one session's socket did in a flush.
pub(crate) struct Took {
    pub(crate) fresh: Vec<u8>,
    pub(crate) blocked: bool,
    pub(crate) failed: bool,
    pub(crate) finished: bool,
}

/// How a session is to end up in the ledger.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) name: String,
    pub(crate) reason: CloseReason,
    /// How long it lasted, in tenths of a second.
    pub(crate) tenths: u64,
    pub(crate) lines_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) ending: Ending,
}

/// Something that was said.
pub(crate) struct Entry {
    pub(crate) to: To,
    /// Whom it is from, or about.
    pub(crate) about: Option<u64>,
    /// It tells who came or went.
    pub(crate) is_presence: bool,
    /// What a session of each dialect hears.
    pub(crate) bytes: [Vec<u8>; Dialect::COUNT],
}

/// Who hears it.
pub(crate) enum To {
    AllBut(Option<u64>),
    One(u64),
}

impl Session {
    /// One that has just come, when the log had `came` entries.
    pub(crate) fn new(number: u64, slot: usize, dialect: Dialect, came: usize, now: Ms) -> Self {
        Self {
            dialect,
            name: format!("guest{number}"),
            phase: Phase::Open,
            reason: None,
            until: 0,
            ended: false,
            dead: false,
            blocked: false,
            finished: false,
            slow: false,
            ending: Ending::Orderly,
            dropped: 0,
            comforts: Comforts::default(),
            interrupted: false,
            reassured: BTreeSet::new(),
            slot,
            opened_at: now,
            heard_at: now,
            lines_in: 0,
            bytes_out: 0,
            typed: VecDeque::new(),
            given: 0,
            understood: 0,
            came,
            left: None,
            due: Vec::new(),
            taken_at: now,
            above_soft_since: None,
        }
    }

    /// Adds what it hears of the log to what it is due; gives how many lines it did not want to hear.
    pub(crate) fn hear(&mut self, number: u64, log: &[Entry], time: &str) -> u64 {
        let part = self.came..self.left.unwrap_or(log.len());
        self.came = log.len();
        self.left = self.left.map(|_| log.len());
        if self.phase == Phase::Closed || self.dead {
            return 0;
        }
        let mut unwanted = 0;
        for entry in &log[part] {
            let bytes = &entry.bytes[self.dialect as usize];
            match entry.to {
                To::One(receiver) if receiver == number => self.due.extend(bytes),
                To::One(_) => {}
                To::AllBut(author) if author == Some(number) || bytes.is_empty() => {}
                To::AllBut(_) if self.ignores(entry) => unwanted += 1,
                To::AllBut(_) => {
                    if self.comforts.clock {
                        self.due.extend(time.as_bytes());
                    }
                    self.due.extend(bytes);
                }
            }
        }
        unwanted
    }

    /// Whether this is told to all in its dialect.
    pub(crate) fn is_told(&self, entry: &Entry) -> bool {
        matches!(entry.to, To::AllBut(_)) && !entry.bytes[self.dialect as usize].is_empty()
    }

    fn ignores(&self, entry: &Entry) -> bool {
        let ignored = &self.comforts.ignored;
        let is_ignored = entry.about.is_some_and(|about| ignored.contains(&about));
        is_ignored || (self.comforts.quiet && entry.is_presence)
    }

    /// Takes off what it took, which must be the beginning of what it was due.
    pub(crate) fn take(&mut self, number: u64, took: &Took, waited: bool, now: Ms) {
        let fresh = took.fresh.len();
        if !self.due.starts_with(&took.fresh) {
            let got = String::from_utf8_lossy(&took.fresh);
            let due = String::from_utf8_lossy(&self.due);
            panic!("{number} got\n{got:?}\nbut was due\n{due:?}");
        }
        self.due.drain(..fresh);
        self.bytes_out += fresh;
        self.blocked = took.blocked;
        if took.failed {
            self.dead = true;
            self.due = Vec::new();
        }
        if fresh > 0 || !waited {
            self.taken_at = now;
        }
        if self.due.is_empty() {
            self.above_soft_since = None;
        }
        let has_waker = self.blocked || self.phase == Phase::Closed;
        assert!(
            self.due.is_empty() || has_waker,
            "{number} is due {} bytes and nothing will wake it",
            self.due.len()
        );
    }
}
