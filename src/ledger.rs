//! Every session's open, names and close, counted and written to the log.
//!
//! Invariant: a session has one open and one close, and [`Ledger::opened`] less the closes is the number of sessions
//! that hold a slot.

use std::fmt;
use std::time::Duration;

use log::info;

use crate::fields;
use crate::name::Name;
use crate::origin::Origin;
#[cfg(test)]
use crate::work::Work;

/// Why a session ended. The first reason stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It asked to leave.
    Quit,
    /// Its stream ended.
    Eof,
    /// Its connection broke.
    Reset,
    /// Too much waited for it, or for too long.
    SlowConsumer,
    /// Bytes waited for it and it took none of them.
    WriteStall,
    /// Nothing was heard of it for too long.
    Idle,
    /// It sent more than anybody should.
    Flood,
    /// The server had no room for it.
    Full,
    /// Its address had too many sessions.
    PerAddress,
    /// Its address connected too often.
    ConnectRate,
    /// The server went down.
    Shutdown,
    /// It spoke another protocol.
    WrongProtocol,
    /// An operator turns newcomers away.
    Drain,
    /// A rule keeps its address out.
    Banned,
    /// An operator closed it.
    Kicked,
    /// Its name was taken back with its key.
    NameTaken,
    /// Its page came back in another connection.
    Replaced,
}

impl CloseReason {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 17] = [
        Self::Quit,
        Self::Eof,
        Self::Reset,
        Self::SlowConsumer,
        Self::WriteStall,
        Self::Idle,
        Self::Flood,
        Self::Full,
        Self::PerAddress,
        Self::ConnectRate,
        Self::Shutdown,
        Self::WrongProtocol,
        Self::Drain,
        Self::Banned,
        Self::Kicked,
        Self::NameTaken,
        Self::Replaced,
    ];

    /// The word for it in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Eof => "eof",
            Self::Reset => "reset",
            Self::SlowConsumer => "slow-consumer",
            Self::WriteStall => "write-stall",
            Self::Idle => "idle",
            Self::Flood => "flood",
            Self::Full => "full",
            Self::PerAddress => "per-address",
            Self::ConnectRate => "connect-rate",
            Self::Shutdown => "shutdown",
            Self::WrongProtocol => "wrong-protocol",
            Self::Drain => "drain",
            Self::Banned => "banned",
            Self::Kicked => "kicked",
            Self::NameTaken => "name-taken",
            Self::Replaced => "replaced",
        }
    }
}

impl CloseReason {
    /// Whether the peer did what addresses are watched for, and what a firewall may act on.
    fn is_abuse(self) -> bool {
        matches!(
            self,
            Self::Flood
                | Self::WrongProtocol
                | Self::ConnectRate
                | Self::Banned
                | Self::Full
                | Self::PerAddress
        )
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One session that has ended.
#[derive(Debug)]
pub(crate) struct Close<'a> {
    /// The session's number, as in its open.
    pub(crate) id: u64,
    /// The name that it had at the end.
    pub(crate) name: &'a Name,
    /// Why it ended.
    pub(crate) reason: CloseReason,
    /// Where it came from, as in its open.
    pub(crate) from: Origin,
    /// How long it lasted.
    pub(crate) lasted: Duration,
    /// Lines that were heard of it.
    pub(crate) lines_in: u64,
    /// Bytes that the kernel took for it.
    pub(crate) bytes_out: u64,
}

/// What was done to a session, for the simulation, whose model learns from it in which order.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Its input was understood, but for the last `kept` bytes.
    Heard { id: u64, kept: usize },
    /// It began to close.
    Ended { id: u64, reason: CloseReason },
    /// It was freed.
    Closed(Closed),
    /// From then on other limits held.
    Limits,
    /// An operator, who says that they are `by`, is obeyed.
    Operated { by: String, line: String },
    /// What was to be done to many is done to this one.
    WorkedOff { id: u64 },
    /// Everybody has been told, and the files are written.
    Saving,
    /// What was changed by hand in the file of the rules holds from then on.
    RulesFollowed,
}

/// A [`Close`] that is kept.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) reason: CloseReason,
    pub(crate) lasted: Duration,
    pub(crate) lines_in: u64,
    pub(crate) bytes_out: u64,
}

