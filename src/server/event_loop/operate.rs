//! What operators ask for, and what comes of it.

use std::time::Instant;

use log::{debug, info};

use super::{EventLoop, Shutdown};
use crate::fields::{Value, LOG_TARGET};
use crate::hub::rules::pattern::Pattern;
use crate::log::Watch;
use crate::server::control::{
    find, no_such_command, split, Command, Doing, Filter, Line, Listing, Operator, Person, Refusal,
    Share, COMMANDS, LINE_BYTES_MAX,
};
use crate::server::network::Network;
use crate::settings::Changed;

/// What comes of a command.
pub(super) enum Answer {
    /// It is done: lines of data, then what the last line says.
    Done(String, String),
    /// What else there is to be done for the operator, who is answered by and by.
    Begun(Doing),
    /// It was the last one.
    Leave(String),
}

impl Answer {
    pub(super) fn done(words: impl Into<String>) -> Self {
        Self::Done(String::new(), words.into())
    }
}

impl<N: Network> EventLoop<N> {
    /// Does for each operator what one turn has for them: reads once, obeys one line, goes on with a list or the log, and
    /// writes what their socket takes.
    pub(super) fn operate(&mut self, now: Instant) {
        self.reload_if_wanted(now);
        let mut share = Share::of_a_turn();
        for slot in self.control.slots() {
            let Some(mut operator) = self.control.take(slot, now) else {
                continue;
            };
            operator.read(&mut self.network, &mut self.buffer, now);
            if let Some(line) = operator.next_line(now) {
                self.handle_line(&mut operator, line, now);
            }
            self.go_on(&mut operator, &mut share, now);
            operator.write(&mut self.network, now);
            self.control
                .put_back(slot, operator, &mut self.network, now);
        }
    }

    /// Obeys one line, and answers it, or begins to.
    fn handle_line(&mut self, operator: &mut Operator<N::Stream>, line: Line, now: Instant) {
        let text = match line {
            Line::Whole(text) => text,
            Line::NoText => return operator.tell("!! not UTF-8\n", now),
            Line::TooLong(bytes) => {
                let words = format!("!! line too long: {bytes} bytes, at most {LINE_BYTES_MAX}\n");
                return operator.tell(&words, now);
            }
        };
        #[cfg(test)]
        self.note_operated(&operator.person, &text);
        let (outcome, only_looks) = self.obey_line(operator, &text, now);
        log_line(&operator.person, &text, outcome.is_ok(), only_looks);
        match outcome {
            Ok(Answer::Done(lines, words)) => {
                operator.tell(&lines, now);
                operator.tell(&format!("-- {words}\n"), now);
            }
            Ok(Answer::Begun(doing)) => operator.doing = doing,
            Ok(Answer::Leave(words)) => {
                operator.tell(&format!("-- {words}\n"), now);
                operator.doing = Doing::Leaving;
            }
            Err(words) => operator.tell(&format!("!! {words}\n"), now),
        }
    }

    /// What comes of a line, and whether it only asks to look at something.
    fn obey_line(
        &mut self,
        operator: &mut Operator<N::Stream>,
        text: &str,
        now: Instant,
    ) -> (Result<Answer, String>, bool) {
        let (verb, rest) = split(text);
        let Some(row) = find(verb) else {
            return (Err(no_such_command(verb)), false);
        };
        let (outcome, only_looks) = match row.parse(rest) {
            Ok(command) => {
                let only_looks = command.only_looks();
                (self.obey(operator, &command, now), only_looks)
            }
            Err(refusal) => (Err(refusal), false),
        };
        (outcome.map_err(|refusal| refusal.words(row)), only_looks)
    }

