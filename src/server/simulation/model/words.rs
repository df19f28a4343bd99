//! What comes of what somebody says: the words that are promised in `docs/people.md` and `docs/wire.md`.

use std::rc::Rc;

use super::due::Public;
use super::session::Session;
use super::Model;
use crate::dialect::Dialect;
use crate::ledger::CloseReason;
use crate::server::simulation::script::{wire_line, wire_line_bytes_max, Item, NAMES};

/// The longest line of a list of names.
const LIST_LINE_BYTES_MAX: usize = 1000;

pub(crate) const MALFORMED_NAME: &str =
    "a name is 1 to 24 letters, digits or _ - . and begins with a letter or digit";

const HELP: &[&str] = &[
    "/name NAME [KEY]   take a name",
    "/keep   let nobody take your name but by a key, which you are shown",
    "/unkeep   let anybody take your name again",
    "/who [ROOM]   see who is here, or in another room",
    "/join ROOM [KEY]   go to another room, or make one",
    "/leave   go back to the lobby",
    "/rooms   see which rooms there are",
    "/me TEXT   say what you are doing",
    "/msg NAME TEXT   tell one person only",
    "/reply TEXT   answer who wrote to you last",
    "/whois NAME   see how long somebody is here, and silent",
    "/away [TEXT]   let it be known that you are away",
    "/back   and that you are back",
    "/ignore [NAME]   hear nothing of somebody, or see whom you ignore",
    "/unignore NAME   hear of somebody again",
    "/quiet on|off   hear nothing of who comes and goes",
    "/time on [+HH:MM]|off   see the time in every line, in UTC or so far from it",
    "/bell on|off   be rung for when you are named or written to",
    "/history [N]   see what was said before",
    "/edit [on|off]   keep your half-typed line whole, with telnet or PuTTY",
    "/help [COMMAND]   list the commands, or explain one",
    "/quit [TEXT]   leave, with a last word if you like",
];

/// What those are told beside who may moderate.
const MODERATORS_HELP: &[&str] = &[
    "/kick NAME [REASON]   close somebody's session",
    "/mute NAME TIME [REASON]   let nobody hear somebody for a while",
    "/unmute NAME   let them be heard again",
    "/ban NAME TIME [REASON]   close somebody's session and keep their address out for a while",
];

/// What is said.
impl Model {
    pub(crate) fn obey(&mut self, number: u64, item: &Item) {
        if item.is_line() {
            let it = self.it(number);
            it.lines_in += 1;
            it.interrupted = false;
        }
        let dialect = self.sessions[&number].dialect;
        let heard = self.hear_muted(number, item);
        match heard.and_then(|item| outcome(self, number, dialect, &item)) {
            Ok(()) => {}
            Err(words) => self.tell_bytes(number, refusal(dialect, &words, code_of(&words))),
        }
    }

    /// Presses Ctrl-C; the second time in a row means it.
    pub(crate) fn interrupt(&mut self, number: u64) {
        if std::mem::replace(&mut self.it(number).interrupted, true) {
            self.hit("interrupted in earnest");
            self.close(number, CloseReason::Quit, "");
        } else {
            self.tell(number, "-- Ctrl-C again, or /quit, to leave");
        }
    }

    pub(crate) fn take_name(&mut self, number: u64, name: &str) -> Result<(), String> {
        self.may_take(number, name)?;
        self.call(number, name);
        self.join(number);
        Ok(())
    }

    /// Whether a session may have this name.
    pub(crate) fn may_take(&mut self, number: u64, name: &str) -> Result<(), String> {
        self.is_allowed(name)?;
        self.may_be_called(number, name)?;
        let class = class_of(name);
        let is_taken = |(other, it): (&u64, &Session)| {
            *other != number && it.is_open() && class_of(&it.name) == class
        };
        if self.sessions.iter().any(is_taken) {
            self.hit("name taken");
            return Err(format!("{name} is taken"));
        }
        if class.is_some_and(|class| self.freed.contains(&class)) {
            self.hit("name freed and taken in one turn");
        }
        Ok(())
    }

