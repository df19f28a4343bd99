//! What a node of the relay keeps, and what it tells: data.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::relay::link::Due;
use crate::relay::numbers::{Numbers, Turn};
use crate::relay::place::Id;
use crate::relay::record::{Entry, Event, NodeId, Who};

/// How the engine is reached and what it is to do.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How many sentinels are asked where the engine is; none: it is where it was said.
    pub(crate) sentinels: usize,
    /// What they call the engine.
    pub(crate) service: Box<str>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) password: Option<Box<[u8]>>,
    /// Stands before each key.
    pub(crate) prefix: Box<str>,
    /// How many entries the log keeps.
    pub(crate) log_entries: usize,
    /// So long the engine may be silent before this node goes on alone.
    pub(crate) patience: Duration,
    /// So long a node may be silent before its people have left.
    pub(crate) lease: Duration,
    /// So much may wait for the engine, in bytes.
    pub(crate) queue_bytes_max: usize,
    /// What operators call this node.
    pub(crate) label: Box<str>,
}

#[cfg(any(test, feature = "internals"))]
impl Options {
    /// Those of a node in a test: an engine without a password, and few entries.
    pub(crate) fn for_tests() -> Self {
        Self {
            sentinels: 0,
            service: "".into(),
            user: None,
            password: None,
            prefix: "chatd".into(),
            log_entries: 100,
            patience: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            queue_bytes_max: 1024 * 1024,
            label: "".into(),
        }
    }
}

/// One of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    /// Writes, and looks things up.
    Pen,
    /// Waits for the log.
    Ear,
}

impl Line {
    pub(crate) const ALL: [Self; 2] = [Self::Pen, Self::Ear];
}

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// To the engine, where the settings say.
    Engine,
    /// To this sentinel of those in the settings.
    Sentinel(usize),
    /// To where a sentinel says.
    Address { host: Box<str>, port: u16 },
}

/// Whether this node has the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Attached,
    /// The engine is silent since then: what is said waits.
    Waiting {
        since: Instant,
    },
    /// It was silent for too long: what is said is heard here.
    Alone,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Waiting { .. } => "waiting",
            Self::Alone => "alone",
        }
    }
}

/// What the hub is to know, in the order in which it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Something comes from the log: of this node, or of its own people if that is `None`.
    Heard {
        node: Option<NodeId>,
        event: Event,
    },
    /// It is settled at all nodes, since this place of the log, what one of this node's own people is called.
    Settled(Who, Id),
    /// It is no more: this session's name is told anew, and who is told of first has it.
    Unsettled(u64),
    /// All people of a node follow; who is not among them has left.
    RosterBegins(NodeId),
    Person(NodeId, Entry),
    RosterEnds(NodeId),
    /// All people of a node have left at once.
    NodeGone(NodeId),
    /// What was said before this node came, the oldest first, each with when, in seconds since 1970.
    Past(Vec<(Event, u64)>),
    /// So the engine's memory is called now: the digests of keys depend on it.
    Epoch(Box<str>),
    /// Guests have the numbers from here on: so many.
    Guests {
        first: u64,
        count: u64,
    },
    /// The others cannot be reached.
    Alone,
    /// They can again; so many lines never reached them.
    Back {
        lost_lines: u64,
    },
}

/// What is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// How long the last own event took to come back.
    pub(crate) lag: Duration,
    /// Events that were sent more than once.
    pub(crate) resent: u64,
    /// Events that came more than once.
    pub(crate) dropped_again: u64,
    /// Events that this node could not read.
    pub(crate) unread: u64,
    /// Nodes that this one has declared dead.
    pub(crate) verdicts: u64,
    /// Errors of the engine.
    pub(crate) errors: u64,
    /// Lines that never reached the others.
    pub(crate) lost_lines: u64,
}

/// What is due from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Where the engine is.
    Master,
    /// What need only be no error.
    Done,
    Format,
    Epoch,
    /// Whether this node's own lease has outlasted the time without a connection.
    OwnLease,
    LastRead,
    Newest,
    Nodes,
    LeasesAtFirst,
    Leases,
    People,
    Past,
    Guests,
    /// An entry was added to the log.
    Added,
    /// An entry for a node was added, up to this number.
    AddedTo(NodeId, u64),
    EarEpoch,
    /// What is new in the log since the attach of this number.
    Read(u64),
}

impl Due for Asked {
    fn entries_depth(self) -> Option<usize> {
        match self {
            Self::Read(_) => Some(3),
            Self::LastRead | Self::Newest | Self::Past => Some(1),
            _ => None,
        }
    }
}

/// What chance is made of: `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

/// How far this node is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    Stays,
    Says,
    Said,
    /// It has come back from the log.
    Gone,
}

/// Another node.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// What its operators call it.
    pub(super) label: Box<str>,
    pub(super) numbers: Numbers,
    /// Of what it has sent to this node alone.
    pub(super) private_numbers: Numbers,
    /// So many looks found no lease, while it said nothing.
    pub(super) missed: u32,
    /// It has said something since the last look.
    pub(super) has_spoken: bool,
    pub(super) is_condemned: bool,
}

impl Node {
    /// An event of it has come.
    pub(super) fn take(&mut self, number: u64, now: Instant) -> Turn {
        self.has_spoken = true;
        self.numbers.take(number, now)
    }

    /// The same for this node alone.
    pub(super) fn take_private(&mut self, number: u64, now: Instant) -> Turn {
        self.private_numbers.take(number, now)
    }

    pub(super) fn missing(&self) -> usize {
        self.numbers.missing() + self.private_numbers.missing()
    }
}

/// When leases are looked at.
#[derive(Debug, Default)]
pub(super) struct Leases {
    pub(super) due_at: Option<Instant>,
    /// There is no verdict before: others may be as late as this node was.
    pub(super) judges_at: Option<Instant>,
    /// Whose leases were asked for.
    pub(super) asked: Vec<NodeId>,
}

impl Leases {
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }
}

/// How far one attach has come. What must outlast it, should the connection break, is in [`Debts`].
#[derive(Debug, Default)]
pub(super) struct Attach {
    /// Which it is, from 1 on.
    pub(super) number: u64,
    /// What the engine's memory is called.
    pub(super) epoch: Option<Box<str>>,
    pub(super) last_read_is_there: bool,
    pub(super) newest: Option<Id>,
    /// The nodes whose people are to be looked at; the first is being.
    pub(super) to_look_at: VecDeque<NodeId>,
    /// What was said before, the latest first.
    pub(super) past: Vec<(Event, u64)>,
    pub(super) is_done: bool,
}

/// What is still to be done before all is shared, however often the connection breaks meanwhile.
#[derive(Debug, Default)]
pub(super) struct Debts {
    /// All nodes and their people are to be looked at.
    pub(super) roster: bool,
    /// So is what was said before this node came; not if it has heard something of its own by then.
    pub(super) past: bool,
    /// The others are to be told anew who is here.
    pub(super) telling: bool,
}
