//! How much a session makes the server do: counted, not timed, so that it is the same in every run.

/// Work, in units of about a nanosecond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Work(u64);

impl Work {
    /// One read from a socket.
    pub(crate) const READ: Self = Self(2_000);
    /// A record of TLS: it is decrypted, in memory of its own.
    #[cfg(feature = "tls")]
    pub(crate) const RECORD: Self = Self(1_000);
    /// A byte of input, whatever it is part of.
    pub(crate) const BYTE: Self = Self(10);
    /// One thing that was found in the input: a line, a key with an outcome, a question of the protocol.
    pub(crate) const INPUT: Self = Self(1_000);
    /// A byte of a telnet command, beside that.
    pub(crate) const COMMAND_BYTE: Self = Self(20);
    /// A byte that a line editor takes, beside that.
    pub(crate) const KEY_BYTE: Self = Self(200);
    /// A byte that is drawn or answered for one session alone.
    pub(crate) const OUTPUT_BYTE: Self = Self(2);
    /// A name that is looked up: its keys are derived and found.
    pub(crate) const LOOK_UP: Self = Self(5_000);
    /// A byte of such a name that is not ASCII, beside that: it may stand for many letters.
    const LOOK_UP_BYTE: Self = Self(1_500);
    /// Of so many bytes at most a name is made; what is longer is no name.
    const LOOK_UP_BYTES_MAX: usize = 128;
    /// Somebody who is looked at: in a list, or as what a word may stand for.
    pub(crate) const PERSON: Self = Self(100);
    /// Adding a name to the sorted ones of a room, or taking it out: those behind it move.
    pub(crate) const SORTED_NAME: Self = Self(5_000);

    /// What one session may make the server do in one call. The rest of its input waits for the next turn.
    pub(crate) const CALL_MAX: Self = Self(1_000_000);
    /// What all sessions together may make the server do in the read phase of one turn. The rest waits for the next one.
    pub(crate) const TURN_MAX: Self = Self(10_000_000);
    /// As much work as this costs a session what a line does.
    const LINE: Self = Self(100_000);

    /// A look-up of this name.
    pub(crate) fn look_up(name: &str) -> Self {
        let bytes = name.bytes().take(Self::LOOK_UP_BYTES_MAX);
        let dear = bytes.filter(|byte| !byte.is_ascii()).count();
        Self(Self::LOOK_UP.0 + Self::LOOK_UP_BYTE.times(dear).0)
    }

    /// This, `count` times.
    pub(crate) const fn times(self, count: usize) -> Self {
        Self(self.0.saturating_mul(count as u64))
    }

    /// Both together.
    #[cfg(test)]
    pub(crate) const fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// Counts `more` in.
    pub(crate) fn add(&mut self, more: Self) {
        self.0 = self.0.saturating_add(more.0);
    }

    /// How many times `each` fits in until it is [`Work::CALL_MAX`] or a little more.
    pub(crate) fn room_for(self, each: Self) -> usize {
        Self::CALL_MAX.since(self).0.div_ceil(each.0.max(1)) as usize
    }

    /// What has come since it was `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self(self.0.saturating_sub(before.0))
    }

    /// What it costs a session, in thousandths of a line.
    pub(crate) fn millilines(self) -> u64 {
        self.0 / (Self::LINE.0 / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_other_letters_is_dearer_up_to_the_longest_name() {
        assert_eq!(Work::look_up("ann"), Work::LOOK_UP);
        assert_eq!(Work::look_up("añn"), Work(8_000));
        let longest = Work::look_up(&"é".repeat(64));
        assert_eq!(longest, Work(197_000));
        assert_eq!(Work::look_up(&"é".repeat(1_000_000)), longest);
    }

    #[test]
    fn as_much_work_as_a_line_costs_one() {
        let mut work = Work::default();
        work.add(Work::LINE.times(2));
        assert_eq!(work.millilines(), 2000);
        let before = work;
        work.add(Work::BYTE.times(10));
        assert_eq!(work.since(before), Work(100));
        assert_eq!(work.since(before).millilines(), 1);
        assert!(before < work && work < Work::CALL_MAX && Work::CALL_MAX < Work::TURN_MAX);
        assert_eq!(Work::default().room_for(Work::KEY_BYTE), 5000);
        assert_eq!(Work(999_801).room_for(Work::KEY_BYTE), 1);
        assert_eq!(Work::CALL_MAX.room_for(Work::KEY_BYTE), 0);
        work.add(Work(u64::MAX));
        work.add(Work::READ);
        assert_eq!(work, Work(u64::MAX), "it does not begin anew");
    }
}
