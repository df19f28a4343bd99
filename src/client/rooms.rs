//! Rooms and kept names: what a client asks of them, and what it knows of them.
//!
//! Words are said in the room in which the server sees the client when they reach it. A client that comes back asks for
//! its room first and holds its messages until it is there, so that nothing that was to be said in one room is said in
//! another.

use crate::client::connection::Connection;
use crate::client::event::SendError;
use crate::client::queue::{Keyed, What};
use crate::client::unanswered::{is_lobby, LOBBY};
use crate::dialect::message::{Ask, Request};

/// What a program does with them.
impl Connection {
    /// Asks to go to a room, which is made if it is not there, with this key if one is given. The server answers with
    /// [`Message::Entered`](crate::client::Message::Entered), or with a
    /// [`Message::Refused`](crate::client::Message::Refused) whose request is
    /// [`Request::Join`](crate::client::Request::Join). Words that are sent before the answer is heard are said there,
    /// or, if it is refused, where the client is.
    ///
    /// After a reconnect the last room that was entered is asked for again, and messages wait for the answer. If it is
    /// refused, words that were to be said to all there are not said anywhere:
    /// [`Counters::unsent`](crate::client::Counters::unsent) counts them, and [`Connection::dropped`] has them.
    ///
    /// # Errors
    /// If the request is not accepted; and [`SendError::MalformedKey`] if no room can have such a key.
    pub fn join(&mut self, room: &str, key: Option<&str>) -> Result<(), SendError> {
        self.check(room)?;
        self.request(Ask::Join { room, key }, What::Join(Keyed::new(room, key)))
    }

    /// Asks which rooms there are that have no key. The server answers with a
    /// [`Message::Room`](crate::client::Message::Room) for each and one
    /// [`Message::Rooms`](crate::client::Message::Rooms) behind them.
    ///
    /// # Errors
    /// If the request is not accepted: telnet has none.
    pub fn rooms(&mut self) -> Result<(), SendError> {
        self.check_open()?;
        self.request(Ask::Rooms, What::Rooms)
    }

    /// Asks for a name that is kept, with its key; another session that has it now is closed. The server answers as to
    /// [`Connection::set_name`].
    ///
    /// # Errors
    /// If the request is not accepted; and [`SendError::MalformedKey`] if no name can have such a key.
    pub fn take_name(&mut self, name: &str, key: &str) -> Result<(), SendError> {
        self.ask_name(name, Some(key))
    }

    /// Asks the server to keep the name that the client has, or no more. It answers with
    /// [`Message::Kept`](crate::client::Message::Kept), which has the key, or with
    /// [`Message::KeptNoMore`](crate::client::Message::KeptNoMore). After a reconnect the name is asked for with the
    /// key that was told last.
    ///
    /// # Errors
    /// If the request is not accepted.
    pub fn keep_name(&mut self, on: bool) -> Result<(), SendError> {
        self.check_open()?;
        self.request(Ask::Keep(on), What::Keep(on))
    }

    /// The room that it is in, as far as the server has said; `lobby` at first.
    pub fn room(&self) -> &str {
        &self.room
    }
}

/// What it knows of them.
impl Connection {
    /// The server says that it is in this room.
    pub(super) fn handle_entered(&mut self, room: &str) {
        let asked = self.unanswered.handle_entered(room);
        self.room = room.into();
        let key = asked.and_then(|asked| asked.key);
        let name = room.into();
        self.wanted.room = (!is_lobby(room)).then_some(Keyed { name, key });
        self.queue.release();
    }

    /// On the next connection, what the server knew is asked for first.
    pub(super) fn rewind(&mut self) {
        self.room = LOBBY.into();
        let name = self.wanted.name.clone().and_then(|name| {
            let ask = Ask::Name {
                name: &name.name,
                key: name.key.as_deref(),
            };
            Some((self.line(ask).ok()?, What::Name(name)))
        });
        let room = self.wanted.room.clone().and_then(|room| {
            let ask = Ask::Join {
                room: &room.name,
                key: room.key.as_deref(),
            };
            Some((self.line(ask).ok()?, What::Join(room)))
        });
        let watch = self.line(Ask::Watch(true)).ok();
        let watch = watch.filter(|_| self.wanted.watch);
        let watch = watch.map(|line| (line, What::Watch(true)));
        self.queue.rewind(name.into_iter().chain(room).chain(watch));
    }

    /// The server keeps this name, or no more.
    pub(super) fn handle_kept(&mut self, name: &str, key: Option<&str>) {
        self.unanswered.handle_kept();
        if *self.name == *name {
            self.wanted.name = Some(Keyed::new(name, key));
        }
    }

    /// The server does not do what was asked for. What was to be said in the room that it came back for is not said.
    pub(super) fn handle_refusal(&mut self, request: &Request) {
        if !matches!(request, Request::Join(_)) {
            return;
        }
        for message in self.queue.release_without_words() {
            self.counters.unsent += 1;
            if let Some(words) = message.kept {
                self.remember(|memory| &mut memory.dropped, || words);
            }
        }
    }
}
