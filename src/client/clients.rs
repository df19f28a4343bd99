//! Many clients on one poll: the sockets, the events, and whose turn it is.
//!
//! A poll first does what was asked for since the last one, then waits, then does what events and deadlines ask for;
//! each client that has something to do gets one dial, one read of at most 64 KiB, and its writes. A socket is closed
//! in the same place in which it was lent out, when its [`Connection`] does not hold it any more.
//!
//! Invariants: a client is on the work list, once, exactly while its slot says so; `wake_at` is not later than the
//! first deadline; a connection that is busy is on the work list when a poll ends.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use slab::Slab;

use crate::client::connection::Connection;
use crate::client::drive::{Buffers, Handler};
use crate::client::event::Event;
use crate::client::id::ClientId;
use crate::client::options::{Options, Target};
use crate::client::socket::ClientSocket;
use crate::stream::Edge;

/// At most this many events are taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

/// At most this much is read from one server at once.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Clients that live on one poll, in one thread.
#[derive(Debug)]
pub struct Clients {
    slots: Slab<Slot>,
    serial: u32,
    /// Clients with something to do that no edge will tell of.
    work: Vec<usize>,
    /// The work list that is worked off now; kept for its memory.
    batch: Vec<usize>,
    wake_at: Option<Instant>,
    open: usize,
    driver: Driver,
    events: Events,
}

#[derive(Debug)]
struct Slot {
    connection: Connection,
    stream: Option<ClientSocket>,
    /// It is on the work list.
    listed: bool,
}

/// What all clients share.
#[derive(Debug)]
struct Driver {
    poll: Poll,
    buffers: Buffers,
    /// Events that were told in this poll.
    told: usize,
}

