//! Ways of talking: bytes to requests, events and replies to bytes; one module for each way.
//!
//! Nothing here knows a socket, a clock or who else is connected. This file has the only matches on a dialect.

mod answer;
mod client;
pub(crate) mod commands;
pub(crate) mod directory;
pub(crate) mod event;
mod foreign;
pub(crate) mod input;
pub(crate) mod irc;
pub(crate) mod line;
pub(crate) mod message;
pub(crate) mod request;
pub(crate) mod telnet;
pub(crate) mod web;
pub(crate) mod wire;
pub(crate) mod words;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

pub(crate) use answer::Answer;

use directory::Directory;
use event::{Elsewhere, Event, Note, Past, Reply, Scene, To};
use input::{Context, Input, Keepalive};
use irc::question::Question;
use line::Line;
use message::{Ask, Inexpressible, Message};
use telnet::text;
use web::Site;

use crate::ledger::CloseReason;
use crate::name::Name;
use request::Refusal;

/// Which way of talking a listener offers and a session uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Plain lines for people with telnet or nc.
    Telnet,
    /// Commands with base64 fields for programs.
    Wire,
    /// A page for browsers, over HTTP and a WebSocket.
    Web,
    /// What IRC clients speak.
    Irc,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Telnet, Self::Wire, Self::Web, Self::Irc];

    /// Those that the client library speaks.
    #[cfg(test)]
    pub(crate) const OF_CLIENTS: [Self; 2] = [Self::Telnet, Self::Wire];

    /// The word that stands for it in the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Telnet => "telnet",
            Self::Wire => "wire",
            Self::Web => "web",
            Self::Irc => "irc",
        }
    }

    /// The word that stands for it in `-l` and in `listening` lines: how its address begins.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Web => "http",
            dialect => dialect.word(),
        }
    }

    /// How long a line may be so that the words in it can be `words_bytes_max` long.
    pub(crate) fn line_bytes_max(self, words_bytes_max: usize) -> usize {
        match self {
            Self::Telnet | Self::Web | Self::Irc => words_bytes_max,
            Self::Wire => wire::line_bytes_max(words_bytes_max),
        }
    }

    /// What somebody is told, in clear, who speaks this dialect where it is spoken in TLS. Programs are told nothing.
    #[cfg(feature = "tls")]
    pub(crate) fn wants_tls(self) -> &'static [u8] {
        match self {
            Self::Telnet => {
                b"!! this port speaks TLS: telnet-ssl, openssl s_client or ncat --ssl\r\n"
            }
            Self::Wire => b"",
            Self::Web => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
                  This port speaks TLS: its address begins with https://\r\n"
            }
            Self::Irc => b"ERROR :this port speaks TLS: connect with it switched on\r\n",
        }
    }

    /// Adds what one session of this dialect is told that has no codec any more, or none yet.
    pub(crate) fn encode_reply(self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        match (self, reply) {
            (Self::Web, Reply::Farewell(farewell)) => web::refuse(*farewell, out),
            _ => Codec::new(self).encode_reply(reply, &To::default(), out),
        }
    }
}

#[cfg(test)]
impl Dialect {
    /// Adds what the room hears in this dialect.
    pub(crate) fn encode_event(self, event: &Event<'_>, out: &mut Vec<u8>) {
        let encoding = Codec::new(self).encoding();
        encoding.encode_event(event, &Scene::default(), out);
    }
}

impl Elsewhere {
    /// Where each dialect is spoken: at its first listener.
    pub(crate) fn of(listeners: &[(Dialect, SocketAddr)]) -> Self {
        let port = |wanted| {
            let first = listeners.iter().find(|(dialect, _)| *dialect == wanted);
            first.map(|(_, address)| address.port())
        };
        Self {
            wire: port(Dialect::Wire),
            irc: port(Dialect::Irc),
        }
    }
}

/// What is said to all is encoded once for each of these that somebody hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Telnet,
    Web,
    /// Of programs that hear what is said.
    Wire,
    /// Of programs that hear who comes and goes, too.
    WireWatch,
    Irc,
    /// With the time before each line.
    IrcTime,
}

impl Encoding {
    /// How many there are; `encoding as usize` is below it.
    pub(crate) const COUNT: usize = 6;

    /// The first of them, whose lines a person may see in a way of their own.
    pub(crate) const VIEWED: usize = 2;

