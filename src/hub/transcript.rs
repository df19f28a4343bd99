//! What is said in rooms without a key, as lines that people search and the server reads back.
//!
//! `2026-11-25T14:05:33Z lobby <ann> hello` · `2026-11-25T14:05:40Z games * ann waves`
//!
//! Neither a time, nor a room, nor a name can hold a space, and nothing that is said holds a line end or ends with a
//! space, so every line can be read back to what was said. A line that was cut off is ended by [`CUT_OFF`], which makes
//! it one that cannot be read.

use std::io::Write;

use crate::dialect::event::{Event, Past};
use crate::hub::Hub;
use crate::hygiene::is_forbidden;
use crate::room_name::RoomName;
use crate::when::Moment;

/// Ends a line of which only a part was written: nothing that is said ends with a space.
pub(crate) const CUT_OFF: &[u8] = b" \n";

/// When this many bytes wait to be written, no more is read in the turn, so that none is lost: 64 lines of the usual
/// greatest length.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// At most this much of the buffer is kept from one turn to the next.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// What was said in rooms without a key since it was last written.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    text: Vec<u8>,
    /// The second that `time` shows.
    wall_seconds: Option<u64>,
    /// The time, as it begins a line, with the space behind it.
    time: Vec<u8>,
}

/// A line that was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Where it was said.
    pub(crate) room: &'a str,
    pub(crate) said: Past<'a>,
}

impl Transcript {
    /// Adds what was said in a room; nothing else is added.
    pub(super) fn add(&mut self, room: &RoomName, event: &Event<'_>, wall_seconds: u64) {
        let (name, words, before, behind) = match *event {
            Event::Said { name, words } | Event::Noticed { name, words } => {
                (name, words, " <", "> ")
            }
            Event::Did { name, words } => (name, words, " * ", " "),
            Event::Presence(_) | Event::Operator { .. } | Event::Announced { .. } => return,
        };
        if self.wall_seconds.replace(wall_seconds) != Some(wall_seconds) {
            self.time.clear();
            // Writing to a `Vec` cannot fail.
            let _ = write!(self.time, "{} ", Moment(wall_seconds));
        }
        let text = &mut self.text;
        text.extend_from_slice(&self.time);
        text.extend_from_slice(room.text().as_bytes());
        text.extend_from_slice(before.as_bytes());
        name.write_to(text);
        text.extend_from_slice(behind.as_bytes());
        text.extend_from_slice(words.as_bytes());
        text.push(b'\n');
    }

    /// Whether so much waits that no more is to be read in this turn.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= WAITING_BYTES_MAX
    }

    /// What waits to be written: whole lines.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// What waited was written, or is lost.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES_MAX);
    }
}

impl<'a> Line<'a> {
    /// Reads a line, without its end; `None` if it is none of a transcript.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (time, line) = line.split_once(' ')?;
        let (room, line) = line.split_once(' ')?;
        let act = line.strip_prefix("* ");
        let (name, words) = match act {
            Some(line) => line.split_once(' ')?,
            None => line.strip_prefix('<')?.split_once("> ")?,
        };
        // Nothing else is read as this time: no fraction, and no second that a leap puts behind the 59th.
        let wall_seconds = Moment::parse(time).filter(|it| Moment(*it).to_string() == time)?;
        // The file may have been edited: nothing of it may do to a terminal what nobody may say.
        let is_said = !words.is_empty() && !words.ends_with(' ') && !words.contains(is_forbidden);
        let said = Past {
            // Its room counts it when it is restored there.
            number: 0,
            wall_seconds,
            name,
            acts: act.is_some(),
            words,
        };
        (is_said && is_name(room) && is_name(name)).then_some(Self { room, said })
    }
}

/// Whether this has the form of the name of a person or a room.
fn is_name(text: &str) -> bool {
    RoomName::parse(text).is_ok_and(|name| name.text() == text)
}

impl<T> Hub<T> {
    /// Writes down what is said in rooms without a key from now on, of which newcomers are told.
    pub(crate) fn begin_transcript(&mut self) {
        self.core.transcript = Some(Transcript::default());
    }

