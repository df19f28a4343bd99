//! What the server has been asked for and may still refuse, so that a refusal is told with the request that it answers.
//!
//! A server takes its requests in order. It answers for a message only if it refuses it, and for all else in any case: so an answer also tells that nothing before it will be refused any more.
//!
//! Invariant: at most [`WAITING_MAX`] requests are remembered, the last ones.

use std::collections::VecDeque;

use crate::client::queue::{What, WAITING_MAX};
use crate::dialect::message::{Reason, Refusal, Request};

/// A request that the kernel has taken.
#[derive(Debug)]
struct Sent {
    request: Request,
    kind: Kind,
    /// The length of its line, without its end.
    line_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Message { words_bytes: usize, has_text: bool },
    Watch,
    Who,
    Ping,
}

/// The requests that are not answered, in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Unanswered(VecDeque<Sent>);

impl Unanswered {
    /// This was written whole, in a line of this length without its end.
    pub(super) fn push(&mut self, what: &What, line_bytes: usize) {
        let (request, kind) = match what {
            What::Quit => return,
            What::Ping => (Request::Unknown, Kind::Ping),
            What::Name(name) => (Request::Name(name.clone()), Kind::Name),
            What::Watch(on) => (Request::Watch(*on), Kind::Watch),
            What::Who => (Request::Who, Kind::Who),
            What::Message(message) => {
                let number = message.number;
                let request = match message.to.clone() {
                    Some(to) => Request::Private { number, to },
                    None => Request::Words(number),
                };
                let kind = Kind::Message {
                    words_bytes: message.words_bytes,
                    has_text: message.has_text,
                };
                (request, kind)
            }
        };
        if self.0.len() == WAITING_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Sent {
            request,
            kind,
            line_bytes,
        });
    }

    /// The connection is lost: nothing of it is answered any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The server gave a name.
    pub(super) fn handle_named(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Name);
    }

    /// The server tells who comes and goes from now on, or no more.
    pub(super) fn handle_watching(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Watch);
    }

    /// The server has told who is here.
    pub(super) fn handle_listed(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Who);
    }

    /// The server gave a sign of life.
    pub(super) fn handle_pong(&mut self) {
        self.take_first(|sent| sent.kind == Kind::Ping);
    }

    /// The request that this refusal answers.
    pub(super) fn handle_refusal(&mut self, refusal: &Refusal<'_>) -> Request {
        let answered = match refusal.reason {
            Reason::NameTaken | Reason::NameReserved | Reason::MalformedName => {
                self.take_first(|sent| sent.kind == Kind::Name)
            }
            Reason::Usage if refusal.words.starts_with("usage: /name ") => {
                self.take_first(|sent| sent.kind == Kind::Name)
            }
            // One that reached its person is not answered in words that tell, so the name decides.
            Reason::Nobody => self.take_first(|sent| {
                let to = sent.to().map(str::to_lowercase);
                let mut words = refusal.words.split(' ');
                to.is_some_and(|to| words.any(|word| word.to_lowercase() == to))
            }),
            // Servers of before do not know these.
            Reason::UnknownRequest => {
                self.take_first(|sent| matches!(sent.kind, Kind::Watch | Kind::Who))
            }
            Reason::Yourself => self.take_first(|sent| sent.to().is_some()),
            Reason::NoText => self.take_first(
                |sent| matches!(sent.kind, Kind::Message { has_text, .. } if !has_text),
            ),
            Reason::TooLong => {
                let mut fields = refusal.words.split(' ');
                let bytes = fields.find_map(|field| field.parse().ok());
                self.take_first(|sent| bytes.is_some_and(|bytes| sent.is_of_length(bytes)))
            }
            _ => None,
        };
        answered.map_or(Request::Unknown, |sent| sent.request)
    }

    fn take_first(&mut self, is_it: impl Fn(&Sent) -> bool) -> Option<Sent> {
        let index = self.0.iter().position(is_it)?;
        self.0.drain(..=index).next_back()
    }
}

