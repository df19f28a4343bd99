//! What the server has been asked for and may still refuse, so that a refusal is told with the request that it answers.
//!
//! A server takes its requests in order. It answers for a message only if it refuses it, and for all else in any case: so an answer also tells that nothing before it will be refused any more.
//!
//! Invariant: at most [`WAITING_MAX`] requests are remembered, the last ones.

use std::collections::VecDeque;

use crate::client::queue::{Keyed, What, WAITING_MAX};
use crate::dialect::message::{Reason, Refusal, Request};

/// A request that the kernel has taken.
#[derive(Debug)]
struct Sent {
    request: Request,
    kind: Kind,
    /// The length of its line, without its end.
    line_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Name { with_key: bool },
    Message { words_bytes: usize, has_text: bool },
    Watch,
    Who,
    Join { key: Option<Box<str>> },
    Rooms,
    Keep,
    Ping,
}

/// The requests that are not answered, in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Unanswered(VecDeque<Sent>);

impl Unanswered {
    /// This was written whole, in a line of this length without its end.
    pub(super) fn push(&mut self, what: &What, line_bytes: usize) {
        let (request, kind) = match what {
            What::Quit => return,
            What::Ping => (Request::Unknown, Kind::Ping),
            What::Name(Keyed { name, key }) => {
                let with_key = key.is_some();
                (Request::Name(name.clone()), Kind::Name { with_key })
            }
            What::Join(Keyed { name, key }) => {
                let key = key.clone();
                (Request::Join(name.clone()), Kind::Join { key })
            }
            What::Rooms => (Request::Rooms, Kind::Rooms),
            What::Keep(on) => (Request::Keep(*on), Kind::Keep),
            What::Watch(on) => (Request::Watch(*on), Kind::Watch),
            What::Who => (Request::Who, Kind::Who),
            What::Message(message) => {
                let number = message.number;
                let request = match message.to.clone() {
                    Some(to) => Request::Private { number, to },
                    None => Request::Words(number),
                };
                let kind = Kind::Message {
                    words_bytes: message.words_bytes,
                    has_text: message.has_text,
                };
                (request, kind)
            }
        };
        if self.0.len() == WAITING_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Sent {
            request,
            kind,
            line_bytes,
        });
    }

    /// The connection is lost: nothing of it is answered any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The server gave a name.
    pub(super) fn handle_named(&mut self) {
        self.take_first(Sent::is_for_name);
    }

    /// The server says that the client is in this room; gives the request that this answers, if it answers one.
    pub(super) fn handle_entered(&mut self, room: &str) -> Option<Keyed> {
        let first = self.0.iter().find(|sent| sent.is_for_room())?;
        // An operator's closing of a room answers nothing.
        if is_lobby(room) && !first.room().is_some_and(is_lobby) {
            return None;
        }
        let sent = self.take_first(Sent::is_for_room)?;
        match (sent.request, sent.kind) {
            (Request::Join(name), Kind::Join { key }) => Some(Keyed { name, key }),
            _ => None,
        }
    }

    /// The server has listed the rooms.
    pub(super) fn handle_rooms(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Rooms);
    }

    /// The server keeps a name, or no more.
    pub(super) fn handle_kept(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Keep);
    }

    /// The server tells who comes and goes from now on, or no more.
    pub(super) fn handle_watching(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Watch);
    }

    /// The server has told who is here.
    pub(super) fn handle_listed(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Who);
    }

    /// The server gave a sign of life.
    pub(super) fn handle_pong(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Ping);
    }

    /// The request that this refusal answers.
    pub(super) fn handle_refusal(&mut self, refusal: &Refusal<'_>) -> Request {
        let answered = match refusal.reason {
            Reason::MalformedName if refusal.words.starts_with("a room's ") => {
                self.take_first(Sent::is_for_room)
            }
            Reason::Other if is_about_keeping(&refusal.words) => {
                self.take_first(|sent| sent.kind == Kind::Keep)
            }
            // Nothing else is left that it could answer: a room's name may be forbidden, or whatever a later server says.
            Reason::NameReserved | Reason::Other
                if self.0.front().is_some_and(Sent::is_for_room) =>
            {
                self.take_first(Sent::is_for_room)
            }
            Reason::NameTaken | Reason::NameReserved | Reason::MalformedName => {
                self.take_first(Sent::is_for_name)
            }
            Reason::Usage if refusal.words.starts_with("usage: /name ") => {
                self.take_first(Sent::is_for_name)
            }
            Reason::InRoomAlready | Reason::NoMoreRooms => self.take_first(Sent::is_for_room),
            Reason::Key => self.take_first(|sent| sent.wants_key(&refusal.words)),
            // One that reached its person is not answered in words that tell, so the name decides.
            Reason::Nobody => self.take_first(|sent| {
                let to = sent.to().map(str::to_lowercase);
                let mut words = refusal.words.split(' ');
                to.is_some_and(|to| words.any(|word| word.to_lowercase() == to))
            }),
            // Servers of before do not know these.
            Reason::UnknownRequest => self.take_first(Sent::is_of_later),
            Reason::Yourself => self.take_first(|sent| sent.to().is_some()),
            Reason::NoText => self.take_first(
                |sent| matches!(sent.kind, Kind::Message { has_text, .. } if !has_text),
            ),
            Reason::TooLong => {
                let mut fields = refusal.words.split(' ');
                let bytes = fields.find_map(|field| field.parse().ok());
                self.take_first(|sent| bytes.is_some_and(|bytes| sent.is_of_length(bytes)))
            }
            _ => None,
        };
        answered.map_or(Request::Unknown, |sent| sent.request)
    }

    fn take_first(&mut self, is_it: impl Fn(&Sent) -> bool) -> Option<Sent> {
        let index = self.0.iter().position(is_it)?;
        self.0.drain(..=index).next_back()
    }
}

