//! Kept names in the model: whose they are, and by which key.
//!
//! The model does not know what a key is before the server has told it; from then on it knows which of them is right.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::words::class_of;
use super::Model;
use crate::dialect::Dialect;
use crate::ledger::CloseReason;
use crate::server::simulation::script::wire_line;

/// At most this many names are newly kept a day from one address.
const A_DAY_MAX: u32 = 3;

/// Stands for each letter of a key that is not known yet.
pub(crate) const ANY_LETTER: u8 = 0;

/// How a key looks that is not known yet.
const UNTOLD_KEY: &str = "\0\0\0\0-\0\0\0\0-\0\0\0\0-\0\0\0\0-\0\0\0\0";

/// A name that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    name: String,
    /// Which key opens it.
    key: u64,
    /// The last day on which it was used, counted from 1970.
    used: u64,
}

/// All names that are kept, and all keys.
#[derive(Debug, Default)]
pub(crate) struct KeptNames {
    /// By a number that is never another one's.
    all: BTreeMap<u64, Kept>,
    ever: u64,
    keys_ever: u64,
    /// The keys that were told, by their number, as they were shown, with the name that each was for.
    told: BTreeMap<u64, (String, String)>,
    /// How many names were newly kept from which address, on that day.
    today: (u64, BTreeMap<IpAddr, u32>),
}

impl KeptNames {
    /// Every key that was told, void or not, with the name that it was for.
    pub(crate) fn keys(&self) -> Vec<(String, String)> {
        self.told.values().cloned().collect()
    }

    /// Whether what somebody typed is this key.
    fn is_key(&self, typed: &str, key: u64) -> bool {
        let known = self.told.get(&key);
        known.is_some_and(|(_, shown)| letters_of(typed) == letters_of(shown))
    }
}

/// The letters of a key, however it is spelled.
fn letters_of(key: &str) -> String {
    let letters = key.to_lowercase().replace('-', "");
    letters.replace('o', "0").replace(['i', 'l'], "1")
}

/// Whether it could be a key.
fn is_key(typed: &str) -> bool {
    letters_of(typed).len() == 20
}

/// The keys that a session is to be told, and what was told since the first of them was due.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    due: VecDeque<(u64, String)>,
    heard: Vec<u8>,
}

impl Secrets {
    /// Takes the keys from what was heard; gives them with their numbers and names.
    pub(crate) fn hear(&mut self, fresh: &[u8]) -> Vec<(u64, String, String)> {
        let mut told = Vec::new();
        if self.due.is_empty() {
            return told;
        }
        self.heard.extend_from_slice(fresh);
        while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            if let Some(key) = key_in(&String::from_utf8_lossy(&line)) {
                let (number, name) = self.due.pop_front().expect("a key is due");
                told.push((number, name, key));
            }
        }
        if self.due.is_empty() {
            self.heard.clear();
        }
        told
    }
}

/// The key that a line tells.
fn key_in(line: &str) -> Option<String> {
    let line = line.trim_end();
    let of_people = || line.strip_suffix(" takes it; write that down, it is shown once");
    let rest = if line.starts_with("KEPT ") {
        line
    } else {
        of_people()?
    };
    rest.rsplit(' ').next().map(str::to_owned)
}

impl Model {
    /// The name that is kept and looks like this one. If it was not used for too long and nobody has it, it is free.
    fn kept_like(&mut self, name: &str) -> Option<u64> {
        let class = class_of(name)?;
        let is_like = |(_, kept): &(&u64, &Kept)| class_of(&kept.name) == Some(class);
        let (number, kept) = self.kept.all.iter().find(is_like)?;
        let number = *number;
        let days = self.terms.limits.names_kept_days.map(u64::from);
        let is_old = days.is_some_and(|days| self.day().saturating_sub(kept.used) > days);
        if is_old && self.find(name).is_none() {
            self.kept.all.remove(&number);
            self.hit("kept name is free");
            return None;
        }
        Some(number)
    }

    fn is_kept(&mut self, number: u64) -> String {
        self.hit("name is kept");
        let name = &self.kept.all[&number].name;
        format!("{name} is kept: /name {name} KEY takes it")
    }

    /// Whether a session may be called so.
    pub(crate) fn may_be_called(&mut self, number: u64, name: &str) -> Result<(), String> {
        match self.kept_like(name) {
            Some(kept) if self.sessions[&number].owned != Some(kept) => Err(self.is_kept(kept)),
            _ => Ok(()),
        }
    }

    /// A session is called so from now on: it gives up what it had by right, unless that looks like it.
    pub(crate) fn note_called(&mut self, number: u64, name: &str) {
        let owned = self.sessions[&number].owned;
        let kept = owned.and_then(|owned| self.kept.all.get(&owned));
        if kept.is_none_or(|kept| class_of(&kept.name) != class_of(name)) {
            self.give_up_kept(number);
        }
    }

    /// A session has its name no more, which was used until today.
    pub(crate) fn give_up_kept(&mut self, number: u64) {
        let today = self.day();
        let owned = self.it(number).owned.take();
        if let Some(kept) = owned.and_then(|owned| self.kept.all.get_mut(&owned)) {
            kept.used = kept.used.max(today);
        }
    }

