//! What sessions ask for, and what comes of it.

use std::time::Instant;

use crate::dialect::command::{Command, Refusal, COMMANDS};
use crate::dialect::event::{Event, Reply};
use crate::dialect::text::Listing;
use crate::dialect::wire::{self, Request};
use crate::dialect::{text, Dialect};
use crate::hub::peer::{Peer, Standing};
use crate::hub::room::Author;
use crate::hub::{Hub, SessionId};
use crate::hygiene;
use crate::ledger::CloseReason;
use crate::name::Name;

impl<T> Hub<T> {
    pub(super) fn obey(
        &mut self,
        id: SessionId,
        command: Command<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        match command {
            Command::Say(words) => {
                self.speak(id, words, |name, words| Event::Said { name, words }, now);
            }
            Command::Act(words) => {
                self.speak(id, words, |name, words| Event::Did { name, words }, now);
                let Peer { name, reader, .. } = &self.peers[id.slot as usize];
                if !reader.is_editing() {
                    let name = name.clone();
                    self.reply(id, &Reply::YouDid { name: &name, words });
                }
            }
            Command::Take(name) => self.take_name(id, name, now)?,
            Command::Who => self.list_names(id),
            Command::Tell { to, words } => self.tell(id, to, words)?,
            Command::Help(Some(usage)) => self.reply(id, &Reply::Help(usage)),
            Command::Help(None) => {
                for usage in COMMANDS {
                    self.reply(id, &Reply::Help(usage));
                }
            }
            Command::Quit(words) => self.close_with_words(id, CloseReason::Quit, words, now),
            Command::Reply(words) => self.answer(id, words)?,
            Command::Whois(name) => self.describe(id, name, now)?,
            Command::Away(reason) => self.set_away(id, Some(reason)),
            Command::Back => self.set_away(id, None),
            Command::Ignore(Some(name)) => self.ignore(id, name)?,
            Command::Ignore(None) => self.list_ignored(id),
            Command::Unignore(name) => self.unignore(id, name)?,
            Command::Quiet(on) => self.set_quiet(id, on),
            Command::Time(offset) => self.set_clock(id, offset),
            Command::Bell(on) => self.set_bell(id, on),
            Command::History(lines) => self.show_history(id, lines.unwrap_or(usize::MAX)),
            Command::Edit(on) => self.set_editing(id, on, now),
        }
        Ok(())
    }

    /// Says something to the room under the session's own name. Whatever is said passes through here.
    fn speak(
        &mut self,
        id: SessionId,
        words: &str,
        event: for<'a> fn(&'a Name, &'a str) -> Event<'a>,
        now: Instant,
    ) {
        self.join(id, now);
        self.speeches = self.speeches.wrapping_add(1);
        let Self {
            peers,
            room,
            wall_seconds,
            ..
        } = self;
        let peer = &mut peers[id.slot as usize];
        peer.spoke = self.speeches;
        let event = event(&peer.name, words);
        room.history.keep(&event, id, *wall_seconds);
        if peer.reader.is_editing() {
            // Her own line has left the screen with the editor's row, so she hears it like everybody.
            room.say_to_all(&event, Some(id));
        } else {
            room.say_to_others(
                &event,
                Author {
                    id,
                    dialect: peer.dialect,
                    cursor: &mut peer.cursor,
                },
            );
        }
    }

    /// Lets the room know of a session that it did not know of.
    fn join(&mut self, id: SessionId, now: Instant) {
        let Self { peers, room, .. } = self;
        let peer = &mut peers[id.slot as usize];
        if peer.standing == Standing::Unknown {
            let author = Author {
                id,
                dialect: peer.dialect,
                cursor: &mut peer.cursor,
            };
            peer.standing = room.join(&peer.name, author, now);
        }
    }

    fn take_name(&mut self, id: SessionId, name: Name, now: Instant) -> Result<(), Refusal> {
        let Self {
            peers,
            room,
            roster,
            ..
        } = self;
        let peer = &mut peers[id.slot as usize];
        if roster.rename(id, &peer.name, &name).is_err() {
            return Err(Refusal::Taken(name.to_string().into()));
        }
        let from = std::mem::replace(&mut peer.name, name);
        match peer.standing {
            Standing::Unknown => self.join(id, now),
            Standing::Joined { told, .. } if peer.name != from => {
                let author = Author {
                    id,
                    dialect: peer.dialect,
                    cursor: &mut peer.cursor,
                };
                room.rename(told, &from, &peer.name, author);
            }
            Standing::Joined { .. } => {}
        }
        let name = self.peers[id.slot as usize].name.clone();
        self.reply(id, &Reply::YouAre(&name));
        Ok(())
    }

    /// Obeys a program.
    pub(super) fn obey_wire(
        &mut self,
        id: SessionId,
        request: Request<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        match request {
            Request::Name(name) => {
                let name = std::str::from_utf8(&name).map_err(|_| Refusal::MalformedName)?;
                self.obey(id, Command::take(name)?, now)
            }
            Request::Chat(words) => {
                let bytes_max = self.limits.line_bytes_max;
                if words.len() > bytes_max {
                    return Err(Refusal::LineTooLong {
                        bytes: words.len(),
                        bytes_max,
                    });
                }
                if !wire::is_one_line(&words) {
                    return Err(Refusal::SeveralLines);
                }
                let clean = hygiene::clean(&words);
                // Cleaning takes the space off an action without words, which must not become words itself.
                if clean.text.is_empty() || wire::is_bare_action(&clean.text) {
                    return Err(Refusal::NoText);
                }
                let command = match wire::action(&clean.text) {
                    Some(words) => Command::Act(words),
                    None => Command::Say(&clean.text),
                };
                self.obey(id, command, now)
            }
            Request::Ping(token) => {
                self.reply(id, &Reply::Pong(token));
                Ok(())
            }
            Request::Quit => {
                self.begin_close(id, CloseReason::Quit, now);
                Ok(())
            }
        }
    }

    fn list_names(&mut self, id: SessionId) {
        let stranger = self.peers[id.slot as usize].standing == Standing::Unknown;
        let here = self.room.here() + usize::from(stranger);
        let names = self
            .room
            .arrivals()
            .chain(stranger.then_some(id))
            .map(|id| self.listing(id));
        let mut list = Vec::new();
        text::encode_here(here, names, &mut list);
        self.say_alone(id, |_, out| out.append(&mut list));
    }

    /// A session as it stands in a list of those who are here.
    pub(super) fn listing(&self, id: SessionId) -> Listing<'_> {
        Listing {
            name: &self.peers[id.slot as usize].name,
            away: self.is_away(id),
        }
    }

    fn tell(&mut self, id: SessionId, to: &str, words: &str) -> Result<(), Refusal> {
        let receiver = self
            .roster
            .find(to)
            .ok_or_else(|| Refusal::Nobody(to.into()))?;
        if self.peers[receiver.slot as usize].dialect != Dialect::Telnet {
            return Err(Refusal::Deaf(to.into()));
        }
        self.deliver(id, receiver, words);
        Ok(())
    }
}