/// The room in which everybody is at first.
pub(super) const LOBBY: &str = "lobby";

/// Whether that room is called so.
pub(super) fn is_lobby(room: &str) -> bool {
    room.trim_start_matches('#').eq_ignore_ascii_case(LOBBY)
}

/// Whether a name is not kept, or kept on, in these words.
fn is_about_keeping(words: &str) -> bool {
    words.ends_with(" is not kept")
        || words.starts_with("take a name first: ")
        || matches!(
            words,
            "names are not kept here"
                | "enough names were kept from your address today"
                | "no more names can be kept"
        )
}

impl Sent {
    fn is_for_name(&self) -> bool {
        matches!(self.kind, Kind::Name { .. })
    }

    fn is_for_room(&self) -> bool {
        matches!(self.kind, Kind::Join { .. })
    }

    /// The room that is asked for.
    fn room(&self) -> Option<&str> {
        match &self.request {
            Request::Join(room) => Some(room),
            _ => None,
        }
    }

    /// Whether the first servers did not know it.
    fn is_of_later(&self) -> bool {
        let is_of_first = matches!(
            self.kind,
            Kind::Name { .. } | Kind::Message { .. } | Kind::Ping
        );
        !is_of_first
    }

    /// Whether it can be refused for want of a key in these words.
    fn wants_key(&self, words: &str) -> bool {
        let is_of_room = words.contains(" has a key: /join ");
        let is_wrong = words.starts_with("that is not the key of ");
        let (name, is_ours) = match (&self.request, &self.kind) {
            (Request::Join(room), Kind::Join { .. }) => {
                (room.trim_start_matches('#'), is_of_room || is_wrong)
            }
            (Request::Name(name), Kind::Name { with_key }) => {
                (&**name, !is_of_room && (*with_key || !is_wrong))
            }
            _ => return false,
        };
        let name = name.to_lowercase();
        is_ours && words.split(' ').any(|word| word.to_lowercase() == name)
    }

