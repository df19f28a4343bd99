//! One connection for monitoring: a request, its answer, and nothing behind that.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::request::{Request, HEAD_BYTES_MAX};
use crate::hub::Ending;
use crate::server::network::Network;
use crate::stream::{Edge, Read, Readiness, Write};

/// A request has 5 s, and so has its answer.
const STAGE_MAX: Duration = Duration::from_secs(5);

/// What is sent behind a request is dropped, but no more than this.
const DROPPED_BYTES_MAX: usize = 64 * 1024;

/// What a request is answered with.
#[derive(Debug)]
pub(in crate::server) struct Answer {
    pub(in crate::server) head: String,
    pub(in crate::server) body: Bytes,
}

/// One connection. It holds at most 4 KiB of a request, or one answer.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    readiness: Readiness,
    stage: Stage,
    /// When the stage is over at the latest.
    until: Instant,
}

#[derive(Debug)]
enum Stage {
    /// What was sent of the request.
    Asking(Vec<u8>),
    /// The request is whole, and is being looked at.
    Asked,
    Answering {
        answer: Answer,
        /// How many bytes were taken of it.
        taken: usize,
        /// The last write would have blocked, and no edge has come since.
        is_blocked: bool,
    },
    /// All is said; what is still sent is dropped, this many bytes so far. To close a socket with unread input would
    /// throw away what its peer has not received yet.
    Lingering {
        dropped: usize,
    },
    Over,
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, now: Instant) -> Self {
        Self {
            stream,
            readiness: Readiness::default(),
            stage: Stage::Asking(Vec::new()),
            until: now + STAGE_MAX,
        }
    }

    pub(super) fn note(&mut self, edge: Edge) {
        self.readiness.note(edge);
        if let Stage::Answering { is_blocked, .. } = &mut self.stage {
            // A client that has gone takes nothing, which a write tells.
            *is_blocked &= !(edge.writable || edge.closed);
        }
    }

    /// Whether there is something to be done that no edge will tell of.
    pub(super) fn is_due(&self) -> bool {
        match &self.stage {
            Stage::Asking(_) | Stage::Lingering { .. } => self.readiness.is_readable(),
            Stage::Answering { is_blocked, .. } => !is_blocked,
            Stage::Asked | Stage::Over => true,
        }
    }

    /// When it is over, whatever has come of it.
    pub(super) fn ends_at(&self) -> Instant {
        self.until
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Over) || self.until <= now
    }

    /// Reads once; gives the request when it is whole.
    pub(super) fn read<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        buffer: &mut [u8],
    ) -> Option<Request> {
        let room = match &self.stage {
            Stage::Asking(begun) => HEAD_BYTES_MAX - begun.len(),
            Stage::Lingering { .. } => buffer.len(),
            Stage::Asked | Stage::Answering { .. } | Stage::Over => return None,
        };
        if !self.readiness.is_readable() {
            return None;
        }
        let room = room.min(buffer.len());
        let read = network.read(&mut self.stream, &mut buffer[..room]);
        self.readiness.handle_read(read, room);
        match read {
            Read::Bytes(bytes) => self.push(&buffer[..bytes]),
            Read::Blocked => None,
            Read::Ended | Read::Broken(_) => {
                self.stage = Stage::Over;
                None
            }
            // There are no metrics over TLS.
            #[cfg(feature = "tls")]
            Read::Records { .. } | Read::Truncated => {
                self.stage = Stage::Over;
                None
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Option<Request> {
        match &mut self.stage {
            Stage::Asking(begun) => {
                begun.extend_from_slice(bytes);
                let request = Request::parse(begun)?;
                self.stage = Stage::Asked;
                return Some(request);
            }
            Stage::Lingering { dropped } => {
                *dropped += bytes.len();
                if *dropped > DROPPED_BYTES_MAX {
                    self.stage = Stage::Over;
                }
            }
            Stage::Asked | Stage::Answering { .. } | Stage::Over => {}
        }
        None
    }

    /// Begins to answer the request.
    pub(super) fn answer(&mut self, answer: Answer, now: Instant) {
        self.stage = Stage::Answering {
            answer,
            taken: 0,
            is_blocked: false,
        };
        self.until = now + STAGE_MAX;
    }

    /// Writes what goes without waiting.
    pub(super) fn write<N: Network<Stream = S>>(&mut self, network: &mut N) {
        let Stage::Answering {
            answer,
            taken,
            is_blocked,
        } = &mut self.stage
        else {
            return;
        };
        let head = answer.head.as_bytes();
        let bytes = head.len() + answer.body.len();
        while *taken < bytes && !*is_blocked {
            let head_taken = head.len().min(*taken);
            let slices = [
                IoSlice::new(&head[head_taken..]),
                IoSlice::new(&answer.body[*taken - head_taken..]),
            ];
            match network.write(&mut self.stream, &slices) {
                Write::Taken(more) => *taken += more,
                Write::Blocked => *is_blocked = true,
                Write::Broken(_) => {
                    self.stage = Stage::Over;
                    return;
                }
            }
        }
        if *taken == bytes {
            network.finish(&mut self.stream);
            self.stage = Stage::Lingering { dropped: 0 };
        }
    }

    /// Lets go of it.
    pub(super) fn close<N: Network<Stream = S>>(self, network: &mut N) {
        network.close(self.stream, Ending::Orderly);
    }
}
