//! What sessions ask for, and what comes of it.

use std::mem;
use std::time::Instant;

use crate::dialect::commands::{COMMANDS, OPERATOR_COMMANDS};
use crate::dialect::event::{Event, Note, Reply};
use crate::dialect::request::{Command, Refusal, Request};
use crate::hub::close::Parting;
use crate::hub::core::Core;
use crate::hub::relayed::name_of;
use crate::hub::returned::said;
use crate::hub::rooms::RoomAt;
use crate::hub::session::{Flow, Session};
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::CloseReason;
use crate::name::Name;
use crate::relay::record::{self, Manner};
use crate::work::Work;

/// Nobody can ignore more people at a time.
const IGNORED_MAX: usize = 100;

impl<T> Hub<T> {
    pub(super) fn obey(
        &mut self,
        id: SessionId,
        request: Request<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return Ok(());
        };
        let request = match request {
            Request::ForOperators {
                command,
                typed,
                arguments,
            } => match core.for_operator(session, command, typed, arguments, now)? {
                Some(order) => order,
                None => return Ok(()),
            },
            request => request,
        };
        let request = if session.muted {
            core.hear_muted(session, request, now)?
        } else {
            request
        };
        match request {
            Request::Say(words) => core.say(session, words, now),
            Request::Act(words) => core.act(session, words, now),
            Request::Notice(words) => core.notice(session, words, now),
            Request::TakeName(name) => self.take_name(id, name, now)?,
            Request::TakeKept { name, key } => self.take_kept(id, name, key, now)?,
            Request::Keep => core.keep_name(session, now)?,
            Request::Unkeep => core.unkeep_name(session, now)?,
            Request::Quit(words) => {
                let parting = Parting {
                    words,
                    ..Parting::from(CloseReason::Quit)
                };
                self.close(id, &parting, now);
            }
            Request::Help(command) => core.help(session, command, now),
            Request::Away(reason) => core.set_away(session, reason, now),
            Request::Quiet(on) => core.set_quiet(session, on, now),
            Request::Time(offset) => core.set_clock(session, offset, now),
            Request::Bell(on) => core.set_bell(session, on, now),
            Request::History(lines) => {
                let most = core.limits.history_lines;
                let lines = lines.map_or(most, |lines| lines.min(most));
                core.show_history(session, lines, 0, now);
                session.wait_until_sent();
            }
            Request::Edit(on) => core.set_editing(session, on, now),
            Request::Watch(on) => core.set_watching(session, on, now),
            Request::Who(None) => self.begin_list(id, now),
            Request::Who(Some(room)) => self.begin_list_of(id, room, now)?,
            Request::Rooms => self.begin_rooms(id, now),
            Request::Join { room, key } => self.join(id, room, key, now)?,
            Request::Leave => self.leave_for_lobby(id, now)?,
            Request::Part(words) => self.part(id, words, now),
            Request::Where => core.tell_where(session, now),
            Request::Tell { to, words } => self.tell(id, to, words, false, now)?,
            Request::Notify { to, words } => self.tell(id, to, words, true, now)?,
            Request::Reply(words) => self.tell_back(id, words, now)?,
            Request::Whois(name) => self.describe(id, name, now)?,
            Request::Ignore(Some(name)) => self.ignore(id, name, now)?,
            Request::Ignore(None) => self.list_ignored(id, now),
            Request::Unignore(name) => self.unignore(id, name, now)?,
            Request::Order(order) => self.obey_operator(id, &order, now)?,
            // It has become an order, or was answered.
            Request::ForOperators { .. } => {}
        }
        Ok(())
    }
}

/// Requests that touch nobody else's session.
impl Core {
    fn say<T>(&mut self, session: &mut Session<T>, words: &str, now: Instant) {
        self.speak(session, words, Manner::Said, now);
    }

    fn notice<T>(&mut self, session: &mut Session<T>, words: &str, now: Instant) {
        self.speak(session, words, Manner::Noticed, now);
    }

    fn act<T>(&mut self, session: &mut Session<T>, words: &str, now: Instant) {
        self.speak(session, words, Manner::Did, now);
        if !session.codec.hears_own() {
            let name = session.name.clone();
            self.reply(session, &Reply::YouDid { name: &name, words }, now);
        }
    }

