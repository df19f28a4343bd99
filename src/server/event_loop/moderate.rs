//! What operators do to people, and to the rules about them.

use std::time::Instant;

use super::operate::Answer;
use super::EventLoop;
use crate::hub::operators::outcome::{
    parse_net, parse_span, Asked, Denied, Done, Kept, Reader, Who,
};
use crate::server::control::{Doing, Listing, Measure, Order, Refusal};
use crate::server::network::Network;

impl<N: Network> EventLoop<N> {
    /// Does what `by` asks for. What changes a rule is answered when it is known whether that is saved.
    pub(super) fn moderate(
        &mut self,
        order: &Order<'_>,
        by: &str,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        if let Order::Bans(target) = order {
            let net = target
                .map(parse_net)
                .transpose()
                .map_err(|denied| refused(&denied))?;
            return Ok(Answer::Begun(Doing::Listing(Listing::rules(net).into())));
        }
        let done = self
            .try_to_moderate(order, by, now)
            .map_err(|denied| refused(&denied))?;
        Ok(match done {
            Done::Made { .. } | Done::Lifted { .. } => Answer::Begun(Doing::Saving(done.into())),
            _ => Answer::done(done.words(&Kept::Saved, Reader::Operator)),
        })
    }

    fn try_to_moderate(
        &mut self,
        order: &Order<'_>,
        by: &str,
        now: Instant,
    ) -> Result<Done, Denied> {
        let hub = &mut self.hub;
        match *order {
            Order::Kick { who, reason } => hub.kick(&Who::parse(who)?, reason, now),
            Order::Ban(measure) => {
                let who = Who::parse(measure.who)?;
                hub.ban(&asked(&measure, &who, by)?, now)
            }
            Order::Mute(measure) => {
                let who = Who::parse(measure.who)?;
                hub.mute(&asked(&measure, &who, by)?, now)
            }
            Order::Forbid {
                pattern,
                time,
                reason,
            } => {
                let measure = Measure {
                    force: false,
                    who: pattern,
                    time,
                    reason,
                };
                // The pattern says who is meant.
                hub.forbid(
                    pattern,
                    &asked(&measure, &Who::Name(pattern.into()), by)?,
                    now,
                )
            }
            Order::Lift(number) => hub.lift(number, by, now),
            Order::Unban(target) => hub.unban(parse_net(target)?, by, now),
            Order::Unmute(who) => hub.unmute(&Who::parse(who)?, by, now),
            Order::Rename { who, name } => hub.rename(&Who::parse(who)?, name, now),
            Order::Say { room, text } => hub.announce(room, text),
            Order::Tell { who, text } => hub.tell_by_operator(&Who::parse(who)?, text, now),
            Order::CloseRoom { room, reason } => hub.close_room(room, reason, now),
            Order::Op { who, on } => hub.set_operator(&Who::parse(who)?, on),
            Order::Bans(_) => Ok(Done::Told(0)),
        }
    }

    /// Answers those who changed a rule, now that it is known what became of the file.
    pub(super) fn answer_saved(&mut self, now: Instant) {
        let Self {
            control,
            network,
            rules,
            ..
        } = self;
        control.answer_saved(network, now, |done| {
            done.words(rules.kept(), Reader::Operator)
        });
    }
}

fn refused(denied: &Denied) -> Refusal {
    Refusal::Because(denied.words(Reader::Operator))
}

fn asked<'a>(measure: &Measure<'a>, who: &'a Who, by: &'a str) -> Result<Asked<'a>, Denied> {
    Ok(Asked {
        who,
        span: parse_span(measure.time)?,
        reason: measure.reason,
        by,
        force: measure.force,
    })
}
