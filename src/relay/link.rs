//! One connection to the engine: what goes out, which answers are due, and how long it has been silent. No socket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::relay::resp::{self, Reader, Token, Wrong};

/// How long after a failure the engine is dialled again; twice as long each time, up to the most.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A connection that does not come about in this time never will.
const DIAL_MAX: Duration = Duration::from_secs(2);

/// At most so many texts of one answer are kept, beyond the limit of an array, for those of several arrays.
const TEXTS_MAX: usize = 8192;

/// At most so many bytes of one answer are kept, or of one entry of a stream: two hundred people of a hash whose words are
/// as long as any can be.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where a connection is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none; it is to be dialled then.
    Down {
        dial_at: Instant,
    },
    /// It was dialled then, and did not answer yet.
    Dialling {
        since: Instant,
    },
    Up,
}

/// An answer of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Error(Box<str>),
    /// A status, a number or one text.
    One(Box<str>),
    Null,
    /// All texts and numbers of an array, in their order, whatever arrays they lie in.
    Many(Vec<Option<Box<str>>>),
}

/// What has come of the answer that is due first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<D> {
    /// An entry of a stream, before its answer is over: of which stream, its id and its fields. The answer has none of
    /// them.
    Entry {
        stream: Box<str>,
        id: Box<str>,
        fields: Vec<Box<[u8]>>,
    },
    /// All of it.
    Answer(D, Answer),
}

