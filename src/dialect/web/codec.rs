//! One browser's session: messages to requests, and how it is answered.

use std::time::Duration;

use crate::dialect::commands;
use crate::dialect::event::{Foreign, Past, Reply};
use crate::dialect::input::{Context, Input, Keepalive};
use crate::dialect::request::{Refusal, Request};
use crate::dialect::web::frames::{self, code, Decoder, Found, Opcode};
use crate::dialect::web::json;
use crate::hygiene;
use crate::ledger::CloseReason;

/// A browser that was silent for this long is asked whether it is there …
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// … and has this long to answer. A page can neither see nor send a ping, and the timers of a tab that nobody looks at
/// run once a minute, so only the server can ask.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What a browser has sent and is not understood yet, and what it was told.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    /// A frame or a message that is not whole; an idle browser has none.
    frames: Option<Box<Decoder>>,
    /// A close frame was sent: nothing may follow it (RFC 6455, section 5.5.1).
    is_closed: bool,
    /// How old the session was when something was heard of its browser last, in ms.
    heard_at: u64,
    /// It was asked since whether it is there.
    is_asked: bool,
    /// By which key its page takes the session back, in two halves, for a whole one would make all of this larger; 0 as
    /// long as it has none.
    page: [u64; 2],
}

impl Codec {
    /// Takes bytes from `input` until they ask for something; `None` when they are used up. `scratch` lends room for the
    /// words of a request.
    pub(in crate::dialect) fn next<'a>(
        &mut self,
        input: &mut &[u8],
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        self.hear(context.age);
        let frames = self.frames.get_or_insert_default();
        let found = frames.next(input, context.words_bytes_max);
        if frames.is_idle() {
            self.frames = None;
        }
        Some(match found? {
            Found::Text(text) => understand(&text, scratch, context),
            Found::TooLong(bytes) => {
                *context.lines_in += 1;
                Input::Refused(Refusal::LineTooLong {
                    bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
                    bytes_max: context.words_bytes_max,
                })
            }
            Found::Ping(payload) => {
                frames::push(context.out, Opcode::Pong, |out| out.extend(payload));
                Input::Answered
            }
            Found::Pong => Input::Answered,
            Found::Close(code) => {
                self.close(code, context.out);
                Input::Leave
            }
            Found::Broken(code) => {
                self.close(Some(code), context.out);
                match code {
                    code::TOO_BIG => Input::Flood,
                    _ => Input::Foreign(Foreign::Other),
                }
            }
            Found::Binary(_) => {
                self.close(Some(code::NOT_TEXT), context.out);
                Input::Foreign(Foreign::Other)
            }
        })
    }

    /// Something was heard of its browser, `age` after the session began.
    pub(in crate::dialect) fn hear(&mut self, age: Duration) {
        self.heard_at = age.as_millis() as u64;
        self.is_asked = false;
    }

    fn close(&mut self, code: Option<u16>, out: &mut Vec<u8>) {
        frames::push_close(out, code);
        self.is_closed = true;
    }

    /// Adds what this session alone is told.
    pub(in crate::dialect) fn encode_reply(&self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        if self.is_closed {
            return;
        }
        json::encode_reply(reply, out);
        if let Reply::Farewell(farewell) = reply {
            if let Some(code) = self.close_code(farewell.reason) {
                frames::push_close(out, Some(code));
            }
        }
    }

    /// Adds what was said before.
    pub(in crate::dialect) fn encode_history<'a>(
        &self,
        past: impl Iterator<Item = Past<'a>>,
        out: &mut Vec<u8>,
    ) {
        if !self.is_closed {
            json::encode_history(past, out);
        }
    }

    /// With which code the server closes for this reason; a page that may come back by itself sees one that says so.
    fn close_code(&self, reason: CloseReason) -> Option<u16> {
        Some(match reason {
            CloseReason::Eof | CloseReason::Reset => return None,
            CloseReason::Quit => code::NORMAL,
            CloseReason::Shutdown => code::GOING_AWAY,
            CloseReason::WrongProtocol => code::PROTOCOL,
            CloseReason::Flood => code::TOO_BIG,
            CloseReason::Idle if !self.is_asked => code::POLICY,
            CloseReason::Idle
            | CloseReason::SlowConsumer
            | CloseReason::WriteStall
            | CloseReason::Full
            | CloseReason::Drain => code::TRY_AGAIN,
            CloseReason::PerAddress
            | CloseReason::ConnectRate
            | CloseReason::Banned
            | CloseReason::Kicked
            | CloseReason::NameTaken
            | CloseReason::Replaced => code::POLICY,
        })
    }

    /// By which key its page takes the session back.
    pub(in crate::dialect) fn page(&self) -> Option<u128> {
        let [high, low] = self.page.map(u128::from);
        let key = high << 64 | low;
        (key != 0).then_some(key)
    }

    /// By this key its page takes the session back.
    pub(in crate::dialect) fn set_page(&mut self, key: u128) {
        self.page = [(key >> 64) as u64, key as u64];
    }

    /// Whether its page is expected back if the connection breaks: nobody has closed it.
    pub(in crate::dialect) fn comes_back(&self) -> bool {
        !self.is_closed
    }

    /// What is to be done to find out whether it is still there, `age` after the session began.
    pub(in crate::dialect) fn keep_alive(&mut self, age: Duration) -> Keepalive {
        let asks_at = Duration::from_millis(self.heard_at) + SILENCE_MAX;
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
            self.heard_at = age.saturating_sub(SILENCE_MAX).as_millis() as u64;
            Keepalive::Ask(age + ANSWER_MAX)
        }
    }

    /// Adds the question whether it is still there.
    pub(in crate::dialect) fn ask(&self, out: &mut Vec<u8>) {
        if !self.is_closed {
            frames::push(out, Opcode::Ping, |_| {});
        }
    }

    /// Bytes of input that are kept.
    pub(in crate::dialect) fn buffered(&self) -> usize {
        let frames = self.frames.as_ref();
        frames.map_or(0, |frames| frames.buffered())
    }

    /// Forgets the input that is kept.
    pub(in crate::dialect) fn clear(&mut self) {
        self.frames = None;
    }
}