    /// Says something to the room under the session's own name. Whatever is said passes through here.
    fn speak<T>(&mut self, session: &mut Session<T>, words: &str, manner: Manner, now: Instant) {
        if session.is_nowhere() {
            return;
        }
        self.announce(session, now);
        if self.relayed.is_some() {
            return self.say_to_others(session, words, manner);
        }
        self.say_now(session, &said(&session.name, words, manner), now);
    }

    /// The room hears what a session says.
    pub(super) fn say_now<T>(&mut self, session: &Session<T>, event: &Event<'_>, now: Instant) {
        self.speeches = self.speeches.wrapping_add(1);
        let (id, speeches, wall_seconds) = (session.id, self.speeches, self.wall_seconds);
        let hears_own = session.codec.hears_own();
        let user = session.codec.user();
        let transcript = &mut self.transcript;
        self.rooms.change(session.room, |room| {
            if let Some(member) = room.members.get_mut(session.member) {
                member.spoke = speeches;
            }
            room.note_speaker(id);
            room.note_said(now);
            if let Some(transcript) = transcript.as_mut().filter(|_| room.key.is_none()) {
                transcript.add(&room.name, event, wall_seconds);
            }
            room.introduce(session.member, &session.name, user);
            room.history.keep(event, id.into(), wall_seconds);
            if hears_own {
                room.say_to_all(event, Some(id), user);
            } else {
                room.say_to_others(event, session.member, user);
            }
        });
    }

    pub(super) fn note<T>(&mut self, session: &mut Session<T>, note: Note<'_>, now: Instant) {
        self.reply(session, &Reply::Note(note), now);
    }

    pub(super) fn help<T>(
        &mut self,
        session: &mut Session<T>,
        command: Option<&'static Command>,
        now: Instant,
    ) {
        let commands = command.map_or(COMMANDS, std::slice::from_ref);
        // An operator has commands that are listed to nobody else.
        let is_whole = command.is_none() && session.is_operator();
        let more = if is_whole { OPERATOR_COMMANDS } else { &[] };
        for command in commands.iter().chain(more) {
            self.note(session, Note::Help(command), now);
        }
    }

    fn set_away<T>(&mut self, session: &mut Session<T>, reason: Option<&str>, now: Instant) {
        session.prefs().away = reason.map(Into::into);
        if self.crosses(session.id) {
            let session = session.who().session;
            self.tell_others(match reason {
                Some(why) => {
                    let why = why.into();
                    record::Event::Away { session, why }
                }
                None => record::Event::Back { session },
            });
        }
        self.note(session, Note::Away(reason.is_some()), now);
    }

    fn set_quiet<T>(&mut self, session: &mut Session<T>, on: bool, now: Instant) {
        session.prefs().quiet = on;
        self.note(session, Note::Quiet(on), now);
    }

    fn set_bell<T>(&mut self, session: &mut Session<T>, on: bool, now: Instant) {
        session.prefs().bell = on;
        self.note(session, Note::Bell(on), now);
    }

    fn set_clock<T>(&mut self, session: &mut Session<T>, offset: Option<i16>, now: Instant) {
        session.prefs().clock = offset;
        self.note(session, Note::Times(offset), now);
    }

    fn set_editing<T>(&mut self, session: &mut Session<T>, on: bool, now: Instant) {
        self.with_codec(session, now, |codec, context| {
            codec.set_editing(on, context);
        });
    }

    /// The answer stands behind what the session heard in the old encoding, and before all that it hears in the new one.
    fn set_watching<T>(&mut self, session: &mut Session<T>, on: bool, now: Instant) {
        self.reply(session, &Reply::Watching(on), now);
        session.codec.set_watching(on);
        let encoding = session.codec.encoding();
        self.rooms.change(session.room, |room| {
            room.change_encoding(session.member, encoding);
        });
    }

