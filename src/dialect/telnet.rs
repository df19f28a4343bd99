//! The telnet protocol below the text: commands and options, one byte at a time (RFC 854, 855, 1143).
//!
//! [`Telnet`] is a state machine that survives any cutting into packets. It says nothing to a client that has not
//! sent a telnet command itself, and what it answers is bounded: an option is refused once, only a change of state
//! is ever answered, and a subnegotiation without an end costs its first bytes and no more.

/// The byte that begins a telnet command: Interpret As Command.
pub(crate) const IAC: u8 = 0xff;

const SE: u8 = 0xf0;
const IP: u8 = 0xf4;
const AYT: u8 = 0xf6;
const EC: u8 = 0xf7;
const EL: u8 = 0xf8;
const EOF: u8 = 0xec;
const SB: u8 = 0xfa;
const WILL: u8 = 0xfb;
const WONT: u8 = 0xfc;
const DO: u8 = 0xfd;
const DONT: u8 = 0xfe;

/// RFC 860. A client discards all output until its mark is answered, so every request must be.
const TIMING_MARK: u8 = 6;

/// A subnegotiation longer than this is given up: what follows is text again.
const SUBNEGOTIATION_BYTES_MAX: u8 = 64;

/// What a byte, or the last of a few, meant.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Meaning {
    /// More bytes are needed, or there is nothing to do.
    Nothing,
    /// A byte of text: 0xff that was doubled, or a key (DEL, NAK) that the client sent as a command.
    Text(u8),
    /// Interrupt Process: Ctrl-C in the usual clients.
    Interrupt,
    /// Are You There.
    AreYouThere,
    /// End of file: Ctrl-D in the line mode of `PuTTY`.
    EndOfFile,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Command,
    Negotiation(u8),
    Subnegotiation(u8),
    SubnegotiationCommand(u8),
}

/// One session's side of the telnet protocol.
#[derive(Debug, Default)]
pub(crate) struct Telnet {
    state: State,
    refused: Option<Box<Refused>>,
}

/// Which options have been refused already: nobody is told so twice.
#[derive(Debug, Default)]
struct Refused {
    ours: OptionSet,
    theirs: OptionSet,
}

#[derive(Debug, Default)]
struct OptionSet([u64; 4]);

impl OptionSet {
    /// Adds an option and says whether it is new.
    fn insert(&mut self, option: u8) -> bool {
        let (word, bit) = (&mut self.0[usize::from(option >> 6)], 1 << (option & 63));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

impl Telnet {
    /// Whether the next byte is text unless it is [`IAC`].
    pub(crate) fn expects_text(&self) -> bool {
        self.state == State::Text
    }

    /// Takes one byte that is not plain text. Answers go to `reply`.
    pub(crate) fn byte(&mut self, byte: u8, reply: &mut Vec<u8>) -> Meaning {
        let (state, meaning) = match (self.state, byte) {
            (State::Text, IAC) => (State::Command, Meaning::Nothing),
            (State::Text, byte) => (State::Text, Meaning::Text(byte)),
            (State::Command, WILL | WONT | DO | DONT) => {
                (State::Negotiation(byte), Meaning::Nothing)
            }
            (State::Command, SB) => (State::Subnegotiation(0), Meaning::Nothing),
            (State::Command, command) => (State::Text, meaning_of(command)),
            (State::Negotiation(verb), option) => {
                self.negotiate(verb, option, reply);
                (State::Text, Meaning::Nothing)
            }
            (State::Subnegotiation(length), IAC) => {
                (State::SubnegotiationCommand(length), Meaning::Nothing)
            }
            (State::SubnegotiationCommand(_), SE) => (State::Text, Meaning::Nothing),
            (State::Subnegotiation(length) | State::SubnegotiationCommand(length), _) => {
                let given_up = length >= SUBNEGOTIATION_BYTES_MAX;
                let state = if given_up {
                    State::Text
                } else {
                    State::Subnegotiation(length + 1)
                };
                (state, Meaning::Nothing)
            }
        };
        self.state = state;
        meaning
    }

    fn negotiate(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) {
        match (verb, option) {
            (DO, TIMING_MARK) => reply.extend([IAC, WILL, TIMING_MARK]),
            (DO, _) if self.refused().ours.insert(option) => reply.extend([IAC, WONT, option]),
            (WILL, _) if self.refused().theirs.insert(option) => reply.extend([IAC, DONT, option]),
            // Nothing is on, so there is nothing to switch off, and an answer is never answered.
            _ => {}
        }
    }

    fn refused(&mut self) -> &mut Refused {
        self.refused.get_or_insert_default()
    }
}

fn meaning_of(command: u8) -> Meaning {
    match command {
        IAC => Meaning::Text(IAC),
        IP => Meaning::Interrupt,
        AYT => Meaning::AreYouThere,
        EOF => Meaning::EndOfFile,
        EC => Meaning::Text(super::text::DEL),
        EL => Meaning::Text(super::text::NAK),
        _ => Meaning::Nothing,
    }
}
