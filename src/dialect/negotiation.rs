//! Which telnet options are on, and what follows for line editing (RFC 854, 857, 858, 1073, 1143).
//!
//! A client that lets the server echo (ECHO) and goes without go-ahead (SGA) sends every key by itself: then, and only
//! then, the server can edit the line. Both are offered once to a client that begins to negotiate by itself, and
//! whenever the person asks.
//!
//! Only a change of state is ever answered, so two negotiators cannot loop; an option that we do not know is refused
//! once. Nothing is written before the client has negotiated or the person has asked.
//!
//! Invariant: `editing` holds exactly while both of our options are on.

use super::telnet::IAC;

pub(super) const WILL: u8 = 0xfb;
pub(super) const WONT: u8 = 0xfc;
pub(super) const DO: u8 = 0xfd;
pub(super) const DONT: u8 = 0xfe;

/// Bytes of eight bits, sent as they are (RFC 856).
const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
/// A client discards all output until its mark is answered, so every request must be (RFC 860).
const TIMING_MARK: u8 = 6;
pub(super) const WINDOW_SIZE: u8 = 31;
/// A client that wants to edit lines by itself (RFC 1184) does not want ours.
const LINEMODE: u8 = 34;

/// So many changes are answered on one connection; whoever toggles more often is no longer listened to.
const CHANGES_MAX: u8 = 100;

/// What a negotiation led to for line editing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// From the next byte on, the client sends every key by itself. `asked` if the person wanted it.
    Begins {
        /// Whether by `/edit`.
        asked: bool,
    },
    /// The client edits lines itself again.
    Ends,
    /// The client does not let us edit, though the person asked for it.
    Refused,
}

/// How far an option has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Switch {
    #[default]
    Off,
    /// We have asked for it.
    Asked,
    On,
}

/// The state of all options of one connection.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    /// What we do: we echo …
    echo: Switch,
    /// … and send no go-ahead.
    go_ahead_suppressed: Switch,
    /// What the client does: it tells the size of its window …
    window_size: Switch,
    /// … sends no go-ahead …
    their_go_ahead_suppressed: Switch,
    /// … and sends bytes of eight bits as they are.
    eight_bits: Switch,
    editing: bool,
    /// The person asked for editing and the client has not agreed yet.
    asked: bool,
    /// Editing has been offered or declined, so it is not offered again unless the person or the client asks.
    offered: bool,
    changes: u8,
    refused: [OptionSet; 2],
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

impl Negotiation {
    /// Takes a request or an answer of the client; what is to be answered goes to `reply`.
    pub(super) fn receive(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) -> Option<Change> {
        match (verb, option) {
            (DO, TIMING_MARK) => reply.extend([IAC, WILL, TIMING_MARK]),
            (WILL, LINEMODE) => {
                self.offered = true;
                self.refuse(verb, option, reply);
            }
            (DO, ECHO | SUPPRESS_GO_AHEAD) | (WILL, WINDOW_SIZE | SUPPRESS_GO_AHEAD) => {
                self.switch_on(verb, option, reply);
                self.offer_once(reply);
            }
            (WILL, BINARY) => self.switch_on(verb, option, reply),
            (DO | WILL, _) => self.refuse(verb, option, reply),
            (DONT | WONT, _) => return self.switch_off(verb, option, reply),
            _ => {}
        }
        self.begin_if_agreed(reply)
    }

    /// The person asks for editing.
    pub(super) fn ask(&mut self, reply: &mut Vec<u8>) -> Option<Change> {
        self.asked = true;
        self.offer(reply);
        self.begin_if_agreed(reply)
    }

    /// The person wants no editing any more, or the client does not.
    pub(super) fn stop(&mut self, reply: &mut Vec<u8>) -> Option<Change> {
        let (was_editing, was_asked) = (self.editing, self.asked);
        self.editing = false;
        self.asked = false;
        self.offered = true;
        self.echo = Switch::Off;
        self.go_ahead_suppressed = Switch::Off;
        reply.extend([IAC, WONT, ECHO, IAC, WONT, SUPPRESS_GO_AHEAD]);
        match (was_editing, was_asked) {
            (true, _) => Some(Change::Ends),
            (false, true) => Some(Change::Refused),
            (false, false) => None,
        }
    }

