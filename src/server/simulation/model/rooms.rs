//! Rooms in the model: who is in which, what each tells of those who come and go, and how people go from one to another.

use std::cmp::Reverse;

use super::prefs::History;
use super::presence::Telling;
use super::session::Session;
use super::words::list;
use super::Model;
use crate::dialect::Dialect;
use crate::server::simulation::script::{room_class, wire_line, Item};

/// The number of the room that everybody who connects is in.
pub(crate) const LOBBY: u64 = 0;

/// A newcomer is told of at most this many other rooms.
const GREETING_ROOMS_MAX: usize = 10;

pub(crate) struct Room {
    pub(crate) name: String,
    key: Option<String>,
    /// It is there also when it is empty.
    is_permanent: bool,
    /// Nobody has ever come to it: the first one is told of to nobody.
    is_fresh: bool,
    /// Those who took a name or spoke, or came from another room, in this order.
    pub(crate) here: Vec<u64>,
    pub(crate) joins: Telling,
    pub(crate) leaves: Telling,
    pub(crate) renames: Telling,
    pub(crate) history: History,
}

/// How a member leaves a room.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leaving<'a> {
    /// With these words, out of the server or to a room that is not named.
    Away(&'a str),
    /// For a room that is called so.
    For(&'a str),
}

impl Room {
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn new(name: &str, key: Option<&str>, history_lines: usize) -> Self {
        Self {
            name: name.to_owned(),
            key: key.map(str::to_owned),
            is_permanent: false,
            is_fresh: true,
            here: Vec::new(),
            joins: Telling::default(),
            leaves: Telling::default(),
            renames: Telling::default(),
            history: History::new(history_lines),
        }
    }

    /// The room that is always there.
    pub(crate) fn lobby(history_lines: usize) -> Self {
        Self {
            is_permanent: true,
            is_fresh: false,
            ..Self::new("lobby", None, history_lines)
        }
    }
}

/// Which rooms there are, and who is in them.
impl Model {
    pub(crate) fn room_of(&self, number: u64) -> &Room {
        &self.rooms[&self.sessions[&number].room]
    }

    pub(crate) fn room_mut(&mut self, room: u64) -> &mut Room {
        self.rooms.get_mut(&room).expect("a session is in it")
    }

    /// What the room of a session is called, and its key.
    pub(crate) fn room_and_key(&self, number: u64) -> (String, Option<String>) {
        let room = self.room_of(number);
        (room.name.clone(), room.key.clone())
    }

    /// Whether others were told, or would be, that a session is there.
    pub(crate) fn is_here(&self, number: u64) -> bool {
        self.room_of(number).here.contains(&number)
    }

    pub(crate) fn find_room(&self, name: &str) -> Option<u64> {
        let class = room_class(name);
        let mut rooms = self.rooms.iter();
        let found = rooms.find(|(_, room)| room_class(&room.name) == class);
        found.map(|(room, _)| *room)
    }

    /// How many hear the lobby and are not here, for the end of a list. Elsewhere all are here.
    pub(crate) fn listening(&self, room: u64) -> String {
        let members = self.sessions.values();
        let members = members.filter(|it| it.is_open() && it.room == room).count();
        match members - self.rooms[&room].here.len() {
            0 => String::new(),
            listening => format!("; {listening} listening"),
        }
    }

    pub(crate) fn names_here(&self, room: u64) -> Vec<String> {
        let here = self.rooms[&room].here.iter();
        here.map(|number| self.listing(*number)).collect()
    }

    /// Lets a room be gone that was made and that nobody is in.
    pub(crate) fn end_if_empty(&mut self, room: u64) {
        let is_in = |it: &Session| it.is_open() && it.room == room;
        if !self.rooms[&room].is_permanent && !self.sessions.values().any(is_in) {
            self.rooms.remove(&room);
            self.hit("room ends");
        }
    }

    /// Lets these rooms be there always, and none but these.
    pub(crate) fn set_permanent(&mut self, names: &[&str]) {
        for (number, room) in &mut self.rooms {
            room.is_permanent = *number == LOBBY;
        }
        for name in names {
            let number = match self.find_room(name) {
                Some(number) => number,
                None => self.add_room(Room::new(name, None, self.terms.limits.history_lines)),
            };
            let room = self.room_mut(number);
            room.is_permanent = true;
            if room.key.take().is_some() {
                self.hit("key of a room is void");
            }
        }
        let all: Vec<u64> = self.rooms.keys().copied().collect();
        for room in all {
            self.end_if_empty(room);
        }
    }

    fn add_room(&mut self, room: Room) -> u64 {
        self.rooms_ever += 1;
        self.rooms.insert(self.rooms_ever, room);
        self.rooms_ever
    }
}

/// How people move.
impl Model {
    /// Does what concerns rooms.
    pub(crate) fn travel(&mut self, number: u64, item: &Item) -> Result<(), String> {
        match item {
            Item::WhoIn(room) => self.list_in(number, room)?,
            Item::Rooms => self.list_rooms(number),
            Item::Join(room, key) => self.join_room(number, room, key.as_deref())?,
            Item::Leave => self.leave_for_lobby(number)?,
            Item::Where => {
                let room = &self.room_of(number).name;
                self.tell(number, &format!("-- you are in {room}"));
            }
            Item::MalformedRoom(_) => {
                return Err(
                    "a room's name is 1 to 24 letters, digits or _ - . and begins with a letter or digit"
                        .to_owned(),
                );
            }
            _ => unreachable!("{item:?} is no such thing"),
        }
        Ok(())
    }

    /// Goes to a room that is called so, which is made if it is not there.
    pub(crate) fn join_room(
        &mut self,
        number: u64,
        name: &str,
        key: Option<&str>,
    ) -> Result<(), String> {
        let Some(to) = self.find_room(name) else {
            return self.make_room(number, name, key);
        };
        let room = &self.rooms[&to];
        let name = room.name.clone();
        if self.sessions[&number].room == to {
            return Err(match to {
                LOBBY => "you are in the lobby already; /quit leaves the server".to_owned(),
                _ => format!("you are in {name} already"),
            });
        }
        match (&room.key, key) {
            (Some(_), None) => return Err(format!("{name} has a key: /join {name} KEY")),
            (Some(right), Some(key)) if right != key => {
                self.hit("wrong key of a room");
                return Err(format!("that is not the key of {name}"));
            }
            (Some(_), Some(_)) => self.hit("key of a room"),
            (None, _) => {}
        }
        self.go(number, to, "");
        Ok(())
    }

    fn make_room(&mut self, number: u64, name: &str, key: Option<&str>) -> Result<(), String> {
        self.may_be_heard(number)?;
        self.is_room_allowed(name)?;
        let made = self.rooms.values().filter(|room| !room.is_permanent);
        match (made.count(), self.terms.limits.rooms_max) {
            (_, 0) => {
                return Err("no rooms are made here; /rooms lists those there are".to_owned());
            }
            (made, most) if made >= most => {
                self.hit("too many rooms");
                let rooms = if most == 1 {
                    "is 1 room".to_owned()
                } else {
                    format!("are {most} rooms")
                };
                return Err(format!("there {rooms} already; /rooms lists them"));
            }
            _ => {}
        }
        let name = name.trim_start_matches('#');
        let lines = self.terms.limits.history_lines;
        let to = self.add_room(Room::new(name, key, lines));
        self.hit(if key.is_some() {
            "room with a key is made"
        } else {
            "room is made"
        });
        let made = match key {
            Some(_) => ", a new room with a key",
            None => ", a new room",
        };
        self.go(number, to, made);
        Ok(())
    }

    pub(crate) fn leave_for_lobby(&mut self, number: u64) -> Result<(), String> {
        self.join_room(number, "lobby", None)
    }

    /// All that was said in the old room is heard before the reply, and nothing of the new one.
    fn go(&mut self, number: u64, to: u64, made: &str) {
        let to_name = self.rooms[&to].name.clone();
        let said = self.room_of(number).history.said();
        let from_name = self.room_of(number).name.clone();
        if self.sessions[&number].due.range().1 > 0 {
            self.hit("goes before all is heard");
        }
        let it = self.it(number);
        it.due.settle();
        it.unheard = false;
        let (from, dialect) = (it.room, it.dialect);
        if from == LOBBY && dialect == Dialect::Telnet {
            it.lobby_said = said;
        }
        match dialect {
            Dialect::Telnet => {
                let line = format!("-- you left {from_name} and are in {to_name}{made}");
                self.tell(number, &line);
            }
            Dialect::Wire => {
                let line = wire_line("JOIN", &[&to_name]) + "\n";
                self.tell_bytes(number, line.into_bytes());
            }
            other => unreachable!("nobody here speaks {other}"),
        }
        self.move_to(number, to);
        if dialect == Dialect::Telnet {
            self.welcome(number);
        }
    }

    /// The old room hears that a session has left it, and the new one that it has come.
    pub(crate) fn move_to(&mut self, number: u64, to: u64) {
        let from = self.sessions[&number].room;
        let room = &self.rooms[&to];
        let leaving = match room.key {
            Some(_) => None,
            None => Some(room.name.clone()),
        };
        self.it(number).room = to;
        match leaving {
            Some(name) => self.leave_room(number, from, Leaving::For(&name)),
            None => self.leave_room(number, from, Leaving::Away("")),
        }
        self.join(number);
    }

    /// The members of a room hear of one who has left it, if they know of it.
    pub(crate) fn leave_room(&mut self, number: u64, from: u64, how: Leaving<'_>) {
        let now = self.now;
        let room = self.room_mut(from);
        let was_here = room.here.contains(&number);
        room.here.retain(|here| *here != number);
        if was_here && !self.going_down {
            let room = self.room_mut(from);
            if room.joins.forget(number) {
                self.hit("came and went unseen");
            } else if room.leaves.is_by_name(number, now) {
                let name = self.sessions[&number].name.clone();
                let here = self.rooms[&from].here.len();
                let way = match how {
                    Leaving::Away("") => String::new(),
                    Leaving::Away(words) => format!(": {words}"),
                    Leaving::For(room) => format!(" for {room}"),
                };
                let line = format!("-- {name} left{way} ({here} here)");
                let wire = format!("{} {here}", wire_line("WENT", &[&name]));
                self.announce(from, Some(number), &line, &wire);
            }
        }
        self.end_if_empty(from);
    }

    /// Is told of, if it was not before.
    pub(crate) fn join(&mut self, number: u64) {
        if self.is_here(number) {
            return;
        }
        let (now, at) = (self.now, self.sessions[&number].room);
        let room = self.room_mut(at);
        room.here.push(number);
        let here = room.here.len();
        let is_first = std::mem::take(&mut room.is_fresh);
        if is_first || room.joins.is_by_name(number, now) {
            let name = &self.sessions[&number].name;
            let line = format!("-- {name} joined ({here} here)");
            let wire = format!("{} {here}", wire_line("CAME", &[name]));
            self.announce(at, Some(number), &line, &wire);
        }
    }
}

/// What people are shown of rooms.
impl Model {
    /// Shows where a session has come to: who is there, and what was said there before.
    pub(crate) fn welcome(&mut self, number: u64) {
        let room = self.sessions[&number].room;
        self.show_here(number);
        let since = match room {
            LOBBY => self.sessions[&number].lobby_said,
            _ => 0,
        };
        let history = &self.rooms[&room].history;
        if !history.is_empty() && history.said() > since {
            if since > 0 {
                self.hit("news of the lobby");
            }
            self.show_history(number, since);
        }
    }

    /// What stands behind the list of those who are here, in the greeting.
    pub(crate) fn tell_of_rooms(&mut self, number: u64) {
        let mut others = self.listed_rooms(None);
        others.retain(|(room, here)| *room != LOBBY && *here > 0);
        if others.is_empty() {
            return;
        }
        self.hit("newcomer is told of rooms");
        let count = others.len();
        let rooms = if count == 1 { "room" } else { "rooms" };
        let listed = others.iter().take(GREETING_ROOMS_MAX);
        let listed: Vec<String> = listed.map(|(room, _)| self.room_listing(*room)).collect();
        let more = match count.saturating_sub(GREETING_ROOMS_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let line = format!(
            "-- {count} more {rooms}: {}{more}; /join NAME goes there",
            listed.join(", ")
        );
        self.tell(number, &line);
    }

    /// The rooms that one may know of who is in `own`, in the order in which they are listed, with how many are there.
    fn listed_rooms(&self, own: Option<u64>) -> Vec<(u64, usize)> {
        let known = self.rooms.iter();
        let known = known.filter(|(number, room)| room.key.is_none() || Some(**number) == own);
        let mut known: Vec<(u64, usize)> = known
            .map(|(number, room)| (*number, room.here.len()))
            .collect();
        known.sort_by_key(|(number, here)| {
            let name = self.rooms[number].name.clone();
            (*number != LOBBY, Reverse(*here), name)
        });
        known
    }

    fn room_listing(&self, room: u64) -> String {
        let room = &self.rooms[&room];
        format!("{} ({})", room.name, room.here.len())
    }

    pub(crate) fn list_rooms(&mut self, number: u64) {
        let own = self.sessions[&number].room;
        let rooms = self.listed_rooms(Some(own));
        let count = rooms.len();
        match self.sessions[&number].dialect {
            Dialect::Telnet => {
                let rooms: Vec<String> = rooms.iter().map(|it| self.room_listing(it.0)).collect();
                let plural = if count == 1 { "room" } else { "rooms" };
                for line in list(&format!("-- {count} {plural}: "), &rooms, "") {
                    self.tell(number, &line);
                }
            }
            Dialect::Wire => {
                let line = |(room, here): &(u64, usize)| {
                    let name = &self.rooms[room].name;
                    format!("{} {here}\n", wire_line("ROOM", &[name]))
                };
                let lines: String = rooms.iter().map(line).collect();
                self.tell_bytes(number, format!("{lines}ROOMS {count}\n").into());
            }
            other => unreachable!("nobody here speaks {other}"),
        }
        self.hit("rooms are listed");
    }

    /// Lists who is in a room that is called so.
    pub(crate) fn list_in(&mut self, number: u64, name: &str) -> Result<(), String> {
        let own = self.sessions[&number].room;
        let found = self.find_room(name);
        let known = found.filter(|room| *room == own || self.rooms[room].key.is_none());
        let bare = name.trim_start_matches('#');
        let room = known.ok_or_else(|| format!("no such room: {bare}"))?;
        if room == own {
            self.list_here(number);
            return Ok(());
        }
        let names = self.names_here(room);
        let (count, name) = (names.len(), &self.rooms[&room].name);
        let head = match count {
            0 => format!("-- 0 in {name}"),
            _ => format!("-- {count} in {name}: "),
        };
        for line in list(&head, &names, &self.listening(room)) {
            self.tell(number, &line);
        }
        self.hit("who is in another room");
        Ok(())
    }
}
