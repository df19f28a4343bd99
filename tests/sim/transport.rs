//! A socket that does what the script says: it takes so many bytes, then none until a writable edge, then fails for
//! good. It also catches a hub that writes where it must not.

use std::io::{self, ErrorKind, IoSlice};

use chatd::hub::{SessionId, Sink};

/// What a write that fails for good gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Broken,
    /// Nothing taken and no error: the hub must not try for ever.
    Zero,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a socket"
)]
#[derive(Debug)]
pub(crate) struct Transport {
    /// The number by which hub, model and client know the session.
    pub(crate) number: u64,
    /// What was taken since the last look.
    pub(crate) fresh: Vec<u8>,
    /// How many bytes were taken in all.
    pub(crate) taken: usize,
    /// So much is taken before a write would block.
    pub(crate) room: usize,
    /// One write takes no more than this.
    pub(crate) bite: usize,
    /// After so many bytes every write fails.
    pub(crate) fails_after: usize,
    pub(crate) failure: Failure,
    /// So many writes are interrupted first.
    pub(crate) interrupts: usize,
    /// The last write would have blocked, and no edge was passed on since.
    pub(crate) blocked: bool,
    pub(crate) failed: bool,
    /// The hub has said that nothing more will come.
    pub(crate) finished: bool,
    /// The session is closed: whatever is written now is one byte too many.
    pub(crate) shut: bool,
    pub(crate) partial_writes: u64,
    pub(crate) interrupted_writes: u64,
    pub(crate) blocks: u64,
}

impl Transport {
    /// One that takes all.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            fresh: Vec::new(),
            taken: 0,
            room: usize::MAX,
            bite: usize::MAX,
            fails_after: usize::MAX,
            failure: Failure::Broken,
            interrupts: 0,
            blocked: false,
            failed: false,
            finished: false,
            shut: false,
            partial_writes: 0,
            interrupted_writes: 0,
            blocks: 0,
        }
    }

    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let number = self.number;
        assert!(!self.shut, "{number} is closed and gets a byte");
        assert!(!self.finished, "{number} gets a byte behind the last one");
        assert!(!self.failed, "{number} is written to after it failed");
        assert!(!self.blocked, "{number} is written to without an edge");
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(offered > 0, "{number} is written nothing");
        if self.interrupts > 0 {
            self.interrupts -= 1;
            self.interrupted_writes += 1;
            return Err(ErrorKind::Interrupted.into());
        }
        if self.taken >= self.fails_after {
            self.failed = true;
            return match self.failure {
                Failure::Broken => Err(ErrorKind::BrokenPipe.into()),
                Failure::Zero => Ok(0),
            };
        }
        let taken = offered
            .min(self.room)
            .min(self.bite)
            .min(self.fails_after - self.taken);
        if taken == 0 {
            self.blocked = true;
            self.blocks += 1;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.partial_writes += u64::from(taken < offered);
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        self.fresh.extend(bytes.take(taken));
        self.taken += taken;
        if self.room != usize::MAX {
            self.room -= taken;
        }
        Ok(taken)
    }

    pub(crate) fn finish(&mut self) {
        assert!(!self.shut, "{} is finished when closed", self.number);
        assert!(!self.finished, "{} is finished twice", self.number);
        self.finished = true;
    }
}

/// All sockets, as the hub writes to them.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// Those that failed for good.
    pub(crate) failed: Vec<u64>,
}

impl Sink<Transport> for Sockets {
    fn write(
        &mut self,
        _id: SessionId,
        transport: &mut Transport,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let outcome = transport.write(slices);
        if transport.failed {
            self.failed.push(transport.number);
        }
        outcome
    }

    fn finish(&mut self, transport: &mut Transport) {
        transport.finish();
    }
}
