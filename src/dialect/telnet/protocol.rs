//! The telnet protocol below the text: commands, options and subnegotiations, one byte at a time (RFC 854, 855).
//!
//! [`Protocol`] is a state machine that survives any cutting into packets. It says nothing to a client that has not
//! sent a telnet command itself, unless its person asks for line editing.

use super::options::{Change, Options, DO, DONT, WILL, WINDOW_SIZE, WONT};
use super::text;

pub(super) use super::options::IAC;

/// Ctrl-C, as a key.
pub(crate) const ETX: u8 = 0x03;
/// Ctrl-O, Ctrl-Z and Ctrl-\\: throw output away, suspend, break.
const SI: u8 = 0x0f;
const SUB: u8 = 0x1a;
const FS: u8 = 0x1c;

const SUSP: u8 = 0xed;
const SE: u8 = 0xf0;
const BRK: u8 = 0xf3;
const IP: u8 = 0xf4;
const AO: u8 = 0xf5;
const AYT: u8 = 0xf6;
const EC: u8 = 0xf7;
const EL: u8 = 0xf8;
const EOF: u8 = 0xec;
const SB: u8 = 0xfa;

/// A subnegotiation longer than this is given up: what follows is text again.
const SUBNEGOTIATION_BYTES_MAX: u8 = 64;

/// The longest one that is understood: an option and two numbers of two bytes.
const WINDOW_BYTES: usize = 5;

/// What a byte, or the last of a few, meant.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Meaning {
    /// More bytes are needed, or there is nothing to do.
    Nothing,
    /// A byte of text: 0xff that was doubled, or a key (DEL, NAK) that the client sent as a command.
    Text(u8),
    /// A key that the client took for itself and made a command of: [`ETX`], Ctrl-C, is Interrupt Process.
    Key(u8),
    /// Are You There.
    AreYouThere,
    /// End of file: Ctrl-D in the line mode of `PuTTY`.
    EndOfFile,
    /// Options have changed.
    Change(Change),
    /// The client's window has this many columns.
    Columns(u16),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Command,
    Negotiation(u8),
    /// Within a subnegotiation, of which this many bytes have come.
    Subnegotiation(u8),
    SubnegotiationCommand(u8),
}

/// One session's side of the telnet protocol.
#[derive(Debug, Default)]
pub(crate) struct Protocol {
    state: State,
    /// The first bytes of the subnegotiation at hand.
    subnegotiation: [u8; WINDOW_BYTES],
    /// Made when the first option is talked about.
    options: Option<Box<Options>>,
}

impl Protocol {
    /// Whether the next byte is text unless it is [`IAC`].
    pub(crate) fn expects_text(&self) -> bool {
        self.state == State::Text
    }

    /// Whether the client sends every key by itself.
    pub(crate) fn is_editing(&self) -> bool {
        self.options
            .as_ref()
            .is_some_and(|options| options.is_editing())
    }

    /// The width of the client's window as it was last told; 0 if it never was.
    pub(crate) fn columns(&self) -> u16 {
        self.options.as_ref().map_or(0, |options| options.columns)
    }

    /// The person asks for line editing.
    pub(crate) fn ask_for_editing(&mut self, reply: &mut Vec<u8>) {
        self.options().ask(reply);
    }

    /// Asks the client to send bytes of eight bits as they are.
    pub(crate) fn ask_for_eight_bits(&mut self, reply: &mut Vec<u8>) {
        self.options().ask_for_eight_bits(reply);
    }

    /// The person wants no line editing any more.
    pub(crate) fn stop_editing(&mut self, reply: &mut Vec<u8>) -> Option<Change> {
        self.options.as_mut()?.stop(reply)
    }

    /// The person goes on typing lines: a client that did not agree to editing so far never will.
    pub(crate) fn give_up_waiting(&mut self) -> Option<Change> {
        self.options.as_mut()?.give_up_waiting()
    }

    /// Gives the bytes of a command that turns out to be none, for no client means what it would be with the byte that
    /// follows: a line end behind them counts as one.
    ///
    /// `ÿ` of Latin-1 and `я` of Windows-1251 are the byte [`IAC`]. The options that have the numbers of CR and LF are
    /// those of RFC 652 and 655, which nobody speaks any more.
    pub(crate) fn give_up_command(&mut self, next: u8) -> Option<&'static [u8]> {
        let is_line_end = matches!(next, b'\r' | b'\n');
        let stray: &[u8] = match self.state {
            State::Command if is_line_end || next == 0 => &[IAC],
            State::Negotiation(WILL) if is_line_end => &[IAC, WILL],
            State::Negotiation(WONT) if is_line_end => &[IAC, WONT],
            State::Negotiation(DO) if is_line_end => &[IAC, DO],
            State::Negotiation(DONT) if is_line_end => &[IAC, DONT],
            State::Subnegotiation(0) if is_line_end => &[IAC, SB],
            _ => return None,
        };
        self.state = State::Text;
        Some(stray)
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
                let change = self.options().receive(verb, option, reply);
                (
                    State::Text,
                    change.map_or(Meaning::Nothing, Meaning::Change),
                )
            }
            (State::Subnegotiation(length), IAC) => {
                (State::SubnegotiationCommand(length), Meaning::Nothing)
            }
            (State::Subnegotiation(length), byte) => {
                (self.collect(length, &[byte]), Meaning::Nothing)
            }
            (State::SubnegotiationCommand(length), SE) => (State::Text, self.subnegotiated(length)),
            (State::SubnegotiationCommand(length), IAC) => {
                (self.collect(length, &[IAC]), Meaning::Nothing)
            }
            // Some clients do not double the byte 255 in a window's size.
            (State::SubnegotiationCommand(length), byte) => {
                (self.collect(length, &[IAC, byte]), Meaning::Nothing)
            }
        };
        self.state = state;
        meaning
    }

    fn collect(&mut self, length: u8, bytes: &[u8]) -> State {
        let mut length = length;
        for byte in bytes {
            if let Some(slot) = self.subnegotiation.get_mut(usize::from(length)) {
                *slot = *byte;
            }
            length += 1;
        }
        if length > SUBNEGOTIATION_BYTES_MAX {
            State::Text
        } else {
            State::Subnegotiation(length)
        }
    }

    fn subnegotiated(&mut self, length: u8) -> Meaning {
        match (usize::from(length), self.subnegotiation) {
            (WINDOW_BYTES, [WINDOW_SIZE, high, low, _, _]) => {
                let columns = u16::from_be_bytes([high, low]);
                self.options().columns = columns;
                Meaning::Columns(columns)
            }
            _ => Meaning::Nothing,
        }
    }

    fn options(&mut self) -> &mut Options {
        self.options.get_or_insert_default()
    }
}

fn meaning_of(command: u8) -> Meaning {
    match command {
        IAC => Meaning::Text(IAC),
        IP => Meaning::Key(ETX),
        AO => Meaning::Key(SI),
        SUSP => Meaning::Key(SUB),
        BRK => Meaning::Key(FS),
        AYT => Meaning::AreYouThere,
        EOF => Meaning::EndOfFile,
        EC => Meaning::Text(text::DEL),
        EL => Meaning::Text(text::NAK),
        _ => Meaning::Nothing,
    }
}