    /// All of them, in the order of their discriminants.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Telnet,
        Self::Web,
        Self::Wire,
        Self::WireWatch,
        Self::Irc,
        Self::IrcTime,
    ];

    /// Whether who hears it keeps a list of who is there, from what it is told of each who comes and goes.
    pub(crate) fn is_one_by_one(self) -> bool {
        matches!(self, Self::Irc | Self::IrcTime)
    }

    /// Adds what the room hears. Gives where the words begin in what was added, if a
    /// view may look at them; else 0.
    pub(crate) fn encode_event(
        self,
        event: &Event<'_>,
        scene: &Scene<'_>,
        out: &mut Vec<u8>,
    ) -> usize {
        match self {
            Self::Telnet => text::encode_event(event, out),
            Self::Web => {
                web::encode_event(event, scene.at, out);
                0
            }
            Self::Wire | Self::WireWatch => {
                wire::encode_event(event, self == Self::WireWatch, out);
                0
            }
            Self::Irc | Self::IrcTime => {
                irc::encode_event(event, scene, self == Self::IrcTime, out);
                0
            }
        }
    }
}

/// One session's side of its dialect: what was read and is not understood yet, and how it is answered.
#[derive(Debug)]
pub(crate) enum Codec {
    Telnet(telnet::codec::Codec),
    Wire(wire::Codec),
    Web(Box<web::codec::Codec>),
    Irc(Box<irc::codec::Codec>),
}

