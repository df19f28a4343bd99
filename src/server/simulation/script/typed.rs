//! What one client typed, as meanings and as places in its stream of bytes.

use std::collections::VecDeque;

use super::Item;
use crate::dialect::Dialect;

/// What a client typed, and how far it has come.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// How many bytes were sent.
    sent: usize,
    /// What was not understood yet, and where in the stream of bytes it is complete.
    items: VecDeque<(usize, Item)>,
    /// Where each thing ended with its line end.
    ends: Vec<usize>,
    /// Where a line began that never ends.
    endless_from: usize,
}

impl Typed {
    /// Types something; gives its bytes.
    pub(crate) fn add(&mut self, item: Item, dialect: Dialect, line_end: &[u8]) -> Vec<u8> {
        let mut bytes = item.spell(dialect);
        let end = self.sent + bytes.len();
        // A line is complete with the first byte of its end, and a last one that has no end with the end of the stream.
        let complete_at = match (&item, line_end) {
            (Item::Endless, _) => usize::MAX,
            (item, []) if item.is_line() => usize::MAX,
            (item, _) => end + usize::from(item.is_line()),
        };
        if item.is_line() {
            bytes.extend(line_end);
        }
        if item == Item::Endless {
            self.endless_from = self.sent;
        }
        self.items.push_back((complete_at, item));
        self.add_dregs(bytes.len());
        bytes
    }

    /// Counts bytes that nobody will understand.
    pub(crate) fn add_dregs(&mut self, bytes: usize) {
        self.sent += bytes;
        self.ends.push(self.sent);
    }

    pub(crate) fn is_new(&self) -> bool {
        self.sent == 0
    }

    /// Whether all that was typed has been understood.
    pub(crate) fn is_done(&self) -> bool {
        self.items.is_empty()
    }

    /// What comes next, and where it is complete.
    pub(crate) fn front(&self) -> Option<(usize, &Item)> {
        self.items.front().map(|(at, item)| (*at, item))
    }

    /// Takes what comes next, if it is complete there.
    pub(crate) fn next_until(&mut self, limit: usize) -> Option<Item> {
        self.take_if(|at, item| at <= limit && *item != Item::Foreign)
    }

    /// Takes a last line without an end.
    pub(crate) fn take_unfinished(&mut self, given: usize) -> Option<Item> {
        let is_all = given == self.sent;
        self.take_if(|at, _| at == usize::MAX && is_all)
    }

    fn take_if(&mut self, is_it: impl FnOnce(usize, &Item) -> bool) -> Option<Item> {
        self.front().filter(|(at, item)| is_it(*at, item))?;
        self.items.pop_front().map(|(_, item)| item)
    }

    /// How many bytes up to there belong to a line that never ends.
    pub(crate) fn endless(&self, limit: usize) -> usize {
        match self.front() {
            Some((_, Item::Endless)) => limit.saturating_sub(self.endless_from),
            _ => 0,
        }
    }

    /// Where what comes at this place, or goes on there, ends.
    pub(crate) fn end_of(&self, place: usize) -> usize {
        if place == 0 {
            return 0;
        }
        let after = self.ends.partition_point(|end| *end < place);
        self.ends.get(after).copied().unwrap_or(place)
    }
}