/// The record of opens and closes.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    opened: u64,
    closed: [u64; CloseReason::ALL.len()],
    /// Everything that was done since it was last taken.
    #[cfg(test)]
    pub(crate) diary: Vec<Entry>,
    /// What was done before the last flush, and in it for long replies.
    #[cfg(test)]
    pub(crate) work: Work,
    #[cfg(test)]
    pub(crate) flush_work: Work,
}

impl Ledger {
    /// Writes down an open; gives the session's number. `sessions` counts it in.
    pub(crate) fn open(
        &mut self,
        dialect: impl fmt::Display,
        from: Origin,
        sessions: usize,
    ) -> u64 {
        self.opened += 1;
        #[cfg(feature = "tls")]
        let dialect = format_args!("{dialect}{}", from.security());
        info!(
            "open id={} dialect={dialect} from={from} sessions={sessions}",
            self.opened
        );
        self.opened
    }

    /// Writes down a close. `sessions` does not count it any more.
    pub(crate) fn close(&mut self, close: &Close<'_>, sessions: usize) {
        let tenths = close.lasted.as_millis() / 100;
        info!(
            "close id={} name={} reason={} from={} seconds={}.{} lines_in={} bytes_out={} sessions={sessions}",
            close.id,
            close.name,
            close.reason,
            close.from,
            tenths / 10,
            tenths % 10,
            close.lines_in,
            close.bytes_out,
        );
        if let Some(address) = close.from.address().filter(|_| close.reason.is_abuse()) {
            info!(
                target: fields::LOG_TARGET,
                "abuse from={address} reason={} id={}",
                close.reason, close.id
            );
        }
        self.closed[close.reason as usize] += 1;
        #[cfg(test)]
        self.diary.push(Entry::Closed(Closed {
            id: close.id,
            name: close.name.to_string(),
            reason: close.reason,
            lasted: close.lasted,
            lines_in: close.lines_in,
            bytes_out: close.bytes_out,
        }));
    }

    /// Corrects how much of its input is kept of the session that was heard last.
    #[cfg(test)]
    pub(crate) fn keep(&mut self, bytes: usize) {
        let mut entries = self.diary.iter_mut().rev();
        let last = entries.find_map(|entry| match entry {
            Entry::Heard { kept, .. } => Some(kept),
            _ => None,
        });
        if let Some(kept) = last {
            *kept = bytes;
        }
    }

    /// Writes down what was done for those who asked, in one turn.
    #[cfg(test)]
    pub(crate) fn note_work(&mut self, work: Work) {
        self.work = work;
    }

    /// Writes down what was done for long replies, in one flush.
    #[cfg(test)]
    pub(crate) fn note_flush_work(&mut self, work: Work) {
        self.flush_work = work;
    }

    /// How many sessions were opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    /// How many sessions were closed for `reason`.
    pub(crate) fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// How many sessions were closed.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn closed(&self) -> u64 {
        self.closed.iter().sum()
    }
}

/// Writes down that a session has taken another name. Names have no blanks, so nothing is to be escaped.
pub(crate) fn log_name(id: u64, from: &Name, to: &Name) {
    info!("name id={id} from={from} to={to}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_log;

    #[test]
    fn reasons_stand_at_their_own_index() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }

    #[test]
    fn every_open_and_close_is_counted_and_logged() {
        test_log::begin();
        let mut ledger = Ledger::default();
        for number in 1..=3 {
            let id = ledger.open("telnet", Origin::Local, 1);
            assert_eq!(id, number);
            let close = Close {
                id,
                name: &Name::guest(id),
                reason: CloseReason::Eof,
                from: Origin::Local,
                lasted: Duration::from_millis(1290),
                lines_in: 5,
                bytes_out: 6,
            };
            ledger.close(&close, 0);
        }
        assert_eq!((ledger.opened(), ledger.closed()), (3, 3));
        assert_eq!(ledger.closed_for(CloseReason::Eof), 3);
        assert_eq!(ledger.closed_for(CloseReason::Reset), 0);
        let logged = (1..=3).map(|id| test_log::Close {
            id,
            name: format!("guest{id}"),
            reason: CloseReason::Eof,
            tenths: 12,
            lines_in: 5,
            bytes_out: 6,
        });
        assert_eq!(test_log::closes(), logged.collect::<Vec<_>>());
    }
}