    /// To whom alone it goes.
    fn to(&self) -> Option<&str> {
        match &self.request {
            Request::Private { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether the server may have counted this many bytes: of a line, or of the words that it stands for.
    fn is_of_length(&self, bytes: usize) -> bool {
        let of_words =
            matches!(self.kind, Kind::Message { words_bytes, .. } if words_bytes == bytes);
        of_words || self.line_bytes == bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::queue::Outgoing;

    fn message(number: u64, to: Option<&str>, words: &str) -> What {
        What::Message(Outgoing {
            number,
            to: to.map(Box::from),
            words_bytes: words.len(),
            has_text: !words.trim().is_empty(),
            kept: None,
        })
    }

    fn private(number: u64, to: &str) -> Request {
        let to = to.into();
        Request::Private { number, to }
    }

    /// What was asked for in one go: two names, words with and without text, a private message, a sign of life.
    fn asked() -> Unanswered {
        let mut unanswered = Unanswered::default();
        for (what, line_bytes) in [
            (What::Name(Keyed::new("ann", None)), 13),
            (message(0, None, "hello"), 14),
            (What::Name(Keyed::new("eve", None)), 13),
            (message(1, None, " "), 10),
            (message(2, Some("bob"), "psst"), 20),
            (What::Ping, 6),
            (What::Watch(true), 8),
            (What::Who, 3),
            (message(3, Some("eve"), "again"), 21),
        ] {
            unanswered.push(&what, line_bytes);
        }
        unanswered
    }

    fn refused(unanswered: &mut Unanswered, words: &str) -> Request {
        unanswered.handle_refusal(&Refusal::new(words))
    }

    #[test]
    fn a_refusal_answers_the_first_request_that_can_be_refused_so() {
        for (words, request) in [
            ("ann is taken", Request::Name("ann".into())),
            ("admin is reserved", Request::Name("ann".into())),
            ("usage: /name NAME", Request::Name("ann".into())),
            ("a name is 1 to 24 letters", Request::Name("ann".into())),
            ("you have no text to send", Request::Words(1)),
            ("nobody here is called bob", private(2, "bob")),
            ("that is you", private(2, "bob")),
            ("nobody here is called eve", private(3, "eve")),
            (
                "line too long: 5 bytes, at most 4; not sent",
                Request::Words(0),
            ),
            (
                "line too long: 20 bytes, at most 4; not sent",
                private(2, "bob"),
            ),
            (
                "line too long: 99 bytes, at most 4; not sent",
                Request::Unknown,
            ),
            ("no such command: a line begins", Request::Watch(true)),
            ("nobody has written to you", Request::Unknown),
        ] {
            assert_eq!(refused(&mut asked(), words), request, "{words}");
        }
    }

    #[test]
    fn an_answer_settles_all_that_was_asked_before() {
        let mut unanswered = asked();
        unanswered.handle_named();
        assert_eq!(
            refused(&mut unanswered, "eve is taken"),
            Request::Name("eve".into())
        );
        assert_eq!(refused(&mut unanswered, "x is taken"), Request::Unknown);
        unanswered.handle_pong();
        let words = "nobody here is called bob";
        assert_eq!(refused(&mut unanswered, words), Request::Unknown);
        unanswered.handle_watching();
        unanswered.handle_listed();
        let unknown = "no such command: a line begins";
        assert_eq!(refused(&mut unanswered, unknown), Request::Unknown);
        let words = "nobody here is called Eve";
        assert_eq!(refused(&mut unanswered, words), private(3, "eve"));
        assert_eq!(refused(&mut unanswered, words), Request::Unknown);
        let mut unanswered = asked();
        unanswered.clear();
        assert_eq!(refused(&mut unanswered, words), Request::Unknown);
    }

    /// What was asked for in one go: rooms with and without keys, a kept name, and to keep one.
    fn asked_of_rooms() -> Unanswered {
        let mut unanswered = Unanswered::default();
        for what in [
            What::Join(Keyed::new("Games", None)),
            What::Name(Keyed::new("games", Some("k"))),
            What::Rooms,
            What::Join(Keyed::new("#den", Some("k"))),
            What::Keep(false),
            What::Join(Keyed::new("lobby", None)),
        ] {
            unanswered.push(&what, 9);
        }
        unanswered
    }

    #[test]
    fn a_refusal_of_a_room_or_a_key_answers_the_request_for_it() {
        let join = |room: &str| Request::Join(room.into());
        for (words, request) in [
            ("Games has a key: /join Games KEY", join("Games")),
            ("den has a key: /join den KEY", join("#den")),
            ("that is not the key of den", join("#den")),
            ("that is not the key of games", join("Games")),
            ("a room's name is 1 to 24 letters", join("Games")),
            ("you are in den already", join("Games")),
            (
                "there are 9 rooms already; /rooms lists them",
                join("Games"),
            ),
            ("no rooms are made here; /rooms lists", join("Games")),
            (
                "games is kept: /name games KEY takes it",
                Request::Name("games".into()),
            ),
            ("games is reserved", join("Games")),
            ("no rooms today", join("Games")),
            ("eve is not kept", Request::Keep(false)),
            ("take a name first: /name NAME", Request::Keep(false)),
            ("that is not the key of eve", Request::Unknown),
        ] {
            assert_eq!(refused(&mut asked_of_rooms(), words), request, "{words}");
        }
        let mut unanswered = asked_of_rooms();
        unanswered.handle_rooms();
        let words = "that is not the key of games";
        assert_eq!(refused(&mut unanswered, words), Request::Unknown);
        unanswered.handle_kept();
        assert_eq!(
            refused(&mut unanswered, "eve is not kept"),
            Request::Unknown
        );
        assert_eq!(unanswered.0.len(), 1);
    }

    #[test]
    fn a_room_that_was_entered_answers_the_first_request_for_one() {
        let mut unanswered = asked_of_rooms();
        // An operator closed the room before.
        assert_eq!(unanswered.handle_entered("lobby"), None);
        let games = Keyed::new("Games", None);
        assert_eq!(unanswered.handle_entered("games"), Some(games));
        let den = Keyed::new("#den", Some("k"));
        assert_eq!(unanswered.handle_entered("den"), Some(den));
        let lobby = Keyed::new("lobby", None);
        assert_eq!(unanswered.handle_entered("lobby"), Some(lobby));
        assert_eq!(unanswered.handle_entered("lobby"), None);
    }

    #[test]
    fn only_the_last_requests_are_remembered() {
        let mut unanswered = Unanswered::default();
        for number in 0..=WAITING_MAX as u64 {
            unanswered.push(&message(number, None, ""), 0);
            unanswered.push(&What::Quit, 0);
        }
        let words = "you have no text to send";
        assert_eq!(refused(&mut unanswered, words), Request::Words(1));
        assert_eq!(unanswered.0.len(), WAITING_MAX - 1);
    }
}
