//! What happened, step by step: the last lines to be read by people, and a digest of all of it to compare two runs.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

/// At most this many steps are printed when a run fails.
const STEPS_KEPT: usize = 60;

#[derive(Default)]
pub(crate) struct Trace {
    last: VecDeque<String>,
    digest: DefaultHasher,
    steps: u64,
}

impl Trace {
    pub(crate) fn note(&mut self, step: fmt::Arguments<'_>) {
        let step = step.to_string();
        self.steps += 1;
        self.digest.write(step.as_bytes());
        if self.last.len() == STEPS_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(step);
    }

    /// The same for the same steps.
    pub(crate) fn digest(&self) -> (u64, u64) {
        (self.steps, self.digest.finish())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.steps - self.last.len() as u64;
        writeln!(f, "… {skipped} steps before")?;
        self.last.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}