    /// Calls a session so, which others hear who know of it.
    pub(crate) fn call(&mut self, number: u64, name: &str) {
        let from = std::mem::replace(&mut self.it(number).name, name.to_owned());
        self.freed.extend(class_of(&from));
        self.note_called(number, name);
        if !self.is_here(number) {
            return;
        }
        let (now, at) = (self.now, self.sessions[&number].room);
        let room = self.room_mut(at);
        if from != name && !room.joins.waiting.contains(&number) {
            if room.renames.is_by_name(number, now) {
                let line = format!("-- {from} is now known as {name}");
                self.announce(at, Some(number), &line, &wire_line("NOW", &[&from, name]));
            }
            self.hit("renamed");
        }
    }

    /// Tells a session what it is called.
    fn tell_name(&mut self, number: u64) {
        let name = self.sessions[&number].name.clone();
        match self.sessions[&number].dialect {
            Dialect::Telnet => self.tell(number, &format!("-- you are {name}")),
            Dialect::Wire => {
                let line = wire_line("NAME", &[&name]) + "\n";
                self.tell_bytes(number, line.into_bytes());
            }
            other => unreachable!("nobody here speaks {other}"),
        }
    }

    /// Who has this name, or one that nobody could tell apart from it.
    pub(crate) fn find(&self, name: &str) -> Option<u64> {
        let class = class_of(name);
        let mut open = self.sessions.iter().filter(|it| it.1.is_open());
        let found =
            open.find(|it| it.1.name == name || (class.is_some() && class_of(&it.1.name) == class));
        found.map(|it| *it.0)
    }

    /// Tells people in a room and those programs that watch, but the one whom it is about, who came or went.
    pub(crate) fn announce(&mut self, room: u64, about: Option<u64>, line: &str, wire: &str) {
        let [line, wire] = [format!("{line}\r\n"), format!("{wire}\n")];
        let bytes = [line.into_bytes(), Vec::new(), wire.into_bytes()];
        self.publish(
            room,
            Public {
                about,
                is_presence: true,
                bytes,
            },
        );
    }

    /// Says a line, as people and as programs hear it, to everybody but its author.
    fn say(&mut self, author: u64, line: &str, wire: String) {
        let (time, day) = (self.time(), self.day());
        let room = self.sessions[&author].room;
        let history = &mut self.room_mut(room).history;
        history.keep(author, day, &time, line);
        self.publish(
            room,
            Public {
                about: Some(author),
                is_presence: false,
                bytes: [format!("{line}\r\n"), wire.clone() + "\n", wire + "\n"]
                    .map(String::into_bytes),
            },
        );
    }

    /// Lists who is in the room of a session.
    pub(crate) fn list_here(&mut self, number: u64) {
        let room = self.sessions[&number].room;
        if self.sessions[&number].dialect == Dialect::Wire {
            let here = &self.rooms[&room].here;
            let names = here.iter().map(|it| self.sessions[it].name.as_str());
            let lines: String = names
                .map(|name| wire_line("HERE", &[name]) + "\n")
                .collect();
            let count = here.len();
            self.tell_bytes(number, format!("{lines}HERE {count}\n").into());
            return self.hit("list for a program");
        }
        let names = self.names_here(room);
        for line in list(&head_of_list(names.len()), &names, &self.listening(room)) {
            self.tell(number, &line);
        }
    }

    pub(crate) fn publish(&mut self, room: u64, public: Public) {
        let public = Rc::new(public);
        let time = self.time();
        let (mut heard, mut unwanted) = ([false; 3], 0);
        for (number, it) in &mut self.sessions {
            let is_for = it.is_open() && it.room == room && Some(*number) != public.about;
            if !is_for || public.bytes[it.hearing()].is_empty() {
                continue;
            }
            heard[it.hearing()] = true;
            let shown = it.show(&public, &time);
            unwanted += u64::from(shown.is_empty());
            it.unheard |= !shown.is_empty() && !it.blocked && !it.dead;
            it.due.push_public(&public, shown);
        }
        *self.hits.entry("unwanted line").or_default() += unwanted;
        if heard == [true; 3] {
            self.hit("all encodings have a line");
        }
        self.said = true;
    }

    /// Tells one session a line of the telnet dialect.
    pub(crate) fn tell(&mut self, number: u64, line: &str) {
        self.tell_bytes(number, format!("{line}\r\n").into_bytes());
    }

    /// Tells one session a line, as it wants to see it.
    pub(crate) fn tell_bytes(&mut self, number: u64, mut line: Vec<u8>) {
        if self.sessions[&number].prefs.clock && !line.is_empty() {
            line.splice(0..0, self.time().into_bytes());
        }
        self.tell_protocol(number, line);
    }

