//! What operators and rules do to many in the model, one session after the other.

use std::collections::BTreeSet;

use super::rooms::LOBBY;
use super::session::Session;
use super::Model;
use crate::dialect::Dialect;
use crate::ledger::CloseReason;
use crate::server::simulation::script::wire_line;

/// Something that is done to each of some sessions.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) ids: BTreeSet<u64>,
    pub(crate) task: Task,
}

#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// It is closed, and told why.
    Close(CloseReason, String),
    Judge,
    Tell(String),
    MakeGuest,
    /// It is sent to the lobby from this room, which is closed for this reason.
    SendToLobby(u64, String),
}

/// What is done to many.
impl Model {
    pub(crate) fn begin_job(&mut self, ids: Vec<u64>, task: Task) {
        let ids = ids.into_iter().collect();
        self.jobs.push_back(Job { ids, task });
    }

    /// The open sessions that are meant, in the order of their slots.
    pub(crate) fn meant(&self, is_meant: impl Fn(&Session) -> bool) -> Vec<u64> {
        let open = self.sessions.iter();
        let mut meant: Vec<(usize, u64)> = open
            .filter(|(_, it)| it.is_open() && is_meant(it))
            .map(|(number, it)| (it.slot, *number))
            .collect();
        meant.sort_unstable();
        meant.into_iter().map(|(_, number)| number).collect()
    }

    /// Forgets jobs of which nobody is left.
    fn drop_jobs(&mut self) {
        while let Some(job) = self.jobs.front() {
            let is_open = |number: &u64| self.sessions.get(number).is_some_and(Session::is_open);
            if job.ids.iter().any(is_open) {
                return;
            }
            self.jobs.pop_front();
        }
    }

    pub(super) fn has_jobs(&mut self) -> bool {
        self.drop_jobs();
        !self.jobs.is_empty()
    }

    /// Nothing that was begun is left to be done.
    pub(crate) fn check_jobs_are_done(&mut self) {
        self.drop_jobs();
        assert!(self.jobs.is_empty(), "not done: {:?}", self.jobs);
    }

    /// What was to be done to many was done to this one.
    pub(super) fn work_off(&mut self, number: u64) {
        self.drop_jobs();
        if self.jobs.is_empty() {
            // A rule has ended.
            self.tick();
            self.drop_jobs();
        }
        let job = self.jobs.front_mut().expect("somebody began it");
        let (task, was_meant) = (job.task.clone(), job.ids.remove(&number));
        assert!(was_meant, "{task:?} was not for {number}");
        match task {
            Task::Close(reason, why) => {
                let paused = !self.typed[self.sessions[&number].client].is_done();
                if self.sessions[&number].due.range().1 > 0 {
                    self.hit("closed by an operator before all is heard");
                }
                if paused {
                    self.hit("closed by an operator before all is said");
                }
                let words = match reason {
                    CloseReason::Kicked => "kicked",
                    _ => "banned",
                };
                self.close_for(number, reason, words, &why);
            }
            Task::Judge => self.judge(number),
            Task::Tell(words) => {
                let words = format!("an operator tells you: {words}");
                self.tell_unasked(number, &words);
            }
            Task::MakeGuest => self.name_by_operator(number, None),
            Task::SendToLobby(room, why) => self.send_to_lobby(number, room, &why),
        }
    }

    pub(crate) fn name_by_operator(&mut self, number: u64, name: Option<&str>) {
        let name = name.map_or_else(|| format!("guest{number}"), str::to_owned);
        self.call(number, &name);
        match self.sessions[&number].dialect {
            Dialect::Telnet => self.tell(number, &format!("-- an operator named you {name}")),
            Dialect::Wire => {
                let line = wire_line("NAME", &[&name]) + "\n";
                self.tell_bytes(number, line.into_bytes());
            }
            other => unreachable!("nobody here speaks {other}"),
        }
        self.hit("named by an operator");
    }

    fn send_to_lobby(&mut self, number: u64, room: u64, why: &str) {
        if self.sessions[&number].room != room {
            return;
        }
        let name = self.rooms[&room].name.clone();
        let it = self.it(number);
        it.due.settle();
        it.unheard = false;
        match it.dialect {
            Dialect::Telnet => {
                let line = format!("-- {name} is closed: {why}; you are in lobby");
                self.tell(number, &line);
            }
            Dialect::Wire => {
                let line = wire_line("JOIN", &["lobby"]) + "\n";
                self.tell_bytes(number, line.into_bytes());
            }
            other => unreachable!("nobody here speaks {other}"),
        }
        self.move_to(number, LOBBY);
        self.hit("sent to the lobby");
    }
}
