//! One connection of an operator.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::input::{Input, Line};
use super::listing::Listing;
use crate::hub::operators::outcome::Done;
use crate::hub::Ending;
use crate::log::Watch;
use crate::outbox::Outbox;
use crate::server::network::{Network, Peer};
use crate::stream::{Edge, Read, Readiness, Write};

/// While this much waits for an operator, no command of theirs is read, and no list goes on.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// At most 8 KiB are read in a turn.
pub(super) const READ_BYTES_MAX: usize = 8 * 1024;

/// An operator who sends nothing for ten minutes, and does not watch, is let go.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// At most this many slices are written at once.
const SLICES_MAX: usize = 16;

/// Who it is, for the log and the rules.
#[derive(Debug, Default)]
pub(in crate::server) struct Person {
    /// The process that connected.
    pub(in crate::server) peer: Option<Peer>,
    /// Who they say they are; empty before they do.
    pub(in crate::server) user: String,
}

/// One operator.
///
/// What they can make grow, and what bounds it:
///
/// | what | bound |
/// |---|---|
/// | `input` | a line, and what is read at once |
/// | `outbox` | 64 KiB, and what one command or one turn of a list adds |
/// | `doing`: the list of those who are to be told | 16 bytes a session |
/// | `doing`: lines of the log | 64 KiB |
#[derive(Debug)]
pub(in crate::server) struct Operator<S> {
    stream: S,
    readiness: Readiness,
    /// The last write would have blocked, and no edge has come since.
    is_blocked: bool,
    /// No byte will be taken any more, or is to be.
    is_dead: bool,
    pub(in crate::server) person: Person,
    input: Input,
    outbox: Outbox,
    pub(in crate::server) doing: Doing,
    /// When they last sent something.
    heard_at: Instant,
}

/// What an operator is being answered with.
#[derive(Debug)]
pub(in crate::server) enum Doing {
    /// Nothing: the next line is a command.
    Nothing,
    /// A list of sessions, or of rules.
    Listing(Box<Listing>),
    /// The log, until they send a line.
    Watching(Watch),
    /// What was done to a rule, as soon as it is known whether that is saved: in the same turn.
    Saving(Box<Done>),
    /// The answer was the last one.
    Leaving,
}

impl<S> Operator<S> {
    pub(super) fn new(stream: S, peer: Option<Peer>, now: Instant) -> Self {
        Self {
            stream,
            readiness: Readiness::default(),
            is_blocked: false,
            is_dead: false,
            person: Person {
                peer,
                user: String::new(),
            },
            input: Input::default(),
            outbox: Outbox::default(),
            doing: Doing::Nothing,
            heard_at: now,
        }
    }

    pub(super) fn note(&mut self, edge: Edge) {
        self.readiness.note(edge);
        // An operator who has gone takes nothing, which a write tells.
        if edge.writable || edge.closed {
            self.is_blocked = false;
        }
    }

    /// Whether there is something to be done that no edge will tell of.
    pub(super) fn is_due(&self) -> bool {
        let writes = !self.outbox.is_empty() && !self.is_blocked;
        self.is_dead || writes || self.can_go_on() || self.has_line() || self.can_read()
    }

    /// When they have been silent for too long; `None` if they may be.
    pub(super) fn idle_at(&self) -> Option<Instant> {
        let watches = matches!(self.doing, Doing::Watching(_));
        (!watches).then_some(self.heard_at + IDLE_MAX)
    }