    /// Tells one session one of these lines, of which one may be empty: the model does not know which.
    pub(crate) fn tell_perhaps(&mut self, number: u64, lines: &[String]) {
        let time = if self.sessions[&number].prefs.clock {
            self.time()
        } else {
            String::new()
        };
        let ways = lines.iter().map(|line| match line.as_str() {
            "" => Vec::new(),
            line => [time.as_bytes(), line.as_bytes()].concat(),
        });
        let ways = ways.collect();
        self.it(number).due.push_either(ways);
    }

    /// Tells one session what its person does not see.
    pub(crate) fn tell_protocol(&mut self, number: u64, told: Vec<u8>) {
        self.it(number).due.push(told);
    }
}

pub(crate) fn refusal(dialect: Dialect, words: &str, code: &str) -> Vec<u8> {
    match dialect {
        Dialect::Telnet => format!("!! {words}\r\n"),
        Dialect::Wire => format!("{} {code}\n", wire_line("FAIL", &[words])),
        other => unreachable!("nobody here speaks {other}"),
    }
    .into_bytes()
}

/// The word by which programs know a refusal.
fn code_of(words: &str) -> &'static str {
    match words {
        "you have no text to send" => "no-text",
        "a message is one line; not sent" => "several-lines",
        _ if words.starts_with("a name is ") || words.starts_with("a room's name is ") => {
            "malformed-name"
        }
        _ if words.contains(" has a key: ")
            || words.contains(" is kept: ")
            || words.starts_with("that is not the key of ") =>
        {
            "key"
        }
        _ if words.starts_with("no such command: ") => "unknown",
        _ if words.starts_with("line too long: ") => "too-long",
        _ if words.starts_with("nobody ") => "nobody",
        _ if words.starts_with("you are muted") => "muted",
        _ if words.ends_with(" is taken") => "taken",
        _ if words.ends_with(" is reserved") => "reserved",
        _ => "not-allowed",
    }
}

/// What a chosen name shares with those that look like it.
pub(crate) fn class_of(name: &str) -> Option<usize> {
    let known = NAMES.iter().find(|known| known.0 == name);
    known.map(|known| known.1)
}

/// How a list of those who are here begins.
pub(crate) fn head_of_list(count: usize) -> String {
    match count {
        0 => "-- nobody here yet".to_owned(),
        _ => format!("-- {count} here: "),
    }
}

/// A list in as many lines as it needs.
pub(crate) fn list(head: &str, names: &[String], end: &str) -> Vec<String> {
    let mut lines = vec![head.to_owned()];
    for (place, name) in names.iter().enumerate() {
        let line = lines.last_mut().expect("there is one");
        let comma = if place > 0 { ", " } else { "" };
        if line.len() + comma.len() + name.len() > LIST_LINE_BYTES_MAX {
            lines.push(format!("-- {name}"));
        } else {
            line.push_str(comma);
            line.push_str(name);
        }
    }
    lines.last_mut().expect("there is one").push_str(end);
    lines
}

