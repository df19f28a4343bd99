//! Operators in the chat: people who may kick, mute and ban there, and are told no address.

use std::time::Instant;

use log::info;

use crate::dialect::event::{Note, Reply};
use crate::dialect::request::{Command, Order, Refusal, Request};
use crate::fields::{self, Value};
use crate::hub::core::Core;
use crate::hub::operators::outcome::{parse_span, Asked, Denied, Done, Kept, Reader, Who};
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;

impl Core {
    /// What an operator asks for; `None` if they only wanted it explained.
    ///
    /// # Errors
    /// For everybody else it is no command at all.
    pub(in crate::hub) fn for_operator<'a, T>(
        &mut self,
        session: &mut Session<T>,
        command: &'static Command,
        typed: &str,
        arguments: Option<&'a str>,
        now: Instant,
    ) -> Result<Option<Request<'a>>, Refusal> {
        if !session.is_operator() {
            return Err(Refusal::NoSuchCommand(typed.into()));
        }
        if let Some(text) = arguments {
            return command.ask(text).map(Some);
        }
        self.help(session, Some(command), now);
        Ok(None)
    }
}

impl<T> Hub<T> {
    /// Does what an operator asks for in the chat, and writes it down.
    pub(in crate::hub) fn obey_operator(
        &mut self,
        id: SessionId,
        order: &Order<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let done = self.moderate(id, order, now);
        self.log_order(id, order, done.is_ok());
        done
    }

    fn moderate(&mut self, id: SessionId, order: &Order<'_>, now: Instant) -> Result<(), Refusal> {
        let (Order::Kick { name, .. }
        | Order::Mute { name, .. }
        | Order::Unmute { name }
        | Order::Ban { name, .. }) = order;
        if self.find(name)?.id == id {
            return Err(Refusal::Yourself);
        }
        let who = Who::Name((*name).into());
        let by = self.name_of(id).text().into_owned();
        let done = match order {
            Order::Kick { reason, .. } => self.kick(&who, reason, now),
            Order::Unmute { .. } => self.unmute(&who, &by, now),
            Order::Mute { time, reason, .. } => {
                let asked = asked_here(&who, time, reason, &by);
                asked.and_then(|asked| self.mute(&asked, now))
            }
            Order::Ban { time, reason, .. } => {
                let asked = asked_here(&who, time, reason, &by);
                asked.and_then(|asked| self.ban(&asked, now))
            }
        };
        let refused = |denied: Denied| Refusal::Denied(denied.words(Reader::Moderator).into());
        let done = done.map_err(refused)?;
        let is_about_rules = matches!(done, Done::Made { .. } | Done::Lifted { .. });
        if is_about_rules && self.core.keeps_rules {
            // It is answered when it is known whether it is saved.
            self.core.unsaved.push((id, done));
        } else {
            self.answer(id, &done, &Kept::UntilStop, now);
        }
        Ok(())
    }

    /// Tells the hub that a file keeps the rules: then [`Hub::note_saved`] is called in the turn in which one changed.
    pub(crate) fn keep_rules(&mut self) {
        self.core.keeps_rules = true;
    }

    /// Answers those whose rules have been saved, or could not be.
    pub(crate) fn note_saved(&mut self, kept: &Kept, now: Instant) {
        for (id, done) in std::mem::take(&mut self.core.unsaved) {
            self.answer(id, &done, kept, now);
        }
    }

    /// Writes down an order, as the log has what was done over the socket of operators.
    fn log_order(&self, id: SessionId, order: &Order<'_>, is_done: bool) {
        let number = self.sessions.get(id).map(|session| session.number);
        info!(
            target: fields::LOG_TARGET,
            "ops id={} as={} command={} outcome={}",
            number.unwrap_or_default(),
            Value(&self.name_of(id).text()),
            Value(&typed(order)),
            if is_done { "done" } else { "refused" },
        );
    }

    fn answer(&mut self, id: SessionId, done: &Done, kept: &Kept, now: Instant) {
        let words = done.words(kept, Reader::Moderator);
        self.reply(id, &Reply::Note(Note::Done(&words)), now);
    }
}

/// An order as it is typed, but for its slash.
fn typed(order: &Order<'_>) -> String {
    let (verb, words) = match *order {
        Order::Kick { name, reason } => ("kick", [name, "", reason]),
        Order::Mute { name, time, reason } => ("mute", [name, time, reason]),
        Order::Unmute { name } => ("unmute", [name, "", ""]),
        Order::Ban { name, time, reason } => ("ban", [name, time, reason]),
    };
    let mut line = verb.to_owned();
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        line.push(' ');
        line.push_str(word);
    }
    line
}

/// A rule as it is asked for in the chat.
fn asked_here<'a>(
    who: &'a Who,
    time: &str,
    reason: &'a str,
    by: &'a str,
) -> Result<Asked<'a>, Denied> {
    let span = parse_span(time)?;
    if span.is_longer_than_a_day() {
        return Err(Denied::TooLongHere);
    }
    Ok(Asked {
        who,
        span,
        reason,
        by,
        force: false,
    })
}
