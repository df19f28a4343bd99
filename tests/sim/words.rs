//! What comes of what somebody says: the words of PROTOCOL.md, in both dialects.

use chatd::dialect::command::COMMANDS;
use chatd::dialect::Dialect;
use chatd::ledger::CloseReason;

use crate::model::{class_of, refusal, Model};
use crate::presence::Ms;
use crate::script::{wire_line, wire_line_bytes_max, Item};
use crate::session::{Entry, Phase, Session, To};

/// What is said.
impl Model {
    pub(crate) fn obey(&mut self, number: u64, item: &Item, now: Ms) {
        if item.is_line() {
            let it = self.it(number);
            it.lines_in += 1;
            it.interrupted = false;
        }
        let dialect = self.sessions[&number].dialect;
        match outcome(self, number, dialect, item, now) {
            Ok(()) => {}
            Err(words) => self.tell_bytes(number, refusal(dialect, &words)),
        }
    }

    /// Presses Ctrl-C; the second time in a row means it.
    pub(crate) fn interrupt(&mut self, number: u64, now: Ms) {
        if std::mem::replace(&mut self.it(number).interrupted, true) {
            self.hit("interrupted in earnest");
            self.close(number, CloseReason::Quit, "", now);
        } else {
            self.tell(number, "-- Ctrl-C again, or /quit, to leave");
        }
    }

    /// Is told of, if it was not before.
    pub(crate) fn join(&mut self, number: u64, now: Ms) {
        if self.here.contains(&number) {
            return;
        }
        self.here.push(number);
        if self.joins.is_by_name(number, now) {
            let name = &self.sessions[&number].name;
            let line = format!("-- {name} joined ({} here)", self.here.len());
            self.announce_but(number, &line);
        }
    }

    pub(crate) fn take_name(&mut self, number: u64, name: &str, now: Ms) -> Result<(), String> {
        let class = class_of(name);
        let is_taken = |(other, it): (&u64, &Session)| {
            *other != number && it.phase == Phase::Open && class_of(&it.name) == class
        };
        if self.sessions.iter().any(is_taken) {
            self.hit("name taken");
            return Err(format!("{name} is taken"));
        }
        if class.is_some_and(|class| self.freed.contains(&class)) {
            self.hit("name freed and taken in one turn");
        }
        let from = std::mem::replace(&mut self.it(number).name, name.to_owned());
        self.freed.extend(class_of(&from));
        if !self.here.contains(&number) {
            self.join(number, now);
        } else if from != name && !self.joins.waiting.contains(&number) {
            self.announce_but(number, &format!("-- {from} is now known as {name}"));
            self.hit("renamed");
        }
        Ok(())
    }

    /// Who is called so, or so much like it that nobody else can be.
    pub(crate) fn find(&self, name: &str) -> Option<u64> {
        let class = class_of(name);
        let mut open = self.sessions.iter().filter(|it| it.1.phase == Phase::Open);
        let found =
            open.find(|it| it.1.name == name || (class.is_some() && class_of(&it.1.name) == class));
        found.map(|it| *it.0)
    }

    pub(crate) fn names_here(&self) -> Vec<String> {
        let here = self.here.iter();
        here.map(|number| self.listing(*number)).collect()
    }

    /// Tells everybody with a terminal who came or went.
    pub(crate) fn announce(&mut self, about: Option<u64>, line: &str) {
        self.log_presence(To::AllBut(None), about, line);
    }

    /// Tells everybody with a terminal but the one whom it is about.
    fn announce_but(&mut self, about: u64, line: &str) {
        self.log_presence(To::AllBut(Some(about)), Some(about), line);
    }

    fn log_presence(&mut self, to: To, about: Option<u64>, line: &str) {
        self.log_for_all(Entry {
            to,
            about,
            is_presence: true,
            bytes: [format!("{line}\r\n").into_bytes(), Vec::new()],
        });
    }

    /// Says a line, as people and as programs hear it, to everybody but its author.
    fn say(&mut self, author: u64, line: &str, wire: String) {
        let time = self.time();
        self.history.keep(author, &time, line);
        self.log_for_all(Entry {
            to: To::AllBut(Some(author)),
            about: Some(author),
            is_presence: false,
            bytes: [
                format!("{line}\r\n").into_bytes(),
                (wire + "\n").into_bytes(),
            ],
        });
    }

    fn log_for_all(&mut self, mut entry: Entry) {
        for dialect in Dialect::ALL {
            let mut members = self.members.iter();
            if !members.any(|member| self.sessions[member].dialect == dialect) {
                entry.bytes[dialect as usize].clear();
            }
        }
        if entry.bytes.iter().all(|bytes| !bytes.is_empty()) {
            self.hit("both dialects hear one line");
        }
        self.log.push(entry);
    }

    /// Tells one session a line of the telnet dialect.
    pub(crate) fn tell(&mut self, number: u64, line: &str) {
        self.tell_bytes(number, format!("{line}\r\n").into_bytes());
    }

