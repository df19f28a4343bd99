//! The hub and the model compared.

use std::time::Duration;

use chatd::hub::Census;
use chatd::ledger::CloseReason;

use crate::world::World;

impl World<'_> {
    /// Compares all that can be compared between two calls.
    pub(crate) fn check(&self) {
        self.hub.check_invariants();
        let held = self.hub.census();
        assert_eq!(held, self.model.census(held.input_bytes));
        assert_eq!(self.hub.len(), self.model.sessions.len(), "sessions");
        assert_eq!(self.hub.open_sessions(), self.hub.census().open);
        assert_eq!(self.hub.has_said_enough(), self.model.has_said_enough());
        assert_eq!(self.hub.has_listed(), self.model.has_listed());
        assert_eq!(
            self.hub.only_presence_waits(),
            self.model.only_presence_waits()
        );
        assert_eq!(self.hub.lines_waiting(), self.model.happenings().count());
        assert_eq!(self.hub.has_closed(), self.model.has_closed());
        let ledger = self.hub.ledger();
        assert_eq!(ledger.opened(), self.model.opened, "opened");
        for reason in CloseReason::ALL {
            let closed = self.model.closed.get(reason.as_str()).copied();
            assert_eq!(ledger.closed_for(reason), closed.unwrap_or(0), "{reason}");
        }
        assert_eq!(
            ledger.opened(),
            ledger.closed() + (held.open + held.draining + held.lingering) as u64
        );
        for (number, client) in &self.clients {
            let has_carry = self.hub.has_carry(client.id);
            assert_eq!(
                has_carry,
                self.model.has_carry(*number),
                "carry of {number}"
            );
        }
    }

    /// Sees that an idle server would wake in time.
    pub(crate) fn check_deadline(&self) {
        if let Some(deadline) = self.model.deadline() {
            let wake_at = self.hub.wake_at().expect("there is a deadline");
            let deadline = self.outset + Duration::from_millis(deadline);
            assert!(wake_at <= deadline, "wakes {:?} late", wake_at - deadline);
        }
    }

    /// Everything is back to what it was before anybody came.
    pub(crate) fn check_nothing_left(&mut self) {
        // `wake_at` may be early, but not for longer than the longest limit, which is a minute.
        self.pass(60_000);
        self.tick();
        self.flush(usize::MAX);
        assert!(self.hub.is_empty());
        assert!(!self.hub.has_listed() && !self.hub.has_closed());
        assert_eq!(self.hub.lines_waiting(), 0);
        assert_eq!(self.hub.census(), Census::default());
        assert_eq!(self.hub.wake_at(), None);
        assert_eq!(self.hub.ledger().opened(), self.hub.ledger().closed());
    }
}
