//! What happens in a room, and what one session alone is told: data, before a dialect has put it into bytes.

use std::time::Duration;

use crate::dialect::request::{Command, Refusal};
use crate::ledger::CloseReason;
use crate::name::Name;
use crate::room_name::RoomName;

/// What everybody in the room hears, but for the one who caused it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    /// Somebody said something.
    Said { name: &'a Name, words: &'a str },
    /// Somebody did something (`/me`).
    Did { name: &'a Name, words: &'a str },
    /// Somebody said something that no program is to answer.
    Noticed { name: &'a Name, words: &'a str },
    /// Somebody is an operator from now on, or no more: told to none but those who have a list of them.
    Operator {
        name: &'a Name,
        on: bool,
        /// What the server is called.
        server: &'a str,
    },
    /// Somebody came, went or took another name.
    Presence(Presence<'a>),
    /// An operator, or the server itself, tells everybody.
    Announced {
        /// What stands before the words of an operator.
        before: &'static str,
        words: &'a str,
        /// What the server is called.
        server: &'a str,
    },
}

/// Who came and who went. `here` is how many are here now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Presence<'a> {
    /// Somebody is here who was not announced before.
    Joined { name: &'a Name, here: usize },
    /// Somebody who was announced has gone, with these last words, which may be empty.
    Left {
        name: &'a Name,
        words: &'a str,
        here: usize,
    },
    /// Somebody who was announced has left the room, but not the server, with these last words, which may be empty.
    Parted {
        name: &'a Name,
        words: &'a str,
        here: usize,
    },
    /// Somebody who was announced has gone to another room.
    WentTo {
        name: &'a Name,
        to: &'a RoomName,
        here: usize,
    },
    /// Somebody who was announced has another name.
    Renamed { from: &'a Name, to: &'a Name },
    /// This many joined within one second, beyond those told of by name.
    MoreJoined { count: usize, here: usize },
    /// This many left or went to another room within one second, beyond those told of by name.
    MoreLeft { count: usize, here: usize },
    /// This many took another name within one second, beyond those told of by name.
    MoreRenamed { count: usize },
}

/// When something is said in a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Counts what was ever said there and is kept, from 1 on.
    pub(crate) number: u64,
    /// The time of day, in seconds since 1970 in UTC.
    pub(crate) wall_seconds: u64,
}

/// Where something happens, and by whom, as far as not every dialect tells that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scene<'a> {
    pub(crate) at: Moment,
    /// What the room is called.
    pub(crate) room: &'a str,
    /// What stands beside the name of who it is from, or about: what their client gave, or the word of their dialect.
    pub(crate) user: &'a str,
}

impl Event<'_> {
    /// Whether it tells of who is here, and not of what was said.
    pub(crate) fn is_presence(&self) -> bool {
        matches!(self, Self::Presence(_))
    }
}

/// To whom a reply goes, as far as that changes how it reads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct To {
    /// The time stands before each line, in minutes off UTC.
    pub(crate) clock: Option<i16>,
    /// A private line rings.
    pub(crate) bell: bool,
    /// The time of day, in seconds since 1970 in UTC.
    pub(crate) wall_seconds: u64,
    /// How many columns the window has to which lines are folded; `None` where it is not known.
    pub(crate) columns: Option<u16>,
}

