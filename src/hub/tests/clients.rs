//! What telnet clients answer to option negotiation, as they were seen to do.

use std::collections::BTreeSet;

pub(crate) const IAC: u8 = 0xff;
pub(crate) const DONT: u8 = 0xfe;
pub(crate) const DO: u8 = 0xfd;
pub(crate) const WONT: u8 = 0xfc;
pub(crate) const WILL: u8 = 0xfb;
const SB: u8 = 0xfa;
const SE: u8 = 0xf0;

const BINARY: u8 = 0;
pub(crate) const ECHO: u8 = 1;
pub(crate) const SGA: u8 = 3;
pub(crate) const TIMING_MARK: u8 = 6;
pub(crate) const NAWS: u8 = 31;

/// Which client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian's telnet, and `PuTTY` once it has said its opening.
    Usual,
    /// Takes part in character mode once, and toggles SGA whenever it is mentioned.
    Busybox,
    /// Never acknowledges WONT.
    Tintin,
    /// Echoes locally unless told so, but never goes without go-ahead.
    Tf5,
    /// `nc -t`: refuses everything, and keeps no state.
    Refusing,
    /// Answers nothing.
    Silent,
    /// Sends back every byte, as the echo service does.
    Echoing,
}

pub(crate) const KINDS: [Kind; 7] = [
    Kind::Usual,
    Kind::Busybox,
    Kind::Tintin,
    Kind::Tf5,
    Kind::Refusing,
    Kind::Silent,
    Kind::Echoing,
];

#[derive(Debug, Clone, Copy)]
enum State {
    Text,
    Command,
    Negotiation(u8),
    Subnegotiation,
}

/// A client between the server and a screen.
#[derive(Debug)]
pub(crate) struct Client {
    kind: Kind,
    state: State,
    /// What the server does or is to do, as far as this client knows.
    pub(crate) theirs: BTreeSet<u8>,
    /// The usual client: what the server has said that it does, and how many answers to requests are due.
    theirs_told: BTreeSet<u8>,
    due: [u8; 4],
    /// What this client does.
    ours: BTreeSet<u8>,
    /// Busybox: it has been in character mode and left it.
    is_through: bool,
    pub(crate) columns: u16,
    /// What it has to send.
    pub(crate) answers: Vec<u8>,
    /// What goes to the screen.
    pub(crate) text: Vec<u8>,
    /// Commands of the server so far.
    pub(crate) negotiations: usize,
}

impl Client {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            state: State::Text,
            theirs: BTreeSet::new(),
            theirs_told: BTreeSet::new(),
            due: [0; 4],
            ours: BTreeSet::new(),
            is_through: false,
            columns: 80,
            answers: Vec::new(),
            text: Vec::new(),
            negotiations: 0,
        }
    }

    /// Whether every key goes out by itself, and the server has to echo it.
    pub(crate) fn sends_keys(&self) -> bool {
        self.theirs.contains(&ECHO) && self.theirs.contains(&SGA)
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if self.kind == Kind::Echoing {
            self.negotiations += bytes.split(|byte| *byte == IAC).count() - 1;
            self.answers.extend_from_slice(bytes);
            return;
        }
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Text, IAC) => State::Command,
                (State::Text, byte) => {
                    self.text.push(byte);
                    State::Text
                }
                (State::Command, WILL | WONT | DO | DONT) => State::Negotiation(byte),
                (State::Command, SB) => State::Subnegotiation,
                (State::Negotiation(verb), option) => {
                    self.negotiations += 1;
                    self.negotiate(verb, option);
                    State::Text
                }
                (State::Subnegotiation, byte) if byte != SE => State::Subnegotiation,
                (State::Command | State::Subnegotiation, _) => State::Text,
            };
        }
    }

    /// The person of a usual client wants an option of the server, ECHO or SGA, on or off, by the client's own menu.
    pub(crate) fn request(&mut self, verb: u8, option: u8) {
        assert_eq!(self.kind, Kind::Usual);
        let changes = if verb == DO {
            self.theirs.insert(option)
        } else {
            self.theirs.remove(&option)
        };
        if changes {
            self.due[usize::from(option)] += 1;
            self.answers.extend([IAC, verb, option]);
        }
    }

    /// As in the source of BSD's telnet, which counts the answers that are due to what it asked for.
    fn receive_usual(&mut self, will: bool, option: u8) {
        let due = &mut self.due[usize::from(option)];
        if *due > 0 {
            *due -= 1;
            *due -= u8::from(*due > 0 && will == self.theirs_told.contains(&option));
        }
        if *due == 0 && will != self.theirs.contains(&option) {
            if will {
                self.theirs.insert(option);
            } else {
                self.theirs.remove(&option);
            }
            if will != self.theirs_told.contains(&option) {
                self.answers
                    .extend([IAC, if will { DO } else { DONT }, option]);
            }
        }
        if will {
            self.theirs_told.insert(option);
        } else {
            self.theirs_told.remove(&option);
        }
    }

    fn negotiate(&mut self, verb: u8, option: u8) {
        let answer = |client: &mut Self, verb| client.answers.extend([IAC, verb, option]);
        match (self.kind, verb, option) {
            (Kind::Refusing, DO, _) => answer(self, WONT),
            (Kind::Refusing, WILL, _) | (Kind::Tf5, WILL, SGA) => answer(self, DONT),
            (Kind::Silent | Kind::Echoing | Kind::Refusing, ..) => {}
            (Kind::Busybox, _, SGA) => {
                // As in its source: a request that changes nothing is ignored, any other one toggles.
                let on = self.theirs.contains(&SGA);
                if (on && verb == WILL) || (!on && verb == WONT) {
                    return;
                }
                if on {
                    self.theirs.remove(&SGA);
                    answer(self, DONT);
                } else {
                    self.theirs.insert(SGA);
                    answer(self, DO);
                }
            }
            (Kind::Usual, WILL | WONT, ECHO | SGA) => self.receive_usual(verb == WILL, option),
            (Kind::Busybox, WILL, ECHO) if self.is_through => answer(self, DONT),
            (_, WILL, ECHO | SGA) if self.theirs.insert(option) => answer(self, DO),
            (Kind::Tintin, WONT, _) => {
                self.theirs.remove(&option);
            }
            (_, WONT, _) if self.theirs.remove(&option) => {
                self.is_through |= option == ECHO;
                answer(self, DONT);
            }
            (_, WILL, option) if ![ECHO, SGA].contains(&option) => answer(self, DONT),
            (_, DO, NAWS) if self.ours.insert(NAWS) => {
                answer(self, WILL);
                self.tell_size();
            }
            (Kind::Usual, DO, BINARY) if self.ours.insert(BINARY) => answer(self, WILL),
            (_, DO, TIMING_MARK) => answer(self, WILL),
            (_, DO, option) if option != NAWS => answer(self, WONT),
            (_, DONT, _) if self.ours.remove(&option) => answer(self, WONT),
            _ => {}
        }
    }

    /// The window has another size.
    pub(crate) fn resize(&mut self, columns: u16) {
        self.columns = columns;
        if self.ours.contains(&NAWS) && self.kind != Kind::Busybox {
            self.tell_size();
        }
    }

    fn tell_size(&mut self) {
        self.answers.extend([IAC, SB, NAWS]);
        for byte in self.columns.to_be_bytes().into_iter().chain([0, 24]) {
            self.answers.push(byte);
            if byte == IAC && self.kind != Kind::Busybox {
                self.answers.push(IAC);
            }
        }
        self.answers.extend([IAC, SE]);
    }
}
