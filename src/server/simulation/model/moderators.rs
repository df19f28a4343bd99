//! Those whom an operator lets moderate in the chat, what they ask for, and what `/whois` tells, in the model; and what an
//! operator sets.

use std::mem;
use std::time::Duration;

use super::jobs::Task;
use super::rooms::LOBBY;
use super::rules_file::Asker;
use super::Model;
use crate::hub::Limits;
use crate::ledger::{CloseReason, Entry};
use crate::server::simulation::script::orders::{ChatOrder, Measure, Whom, NET};

/// A pause is no silence: nobody is paused for longer than this. The model does not know when exactly.
const PAUSE_SECONDS_MAX: u64 = 5;
const DAY_SECONDS: u64 = 86_400;

impl Model {
    pub(super) fn let_moderate(&mut self, whom: &Whom, on: bool) -> Result<String, String> {
        let ids = self.sessions_of(whom)?;
        let [number] = ids[..] else {
            let count = ids.len();
            return Err(format!("{count} sessions are meant: write id=N"));
        };
        self.it(number).moderates = on;
        self.hit("operator in the chat");
        let name = &self.sessions[&number].name;
        Ok(if on {
            format!("{name} is an operator")
        } else {
            format!("{name} is no operator any more")
        })
    }

    /// What is asked for in the chat; to everybody else it is no command.
    pub(super) fn moderate(&mut self, number: u64, order: &ChatOrder) -> Result<(), String> {
        if !self.sessions[&number].moderates {
            let verb = order.verb;
            self.hit("no command for everybody");
            return Err(format!(
                "no such command: /{verb}; /help lists them, // says a slash"
            ));
        }
        let meant = self.find_or_say(&order.name)?;
        if meant == number {
            return Err("that is you".to_owned());
        }
        let address = self.sessions[&meant].address.to_string();
        let measure = Measure {
            force: false,
            whom: Whom::Id(meant),
            span: order.span,
            reason: order.reason.clone(),
        };
        let is_too_long = order.span.1.is_none_or(|seconds| seconds > DAY_SECONDS);
        let done = match order.verb {
            "kick" => {
                let close = Task::Close(CloseReason::Kicked, format!(": {}", order.reason));
                self.begin_job(vec![meant], close);
                Ok("1 session kicked".to_owned())
            }
            "unmute" => self.unmute(&measure.whom),
            _ if is_too_long => {
                Err("at most 24h here; the server's operators can do more".to_owned())
            }
            "mute" => self.mute(&measure),
            _ => self.ban(&measure),
        };
        // No address is told here, and nothing can be forced.
        let told = |words: String| {
            let words = words.replace(&address, "their address");
            let words = words.replace(", or write force", "");
            let words = words.replace(": write force", "");
            match words.split_once(&format!(" by {NET}: lift ")) {
                Some((is_muted, _)) => {
                    format!("{is_muted} with many; the server's operators can do more")
                }
                None => words,
            }
        };
        let words = done.map_err(told)?;
        self.see_done();
        self.hit("moderates in the chat");
        let (words, is_made) = (told(words), matches!(order.verb, "mute" | "ban"));
        match order.verb {
            "kick" if self.sessions[&number].is_open() => self.tell(number, &format!("-- {words}")),
            "kick" => self.hit("moderates themselves"),
            _ => self.answer_about_rule(Asker::Session(number), words, is_made),
        }
        Ok(())
    }

    /// What was begun was done at once, before what else was asked for.
    fn see_done(&mut self) {
        while self.has_jobs() {
            let Some(Entry::WorkedOff { id }) = self.diary.front() else {
                return;
            };
            let id = *id;
            self.diary.pop_front();
            self.work_off(id);
        }
    }

    /// Tells how long somebody is here, and silent.
    pub(super) fn describe(&mut self, number: u64, name: &str) -> Result<(), String> {
        let meant = self.find_or_say(name)?;
        let it = &self.sessions[&meant];
        let here = self.now.saturating_sub(it.opened_at);
        let silent = self.now.saturating_sub(it.heard_at).as_secs();
        let least = match (self.past.paced, self.past.rate_changed) {
            (false, _) => silent,
            (true, false) => silent.saturating_sub(PAUSE_SECONDS_MAX),
            (true, true) => 0,
        };
        let (name, here, dialect) = (&it.name, span(here.as_secs()), it.dialect);
        let room = &self.rooms[&it.room];
        let room = match it.room {
            LOBBY => String::new(),
            _ if room.has_key() => String::new(),
            _ => format!(", in {}", room.name),
        };
        let mut silences: Vec<String> = (least..=silent).map(span).collect();
        silences.dedup();
        let line = |silent: &String| {
            format!("-- {name}: here {here}, silent {silent}, {dialect}{room}\r\n")
        };
        let lines: Vec<String> = silences.iter().map(line).collect();
        self.hit("whois");
        match &lines[..] {
            [line] => self.tell_bytes(number, line.clone().into_bytes()),
            lines => self.tell_perhaps(number, lines),
        }
        Ok(())
    }

    /// Changes a limit, which holds at once.
    pub(super) fn set_by_operator(&mut self, key: &str, value: u64) -> Result<String, String> {
        self.change_limits();
        let mut terms = self.terms.clone();
        let limits = &mut terms.limits;
        let was = match key {
            "history-lines" => mem::replace(&mut limits.history_lines, value as usize) as u64,
            "rooms-max" => mem::replace(&mut limits.rooms_max, value as usize) as u64,
            "idle-seconds" => {
                let idle = Some(Duration::from_secs(value)).filter(|idle| !idle.is_zero());
                let was = mem::replace(&mut limits.idle, idle);
                was.map_or(0, |was| was.as_secs())
            }
            key => unreachable!("nobody sets {key}"),
        };
        check_together(limits)?;
        self.planned = Some(terms);
        self.hit("setting is set");
        Ok(format!(
            "{key} = {value}, was {was}; until the server stops"
        ))
    }
}

/// In its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..DAY_SECONDS => format!("{} h", seconds / 3600),
        DAY_SECONDS.. => format!("{} d", seconds / DAY_SECONDS),
    }
}

/// Some runs have limits that nobody could set, to see what comes of them.
fn check_together(limits: &Limits) -> Result<(), String> {
    let (line, floor) = (limits.line_bytes_max, 4 * limits.line_bytes_max);
    let show = |bytes: usize| match bytes {
        _ if bytes.is_multiple_of(1024) => format!("{}k", bytes / 1024),
        bytes => bytes.to_string(),
    };
    for (key, limit) in [
        ("queue-bytes-max", limits.queue.bytes_max),
        ("memory-max", limits.memory_max),
    ] {
        if limit < floor {
            let [limit, line, floor] = [limit, line, floor].map(show);
            return Err(format!(
                "{key}: {limit} is too little for line-bytes-max {line}, at least {floor}"
            ));
        }
    }
    Ok(())
}
