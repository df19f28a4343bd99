//! Which nodes are alive: each renews a lease in the engine. One that has let its lease run out, and says nothing, is
//! declared dead by an entry of the log, which takes effect in its place.

use std::time::Instant;

use log::info;

use crate::fields::LOG_TARGET;
use crate::relay::data::Asked;
use crate::relay::link::Answer;
use crate::relay::node::Relay;
use crate::relay::record::{Event, NodeId};

/// The lease of a node is renewed so often while it lasts.
const RENEWALS: u32 = 3;

/// So many looks in a row must find no lease.
const LOOKS: u32 = 2;

impl Relay {
    /// This node is attached.
    pub(super) fn begin_leases(&mut self, now: Instant) {
        self.leases.judges_at = Some(now + self.options.lease);
        self.renew(now);
    }

    /// Renews the lease of this node and looks at those of the others, if it is time.
    pub(super) fn renew_lease(&mut self, now: Instant) {
        if self.leases.due_at.is_some_and(|at| at <= now) {
            self.renew(now);
            self.ask_for_leases(Asked::Leases, now);
        }
    }

    fn renew(&mut self, now: Instant) {
        let (lease, people) = (
            self.key_of("lease", self.node),
            self.key_of("people", self.node),
        );
        let (label, ms) = (
            self.options.label.clone(),
            self.options.lease.as_millis().to_string(),
        );
        let words = ["SET", &lease, &label, "PX", &ms].map(str::as_bytes);
        self.pen.ask(Asked::Done, &words, now);
        let words = ["PEXPIRE", &people, &ms].map(str::as_bytes);
        self.pen.ask(Asked::Done, &words, now);
        self.leases.due_at = Some(now + self.options.lease / RENEWALS);
    }

    /// Asks for the leases of all nodes; gives whether there are any.
    pub(super) fn ask_for_leases(&mut self, due: Asked, now: Instant) -> bool {
        self.leases.asked = self.nodes.iter().map(|(node, _)| *node).collect();
        if self.leases.asked.is_empty() {
            return false;
        }
        let keys: Vec<String> = self
            .nodes
            .iter()
            .map(|(node, _)| self.key_of("lease", *node))
            .collect();
        let words = keys.iter().map(String::as_bytes);
        let words: Vec<&[u8]> = std::iter::once(&b"MGET"[..]).chain(words).collect();
        self.pen.ask(due, &words, now);
        true
    }

    /// Those who are alive, of whom the people are to be looked at; the others are gone.
    pub(super) fn note_leases_at_first(&mut self, leases: &[Option<Box<str>>]) -> Vec<NodeId> {
        let mut alive = Vec::new();
        for (node, lease) in std::mem::take(&mut self.leases.asked)
            .into_iter()
            .zip(leases)
        {
            if lease.is_some() {
                alive.push(node);
            }
        }
        alive
    }

    /// Looks at the leases of the others.
    pub(super) fn judge(&mut self, answer: &Answer, now: Instant) {
        let Answer::Many(leases) = answer else { return };
        let may_judge = self.leases.judges_at.is_some_and(|at| at <= now);
        let mut condemned = Vec::new();
        for (id, lease) in std::mem::take(&mut self.leases.asked)
            .into_iter()
            .zip(leases)
        {
            let Some(node) = self.nodes.get_mut(id) else {
                continue;
            };
            let has_spoken = std::mem::take(&mut node.has_spoken);
            if lease.is_some() || has_spoken || !may_judge {
                node.missed = 0;
                node.is_condemned = false;
                continue;
            }
            node.missed += 1;
            if node.missed >= LOOKS && !std::mem::replace(&mut node.is_condemned, true) {
                condemned.push((id, node.label.clone()));
            }
        }
        for (id, label) in condemned {
            self.figures.verdicts += 1;
            let label = crate::fields::Value(&label);
            info!(target: LOG_TARGET, "relay verdict node={id} label={label}");
            self.ring.push(None, Event::Dead(id), true, now);
        }
    }
}