impl Codec {
    pub(crate) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Telnet => Self::Telnet(telnet::codec::Codec::default()),
            Dialect::Wire => Self::Wire(wire::Codec::default()),
            Dialect::Web => Self::Web(Box::default()),
            Dialect::Irc => Self::Irc(Box::default()),
        }
    }

    /// For a session that begins so.
    pub(crate) fn opened(opening: &Opening) -> Self {
        match opening {
            Opening::Irc(coming) => Self::Irc(Box::new(irc::codec::Codec::new(coming))),
            opening => Self::new(opening.dialect()),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Telnet(_) => Dialect::Telnet,
            Self::Wire(_) => Dialect::Wire,
            Self::Web(_) => Dialect::Web,
            Self::Irc(_) => Dialect::Irc,
        }
    }

    /// In which bytes the session hears what is said to all.
    pub(crate) fn encoding(&self) -> Encoding {
        match self {
            Self::Telnet(_) => Encoding::Telnet,
            Self::Web(_) => Encoding::Web,
            Self::Wire(codec) if codec.is_watching() => Encoding::WireWatch,
            Self::Wire(_) => Encoding::Wire,
            Self::Irc(codec) if codec.hears_time() => Encoding::IrcTime,
            Self::Irc(_) => Encoding::Irc,
        }
    }

    /// Whether somebody reads what the server says: the greeting, and who it was that wrote to them.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self, Self::Telnet(_) | Self::Web(_) | Self::Irc(_))
    }

    /// Whether the session hears its own lines like those of others.
    pub(crate) fn hears_own(&self) -> bool {
        match self {
            Self::Telnet(codec) => codec.is_editing(),
            Self::Web(_) => true,
            Self::Wire(_) => false,
            Self::Irc(codec) => codec.has_echo(),
        }
    }

    /// To how many columns what the session reads is folded; `None` if the width of its window is not known.
    pub(crate) fn fold_columns(&self) -> Option<u16> {
        match self {
            Self::Telnet(codec) => codec.fold_columns(),
            Self::Wire(_) | Self::Web(_) | Self::Irc(_) => None,
        }
    }

    /// Takes bytes from `input` until they ask for something; `None` when they are used up, or were enough work for one
    /// call. `scratch` lends room for the words of a request.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &[u8],
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        match self {
            Self::Telnet(codec) => codec.next(input, scratch, context),
            Self::Wire(codec) => codec.next(input, scratch, context),
            Self::Web(codec) => codec.next(input, scratch, context),
            Self::Irc(codec) => codec.next(input, scratch, context),
        }
    }

    /// To be called when no more input is looked at for now: what waited for the next input is done.
    pub(crate) fn settle<'a>(&mut self, context: &mut Context<'_>) -> Option<Input<'a>> {
        match self {
            Self::Telnet(codec) => codec.settle(context),
            Self::Wire(_) | Self::Web(_) | Self::Irc(_) => None,
        }
    }

    /// What the last line asks for, of a stream that has ended without a line end.
    pub(crate) fn finish<'a>(
        &mut self,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        match self {
            Self::Telnet(codec) => codec.finish(scratch, context),
            Self::Wire(codec) => codec.finish(scratch, context),
            Self::Irc(codec) => codec.finish(scratch, context),
            // A message that is not whole is none.
            Self::Web(_) => None,
        }
    }

    /// Adds what this session alone is told.
    pub(crate) fn encode_reply(&self, reply: &Reply<'_>, to: &To, out: &mut Vec<u8>) {
        match self {
            Self::Telnet(_) => text::encode_reply(reply, to, out),
            Self::Wire(codec) => codec.encode_reply(reply, out),
            Self::Web(codec) => codec.encode_reply(reply, out),
            Self::Irc(codec) => codec.encode_reply(reply, to, out),
        }
    }

    /// Adds what was said before. Programs are told none of it.
    pub(crate) fn encode_history<'a>(
        &self,
        past: impl Iterator<Item = Past<'a>>,
        to: &To,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Telnet(_) => {
                let mut add = |reply| text::encode_reply(&reply, to, out);
                add(Reply::Note(Note::Earlier));
                past.map(Reply::Past).for_each(&mut add);
                add(Reply::Note(Note::Now));
            }
            Self::Wire(_) => {}
            Self::Web(codec) => codec.encode_history(past, out),
            Self::Irc(codec) => codec.encode_history(past, to, out),
        }
    }

    /// Of how many who are there the session is told where it comes.
    pub(crate) fn greeting_names_max(&self) -> usize {
        match self {
            // A line, however many are here.
            Self::Telnet(_) | Self::Wire(_) => 20,
            Self::Web(_) => 1000,
            Self::Irc(_) => irc::GREETING_NAMES_MAX,
        }
    }

    /// Whether the session has a list of who is there, which is made anew wherever it goes.
    pub(crate) fn keeps_list(&self) -> bool {
        matches!(self, Self::Web(_) | Self::Irc(_))
    }

    /// Adds what stands before each line that the session's person sees in a way of their own, and the line; with a bell
    /// if it `rings`.
    pub(crate) fn encode_viewed(&self, to: &To, line: &[u8], rings: bool, out: &mut Vec<u8>) {
        match self {
            Self::Telnet(_) => text::encode_viewed(to, line, rings, out),
            Self::Wire(_) | Self::Web(_) | Self::Irc(_) => out.extend_from_slice(line),
        }
    }

    /// By which key its page takes the session back.
    pub(crate) fn page(&self) -> Option<u128> {
        match self {
            Self::Telnet(_) | Self::Wire(_) | Self::Irc(_) => None,
            Self::Web(codec) => codec.page(),
        }
    }

    /// Something was heard of its peer, `age` after the session began.
    pub(crate) fn hear(&mut self, age: Duration) {
        match self {
            Self::Web(codec) => codec.hear(age),
            Self::Irc(codec) => codec.hear(age),
            Self::Telnet(_) | Self::Wire(_) => {}
        }
    }

    /// By this key its page takes the session back.
    pub(crate) fn set_page(&mut self, key: u128) {
        if let Self::Web(codec) = self {
            codec.set_page(key);
        }
    }

    /// Whether its person is expected back if the connection breaks.
    pub(crate) fn comes_back(&self) -> bool {
        matches!(self, Self::Web(codec) if codec.comes_back())
    }

    /// What is to be done to find out whether a silent peer is still there, `age` after the session began; `None` where
    /// nobody is asked.
    pub(crate) fn keep_alive(&mut self, age: Duration) -> Option<Keepalive> {
        match self {
            Self::Telnet(_) | Self::Wire(_) => None,
            Self::Web(codec) => Some(codec.keep_alive(age)),
            Self::Irc(codec) => Some(codec.keep_alive(age)),
        }
    }

    /// Adds the question whether a silent peer is still there.
    pub(crate) fn ask(&self, out: &mut Vec<u8>) {
        match self {
            Self::Web(codec) => codec.ask(out),
            Self::Irc(codec) => codec.ask(out),
            Self::Telnet(_) | Self::Wire(_) => {}
        }
    }

    /// How many bytes a name takes in a list of those who are here, or a little more.
    pub(crate) fn listed_bytes(&self, name_bytes: usize) -> usize {
        match self {
            Self::Telnet(_) | Self::Web(_) | Self::Irc(_) => name_bytes + 2,
            Self::Wire(_) => wire::listed_bytes(name_bytes),
        }
    }

    /// Bytes of input that are kept.
    pub(crate) fn buffered(&self) -> usize {
        match self {
            Self::Telnet(codec) => codec.buffered(),
            Self::Wire(codec) => codec.buffered(),
            Self::Web(codec) => codec.buffered(),
            Self::Irc(codec) => codec.buffered(),
        }
    }

    /// Forgets the input that is kept.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Telnet(codec) => codec.clear(),
            Self::Wire(codec) => codec.clear(),
            Self::Web(codec) => codec.clear(),
            Self::Irc(codec) => codec.clear(),
        }
    }

    /// The person wants line editing, or wants it no more.
    pub(crate) fn set_editing(&mut self, on: bool, context: &mut Context<'_>) {
        if let Self::Telnet(codec) = self {
            codec.set_editing(on, context);
        }
    }

    /// The program wants to hear of presence, or no more; [`Codec::encoding`] is another one then.
    pub(crate) fn set_watching(&mut self, on: bool) {
        if let Self::Wire(codec) = self {
            codec.set_watching(on);
        }
    }

    /// The session is in this room from now on; `None`: in the lobby.
    pub(crate) fn set_room(&mut self, room: Option<&str>) {
        if let Self::Telnet(codec) = self {
            codec.set_room(room);
        }
    }

    /// The session is in this room, lobby or not, from now on; `None`: in none.
    pub(crate) fn set_place(&mut self, room: Option<&str>) {
        if let Self::Irc(codec) = self {
            codec.set_place(room);
        }
    }

    /// Whether the session begins in no room.
    pub(crate) fn begins_nowhere(&self) -> bool {
        matches!(self, Self::Irc(_))
    }

    /// The name that its client gave beside the others is forgotten.
    pub(crate) fn forget_real(&mut self) {
        if let Self::Irc(codec) = self {
            codec.forget_real();
        }
    }

    /// The session has this name.
    pub(crate) fn set_nick(&mut self, name: &str) {
        if let Self::Irc(codec) = self {
            codec.set_nick(name);
        }
    }

    /// Adds that the session has another name, where that is a line of its own.
    pub(crate) fn tell_name(&self, name: &Name, out: &mut Vec<u8>) {
        if let Self::Irc(codec) = self {
            codec.tell_name(name, out);
        }
    }

    /// What stands beside its name in IRC.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Irc(codec) => codec.user(),
            codec => codec.dialect().word(),
        }
    }

    /// Its real name, if its client gave one.
    pub(crate) fn real(&self) -> &str {
        match self {
            Self::Irc(codec) => codec.real(),
            Self::Telnet(_) | Self::Wire(_) | Self::Web(_) => "",
        }
    }

    /// Whether it wants to be in no list of all.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(self, Self::Irc(codec) if codec.is_hidden())
    }

    /// It hears in the encoding that it has asked for from now on.
    pub(crate) fn follow_caps(&mut self) {
        if let Self::Irc(codec) = self {
            codec.follow_caps();
        }
    }

    /// Adds the answer to [`Input::Question`].
    pub(crate) fn answer(
        &self,
        question: Question<'_>,
        directory: &dyn Directory,
        out: &mut Vec<u8>,
    ) {
        if let Self::Irc(codec) = self {
            codec.answer(question, directory, out);
        }
    }

    /// Answers [`Input::Complete`] with what the word may stand for, the best first.
    pub(crate) fn complete(&mut self, candidates: &[String]) {
        if let Self::Telnet(codec) = self {
            codec.complete(candidates);
        }
    }

    /// Whether texts must be framed: [`Codec::begin_frame`], the texts, [`Codec::end_frame`], with nothing between.
    pub(crate) fn has_frame(&self) -> bool {
        matches!(self, Self::Telnet(codec) if codec.has_frame())
    }

    /// Whether a frame has something to draw, even without texts.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Telnet(codec) if codec.is_stale())
    }

    /// Makes place on the screen if texts follow.
    pub(crate) fn begin_frame(&mut self, texts_follow: bool, out: &mut Vec<u8>) {
        if let Self::Telnet(codec) = self {
            codec.begin_frame(texts_follow, out);
        }
    }

    /// Adds what stands behind the texts.
    pub(crate) fn end_frame(&mut self, out: &mut Vec<u8>) {
        if let Self::Telnet(codec) = self {
            codec.end_frame(out);
        }
    }
}

