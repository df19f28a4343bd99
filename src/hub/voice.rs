//! Who may be heard.
//!
//! [`Core::hear_muted`] alone decides what a session that is muted may do: everything that others would read passes
//! there, whatever the dialect, and what each request lets them read is said beside the requests (`Request::voice`).

use std::time::Instant;

use log::info;

use crate::dialect::event::{Note, Reply};
use crate::dialect::request::{Refusal, Request, Voice};
use crate::fields;
use crate::hub::core::Core;
use crate::hub::rules::rule::Rule;
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::CloseReason;
use crate::origin::Origin;

impl Core {
    /// What a session that is muted gets of what it asks for: that of which others read nothing.
    ///
    /// # Errors
    /// [`Refusal::Muted`] for all else.
    pub(super) fn hear_muted<'a, T>(
        &mut self,
        session: &mut Session<T>,
        request: Request<'a>,
        now: Instant,
    ) -> Result<Request<'a>, Refusal> {
        self.judge(session, now);
        match request.voice() {
            _ if !session.muted => Ok(request),
            Voice::Unheard => Ok(request),
            Voice::WithWords => Ok(request.without_words()),
            Voice::Heard => self.may_be_heard(session).map(|()| request),
        }
    }

    /// Whether others may read what a session asks for.
    ///
    /// # Errors
    /// [`Refusal::Muted`] if a rule mutes it.
    pub(super) fn may_be_heard<T>(&mut self, session: &Session<T>) -> Result<(), Refusal> {
        let wall_seconds = self.wall_seconds;
        let Some(rule) = self.mute_of(session).filter(|_| session.muted) else {
            return Ok(());
        };
        let (number, refusal) = (rule.number, muted_by(rule));
        self.rules.hit(number, wall_seconds);
        self.counts.lines_muted += 1;
        Err(refusal)
    }

    /// Lets a session be heard, or not, as the rules say now, and tells it if that has changed.
    pub(super) fn judge<T>(&mut self, session: &mut Session<T>, now: Instant) {
        let refusal = self.mute_of(session).map(muted_by);
        let was_muted = std::mem::replace(&mut session.muted, refusal.is_some());
        match refusal {
            Some(refusal) if !was_muted => self.reply(session, &Reply::Refused(&refusal), now),
            None if was_muted => self.note(session, Note::MaySpeak, now),
            _ => {}
        }
    }

    pub(super) fn mute_of<T>(&self, session: &Session<T>) -> Option<&Rule> {
        let address = session.from.address();
        let wall_seconds = self.wall_seconds;
        self.rules.muted(address, session.number, wall_seconds)
    }

    /// Somebody who comes from there is turned away for this reason: if that is a rule, it is met, and gives when it ends
    /// and why it was made.
    pub(super) fn keep_out(
        &mut self,
        reason: CloseReason,
        from: Origin,
    ) -> (Option<u64>, Box<str>) {
        let wall_seconds = self.wall_seconds;
        let address = from.address().filter(|_| reason == CloseReason::Banned);
        let rule = address.and_then(|address| self.rules.banned(address, wall_seconds));
        let Some(rule) = rule else {
            return (None, "".into());
        };
        let (number, told) = (rule.number, (rule.terms.until, rule.terms.reason.clone()));
        self.rules.hit(number, wall_seconds);
        told
    }

    /// A session has ended, and with it the rules that were for it alone.
    pub(super) fn end_rules_of(&mut self, session: u64) {
        for rule in self.rules.end_session(session) {
            log_end(rule.number, "expired");
        }
    }
}

impl<T> Hub<T> {
    /// Whether a rule keeps out who comes from there.
    pub(crate) fn is_banned(&self, from: Origin) -> bool {
        let wall_seconds = self.core.wall_seconds;
        let address = from.address();
        address.is_some_and(|it| self.core.rules.banned(it, wall_seconds).is_some())
    }

    /// Judges a newcomer. A program is told when it asks for something that others would read: until then it expects
    /// nothing.
    pub(super) fn judge_newcomer(&mut self, id: SessionId, now: Instant) {
        let Self { sessions, core } = self;
        if !core.rules.has_mutes() {
            return;
        }
        if let Some(session) = sessions.get_mut(id) {
            if session.codec.is_for_people() {
                core.judge(session, now);
            } else {
                session.muted = core.mute_of(session).is_some();
            }
        }
    }
}

/// What a session is told that this rule mutes.
fn muted_by(rule: &Rule) -> Refusal {
    Refusal::Muted {
        until: rule.terms.until,
        why: rule.terms.reason.clone(),
    }
}

/// Writes down that a rule has ended by itself.
pub(super) fn log_end(number: u64, why: &str) {
    info!(target: fields::LOG_TARGET, "rule-end n={number} why={why}");
}
