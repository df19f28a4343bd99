//! Rules are made: by operators, and by their file.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use log::info;

use crate::fields::{self, Value};
use crate::hub::jobs::Task;
use crate::hub::operators::outcome::{Asked, Denied, Done, MadeFor, Who};
use crate::hub::rules::guard::{self, Guard};
use crate::hub::rules::lines::cleaned;
use crate::hub::rules::pattern::Pattern;
use crate::hub::rules::rule::{as_author, Kind, Rule, Target, Terms};
use crate::hub::rules::Full;
use crate::hub::session::Session;
use crate::hub::voice::log_end;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::CloseReason;
#[cfg(test)]
use crate::ledger::Entry;
use crate::name::{self, Keys, Name};
use crate::net::Net;
use crate::when::{End, Span};
use crate::work::Work;

impl<T> Hub<T> {
    /// Keeps an address out, and closes who is there from it.
    ///
    /// # Errors
    /// If nobody is meant, or a guard says no.
    pub(crate) fn ban(&mut self, asked: &Asked<'_>, now: Instant) -> Result<Done, Denied> {
        let (net, person) = match asked.who {
            Who::Address(address) => (Net::around(*address), None),
            Who::Net(net) => (*net, None),
            Who::Room(_) => return Err(Denied::NoTarget),
            Who::Id(_) | Who::Name(_) => {
                let id = self.one_of(asked.who)?;
                // What has no address of its own is as near as loopback.
                let address = self.address_of(id);
                let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                (Net::around(address), Some(id))
            }
        };
        let met = self.sessions_met(net);
        self.guard(asked, net, person, met.len())?;
        let target = Target::Net(net);
        let (number, until) = self.make(asked, Kind::Ban, target, person, met.len())?;
        let sessions = met.len();
        let close = Task::Close {
            reason: CloseReason::Banned,
            until,
            why: cleaned(asked.reason),
        };
        self.begin_job(met, close, now);
        Ok(Done::Made {
            number,
            target: MadeFor::Ban(net),
            until,
            sessions,
        })
    }

    /// Lets nobody hear who comes from an address; or, of somebody who shares theirs with others, that session alone.
    ///
    /// # Errors
    /// If nobody is meant, or a guard says no.
    pub(crate) fn mute(&mut self, asked: &Asked<'_>, now: Instant) -> Result<Done, Denied> {
        match asked.who {
            Who::Address(address) => self.mute_net(asked, Net::around(*address), None, now),
            Who::Net(net) => self.mute_net(asked, *net, None, now),
            Who::Room(_) => Err(Denied::NoTarget),
            Who::Id(_) | Who::Name(_) => {
                let id = self.one_of(asked.who)?;
                let address = self.address_of(id);
                let Some(address) = address.filter(|address| !address.is_loopback()) else {
                    return self.mute_alone(asked, id, None, now);
                };
                let net = Net::around(address);
                let met = self.sessions_met(net);
                match self.others(id, &met).len() {
                    others if others > 0 && !asked.force => {
                        self.mute_alone(asked, id, Some((others, net)), now)
                    }
                    _ => self.mute_net(asked, net, Some(id), now),
                }
            }
        }
    }

    /// Lets nobody take such a name, and takes it from those who have one.
    ///
    /// # Errors
    /// If it is no pattern.
    pub(crate) fn forbid(
        &mut self,
        pattern: &str,
        asked: &Asked<'_>,
        now: Instant,
    ) -> Result<Done, Denied> {
        let pattern: Pattern = pattern.parse().map_err(Denied::NoPattern)?;
        let met = {
            let fits = pattern.fitting();
            self.sessions_named(|keys| fits(keys))
        };
        let (sessions, shown) = (met.len(), pattern.to_string().into());
        let target = Target::Pattern(pattern);
        let (number, until) = self.make(asked, Kind::Name, target, None, sessions)?;
        self.begin_job(met, Task::MakeGuest, now);
        Ok(Done::Made {
            number,
            target: MadeFor::Name(shown),
            until,
            sessions,
        })
    }

    /// Lets these be the rules of the file, from the beginning: nobody is here, and there are no others.
    pub(crate) fn set_rules(&mut self, rules: Vec<Terms>) {
        let wall_seconds = self.core.wall_seconds;
        // As many as a file may have are not too many.
        let _ = self.core.rules.follow(Vec::new(), rules, wall_seconds);
    }

    /// Follows a file of rules out of which `gone` were taken and into which `new` were put. Who is met by new ones is
    /// closed, muted or renamed, and who is no more may speak again.
    ///
    /// # Errors
    /// If there would be too many; nothing has changed then.
    pub(crate) fn follow_rules(
        &mut self,
        gone: Vec<Terms>,
        new: Vec<Terms>,
        now: Instant,
    ) -> Result<(), Full> {
        let wall_seconds = self.core.wall_seconds;
        let (ended, made) = self.core.rules.follow(gone, new, wall_seconds)?;
        if ended.is_empty() && made.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        self.core.ledger.diary.push(Entry::RulesFollowed);
        for rule in &ended {
            log_end(rule.number, "lifted by=file");
        }
        for number in &made {
            self.core
                .rules
                .get(*number)
                .into_iter()
                .for_each(|rule| log_rule(rule, 0));
        }
        let all = self.ids().collect();
        self.begin_job(all, Task::Judge, now);
        self.close_banned(now);
        let forbidden = |rules: &crate::hub::rules::Rules, keys: &Keys| {
            rules.forbidden(keys, wall_seconds).is_some()
        };
        if self.core.rules.has_patterns() {
            let rules = std::mem::take(&mut self.core.rules);
            let met = self.sessions_named(|keys| forbidden(&rules, keys));
            self.core.rules = rules;
            self.begin_job(met, Task::MakeGuest, now);
        }
        Ok(())
    }

