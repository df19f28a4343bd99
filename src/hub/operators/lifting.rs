//! Rules end: they are lifted, or their time is over. And what there is of them is told.

use std::time::{Duration, Instant};

use log::info;

use crate::fields::{self, Value};
use crate::hub::jobs::Task;
use crate::hub::operators::outcome::{Denied, Done, Shown, Who};
use crate::hub::rules::rule::{as_author, Kind, Rule, Target};
use crate::hub::rules::Rules;
use crate::hub::voice::log_end;
use crate::hub::Hub;
use crate::net::{Net, Nets};

impl<T> Hub<T> {
    /// Ends the rule of this number.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn lift(&mut self, number: u64, by: &str, now: Instant) -> Result<Done, Denied> {
        let wall_seconds = self.core.wall_seconds;
        let rule = self.core.rules.get(number);
        let rule = rule.filter(|rule| rule.terms.holds_at(wall_seconds));
        let terms = &rule.ok_or(Denied::NoRule(number))?.terms;
        let target = match &terms.target {
            Target::Net(net) => Shown::Net(*net),
            Target::Session(_) => Shown::Text(terms.name.clone()),
            Target::Pattern(pattern) => Shown::Text(pattern.to_string().into()),
        };
        Ok(self.end(&[number], target, by, now))
    }

    /// Ends all bans with exactly this target.
    ///
    /// # Errors
    /// If there is none; then one that covers it is told.
    pub(crate) fn unban(&mut self, net: Net, by: &str, now: Instant) -> Result<Done, Denied> {
        let wall_seconds = self.core.wall_seconds;
        let numbers = self.core.rules.exactly(Kind::Ban, net, wall_seconds);
        self.end_those(Kind::Ban, &numbers, Some(net), Shown::Net(net), by, now)
    }

    /// Ends all mutes with exactly this target: of a person those of their session and of their address.
    ///
    /// # Errors
    /// If nobody is meant; or there is none, then one that covers it is told.
    pub(crate) fn unmute(&mut self, who: &Who, by: &str, now: Instant) -> Result<Done, Denied> {
        let wall_seconds = self.core.wall_seconds;
        let (net, session, shown) = match who {
            Who::Address(address) => {
                let net = Net::around(*address);
                (Some(net), None, Shown::Net(net))
            }
            Who::Net(net) => (Some(*net), None, Shown::Net(*net)),
            Who::Room(_) => return Err(Denied::NoTarget),
            Who::Id(_) | Who::Name(_) => {
                let id = self.one_of(who)?;
                let session = self.sessions.get(id).map(|session| session.number);
                let net = self.address_of(id).map(Net::around);
                let name = self.name_of(id).text().into();
                (net, session, Shown::Text(name))
            }
        };
        let rules = &self.core.rules;
        let alone = session.map(|number| rules.of_session(number, wall_seconds));
        let of_net = net.map(|net| rules.exactly(Kind::Mute, net, wall_seconds));
        let numbers: Vec<u64> = alone.into_iter().chain(of_net).flatten().collect();
        self.end_those(Kind::Mute, &numbers, net, shown, by, now)
    }

    /// All rules.
    pub(crate) fn rules(&self) -> &Rules {
        &self.core.rules
    }

    /// The rules in force that come behind this number, in their order; those that meet `net`, if that is given.
    pub(crate) fn rules_after(
        &self,
        number: u64,
        net: Option<Net>,
    ) -> impl Iterator<Item = &Rule> + '_ {
        let meets = move |rule: &&Rule| match (&rule.terms.target, net) {
            (_, None) => true,
            (Target::Net(target), Some(net)) => target.meets(net),
            _ => false,
        };
        let rules = self.core.rules.after(number, self.core.wall_seconds);
        rules.filter(meets)
    }

    /// Tells the hub what is free of limits by address, and met by no rule that is not forced.
    pub(crate) fn set_exempt(&mut self, nets: impl IntoIterator<Item = Net>) {
        let mut exempt = Nets::default();
        for net in nets {
            exempt.or_default(net);
        }
        self.core.exempt = exempt;
    }

    /// Whether what the file is to hold has changed since this was last asked.
    pub(crate) fn take_rules_changed(&mut self) -> bool {
        self.core.rules.take_changed()
    }

    /// The file of the rules holds what it should.
    pub(crate) fn note_rules_saved(&mut self) {
        self.core.rules.note_saved();
    }

    /// The file of the rules holds nothing.
    pub(crate) fn note_no_rules_saved(&mut self) {
        self.core.rules.note_nothing_saved();
    }

    /// Drops the rules that have been over for a day.
    pub(crate) fn drop_old_rules(&mut self) {
        let wall_seconds = self.core.wall_seconds;
        for rule in self.core.rules.drop_old(wall_seconds) {
            let (number, target) = (rule.number, rule.terms.target);
            info!(target: fields::LOG_TARGET, "rule-dropped n={number} target={target}");
        }
    }

    /// Ends the rules whose time is over, and sees to it that the next one does.
    pub(in crate::hub) fn end_rules(&mut self, now: Instant) {
        let wall_seconds = self.core.wall_seconds;
        let ended = self.core.rules.take_ended(wall_seconds);
        let mut may_be_heard = false;
        for number in ended {
            log_end(number, "expired");
            let rule = self.core.rules.get(number);
            may_be_heard |= rule.is_some_and(|rule| rule.terms.kind == Kind::Mute);
        }
        if may_be_heard {
            self.judge_muted(now);
        }
        let first = self.core.rules.first_end();
        let left = first.map(|end| Duration::from_secs(end.saturating_sub(wall_seconds)));
        self.core.rule_ends_at = left.and_then(|left| now.checked_add(left));
    }

    fn end_those(
        &mut self,
        kind: Kind,
        numbers: &[u64],
        net: Option<Net>,
        target: Shown,
        by: &str,
        now: Instant,
    ) -> Result<Done, Denied> {
        if !numbers.is_empty() {
            return Ok(self.end(numbers, target, by, now));
        }
        let wall_seconds = self.core.wall_seconds;
        let covering = net.and_then(|net| self.core.rules.covering(kind, net, wall_seconds));
        Err(
            match covering.map(|rule| (rule.number, &rule.terms.target)) {
                Some((number, Target::Net(by))) => Denied::RuledBy {
                    kind,
                    target,
                    by: *by,
                    number,
                },
                _ => Denied::NotRuled { kind, target },
            },
        )
    }

    fn end(&mut self, numbers: &[u64], target: Shown, by: &str, now: Instant) -> Done {
        let by = as_author(by);
        let mut rules = Vec::new();
        for number in numbers {
            if let Some(rule) = self.core.rules.remove(*number) {
                log_end(*number, &format!("lifted by={}", Value(&by)));
                rules.push((rule.terms.kind, *number));
            }
        }
        if rules.iter().any(|(kind, _)| *kind == Kind::Mute) {
            self.judge_muted(now);
        }
        self.drop_old_rules();
        Done::Lifted { rules, target }
    }

    /// Judges anew all who are muted.
    fn judge_muted(&mut self, now: Instant) {
        let muted = self.sessions_that(|session| session.muted);
        self.begin_job(muted, Task::Judge, now);
    }
}