    /// The person has typed a line after asking for editing, and the client has not answered: it never will.
    pub(super) fn give_up_waiting(&mut self) -> Option<Change> {
        if !std::mem::take(&mut self.asked) {
            return None;
        }
        for switch in [&mut self.echo, &mut self.go_ahead_suppressed] {
            if *switch == Switch::Asked {
                *switch = Switch::Off;
            }
        }
        Some(Change::Refused)
    }

    pub(super) fn is_editing(&self) -> bool {
        self.editing
    }

    /// The client should send bytes of eight bits as they are, and does not.
    pub(super) fn ask_for_eight_bits(&mut self, reply: &mut Vec<u8>) {
        if self.eight_bits == Switch::Off && self.count_change() {
            self.eight_bits = Switch::Asked;
            reply.extend([IAC, DO, BINARY]);
        }
    }

    fn switch_on(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) {
        let Some((switch, answer, _)) = self.switch(verb, option) else {
            return;
        };
        match *switch {
            Switch::On => {}
            Switch::Asked => *switch = Switch::On,
            Switch::Off => {
                *switch = Switch::On;
                if self.count_change() {
                    reply.extend([IAC, answer, option]);
                }
            }
        }
    }

    fn switch_off(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) -> Option<Change> {
        let (switch, _, answer) = self.switch(verb, option)?;
        if std::mem::take(switch) == Switch::Off {
            return None;
        }
        if verb == DONT {
            // Echo without the other is of no use, so neither stays.
            return if self.count_change() {
                self.stop(reply)
            } else {
                None
            };
        }
        if self.count_change() {
            reply.extend([IAC, answer, option]);
        }
        None
    }

    /// The switch that a verb of the client is about, and our words for on and off.
    fn switch(&mut self, verb: u8, option: u8) -> Option<(&mut Switch, u8, u8)> {
        match (verb, option) {
            (DO | DONT, ECHO) => Some((&mut self.echo, WILL, WONT)),
            (DO | DONT, SUPPRESS_GO_AHEAD) => Some((&mut self.go_ahead_suppressed, WILL, WONT)),
            (WILL | WONT, WINDOW_SIZE) => Some((&mut self.window_size, DO, DONT)),
            (WILL | WONT, BINARY) => Some((&mut self.eight_bits, DO, DONT)),
            (WILL | WONT, SUPPRESS_GO_AHEAD) => {
                Some((&mut self.their_go_ahead_suppressed, DO, DONT))
            }
            _ => None,
        }
    }

    fn refuse(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) {
        if self.refused[usize::from(verb == WILL)].insert(option) {
            reply.extend([IAC, if verb == DO { WONT } else { DONT }, option]);
        }
    }

    fn offer_once(&mut self, reply: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.offered, true) {
            self.offer(reply);
        }
    }

    fn offer(&mut self, reply: &mut Vec<u8>) {
        self.offered = true;
        for (switch, option) in [
            (&mut self.echo, ECHO),
            (&mut self.go_ahead_suppressed, SUPPRESS_GO_AHEAD),
        ] {
            if *switch == Switch::Off {
                *switch = Switch::Asked;
                reply.extend([IAC, WILL, option]);
            }
        }
    }

    fn begin_if_agreed(&mut self, reply: &mut Vec<u8>) -> Option<Change> {
        if self.editing || self.echo != Switch::On || self.go_ahead_suppressed != Switch::On {
            return None;
        }
        self.editing = true;
        if self.window_size == Switch::Off {
            self.window_size = Switch::Asked;
            reply.extend([IAC, DO, WINDOW_SIZE]);
        }
        // Else the usual telnet client takes the byte 0x9d of `”` for its escape key.
        self.ask_for_eight_bits(reply);
        Some(Change::Begins {
            asked: std::mem::take(&mut self.asked),
        })
    }

    /// Counts a change; gives whether it is still answered.
    fn count_change(&mut self) -> bool {
        self.changes = self.changes.saturating_add(1);
        self.changes <= CHANGES_MAX
    }
}