    pub(crate) fn keep(&mut self, number: u64) -> Result<(), String> {
        let name = self.sessions[&number].name.clone();
        if class_of(&name).is_none() {
            return Err("take a name first: /name NAME".to_owned());
        }
        let most = self.terms.limits.names_kept_max;
        if most == 0 {
            return Err("names are not kept here".to_owned());
        }
        let (today, key) = (self.day(), self.kept.keys_ever + 1);
        if let Some(kept) = self.kept_like(&name) {
            if self.sessions[&number].owned != Some(kept) {
                return Err(self.is_kept(kept));
            }
            let kept = self.kept.all.get_mut(&kept).expect("it was just there");
            (kept.key, kept.used) = (key, today);
            self.hit("new key");
        } else {
            self.count_kept(number)?;
            if self.kept.all.len() >= most {
                self.hit("no more names are kept");
                return Err("no more names can be kept".to_owned());
            }
            self.note_kept(number);
            self.kept.ever += 1;
            let used = today;
            let kept = Kept {
                name: name.clone(),
                key,
                used,
            };
            self.kept.all.insert(self.kept.ever, kept);
            self.it(number).owned = Some(self.kept.ever);
            self.hit("name is now kept");
        }
        self.kept.keys_ever = key;
        self.it(number).secrets.due.push_back((key, name.clone()));
        match self.sessions[&number].dialect {
            Dialect::Telnet => self.tell(
                number,
                &format!(
                    "-- {name} is yours while this server runs: /name {name} {UNTOLD_KEY} takes it; write that down, it is shown once"
                ),
            ),
            Dialect::Wire => {
                let line = format!("{} {UNTOLD_KEY}\n", wire_line("KEPT", &[&name]));
                self.tell_bytes(number, line.into_bytes());
            }
            other => unreachable!("nobody here speaks {other}"),
        }
        Ok(())
    }

    /// Whether one more name may be kept today from the address of a session.
    fn count_kept(&mut self, number: u64) -> Result<(), String> {
        let today = self.day();
        let (day, counts) = &mut self.kept.today;
        if *day != today {
            *day = today;
            counts.clear();
        }
        let count = counts.get(&self.sessions[&number].address).copied();
        if count.unwrap_or(0) >= A_DAY_MAX {
            self.hit("enough names kept today");
            return Err("enough names were kept from your address today".to_owned());
        }
        Ok(())
    }

    fn note_kept(&mut self, number: u64) {
        let address = self.sessions[&number].address;
        if !address.is_loopback() {
            *self.kept.today.1.entry(address).or_default() += 1;
        }
    }

    pub(crate) fn unkeep(&mut self, number: u64) -> Result<(), String> {
        let name = self.sessions[&number].name.clone();
        let Some(kept) = self.kept_like(&name) else {
            return Err(format!("{name} is not kept"));
        };
        if self.sessions[&number].owned != Some(kept) {
            return Err(self.is_kept(kept));
        }
        self.kept.all.remove(&kept);
        self.it(number).owned = None;
        self.hit("name is kept no more");
        match self.sessions[&number].dialect {
            Dialect::Telnet => self.tell(number, &format!("-- {name} is kept no more")),
            Dialect::Wire => {
                let line = wire_line("UNKEPT", &[&name]) + "\n";
                self.tell_bytes(number, line.into_bytes());
            }
            other => unreachable!("nobody here speaks {other}"),
        }
        Ok(())
    }

    /// Takes a kept name with its key: who has it is closed.
    pub(crate) fn take_kept(&mut self, number: u64, name: &str, key: &str) -> Result<(), String> {
        let Some(kept) = self.kept_like(name) else {
            if is_key(key) {
                return self.take_name(number, name);
            }
            return Err(super::words::MALFORMED_NAME.to_owned());
        };
        let Kept {
            name: kept_name,
            key: right,
            ..
        } = &self.kept.all[&kept];
        let kept_name = kept_name.clone();
        if !self.kept.is_key(key, *right) {
            self.hit("wrong key of a name");
            return Err(format!("that is not the key of {kept_name}"));
        }
        let class = class_of(name);
        let has_it = |(other, it): &(&u64, &super::Session)| {
            **other != number && it.is_open() && class_of(&it.name) == class
        };
        let holder = self.sessions.iter().find(has_it).map(|(other, _)| *other);
        self.is_allowed(name)?;
        if let Some(holder) = holder {
            self.hit("name is taken back");
            self.close(holder, CloseReason::NameTaken, "taken back");
        }
        let today = self.day();
        let used = &mut self.kept.all.get_mut(&kept).expect("it is kept").used;
        *used = today.max(*used);
        if self.sessions[&number].owned != Some(kept) {
            self.give_up_kept(number);
        }
        self.it(number).owned = Some(kept);
        self.hit("name is taken with its key");
        self.take_name(number, name)
    }

    /// Learns the keys that a session was told.
    pub(crate) fn learn_keys(&mut self, told: Vec<(u64, String, String)>) {
        for (number, name, key) in told {
            self.kept.told.insert(number, (name, key));
        }
    }
}
