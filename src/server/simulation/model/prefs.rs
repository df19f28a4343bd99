//! What people set for themselves, in the model: being away, ignoring, and their own view of what is said.

use std::collections::VecDeque;

use super::session::{Prefs, Session};
use super::Model;
use crate::dialect::Dialect;
use crate::server::simulation::script::{wire_line, Item};

/// What was said, for those who come later.
#[derive(Debug)]
pub(crate) struct History {
    lines_max: usize,
    /// How many were said before and with each, who said it, on which day since 1970, and how it reads with its time.
    lines: VecDeque<(u64, u64, u64, String)>,
    /// How many were ever said.
    said: u64,
}

impl History {
    pub(crate) fn new(lines_max: usize) -> Self {
        Self {
            lines_max,
            lines: VecDeque::new(),
            said: 0,
        }
    }

    /// Keeps a line that was said at `time`.
    pub(crate) fn keep(&mut self, author: u64, day: u64, time: &str, line: &str) {
        self.said += 1;
        let line = (self.said, author, day, format!("{time}{line}"));
        self.lines.push_back(line);
        while self.lines.len() > self.lines_max {
            self.lines.pop_front();
        }
    }

    pub(crate) fn said(&self) -> u64 {
        self.said
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Keeps so many lines from now on; gives whether some are forgotten for that.
    pub(crate) fn set_lines_max(&mut self, lines_max: usize) -> bool {
        let too_many = self.lines.len().saturating_sub(lines_max);
        self.lines.drain(..too_many);
        self.lines_max = lines_max;
        too_many > 0
    }
}

impl Model {
    /// The time as it stands before a line, in UTC.
    pub(crate) fn time(&self) -> String {
        let minutes = self.wall_seconds / 60 % 1440;
        format!("{:02}:{:02} ", minutes / 60, minutes % 60)
    }

    /// The day since 1970, in UTC.
    pub(crate) fn day(&self) -> u64 {
        self.wall_seconds / 86_400
    }

    /// A name in a list.
    pub(crate) fn listing(&self, number: u64) -> String {
        let it = &self.sessions[&number];
        let beside = match (it.moderates, it.prefs.away.is_some()) {
            (false, false) => "",
            (false, true) => " (away)",
            (true, false) => " (op)",
            (true, true) => " (op, away)",
        };
        format!("{}{beside}", it.name)
    }

    /// Does what concerns one person alone.
    pub(crate) fn set_pref(&mut self, number: u64, item: &Item) -> Result<(), String> {
        match item {
            Item::Away(reason) => {
                self.it(number).prefs.away = Some(reason.clone());
                self.tell(number, "-- you are away");
            }
            Item::Back => {
                self.it(number).prefs.away = None;
                self.tell(number, "-- you are back");
            }
            Item::Quiet(on) => {
                self.set(number, |prefs| prefs.quiet = *on);
                self.tell(
                    number,
                    if *on {
                        "-- quiet on: no joins, leaves and renames"
                    } else {
                        "-- quiet off"
                    },
                );
            }
            Item::Clock(on) => {
                self.set(number, |prefs| prefs.clock = *on);
                let state = if *on { "on, +00:00" } else { "off" };
                self.tell(number, &format!("-- times {state}"));
            }
            Item::History => {
                self.show_history(number, 0);
            }
            Item::Ignore(name) => self.ignore(number, name)?,
            Item::Unignore(name) => {
                let found = self.find_or_say(name)?;
                self.set(number, |prefs| {
                    prefs.ignored.retain(|ignored| *ignored != found);
                });
                let name = &self.sessions[&found].name;
                self.tell(number, &format!("-- no longer ignoring {name}"));
            }
            Item::Ignored => self.list_ignored(number),
            Item::Answer(words) => {
                let teller = self.sessions[&number].prefs.teller.clone();
                let (teller, name) =
                    teller.ok_or_else(|| "nobody has written to you".to_owned())?;
                if !self.is_open(teller) {
                    self.hit("answered too late");
                    return Err(format!("{name} has left"));
                }
                self.deliver(number, teller, words);
                let name = self.sessions[&teller].name.clone();
                self.set(number, |prefs| prefs.teller = Some((teller, name)));
                self.hit("answered");
            }
            _ => unreachable!("{item:?} is no such thing"),
        }
        Ok(())
    }