    /// Whether it is over: they have gone, or all that they sent is answered and nothing more comes.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        let is_idle = self.idle_at().is_some_and(|at| at <= now);
        self.is_dead || is_idle || self.has_all() && self.outbox.is_empty()
    }

    fn has_all(&self) -> bool {
        match self.doing {
            Doing::Leaving => true,
            Doing::Nothing => self.input.has_ended() && !self.input.has_line(),
            Doing::Listing(_) | Doing::Watching(_) | Doing::Saving(_) => false,
        }
    }

    fn has_room(&self) -> bool {
        self.outbox.bytes() < WAITING_BYTES_MAX
    }

    /// Whether the answer that they are getting goes on.
    fn can_go_on(&self) -> bool {
        match &self.doing {
            Doing::Nothing | Doing::Saving(_) | Doing::Leaving => false,
            Doing::Listing(_) => self.has_room(),
            // What they miss is what has no room behind this.
            Doing::Watching(watch) => self.outbox.is_empty() && watch.has_lines(),
        }
    }

    /// Whether a line of theirs can be looked at.
    fn has_line(&self) -> bool {
        match self.doing {
            Doing::Nothing => self.has_room() && self.input.has_line(),
            Doing::Watching(_) => self.input.has_line() || self.input.has_ended(),
            Doing::Listing(_) | Doing::Saving(_) | Doing::Leaving => false,
        }
    }

    fn can_read(&self) -> bool {
        let wants = match self.doing {
            Doing::Nothing => self.has_room() && !self.input.has_line(),
            Doing::Watching(_) => !self.input.has_line(),
            Doing::Listing(_) | Doing::Saving(_) | Doing::Leaving => false,
        };
        wants && !self.input.has_ended() && self.readiness.is_readable()
    }

    /// Reads once, if what was read before is used up.
    pub(in crate::server) fn read<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        buffer: &mut [u8],
        now: Instant,
    ) {
        if !self.can_read() {
            return;
        }
        let room = buffer.len().min(READ_BYTES_MAX);
        let read = network.read(&mut self.stream, &mut buffer[..room]);
        self.readiness.handle_read(read, room);
        match read {
            Read::Bytes(length) => {
                self.input.push(&buffer[..length]);
                self.heard_at = now;
            }
            Read::Blocked => {}
            Read::Ended => self.input.end(),
            Read::Broken(_) => self.is_dead = true,
            // An operator speaks no TLS.
            #[cfg(feature = "tls")]
            Read::Records { .. } | Read::Truncated => self.is_dead = true,
        }
    }

    /// The next line of theirs that is to be obeyed. Who watches ends that with a line, which is not, or by going.
    pub(in crate::server) fn next_line(&mut self, now: Instant) -> Option<Line> {
        if let Doing::Watching(watch) = &self.doing {
            if self.input.has_line() || self.input.has_ended() {
                let lines = watch.take();
                self.input.next();
                self.doing = Doing::Nothing;
                self.tell(&lines, now);
                self.tell("-- watched\n", now);
            }
            return None;
        }
        while self.has_line() {
            let line = self.input.next()?;
            let is_blank = matches!(&line, Line::Whole(text) if text.trim().is_empty());
            if !is_blank {
                return Some(line);
            }
        }
        None
    }

    /// The lines of the log that they watch, if they have taken those before.
    pub(in crate::server) fn tell_watched(&mut self, now: Instant) {
        if let Doing::Watching(watch) = &self.doing {
            if self.can_go_on() {
                let lines = watch.take();
                self.tell(&lines, now);
            }
        }
    }

    /// The list that goes on, if it does.
    pub(in crate::server) fn listing(&mut self) -> Option<&mut Listing> {
        if !self.has_room() {
            return None;
        }
        match &mut self.doing {
            Doing::Listing(listing) => Some(listing),
            _ => None,
        }
    }

    /// What was done for them and has been saved by now, or not.
    pub(super) fn take_saved(&mut self) -> Option<Box<Done>> {
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Saving(done) => Some(done),
            doing => {
                self.doing = doing;
                None
            }
        }
    }

    /// Queues whole lines.
    pub(in crate::server) fn tell(&mut self, lines: &str, now: Instant) {
        self.outbox.push_copy(lines.as_bytes(), now);
    }

    /// Writes what goes without waiting.
    pub(in crate::server) fn write<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        now: Instant,
    ) {
        while !self.outbox.is_empty() && !self.is_blocked && !self.is_dead {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.outbox.slices(&mut slices);
            match network.write(&mut self.stream, &slices[..filled]) {
                Write::Taken(bytes) => self.outbox.advance(bytes, now),
                Write::Blocked => self.is_blocked = true,
                Write::Broken(_) => self.is_dead = true,
            }
        }
    }

    /// Lets go of them.
    pub(in crate::server) fn close<N: Network<Stream = S>>(mut self, network: &mut N) {
        network.finish(&mut self.stream);
        network.close(self.stream, Ending::Orderly);
    }

    /// Bytes that wait for them.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.outbox.bytes()
    }
}
