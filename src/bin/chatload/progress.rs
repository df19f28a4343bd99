//! How far a round is: a bar on a terminal, a line every few seconds elsewhere. It goes to standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::figures::grouped;

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress of all rounds.
pub(crate) struct Progress {
    bar: ProgressBar,
    round: u32,
    rounds: u32,
    began_at: Instant,
    next_line_at: Instant,
}

impl Progress {
    pub(crate) fn new(rounds: u32, messages: u64, now: Instant) -> Self {
        let bar = ProgressBar::new(messages);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} said, {msg}")
        {
            bar.set_style(style);
        }
        Self {
            bar,
            round: 0,
            rounds,
            began_at: now,
            next_line_at: now,
        }
    }

    /// A round begins.
    pub(crate) fn begin(&mut self, round: u32, now: Instant) {
        self.round = round;
        self.began_at = now;
        self.next_line_at = now + LINE_INTERVAL;
        self.bar.reset();
        self.bar
            .set_prefix(format!("round {round} of {}", self.rounds));
    }

    /// What was done so far.
    pub(crate) fn update(&mut self, said: u64, heard: u64, now: Instant) {
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{} heard", grouped(heard)));
            self.bar.set_position(said);
        } else if now >= self.next_line_at {
            self.next_line_at = now + LINE_INTERVAL;
            let seconds = now.saturating_duration_since(self.began_at).as_secs();
            let of_all = self.bar.length().unwrap_or(0);
            eprintln!(
                "round {} of {}, {seconds} s: {} of {} said, {} heard",
                self.round,
                self.rounds,
                grouped(said),
                grouped(of_all),
                grouped(heard)
            );
        }
    }

    /// The bar makes room for the report.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
