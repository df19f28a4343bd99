//! Waiting: what the kernel tells the server, and when.

use std::time::Duration;

use super::super::connection::Mask;
use super::{Edge, SimulatedNetwork, World};
use crate::hub::SessionId;
use crate::server::network::Wakeup;

/// So many turns in a row may come to nothing.
const IDLE_TURNS_MAX: u32 = 1000;
/// A turn that waited so long for its timer did not spin.
const REAL_WAIT: Duration = Duration::from_millis(10);
/// When nothing has moved for so long, all is at rest: longer than every deadline of a session that closes.
const QUIET: Duration = Duration::from_secs(12);

/// Polling.
impl<W: World> SimulatedNetwork<W> {
    /// Lets the world go on until something is to be told, or the time is over.
    pub(super) fn wait(&mut self, events: &mut Vec<Wakeup>, timeout: Option<Duration>) {
        self.end_turn();
        self.timeout = timeout;
        // A turn takes its time, and the kernel rounds up to milliseconds.
        self.elapsed += Duration::from_micros(20);
        let began_at = self.elapsed;
        let until = timeout.map(|timeout| {
            self.elapsed + Duration::from_millis(timeout.as_micros().div_ceil(1000) as u64)
        });
        if self.interrupts() {
            self.hit("poll: interrupted");
            self.idle_turns = 0;
            return;
        }
        while self.act_until(began_at) {}
        loop {
            self.collect(events);
            if !events.is_empty() {
                self.trace.note(format_args!("{events:?}"));
                return;
            }
            let waits = until.is_none_or(|until| until > began_at);
            if waits && self.act_until(until.unwrap_or(Duration::MAX)) {
                continue;
            }
            let world = self.world.as_ref();
            let quiet_at = match world.and_then(|world| world.next_at(self)) {
                Some(_) => Duration::MAX,
                None => self.quiet_since.max(began_at) + QUIET,
            };
            self.at_rest = until.is_none_or(|until| until > quiet_at);
            self.moved = 0;
            let ends_at = until.map_or(quiet_at, |until| until.min(quiet_at));
            self.elapsed = self.elapsed.max(ends_at);
            if self.at_rest || self.elapsed >= began_at + REAL_WAIT {
                self.idle_turns = 0;
            }
            let micros = self.elapsed.as_micros();
            self.trace.note(format_args!("timer at {micros}"));
            return;
        }
    }

    /// Looks back at the turn that ends with this poll.
    fn end_turn(&mut self) {
        self.accepts_of_turn = self.accepts - self.accepts_before;
        self.accepts_before = self.accepts;
        self.reads_of_turn.clear();
        if self.moved > 0 {
            self.idle_turns = 0;
            self.quiet_since = self.elapsed;
        } else {
            self.idle_turns += 1;
            assert!(
                self.idle_turns < IDLE_TURNS_MAX,
                "{IDLE_TURNS_MAX} turns have come to nothing"
            );
        }
        self.moved = 0;
        self.at_rest = false;
    }

    fn act_until(&mut self, until: Duration) -> bool {
        let Some(mut world) = self.world.take() else {
            return false;
        };
        let acts = world.next_at(self).filter(|at| *at <= until);
        if let Some(at) = acts {
            self.elapsed = self.elapsed.max(at);
            world.act(self);
            self.quiet_since = self.elapsed;
        }
        self.world = Some(world);
        acts.is_some()
    }

    fn collect(&mut self, events: &mut Vec<Wakeup>) {
        while let Some(event) = self.injected.pop_front() {
            events.push(event);
        }
        while events.len() < self.batch_max {
            if let Some(signal) = self.signals.pop_front() {
                self.moved += 1;
                events.push(signal);
                continue;
            }
            let Some(edge) = self.edges.pop_front() else {
                break;
            };
            if let Some(event) = self.event_of(edge) {
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
        let mut told = Vec::new();
        for event in &*events {
            if let Wakeup::Session { id, .. } = event {
                told.push(*id);
            }
        }
        for connection in &mut self.connections {
            if connection.registered.is_some_and(|id| told.contains(&id)) {
                connection.told_of = true;
                connection.blocked = false;
            }
        }
    }

    fn event_of(&self, edge: Edge) -> Option<Wakeup> {
        match edge {
            Edge::Listener(listener) => {
                (!self.queues[listener].is_empty()).then_some(Wakeup::Listener(listener))
            }
            Edge::Stream(client) => {
                let connection = &self.connections[client];
                let mask = connection.mask();
                let id = connection.registered?;
                (!mask.is_empty()).then(|| session_event(id, mask))
            }
        }
    }

    /// Tells of what is not so, of what has been told already, and of those who have gone.
    fn invent(&mut self, events: &mut Vec<Wakeup>) {
        let mut flag = || self.random.percent(50);
        // That a stream has ended is never told of one that has not.
        let mask = Mask {
            readable: flag(),
            writable: flag(),
            closed: false,
            urgent: flag(),
        };
        let registered: Vec<SessionId> = self
            .connections
            .iter()
            .filter_map(|connection| connection.registered)
            .collect();
        match self.random.within(0..=3) {
            0 if !registered.is_empty() => {
                let id = self.random.pick(&registered);
                events.push(session_event(id, mask));
                self.hit("spurious event");
            }
            1 if !self.stale.is_empty() => {
                let place = self.random.within(0..=self.stale.len() - 1);
                let closed = true;
                events.push(session_event(self.stale[place], Mask { closed, ..mask }));
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

fn session_event(id: SessionId, mask: Mask) -> Wakeup {
    Wakeup::Session {
        id,
        edge: crate::stream::Edge {
            readable: mask.readable,
            writable: mask.writable,
            closed: mask.closed,
            urgent: mask.urgent,
        },
    }
}
