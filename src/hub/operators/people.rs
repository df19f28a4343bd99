//! What operators do to those who are here.

use std::time::Instant;

use crate::dialect::event::Event;
use crate::dialect::request::Refusal;
use crate::dialect::words::ANNOUNCEMENT;
use crate::dialect::Encoding;
use crate::hub::jobs::Task;
use crate::hub::operators::outcome::{Denied, Done, Who};
use crate::hub::rooms::RoomAt;
use crate::hub::rules::lines::cleaned;
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::CloseReason;
use crate::name::Name;
use crate::net::Net;
use crate::work::Work;

/// What stands for the name that a guest has by their number.
const GUEST: &str = "guest";

impl<T> Hub<T> {
    /// Closes sessions; `reason` is for those who are meant, and may be empty.
    ///
    /// # Errors
    /// If nobody is called so, or there is no such session or room.
    pub(crate) fn kick(&mut self, who: &Who, reason: &str, now: Instant) -> Result<Done, Denied> {
        let ids = self.sessions_of(who)?;
        let count = ids.len();
        let close = Task::Close {
            reason: CloseReason::Kicked,
            until: None,
            why: cleaned(reason),
        };
        self.begin_job(ids, close, now);
        Ok(Done::Kicked(count))
    }

    /// Gives somebody a name: `guest` gives back the one that they came with.
    ///
    /// # Errors
    /// If not exactly one is meant, or the name is none, is taken or is forbidden.
    pub(crate) fn rename(&mut self, who: &Who, name: &str, now: Instant) -> Result<Done, Denied> {
        let name = match name {
            GUEST => None,
            name => Some(Name::parse(name).map_err(|error| Denied::Refused(error.into()))?),
        };
        let id = self.one_of(who)?;
        let from = self.name_of(id);
        let renamed = self.name_by_operator(id, name.clone(), now);
        renamed.map_err(Denied::Refused)?;
        // Where all nodes are asked first, it has the name a moment later.
        let to = name.unwrap_or_else(|| self.name_of(id));
        Ok(Done::Renamed { from, to })
    }

    /// Tells everybody in a room, or everybody, something. Programs hear it that watch.
    ///
    /// # Errors
    /// If there is no such room, or nothing to say.
    pub(crate) fn announce(&mut self, room: Option<&str>, text: &str) -> Result<Done, Denied> {
        let rooms = &self.core.rooms;
        let rooms = match room {
            Some(name) => vec![self.room_called(name)?],
            None => rooms.iter().map(|(at, _)| at).collect(),
        };
        let words = some_text(text)?;
        let server = self.core.rooms.server();
        let told = rooms.into_iter().map(|at| {
            self.core.rooms.change(at, |room| {
                let event = Event::Announced {
                    before: ANNOUNCEMENT,
                    words: &words,
                    server: &server,
                };
                room.say_to_all(&event, None, "");
                let hearing = Encoding::ALL.into_iter().filter(|it| hears(*it));
                let counts = hearing.map(|encoding| room.listeners[encoding as usize] as usize);
                counts.sum::<usize>()
            })
        });
        Ok(Done::Told(told.sum()))
    }

    /// Closes a room: all who are in it are sent to the lobby, and told why.
    ///
    /// # Errors
    /// If there is no such room, or it is the lobby.
    pub(crate) fn close_room(
        &mut self,
        name: &str,
        reason: &str,
        now: Instant,
    ) -> Result<Done, Denied> {
        let at = self.room_called(name)?;
        if at == RoomAt::LOBBY {
            return Err(Denied::Lobby);
        }
        let room = self.core.rooms.id(at);
        let why = cleaned(reason);
        let in_it = self
            .sessions
            .iter()
            .filter(|it| it.is_open() && it.room == at);
        let ids: Vec<SessionId> = in_it.map(|session| session.id).collect();
        let count = ids.len();
        self.begin_job(ids, Task::SendToLobby { room, why }, now);
        Ok(Done::RoomClosed(count))
    }

    /// The room that is called so.
    pub(super) fn room_called(&self, name: &str) -> Result<RoomAt, Denied> {
        let found = self.core.rooms.find(name);
        found.ok_or_else(|| Denied::NoRoom(name.into()))
    }