impl Sent {
    /// To whom alone it goes.
    fn to(&self) -> Option<&str> {
        match &self.request {
            Request::Private { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether the server may have counted this many bytes: of a line, or of the words that it stands for.
    fn is_of_length(&self, bytes: usize) -> bool {
        let of_words =
            matches!(self.kind, Kind::Message { words_bytes, .. } if words_bytes == bytes);
        of_words || self.line_bytes == bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::queue::Outgoing;

    fn message(number: u64, to: Option<&str>, words: &str) -> What {
        What::Message(Outgoing {
            number,
            to: to.map(Box::from),
            words_bytes: words.len(),
            has_text: !words.trim().is_empty(),
            kept: None,
        })
    }

    fn private(number: u64, to: &str) -> Request {
        let to = to.into();
        Request::Private { number, to }
    }

    /// What was asked for in one go: two names, words with and without text, a private message, a sign of life.
    fn asked() -> Unanswered {
        let mut unanswered = Unanswered::default();
        for (what, line_bytes) in [
            (What::Name("ann".into()), 13),
            (message(0, None, "hello"), 14),
            (What::Name("eve".into()), 13),
            (message(1, None, " "), 10),
            (message(2, Some("bob"), "psst"), 20),
            (What::Ping, 6),
            (What::Watch(true), 8),
            (What::Who, 3),
            (message(3, Some("eve"), "again"), 21),
        ] {
            unanswered.push(&what, line_bytes);
        }
        unanswered
    }

    fn refused(unanswered: &mut Unanswered, words: &str) -> Request {
        unanswered.handle_refusal(&Refusal::new(words))
    }

    #[test]
    fn a_refusal_answers_the_first_request_that_can_be_refused_so() {
        for (words, request) in [
            ("ann is taken", Request::Name("ann".into())),
            ("admin is reserved", Request::Name("ann".into())),
            ("usage: /name NAME", Request::Name("ann".into())),
            ("a name is 1 to 24 letters", Request::Name("ann".into())),
            ("you have no text to send", Request::Words(1)),
            ("nobody here is called bob", private(2, "bob")),
            ("that is you", private(2, "bob")),
            ("nobody here is called eve", private(3, "eve")),
            (
                "line too long: 5 bytes, at most 4; not sent",
                Request::Words(0),
            ),
            (
                "line too long: 20 bytes, at most 4; not sent",
                private(2, "bob"),
            ),
            (
                "line too long: 99 bytes, at most 4; not sent",
                Request::Unknown,
            ),
            ("no such command: a line begins", Request::Watch(true)),
            ("nobody has written to you", Request::Unknown),
        ] {
            assert_eq!(refused(&mut asked(), words), request, "{words}");
        }
    }

    #[test]
    fn an_answer_settles_all_that_was_asked_before() {
        let mut unanswered = asked();
        unanswered.handle_named();
        assert_eq!(
            refused(&mut unanswered, "eve is taken"),
            Request::Name("eve".into())
        );
        assert_eq!(refused(&mut unanswered, "x is taken"), Request::Unknown);
        unanswered.handle_pong();
        let words = "nobody here is called bob";
        assert_eq!(refused(&mut unanswered, words), Request::Unknown);
        unanswered.handle_watching();
        unanswered.handle_listed();
        let unknown = "no such command: a line begins";
        assert_eq!(refused(&mut unanswered, unknown), Request::Unknown);
        let words = "nobody here is called Eve";
        assert_eq!(refused(&mut unanswered, words), private(3, "eve"));
        assert_eq!(refused(&mut unanswered, words), Request::Unknown);
        let mut unanswered = asked();
        unanswered.clear();
        assert_eq!(refused(&mut unanswered, words), Request::Unknown);
    }

    #[test]
    fn only_the_last_requests_are_remembered() {
        let mut unanswered = Unanswered::default();
        for number in 0..=WAITING_MAX as u64 {
            unanswered.push(&message(number, None, ""), 0);
            unanswered.push(&What::Quit, 0);
        }
        let words = "you have no text to send";
        assert_eq!(refused(&mut unanswered, words), Request::Words(1));
        assert_eq!(unanswered.0.len(), WAITING_MAX - 1);
    }
}
