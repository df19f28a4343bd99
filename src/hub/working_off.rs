//! Works off what one request does to many: some at a time, within the work of a turn.
//!
//! Sessions that have gone meanwhile are passed over: their ids are never used again.

use std::time::Instant;

use crate::dialect::event::Note;
use crate::dialect::request::Refusal;
use crate::hub::close::Parting;
use crate::hub::jobs::{Job, Task};
use crate::hub::Hub;
use crate::id::SessionId;
#[cfg(test)]
use crate::ledger::Entry;
use crate::name::Name;
use crate::work::Work;

/// At least this many are done in every turn, whatever else there is to do: a job ends.
const TURN_DONE_MIN: usize = 8;

impl<T> Hub<T> {
    /// Does something to each of these, to the first of them at once.
    pub(super) fn begin_job(&mut self, mut ids: Vec<SessionId>, task: Task, now: Instant) {
        ids.reverse();
        self.core.jobs.push_back(Job { ids, task });
        self.work_off(now);
    }

    /// Judges all sessions anew: behind what else is to be done.
    pub(super) fn judge_all(&mut self) {
        let ids = self.ids().collect();
        self.core.jobs.push_back(Job {
            ids,
            task: Task::Judge,
        });
    }

    /// Goes on with what is to be done to many, as far as this turn allows.
    pub(super) fn work_off(&mut self, now: Instant) {
        let mut done = 0;
        'jobs: while let Some(mut job) = self.core.jobs.pop_front() {
            while let Some(id) = job.ids.pop() {
                self.do_to(id, &job.task, now);
                done += 1;
                if done >= TURN_DONE_MIN && self.core.has_done_enough() {
                    self.core.jobs.push_front(job);
                    break 'jobs;
                }
            }
        }
        self.sort_names();
    }

    fn do_to(&mut self, id: SessionId, task: &Task, now: Instant) {
        self.core.work.add(Work::LOOK_UP);
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id).filter(|it| it.is_open()) else {
            return;
        };
        #[cfg(test)]
        core.ledger
            .diary
            .push(Entry::WorkedOff { id: session.number });
        match task {
            Task::Close { reason, until, why } => {
                let parting = Parting {
                    until: *until,
                    why,
                    ..Parting::from(*reason)
                };
                self.close(id, &parting, now);
            }
            Task::Judge => core.judge(session, now),
            Task::Tell(words) => core.note(session, Note::OperatorTells(words), now),
            Task::SendToLobby { room, why } => self.send_to_lobby(id, *room, why, now),
            // A guest's number is its own, so that name is free.
            Task::MakeGuest => _ = self.name_by_operator(id, None, now),
        }
    }

    /// Gives a session another name, or takes its name from it, and tells it so.
    pub(super) fn name_by_operator(
        &mut self,
        id: SessionId,
        name: Option<Name>,
        now: Instant,
    ) -> Result<(), Refusal> {
        if let Some(name) = name.clone().filter(|_| self.core.relayed.is_some()) {
            let by_operator = true;
            return self.ask_for_name(id, name, by_operator, now);
        }
        let renamed = self.with_unsorted_name(id, |core, session| {
            let name = name.unwrap_or_else(|| Name::guest(core.next_guest(session.number)));
            core.rename(session, name.clone(), now)?;
            core.note(session, Note::Named(&name), now);
            Ok(())
        });
        self.sort_names();
        renamed
    }
}
