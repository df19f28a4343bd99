//! The file of the rules in the model: what a hand did to it that the server has not seen, and what its answers say of it.

use std::time::Duration;

use super::jobs::Task;
use super::rules::{Kind, Rule, Target};
use super::words::class_of;
use super::Model;
use crate::ledger::CloseReason;
use crate::server::simulation::script::orders::PATTERNS;

/// What could not be written is tried again so often.
const RETRY: Duration = Duration::from_secs(60);

/// What a broken file is not understood for.
const WRONG: &str = "line 1: no such address: everybody";

/// What a hand did to the file.
#[derive(Debug)]
pub(crate) enum Edit {
    Added(Kind, Target, String),
    /// The rule that was added for this reason.
    TakenOut(String),
    Broken,
    Mended,
}

/// Who is answered what they did to a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    Operator(usize),
    Session(u64),
}

#[derive(Debug)]
pub(crate) struct RulesFile {
    path: String,
    is_broken: bool,
    /// What the server has not seen.
    edits: Vec<Edit>,
    /// Something is to be written.
    pub(crate) changed: bool,
    retry_at: Option<Duration>,
    /// Each is told at the end of the turn whether it is saved.
    answers: Vec<(Asker, String)>,
}

impl RulesFile {
    pub(crate) fn new(path: String) -> Self {
        Self {
            path,
            is_broken: false,
            edits: Vec::new(),
            changed: false,
            retry_at: None,
            answers: Vec::new(),
        }
    }

    /// A hand was at the file.
    pub(crate) fn note(&mut self, edit: Edit) {
        match edit {
            Edit::Broken | Edit::Mended => self.is_broken = matches!(edit, Edit::Broken),
            Edit::TakenOut(reason) => {
                let is_it = |it: &Edit| matches!(it, Edit::Added(.., why) if *why == reason);
                match self.edits.iter().position(is_it) {
                    Some(place) => _ = self.edits.remove(place),
                    None => self.edits.push(Edit::TakenOut(reason)),
                }
            }
            added => self.edits.push(added),
        }
    }
}

impl Model {
    /// A rule was made or lifted, and who asked for it is answered: where there is a file, at the end of the turn.
    pub(crate) fn answer_about_rule(&mut self, asker: Asker, words: String, is_made: bool) {
        match &mut self.rules_file {
            Some(file) => file.answers.push((asker, words)),
            None if is_made => self.tell_asker(asker, &(words + "; until the server stops")),
            None => self.tell_asker(asker, &words),
        }
    }

    fn tell_asker(&mut self, asker: Asker, words: &str) {
        match asker {
            Asker::Operator(client) => self.operators.answer(client, format!("-- {words}")),
            Asker::Session(number) => {
                let it = self.sessions.get(&number);
                if it.is_some_and(super::Session::is_open) {
                    self.tell(number, &format!("-- {words}"));
                } else {
                    self.hit("moderates themselves");
                }
            }
        }
    }

    /// The server has read what the hand did.
    pub(crate) fn follow_hand(&mut self) {
        let file = self.rules_file.as_mut().expect("a file that is followed");
        assert!(!file.is_broken, "a wrong line was understood");
        self.told_late |= self.is_saving;
        for edit in std::mem::take(&mut file.edits) {
            match edit {
                Edit::Added(kind, target, reason) => {
                    self.hit("rule by hand");
                    self.rules
                        .add(Rule::new(kind, target, None, String::new(), reason));
                }
                Edit::TakenOut(reason) => {
                    self.hit("rule is taken out by hand");
                    let is_it = |rule: &Rule| rule.reason == reason;
                    for number in self.rules.in_force(self.wall_seconds, is_it) {
                        self.rules.remove(number);
                    }
                }
                Edit::Broken | Edit::Mended => unreachable!("that is noted at once"),
            }
        }
        let all = self.sessions.keys().copied().collect();
        self.begin_job(all, Task::Judge);
        self.close_banned();
        let is_pattern = |rule: &Rule| rule.kind == Kind::Name;
        let rules = self.rules.in_force(self.wall_seconds, is_pattern);
        let patterns = rules.into_iter().filter_map(|it| {
            let Target::Pattern(pattern) = self.rules.get(it, self.wall_seconds)?.target else {
                return None;
            };
            PATTERNS.iter().find(|row| row.0 == pattern)
        });
        let classes: Vec<usize> = patterns.flat_map(|row| row.1).copied().collect();
        let is_like = |name: &str| class_of(name).is_some_and(|it| classes.contains(&it));
        let met = self.meant(|it| is_like(&it.name));
        self.begin_job(met, Task::MakeGuest);
    }

    /// Whom rules keep out, each by the rule that does so for longest.
    fn close_banned(&mut self) {
        let bans = self
            .rules
            .in_force(self.wall_seconds, |rule| rule.kind == Kind::Ban);
        for number in bans {
            let met = self.meant(|it| self.ban_number_of(it.address) == Some(number));
            let why = self.rule_ending(number);
            self.begin_job(met, Task::Close(CloseReason::Banned, why));
        }
    }

    /// At the end of a turn: what was changed is written, and who changed it is answered.
    pub(crate) fn save_rules(&mut self) {
        let Some(file) = &mut self.rules_file else {
            return;
        };
        let is_due = file.retry_at.is_some_and(|at| at <= self.now);
        if std::mem::take(&mut file.changed) || is_due {
            let has_dropped = self.rules.drop_old(self.wall_seconds);
            file.retry_at = file.is_broken.then(|| self.now + RETRY);
            file.changed = has_dropped && file.is_broken;
        }
        let ending = match file.retry_at {
            Some(_) => format!("; not saved: {}, {WRONG}", file.path),
            None => String::new(),
        };
        for (asker, words) in std::mem::take(&mut file.answers) {
            self.told_late = true;
            if !ending.is_empty() {
                self.hit("rule is not saved");
            }
            self.tell_asker(asker, &(words + &ending));
        }
    }

    /// The file has one line for each rule that may outlast the server, and nothing else but comments; unless it is to be
    /// written again later than all comes to rest.
    pub(crate) fn check_rules_file(&self, text: &str) {
        if self
            .rules_file
            .as_ref()
            .is_some_and(|it| it.retry_at.is_some())
        {
            return;
        }
        let first_two = |line: &str| {
            line.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut written: Vec<String> = lines.map(first_two).collect();
        let mut expected = self.rules.durable();
        written.sort();
        expected.sort();
        assert_eq!(written, expected, "the file of the rules");
    }
}
