//! The bounds that the hub keeps.

use std::time::Duration;

use crate::rate::Rate;

/// How much each session, and all of them together, may use.
///
/// The default leaves no room for anything: the table of settings fills it in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line, without its end; a longer one is refused.
    pub line_bytes_max: usize,
    /// What may wait for one session.
    pub queue: QueueLimits,
    /// How many lines of one session are heard; [`Rate::UNLIMITED`]: as many as it sends.
    pub line_rate: Rate,
    /// Bytes of all queues and buffers together.
    pub memory_max: usize,
    /// How long a session may be silent; `None`: for ever.
    pub idle: Option<Duration>,
    /// How long a closing session gets to take its last bytes.
    pub drain: Duration,
    /// Lines that are shown to a newcomer; 0: none.
    pub history_lines: usize,
    /// Lines that are kept for pages that come back, if that is more; 0 where there are no pages.
    pub web_history_lines: usize,
    /// Rooms that people may have made at a time; 0: none.
    pub rooms_max: usize,
    /// At most this many names are kept at a time; 0: none.
    pub names_kept_max: usize,
    /// A kept name is free again when it was not used for more days than this; `None`: never.
    pub names_kept_days: Option<u32>,
    /// How long a line to a crowded room may wait to share its sends with others; `None`: not at all.
    pub pace_max: Option<Duration>,
}

/// How much may wait for one connection, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueLimits {
    /// Unsent bytes.
    pub bytes_max: usize,
    /// Unsent bytes that may wait for at most `soft`; at most `bytes_max`.
    pub bytes_soft: usize,
    /// How long more than `bytes_soft` may wait.
    pub soft: Duration,
    /// How long bytes may wait while the peer takes none; `None`: for ever.
    pub stall: Option<Duration>,
}

impl Limits {
    /// Lines of what was said before that each room keeps.
    pub(crate) fn history_kept(&self) -> usize {
        self.history_lines.max(self.web_history_lines)
    }
}

#[cfg(any(test, feature = "internals"))]
impl Limits {
    /// Few tests meet any of these, and those that mean to set it.
    pub(crate) const WIDE: Self = Self {
        line_bytes_max: 4096,
        queue: QueueLimits {
            bytes_max: 256 * 1024,
            bytes_soft: 64 * 1024,
            soft: Duration::from_secs(10),
            stall: None,
        },
        line_rate: Rate::UNLIMITED,
        memory_max: usize::MAX,
        idle: None,
        drain: Duration::from_secs(5),
        history_lines: 0,
        web_history_lines: 0,
        rooms_max: 200,
        names_kept_max: 10_000,
        names_kept_days: Some(180),
        pace_max: None,
    };
}
