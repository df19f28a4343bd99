//! What a person sets for herself: being away, ignoring, and her own view of the feed.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::dialect::command::{Refusal, Usage, COMMANDS};
use crate::dialect::editor::Word;
use crate::dialect::event::Reply;
use crate::dialect::text;
use crate::hub::feed::{Cursor, Feed, Part};
use crate::hub::peer::Peer;
use crate::hub::{history, Hub, SessionId};
use crate::name::Name;

/// Nobody can ignore more people at a time.
const IGNORED_MAX: usize = 100;

/// At most so many names are offered for a word.
const CANDIDATES_MAX: usize = 50;

/// What one person has set. It lasts as long as her session.
#[derive(Debug, Default)]
pub(super) struct Comforts {
    /// She is away, for this reason, which may be empty.
    away: Option<Box<str>>,
    /// Of these she hears nothing. Ids are never used again, so one who has gone stays harmless.
    ignored: Vec<SessionId>,
    /// Who wrote to her privately last.
    last_teller: Option<SessionId>,
    pub(super) view: View,
}

/// How she wants to see what is said to her.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Without who comes and goes.
    quiet: bool,
    /// With the time before each line, so many minutes off UTC.
    clock: Option<i16>,
    /// With a bell in each line that names her or is private.
    bell: bool,
}

impl View {
    /// Adds lines that are for her alone.
    pub(super) fn show_own(self, lines: &[u8], wall_seconds: u64, out: &mut Vec<u8>) {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let private = line.starts_with(b"[") && !line.starts_with(b"[to ");
            self.show_line(line, private, wall_seconds, out);
        }
    }

    fn show_line(self, line: &[u8], ring: bool, wall_seconds: u64, out: &mut Vec<u8>) {
        if let Some(offset) = self.clock {
            text::encode_time(wall_seconds, offset, out);
        }
        out.extend_from_slice(line);
        if self.bell && ring {
            text::ring(out);
        }
    }
}

impl Comforts {
    /// Whether she sees the feed otherwise than everybody.
    pub(super) fn has_view(&self) -> bool {
        self.view != View::default() || !self.ignored.is_empty()
    }

    /// Collects what she, who has this id and name, hears of the feed, in her own copy.
    pub(super) fn collect(
        &self,
        id: SessionId,
        feed: &mut Feed,
        cursor: &mut Cursor,
        name: &Name,
        wall_seconds: u64,
        parts: &mut Vec<Part>,
    ) {
        let name = name.text().to_lowercase();
        feed.collect_lines(cursor, parts, |line, out| {
            let unwanted = line
                .author
                .is_some_and(|author| self.ignored.contains(&author))
                || (self.view.quiet && line.is_presence);
            if !unwanted {
                let may_ring = self.view.bell && !line.is_presence && line.author != Some(id);
                let named = may_ring && names(line.bytes, &name);
                self.view.show_line(line.bytes, named, wall_seconds, out);
            }
        });
    }
}

