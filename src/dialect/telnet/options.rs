//! Which telnet options are on, and what follows for line editing (RFC 854, 857, 858, 1073, 1143).
//!
//! A client that lets the server echo (ECHO) and goes without go-ahead (SGA) sends every key by itself: then, and only
//! then, the server can edit the line. Both are offered once to a client that begins to negotiate by itself, and
//! whenever the person asks.
//!
//! Only a change of state is ever answered, and every yes or no that answers a word of ours is told from one that the
//! client says by itself, so two negotiators cannot loop however often and fast a person changes their mind. An option
//! that we do not know is refused once. Nothing is written before the client has negotiated or the person has asked.
//!
//! Invariant: `editing` holds exactly while both of our options are on.

/// The byte that begins a telnet command: Interpret As Command.
pub(super) const IAC: u8 = 0xff;

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

/// At most 100 wishes for an option, of a client or on account of its bytes, are met on one connection; one that toggles
/// more often is no longer listened to. What its person types is not counted.
const WISHES_MAX: u8 = 100;

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

/// An option of one side, as far as we know it.
#[derive(Debug, Default, Clone, Copy)]
struct Switch {
    state: State,
    /// How many of our words about it wait for an answer. They were on and off by turns, so the state tells what each
    /// of them was.
    unanswered: u8,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    /// We have asked for it.
    Asked,
    On,
}

/// What a yes or no of the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// Nothing new, or the answer to a word of ours that was taken back in the meantime.
    Nothing,
    /// It agrees to what we asked for.
    Agreed,
    /// It does not.
    Refused,
    /// It wants the option by itself.
    Wished,
    /// It wants it no more.
    Ended,
}

impl Switch {
    /// More words than this never wait for a client that answers; of one that does not, only the last ones matter.
    const UNANSWERED_MAX: u8 = 100;

    /// We ask for it; false if we have done so already.
    fn ask(&mut self) -> bool {
        let asks = self.state == State::Off;
        if asks {
            self.state = State::Asked;
            self.wait();
        }
        asks
    }

    /// We want it no more.
    fn end(&mut self) {
        if self.state != State::Off {
            self.state = State::Off;
            self.wait();
        }
    }

    fn wait(&mut self) {
        self.unanswered += 1;
        if self.unanswered > Self::UNANSWERED_MAX {
            // By two, so that it is still known what each of them was.
            self.unanswered -= 2;
        }
    }

    /// Whether the first of our words that wait for an answer asked for it.
    fn first_asked(self) -> bool {
        (self.state == State::Asked) == (self.unanswered % 2 == 1)
    }

    /// The client says yes or no.
    fn hear(&mut self, yes: bool) -> Sense {
        if self.unanswered > 0 && yes && !self.first_asked() {
            // Some clients never say that they have heard of an end.
            self.unanswered -= 1;
        }
        if self.unanswered == 0 {
            return match (yes, self.state) {
                (true, State::Off) => Sense::Wished,
                (false, State::On) => {
                    self.state = State::Off;
                    Sense::Ended
                }
                _ => Sense::Nothing,
            };
        }
        // What was refused is off, so that taking it back changes nothing and is not answered.
        let answered = if !yes && self.first_asked() { 2 } else { 1 };
        self.unanswered = self.unanswered.saturating_sub(answered);
        if self.unanswered > 0 || self.state != State::Asked {
            return Sense::Nothing;
        }
        self.state = if yes { State::On } else { State::Off };
        if yes {
            Sense::Agreed
        } else {
            Sense::Refused
        }
    }
}

/// The state of all options of one connection.
#[derive(Debug, Default)]
pub(super) struct Options {
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
    person: Person,
    /// Editing has been offered or declined, so it is not offered again unless the person or the client asks.
    offered: bool,
    wishes: u8,
    refused: [OptionSet; 2],
    /// The width of the client's window as it was last told, also while nothing is edited; 0 if it never was.
    pub(super) columns: u16,
}

/// What the person knows of an agreement that is not there yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Person {
    #[default]
    DidNotAsk,
    Waits,
    /// Was told that the client does not answer, and wants to know if it does after all.
    GaveUp,
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

impl Options {
    /// Takes a request or an answer of the client; what is to be answered goes to `reply`.
    pub(super) fn receive(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) -> Option<Change> {
        match (verb, option) {
            (DO, TIMING_MARK) => reply.extend([IAC, WILL, TIMING_MARK]),
            (DO | DONT, ECHO | SUPPRESS_GO_AHEAD) => {
                return self.receive_of_ours(verb == DO, option, reply);
            }
            (WILL | WONT, WINDOW_SIZE | SUPPRESS_GO_AHEAD | BINARY) => {
                self.receive_of_theirs(verb == WILL, option, reply);
            }
            (DO | WILL, _) => {
                self.offered |= (verb, option) == (WILL, LINEMODE);
                self.refuse(verb, option, reply);
            }
            _ => {}
        }
        None
    }

    /// The person asks for editing.
    pub(super) fn ask(&mut self, reply: &mut Vec<u8>) {
        self.person = Person::Waits;
        self.offer(reply);
    }

    /// The person wants no editing any more.
    pub(super) fn stop(&mut self, reply: &mut Vec<u8>) -> Option<Change> {
        self.person = Person::DidNotAsk;
        self.offered = true;
        let ours = [self.echo, self.go_ahead_suppressed];
        if ours.iter().all(|switch| switch.state == State::Off) {
            return None;
        }
        self.end(reply)
    }

    /// The person has typed a line after asking for editing, and the client has not answered: most likely it never
    /// will.
    pub(super) fn give_up_waiting(&mut self) -> Option<Change> {
        let waits = self.person == Person::Waits;
        if waits {
            self.person = Person::GaveUp;
        }
        waits.then_some(Change::Refused)
    }