/// What one session alone is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply<'a> {
    /// The session has connected, or is in another room.
    Arrived(Arrived<'a>),
    /// The server's own words.
    Note(Note<'a>),
    /// This session's own copy of what it did.
    YouDid { name: &'a Name, words: &'a str },
    /// A private line from somebody.
    Told {
        from: &'a Name,
        /// What stands beside their name in IRC.
        user: &'a str,
        words: &'a str,
        /// No program is to answer it.
        notice: bool,
    },
    /// This session's own copy of a private line.
    YouTold { to: &'a Name, words: &'a str },
    /// Who is here, or a part of it.
    Here(Here<'a>),
    /// Which rooms there are, or a part of it.
    Rooms(RoomList<'a>),
    /// What was said before, at that time.
    Past(Past<'a>),
    /// Of what the session has missed, some cannot be had any more.
    Gap,
    /// Whether the session hears of presence from now on, which only programs ask for.
    Watching(bool),
    /// A line could not be understood or obeyed.
    Refused(&'a Refusal),
    /// The last words before the server closes.
    Farewell(Farewell<'a>),
}

/// What the server says by itself, or in answer to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note<'a> {
    /// The first line to a newcomer.
    Welcome(&'a Name),
    /// What is said in rooms without a key is written into a file.
    Recorded,
    /// A line of the message of the day.
    MessageOfTheDay(&'a str),
    /// What was said before follows.
    Earlier,
    /// What was said before ends here.
    Now,
    /// The name that was asked for is taken.
    YouAre(&'a Name),
    /// The name is kept, by this key as it is shown; `lasts` beyond the end of the server.
    Kept {
        name: &'a Name,
        key: &'a str,
        lasts: bool,
    },
    /// The name is kept no more.
    KeptNoMore(&'a Name),
    /// How a command is called.
    Help(&'static Command),
    /// The person who is written to is away, for this reason, which may be empty.
    IsAway { name: &'a Name, reason: &'a str },
    /// Somebody is here for this long and silent for that long, and speaks this dialect.
    Person {
        name: &'a Name,
        here: Duration,
        silent: Duration,
        dialect: &'static str,
        /// In which room, if that is to be told.
        room: Option<&'a RoomName>,
    },
    /// Somebody is at another node; and in which room, if that is to be told.
    PersonElsewhere {
        name: &'a Name,
        room: Option<&'a RoomName>,
    },
    /// The session went from one room to another.
    Moved {
        from: &'a RoomName,
        to: &'a RoomName,
        made: Made,
    },
    /// The session has left this room, with these words, which may be empty, and is in none.
    Parted { room: &'a RoomName, words: &'a str },
    /// An operator has closed this room, for this reason, which may be empty: the session is in the lobby.
    RoomClosed { room: &'a RoomName, why: &'a str },
    /// The session is in this room.
    YouAreIn(&'a RoomName),
    /// Other rooms with people in them: how many, and the first of them.
    MoreRooms {
        count: usize,
        listed: &'a [ListedRoom<'a>],
    },
    /// Away, or back.
    Away(bool),
    /// Nothing more is heard of this person.
    Ignoring(&'a Name),
    /// This person is heard of again.
    NoLongerIgnoring(&'a Name),
    /// Who is ignored.
    Ignored(&'a [&'a Name]),
    /// Whether joins, leaves and renames are left out.
    Quiet(bool),
    /// Whether there is a time before each line, in minutes off UTC.
    Times(Option<i16>),
    /// Whether there is a bell.
    Bell(bool),
    /// Whether the server edits the line.
    Editing(bool),
    /// The session is paused, and has been for a while.
    LinesWait,
    /// The session is paused because its room cannot keep up.
    RoomIsSlow,
    /// The answer to telnet's Are You There.
    StillHere,
    /// The first of two interrupts.
    InterruptAgain,
    /// An operator gave this session a name.
    Named(&'a Name),
    /// An operator tells this session.
    OperatorTells(&'a str),
    /// The session is muted no more.
    MaySpeak,
    /// What came of something that an operator asked for in the chat.
    Done(&'a str),
}

impl Note<'_> {
    /// Whether the server says it by itself, and not in answer to a request.
    pub(crate) fn is_unasked(&self) -> bool {
        matches!(
            self,
            Self::LinesWait | Self::RoomIsSlow | Self::OperatorTells(_) | Self::MaySpeak
        )
    }
}

/// Whether a room was made because somebody went there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    No,
    Yes,
    WithKey,
}

/// Where a session is, and who is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived<'a> {
    /// It has just connected.
    pub(crate) first: Option<First>,
    pub(crate) you: &'a Name,
    pub(crate) room: &'a RoomName,
    /// The first who are there, as many as [`Codec::greeting_names_max`](crate::dialect::Codec::greeting_names_max) says.
    pub(crate) here: Here<'a>,
}

/// What a page needs to come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct First {
    /// Tells this run of the server from all others.
    pub(crate) run: u64,
    /// What takes the session back: 128 random bits; 0 where nobody asks for that.
    pub(crate) key: u128,
}

/// A list of rooms, or a part of it, which begins and ends as a line does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoomList<'a> {
    /// How many there are.
    pub(crate) count: usize,
    /// Whether it is the first part.
    pub(crate) begins: bool,
    /// Whether it is the last part.
    pub(crate) ends: bool,
    pub(crate) listed: &'a [ListedRoom<'a>],
}

/// A room in a list, and how many are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListedRoom<'a> {
    pub(crate) name: &'a RoomName,
    pub(crate) here: usize,
}

/// A list of those who are here, or in another room; or a part of it, which begins and ends as a line does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'a> {
    /// In which room, if it is not the session's own.
    pub(crate) room: Option<&'a RoomName>,
    /// How many are here.
    pub(crate) count: usize,
    /// Whether it is the first part.
    pub(crate) begins: bool,
    pub(crate) listed: &'a [Listed<'a>],
    /// How many are left out.
    pub(crate) unlisted: usize,
    /// How many listen, of whom nobody was told; `None` if it is not the last part.
    pub(crate) listening: Option<usize>,
}

/// Somebody in a list of those who are here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a Name,
    /// What stands beside their name in IRC.
    pub(crate) user: &'a str,
    pub(crate) away: bool,
    /// Whether they are an operator.
    pub(crate) op: bool,
    /// Whether their connection is broken, and their page may come back.
    pub(crate) unreachable: bool,
}

/// A line that was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Past<'a> {
    /// Counts what was ever said in its room and was kept, from 1 on.
    pub(crate) number: u64,
    /// When it was said, in seconds since 1970 in UTC.
    pub(crate) wall_seconds: u64,
    /// What its author was called then.
    pub(crate) name: &'a str,
    /// Whether it was an action.
    pub(crate) acts: bool,
    pub(crate) words: &'a str,
}

/// Why the server says goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Farewell<'a> {
    /// Why the session ends.
    pub(crate) reason: CloseReason,
    /// How long it was silent, for [`CloseReason::Idle`], or is to wait before it comes again, for
    /// [`CloseReason::ConnectRate`].
    pub(crate) seconds: u64,
    /// What was spoken instead of the listener's dialect, for [`CloseReason::WrongProtocol`].
    pub(crate) foreign: Foreign,
    /// Where that may be spoken.
    pub(crate) elsewhere: Elsewhere,
    /// When the rule ends that keeps the session out, in seconds since 1970, for [`CloseReason::Banned`]; `None`: never.
    pub(crate) until: Option<u64>,
    /// What an operator gave as the reason; may be empty.
    pub(crate) why: &'a str,
}

/// What somebody speaks who is at the wrong port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// Text, but not in UTF-8.
    Utf16,
    /// What programs speak.
    Wire,
    Irc,
    /// What is spoken at none of our listeners.
    #[default]
    Other,
}

/// The ports of the listeners to which those can be sent who speak their dialects elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    pub(crate) wire: Option<u16>,
    pub(crate) irc: Option<u16>,
}
