//! What carries a session: its socket, as the loop keeps it and the hub writes to it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use crate::hub::{SessionId, Sink};
use crate::server::network::Network;
use crate::stream::{Readiness, Write};

/// What carries one session.
#[derive(Debug)]
pub(in crate::server) struct Carrier<S> {
    /// `None` while the connection is broken and a page may come back.
    pub(super) stream: Option<S>,
    /// It was let in, and not only to be told why it cannot stay.
    pub(super) admitted: bool,
    /// It is on a list of those to be read exactly while this says that it is to be read.
    pub(super) readiness: Readiness,
    /// What the hub counts for what the stream keeps.
    #[cfg(feature = "tls")]
    pub(super) held: u32,
}

/// Lends the network to the hub for a flush.
pub(super) struct Writer<'a, N> {
    pub(super) turn_began_at: Instant,
    pub(super) began_at: Instant,
    pub(super) network: &'a mut N,
    #[cfg(feature = "tls")]
    pub(super) changed: &'a mut Vec<(SessionId, u32)>,
    pub(super) leaving: &'a mut VecDeque<SessionId>,
}

impl<N: Network> Sink<Carrier<N::Stream>> for Writer<'_, N> {
    fn write(
        &mut self,
        id: SessionId,
        carrier: &mut Carrier<N::Stream>,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let Some(stream) = &mut carrier.stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let written = self.network.write(stream, slices);
        #[cfg(feature = "tls")]
        {
            let held = self.network.held(stream) as u32;
            if std::mem::replace(&mut carrier.held, held) != held {
                self.changed.push((id, held));
            }
        }
        match written {
            Write::Taken(bytes) => Ok(bytes),
            Write::Blocked => Err(io::ErrorKind::WouldBlock.into()),
            Write::Broken(kind) => {
                if carrier.readiness.look_for_end() {
                    self.leaving.push_back(id);
                }
                Err(kind.into())
            }
        }
    }

    fn finish(&mut self, carrier: &mut Carrier<N::Stream>) {
        if let Some(stream) = &mut carrier.stream {
            self.network.finish(stream);
        }
    }

    #[cfg(feature = "tls")]
    fn part(&mut self, carrier: &mut Carrier<N::Stream>) {
        if let Some(stream) = &mut carrier.stream {
            self.network.finish_tls(stream);
        }
    }

    fn turn_took(&self) -> Duration {
        let now = self.network.now();
        now.saturating_duration_since(self.turn_began_at)
    }

    fn spent(&self) -> Duration {
        self.network.now().saturating_duration_since(self.began_at)
    }
}
