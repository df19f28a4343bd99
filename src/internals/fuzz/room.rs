//! A hub with three sessions: one that sends the bytes of the input, and a person and a program who hear it.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use crate::dialect::{Dialect, Opening};
use crate::hub::{Hub, SessionId, Sink, Then};
use crate::limits::{Limits, QueueLimits};
use crate::origin::Origin;
use crate::test_clock::outset;

use super::hygiene::is_forbidden;

/// The longest line of the real session. Short, so that inputs reach it.
pub(super) const LINE_BYTES_MAX: usize = 60;

/// What the reference may need for the same words: cleaning can triple them.
pub(super) const REFERENCE_LINE_BYTES_MAX: usize = 4 * LINE_BYTES_MAX;

const SPEAKER: usize = 0;
const PERSON: usize = 1;
const PROGRAM: usize = 2;

/// A send is said to take this long, so that the room tells one session in each turn.
const SEND: Duration = Duration::from_millis(20);

/// How much later each turn sends than the one before, so that it may send again.
const TURN: Duration = Duration::from_secs(1);

pub(super) struct Room {
    hub: Hub<usize>,
    /// Time stands still, so that it plays no role how the input is cut into packets.
    now: Instant,
    /// But not for what is sent.
    sending_at: Instant,
    speaker: SessionId,
    screens: Screens,
}

#[derive(Default)]
struct Screens {
    texts: [Vec<u8>; 3],
    spent: Duration,
}

impl Sink<usize> for Screens {
    fn write(
        &mut self,
        _: SessionId,
        transport: &mut usize,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.spent += SEND;
        let screen = &mut self.texts[*transport];
        let before = screen.len();
        screen.extend(slices.iter().flat_map(|slice| slice.iter()));
        Ok(screen.len() - before)
    }

    fn finish(&mut self, _: &mut usize) {}

    fn spent(&self) -> Duration {
        self.spent
    }
}

impl Room {
    pub(super) fn new(dialect: Dialect, line_bytes_max: usize) -> Self {
        Self::opened(dialect, line_bytes_max)
    }

    /// The speaker begins as is said here.
    pub(super) fn opened(speaker: impl Into<Opening>, line_bytes_max: usize) -> Self {
        let mut hub = Hub::new(Limits {
            line_bytes_max,
            queue: QueueLimits {
                bytes_max: 1 << 20,
                bytes_soft: 1 << 20,
                ..Limits::WIDE.queue
            },
            history_lines: 3,
            pace_max: Some(Duration::from_millis(100)),
            ..Limits::WIDE
        });
        let now = outset();
        let speaker = hub.connect(SPEAKER, speaker, Origin::Local, now);
        let person = hub.connect(PERSON, Dialect::Telnet, Origin::Local, now);
        hub.connect(PROGRAM, Dialect::Wire, Origin::Local, now);
        let mut room = Self {
            hub,
            now,
            sending_at: now,
            speaker,
            screens: Screens::default(),
        };
        room.hub.handle_input(person, b"/name ann\n", now);
        room.flush();
        room.screens.texts = Default::default();
        room
    }

    /// The speaker sends a packet, and all of it is understood.
    pub(super) fn hear(&mut self, packet: &[u8]) {
        let mut then = self.hub.handle_input(self.speaker, packet, self.now);
        while then == Then::Resume {
            self.turn();
            then = self.hub.resume(self.speaker, self.now);
        }
        self.flush();
    }

    /// The stream of the speaker ends.
    pub(super) fn end(&mut self) {
        self.hub.handle_eof(self.speaker, self.now);
        self.flush();
    }

    /// Whether the speaker is still in the room.
    pub(super) fn has_speaker(&self) -> bool {
        self.hub.open_sessions() == 3
    }

    /// What the speaker was sent so far.
    pub(super) fn answered(&self) -> &[u8] {
        &self.screens.texts[SPEAKER]
    }

    /// What the person who listens was sent so far.
    pub(super) fn heard_by_person(&self) -> &[u8] {
        &self.screens.texts[PERSON]
    }

    /// What the program that listens was sent so far.
    pub(super) fn heard_by_program(&self) -> &[u8] {
        &self.screens.texts[PROGRAM]
    }

    /// The words that the person heard said, and what they saw done.
    pub(super) fn words_heard(&self) -> Vec<String> {
        let lines = self.heard_by_person().split(|byte| *byte == b'\n');
        lines.filter_map(words_of).collect()
    }

    /// Sees that what others get is text as it should be.
    pub(super) fn check_what_others_get(&self) {
        let text = std::str::from_utf8(self.heard_by_person()).expect("UTF-8");
        let known = ["<", "* ", "[", "-- "];
        for line in text.split_inclusive('\n') {
            let line = line.strip_suffix("\r\n").expect("whole lines");
            assert!(
                known.iter().any(|begin| line.starts_with(begin)),
                "{line:?}"
            );
            assert!(!line.chars().any(is_forbidden), "{line:?}");
        }
        let program = std::str::from_utf8(self.heard_by_program()).expect("UTF-8");
        for line in program.split_inclusive('\n') {
            let fields: Vec<&str> = line.trim_end_matches('\n').split(' ').collect();
            assert!(matches!(fields[..], ["CHAT" | "TELL", _, _]), "{line:?}");
        }
    }

    /// Turns follow until everybody has heard all.
    fn flush(&mut self) {
        self.turn();
        while self.hub.has_untold() {
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.sending_at += TURN;
        self.hub.tick(self.now);
        self.hub.flush(self.sending_at, &mut self.screens);
        self.hub.reap(self.now, |_, _, _| ());
        self.hub.check_invariants();
    }
}

/// The words of `<name> words`, and of `* name words` with `/me ` before them.
fn words_of(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line)
        .expect("UTF-8")
        .trim_end_matches('\r');
    if let Some((_, words)) = line
        .strip_prefix('<')
        .and_then(|line| line.split_once("> "))
    {
        return Some(words.to_owned());
    }
    let (_, words) = line.strip_prefix("* ")?.split_once(' ')?;
    Some(format!("/me {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_tells_one_session_and_the_next_turns_the_others() {
        let mut room = Room::new(Dialect::Telnet, LINE_BYTES_MAX);
        room.hear(b"one\n");
        room.hub.handle_input(room.speaker, b"two\n", room.now);
        room.turn();
        assert!(room.hub.is_in_a_round());
        room.flush();
        assert!(!room.hub.is_in_a_round());
        assert_eq!(room.words_heard(), ["one", "two"]);
    }
}