    /// What was said and is not written yet; `None` if nothing is to be written.
    pub(crate) fn transcript(&mut self) -> Option<&mut Transcript> {
        self.core.transcript.as_mut()
    }

    /// Lets what these lines tell have been said before, where there is a room of that name. Lines that cannot be read
    /// are passed over.
    pub(crate) fn restore(&mut self, text: &[u8]) {
        let rooms = &mut self.core.rooms;
        for line in text.split(|byte| *byte == b'\n').filter_map(Line::read) {
            if let Some(at) = rooms.find(line.room) {
                rooms.change(at, |room| room.history.restore(&line.said));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hygiene::clean;
    use crate::name::Name;

    /// 2026-11-25, 14:05:33.
    const AFTERNOON: u64 = 1_795_615_533;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn lines(transcript: &Transcript) -> Vec<&str> {
        std::str::from_utf8(transcript.text())
            .unwrap()
            .lines()
            .collect()
    }

    #[test]
    fn what_is_said_and_done_is_written_as_it_is_read_in_a_room() {
        let mut transcript = Transcript::default();
        let (ann, lobby) = (&name("ann"), RoomName::lobby());
        let words = "hello <there> * all";
        transcript.add(&lobby, &Event::Said { name: ann, words }, AFTERNOON);
        let words = "waves";
        let games = RoomName::parse("games").unwrap();
        transcript.add(&games, &Event::Did { name: ann, words }, AFTERNOON + 7);
        let guest = &Name::guest(3);
        transcript.add(&games, &Event::Said { name: guest, words }, AFTERNOON + 7);
        let told = [
            "2026-11-25T14:05:33Z lobby <ann> hello <there> * all",
            "2026-11-25T14:05:40Z games * ann waves",
            "2026-11-25T14:05:40Z games <guest3> waves",
        ];
        assert_eq!(lines(&transcript), told);
        transcript.clear();
        assert_eq!(transcript.text(), b"");
    }

    #[test]
    fn nothing_is_written_but_what_is_said() {
        let mut transcript = Transcript::default();
        let (name, lobby) = (&name("ann"), RoomName::lobby());
        let joined = crate::dialect::event::Presence::Joined { name, here: 1 };
        transcript.add(&lobby, &Event::Presence(joined), AFTERNOON);
        transcript.add(
            &lobby,
            &Event::Announced {
                before: "",
                words: "hello",
                server: "x.y",
            },
            AFTERNOON,
        );
        assert_eq!(transcript.text(), b"");
    }

    #[test]
    fn what_is_no_line_of_a_transcript_is_passed_over() {
        let good = "2026-11-25T14:05:33Z lobby <ann> hello";
        let read = Line::read(good.as_bytes()).unwrap();
        assert_eq!((read.room, read.said.words), ("lobby", "hello"));
        for bad in [
            "",
            "2026-11-25T14:05:33Z",
            "2026-11-25T14:05:33Z lobby",
            "2026-11-25T14:05:33Z lobby <ann>",
            "2026-11-25T14:05:33Z lobby <ann> ",
            "2026-11-25T14:05:33Z lobby * ann",
            "2026-11-25T14:05:33Z lobby * ann ",
            "2026-11-25T14:05:33Z lobby <ann> hel ",
            "2026-11-25T14:05:33Z lobby <ann hello",
            "2026-11-25T14:05:33Z lobby <an n> hello",
            "2026-11-25T14:05:33Z lobby <> hello",
            "2026-11-25T14:05:33Z  <ann> hello",
            "2026-11-25T14:05:33Z #lobby <ann> hello",
            "2026-11-25T14:05:33Z lobby <ann>  hello\r",
            "2026-11-25T14:05:33Z lobby <ann> \x1b[2J",
            "2026-11-25T14:05:33Z lobby ann hello",
            "2026-11-25T14:05:33.5Z lobby <ann> hello",
            "2026-13-25T14:05:33Z lobby <ann> hello",
            "2026-11-25T14:05:60Z lobby <ann> hello",
            "2026-11-25 14:05:33 lobby <ann> hello",
            " 2026-11-25T14:05:33Z lobby <ann> hello",
        ] {
            assert_eq!(Line::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Line::read(b"2026-11-25T14:05:33Z lobby <ann> h\xc3"), None);
    }

    #[test]
    fn a_line_that_is_cut_off_anywhere_and_ended_cannot_be_read() {
        let whole = "2026-11-25T14:05:33Z lobby <ann> hello ä";
        for bytes in 0..=whole.len() {
            let mut line = whole.as_bytes()[..bytes].to_vec();
            line.extend_from_slice(CUT_OFF);
            let ended = line.strip_suffix(b"\n").unwrap();
            assert_eq!(Line::read(ended), None, "{bytes} bytes of it");
        }
    }

    #[test]
    fn a_great_buffer_is_given_back_and_a_small_one_is_kept() {
        let mut transcript = Transcript::default();
        let (name, words) = (&name("ann"), &*"x".repeat(4000));
        while !transcript.is_full() {
            transcript.add(&RoomName::lobby(), &Event::Said { name, words }, AFTERNOON);
        }
        assert!(transcript.text.len() < WAITING_BYTES_MAX + 5000);
        transcript.clear();
        let kept = transcript.text.capacity();
        assert!((1..=KEPT_BYTES_MAX).contains(&kept), "{kept}");
    }

    fn any_words() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..4),
            prop::sample::select(vec![
                "\x1b[", "\n", "\r", " ", "> ", "* ", "<", "\u{2028}", "\u{85}", "\u{301}",
                "\u{a0}", "\u{3000}", "a", "/me ", "//",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_line_that_any_text_and_name_can_make_is_read_back(
            bytes in any_words(),
            cut in 0usize..8,
            person in "\\PC{1,12}",
            room in "[\\p{L}\\p{M}0-9_.-]{1,12}",
            acts: bool,
            wall_seconds in 0u64..253_402_300_800,
        ) {
            // Dialects clean a line, and take what it begins with for a command.
            let clean = clean(&bytes).text;
            let words = clean.get(cut..).unwrap_or(&clean).trim_start();
            let name = Name::parse(&person).unwrap_or(Name::guest(wall_seconds));
            let room = RoomName::parse(&room).unwrap_or(RoomName::lobby());
            prop_assume!(!words.is_empty());
            let event = if acts {
                Event::Did { name: &name, words }
            } else {
                Event::Said { name: &name, words }
            };
            let mut transcript = Transcript::default();
            transcript.add(&room, &event, wall_seconds);
            let line = transcript.text().strip_suffix(b"\n").unwrap();
            prop_assert!(!line.contains(&b'\n'));
            let name = name.text();
            let said = Past { number: 0, wall_seconds, name: &name, acts, words };
            let room = room.text();
            prop_assert_eq!(Line::read(line), Some(Line { room, said }));
        }

        #[test]
        fn whatever_is_read_would_be_written_so(
            bytes in any_words(),
            head in "(2[0-9]{3}-1[0-2]-[0-3][0-9]T1[0-9]:[0-5][0-9]:[0-6][0-9]Z )?([a-z]{1,3} )?(<[a-z]{1,3}> |\\* [a-z]{1,3} )?",
        ) {
            let bytes = [head.as_bytes(), &bytes].concat();
            for line in bytes.split(|byte| *byte == b'\n') {
                let Some(Line { room, said }) = Line::read(line) else {
                    continue;
                };
                prop_assert!(said.words.chars().all(|c| !is_forbidden(c)));
                let Past { number: _, wall_seconds, name, acts, words } = said;
                let (before, behind) = if acts { ("* ", " ") } else { ("<", "> ") };
                let written = format!("{} {room} {before}{name}{behind}{words}", Moment(wall_seconds));
                prop_assert_eq!(written.as_bytes(), line);
            }
        }
    }
}