    pub(super) fn is_editing(&self) -> bool {
        self.editing
    }

    /// The client should send bytes of eight bits as they are, and does not.
    pub(super) fn ask_for_eight_bits(&mut self, reply: &mut Vec<u8>) {
        if self.wishes < WISHES_MAX && self.eight_bits.ask() {
            self.wishes += 1;
            reply.extend([IAC, DO, BINARY]);
        }
    }

    fn receive_of_ours(&mut self, yes: bool, option: u8, reply: &mut Vec<u8>) -> Option<Change> {
        let switch = match option {
            ECHO => &mut self.echo,
            _ => &mut self.go_ahead_suppressed,
        };
        match switch.hear(yes) {
            Sense::Agreed => self.begin_if_agreed(reply),
            Sense::Wished if self.wishes < WISHES_MAX => {
                self.wishes += 1;
                switch.state = State::On;
                reply.extend([IAC, WILL, option]);
                // To want echo is to want what is of no use without it, even after an end.
                if option == ECHO || !self.offered {
                    self.offer(reply);
                }
                self.begin_if_agreed(reply)
            }
            Sense::Nothing | Sense::Wished => None,
            // One of them without the other is of no use, so neither stays.
            Sense::Refused | Sense::Ended => self.end(reply),
        }
    }

    fn receive_of_theirs(&mut self, yes: bool, option: u8, reply: &mut Vec<u8>) {
        let switch = match option {
            WINDOW_SIZE => &mut self.window_size,
            BINARY => &mut self.eight_bits,
            _ => &mut self.their_go_ahead_suppressed,
        };
        match switch.hear(yes) {
            Sense::Wished if self.wishes < WISHES_MAX => {
                self.wishes += 1;
                switch.state = State::On;
                reply.extend([IAC, DO, option]);
                if !self.offered && option != BINARY {
                    self.offer(reply);
                }
            }
            Sense::Ended => reply.extend([IAC, DONT, option]),
            _ => {}
        }
    }

    fn refuse(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) {
        if self.refused[usize::from(verb == WILL)].insert(option) {
            reply.extend([IAC, if verb == DO { WONT } else { DONT }, option]);
        }
    }

    fn offer(&mut self, reply: &mut Vec<u8>) {
        self.offered = true;
        for (switch, option) in [
            (&mut self.echo, ECHO),
            (&mut self.go_ahead_suppressed, SUPPRESS_GO_AHEAD),
        ] {
            if switch.ask() {
                reply.extend([IAC, WILL, option]);
            }
        }
    }

    /// Neither we nor the client echo and suppress any more. The other side has no choice, so that need not be awaited.
    fn end(&mut self, reply: &mut Vec<u8>) -> Option<Change> {
        self.offered = true;
        self.echo.end();
        self.go_ahead_suppressed.end();
        reply.extend([IAC, WONT, ECHO, IAC, WONT, SUPPRESS_GO_AHEAD]);
        let waited = std::mem::take(&mut self.person) == Person::Waits;
        if std::mem::take(&mut self.editing) {
            return Some(Change::Ends);
        }
        waited.then_some(Change::Refused)
    }

    fn begin_if_agreed(&mut self, reply: &mut Vec<u8>) -> Option<Change> {
        let agreed = self.echo.state == State::On && self.go_ahead_suppressed.state == State::On;
        if self.editing || !agreed {
            return None;
        }
        self.editing = true;
        if self.window_size.ask() {
            reply.extend([IAC, DO, WINDOW_SIZE]);
        }
        // Else the usual telnet client takes the byte 0x9d of `”` for its escape key.
        self.ask_for_eight_bits(reply);
        let asked = std::mem::take(&mut self.person) != Person::DidNotAsk;
        Some(Change::Begins { asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_a_wish_however_many_words_are_under_way() {
        let mut switch = Switch::default();
        assert!(switch.ask());
        switch.end();
        assert!(switch.ask() && !switch.ask());
        assert_eq!(switch.hear(true), Sense::Nothing, "to the first word");
        assert_eq!(switch.hear(false), Sense::Nothing, "to the second");
        assert_eq!(switch.hear(true), Sense::Agreed);
        assert_eq!(switch.hear(true), Sense::Nothing);
        assert_eq!(switch.hear(false), Sense::Ended);
        assert_eq!(switch.hear(true), Sense::Wished);
    }

    #[test]
    fn an_end_need_not_be_acknowledged() {
        let mut switch = Switch::default();
        switch.ask();
        assert_eq!(switch.hear(true), Sense::Agreed);
        switch.end();
        switch.ask();
        assert_eq!(switch.hear(true), Sense::Agreed);
        switch.end();
        assert_eq!(switch.hear(true), Sense::Wished);
    }

    #[test]
    fn what_was_refused_is_not_refused_again_when_it_is_taken_back() {
        let mut switch = Switch::default();
        switch.ask();
        switch.end();
        switch.ask();
        assert_eq!(
            switch.hear(false),
            Sense::Nothing,
            "the end is no news to it"
        );
        assert_eq!(switch.hear(false), Sense::Refused);
        assert_eq!(switch.hear(false), Sense::Nothing);
    }

    #[test]
    fn words_that_nobody_answers_do_not_pile_up() {
        let mut switch = Switch::default();
        for _ in 0..1000 {
            assert!(switch.ask());
            assert!(
                switch.unanswered <= Switch::UNANSWERED_MAX && !switch.first_asked()
                    || switch.unanswered % 2 == 1
            );
            switch.end();
        }
        assert!(switch.unanswered <= Switch::UNANSWERED_MAX && switch.first_asked());
    }
}