/// What is due.
pub(crate) trait Due: Copy {
    /// In how many arrays the entries of streams lie in its answer; `None` if there are none.
    fn entries_depth(self) -> Option<usize>;
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link<D> {
    phase: Phase,
    /// What the next failure costs.
    backoff: Duration,
    out: Vec<u8>,
    reader: Reader,
    /// The answers that are to come, in their order.
    due: VecDeque<D>,
    /// When something was last heard, or the first of what is due was asked for.
    heard_at: Instant,
    texts: Vec<Option<Box<str>>>,
    /// The bytes of `texts`, or of the fields of `entry`.
    kept_bytes: usize,
    error: Option<Box<str>>,
    entry: Entry,
    /// All of the answer that is due first has been told but that it is over.
    is_over: bool,
}

/// The entry of a stream that is being told.
#[derive(Debug, Default)]
struct Entry {
    stream: Box<str>,
    id: Box<str>,
    fields: Vec<Box<[u8]>>,
    fields_due: usize,
}

impl Entry {
    /// It is told, and the next one begins.
    fn take<D>(&mut self) -> Step<D> {
        Step::Entry {
            stream: self.stream.clone(),
            id: std::mem::take(&mut self.id),
            fields: std::mem::take(&mut self.fields),
        }
    }
}

impl<D: Due> Link<D> {
    /// A connection that is to be dialled now.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Down { dial_at: now },
            backoff: BACKOFF_MIN,
            out: Vec::new(),
            reader: Reader::default(),
            due: VecDeque::new(),
            heard_at: now,
            texts: Vec::new(),
            kept_bytes: 0,
            error: None,
            entry: Entry::default(),
            is_over: false,
        }
    }

    /// Whether it is time to dial; it counts as dialled then.
    pub(crate) fn take_dial(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.phase, Phase::Down { dial_at } if dial_at <= now);
        if is_due {
            self.phase = Phase::Dialling { since: now };
        }
        is_due
    }

    /// It has come about.
    pub(crate) fn note_connected(&mut self, now: Instant) {
        self.phase = Phase::Up;
        self.heard_at = now;
    }

    /// What it was for is reached: the next failure costs little.
    pub(crate) fn note_success(&mut self) {
        self.backoff = BACKOFF_MIN;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Down { .. })
    }

    /// It is closed, and dialled again after a while, which `chance` shortens by up to a half.
    pub(crate) fn note_lost(&mut self, chance: u64, now: Instant) {
        if self.is_down() {
            return;
        }
        let millis = self.backoff.as_millis() as u64;
        let wait = millis - chance % (millis / 2 + 1);
        self.clear();
        self.phase = Phase::Down {
            dial_at: now + Duration::from_millis(wait),
        };
        self.backoff = (2 * self.backoff).min(BACKOFF_MAX);
    }

    /// It is closed, and dialled again at once: somewhere else.
    pub(crate) fn dial_elsewhere(&mut self, now: Instant) {
        self.clear();
        self.phase = Phase::Down { dial_at: now };
    }

    fn clear(&mut self) {
        self.out = Vec::new();
        self.reader = Reader::default();
        self.due.clear();
        self.texts = Vec::new();
        self.kept_bytes = 0;
        self.error = None;
        self.entry = Entry::default();
        self.is_over = false;
    }

    /// Whether nothing was heard for this long though something is due, or it does not come about.
    pub(crate) fn is_silent(&self, patience: Duration, now: Instant) -> bool {
        self.silent_at(patience).is_some_and(|at| at <= now)
    }

    /// When it is silent for too long.
    fn silent_at(&self, patience: Duration) -> Option<Instant> {
        match self.phase {
            Phase::Down { .. } => None,
            Phase::Dialling { since } => Some(since + DIAL_MAX),
            Phase::Up if self.due.is_empty() => None,
            Phase::Up => Some(self.heard_at + patience),
        }
    }

    /// When something is to be done, if nothing is heard before.
    pub(crate) fn wake_at(&self, patience: Duration) -> Option<Instant> {
        match self.phase {
            Phase::Down { dial_at } => Some(dial_at),
            _ => self.silent_at(patience),
        }
    }

    /// Asks for something.
    pub(crate) fn ask(&mut self, due: D, words: &[&[u8]], now: Instant) {
        resp::command(&mut self.out, words);
        self.await_answer(due, now);
    }

    /// An answer is due to what was written.
    fn await_answer(&mut self, due: D, now: Instant) {
        if self.due.is_empty() {
            self.heard_at = now;
        }
        self.due.push_back(due);
    }

    /// How many answers are due.
    pub(crate) fn due(&self) -> usize {
        self.due.len()
    }

    /// What is due first.
    pub(crate) fn first_due(&self) -> Option<D> {
        self.due.front().copied()
    }

    /// What is to be written.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// What has come is read later: it is not silent.
    pub(crate) fn put_off(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Takes what was read.
    pub(crate) fn push(&mut self, bytes: &[u8], now: Instant) {
        self.heard_at = now;
        self.reader.push(bytes);
    }

    /// What has come of the answer that is due first, if enough is there.
    ///
    /// # Errors
    /// [`Wrong`] if it is no answer, or none is due.
    pub(crate) fn step(&mut self) -> Result<Option<Step<D>>, Wrong> {
        if std::mem::take(&mut self.is_over) {
            return Ok(self.answer(Answer::Many(Vec::new())));
        }
        while let Some(item) = self.reader.next()? {
            let Some(due) = self.due.front().copied() else {
                return Err(Wrong);
            };
            let entries = due.entries_depth();
            let in_entry = entries.and_then(|depth| item.depth.checked_sub(depth));
            let (ends, is_whole) = (item.ends, item.ends && item.depth == 0);
            let mut entry = None;
            match (in_entry, item.token) {
                (_, Token::Error(words)) => {
                    let words = String::from_utf8_lossy(words).into();
                    self.error.get_or_insert(words);
                }
                // The pair of a stream's key and its entries, or of an entry's id and its fields.
                (None, Token::Text(key)) if entries.is_some() => {
                    self.entry.stream = String::from_utf8_lossy(key).into();
                }
                (Some(1), Token::Text(id)) => {
                    self.entry.id = String::from_utf8_lossy(id).into();
                    self.entry.fields.clear();
                    self.kept_bytes = 0;
                }
                (Some(1), Token::Array(len)) if item.index == 1 => {
                    self.entry.fields_due = len;
                    entry = (len == 0).then(|| self.entry.take());
                }
                (Some(2), Token::Text(field)) => {
                    self.kept_bytes += field.len();
                    if self.kept_bytes > KEPT_BYTES_MAX {
                        return Err(Wrong);
                    }
                    self.entry.fields.push(field.into());
                    let is_whole = self.entry.fields.len() == self.entry.fields_due;
                    entry = is_whole.then(|| self.entry.take());
                }
                (_, Token::Array(_)) => {}
                (_, _) if entries.is_some() => {}
                (_, token) => {
                    if let Token::Text(bytes) = token {
                        self.kept_bytes += bytes.len();
                    }
                    if self.texts.len() >= TEXTS_MAX || self.kept_bytes > KEPT_BYTES_MAX {
                        return Err(Wrong);
                    }
                    self.texts.push(match token {
                        Token::Number(number) => Some(number.to_string().into()),
                        Token::Text(bytes) | Token::Status(bytes) => {
                            Some(String::from_utf8_lossy(bytes).into())
                        }
                        Token::Null | Token::Error(_) | Token::Array(_) => None,
                    });
                    if is_whole {
                        let answer = match self.texts.pop().flatten() {
                            Some(text) => Answer::One(text),
                            None => Answer::Null,
                        };
                        return Ok(self.answer(answer));
                    }
                }
            }
            if ends {
                // What is over is told when its last entry has been.
                if let Some(entry) = entry {
                    self.is_over = true;
                    return Ok(Some(entry));
                }
                let many = std::mem::take(&mut self.texts);
                return Ok(self.answer(Answer::Many(many)));
            }
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }

    fn answer(&mut self, answer: Answer) -> Option<Step<D>> {
        let due = self.due.pop_front()?;
        self.texts.clear();
        self.kept_bytes = 0;
        self.entry = Entry::default();
        let answer = self.error.take().map_or(answer, Answer::Error);
        Some(Step::Answer(due, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;
    use Asked::{Range, Read, Value};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Asked {
        Value,
        /// Of several streams.
        Read,
        /// Of one.
        Range,
    }

    impl Due for Asked {
        fn entries_depth(self) -> Option<usize> {
            match self {
                Self::Value => None,
                Self::Read => Some(3),
                Self::Range => Some(1),
            }
        }
    }

    /// What comes of these bytes, cut into pieces of this length, when this was asked for.
    fn told(asked: &[Asked], bytes: &[u8], piece: usize) -> Vec<Step<Asked>> {
        let mut link = Link::new(outset());
        link.note_connected(outset());
        for due in asked {
            link.ask(*due, &[b"X"], outset());
        }
        let mut told = Vec::new();
        for bytes in bytes.chunks(piece) {
            link.push(bytes, outset());
            while let Some(step) = link.step().unwrap() {
                told.push(step);
            }
        }
        assert_eq!(link.due(), 0);
        told
    }

    fn entry(stream: &str, id: &str, fields: &[&str]) -> Step<Asked> {
        Step::Entry {
            stream: stream.into(),
            id: id.into(),
            fields: fields.iter().map(|field| field.as_bytes().into()).collect(),
        }
    }

    #[test]
    fn values_and_entries_are_told_in_their_order() {
        let bytes = b"$-1\r\n*3\r\n$1\r\na\r\n:5\r\n$-1\r\n\
            *2\r\n*2\r\n$3\r\nlog\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nn\r\n$1\r\nX\r\n\
            *2\r\n$3\r\n2-0\r\n*0\r\n\
            *2\r\n$2\r\nto\r\n*1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nn\r\n$1\r\nY\r\n\
            *-1\r\n*0\r\n*1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nn\r\n$1\r\nZ\r\n\
            -OOM no\r\n*2\r\n$1\r\na\r\n-WRONGTYPE\r\n+OK\r\n";
        let asked = [Value, Value, Read, Read, Range, Range, Value, Value, Value];
        let many = |due, texts: &[Option<&str>]| {
            let texts = texts.iter().map(|text| text.map(Into::into)).collect();
            Step::Answer(due, Answer::Many(texts))
        };
        let expected = [
            Step::Answer(Value, Answer::Null),
            many(Value, &[Some("a"), Some("5"), None]),
            entry("log", "1-0", &["n", "X"]),
            entry("log", "2-0", &[]),
            entry("to", "3-0", &["n", "Y"]),
            many(Read, &[]),
            many(Read, &[]),
            many(Range, &[]),
            entry("", "4-0", &["n", "Z"]),
            many(Range, &[]),
            Step::Answer(Value, Answer::Error("OOM no".into())),
            Step::Answer(Value, Answer::Error("WRONGTYPE".into())),
            Step::Answer(Value, Answer::One("OK".into())),
        ];
        for piece in [1, 2, 3, 7, bytes.len()] {
            let told = told(&asked, bytes, piece);
            assert_eq!(told.len(), expected.len(), "{told:#?}");
            for (told, expected) in told.iter().zip(&expected) {
                assert_eq!(told, expected, "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn of_one_answer_or_entry_a_bounded_part_is_kept() {
        const TEXT_BYTES: usize = 60_000;
        let text = format!("${TEXT_BYTES}\r\n{}\r\n", "x".repeat(TEXT_BYTES));
        let entry = "*1\r\n*2\r\n$3\r\nlog\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*4000\r\n";
        for (asked, head) in [(Value, "*4000\r\n"), (Read, entry)] {
            let mut link = Link::new(outset());
            link.note_connected(outset());
            link.ask(asked, &[b"X"], outset());
            link.push(head.as_bytes(), outset());
            let mut taken = 0;
            let end = loop {
                link.push(text.as_bytes(), outset());
                match link.step() {
                    Ok(None) => taken += TEXT_BYTES,
                    end => break end,
                }
            };
            assert_eq!(end, Err(Wrong));
            let bounds = KEPT_BYTES_MAX - TEXT_BYTES..=KEPT_BYTES_MAX;
            assert!(bounds.contains(&taken), "{asked:?}: {taken} bytes");
        }
    }

    #[test]
    fn an_answer_that_nobody_asked_for_is_wrong() {
        let mut link = Link::<Asked>::new(outset());
        link.note_connected(outset());
        link.push(b"+OK\r\n", outset());
        assert_eq!(link.step(), Err(Wrong));
    }

    #[test]
    fn it_is_dialled_later_and_later_until_it_has_been_of_use() {
        let mut now = outset();
        let mut link = Link::<Asked>::new(now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(link.take_dial(now) && !link.take_dial(now));
            link.note_lost(0, now);
            let at = link.wake_at(Duration::MAX).unwrap();
            waits.push((at - now).as_millis());
            now = at;
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        link.take_dial(now);
        link.note_connected(now);
        link.note_success();
        link.note_lost(u64::MAX, now);
        let wait = (link.wake_at(Duration::MAX).unwrap() - now).as_millis();
        assert!((25..=50).contains(&wait), "{wait}");
    }

    #[test]
    fn it_is_silent_only_while_something_is_due() {
        let (mut link, now) = (Link::new(outset()), outset());
        let patience = Duration::from_secs(2);
        link.take_dial(now);
        assert!(!link.is_silent(patience, now + Duration::from_millis(1999)));
        assert!(link.is_silent(patience, now + DIAL_MAX));
        link.note_connected(now);
        assert!(!link.is_silent(patience, now + patience));
        let asked_at = now + Duration::from_secs(9);
        link.ask(Value, &[b"PING"], asked_at);
        assert!(!link.is_silent(patience, now + patience));
        assert!(link.is_silent(patience, asked_at + patience));
    }
}