    /// Tells one session a line, as it wants to see it.
    pub(crate) fn tell_bytes(&mut self, number: u64, mut line: Vec<u8>) {
        if self.sessions[&number].comforts.clock && !line.is_empty() {
            line.splice(0..0, self.time().into_bytes());
        }
        self.tell_protocol(number, line);
    }

    /// Tells one session what its person does not see.
    pub(crate) fn tell_protocol(&mut self, number: u64, told: Vec<u8>) {
        let mut bytes = [Vec::new(), Vec::new()];
        bytes[self.sessions[&number].dialect as usize] = told;
        self.log.push(Entry {
            to: To::One(number),
            about: None,
            is_presence: false,
            bytes,
        });
        self.wake(number);
    }

    pub(crate) fn wake(&mut self, number: u64) {
        if !self.wakers.contains(&number) {
            self.wakers.push(number);
        }
    }
}

/// Does what `item` asks for; gives the reason if that cannot be.
pub(crate) fn outcome(
    model: &mut Model,
    number: u64,
    dialect: Dialect,
    item: &Item,
    now: Ms,
) -> Result<(), String> {
    let too_long = |bytes: usize, most: usize| {
        Err(format!(
            "line too long: {bytes} bytes, at most {most}; not sent"
        ))
    };
    let most = model.line_bytes_max();
    match item {
        Item::Say(words) | Item::SaySlash(words) => say(model, number, words, now),
        Item::Act(words) => act(model, number, dialect, words, now),
        Item::Name(name) => {
            model.take_name(number, name, now)?;
            match dialect {
                Dialect::Telnet => model.tell(number, &format!("-- you are {name}")),
                Dialect::Wire => {
                    let line = wire_line("NAME", &[name]) + "\n";
                    model.tell_bytes(number, line.into_bytes());
                }
            }
        }
        Item::MalformedName(_) => {
            return Err(
                "a name is 1 to 24 letters, digits or _ - . and begins with a letter or digit"
                    .to_owned(),
            );
        }
        Item::ReservedName(name) => return Err(format!("{name} is reserved")),
        Item::Who => who(model, number),
        Item::Tell(to, words) => tell(model, number, to, words)?,
        Item::Help => {
            for usage in COMMANDS {
                model.tell(number, &format!("-- {usage}   {}", usage.summary));
            }
        }
        Item::Quit(words) => {
            let words = match dialect {
                Dialect::Telnet => words.as_str(),
                Dialect::Wire => "",
            };
            model.close(number, CloseReason::Quit, words, now);
        }
        Item::Empty => {}
        Item::TooLong(bytes) => {
            return match dialect {
                Dialect::Telnet => too_long(*bytes, most),
                Dialect::Wire => too_long(*bytes, wire_line_bytes_max(most)),
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
        | Item::Answer(_) => model.comfort(number, item)?,
        Item::AreYouThere => {
            let it = model.it(number);
            if it.reassured.insert((now - it.opened_at) / 1000) {
                model.tell(number, "-- yes, still here");
            }
        }
        Item::TimingMark => model.tell_protocol(number, vec![0xff, 0xfb, 6]),
        Item::Interrupt => model.interrupt(number, now),
        Item::Ping(token) => model.tell_bytes(number, format!("PONG {token}\n").into_bytes()),
        Item::Garbage => {
            return Err("no such command: a line begins with NAME, CHAT, PING or QUIT".to_owned())
        }
        Item::SeveralLines => return Err("a message is one line; not sent".to_owned()),
    }
    Ok(())
}

fn say(model: &mut Model, number: u64, words: &str, now: Ms) {
    model.join(number, now);
    let name = model.sessions[&number].name.clone();
    let wire = wire_line("CHAT", &[&name, words]);
    model.say(number, &format!("<{name}> {words}"), wire);
}

fn act(model: &mut Model, number: u64, dialect: Dialect, words: &str, now: Ms) {
    model.join(number, now);
    let name = model.sessions[&number].name.clone();
    let line = format!("* {name} {words}");
    let wire = wire_line("CHAT", &[&name, &format!("/me {words}")]);
    model.say(number, &line, wire);
    match dialect {
        Dialect::Telnet => model.tell(number, &line),
        // A program does not hear itself in any way; it only is looked at.
        Dialect::Wire => model.tell_bytes(number, Vec::new()),
    }
    model.hit("action");
}

fn who(model: &mut Model, number: u64) {
    let mut names = model.names_here();
    if !model.here.contains(&number) {
        names.push(model.listing(number));
    }
    let line = format!("-- {} here: {}", names.len(), names.join(", "));
    assert!(line.len() <= 1000, "the script keeps the room small");
    model.tell(number, &line);
}

fn tell(model: &mut Model, number: u64, to: &str, words: &str) -> Result<(), String> {
    let receiver = model.find_or_say(to)?;
    if model.sessions[&receiver].dialect == Dialect::Wire {
        model.hit("programs hear nothing in private");
        return Err(format!("{to} is a program and hears nothing in private"));
    }
    model.deliver(number, receiver, words);
    model.hit(if receiver == number {
        "private, to oneself"
    } else {
        "private"
    });
    Ok(())
}