    /// What those have said in the room whom this person does not ignore, behind the first `since` lines; each line has its
    /// own time and no other one.
    pub(crate) fn show_history(&mut self, number: u64, since: u64) {
        let ignored = &self.sessions[&number].prefs.ignored;
        let lines = self.room_of(number).history.lines.iter();
        let wanted = lines.filter(|(said, author, ..)| *said > since && !ignored.contains(author));
        let today = self.day();
        let read = |(_, _, day, line): &(u64, u64, u64, String)| {
            let date = if *day == today {
                String::new()
            } else {
                date(*day)
            };
            format!("{date}{line}\r\n")
        };
        let wanted: Vec<String> = wanted.map(read).collect();
        self.tell(number, "-- earlier:");
        for line in wanted {
            self.tell_protocol(number, line.into_bytes());
        }
        self.tell(number, "-- now");
    }

    /// Changes what somebody wants to see, also of what they have not heard yet.
    fn set(&mut self, number: u64, change: impl FnOnce(&mut Prefs)) {
        let time = self.time();
        let it = self.it(number);
        change(&mut it.prefs);
        let mut due = std::mem::take(&mut it.due);
        due.see(|public| it.show(public, &time));
        it.due = due;
    }

    fn ignore(&mut self, number: u64, name: &str) -> Result<(), String> {
        let found = self.find_or_say(name)?;
        if found == number {
            return Err("that is you".to_owned());
        }
        self.set(number, |prefs| {
            if !prefs.ignored.contains(&found) {
                prefs.ignored.push(found);
            }
        });
        let name = &self.sessions[&found].name;
        self.tell(number, &format!("-- ignoring {name}"));
        Ok(())
    }

    fn list_ignored(&mut self, number: u64) {
        let ignored = self.sessions[&number].prefs.ignored.iter();
        let names: Vec<&str> = ignored
            .filter(|other| self.is_open(**other))
            .map(|other| self.sessions[other].name.as_str())
            .collect();
        let line = if names.is_empty() {
            "-- ignoring nobody".to_owned()
        } else {
            format!("-- ignoring: {}", names.join(", "))
        };
        self.tell(number, &line);
    }

    pub(crate) fn find_or_say(&self, name: &str) -> Result<u64, String> {
        self.find(name)
            .ok_or_else(|| format!("nobody here is called {name}"))
    }

    /// Says something to one person, unless they do not want to hear it.
    pub(crate) fn deliver(&mut self, number: u64, receiver: u64, words: &str) {
        let from = self.sessions[&number].name.clone();
        let to = self.sessions[&receiver].name.clone();
        let prefs = &mut self.it(receiver).prefs;
        let away = prefs.away.clone();
        if prefs.ignored.contains(&number) {
            self.hit("private, but ignored");
        } else {
            prefs.teller = Some((number, from.clone()));
            match self.sessions[&receiver].dialect {
                Dialect::Telnet => self.tell(receiver, &format!("[{from}] {words}")),
                Dialect::Wire => {
                    let line = wire_line("TELL", &[&from, words]) + "\n";
                    self.tell_bytes(receiver, line.into_bytes());
                    self.hit("private, to a program");
                }
                other => unreachable!("nobody here speaks {other}"),
            }
        }
        if self.sessions[&number].dialect == Dialect::Wire {
            return;
        }
        self.tell(number, &format!("[to {to}] {words}"));
        let Some(reason) = away else { return };
        self.hit("told of being away");
        let colon = if reason.is_empty() { "" } else { ": " };
        self.tell(number, &format!("-- {to} is away{colon}{reason}"));
    }

    fn is_open(&self, number: u64) -> bool {
        self.sessions.get(&number).is_some_and(Session::is_open)
    }
}

/// Month and day as they stand before what was said on another day.
fn date(day: u64) -> String {
    let [_, month, day] = calendar(day);
    format!("{month:02}-{day:02} ")
}

/// Year, month and day of a day since 1970.
pub(crate) fn calendar(day: u64) -> [u64; 3] {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, day);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    [year, month as u64 + 1, left + 1]
}

impl Item {
    /// How a person asks for what concerns them alone.
    pub(crate) fn spell_pref(&self) -> Option<String> {
        let switch = |on: &bool| if *on { "on" } else { "off" };
        Some(match self {
            Self::Away(reason) => format!("/away {reason}"),
            Self::Back => "/back".to_owned(),
            Self::Quiet(on) => format!("/quiet {}", switch(on)),
            Self::Clock(on) => format!("/time {}", switch(on)),
            Self::History => "/history".to_owned(),
            Self::Ignore(name) => format!("/ignore {name}"),
            Self::Unignore(name) => format!("/unignore {name}"),
            Self::Ignored => "/ignore".to_owned(),
            Self::Answer(words) => format!("/reply {words}"),
            _ => return None,
        })
    }
}