    fn obey(
        &mut self,
        operator: &mut Operator<N::Stream>,
        command: &Command<'_>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        Ok(match *command {
            Command::Sessions(conditions) => {
                let filter = Filter::parse(conditions, &self.hub)?;
                Answer::Begun(Doing::Listing(Listing::sessions(filter).into()))
            }
            Command::Moderate(ref order) => self.moderate(order, &operator.person.user, now)?,
            Command::Admit(admit) => {
                self.admission.drains = !admit;
                Answer::done(if admit {
                    "newcomers are let in"
                } else {
                    "newcomers are turned away"
                })
            }
            Command::Stop { at_once } => {
                if at_once {
                    self.shutdown = Shutdown::AtOnce;
                } else if self.shutdown == Shutdown::Running {
                    self.shutdown = Shutdown::Asked;
                }
                Answer::done("stopping")
            }
            Command::Log(level) => {
                Answer::done(crate::log::level(level).map_err(Refusal::Because)?)
            }
            Command::Reload => {
                self.reload(now).map_err(Refusal::Because)?;
                Answer::done("reloaded")
            }
            Command::Settings(key) => self.list_settings(key)?,
            Command::Set { key, value } => {
                let changed = self.set(key, value, now).map_err(Refusal::Because)?;
                let Changed { key, value, was } = changed;
                Answer::done(format!(
                    "{key} = {value}, was {was}; until the server stops"
                ))
            }
            Command::Watch(level) => Answer::Begun(Doing::Watching(Watch::begin(level))),
            Command::Rooms => Answer::Begun(Doing::Listing(Listing::rooms().into())),
            Command::Names(pattern) => {
                let pattern = pattern.map(str::parse::<Pattern>).transpose();
                let pattern = pattern.map_err(|error| Refusal::Because(error.to_string()))?;
                Answer::Begun(Doing::Listing(Listing::names(pattern).into()))
            }
            Command::Keep(name) => {
                let kept = self.hub.keep_by_operator(name);
                let (name, key) = kept.map_err(|refusal| Refusal::Because(refusal.to_string()))?;
                Answer::Done(format!("key={key}\n"), format!("{name} is kept"))
            }
            Command::Unkeep(name) => {
                let name = self.hub.unkeep_by_operator(name);
                let name = name.map_err(|refusal| Refusal::Because(refusal.to_string()))?;
                Answer::done(format!("{name} is kept no more"))
            }
            Command::Stats => {
                let values = self.measure().stats();
                let lines: Vec<String> = values.iter().map(|value| format!("{value}\n")).collect();
                Answer::Done(lines.concat(), counted(values.len(), "value"))
            }
            Command::Metrics => Answer::Done(self.measure().prometheus(), "end".to_owned()),
            Command::As(user) => {
                user.clone_into(&mut operator.person.user);
                Answer::done(format!("as {user}"))
            }
            Command::Help(row) => {
                let rows = row.map_or(COMMANDS, std::slice::from_ref);
                let lines: Vec<String> = rows.iter().map(|row| row.explained() + "\n").collect();
                Answer::Done(lines.concat(), counted(rows.len(), "command"))
            }
            Command::Quit => Answer::Leave("goodbye".to_owned()),
        })
    }

    /// The settings in force, or that of this key.
    fn list_settings(&self, key: Option<&str>) -> Result<Answer, Refusal> {
        let rows = self.configuration().rows();
        let rows: Vec<_> = rows
            .filter(|row| key.is_none_or(|key| row.key == key))
            .collect();
        match key {
            Some(key) if rows.is_empty() => {
                Err(Refusal::Because(format!("no such setting: {key}")))
            }
            _ => {
                let lines: Vec<String> = rows.iter().map(|row| format!("{row}\n")).collect();
                Ok(Answer::Done(lines.concat(), counted(rows.len(), "setting")))
            }
        }
    }

    /// Goes on with what an operator is being told.
    fn go_on(&mut self, operator: &mut Operator<N::Stream>, share: &mut Share, now: Instant) {
        operator.tell_watched(now);
        let Some(listing) = operator.listing() else {
            return;
        };
        let mut lines = String::new();
        let told = listing.go_on(&self.hub, share, &mut lines, now);
        operator.tell(&lines, now);
        if let Some((count, what)) = told {
            operator.doing = Doing::Nothing;
            operator.tell(&format!("-- {}\n", counted(count, what)), now);
        }
    }
}

/// `1 session`, `2 sessions`
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// What operators did, in the log: `ops uid=0 pid=4711 as=alice command="ban ann 2d spam" outcome=done`.
fn log_line(person: &Person, command: &str, is_done: bool, only_looks: bool) {
    let (uid, pid) = match person.peer {
        Some(peer) => (peer.uid.to_string(), peer.pid.to_string()),
        None => (String::new(), String::new()),
    };
    let line = format!(
        "ops uid={} pid={} as={} command={} outcome={}",
        Value(&uid),
        Value(&pid),
        Value(&person.user),
        Value(command.trim()),
        if is_done { "done" } else { "refused" },
    );
    if only_looks {
        debug!(target: LOG_TARGET, "{line}");
    } else {
        info!(target: LOG_TARGET, "{line}");
    }
}