    /// Shows what was said before in its room, but what had been said there when `since` lines had: at most this many
    /// lines of those whom the session does not ignore.
    pub(super) fn show_history<T>(
        &mut self,
        session: &mut Session<T>,
        lines: usize,
        since: u64,
        now: Instant,
    ) {
        self.send(session, now, |core, session, out| {
            let to = session.to(core.wall_seconds);
            let prefs = session.prefs.as_deref();
            let is_ignored = |author| prefs.is_some_and(|prefs| prefs.ignored.contains(&author));
            let history = &core.room_of(session).history;
            let past = history.last(lines, since, |author| !is_ignored(author));
            session.codec.encode_history(past, &to, out);
        });
    }
}

/// Requests that need others' sessions.
impl<T> Hub<T> {
    /// Queues what one session alone is told.
    pub(super) fn send(&mut self, id: SessionId, bytes: &mut Vec<u8>, now: Instant) {
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id) {
            core.send(session, now, |_, _, out| out.append(bytes));
        }
    }

    /// Answers a session, unless it has ended by what it asked for, or meanwhile.
    pub(super) fn reply(&mut self, id: SessionId, reply: &Reply<'_>, now: Instant) {
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id).filter(|it| it.is_open()) {
            core.reply(session, reply, now);
        }
    }

    pub(super) fn find(&mut self, name: &str) -> Result<&Session<T>, Refusal> {
        self.core.work.add(Work::look_up(name));
        let found = self.core.roster.find(name);
        let session = found.and_then(|id| self.sessions.get(id));
        session.ok_or_else(|| Refusal::Nobody(name.into()))
    }

    fn tell(
        &mut self,
        id: SessionId,
        to: &str,
        words: &str,
        notice: bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.find_abroad(to).is_some() {
            return self.tell_abroad(id, to, words, notice, now);
        }
        let receiver = self.find(to)?;
        if receiver.flow == Flow::Absent {
            return Err(Refusal::Unreachable(receiver.name.text().into()));
        }
        let receiver = receiver.id;
        self.deliver(id, receiver, words, notice, now);
        Ok(())
    }

    fn tell_back(&mut self, id: SessionId, words: &str, now: Instant) -> Result<(), Refusal> {
        let prefs = self.sessions.get(id).and_then(|it| it.prefs.as_deref());
        let teller = prefs.and_then(|prefs| prefs.last_teller.as_ref());
        let (teller, name) = teller.ok_or(Refusal::NobodyWrote)?;
        let teller = *teller;
        let abroad = self.core.others().map(|others| &others.abroad);
        if let Some(person) = abroad.and_then(|it| it.get(teller)) {
            let to = person.name.text().into_owned();
            return self.tell_abroad(id, &to, words, false, now);
        }
        if !self.is_open(teller) {
            return Err(Refusal::HasLeft(name.text().into()));
        }
        if self.is_absent(teller) {
            return Err(Refusal::Unreachable(name.text().into()));
        }
        self.deliver(id, teller, words, false, now);
        // They may have another name by now.
        let name = self.sessions.get(teller).map(|it| it.name.clone());
        if let (Some(session), Some(name)) = (self.session(id), name) {
            session.prefs().last_teller = Some((teller, name));
        }
        Ok(())
    }

    /// Delivers a private line, unless its receiver does not want to hear of its author.
    fn deliver(&mut self, from: SessionId, to: SessionId, words: &str, notice: bool, now: Instant) {
        let Some(sender) = self.sessions.get(from) else {
            return;
        };
        let user: Box<str> = sender.codec.user().into();
        let sender = sender.name.clone();
        let Self { sessions, core } = self;
        let Some(receiver) = sessions.get_mut(to) else {
            return;
        };
        let name = receiver.name.clone();
        let prefs = receiver.prefs.as_deref();
        let away = prefs.and_then(|prefs| prefs.away.clone());
        let is_ignored = prefs.is_some_and(|prefs| prefs.ignored.contains(&from.into()));
        if !is_ignored {
            // A program has no `/reply`, and owns nothing for having been written to.
            if receiver.codec.is_for_people() {
                receiver.prefs().last_teller = Some((from, sender.clone()));
            }
            let told = Reply::Told {
                from: &sender,
                user: &user,
                words,
                notice,
            };
            core.reply(receiver, &told, now);
        }
        self.reply(from, &Reply::YouTold { to: &name, words }, now);
        if let Some(reason) = away.as_deref() {
            let name = &name;
            self.reply(from, &Reply::Note(Note::IsAway { name, reason }), now);
        }
    }

    fn describe(&mut self, id: SessionId, name: &str, now: Instant) -> Result<(), Refusal> {
        if let Some(found) = self.find_abroad(name) {
            self.describe_abroad(id, found, now);
            return Ok(());
        }
        let session = self.find(name)?;
        let (name, at) = (session.name.clone(), session.room);
        let (here, silent) = (session.opened_at, session.heard_at());
        let dialect = session.codec.dialect().word();
        let room = self.core.rooms.get(at);
        let is_to_be_told = at != RoomAt::LOBBY && room.key.is_none();
        let room = is_to_be_told.then(|| room.name.clone());
        let person = Note::Person {
            name: &name,
            here: now.saturating_duration_since(here),
            silent: now.saturating_duration_since(silent),
            dialect,
            room: room.as_ref(),
        };
        self.reply(id, &Reply::Note(person), now);
        Ok(())
    }

    fn ignore(&mut self, id: SessionId, name: &str, now: Instant) -> Result<(), Refusal> {
        let (found, name) = self.find_anywhere(name)?;
        if found == id {
            return Err(Refusal::Yourself);
        }
        let session = self.session(id);
        let mut ignored = session.map_or_else(Vec::new, |it| mem::take(&mut it.prefs().ignored));
        let is_new = !ignored.contains(&found.into());
        if is_new && ignored.len() >= IGNORED_MAX {
            // Those who have left make place only now: their last lines may not have been told yet.
            ignored.retain(|ignored| self.is_anywhere(ignored.session()));
        }
        let fits = ignored.len() < IGNORED_MAX;
        if is_new && fits {
            ignored.push(found.into());
        }
        if let Some(session) = self.session(id) {
            session.prefs().ignored = ignored;
        }
        if is_new && !fits {
            return Err(Refusal::IgnoresTooMany(IGNORED_MAX));
        }
        self.reply(id, &Reply::Note(Note::Ignoring(&name)), now);
        Ok(())
    }

    fn unignore(&mut self, id: SessionId, name: &str, now: Instant) -> Result<(), Refusal> {
        let (found, name) = self.find_anywhere(name)?;
        let found = found.into();
        if let Some(session) = self.session(id) {
            session.prefs().ignored.retain(|ignored| *ignored != found);
        }
        self.reply(id, &Reply::Note(Note::NoLongerIgnoring(&name)), now);
        Ok(())
    }

    fn list_ignored(&mut self, id: SessionId, now: Instant) {
        let mut out = Vec::new();
        if let Some(session) = self.sessions.get(id) {
            let prefs = session.prefs.as_deref();
            let ignored = prefs.map_or(&[][..], |prefs| &prefs.ignored);
            let ignored = ignored.iter().map(|it| it.session());
            let there = ignored.filter(|it| self.is_anywhere(*it));
            let others = self.core.others();
            let names = there.filter_map(|it| name_of(&self.sessions, others, it));
            let names: Vec<&Name> = names.collect();
            let to = session.to(self.core.wall_seconds);
            let reply = Reply::Note(Note::Ignored(&names));
            session.codec.encode_reply(&reply, &to, &mut out);
        }
        self.send(id, &mut out, now);
    }

    fn is_open(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some_and(Session::is_open)
    }

    /// Whether somebody is here, or at another node.
    fn is_anywhere(&self, id: SessionId) -> bool {
        let others = self.core.others();
        self.is_open(id) || others.is_some_and(|others| others.abroad.get(id).is_some())
    }

    /// Who is called so, here or at another node, and how that is spelled.
    fn find_anywhere(&mut self, name: &str) -> Result<(SessionId, Name), Refusal> {
        self.core.work.add(Work::look_up(name));
        let found = self.core.roster.find(name);
        let found = found.and_then(|id| {
            let name = name_of(&self.sessions, self.core.others(), id)?;
            Some((id, name.clone()))
        });
        found.ok_or_else(|| Refusal::Nobody(name.into()))
    }
}