/// Does what `item` asks for; gives the reason if that cannot be.
pub(crate) fn outcome(
    model: &mut Model,
    number: u64,
    dialect: Dialect,
    item: &Item,
) -> Result<(), String> {
    let too_long = |bytes: usize, most: usize| {
        Err(format!(
            "line too long: {bytes} bytes, at most {most}; not sent"
        ))
    };
    let most = model.line_bytes_max();
    match item {
        Item::Say(words) | Item::SaySlash(words) => say(model, number, words),
        Item::Act(words) => act(model, number, dialect, words),
        Item::Name(name) => {
            model.take_name(number, name)?;
            model.tell_name(number);
        }
        Item::TakeKept(name, key) => {
            model.take_kept(number, name, key)?;
            model.tell_name(number);
        }
        Item::Keep => model.keep(number)?,
        Item::Unkeep => model.unkeep(number)?,
        Item::MalformedName(_) => {
            return Err(MALFORMED_NAME.to_owned());
        }
        Item::ReservedName(name) => return Err(format!("{name} is reserved")),
        Item::Who => model.list_here(number),
        Item::WhoIn(_)
        | Item::Rooms
        | Item::Join(..)
        | Item::Leave
        | Item::Where
        | Item::MalformedRoom(_) => model.travel(number, item)?,
        Item::Watch(on) => watch(model, number, *on),
        Item::Tell(to, words) => tell(model, number, to, words)?,
        Item::Whois(name) => model.describe(number, name)?,
        Item::Order(order) => model.moderate(number, order)?,
        Item::Help => help(model, number),
        Item::Quit(words) => {
            let words = match dialect {
                Dialect::Telnet => words.as_str(),
                Dialect::Wire => "",
                other => unreachable!("nobody here speaks {other}"),
            };
            model.close(number, CloseReason::Quit, words);
        }
        Item::Empty | Item::DataMark => {}
        Item::Foreign | Item::Endless => {
            unreachable!("{item:?} ends a session, see `Model::foresee`")
        }
        Item::TooLong(bytes) => {
            return match dialect {
                Dialect::Telnet => too_long(*bytes, most),
                Dialect::Wire => too_long(*bytes, wire_line_bytes_max(most)),
                other => unreachable!("nobody here speaks {other}"),
            }
        }
        Item::LongWords(bytes) => return too_long(*bytes, most),
        Item::Unknown => {
            return Err(
                "no such command: /frobnicate; /help lists them, // says a slash".to_owned(),
            )
        }
        Item::NoText => return Err("you have no text to send".to_owned()),
        Item::Away(_)
        | Item::Back
        | Item::Quiet(_)
        | Item::Clock(_)
        | Item::History
        | Item::Ignore(_)
        | Item::Unignore(_)
        | Item::Ignored
        | Item::Answer(_) => model.set_pref(number, item)?,
        Item::AreYouThere => {
            let now = model.now;
            let it = model.it(number);
            if it
                .reassured
                .insert(now.saturating_sub(it.opened_at).as_secs())
            {
                model.tell(number, "-- yes, still here");
            }
        }
        Item::TimingMark => model.tell_protocol(number, vec![0xff, 0xfb, 6]),
        Item::Interrupt => model.interrupt(number),
        Item::Ping(token) => model.tell_bytes(number, format!("PONG {token}\n").into_bytes()),
        Item::Garbage => {
            return Err(
                "no such command: a line begins with NAME, CHAT, TELL, JOIN, ROOMS, KEEP, UNKEEP, WATCH, WHO, PING or QUIT"
                    .to_owned(),
            )
        }
        Item::SeveralLines => return Err("a message is one line; not sent".to_owned()),
    }
    Ok(())
}

fn help(model: &mut Model, number: u64) {
    let moderates = model.sessions[&number].moderates;
    let more = if moderates { MODERATORS_HELP } else { &[] };
    for line in HELP.iter().chain(more) {
        model.tell(number, &format!("-- {line}"));
    }
}

fn say(model: &mut Model, number: u64, words: &str) {
    model.join(number);
    let name = model.sessions[&number].name.clone();
    let wire = wire_line("CHAT", &[&name, words]);
    model.say(number, &format!("<{name}> {words}"), wire);
}

fn act(model: &mut Model, number: u64, dialect: Dialect, words: &str) {
    model.join(number);
    let name = model.sessions[&number].name.clone();
    let line = format!("* {name} {words}");
    let wire = wire_line("CHAT", &[&name, &format!("/me {words}")]);
    model.say(number, &line, wire);
    match dialect {
        Dialect::Telnet => model.tell(number, &line),
        // A program does not hear itself in any way; it only is looked at.
        Dialect::Wire => model.tell_bytes(number, Vec::new()),
        other => unreachable!("nobody here speaks {other}"),
    }
    model.hit("action");
}

/// What was said before is heard as it was, before the answer; what is said from now on in the other bytes.
fn watch(model: &mut Model, number: u64, on: bool) {
    let it = model.it(number);
    it.due.settle();
    it.watches = on;
    let line = if on { "WATCH on\n" } else { "WATCH off\n" };
    model.tell_bytes(number, line.into());
    model.hit("watch");
}

fn tell(model: &mut Model, number: u64, to: &str, words: &str) -> Result<(), String> {
    let receiver = model.find_or_say(to)?;
    model.deliver(number, receiver, words);
    model.hit(if receiver == number {
        "private, to oneself"
    } else {
        "private"
    });
    Ok(())
}
