//! One IRC client's session: lines to requests, and what it was told.

use std::time::Duration;

use crate::dialect::foreign;
use crate::dialect::input::{Context, Input, Keepalive};
use crate::dialect::irc::coming::Coming;
use crate::dialect::irc::lines::{Caps, Me};
use crate::dialect::line::{Line, LineBuffer};
use crate::dialect::request::Refusal;

/// A line may be this much longer than its words: for tags (4,096 bytes), a verb and whom it is for.
const BESIDE_WORDS_MAX: usize = 4096 + 512;

/// A client that was silent for this long is asked whether it is there …
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// … and has as long to answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// What a line asked for, as far as the answer depends on that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    Other,
    Nick,
    Join,
    Part,
    /// To say something in a room.
    Say,
    Kick,
    /// A NOTICE, which is never answered with an error.
    Notice,
}

impl Asked {
    pub(super) fn is_notice(self) -> bool {
        self == Self::Notice
    }
}

/// What a client has sent and is not understood yet, and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    lines: LineBuffer,
    pub(super) me: Me,
    /// The name that its client gave beside the others.
    pub(super) real: Box<str>,
    /// The room that it is in, without `#`.
    pub(super) room: Option<Box<str>>,
    /// It wants to be in no list of all (`MODE +i`).
    pub(super) is_hidden: bool,
    /// What its last line asked for …
    pub(super) asked: Asked,
    /// … and about whom or what.
    pub(super) about: Box<str>,
    /// The room is heard with the time before each line.
    hears_time: bool,
    /// How old the session was when something was heard of its client last.
    heard_at: Duration,
    /// It was asked since whether it is there.
    is_asked: bool,
}

impl Codec {
    /// For who has registered.
    pub(in crate::dialect) fn new(coming: &Coming) -> Self {
        Self {
            me: Me {
                server: coming.server.clone(),
                nick: "".into(),
                user: coming.user.clone(),
                caps: coming.caps,
            },
            real: coming.real.clone(),
            hears_time: coming.caps.has(Caps::TIME),
            ..Self::default()
        }
    }

    /// Takes bytes from `input` until they ask for something; `None` when they are used up. `scratch` lends room for the
    /// words of a request.
    pub(in crate::dialect) fn next<'a>(
        &mut self,
        input: &mut &[u8],
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        if !input.is_empty() {
            self.hear(context.age);
        }
        let line_bytes_max = context.words_bytes_max + BESIDE_WORDS_MAX;
        let Some(line) = self.lines.next(input, line_bytes_max, None) else {
            return foreign::judge_unfinished(&self.lines, true);
        };
        Some(self.take(&line, scratch, context))
    }

    /// What the last line asks for, of a stream that has ended without a line end.
    pub(in crate::dialect) fn finish<'a>(
        &mut self,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        let line = self.lines.finish()?;
        Some(self.take(&line, scratch, context))
    }

    fn take<'a>(
        &mut self,
        line: &Line<'_>,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        *context.lines_in += 1;
        self.asked = Asked::Other;
        match line {
            Line::Whole(line) => self.understand(line, scratch, context),
            Line::TooLong(bytes) => Input::Refused(Refusal::LineTooLong {
                bytes: *bytes,
                bytes_max: context.words_bytes_max,
            }),
        }
    }

    /// Something was heard of its client, `age` after the session began.
    pub(in crate::dialect) fn hear(&mut self, age: Duration) {
        self.heard_at = age;
        self.is_asked = false;
    }

    /// What is to be done to find out whether it is still there, `age` after the session began.
    pub(in crate::dialect) fn keep_alive(&mut self, age: Duration) -> Keepalive {
        let asks_at = self.heard_at + SILENCE_MAX;
        let ends_at = asks_at + ANSWER_MAX;
        if age < asks_at {
            Keepalive::Fine(asks_at)
        } else if age >= ends_at && self.is_asked {
            Keepalive::Over(SILENCE_MAX + ANSWER_MAX)
        } else if self.is_asked {
            Keepalive::Fine(ends_at)
        } else {
            self.is_asked = true;
            // Late, it has its time from now on.
            self.heard_at = age.saturating_sub(SILENCE_MAX);
            Keepalive::Ask(age + ANSWER_MAX)
        }
    }

    /// It is in this room from now on; `None`: in none.
    pub(in crate::dialect) fn set_place(&mut self, room: Option<&str>) {
        self.room = room.map(Into::into);
    }

    /// It has come in under this name, of which it is told by the greeting.
    pub(in crate::dialect) fn set_nick(&mut self, name: &str) {
        self.me.nick = name.into();
    }

    pub(in crate::dialect) fn has_echo(&self) -> bool {
        self.me.caps.has(Caps::ECHO)
    }

    pub(in crate::dialect) fn hears_time(&self) -> bool {
        self.hears_time
    }

    /// What it hears from now on is as it has asked for.
    pub(in crate::dialect) fn follow_caps(&mut self) {
        self.hears_time = self.me.caps.has(Caps::TIME);
    }

    pub(in crate::dialect) fn user(&self) -> &str {
        &self.me.user
    }

    pub(in crate::dialect) fn real(&self) -> &str {
        &self.real
    }

    pub(in crate::dialect) fn forget_real(&mut self) {
        self.real = "".into();
    }

    pub(in crate::dialect) fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// Bytes of input that are kept.
    pub(in crate::dialect) fn buffered(&self) -> usize {
        self.lines.partial().len()
    }

    /// Forgets the input that is kept.
    pub(in crate::dialect) fn clear(&mut self) {
        self.lines.clear();
    }
}
