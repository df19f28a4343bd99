//! Operators: a few connections over a Unix socket, each with lines that ask for something and lines that answer.
//!
//! They hold no session and hear nothing of what people say. Here is what a connection is, and what may be asked; what
//! comes of a command is decided in the loop's phase `operate`, which owns all that they may look at or change.
//!
//! Nothing that operators do keeps the chat waiting: in a turn each is read once, obeyed once and written what its
//! socket takes, and of all lists together a part is told.

mod command;
mod filter;
mod input;
mod listing;
mod operator;

use std::array;
use std::io::IoSlice;
use std::time::Instant;

use log::warn;

use crate::hub::operators::outcome::Done;
use crate::hub::Ending;
use crate::server::network::{Network, Owner};
use crate::stream::Edge;

pub(super) use command::{
    find, no_such_command, split, Command, Measure, Order, Refusal, COMMANDS,
};
pub(super) use filter::Filter;
pub(super) use input::{Line, LINE_BYTES_MAX};
pub(super) use listing::{Listing, Share};
pub(super) use operator::{Doing, Operator, Person};

/// At most 8 operators at a time.
const OPERATORS_MAX: usize = 8;

/// What one more is told.
const FULL: &str = "!! 8 operators are connected already\n";

/// All operators.
#[derive(Debug)]
pub(super) struct Control<S> {
    operators: [Option<Operator<S>>; OPERATORS_MAX],
    /// Who is looked at first in the next turn, so that lists of several take turns.
    first: usize,
}

impl<S> Default for Control<S> {
    fn default() -> Self {
        Self {
            operators: array::from_fn(|_| None),
            first: 0,
        }
    }
}

impl<S> Control<S> {
    /// Takes in an operator, unless there are 8.
    pub(super) fn admit<N: Network<Stream = S>>(
        &mut self,
        mut stream: S,
        network: &mut N,
        now: Instant,
    ) {
        let Some(slot) = self.operators.iter().position(Option::is_none) else {
            // It has been told, or it would not listen: either way nothing is kept for it.
            let _ = network.write(&mut stream, &[IoSlice::new(FULL.as_bytes())]);
            network.finish(&mut stream);
            return network.close(stream, Ending::Orderly);
        };
        if let Err(error) = network.register(&mut stream, Owner::Control(slot as u32)) {
            warn!("cannot wait for events of an operator: {error}");
            return network.close(stream, Ending::Orderly);
        }
        let peer = network.peer(&stream);
        self.operators[slot] = Some(Operator::new(stream, peer, now));
    }

    /// Tells those who watch the log what has been logged until the server ends.
    pub(super) fn tell_the_last<N: Network<Stream = S>>(&mut self, network: &mut N, now: Instant) {
        for operator in self.operators.iter_mut().flatten() {
            operator.tell_watched(now);
            operator.write(network, now);
        }
    }

    /// Answers those who wait for a rule to be saved, in `words`.
    pub(super) fn answer_saved<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        now: Instant,
        words: impl Fn(&Done) -> String,
    ) {
        for operator in self.operators.iter_mut().flatten() {
            if let Some(done) = operator.take_saved() {
                operator.tell(&format!("-- {}\n", words(&done)), now);
                operator.write(network, now);
            }
        }
    }

    /// Notes what an event hints at; the operator may be gone.
    pub(super) fn note(&mut self, slot: u32, edge: Edge) {
        let operator = self.operators.get_mut(slot as usize);
        if let Some(operator) = operator.and_then(Option::as_mut) {
            operator.note(edge);
        }
    }

    /// When there is something to be done, at the earliest.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let mut operators = self.operators.iter().flatten();
        if operators.clone().any(Operator::is_due) {
            return Some(now);
        }
        let idle = operators.clone().filter_map(Operator::idle_at).min();
        operators.next().and(idle)
    }

    /// The slots, in the order in which it is their turn.
    pub(super) fn slots(&mut self) -> impl Iterator<Item = usize> {
        let first = self.first;
        self.first = (first + 1) % OPERATORS_MAX;
        (0..OPERATORS_MAX).map(move |step| (first + step) % OPERATORS_MAX)
    }

    /// Takes the operator out whose turn it is, if they have something to be done; [`Control::put_back`] ends that.
    pub(super) fn take(&mut self, slot: usize, now: Instant) -> Option<Operator<S>> {
        let is_due = |operator: &mut Operator<S>| operator.is_due() || operator.is_done(now);
        self.operators.get_mut(slot)?.take_if(is_due)
    }

    /// Puts an operator back, or lets go of them if it is over.
    pub(super) fn put_back<N: Network<Stream = S>>(
        &mut self,
        slot: usize,
        operator: Operator<S>,
        network: &mut N,
        now: Instant,
    ) {
        if operator.is_done(now) {
            operator.close(network);
        } else if let Some(place) = self.operators.get_mut(slot) {
            *place = Some(operator);
        }
    }

    /// Bytes that wait for all of them.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let operators = self.operators.iter().flatten();
        operators.map(Operator::waiting).sum()
    }
}