impl Clients {
    /// No clients yet.
    ///
    /// # Errors
    /// If the system gives no poll.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            slots: Slab::new(),
            serial: 0,
            work: Vec::new(),
            batch: Vec::new(),
            wake_at: None,
            open: 0,
            driver: Driver {
                poll: Poll::new()?,
                buffers: Buffers {
                    input: vec![0; READ_BYTES_MAX].into(),
                    scratch: Vec::new(),
                },
                told: 0,
            },
            events: Events::with_capacity(EVENTS_MAX),
        })
    }

    /// Adds a client, which begins to connect with the next poll. What comes of it is told by events.
    pub fn dial(&mut self, target: &Target, options: Options) -> ClientId {
        self.serial = self.serial.wrapping_add(1);
        let entry = self.slots.vacant_entry();
        let id = ClientId {
            slot: entry.key(),
            serial: self.serial,
        };
        entry.insert(Slot {
            connection: Connection::new(id, target, options),
            stream: None,
            listed: true,
        });
        self.work.push(id.slot);
        self.open += 1;
        id
    }

    /// How many clients are held, the closed ones among them.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no client is held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many clients are not closed.
    pub fn open(&self) -> usize {
        self.open
    }

    /// All that are held, in the order of their index.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().map(|(_, slot)| &slot.connection)
    }

    /// A client; `None` if it was removed.
    pub fn connection(&self, id: ClientId) -> Option<&Connection> {
        let slot = self.slots.get(id.slot)?;
        (slot.connection.id() == id).then_some(&slot.connection)
    }

    /// A client to do something with: the next poll sees to it.
    pub fn connection_mut(&mut self, id: ClientId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.slot)?;
        if slot.connection.id() != id {
            return None;
        }
        if !slot.listed {
            slot.listed = true;
            self.work.push(id.slot);
        }
        Some(&mut slot.connection)
    }

    /// Forgets a client. A closed one has no socket any more; of any other the socket is closed without a word.
    pub fn remove(&mut self, id: ClientId) -> Option<Connection> {
        self.connection(id)?;
        let slot = self.slots.try_remove(id.slot)?;
        self.work.retain(|listed| *listed != id.slot);
        self.open -= usize::from(!slot.connection.is_closed());
        Some(slot.connection)
    }

    /// Does what was asked for, and waits at most for `timeout` (`None`: for ever) until something happens to a
    /// client. The handler hears of everything that does, and may do to that client what it likes. It may have heard
    /// of nothing when this returns. With no client open nothing is waited for.
    ///
    /// # Errors
    /// If the kernel does not let it wait. What happens to a client is an event, never an error.
    pub fn poll_with(
        &mut self,
        timeout: Option<Duration>,
        mut handler: impl FnMut(&mut Connection, Event<'_>),
    ) -> io::Result<()> {
        self.driver.told = 0;
        self.work_off(&mut handler);
        let timeout = if self.driver.told > 0 || !self.work.is_empty() || self.open == 0 {
            Some(Duration::ZERO)
        } else {
            let wake_at = self.wake_at.map(|at| at.saturating_duration_since(clock()));
            timeout.into_iter().chain(wake_at).min()
        };
        match self.driver.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            outcome => outcome?,
        }
        for event in &self.events {
            let Token(index) = event.token();
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            slot.connection.note(Edge::from(event));
            if !slot.listed {
                slot.listed = true;
                self.work.push(index);
            }
        }
        self.list_due();
        self.work_off(&mut handler);
        Ok(())
    }

    /// Puts those whose deadline has come on the work list.
    fn list_due(&mut self) {
        if self.wake_at.is_none() {
            return;
        }
        let now = clock();
        if self.wake_at.is_none_or(|at| now < at) {
            return;
        }
        self.wake_at = None;
        for (index, slot) in &mut self.slots {
            match slot.connection.deadline() {
                Some(at) if at <= now && !slot.listed => {
                    slot.listed = true;
                    self.work.push(index);
                }
                // A connection on the list says its deadline when its work is done.
                Some(at) if at > now => {
                    self.wake_at = self.wake_at.into_iter().chain([at]).min();
                }
                _ => {}
            }
        }
    }

    /// One step for each client on the work list; those that have more to do are listed anew.
    fn work_off(&mut self, handler: &mut Handler<'_>) {
        let mut told = 0;
        let mut handler = |connection: &mut Connection, event: Event<'_>| {
            told += 1;
            handler(connection, event);
        };
        let spare = std::mem::take(&mut self.batch);
        let mut batch = std::mem::replace(&mut self.work, spare);
        for index in batch.drain(..) {
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            let was_closed = slot.connection.is_closed();
            slot.step(&mut self.driver, &mut handler);
            self.open -= usize::from(!was_closed && slot.connection.is_closed());
            slot.listed = slot.connection.is_busy();
            if slot.listed {
                self.work.push(index);
            }
            let deadline = slot.connection.deadline();
            self.wake_at = self.wake_at.into_iter().chain(deadline).min();
        }
        self.batch = batch;
        self.driver.told += told;
    }
}

impl Slot {
    fn step(&mut self, driver: &mut Driver, handler: &mut Handler<'_>) {
        let now = clock();
        let Self {
            connection, stream, ..
        } = self;
        if let Some(name) = connection.wants_addresses(now) {
            connection.handle_addresses(name.place.resolve(), now, handler);
        }
        if let Some(address) = connection.wants_dial(now) {
            match ClientSocket::dial(address, connection, driver.poll.registry()) {
                Ok(dialled) => {
                    *stream = Some(dialled);
                    connection.handle_dialing(now);
                }
                Err(error) => connection.handle_unreachable(error.kind(), now, handler),
            }
        }
        connection.turn(stream.as_mut(), &mut driver.buffers, now, handler);
        if !connection.has_stream() {
            match stream.take() {
                Some(stream) if connection.is_abrupt() => stream.reset(),
                stream => drop(stream),
            }
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the clock of all clients is asked here and nowhere else"
)]
fn clock() -> Instant {
    Instant::now()
}
