//! The limits change while sessions are there: each is held to the new ones from then on, and nobody is dropped but by
//! what a new limit itself says.

use std::cmp::Reverse;
use std::mem;
use std::time::Instant;

use crate::hub::core::Core;
use crate::hub::session::Session;
use crate::hub::Hub;
#[cfg(test)]
use crate::ledger::Entry;
use crate::limits::Limits;
use crate::rate::Rate;

impl<T> Hub<T> {
    /// Holds everybody to these limits from now on. Who is closing already keeps the time that they were given.
    pub(crate) fn set_limits(&mut self, limits: Limits, now: Instant) {
        let Self { sessions, core } = self;
        let before = mem::replace(&mut core.limits, limits);
        if before == limits {
            return;
        }
        #[cfg(test)]
        core.ledger.diary.push(Entry::Limits);
        core.rooms
            .set_limits(limits.history_kept(), limits.pace_max);
        if before.line_rate != limits.line_rate {
            core.debts
                .change_rate(before.line_rate, limits.line_rate, now);
            for session in sessions.iter_mut() {
                core.change_rate(session, before.line_rate, now);
            }
        }
        // Any deadline may be another one, and the next tick looks at all of them.
        core.rests_until = None;
        core.wake_at = Some(now);
    }
}

impl Core {
    /// A session goes on at the rate in force, and what it owes it owes at that. A pause becomes shorter where the rate
    /// says so, and no longer: who then still owes is paused again behind their next line.
    fn change_rate<T>(&mut self, session: &mut Session<T>, before: Rate, now: Instant) {
        let (rate, start) = (self.limits.line_rate, session.opened_at);
        session.bucket.change_rate(before, rate, start, now);
        let until = session.bucket.charge(rate, 0, start, now).unwrap_or(now);
        let pause = session
            .pending
            .as_mut()
            .and_then(|it| it.paused_until.as_mut());
        if let Some(paused_until) = pause.filter(|paused_until| until < **paused_until) {
            *paused_until = until;
            session.hear_until(until);
            self.pauses.push(Reverse((until, session.id)));
        }
    }
}