/// What a dialect asks at the door, before there is a session.
#[derive(Debug)]
pub(crate) enum Preface {
    Web,
    Irc(Box<irc::Registration>),
}

/// What has come of it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is answered first.
    pub(crate) answer: Answer,
    /// Whose connection it is, as front ends say that are believed: the client first.
    pub(crate) forwarded: Vec<IpAddr>,
    /// It is a session behind the answer.
    pub(crate) opening: Option<Opening>,
    /// It cannot stay, for this reason.
    pub(crate) rejected: Option<CloseReason>,
}

/// What is known of a session that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Nothing but what it speaks.
    Plain(Dialect),
    /// A page has opened its socket.
    Web(web::Coming),
    /// A client has registered.
    Irc(Box<irc::Coming>),
}

impl From<Dialect> for Opening {
    fn from(dialect: Dialect) -> Self {
        Self::Plain(dialect)
    }
}

impl Opening {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Plain(dialect) => *dialect,
            Self::Web(_) => Dialect::Web,
            Self::Irc(_) => Dialect::Irc,
        }
    }
}

/// What answers at the door may say of the server.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) site: Site,
    /// What the server is called in IRC.
    pub(crate) irc_name: Box<str>,
}

impl Default for House {
    fn default() -> Self {
        Self {
            site: Site::default(),
            irc_name: irc::NAME.into(),
        }
    }
}

