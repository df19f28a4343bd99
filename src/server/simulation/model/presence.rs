//! How `docs/limits.md` has joins (or leaves, or renames) told: ten by name in any second, the rest together at its end.

use std::time::Duration;

const TOLD_MAX: usize = 10;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Telling {
    /// When each one was told that was told by name, oldest first.
    told_at: Vec<Duration>,
    /// Those who will be told of together.
    pub(crate) waiting: Vec<u64>,
    pub(crate) due_at: Option<Duration>,
}

impl Telling {
    /// Whether `number` is told of by name, now.
    pub(crate) fn is_by_name(&mut self, number: u64, now: Duration) -> bool {
        self.told_at.retain(|at| *at + SECOND > now);
        if self.waiting.is_empty() && self.told_at.len() < TOLD_MAX {
            self.told_at.push(now);
            return true;
        }
        self.waiting.push(number);
        let second_ends_at = self.told_at.first().map_or(now, |at| *at + SECOND);
        self.due_at.get_or_insert(second_ends_at);
        false
    }

    /// Strikes out one who waits; gives whether it did.
    pub(crate) fn forget(&mut self, number: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != number);
        if self.waiting.is_empty() {
            self.due_at = None;
        }
        self.waiting.len() < before
    }

    /// How many are told of together now, if it is time.
    pub(crate) fn sum(&mut self, now: Duration) -> Option<usize> {
        self.due_at.filter(|at| *at <= now)?;
        self.due_at = None;
        Some(std::mem::take(&mut self.waiting).len())
    }
}
