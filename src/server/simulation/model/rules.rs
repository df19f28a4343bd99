//! Rules in the model: bans, mutes and forbidden names, whom they meet, and what those are told.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::jobs::{Job, Task};
use super::prefs::calendar;
use super::words::{class_of, refusal};
use super::Model;
use crate::dialect::Dialect;
use crate::ledger::CloseReason;
use crate::server::simulation::script::orders::{NET, PATTERNS};
use crate::server::simulation::script::{room_class, wire_line, Item};

/// A rule that is over is kept for so long.
const KEPT_SECONDS: u64 = 86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ban,
    Mute,
    Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Address(IpAddr),
    /// All from [`NET`].
    Net,
    Session(u64),
    Pattern(&'static str),
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    /// In seconds since 1970.
    pub(crate) until: Option<u64>,
    /// Who was meant, by the name of that time.
    pub(crate) name: String,
    pub(crate) reason: String,
    /// It was seen that its time is over.
    is_over: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Rules {
    all: BTreeMap<u64, Rule>,
    /// The number that was given last.
    pub(crate) last: u64,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Mute => "mute",
            Self::Name => "name",
        }
    }
}

impl Target {
    pub(crate) fn meets(self, address: IpAddr) -> bool {
        match self {
            Self::Address(target) => target == address,
            Self::Net => !address.is_loopback(),
            Self::Session(_) | Self::Pattern(_) => false,
        }
    }

    pub(crate) fn shown(self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Net => NET.to_owned(),
            Self::Pattern(pattern) => pattern.to_owned(),
            Self::Session(_) => unreachable!("a session is shown by its name"),
        }
    }
}

impl Rule {
    pub(crate) fn new(
        kind: Kind,
        target: Target,
        until: Option<u64>,
        name: String,
        reason: String,
    ) -> Self {
        Self {
            kind,
            target,
            until,
            name,
            reason,
            is_over: false,
        }
    }

    fn holds_at(&self, wall_seconds: u64) -> bool {
        self.until.is_none_or(|until| until > wall_seconds)
    }

    /// It is not for one session alone.
    fn is_durable(&self) -> bool {
        !matches!(self.target, Target::Session(_))
    }

    /// Until when, and why, as it stands behind what people are told.
    fn ending(&self) -> String {
        let until = self.until.map(|until| {
            let [year, month, day] = calendar(until / 86_400);
            let minutes = until / 60 % 1440;
            let (hour, minute) = (minutes / 60, minutes % 60);
            format!(" until {year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
        });
        format!("{}: {}", until.unwrap_or_default(), self.reason)
    }
}

impl Rules {
    pub(crate) fn get(&self, number: u64, wall_seconds: u64) -> Option<&Rule> {
        let rule = self.all.get(&number);
        rule.filter(|rule| rule.holds_at(wall_seconds))
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Rule> {
        self.all.remove(&number)
    }

    /// Of those in force that are meant, the one that lasts longest, and of equal ones the first.
    fn longest(&self, wall_seconds: u64, is_meant: impl Fn(&Rule) -> bool) -> Option<(u64, &Rule)> {
        let meant = self.all.iter().rev();
        let meant = meant.filter(|(_, rule)| rule.holds_at(wall_seconds) && is_meant(rule));
        let longest = meant.max_by_key(|(_, rule)| rule.until.unwrap_or(u64::MAX));
        longest.map(|(number, rule)| (*number, rule))
    }

    /// The numbers of those in force that are meant.
    pub(crate) fn in_force(&self, wall: u64, is_meant: impl Fn(&Rule) -> bool) -> Vec<u64> {
        let meant = self.all.iter();
        let meant = meant.filter(|(_, rule)| rule.holds_at(wall) && is_meant(rule));
        meant.map(|(number, _)| *number).collect()
    }

    /// A session is gone, and with it the mutes for it alone.
    pub(crate) fn end_session(&mut self, session: u64) {
        let target = Target::Session(session);
        self.all.retain(|_, rule| rule.target != target);
    }

    pub(crate) fn add(&mut self, rule: Rule) -> u64 {
        self.last += 1;
        self.all.insert(self.last, rule);
        self.last
    }

    /// What the file has of each rule that it has.
    pub(crate) fn durable(&self) -> Vec<String> {
        let durable = self.all.values().filter(|rule| rule.is_durable());
        durable
            .map(|rule| format!("{} {}", rule.kind.word(), rule.target.shown()))
            .collect()
    }

    /// Gives whether one was dropped that the file has.
    pub(crate) fn drop_old(&mut self, wall_seconds: u64) -> bool {
        let is_old = |rule: &Rule| {
            let until = rule.until.unwrap_or(u64::MAX);
            rule.is_over && until.saturating_add(KEPT_SECONDS) <= wall_seconds
        };
        let has_dropped = self
            .all
            .values()
            .any(|rule| is_old(rule) && rule.is_durable());
        self.all.retain(|_, rule| !is_old(rule));
        has_dropped
    }
}

/// Whom rules meet.
impl Model {
    pub(crate) fn ban_of(&self, address: IpAddr) -> Option<&Rule> {
        let number = self.ban_number_of(address)?;
        self.rules.get(number, self.wall_seconds)
    }

