//! What the server calls.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::super::connection::Got;
use super::{Act, SimulatedNetwork, Source, Stream};
use crate::hub::{Ending, SessionId};
use crate::origin::Origin;
use crate::server::network::{Network, Owner, Peer, Wakeup};
#[cfg(feature = "tls")]
use crate::stream::tls::{Handshake, Identity, Version};
use crate::stream::{Read, Write};

impl Network for SimulatedNetwork {
    type Stream = Stream;

    fn now(&self) -> Instant {
        self.clock.at(self.seen_at())
    }

    fn wall_seconds(&self) -> u64 {
        self.wall_offset + self.seen_at().as_secs()
    }

    fn seed(&mut self) -> io::Result<[u8; 32]> {
        Ok(std::array::from_fn(|_| self.secrets.next() as u8))
    }

    fn poll(&mut self, events: &mut Vec<Wakeup>, timeout: Option<Duration>) -> io::Result<()> {
        if self.faults.poll {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.begin_turn(timeout);
        if self.interrupts() {
            self.hit("poll: interrupted");
            self.idle_turns = 0;
        } else {
            self.collect(events);
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Stream, Origin)> {
        assert!(self.listening, "accepts after it stopped to listen");
        if let Some(error) = self.faults.passing.pop_front() {
            self.hit("accept: passing error");
            // An error of the newcomer's own takes them off the queue.
            if error != Errno::INTR {
                if let Some(client) = self.queues[listener].pop_front() {
                    self.connections[client].close(Ending::Abrupt);
                }
            }
            self.trace.note(format_args!("accept: {error:?}"));
            return Err(error.into());
        }
        if self.queues[listener].is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let full = self.descriptors.len() >= self.descriptors_max;
        if let Some(error) = self.faults.shortage.or(full.then_some(Errno::MFILE)) {
            self.hit("accept: shortage");
            self.trace.note(format_args!("accept: {error:?}"));
            return Err(error.into());
        }
        let Some(client) = self.queues[listener].pop_front() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let descriptor = self.descriptors.insert(client);
        #[cfg(feature = "tls")]
        self.secure_accepted(client);
        self.accepts += 1;
        self.moved += 1;
        self.acts.push(Act::Accept(client));
        self.trace
            .note(format_args!("{client} is accepted as {descriptor}"));
        Ok((
            Stream { descriptor, client },
            self.connections[client].from.into(),
        ))
    }

    fn peer(&self, _: &Stream) -> Option<Peer> {
        None
    }

    fn hand_over(&mut self, stream: &mut Stream, owner: Owner) -> io::Result<()> {
        let client = stream.client;
        self.connection(stream).door = None;
        // As a session it may be read in this turn, too.
        let was_read = |act: &Act| matches!(act, Act::Read(read, _) if *read == client);
        self.acts.retain(|act| !was_read(act));
        self.register(stream, owner)
    }

    fn register(&mut self, stream: &mut Stream, owner: Owner) -> io::Result<()> {
        let client = stream.client;
        let id = match owner {
            Owner::Session(id) => id,
            Owner::Control(slot) => {
                self.connection(stream).control = Some(slot);
                self.raise(Source::Stream(client));
                return Ok(());
            }
            Owner::Door(slot) => {
                self.connection(stream).door = Some(slot);
                self.raise(Source::Stream(client));
                return Ok(());
            }
            Owner::Monitor(_) | Owner::Relay(_) => unreachable!("{owner:?}"),
        };
        if self.faults.registrations > 0 {
            self.faults.registrations -= 1;
            self.hit("register: fails");
            self.acts.push(Act::Register(client, None));
            self.trace
                .note(format_args!("{client} is not registered: no space"));
            return Err(Errno::NOSPC.into());
        }
        let connection = self.connection(stream);
        assert_eq!(connection.registered, None, "registered twice");
        connection.registered = Some(id);
        connection.ever_registered = true;
        self.acts.push(Act::Register(client, Some(id)));
        let slot = |id: SessionId| id.to_bits() >> (usize::BITS / 2);
        if self.stale.iter().any(|stale| slot(*stale) == slot(id)) {
            self.hit("slot used again");
        }
        self.raise(Source::Stream(client));
        Ok(())
    }

    fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Read {
        let client = stream.client;
        // The session that is read at the moment is read only because there was a reason to.
        let told_of = self.connection(stream).told_of;
        assert!(told_of, "{client} is read though nothing was told of it");
        let was_read = |act: &Act| matches!(act, Act::Read(read, _) if *read == client);
        assert!(
            !self.acts.iter().any(was_read),
            "{client} is read twice in a turn"
        );
        #[cfg(feature = "tls")]
        if let Some(mut secured) = self.connections[client].secured.take() {
            let read = self.read_secured(client, &mut secured, buffer);
            self.connections[client].secured = Some(secured);
            return read;
        }
        Read::by(|| self.read_once(client, buffer))
    }

    fn is_broken(&mut self, stream: &mut Stream) -> bool {
        let broken = self.connection(stream).take_break();
        let client = stream.client;
        if broken {
            self.hit("broken while paused");
            self.acts.push(Act::Broken(client));
        }
        self.trace
            .note(format_args!("{client} is broken: {broken}"));
        broken
    }

    fn write(&mut self, stream: &mut Stream, slices: &[IoSlice<'_>]) -> Write {
        let client = stream.client;
        self.connection(stream);
        self.clock.pass(self.write_cost);
        #[cfg(feature = "tls")]
        if let Some(mut secured) = self.connections[client].secured.take() {
            let written = self.write_secured(client, &mut secured, slices);
            self.connections[client].secured = Some(secured);
            return written;
        }
        Write::by(|| self.write_once(client, slices))
    }

    #[cfg(feature = "tls")]
    fn secure(&mut self, stream: &mut Stream, _: &Identity, _: bool, _: Vec<u8>) -> io::Result<()> {
        self.connection(stream);
        Ok(())
    }

    /// Its time is all that is simulated: it is over at once, and what follows is in clear.
    #[cfg(feature = "tls")]
    fn shake_hands(&mut self, stream: &mut Stream, _: &mut [u8]) -> Handshake {
        self.connection(stream);
        self.clock.pass(self.handshake_cost);
        self.handshakes += 1;
        Handshake::Done {
            version: Version::Tls13,
            bytes: 0,
        }
    }

    #[cfg(feature = "tls")]
    fn finish_tls(&mut self, stream: &mut Stream) {
        self.connection(stream);
        self.finish_secured(stream.client);
    }

    #[cfg(feature = "tls")]
    fn is_stuck(&self, stream: &Stream) -> bool {
        let secured = &self.connections[stream.client].secured;
        secured
            .as_ref()
            .is_some_and(|secured| secured.tls.is_stuck())
    }

    fn finish(&mut self, stream: &mut Stream) {
        let client = stream.client;
        #[cfg(feature = "tls")]
        self.finish_secured(client);
        self.connection(stream).finish();
        self.moved += 1;
        self.acts.push(Act::Finish(client));
        self.trace.note(format_args!("{client} is finished"));
    }

    fn close(&mut self, stream: Stream, ending: Ending) {
        let client = stream.client;
        let connection = self.connection(&stream);
        if let Some(id) = connection.registered {
            self.stale.push_front(id);
            self.stale.truncate(50);
        }
        self.connections[client].close(ending);
        self.descriptors.remove(stream.descriptor);
        self.moved += 1;
        self.acts.push(Act::Close(client, ending));
        self.trace
            .note(format_args!("{client} is closed, {ending:?}"));
    }

    fn keeps_listening(&self) -> bool {
        self.held_elsewhere
    }

    fn stop_listening(&mut self, _: &[usize]) {
        self.listening = false;
        self.edges.retain(|edge| matches!(edge, Source::Stream(_)));
        if self.held_elsewhere {
            return;
        }
        let short =
            self.faults.shortage.is_some() || self.descriptors.len() >= self.descriptors_max;
        for client in self.queues.iter_mut().flat_map(std::mem::take) {
            assert!(short, "{client} waits at the door and is not told");
            self.connections[client].close(Ending::Abrupt);
        }
    }
}

impl SimulatedNetwork {
    pub(super) fn read_once(&mut self, client: usize, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupts() {
            self.hit("read: interrupted");
            return Err(ErrorKind::Interrupted.into());
        }
        // The world goes on while the server works.
        if self.faults.repeated_edges > 0 && self.random.percent(5) {
            self.deliver(client, 10);
        }
        let got = self.connections[client].read(buffer);
        self.trace.note(format_args!("{client} reads {got:?}"));
        self.acts.push(Act::Read(client, got));
        match got {
            Got::Bytes(length) => {
                self.moved += 1;
                if length == buffer.len() {
                    self.hit("read: full buffer");
                }
                Ok(length)
            }
            Got::End => {
                self.hit("read: end");
                Ok(0)
            }
            Got::Nothing => {
                self.hit("read: nothing");
                Err(ErrorKind::WouldBlock.into())
            }
            Got::Reset => {
                self.hit("read: reset");
                Err(ErrorKind::ConnectionReset.into())
            }
        }
    }

    pub(super) fn write_once(
        &mut self,
        client: usize,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        if self.interrupts() {
            self.hit("write: interrupted");
            return Err(ErrorKind::Interrupted.into());
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let chance = self.faults.short_writes;
        let bite = if chance > 0 && self.random.percent(chance) {
            self.random.within(1..=offered.max(1))
        } else {
            usize::MAX
        };
        let outcome = self.connections[client].write(slices, bite);
        self.trace
            .note(format_args!("{client} is written {outcome:?} of {offered}"));
        match outcome {
            Some(0) => {
                self.hit("write: blocks");
                Err(ErrorKind::WouldBlock.into())
            }
            Some(taken) => {
                self.moved += 1;
                if taken < offered {
                    self.hit("write: short");
                }
                Ok(taken)
            }
            None => {
                self.connections[client].told_of = true;
                self.hit("write: broken");
                if chance > 0 && self.random.percent(20) {
                    // Nothing taken and no error: it must not be tried for ever.
                    self.hit("write: takes nothing");
                    return Ok(0);
                }
                Err(ErrorKind::BrokenPipe.into())
            }
        }
    }
}