    /// Closes all whom a rule keeps out, each with the words of its rule.
    fn close_banned(&mut self, now: Instant) {
        let mut met: BTreeMap<u64, Vec<SessionId>> = BTreeMap::new();
        let wall_seconds = self.core.wall_seconds;
        for session in self.sessions.iter().filter(|session| session.is_open()) {
            let address = session.from.address();
            let rule = address.and_then(|it| self.core.rules.banned(it, wall_seconds));
            if let Some(rule) = rule {
                met.entry(rule.number).or_default().push(session.id);
            }
        }
        for (number, ids) in met {
            let Some(rule) = self.core.rules.get(number) else {
                continue;
            };
            let close = Task::Close {
                reason: CloseReason::Banned,
                until: rule.terms.until,
                why: rule.terms.reason.clone(),
            };
            self.begin_job(ids, close, now);
        }
    }

    fn mute_net(
        &mut self,
        asked: &Asked<'_>,
        net: Net,
        person: Option<SessionId>,
        now: Instant,
    ) -> Result<Done, Denied> {
        let met = self.sessions_met(net);
        self.guard(asked, net, None, met.len())?;
        let sessions = met.len();
        let target = Target::Net(net);
        let (number, until) = self.make(asked, Kind::Mute, target, person, sessions)?;
        self.begin_job(met, Task::Judge, now);
        Ok(Done::Made {
            number,
            target: MadeFor::Mute(net),
            until,
            sessions,
        })
    }

    fn mute_alone(
        &mut self,
        asked: &Asked<'_>,
        id: SessionId,
        others: Option<(usize, Net)>,
        now: Instant,
    ) -> Result<Done, Denied> {
        let session = self.sessions.get(id).map_or(0, |session| session.number);
        let target = Target::Session(session);
        let (number, until) = self.make(asked, Kind::Mute, target, Some(id), 1)?;
        self.begin_job(vec![id], Task::Judge, now);
        let name = self.name_of(id);
        Ok(Done::Made {
            number,
            target: MadeFor::Session { name, others },
            until,
            sessions: 1,
        })
    }

    /// Asks the guards about a rule for a network; for a `person`, whom others there may share it with.
    fn guard(
        &self,
        asked: &Asked<'_>,
        net: Net,
        person: Option<SessionId>,
        sessions: usize,
    ) -> Result<(), Denied> {
        let name = person.map(|id| self.name_of(id));
        let others = match person {
            Some(id) if !net.is_loopback() => {
                let here = self.sessions.iter().filter(|it| it.is_open());
                let from_there = here.filter(|session| {
                    let address = session.from.address();
                    address.is_some_and(|address| net.contains(address))
                });
                let ids: Vec<SessionId> = from_there.map(|session| session.id).collect();
                self.others(id, &ids)
            }
            _ => Vec::new(),
        };
        guard::check(guard::Asked {
            net,
            sessions,
            is_exempt: self.core.exempt.meet(net),
            person: name.as_ref(),
            others,
            force: asked.force,
        })
        .map_err(Denied::Guard)
    }

    /// The names that others of these have chosen.
    fn others(&self, person: SessionId, ids: &[SessionId]) -> Vec<Name> {
        let others = ids.iter().filter(|id| **id != person);
        let sessions = others.filter_map(|id| self.sessions.get(*id));
        let names = sessions.map(|session| &session.name);
        let chosen = names.filter(|name| matches!(name.kind(), name::Kind::Chosen(_)));
        chosen.cloned().collect()
    }

    /// Makes a rule and writes it down; gives its number and its end.
    fn make(
        &mut self,
        asked: &Asked<'_>,
        kind: Kind,
        target: Target,
        person: Option<SessionId>,
        sessions: usize,
    ) -> Result<(u64, Option<u64>), Denied> {
        self.drop_old_rules();
        let wall_seconds = self.core.wall_seconds;
        let name = person.map(|id| self.name_of(id).text().into());
        let until = match asked.span {
            Span::Forever => None,
            span @ Span::Seconds(_) => span.until(wall_seconds),
        };
        let terms = Terms {
            kind,
            target,
            until,
            by: as_author(asked.by),
            at: Some(wall_seconds),
            name: name.unwrap_or_default(),
            reason: cleaned(asked.reason),
        };
        let made = self.core.rules.add(terms, wall_seconds);
        let number = made.map_err(|_| Denied::Full)?;
        self.core
            .rules
            .get(number)
            .into_iter()
            .for_each(|rule| log_rule(rule, sessions));
        Ok((number, until))
    }

    fn sessions_named(&mut self, is_meant: impl Fn(&Keys) -> bool) -> Vec<SessionId> {
        let chosen = |session: &Session<T>| match session.name.kind() {
            name::Kind::Chosen(text) => is_meant(&Keys::of(text)),
            name::Kind::Guest(_) => false,
        };
        self.core.work.add(Work::PERSON.times(self.sessions.len()));
        self.sessions_that(chosen)
    }

    pub(super) fn address_of(&self, id: SessionId) -> Option<IpAddr> {
        self.sessions.get(id)?.from.address()
    }
}

/// Writes down that a rule was made.
fn log_rule(rule: &Rule, sessions: usize) {
    let terms = &rule.terms;
    let (kind, until) = (terms.kind.word(), End(terms.until));
    let target = terms.target.to_string();
    let [target, by, reason] = [&target, &*terms.by, &*terms.reason].map(Value);
    let number = rule.number;
    info!(
        target: fields::LOG_TARGET,
        "rule n={number} kind={kind} target={target} until={until} by={by} sessions={sessions} reason={reason}"
    );
}

impl From<Guard> for Denied {
    fn from(guard: Guard) -> Self {
        Self::Guard(guard)
    }
}
