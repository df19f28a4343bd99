//! What the kernel tells the server.

use std::collections::HashSet;
use std::time::Duration;

use super::{Act, SimulatedNetwork, Source};
use crate::hub::SessionId;
use crate::server::network::{Owner, Wakeup};
use crate::stream::Edge;

/// At most this many turns in a row may come to nothing.
const IDLE_TURNS_MAX: u32 = 1000;
/// A turn that waited this long for its timer did not spin.
const REAL_WAIT: Duration = Duration::from_millis(10);

impl SimulatedNetwork {
    /// Looks back at the turn that ends with a poll.
    pub(super) fn begin_turn(&mut self, timeout: Option<Duration>) {
        let now = self.clock.elapsed();
        let asleep_at = self.asleep_at.take().unwrap_or(now);
        if self.moved > 0 || now >= self.turn_at + REAL_WAIT {
            self.idle_turns = 0;
        }
        self.idle_turns += 1;
        assert!(
            self.idle_turns < IDLE_TURNS_MAX,
            "{IDLE_TURNS_MAX} turns have come to nothing"
        );
        self.moved = 0;
        self.acts.clear();
        // A turn takes its time.
        self.clock.pass(Duration::from_micros(20));
        self.turn_at = self.clock.elapsed();
        let awake_at = timeout.map(|timeout| asleep_at + timeout);
        self.leave_out(awake_at.map_or(Duration::ZERO, |at| self.turn_at.saturating_sub(at)));
        self.turn_time = self.server_time();
        for (_, client) in &self.descriptors {
            let connection = &mut self.connections[*client];
            (connection.tried, connection.tried_once_more) = (false, 0);
        }
    }

    pub(super) fn collect(&mut self, events: &mut Vec<Wakeup>) {
        events.extend(self.injected.drain(..));
        while events.len() < self.batch_max {
            let event = match self.signals.pop_front() {
                Some(signal) => Some(signal),
                None => match self.edges.pop_front() {
                    Some(source) => self.event_of(source),
                    None => break,
                },
            };
            if let Some(event) = event {
                self.moved += 1;
                events.push(event);
            }
        }
        if events.len() == self.batch_max && !self.edges.is_empty() {
            self.hit("more is ready than a batch takes");
        }
        if self.faults.spurious > 0 && self.random.percent(self.faults.spurious) {
            self.invent(events);
        }
        if !events.is_empty() {
            self.trace.note(format_args!("{events:?}"));
        }
        let (mut told, mut writable_ones) = (HashSet::new(), HashSet::new());
        for event in &*events {
            match event {
                Wakeup::Stream { owner, edge } => {
                    told.insert(*owner);
                    writable_ones.extend(edge.writable.then_some(*owner));
                }
                Wakeup::Stop => self.acts.push(Act::Stop),
                _ => {}
            }
        }
        for (_, client) in &self.descriptors {
            let connection = &mut self.connections[*client];
            if let Some(owner) = connection.owner() {
                connection.told_of |= told.contains(&owner);
                connection.blocked &= !writable_ones.contains(&owner);
            }
        }
    }

    fn event_of(&mut self, source: Source) -> Option<Wakeup> {
        self.raised.remove(&source);
        match source {
            Source::Listener(listener) => {
                (!self.queues[listener].is_empty()).then_some(Wakeup::Listener(listener))
            }
            Source::Stream(client) => {
                let connection = &self.connections[client];
                let edge = connection.edge();
                let owner = connection.owner()?;
                let tells = edge.readable || edge.writable || edge.closed || edge.urgent;
                tells.then_some(Wakeup::Stream { owner, edge })
            }
        }
    }

    /// Tells of what is not so, of what has been told already, and of those who have gone.
    fn invent(&mut self, events: &mut Vec<Wakeup>) {
        let mut flag = || self.random.percent(50);
        // That a stream has ended is never told of one that has not.
        let edge = Edge {
            readable: flag(),
            writable: flag(),
            closed: false,
            urgent: flag(),
        };
        let clients = self.descriptors.iter().map(|(_, client)| *client);
        let registered: Vec<SessionId> = clients
            .filter_map(|client| self.connections[client].registered)
            .collect();
        match self.random.within(0..=3) {
            0 if !registered.is_empty() => {
                let id = self.random.pick(&registered);
                let owner = Owner::Session(id);
                events.push(Wakeup::Stream { owner, edge });
                self.hit("spurious event");
            }
            1 if !self.stale.is_empty() => {
                let place = self.random.within(0..=self.stale.len() - 1);
                events.push(Wakeup::Stream {
                    owner: Owner::Session(self.stale[place]),
                    edge: Edge {
                        closed: true,
                        ..edge
                    },
                });
                self.hit("stale event");
            }
            2 if !events.is_empty() => {
                let event = self.random.pick(events);
                if !matches!(event, Wakeup::Stop) {
                    events.push(event);
                    self.hit("event told twice");
                }
            }
            _ => events.push(Wakeup::Listener(0)),
        }
    }
}