impl Preface {
    /// What a dialect asks; `None` if its sessions begin at once.
    pub(crate) fn of(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::Telnet | Dialect::Wire => None,
            Dialect::Web => Some(Self::Web),
            Dialect::Irc => Some(Self::Irc(Box::new(irc::Registration::new()))),
        }
    }

    /// How long a connection may take to say what is asked, each time.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Web => Duration::from_secs(10),
            Self::Irc(_) => Duration::from_secs(30),
        }
    }

    /// Whether that begins anew with each answer.
    pub(crate) fn is_patient_anew(&self) -> bool {
        matches!(self, Self::Web)
    }

    /// Whether who is silent for so long is told so.
    pub(crate) fn tells_the_idle(&self) -> bool {
        matches!(self, Self::Irc(_))
    }

    /// The name that a session was to have cannot be had. Gives what is answered.
    pub(crate) fn refuse_name(&mut self, refusal: &Refusal) -> Answer {
        let head = match self {
            Self::Web => Vec::new(),
            Self::Irc(registration) => registration.refuse(refusal),
        };
        Answer {
            head,
            ..Answer::default()
        }
    }

    /// Takes what a connection to this port has said off the front of its bytes; `None` if it has not said enough.
    pub(crate) fn next(&mut self, bytes: &mut Vec<u8>, house: &House, port: u16) -> Option<Asked> {
        match self {
            Self::Web => {
                let asked = web::answer(bytes, &house.site, port)?;
                Some(Asked {
                    answer: asked.answer,
                    forwarded: asked.forwarded,
                    opening: asked.coming.map(Opening::Web),
                    rejected: None,
                })
            }
            Self::Irc(registration) => {
                let asked = registration.next(bytes, &house.irc_name)?;
                Some(Asked {
                    answer: asked.answer,
                    forwarded: Vec::new(),
                    opening: asked.coming.map(Opening::Irc),
                    rejected: asked.rejected,
                })
            }
        }
    }
}

/// What a client says and hears.
impl Dialect {
    /// Understands a line of a server. `scratch` lends room for what has to be decoded. `None` is an empty line.
    pub(crate) fn parse_message<'a>(
        self,
        line: &'a Line<'_>,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Message<'a>> {
        let line: &[u8] = match line {
            Line::TooLong(bytes) => return Some(Message::TooLong(*bytes)),
            Line::Whole(line) if line.is_empty() => return None,
            Line::Whole(line) => line,
        };
        let understood = match self {
            Self::Telnet => client::telnet::parse(line),
            Self::Wire => client::wire::parse(line, scratch),
            // The client library does not speak it.
            Self::Web | Self::Irc => None,
        };
        Some(understood.unwrap_or_else(|| Message::Unknown(String::from_utf8_lossy(line))))
    }

    /// Adds the line of a client that asks for this.
    ///
    /// # Errors
    /// If it cannot be asked for so; then nothing is added.
    pub(crate) fn encode_ask(self, ask: Ask<'_>, out: &mut Vec<u8>) -> Result<(), Inexpressible> {
        match self {
            Self::Telnet => client::telnet::encode(ask, out),
            Self::Wire => client::wire::encode(ask, out),
            Self::Web | Self::Irc => Err(Inexpressible::NoSuchRequest),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let known = Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.scheme() == text);
        known.ok_or(UnknownDialect)
    }
}

/// The word is not that of any dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDialect;

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [most @ .., last] = Dialect::ALL.map(Dialect::scheme);
        write!(
            f,
            "no such dialect, there are {} and {last}",
            most.join(", ")
        )
    }
}

impl std::error::Error for UnknownDialect {}