    /// Tells somebody something. Programs hear it that watch.
    ///
    /// # Errors
    /// If nobody is called so, there is no such session or room, or nothing to say.
    pub(crate) fn tell_by_operator(
        &mut self,
        who: &Who,
        text: &str,
        now: Instant,
    ) -> Result<Done, Denied> {
        let mut ids = self.sessions_of(who)?;
        let words = some_text(text)?;
        let hears = |id: &SessionId| {
            let session = self.sessions.get(*id);
            session.is_some_and(|it| hears(it.codec.encoding()))
        };
        ids.retain(hears);
        let count = ids.len();
        self.begin_job(ids, Task::Tell(words), now);
        Ok(Done::Told(count))
    }

    /// Lets one person moderate in the chat until their session ends, or no more.
    ///
    /// # Errors
    /// If not exactly one is meant.
    pub(crate) fn set_operator(&mut self, who: &Who, on: bool) -> Result<Done, Denied> {
        let id = self.one_of(who)?;
        let name = self.name_of(id);
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id) {
            let was_on = std::mem::replace(&mut session.prefs().operator, on);
            if was_on != on && !session.is_nowhere() {
                let server = core.rooms.server();
                core.rooms.change(session.room, |room| {
                    room.introduce(session.member, &name, session.codec.user());
                    room.tell_operator(&name, on, &server);
                });
            }
        }
        Ok(Done::Operator { name, on })
    }

    /// The one session that is meant.
    pub(super) fn one_of(&mut self, who: &Who) -> Result<SessionId, Denied> {
        match self.sessions_of(who)?[..] {
            [id] => Ok(id),
            ref ids => Err(Denied::NotOne(ids.len())),
        }
    }

    /// The sessions that are meant. There may be none from an address.
    fn sessions_of(&mut self, who: &Who) -> Result<Vec<SessionId>, Denied> {
        match who {
            Who::Name(name) => match self.find(name) {
                Ok(session) => Ok(vec![session.id]),
                Err(_) => Err(Denied::Nobody(name.clone())),
            },
            Who::Id(number) => {
                let ids = self.sessions_that(|session| session.number == *number);
                if ids.is_empty() {
                    return Err(Denied::NoSession(number.to_string().into()));
                }
                Ok(ids)
            }
            Who::Address(address) => {
                let address = Some(address.to_canonical());
                Ok(self.sessions_that(|session| session.from.address() == address))
            }
            Who::Net(net) => Ok(self.sessions_that(|session| {
                let address = session.from.address();
                address.is_some_and(|address| net.contains(address))
            })),
            Who::Room(name) => {
                let at = self.room_called(name)?;
                Ok(self.sessions_that(|session| session.place() == Some(at)))
            }
        }
    }

    /// The sessions that rules for this network meet: none of loopback.
    pub(super) fn sessions_met(&mut self, net: Net) -> Vec<SessionId> {
        self.sessions_that(|session| {
            let address = session.from.address();
            address.is_some_and(|it| !it.is_loopback() && net.contains(it))
        })
    }

    /// The open sessions for which this holds. It looks at all of them.
    pub(super) fn sessions_that(&mut self, holds: impl Fn(&Session<T>) -> bool) -> Vec<SessionId> {
        let sessions = self.sessions.iter();
        let found = sessions.filter(|session| session.is_open() && holds(session));
        let ids: Vec<SessionId> = found.map(|session| session.id).collect();
        self.core.work.add(Work::BYTE.times(self.sessions.len()));
        ids
    }

    /// What a session is called that is here.
    pub(super) fn name_of(&self, id: SessionId) -> Name {
        let session = self.sessions.get(id);
        session.map_or_else(|| Name::guest(0), |session| session.name.clone())
    }
}

/// Whether who hears the room so hears what operators say.
fn hears(encoding: Encoding) -> bool {
    match encoding {
        Encoding::Telnet
        | Encoding::Web
        | Encoding::WireWatch
        | Encoding::Irc
        | Encoding::IrcTime => true,
        Encoding::Wire => false,
    }
}

fn some_text(text: &str) -> Result<Box<str>, Denied> {
    let words = cleaned(text);
    if words.is_empty() {
        return Err(Denied::Refused(Refusal::NoText));
    }
    Ok(words)
}