    /// The number of the same.
    pub(crate) fn ban_number_of(&self, address: IpAddr) -> Option<u64> {
        if address.is_loopback() {
            return None;
        }
        let is_meant = |rule: &Rule| rule.kind == Kind::Ban && rule.target.meets(address);
        let found = self.rules.longest(self.wall_seconds, is_meant);
        found.map(|(number, _)| number)
    }

    /// What one who is turned away is told beside the reason.
    pub(crate) fn why_kept_out(&self, reason: CloseReason, address: IpAddr) -> String {
        let rule = self
            .ban_of(address)
            .filter(|_| reason == CloseReason::Banned);
        rule.map(Rule::ending).unwrap_or_default()
    }

    fn mute_of(&self, number: u64) -> Option<&Rule> {
        let address = self.sessions[&number].address;
        let is_meant = |rule: &Rule| {
            let of_address = !address.is_loopback() && rule.target.meets(address);
            rule.kind == Kind::Mute && (of_address || rule.target == Target::Session(number))
        };
        let found = self.rules.longest(self.wall_seconds, is_meant);
        found.map(|(_, rule)| rule)
    }

    fn muted_words(&self, number: u64) -> Option<String> {
        let rule = self.mute_of(number)?;
        Some(format!("you are muted{}", rule.ending()))
    }

    /// Lets a session be heard, or not, and tells it if that has changed.
    pub(crate) fn judge(&mut self, number: u64) {
        let words = self.muted_words(number);
        let was_muted = std::mem::replace(&mut self.it(number).muted, words.is_some());
        let dialect = self.sessions[&number].dialect;
        match words {
            Some(words) if !was_muted => {
                self.hit("muted");
                self.tell_bytes(number, refusal(dialect, &words, "muted"));
            }
            None if was_muted => {
                self.hit("may speak again");
                self.tell_unasked(number, "you may speak again");
            }
            _ => {}
        }
    }

    /// A person is told at once that they are muted; a program when it wants to be heard.
    pub(crate) fn judge_newcomer_for_mutes(&mut self, number: u64) {
        match self.sessions[&number].dialect {
            Dialect::Telnet => self.judge(number),
            _ => self.it(number).muted = self.mute_of(number).is_some(),
        }
    }

    /// Tells a session something of the server's own: programs hear it that watch.
    pub(crate) fn tell_unasked(&mut self, number: u64, words: &str) {
        let it = &self.sessions[&number];
        match it.dialect {
            Dialect::Telnet => self.tell(number, &format!("-- {words}")),
            Dialect::Wire if it.watches => {
                let line = wire_line("TELL", &["chatd", words]) + "\n";
                self.tell_bytes(number, line.into_bytes());
            }
            _ => self.tell_bytes(number, Vec::new()),
        }
    }

    pub(crate) fn may_be_heard(&mut self, number: u64) -> Result<(), String> {
        let words = self.muted_words(number);
        match words.filter(|_| self.sessions[&number].muted) {
            Some(words) => {
                self.hit("not heard");
                Err(words)
            }
            None => Ok(()),
        }
    }

    /// What is left of what a session asks for if it is muted.
    pub(crate) fn hear_muted(&mut self, number: u64, item: &Item) -> Result<Item, String> {
        let it = &self.sessions[&number];
        let is_understood = match item {
            // To everybody else it is no command.
            Item::Order(_) => it.moderates,
            item => item.is_understood(it.dialect),
        };
        if it.muted && is_understood {
            self.judge(number);
            if self.sessions[&number].muted {
                match item {
                    Item::Quit(_) => return Ok(Item::Quit(String::new())),
                    item if item.is_read_by_others() => self.may_be_heard(number)?,
                    _ => {}
                }
            }
        }
        Ok(item.clone())
    }