/// Understands a message: a line as people type it.
fn understand<'a>(text: &str, scratch: &'a mut String, context: &mut Context<'_>) -> Input<'a> {
    *context.lines_in += 1;
    if text.contains(['\n', '\r']) {
        return Input::Refused(Refusal::SeveralLines);
    }
    let clean = hygiene::clean(text.as_bytes());
    scratch.clear();
    scratch.push_str(&clean.text);
    match commands::parse(scratch, clean.altered) {
        Ok(None) => Input::Blank,
        Ok(Some(Request::Edit(_) | Request::Time(_) | Request::Bell(_))) => {
            Input::Refused(Refusal::ForTerminals)
        }
        Ok(Some(request)) => Input::Request(request),
        Err(refusal) => Input::Refused(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_browser_owns_little() {
        let bytes = size_of::<Codec>();
        assert!(bytes <= 48, "{bytes}");
    }

    #[test]
    fn who_is_silent_is_asked_once_and_given_time() {
        let (mut codec, second) = (Codec::default(), Duration::from_secs(1));
        assert_eq!(codec.keep_alive(29 * second), Keepalive::Fine(30 * second));
        assert_eq!(codec.keep_alive(30 * second), Keepalive::Ask(90 * second));
        assert_eq!(codec.keep_alive(89 * second), Keepalive::Fine(90 * second));
        assert_eq!(codec.keep_alive(90 * second), Keepalive::Over(90 * second));
        codec.hear(89 * second);
        assert_eq!(codec.keep_alive(90 * second), Keepalive::Fine(119 * second));
        // We were not there: they have their time from now on.
        assert_eq!(codec.keep_alive(500 * second), Keepalive::Ask(560 * second));
        assert_eq!(
            codec.keep_alive(559 * second),
            Keepalive::Fine(560 * second)
        );
    }
}
