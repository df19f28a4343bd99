//! Monitoring: a few connections over HTTP that ask for one page each, and are no sessions.
//!
//! Each sends a request of at most 4 KiB within 5 s, is answered, and has as long again to take the answer. At most 16
//! are served at a time; the others wait where the kernel keeps them until they are accepted. In a turn each is read once
//! and written once, so nobody waits for one that is slow.

mod connection;
mod request;
#[cfg(test)]
mod tests;

use std::io;
use std::time::{Duration, Instant};

use log::warn;
use slab::Slab;

use crate::hub::Ending;
use crate::server::network::{Network, Owner};
use crate::stream::Edge;

use connection::Connection;

pub(super) use connection::Answer;
pub(super) use request::{Page, Request, Verdict};

/// At most 16 connections are served at a time.
const CONNECTIONS_MAX: usize = 16;

/// How long the next try waits after an accept that failed for want of a descriptor or memory: no edge will tell when
/// there is one again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// All connections for monitoring, and the listeners that they come by.
#[derive(Debug)]
pub(super) struct Monitor<S> {
    connections: Slab<Connection<S>>,
    /// The numbers of the listeners, each with whether connections may wait there: its edge came, and it was not emptied
    /// since.
    listeners: Vec<(usize, bool)>,
    /// Nothing is accepted before this.
    retry_at: Option<Instant>,
}

impl<S> Monitor<S> {
    /// Serves those who come by these listeners.
    pub(super) fn new(listeners: impl IntoIterator<Item = usize>) -> Self {
        let listeners = listeners.into_iter().map(|listener| (listener, false));
        Self {
            connections: Slab::new(),
            listeners: listeners.collect(),
            retry_at: None,
        }
    }

    /// The listeners that it serves.
    pub(super) fn listeners(&self) -> impl Iterator<Item = usize> + '_ {
        self.listeners.iter().map(|(listener, _)| *listener)
    }

    /// Remembers the edge of a listener; gives whether it is one of its own.
    pub(super) fn note_listener(&mut self, listener: usize) -> bool {
        let mut listeners = self.listeners.iter_mut();
        let own = listeners.find(|(own, _)| *own == listener);
        own.map(|(_, is_ready)| *is_ready = true).is_some()
    }

    /// Notes what an event hints at; the connection may be gone.
    pub(super) fn note(&mut self, slot: u32, edge: Edge) {
        if let Some(connection) = self.connections.get_mut(slot as usize) {
            connection.note(edge);
        }
    }

    /// When there is something to be done, at the earliest.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let accepts_at = self.next_ready().map(|_| self.retry_at.unwrap_or(now));
        let connections = self.connections.iter();
        let served_at = connections.map(|(_, connection)| {
            if connection.is_due() {
                now
            } else {
                connection.ends_at()
            }
        });
        served_at.chain(accepts_at).min()
    }

    /// A listener where connections may wait, if there is room for one.
    fn next_ready(&self) -> Option<usize> {
        if self.connections.len() >= CONNECTIONS_MAX {
            return None;
        }
        self.listeners.iter().position(|(_, is_ready)| *is_ready)
    }

    /// Accepts the next connection, if one waits and there is room for it; `Ok(false)` if not.
    ///
    /// # Errors
    /// If it could not be accepted. Who else waits can be, at once or in a second.
    pub(super) fn accept<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        now: Instant,
    ) -> io::Result<bool> {
        if self.retry_at.is_some_and(|at| now < at) {
            return Ok(false);
        }
        self.retry_at = None;
        let Some(ready) = self.next_ready() else {
            return Ok(false);
        };
        let (listener, is_ready) = &mut self.listeners[ready];
        match network.accept(*listener) {
            Ok((stream, _)) => {
                self.admit(stream, network, now);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *is_ready = false;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing can be accepted for want of something.
    pub(super) fn retry_later(&mut self, now: Instant) {
        self.retry_at = Some(now + RETRY_AFTER);
    }

    fn admit<N: Network<Stream = S>>(&mut self, mut stream: S, network: &mut N, now: Instant) {
        let entry = self.connections.vacant_entry();
        match network.register(&mut stream, Owner::Monitor(entry.key() as u32)) {
            Ok(()) => _ = entry.insert(Connection::new(stream, now)),
            Err(error) => {
                warn!("cannot wait for events of a connection for monitoring: {error}");
                network.close(stream, Ending::Orderly);
            }
        }
    }

    /// The slots that connections may have.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> {
        0..self.connections.capacity()
    }

    /// Reads once from a connection; gives its request when that is whole.
    pub(super) fn read<N: Network<Stream = S>>(
        &mut self,
        slot: usize,
        network: &mut N,
        buffer: &mut [u8],
    ) -> Option<Request> {
        self.connections.get_mut(slot)?.read(network, buffer)
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, slot: usize, answer: Answer, now: Instant) {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.answer(answer, now);
        }
    }

    /// Writes what a connection takes, and lets go of it when it is over.
    pub(super) fn write<N: Network<Stream = S>>(
        &mut self,
        slot: usize,
        network: &mut N,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        connection.write(network);
        if connection.is_over(now) {
            self.connections.remove(slot).close(network);
        }
    }
}
