//! What people and programs can ask for, why it may be refused, and what a command is.

use crate::name::{Name, NameError};
use crate::room_name::RoomName;

/// What a session asks for, whatever its dialect. It is complete: whatever is missing or wrong has become a [`Refusal`]
/// instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Say these words to everybody else in the room.
    Say(&'a str),
    /// Tell everybody else in the room what one does.
    Act(&'a str),
    /// The same, and no program is to answer it.
    Notice(&'a str),
    /// Take a name.
    TakeName(Name),
    /// Be called this, which may be kept: with this key, as it was typed.
    TakeKept { name: Name, key: &'a str },
    /// Keep the name that the session has, by a new key.
    Keep,
    /// Keep it no more.
    Unkeep,
    /// Who is here, or in the room that is called so?
    Who(Option<&'a str>),
    /// Go to another room, which is made if need be, with this key.
    Join {
        room: RoomName,
        key: Option<&'a str>,
    },
    /// Go to the lobby.
    Leave,
    /// Be in no room, and leave with these words, which may be empty.
    Part(&'a str),
    /// Which room is this?
    Where,
    /// Which rooms are there?
    Rooms,
    /// Say these words to one person only, who is called `to`.
    Tell { to: &'a str, words: &'a str },
    /// The same, and no program is to answer it.
    Notify { to: &'a str, words: &'a str },
    /// Explain the commands, or one of them.
    Help(Option<&'static Command>),
    /// Leave, with these last words, which may be empty.
    Quit(&'a str),
    /// Say these words to the person who wrote to this session privately last.
    Reply(&'a str),
    /// How long is this person here?
    Whois(&'a str),
    /// Be away, for this reason, which may be empty; `None`: be back.
    Away(Option<&'a str>),
    /// Hear nothing of this person; `None`: who is ignored?
    Ignore(Option<&'a str>),
    /// Hear of this person again.
    Unignore(&'a str),
    /// Hear nothing of who comes and goes.
    Quiet(bool),
    /// See the time in each line, in minutes off UTC; `None`: no more.
    Time(Option<i16>),
    /// Hear a bell where one is named or written to.
    Bell(bool),
    /// What was said before: at most this many lines; `None`: all that is kept.
    History(Option<usize>),
    /// Let the server edit the line.
    Edit(bool),
    /// Hear who comes and goes, and what the server says unasked (a program does not at first).
    Watch(bool),
    /// What only operators may ask for. For everybody else it is no command at all: whether this session is one, the
    /// hub knows.
    ForOperators {
        command: &'static Command,
        /// The command's word as it was typed.
        typed: &'a str,
        /// What stands behind it; `None`: explain it.
        arguments: Option<&'a str>,
    },
    /// What an operator asks for.
    Order(Order<'a>),
}

/// What an operator asks for in the chat. `time` is as it was typed; `reason` may be empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order<'a> {
    Kick {
        name: &'a str,
        reason: &'a str,
    },
    Mute {
        name: &'a str,
        time: &'a str,
        reason: &'a str,
    },
    Unmute {
        name: &'a str,
    },
    Ban {
        name: &'a str,
        time: &'a str,
        reason: &'a str,
    },
}

/// What others would read of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Others read what was asked for: who is muted is refused it.
    Heard,
    /// Others read words beside it: who is muted gets it without them.
    WithWords,
    /// Nobody does.
    Unheard,
}

/// Others hear this many bytes for the price of a line.
const LINE_BYTES: usize = 512;

/// Taking a name costs as much as this many lines, and going to another room.
const NAME_LINES: usize = 5;

/// The same with a wrong key costs this many lines more, so that keys are not found by trying.
const WRONG_KEY_LINES: usize = 5;

impl Request<'_> {
    /// What others would read of it. Whatever is new here must say so.
    pub(crate) fn voice(&self) -> Voice {
        match self {
            Self::Say(_)
            | Self::Act(_)
            | Self::Notice(_)
            | Self::Notify { .. }
            | Self::TakeName(_)
            | Self::TakeKept { .. }
            | Self::Keep
            | Self::Tell { .. }
            | Self::Reply(_)
            | Self::Order(_) => Voice::Heard,
            Self::Away(Some(words)) if !words.is_empty() => Voice::Heard,
            Self::Quit(words) | Self::Part(words) if !words.is_empty() => Voice::WithWords,
            Self::Away(_)
            | Self::Quit(_)
            | Self::Part(_)
            | Self::Who(_)
            | Self::Unkeep
            // Making a room is heard: the hub sees whether one is made.
            | Self::Join { .. }
            | Self::Leave
            | Self::Where
            | Self::Rooms
            | Self::Help(_)
            | Self::Whois(_)
            | Self::Ignore(_)
            | Self::Unignore(_)
            | Self::Quiet(_)
            | Self::Time(_)
            | Self::Bell(_)
            | Self::History(_)
            | Self::Edit(_)
            | Self::Watch(_)
            | Self::ForOperators { .. } => Voice::Unheard,
        }
    }

    /// The same without the words beside it.
    pub(crate) fn without_words(self) -> Self {
        match self {
            Self::Quit(_) => Self::Quit(""),
            Self::Part(_) => Self::Part(""),
            request => request,
        }
    }

    /// How many lines it costs: what others hear counts by its bytes, and taking a name or going to a room more than a line.
    pub(crate) fn lines(&self) -> usize {
        match self {
            Self::Say(words)
            | Self::Act(words)
            | Self::Notice(words)
            | Self::Tell { words, .. }
            | Self::Notify { words, .. }
            | Self::Reply(words)
            | Self::Quit(words) => words.len().div_ceil(LINE_BYTES).max(1),
            Self::TakeName(_)
            | Self::TakeKept { .. }
            | Self::Keep
            | Self::Unkeep
            | Self::Join { .. }
            | Self::Leave
            | Self::Part(_) => NAME_LINES,
            _ => 1,
        }
    }
}

/// Why a line could not be understood or obeyed. `words` has the English for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such command.
    NoSuchCommand(Box<str>),
    /// The short form of a command stands for any of these words, which are in the order of the alphabet.
    Ambiguous {
        typed: Box<str>,
        words: Box<[&'static str]>,
    },
    /// Arguments of a command are missing or wrong.
    Usage(&'static Command),
    /// Nobody here has that name.
    Nobody(Box<str>),
    /// Somebody else has that name, or one that looks like it.
    Taken(Box<str>),
    /// Somebody keeps that name, or one that looks like it, which is this.
    Kept(Box<str>),
    /// Nobody keeps the name.
    NotKept(Box<str>),
    /// A guest has no name that could be kept.
    NameFirst,
    /// Names are not kept here.
    NoNamesKept,
    /// As many names were kept from the session's address today as may be.
    KeptEnoughToday,
    /// As many names are kept as may be.
    KeptTooMany,
    /// That is not a name.
    MalformedName,
    /// It would be a name if it were not this many columns wide.
    NameTooWide(usize),
    /// A name that nobody can take.
    Reserved(Box<str>),
    /// The line was too long and is gone. In bytes (of an editor's line that has too many characters, these).
    LineTooLong { bytes: usize, bytes_max: usize },
    /// There is nothing to say.
    NoText,
    /// Nobody has written to this session privately.
    NobodyWrote,
    /// The last who wrote to this session privately has left; this was their name then.
    HasLeft(Box<str>),
    /// Nobody can do that to themselves.
    Yourself,
    /// This many people are ignored already, and more cannot be.
    IgnoresTooMany(usize),
    /// The client does not agree to line editing.
    NoEditing,
    /// Something of what was typed is not UTF-8; the rest of it was obeyed.
    Unreadable,
    /// A program's line begins with no known verb.
    NoSuchVerb,
    /// A program's line lacks a value, or has one that is wrong or too many: this is how it is made.
    WireUsage(&'static str),
    /// A program's words have a line end in them.
    SeveralLines,
    /// An operator has muted the session, until then (seconds since 1970; `None`: for ever), and for this reason, which
    /// may be empty.
    Muted { until: Option<u64>, why: Box<str> },
    /// A rule forbids the name.
    NotAllowed(Box<str>),
    /// What an operator asked for in the chat was refused, in these words.
    Denied(Box<str>),
    /// The session is in that room already.
    InRoomAlready(Box<str>),
    /// The session is in the lobby already.
    InLobbyAlready,
    /// The room has a key.
    KeyWanted(Box<str>),
    /// The room, or the name, has another key.
    WrongKey(Box<str>),
    /// There is no such room, or it has a key and is not the session's own.
    NoSuchRoom(Box<str>),
    /// There are as many rooms as may be made.
    TooManyRooms(usize),
    /// No room may be made.
    NoRoomsMade,
    /// That is not a room's name.
    MalformedRoom,
    /// It would be a room's name if it were not this many columns wide.
    RoomTooWide(usize),
    /// A page has no terminal that this could change.
    ForTerminals,
    /// The connection of that person is broken, and their page may come back; or they are at a node that cannot be reached.
    Unreachable(Box<str>),
    /// Somebody else had the session's name first, at another node; it has that of a guest now.
    TakenElsewhere { name: Box<str>, guest: Box<str> },
}

impl Refusal {
    /// The word by which a program knows it.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoSuchCommand(_) | Self::Ambiguous { .. } | Self::NoSuchVerb => "unknown",
            Self::Usage(_) | Self::WireUsage(_) => "usage",
            Self::Nobody(_) | Self::HasLeft(_) | Self::Unreachable(_) => "nobody",
            Self::Taken(_) | Self::TakenElsewhere { .. } => "taken",
            Self::Reserved(_) => "reserved",
            Self::MalformedName
            | Self::NameTooWide(_)
            | Self::MalformedRoom
            | Self::RoomTooWide(_) => "malformed-name",
            Self::KeyWanted(_) | Self::WrongKey(_) | Self::Kept(_) => "key",
            Self::LineTooLong { .. } => "too-long",
            Self::NoText => "no-text",
            Self::SeveralLines => "several-lines",
            Self::Muted { .. } => "muted",
            Self::NobodyWrote
            | Self::Yourself
            | Self::IgnoresTooMany(_)
            | Self::NoEditing
            | Self::Unreadable
            | Self::NotAllowed(_)
            | Self::NotKept(_)
            | Self::NameFirst
            | Self::NoNamesKept
            | Self::KeptEnoughToday
            | Self::KeptTooMany
            | Self::Denied(_)
            | Self::InRoomAlready(_)
            | Self::InLobbyAlready
            | Self::NoSuchRoom(_)
            | Self::TooManyRooms(_)
            | Self::NoRoomsMade
            | Self::ForTerminals => "not-allowed",
        }
    }

    /// How many lines it costs beside what was asked for.
    pub(crate) fn lines(&self) -> usize {
        match self {
            Self::WrongKey(_) => WRONG_KEY_LINES,
            _ => 0,
        }
    }

    /// Why a text is no room's name.
    pub(crate) fn of_room(error: &NameError) -> Self {
        match error {
            NameError::TooWide(columns) => Self::RoomTooWide(*columns),
            NameError::Malformed | NameError::Reserved(_) => Self::MalformedRoom,
        }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Malformed => Self::MalformedName,
            NameError::TooWide(columns) => Self::NameTooWide(columns),
            NameError::Reserved(name) => Self::Reserved(name),
        }
    }
}

/// A row of the table of commands: how a command is called, what it does, and how its arguments are understood.
pub(crate) struct Command {
    /// Its word and its other names, without the slash.
    pub(super) words: &'static [&'static str],
    /// Its arguments, as `/help` and a refusal show them.
    pub(crate) arguments: &'static str,
    /// What it does, for `/help`.
    pub(crate) summary: &'static str,
    pub(super) parse: for<'a> fn(Arguments<'a>) -> Result<Request<'a>, Wrong>,
}

/// What stands behind a command's word, without the blanks around it.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a> {
    pub(super) text: &'a str,
    /// Cleaning took something invisible out of the line. Then the text is fit to be said, but not to be a name: a name
    /// is never silently changed.
    pub(super) altered: bool,
}

/// Why arguments were not understood.
pub(super) enum Wrong {
    /// They are not what the row of the table says.
    Usage,
    Refused(Refusal),
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NameError> for Wrong {
    fn from(error: NameError) -> Self {
        Self::Refused(error.into())
    }
}

impl Command {
    /// What the command is called first, without the slash.
    pub(crate) fn word(&self) -> &'static str {
        self.words[0]
    }
}

impl Command {
    /// What an operator asks for with these arguments.
    pub(crate) fn ask<'a>(&'static self, text: &'a str) -> Result<Request<'a>, Refusal> {
        let altered = false;
        let asked = (self.parse)(Arguments { text, altered });
        asked.map_err(|wrong| wrong.refusal(self))
    }
}

impl Wrong {
    pub(super) fn refusal(self, command: &'static Command) -> Refusal {
        match self {
            Self::Usage => Refusal::Usage(command),
            Self::Refused(refusal) => refusal,
        }
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Command {}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
