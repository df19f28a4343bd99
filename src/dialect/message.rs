//! What passes between a client and a server, as a client sees it: data, in no dialect.

use std::borrow::Cow;
use std::fmt;

use crate::hygiene;

/// The key of a room or a name has at most this many characters.
const KEY_CHARS_MAX: usize = 64;

/// One line of a server, understood. It borrows from the bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Somebody said something.
    Said {
        /// Who said it.
        name: Cow<'a, str>,
        /// What was said.
        words: Cow<'a, str>,
    },
    /// Somebody did something (`/me`). In telnet one also hears what one did oneself.
    Did {
        /// Who did it.
        name: Cow<'a, str>,
        /// What was done.
        words: Cow<'a, str>,
    },
    /// Somebody said something that nobody else hears.
    Told {
        /// Who said it.
        name: Cow<'a, str>,
        /// What was said.
        words: Cow<'a, str>,
    },
    /// Somebody is here who was not told of before. In the wire dialect this and all else about who comes and goes is
    /// heard only after [`Connection::watch`](crate::client::Connection::watch).
    Joined {
        /// Who came.
        name: Cow<'a, str>,
        /// How many are here now.
        here: usize,
    },
    /// Somebody who was told of has gone.
    Left {
        /// Who went.
        name: Cow<'a, str>,
        /// Their last words; may be empty, and always are in the wire dialect.
        words: Cow<'a, str>,
        /// How many are here now.
        here: usize,
    },
    /// Somebody who was told of has another name.
    Renamed {
        /// The name up to now.
        from: Cow<'a, str>,
        /// The name from now on.
        to: Cow<'a, str>,
    },
    /// This many came within one second, beyond those told of by name.
    MoreJoined {
        /// How many came.
        count: usize,
        /// How many are here now.
        here: usize,
    },
    /// This many went within one second, beyond those told of by name.
    MoreLeft {
        /// How many went.
        count: usize,
        /// How many are here now.
        here: usize,
    },
    /// This many took another name within one second, beyond those told of by name.
    MoreRenamed {
        /// How many did.
        count: usize,
    },
    /// Who comes and goes is told from now on, or no more. Only the wire dialect has it.
    Watching(bool),
    /// This one is here: the answer to [`Connection::who`](crate::client::Connection::who), one for each. Only the
    /// wire dialect has it.
    Listed(Cow<'a, str>),
    /// The end of that answer: this many are here. Only the wire dialect has it.
    Here(usize),
    /// The name that was asked for is ours.
    Named(Cow<'a, str>),
    /// This client is in this room from now on: the answer to [`Connection::join`](crate::client::Connection::join), or
    /// an operator closed the room that it was in.
    Entered(Cow<'a, str>),
    /// There is this room: the answer to [`Connection::rooms`](crate::client::Connection::rooms), one for each. Only
    /// the wire dialect has it.
    Room {
        /// The room's name.
        name: Cow<'a, str>,
        /// How many are in it.
        here: usize,
    },
    /// The end of that answer: this many rooms were listed. Only the wire dialect has it.
    Rooms(usize),
    /// The name is kept: only who knows the key takes it. The server shows the key once.
    Kept {
        /// The name.
        name: Cow<'a, str>,
        /// Its key.
        key: Cow<'a, str>,
    },
    /// The name is kept no more.
    KeptNoMore(Cow<'a, str>),
    /// The token of a `PING` came back. Only the wire dialect has it.
    Pong(Cow<'a, str>),
    /// The server has not understood or not obeyed a request.
    Refused(Refusal<'a>),
    /// The server says why it closes; the end of the stream follows.
    Goodbye(Cow<'a, str>),
    /// Anything else that the server tells: a greeting, what was said before. Only telnet has it.
    Note(Cow<'a, str>),
    /// A line that no chatd sends; what is not UTF-8 in it is U+FFFD.
    Unknown(Cow<'a, str>),
    /// A line that was longer than the client takes, and is gone; this is its length in bytes.
    TooLong(usize),
}

impl Message<'_> {
    /// The same message, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Said { name, words } => Message::Said {
                name: own(name),
                words: own(words),
            },
            Self::Did { name, words } => Message::Did {
                name: own(name),
                words: own(words),
            },
            Self::Told { name, words } => Message::Told {
                name: own(name),
                words: own(words),
            },
            Self::Joined { name, here } => Message::Joined {
                name: own(name),
                here,
            },
            Self::Left { name, words, here } => Message::Left {
                name: own(name),
                words: own(words),
                here,
            },
            Self::Renamed { from, to } => Message::Renamed {
                from: own(from),
                to: own(to),
            },
            Self::MoreJoined { count, here } => Message::MoreJoined { count, here },
            Self::MoreLeft { count, here } => Message::MoreLeft { count, here },
            Self::MoreRenamed { count } => Message::MoreRenamed { count },
            Self::Watching(on) => Message::Watching(on),
            Self::Listed(name) => Message::Listed(own(name)),
            Self::Here(count) => Message::Here(count),
            Self::Named(name) => Message::Named(own(name)),
            Self::Entered(room) => Message::Entered(own(room)),
            Self::Room { name, here } => Message::Room {
                name: own(name),
                here,
            },
            Self::Rooms(count) => Message::Rooms(count),
            Self::Kept { name, key } => Message::Kept {
                name: own(name),
                key: own(key),
            },
            Self::KeptNoMore(name) => Message::KeptNoMore(own(name)),
            Self::Pong(token) => Message::Pong(own(token)),
            Self::Refused(refusal) => Message::Refused(refusal.into_owned()),
            Self::Goodbye(words) => Message::Goodbye(own(words)),
            Self::Note(text) => Message::Note(own(text)),
            Self::Unknown(line) => Message::Unknown(own(line)),
            Self::TooLong(bytes) => Message::TooLong(bytes),
        }
    }
}

fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// A request that the server has not understood or not obeyed. Its `Display` gives the words of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// Why.
    pub reason: Reason,
    /// What was refused.
    pub request: Request,
    /// The words of the server, for people.
    pub words: Cow<'a, str>,
}

impl<'a> Refusal<'a> {
    /// A refusal in these words. The caller knows what was asked for, and says which request it answers.
    pub(crate) fn new(words: impl Into<Cow<'a, str>>) -> Self {
        let words = words.into();
        Self {
            reason: Reason::of(&words),
            request: Request::Unknown,
            words,
        }
    }

    /// A refusal in these words, with the code that says more shortly why.
    pub(crate) fn coded(words: impl Into<Cow<'a, str>>, code: &str) -> Self {
        let mut refusal = Self::new(words);
        if let Some(reason) = Reason::of_code(code) {
            refusal.reason = reason;
        }
        refusal
    }

    /// The same refusal, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Refusal<'static> {
        Refusal {
            reason: self.reason,
            request: self.request,
            words: own(self.words),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Which request a refusal answers, as far as it can be told: a server answers in order, but only names always.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Request {
    /// The request for this name.
    Name(Box<str>),
    /// The message with this number.
    Words(u64),
    /// The private message with this number.
    Private {
        /// The number of the message.
        number: u64,
        /// To whom it was to go.
        to: Box<str>,
    },
    /// To be told who comes and goes, or no more.
    Watch(bool),
    /// Who is here.
    Who,
    /// To go to this room.
    Join(Box<str>),
    /// Which rooms there are.
    Rooms,
    /// To keep the name, or no more.
    Keep(bool),
    /// It cannot be told which.
    Unknown,
}

/// Why a server refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody else has the name, or one that looks like it.
    NameTaken,
    /// Nobody can take the name.
    NameReserved,
    /// That is not a name, nor one of a room.
    MalformedName,
    /// The server has no such request.
    UnknownRequest,
    /// A value is missing in the request, or wrong.
    Usage,
    /// It is longer than the server takes.
    TooLong,
    /// There is nothing to say, or nothing that can be seen.
    NoText,
    /// A message is one line.
    SeveralLines,
    /// Nobody here has that name.
    Nobody,
    /// One cannot do that to oneself.
    Yourself,
    /// An operator has muted this client.
    Muted,
    /// A key is missing or wrong: of a room, or of a name that is kept.
    Key,
    /// This client is in that room already.
    InRoomAlready,
    /// There are as many rooms as there may be, or none are made.
    NoMoreRooms,
    /// Something else; the words tell.
    Other,
}

impl Reason {
    /// The reason behind the code of a refusal in the wire dialect; `None` if the words tell more, or it is not known.
    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "usage" => Self::Usage,
            "unknown" => Self::UnknownRequest,
            "too-long" => Self::TooLong,
            "no-text" => Self::NoText,
            "several-lines" => Self::SeveralLines,
            "taken" => Self::NameTaken,
            "reserved" => Self::NameReserved,
            "malformed-name" => Self::MalformedName,
            "nobody" => Self::Nobody,
            "muted" => Self::Muted,
            "key" => Self::Key,
            _ => return None,
        })
    }

    /// The reason behind the words that the server has for it, the same in every dialect.
    fn of(words: &str) -> Self {
        // A name is one word.
        let is_about_name = |end| words.strip_suffix(end).is_some_and(is_one_word);
        match words {
            "you have no text to send" => Self::NoText,
            "a message is one line; not sent" => Self::SeveralLines,
            "that is you" => Self::Yourself,
            _ if words == "you are muted" || words.starts_with("you are muted ") => Self::Muted,
            _ if words.starts_with("you are muted: ") => Self::Muted,
            _ if words.starts_with("a name is ") => Self::MalformedName,
            _ if words.starts_with("a room's name is ") => Self::MalformedName,
            _ if words.starts_with("you are in ") && words.contains(" already") => {
                Self::InRoomAlready
            }
            _ if words.starts_with("no rooms are made here") => Self::NoMoreRooms,
            _ if words.ends_with(" rooms already; /rooms lists them") => Self::NoMoreRooms,
            _ if words.starts_with("that is not the key of ") => Self::Key,
            _ if is_about_key(words) => Self::Key,
            _ if words.starts_with("no such command: ") => Self::UnknownRequest,
            _ if words.starts_with("usage: ") => Self::Usage,
            _ if words.starts_with("line too long: ") => Self::TooLong,
            _ if words.starts_with("nobody here is called ") => Self::Nobody,
            _ if is_about_name(" has left") => Self::Nobody,
            _ if is_about_name(" is taken") => Self::NameTaken,
            _ if is_about_name(" is reserved") => Self::NameReserved,
            _ => Self::Other,
        }
    }
}

/// Whether a server asks in these words for the key of a room, or of a name that is kept.
fn is_about_key(words: &str) -> bool {
    let asks = [" has a key: /join ", " is kept: /name "];
    let asked = asks.iter().find_map(|ask| words.split_once(ask));
    asked.is_some_and(|(name, _)| is_one_word(name))
}

/// Whether a server finds something to say in these words. Only what is said to all can be an action.
pub(crate) fn has_text(words: &str, is_private: bool) -> bool {
    let clean = hygiene::clean(words.as_bytes()).text;
    !clean.is_empty() && (is_private || clean != "/me")
}

/// Whether this can be somebody's name as far as a client can tell: one word that cleaning leaves as it is.
pub(super) fn may_be_name(text: &str) -> bool {
    let clean = hygiene::clean(text.as_bytes());
    !clean.altered && is_one_word(&clean.text)
}

/// Whether a key can be so: 1 to 64 characters without white space, which cleaning leaves as they are.
pub(super) fn may_be_key(text: &str) -> bool {
    may_be_name(text) && text.chars().count() <= KEY_CHARS_MAX
}

/// Whether it can be a name in a line of the server: one word.
pub(super) fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// Whether a server that refuses something in these words closes then.
pub(super) fn is_goodbye(words: &str) -> bool {
    words.starts_with("goodbye: ")
        || words.starts_with("this port is for ")
        || matches!(
            words,
            "this is a chat in plain text" | "this is UTF-16; chatd speaks UTF-8"
        )
}

/// What a client asks of a server, one line each. Nothing in it has a line end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask<'a> {
    /// To have this name, which may want its key.
    Name { name: &'a str, key: Option<&'a str> },
    /// To say these words to all, under `name`, which the server does not believe.
    Words { name: &'a str, words: &'a str },
    /// To say these words to one person only.
    Tell { to: &'a str, words: &'a str },
    /// To tell who comes and goes, or no more.
    Watch(bool),
    /// Who is here.
    Who,
    /// To go to this room, which may want its key.
    Join { room: &'a str, key: Option<&'a str> },
    /// Which rooms there are.
    Rooms,
    /// To keep the name that one has, or no more.
    Keep(bool),
    /// To send this token back.
    Ping(&'a str),
    /// To close.
    Quit,
}

/// Why something cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inexpressible {
    /// The dialect has no such request.
    NoSuchRequest,
    /// Nobody can have such a name.
    MalformedName,
    /// No key is so.
    MalformedKey,
    /// The token has characters that it must not have, or too many.
    MalformedToken,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::commands::COMMANDS;
    use crate::dialect::request::{self, Command};

    #[test]
    fn every_refusal_of_the_server_has_its_reason() {
        use request::Refusal as Refused;
        let ann = || Box::from("ann");
        let usage: &Command = &COMMANDS[0];
        for (refusal, reason) in [
            (Refused::WireUsage("PING TOKEN"), Reason::Usage),
            (Refused::NoSuchCommand(ann()), Reason::UnknownRequest),
            (Refused::NoSuchVerb, Reason::UnknownRequest),
            (Refused::Usage(usage), Reason::Usage),
            (Refused::Nobody(ann()), Reason::Nobody),
            (Refused::Taken(ann()), Reason::NameTaken),
            (Refused::MalformedName, Reason::MalformedName),
            (Refused::Reserved(ann()), Reason::NameReserved),
            (
                Refused::LineTooLong {
                    bytes: 5000,
                    bytes_max: 4096,
                },
                Reason::TooLong,
            ),
            (Refused::NoText, Reason::NoText),
            (Refused::SeveralLines, Reason::SeveralLines),
            (Refused::Yourself, Reason::Yourself),
            (Refused::NameTooWide(26), Reason::MalformedName),
            (Refused::HasLeft(ann()), Reason::Nobody),
            (Refused::NobodyWrote, Reason::Other),
            (Refused::Unreadable, Reason::Other),
            (Refused::IgnoresTooMany(9), Reason::Other),
            (Refused::NoEditing, Reason::Other),
            (Refused::MalformedRoom, Reason::MalformedName),
            (Refused::KeyWanted(ann()), Reason::Key),
            (Refused::WrongKey(ann()), Reason::Key),
            (Refused::Kept(ann()), Reason::Key),
            (Refused::InRoomAlready(ann()), Reason::InRoomAlready),
            (Refused::InLobbyAlready, Reason::InRoomAlready),
            (Refused::TooManyRooms(200), Reason::NoMoreRooms),
            (Refused::NoRoomsMade, Reason::NoMoreRooms),
            (Refused::NotKept(ann()), Reason::Other),
        ] {
            let words = refusal.to_string();
            assert_eq!(
                Refusal::coded(words.as_str(), refusal.code()).reason,
                reason,
                "{refusal}"
            );
            assert_eq!(Reason::of(&words), reason, "{refusal}");
            // A code that is not known says nothing that the words do not.
            let later = Refusal::coded(words.as_str(), "later").reason;
            assert_eq!(later, Reason::of(&words));
        }
        assert_eq!(Reason::of("the seat of ann is taken"), Reason::Other);
    }
}