    /// Whether no rule forbids that somebody is called so.
    pub(crate) fn is_allowed(&mut self, name: &str) -> Result<(), String> {
        let class = class_of(name);
        self.is_free_of_patterns(name, |(_, names, _)| {
            class.is_some_and(|class| names.contains(&class))
        })
    }

    pub(crate) fn is_room_allowed(&mut self, name: &str) -> Result<(), String> {
        let class = room_class(name);
        let bare = name.trim_start_matches('#');
        self.is_free_of_patterns(bare, |(_, _, rooms)| rooms.contains(&class))
    }

    fn is_free_of_patterns(
        &mut self,
        name: &str,
        forbids: impl Fn(&(&str, &[usize], &[usize])) -> bool,
    ) -> Result<(), String> {
        let is_meant = |rule: &Rule| {
            let mut patterns = PATTERNS.iter();
            let pattern = patterns.find(|it| rule.target == Target::Pattern(it.0));
            pattern.is_some_and(&forbids)
        };
        if self.rules.in_force(self.wall_seconds, is_meant).is_empty() {
            return Ok(());
        }
        self.hit("name is forbidden");
        Err(format!("{name} is not allowed here"))
    }
}

/// Rules come and go.
impl Model {
    /// Makes a rule; gives its number.
    pub(crate) fn make_rule(
        &mut self,
        kind: Kind,
        target: Target,
        seconds: Option<u64>,
        name: String,
        reason: String,
    ) -> u64 {
        self.drop_old_rules();
        let until = seconds.map(|seconds| self.wall_seconds + seconds);
        let rule = Rule::new(kind, target, until, name, reason);
        self.note_changed(rule.is_durable());
        self.rules.add(rule)
    }

    /// Until when a rule holds, and why, as people are told.
    pub(crate) fn rule_ending(&self, number: u64) -> String {
        self.rules.all[&number].ending()
    }

    pub(crate) fn end_of(&self, number: u64) -> String {
        let Some(until) = self.rules.all[&number].until else {
            return "forever".to_owned();
        };
        let [year, month, day] = calendar(until / 86_400);
        let [hour, minute, second] = [until / 3600 % 24, until / 60 % 60, until % 60];
        format!("until {year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    pub(crate) fn lift_rules(&mut self, numbers: &[u64]) {
        let mut ends_mute = false;
        for number in numbers {
            let rule = self.rules.remove(*number).expect("it was just there");
            ends_mute |= rule.kind == Kind::Mute;
            self.note_changed(rule.is_durable());
        }
        if ends_mute {
            self.judge_muted();
        }
        self.drop_old_rules();
        self.hit("rule is lifted");
    }

    fn drop_old_rules(&mut self) {
        let has_dropped = self.rules.drop_old(self.wall_seconds);
        self.note_changed(has_dropped);
    }

    /// Something is to be written into the file.
    fn note_changed(&mut self, has_changed: bool) {
        if let Some(file) = &mut self.rules_file {
            file.changed |= has_changed;
        }
    }

    fn judge_muted(&mut self) {
        let muted = self.meant(|it| it.muted);
        self.begin_job(muted, Task::Judge);
    }

    /// Rules end by themselves whose time is over.
    pub(crate) fn end_rules(&mut self) {
        let (wall_seconds, mut ends_mute) = (self.wall_seconds, false);
        for rule in self.rules.all.values_mut() {
            if !rule.is_over && !rule.holds_at(wall_seconds) {
                rule.is_over = true;
                ends_mute |= rule.kind == Kind::Mute;
            }
        }
        if ends_mute {
            self.hit("mute ends by itself");
            self.judge_muted();
        }
    }

    /// The clock was set back: rules that were over may be in force again.
    pub(crate) fn reopen_rules(&mut self) {
        let (wall_seconds, mut is_any) = (self.wall_seconds, false);
        for rule in self.rules.all.values_mut() {
            if rule.is_over && rule.holds_at(wall_seconds) {
                rule.is_over = false;
                is_any = true;
            }
        }
        if is_any {
            self.hit("rule is in force again");
            let ids = self.sessions.keys().copied().collect();
            self.jobs.push_back(Job {
                ids,
                task: Task::Judge,
            });
        }
    }
}
