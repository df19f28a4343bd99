//! Where the hub writes to: the sockets, as the loop (or a test) has them.

use std::io::{self, IoSlice};
use std::time::Duration;

use crate::id::SessionId;

/// What writes to the sockets.
pub(crate) trait Sink<T> {
    /// Writes as much of `slices` as goes without waiting; gives the number of bytes taken.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is taken now and an edge will tell when it is; any other error means that nothing will
    /// ever be taken again. The stream must then be read until its end.
    fn write(
        &mut self,
        id: SessionId,
        transport: &mut T,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize>;

    /// Tells the peer that nothing more will be written.
    fn finish(&mut self, transport: &mut T);

    /// The session is to be freed, and its peer has ended its own side: what is owed to that is sent if it goes.
    fn part(&mut self, transport: &mut T) {
        let _ = transport;
    }

    /// How long the turn has taken up to now.
    fn turn_took(&self) -> Duration {
        Duration::ZERO
    }

    /// How long the flush has taken up to now.
    fn spent(&self) -> Duration {
        Duration::ZERO
    }
}