/// Whether a line of chat has this name, in lower case, in its words.
fn names(line: &[u8], name: &str) -> bool {
    let line = String::from_utf8_lossy(line).to_lowercase();
    // Who says or does it is no part of that.
    let said = line.strip_prefix("* ").unwrap_or(&line);
    let words = said.split_once(' ').map_or("", |(_, words)| words);
    words.match_indices(name).any(|(at, _)| {
        let before = words[..at].chars().next_back();
        let after = words[at + name.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

impl<T> Hub<T> {
    pub(super) fn set_away(&mut self, id: SessionId, away: Option<&str>) {
        self.comforts(id).away = away.map(Into::into);
        let state = if away.is_some() { "away" } else { "back" };
        self.note(id, format_args!("you are {state}"));
    }

    /// Whether this person is away.
    pub(super) fn is_away(&self, id: SessionId) -> bool {
        let comforts = self.peer_ref(id).and_then(|peer| peer.comforts.as_ref());
        comforts.is_some_and(|comforts| comforts.away.is_some())
    }

    /// Says a private message, unless its receiver does not want to hear of its author.
    pub(super) fn deliver(&mut self, from: SessionId, to: SessionId, words: &str) {
        let sender = self.peers[from.slot as usize].name.clone();
        let receiver = self.peers[to.slot as usize].name.clone();
        let comforts = self.comforts(to);
        let away = comforts.away.clone();
        if !comforts.ignored.contains(&from) {
            comforts.last_teller = Some(from);
            self.reply(
                to,
                &Reply::Told {
                    from: &sender,
                    words,
                },
            );
        }
        self.reply(
            from,
            &Reply::YouTold {
                to: &receiver,
                words,
            },
        );
        match away.as_deref() {
            None => {}
            Some("") => self.note(from, format_args!("{receiver} is away")),
            Some(reason) => self.note(from, format_args!("{receiver} is away: {reason}")),
        }
    }

    pub(super) fn answer(&mut self, id: SessionId, words: &str) -> Result<(), Refusal> {
        let teller = self
            .comforts(id)
            .last_teller
            .filter(|teller| self.is_open(*teller));
        let teller = teller.ok_or(Refusal::NobodyWrote)?;
        self.deliver(id, teller, words);
        Ok(())
    }

    pub(super) fn describe(
        &mut self,
        id: SessionId,
        name: &str,
        now: Instant,
    ) -> Result<(), Refusal> {
        let found = self
            .roster
            .find(name)
            .ok_or_else(|| Refusal::Nobody(name.into()))?;
        let peer = &self.peers[found.slot as usize];
        let (name, dialect) = (peer.name.clone(), peer.dialect);
        let here = span(now.saturating_duration_since(peer.opened_at));
        let silent = span(now.saturating_duration_since(peer.heard_at()));
        self.note(
            id,
            format_args!("{name}: here {here}, silent {silent}, {dialect}"),
        );
        Ok(())
    }

    pub(super) fn ignore(&mut self, id: SessionId, name: &str) -> Result<(), Refusal> {
        let found = self
            .roster
            .find(name)
            .ok_or_else(|| Refusal::Nobody(name.into()))?;
        if found == id {
            return Err(Refusal::Yourself);
        }
        if !self.comforts(id).ignored.contains(&found) {
            if self.comforts(id).ignored.len() >= IGNORED_MAX {
                self.forget_the_gone(id);
            }
            let ignored = &mut self.comforts(id).ignored;
            if ignored.len() >= IGNORED_MAX {
                return Err(Refusal::IgnoresTooMany(IGNORED_MAX));
            }
            ignored.push(found);
        }
        let name = self.peers[found.slot as usize].name.clone();
        self.note(id, format_args!("ignoring {name}"));
        Ok(())
    }

    pub(super) fn unignore(&mut self, id: SessionId, name: &str) -> Result<(), Refusal> {
        let found = self
            .roster
            .find(name)
            .ok_or_else(|| Refusal::Nobody(name.into()))?;
        self.comforts(id)
            .ignored
            .retain(|ignored| *ignored != found);
        let name = self.peers[found.slot as usize].name.clone();
        self.note(id, format_args!("no longer ignoring {name}"));
        Ok(())
    }

    pub(super) fn list_ignored(&mut self, id: SessionId) {
        let ignored = self.comforts(id).ignored.clone();
        let names: Vec<_> = ignored
            .iter()
            .filter(|ignored| self.is_open(**ignored))
            .map(|id| self.peers[id.slot as usize].name.text())
            .collect();
        if names.is_empty() {
            self.note(id, format_args!("ignoring nobody"));
        } else {
            let names = names.join(", ");
            self.note(id, format_args!("ignoring: {names}"));
        }
    }

    pub(super) fn set_quiet(&mut self, id: SessionId, on: bool) {
        self.comforts(id).view.quiet = on;
        self.note(
            id,
            format_args!("presence {}", if on { "off" } else { "on" }),
        );
    }

    pub(super) fn set_bell(&mut self, id: SessionId, on: bool) {
        self.comforts(id).view.bell = on;
        self.note(id, format_args!("bell {}", if on { "on" } else { "off" }));
    }

    pub(super) fn set_clock(&mut self, id: SessionId, offset: Option<i16>) {
        self.comforts(id).view.clock = offset;
        match offset {
            None => self.note(id, format_args!("times off")),
            Some(minutes) => {
                let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
                let (hours, minutes) = (minutes / 60, minutes % 60);
                self.note(id, format_args!("times on, {sign}{hours:02}:{minutes:02}"));
            }
        }
    }

    pub(super) fn show_history(&mut self, id: SessionId, lines: usize) {
        let comforts = self.peers[id.slot as usize].comforts.as_deref();
        let view = comforts.map_or(View::default(), |comforts| comforts.view);
        let is_wanted =
            |author| !comforts.is_some_and(|comforts| comforts.ignored.contains(&author));
        let mut shown = Vec::new();
        view.show_own(history::EARLIER, self.wall_seconds, &mut shown);
        // Each has a time already, and needs no other one.
        let offset = view.clock.unwrap_or(0);
        self.room.history.show(lines, offset, is_wanted, &mut shown);
        view.show_own(history::NOW, self.wall_seconds, &mut shown);
        self.queue_alone(id, |out| out.append(&mut shown));
    }

    pub(super) fn set_editing(&mut self, id: SessionId, on: bool, now: Instant) {
        let line_bytes_max = self.limits.line_bytes_max;
        let mut protocol_reply = Vec::new();
        let Some(peer) = self.peer(id) else { return };
        let heard = peer
            .reader
            .set_editing(on, line_bytes_max, &mut protocol_reply);
        self.say_protocol(id, &mut protocol_reply);
        if let Some(heard) = heard {
            self.handle_heard(id, heard, now);
        }
        if !on {
            self.note(id, format_args!("editing off"));
        }
    }

    /// Answers Tab: commands, or the names of those here, who spoke last first.
    pub(super) fn complete(&mut self, id: SessionId, word: &Word) {
        let prefix = word.prefix.to_lowercase();
        let candidates: Vec<String> = match prefix.strip_prefix('/') {
            Some(prefix) if word.is_at_line_start => {
                let words = COMMANDS.iter().map(Usage::word);
                words
                    .filter(|word| word.starts_with(prefix))
                    .map(|word| format!("/{word}"))
                    .collect()
            }
            _ => {
                let others = self.room.arrivals().filter(|other| *other != id);
                let peers = others.map(|other| &self.peers[other.slot as usize]);
                let named = peers.map(|peer| (Reverse(peer.spoke), peer.name.text()));
                let fits = |(_, name): &(_, Cow<'_, str>)| name.to_lowercase().starts_with(&prefix);
                // Those who never spoke stand at the end, in no order that anybody would look for.
                let mut named: BinaryHeap<_> = named.filter(fits).map(Reverse).collect();
                let sorted = std::iter::from_fn(|| named.pop().map(|Reverse((_, name))| name));
                sorted.take(CANDIDATES_MAX).map(Cow::into_owned).collect()
            }
        };
        if let Some(peer) = self.peer(id) {
            peer.reader.complete(&candidates);
        }
    }

    fn comforts(&mut self, id: SessionId) -> &mut Comforts {
        self.peers[id.slot as usize]
            .comforts
            .get_or_insert_default()
    }

    fn is_open(&self, id: SessionId) -> bool {
        self.peer_ref(id).is_some_and(Peer::is_open)
    }

    /// Takes those who have left off the list of those she ignores. Their last lines may not have been told yet, so
    /// this is only done when there is no room for others.
    fn forget_the_gone(&mut self, id: SessionId) {
        let mut ignored = std::mem::take(&mut self.comforts(id).ignored);
        ignored.retain(|ignored| self.is_open(*ignored));
        self.comforts(id).ignored = ignored;
    }
}

/// A span of time in its largest unit.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3600 => format!("{} min", seconds / 60),
        seconds @ ..86400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [told(0), told(59), told(60), told(3599)],
            ["0 s", "59 s", "1 min", "59 min"]
        );
        assert_eq!(
            [told(3600), told(86399), told(86400)],
            ["1 h", "23 h", "1 d"]
        );
    }

    #[test]
    fn a_name_counts_as_a_word_of_its_own_only() {
        assert!(names(b"<bob> hi Ann!\r\n", "ann"));
        assert!(names("<bob> 老罗：hi\r\n".as_bytes(), "老罗"));
        assert!(!names(b"<bob> the annual plan\r\n", "ann"));
        assert!(!names(b"<ann> hello\r\n", "ann"));
        assert!(names(b"* bob nudges ann\r\n", "ann"));
        assert!(!names(b"* ann-b waves\r\n", "ann"));
    }
}
