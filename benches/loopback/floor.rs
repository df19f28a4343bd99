//! The floor: what fan-out costs when there is nothing but `read` and `send`.
//!
//! It is kept as simple as it can be, for it is a measure and no server: no framing, no names, no queue, no limits. Only
//! what a socket does not take is kept, so that each client's stream stays whole and the comparison is fair.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};

use crate::load::process::raise_descriptor_limit;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_PER_TURN_MAX: usize = 1024;
/// How many connections may wait to be accepted; the kernel cuts it to its own limit.
const BACKLOG: i32 = 4096;
/// The bytes of one read at most; those of a turn are `FEED_BYTES`.
const READ_BYTES_MAX: usize = 64 * 1024;
const FEED_BYTES: usize = 4 * 1024 * 1024;

/// Told to a peer when it is accepted, so that the load knows it; never counted.
const GREETING: &[u8] = b"-- floor\r\n";

/// Runs until it is killed.
pub(super) fn run() -> io::Result<()> {
    raise_descriptor_limit();
    let mut floor = Floor::bind()?;
    println!("listening telnet://{}", floor.listener.local_addr()?);
    let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
    loop {
        floor.turn(&mut events)?;
    }
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    peers: Slab<Peer>,
    /// Peers to be read in this turn; each at most once.
    ready: Vec<usize>,
    /// What this turn brought, up to `filled`.
    feed: Box<[u8]>,
    filled: usize,
}

struct Peer {
    stream: TcpStream,
    /// Where in the feed of this turn its own bytes lie.
    own: Range<usize>,
    /// What the socket did not take; sent on the next writable edge.
    unsent: Vec<u8>,
    is_ready: bool,
    is_gone: bool,
}

impl Floor {
    fn bind() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            peers: Slab::new(),
            ready: Vec::new(),
            feed: vec![0; FEED_BYTES].into_boxed_slice(),
            filled: 0,
        })
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = (!self.ready.is_empty()).then_some(Duration::ZERO);
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            if event.token() == LISTENER {
                self.accept()?;
                continue;
            }
            let slot = event.token().0;
            let Some(peer) = self.peers.get_mut(slot) else {
                continue;
            };
            if event.is_writable() && !peer.unsent.is_empty() {
                peer.send_rest();
            }
            if event.is_readable() && !peer.is_ready {
                peer.is_ready = true;
                self.ready.push(slot);
            }
        }
        let is_anybody_gone = self.read();
        if self.filled > 0 {
            self.fan_out();
        }
        if is_anybody_gone {
            self.peers.retain(|_, peer| !peer.is_gone);
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let entry = self.peers.vacant_entry();
            self.poll.registry().register(
                &mut stream,
                Token(entry.key()),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            let peer = entry.insert(Peer {
                stream,
                own: 0..0,
                unsent: Vec::new(),
                is_ready: false,
                is_gone: false,
            });
            peer.send(GREETING);
        }
    }

    /// Reads each ready peer once; one that may have more is read again in the next turn. Tells whether anybody has gone.
    fn read(&mut self) -> bool {
        let mut is_anybody_gone = false;
        for slot in std::mem::take(&mut self.ready) {
            let Some(peer) = self.peers.get_mut(slot) else {
                continue;
            };
            let end = (self.filled + READ_BYTES_MAX).min(self.feed.len());
            let space = &mut self.feed[self.filled..end];
            if space.is_empty() {
                self.ready.push(slot);
                continue;
            }
            peer.is_ready = false;
            match peer.stream.read(space) {
                Ok(0) => peer.is_gone = true,
                Ok(taken) => {
                    peer.own = self.filled..self.filled + taken;
                    self.filled += taken;
                    // An end of stream hidden behind a short read is told by the reset that the next send provokes.
                    peer.is_ready = taken == end - peer.own.start;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => peer.is_gone = true,
            }
            if peer.is_ready {
                self.ready.push(slot);
            }
            is_anybody_gone |= peer.is_gone;
        }
        is_anybody_gone
    }

    fn fan_out(&mut self) {
        let feed = &self.feed[..self.filled];
        for (_, peer) in &mut self.peers {
            peer.send(feed);
        }
        self.filled = 0;
    }
}

impl Peer {
    /// Sends the feed without the peer's own bytes.
    fn send(&mut self, feed: &[u8]) {
        let own = std::mem::take(&mut self.own);
        let (before, after) = (&feed[..own.start], &feed[own.end..]);
        let length = before.len() + after.len();
        if length == 0 || self.is_gone {
            return;
        }
        let mut taken = 0;
        if self.unsent.is_empty() {
            let sent = if before.is_empty() {
                self.stream.write(after)
            } else if after.is_empty() {
                self.stream.write(before)
            } else {
                self.stream
                    .write_vectored(&[IoSlice::new(before), IoSlice::new(after)])
            };
            // An error other than `WouldBlock` is left to the next read, which tells it as well.
            taken = sent.unwrap_or(0);
        }
        if taken < length {
            self.unsent
                .extend_from_slice(&before[taken.min(before.len())..]);
            self.unsent
                .extend_from_slice(&after[taken.saturating_sub(before.len())..]);
        }
    }

    fn send_rest(&mut self) {
        while !self.unsent.is_empty() {
            let taken = self.stream.write(&self.unsent).unwrap_or(0);
            if taken == 0 {
                return;
            }
            self.unsent.drain(..taken);
        }
    }
}
