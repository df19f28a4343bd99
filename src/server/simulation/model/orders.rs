//! What comes of what operators ask for.

use std::net::IpAddr;

use super::due::Public;
use super::jobs::Task;
use super::rooms::LOBBY;
use super::rules::{Kind, Rule, Target};
use super::rules_file::Asker;
use super::session::Session;
use super::words::class_of;
use super::Model;
use crate::dialect::Dialect;
use crate::ledger::CloseReason;
use crate::server::simulation::script::orders::{Measure, Order, Whom, PATTERNS};
use crate::server::simulation::script::wire_line;

/// A rule that meets more sessions than this is not made without `force`.
const SESSIONS_MAX: usize = 20;

fn sessions(count: usize) -> String {
    match count {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    }
}

/// What is asked for.
impl Model {
    /// An operator was obeyed.
    pub(super) fn operate(&mut self, by: &str, line: &str) {
        let (client, order) = self.operators.next_order(by, line);
        if let Order::List(list) = order {
            self.hit("list for an operator");
            return self.operators.list(client, list);
        }
        let answer = match self.carry_out(&order) {
            Ok(words) if order.is_about_rules() => {
                let is_made = order.makes_rule();
                return self.answer_about_rule(Asker::Operator(client), words, is_made);
            }
            Ok(words) => format!("-- {words}"),
            Err(words) => {
                self.hit("order is refused");
                format!("!! {words}")
            }
        };
        self.operators.answer(client, answer);
    }

    fn carry_out(&mut self, order: &Order) -> Result<String, String> {
        Ok(match order {
            Order::As(client) => format!("as op{client}"),
            Order::Kick(whom, reason) => {
                let ids = self.sessions_of(whom)?;
                let count = ids.len();
                let close = Task::Close(CloseReason::Kicked, format!(": {reason}"));
                self.begin_job(ids, close);
                format!("{} kicked", sessions(count))
            }
            Order::Ban(measure) => self.ban(measure)?,
            Order::Mute(measure) => self.mute(measure)?,
            Order::Forbid(pattern, span, reason) => {
                let row = PATTERNS.iter().find(|row| row.0 == *pattern);
                let classes = row.expect("a pattern that is known").1;
                let is_like =
                    |it: &Session| class_of(&it.name).is_some_and(|it| classes.contains(&it));
                let ids = self.meant(is_like);
                let (count, target) = (ids.len(), Target::Pattern(pattern));
                let number =
                    self.make_rule(Kind::Name, target, span.1, String::new(), reason.clone());
                self.begin_job(ids, Task::MakeGuest);
                let (end, met) = (self.end_of(number), sessions(count));
                format!("name {number}: {pattern} {end}; {met} renamed")
            }
            Order::Lift(number) => {
                let rule = self.rules.get(*number, self.wall_seconds);
                let rule = rule.ok_or_else(|| format!("no rule {number}"))?;
                let target = match rule.target {
                    Target::Session(_) => rule.name.clone(),
                    target => target.shown(),
                };
                let word = rule.kind.word();
                self.lift_rules(&[*number]);
                format!("{word} {number} lifted: {target}")
            }
            Order::Unban(address) => {
                let target = Target::Address(*address);
                self.lift_all(Kind::Ban, &[target], Some(*address), &address.to_string())?
            }
            Order::Unmute(whom) => self.unmute(whom)?,
            Order::Rename(whom, name) => self.rename(whom, name)?,
            Order::Say(room, words) => self.announce_by_operator(room.as_deref(), words)?,
            Order::Tell(whom, words) => {
                let mut ids = self.sessions_of(whom)?;
                ids.retain(|number| self.hears_operators(*number));
                let count = ids.len();
                self.begin_job(ids, Task::Tell(words.clone()));
                format!("{} told", sessions(count))
            }
            Order::Close(name, reason) => {
                let room = self.find_room(name);
                let room = room.ok_or_else(|| format!("no such room: {name}"))?;
                if room == LOBBY {
                    return Err("the lobby is always there".to_owned());
                }
                let ids = self.meant(|it| it.room == room);
                let count = ids.len();
                self.begin_job(ids, Task::SendToLobby(room, reason.clone()));
                format!("{} sent to lobby", sessions(count))
            }
            Order::Op(whom) => self.let_moderate(whom, true)?,
            Order::Deop(whom) => self.let_moderate(whom, false)?,
            Order::Set(key, value) => self.set_by_operator(key, *value)?,
            Order::Drain => {
                self.operators.drains = true;
                "newcomers are turned away".to_owned()
            }
            Order::Accept => {
                self.operators.drains = false;
                "newcomers are let in".to_owned()
            }
            Order::Nonsense | Order::Half => {
                let word = order.spell();
                return Err(format!("no such command: {word}; help lists them"));
            }
            Order::List(_) => unreachable!("a list is no line"),
        })
    }

    pub(super) fn sessions_of(&self, whom: &Whom) -> Result<Vec<u64>, String> {
        Ok(match whom {
            Whom::Name(name) => vec![self.find_or_say(name)?],
            Whom::Id(number) => {
                let it = self.sessions.get(number);
                it.filter(|it| it.is_open())
                    .ok_or_else(|| format!("no session {number}"))?;
                vec![*number]
            }
            Whom::Address(address) => self.meant(|it| it.address == *address),
            Whom::Net => self.meant(|it| Target::Net.meets(it.address)),
            Whom::Room(name) => {
                let room = self.find_room(name);
                let room = room.ok_or_else(|| format!("no such room: {name}"))?;
                self.meant(|it| it.room == room)
            }
        })
    }

    /// The one who is meant by a name or a number.
    fn one_of(&self, whom: &Whom) -> Result<Option<u64>, String> {
        match whom {
            Whom::Name(_) | Whom::Id(_) => Ok(self.sessions_of(whom)?.first().copied()),
            _ => Ok(None),
        }
    }

    /// Those whom rules for this target meet: none of loopback.
    fn met(&self, target: Target) -> Vec<u64> {
        self.meant(|it| !it.address.is_loopback() && target.meets(it.address))
    }

    fn target_of(&self, whom: &Whom, one: Option<u64>) -> Target {
        match (whom, one) {
            (Whom::Address(address), _) => Target::Address(*address),
            (_, Some(number)) => Target::Address(self.sessions[&number].address),
            _ => Target::Net,
        }
    }

    /// The names that others have chosen who share the address of this one.
    fn others(&self, number: u64) -> Vec<String> {
        let address = self.sessions[&number].address;
        let there = self.meant(|it| it.address == address);
        let others = there.into_iter().filter(|other| *other != number);
        let names = others.map(|other| self.sessions[&other].name.clone());
        names.filter(|name| class_of(name).is_some()).collect()
    }

    fn guard(&self, target: Target, force: bool, one: Option<u64>) -> Result<(), String> {
        let shown = target.shown();
        if matches!(target, Target::Address(address) if address.is_loopback()) {
            let words = "is the loopback address: front ends come from there";
            return Err(format!("{shown} {words}"));
        }
        if force {
            return Ok(());
        }
        let count = self.met(target).len();
        if count > SESSIONS_MAX {
            return Err(format!("{} would be met: write force", sessions(count)));
        }
        let Some(number) = one else { return Ok(()) };
        let others = self.others(number);
        let are = match others.len() {
            0 => return Ok(()),
            1 => "1 other is".to_owned(),
            count => format!("{count} others are"),
        };
        let (names, name) = (others.join(", "), &self.sessions[&number].name);
        Err(format!(
            "{are} here from {shown}: {names}; kick or mute {name}, or write force"
        ))
    }

    pub(super) fn ban(&mut self, measure: &Measure) -> Result<String, String> {
        let one = self.one_of(&measure.whom)?;
        let target = self.target_of(&measure.whom, one);
        self.guard(target, measure.force, one)?;
        let met = self.met(target);
        let count = met.len();
        let number = self.make_measure(Kind::Ban, target, one, measure);
        let why = self.rule_ending(number);
        self.begin_job(met, Task::Close(CloseReason::Banned, why));
        let (shown, end, met) = (target.shown(), self.end_of(number), sessions(count));
        Ok(format!("ban {number}: {shown} {end}; {met} closed"))
    }

    pub(super) fn mute(&mut self, measure: &Measure) -> Result<String, String> {
        let one = self.one_of(&measure.whom)?;
        let target = self.target_of(&measure.whom, one);
        if let Some(number) = one {
            let is_near = self.sessions[&number].address.is_loopback();
            let others = self.others(number).len();
            if is_near || (others > 0 && !measure.force) {
                let others = (others, target.shown());
                return Ok(self.mute_alone(number, measure, Some(others).filter(|_| !is_near)));
            }
        }
        self.guard(target, measure.force, None)?;
        let met = self.met(target);
        let count = met.len();
        let number = self.make_measure(Kind::Mute, target, one, measure);
        self.begin_job(met, Task::Judge);
        let (shown, end, met) = (target.shown(), self.end_of(number), sessions(count));
        Ok(format!("mute {number}: {shown} {end}; {met}"))
    }

    fn mute_alone(
        &mut self,
        one: u64,
        measure: &Measure,
        others: Option<(usize, String)>,
    ) -> String {
        let target = Target::Session(one);
        let number = self.make_measure(Kind::Mute, target, Some(one), measure);
        self.begin_job(vec![one], Task::Judge);
        let others = others.map(|(count, address)| match count {
            1 => format!(" (1 other shares {address})"),
            count => format!(" ({count} others share {address})"),
        });
        let (name, others) = (&self.sessions[&one].name, others.unwrap_or_default());
        let end = self.end_of(number);
        format!("mute {number}: {name}, this session only{others} {end}")
    }

    fn make_measure(
        &mut self,
        kind: Kind,
        target: Target,
        one: Option<u64>,
        measure: &Measure,
    ) -> u64 {
        self.hit(match kind {
            Kind::Ban => "ban",
            _ => "mute",
        });
        let name = one.map(|one| self.sessions[&one].name.clone());
        let (seconds, reason) = (measure.span.1, measure.reason.clone());
        self.make_rule(kind, target, seconds, name.unwrap_or_default(), reason)
    }

    /// Ends the rules of a kind with exactly these targets; else tells of one that covers the address.
    fn lift_all(
        &mut self,
        kind: Kind,
        targets: &[Target],
        address: Option<IpAddr>,
        shown: &str,
    ) -> Result<String, String> {
        // In the order of the targets.
        let numbers: Vec<u64> = targets
            .iter()
            .flat_map(|target| {
                let is_it = |rule: &Rule| rule.kind == kind && rule.target == *target;
                self.rules.in_force(self.wall_seconds, is_it)
            })
            .collect();
        if let [number] = numbers[..] {
            self.lift_rules(&numbers);
            return Ok(format!("{} {number} lifted: {shown}", kind.word()));
        }
        if !numbers.is_empty() {
            self.lift_rules(&numbers);
            return Ok(format!("{} rules lifted: {shown}", numbers.len()));
        }
        let done = match kind {
            Kind::Ban => "banned",
            _ => "muted",
        };
        let covers = |rule: &Rule| {
            let meets = address.is_some_and(|address| rule.target.meets(address));
            rule.kind == kind && rule.target == Target::Net && meets
        };
        // Of those that last equally long the last one is named.
        let covering = self.rules.in_force(self.wall_seconds, covers);
        let lasts = |number: &u64| {
            let rule = self.rules.get(*number, self.wall_seconds);
            rule.and_then(|rule| rule.until).unwrap_or(u64::MAX)
        };
        Err(match covering.into_iter().max_by_key(lasts) {
            Some(number) => {
                let net = Target::Net.shown();
                format!("{shown} is {done} by {net}: lift {number}")
            }
            None => format!("{shown} is not {done}"),
        })
    }

    pub(super) fn unmute(&mut self, whom: &Whom) -> Result<String, String> {
        let one = self.one_of(whom)?;
        let target = self.target_of(whom, one);
        let address = match target {
            Target::Address(address) => Some(address),
            _ => None,
        };
        let Some(number) = one else {
            return self.lift_all(Kind::Mute, &[target], address, &target.shown());
        };
        let name = self.sessions[&number].name.clone();
        let targets = [Target::Session(number), target];
        self.lift_all(Kind::Mute, &targets, address, &name)
    }

    fn rename(&mut self, whom: &Whom, name: &str) -> Result<String, String> {
        let ids = self.sessions_of(whom)?;
        let [number] = ids[..] else {
            let count = ids.len();
            return Err(format!("{count} sessions are meant: write id=N"));
        };
        let from = self.sessions[&number].name.clone();
        let name = Some(name).filter(|name| *name != "guest");
        if let Some(name) = name {
            self.may_take(number, name)?;
        }
        self.name_by_operator(number, name);
        let to = &self.sessions[&number].name;
        Ok(format!("{from} is now {to}"))
    }

    fn hears_operators(&self, number: u64) -> bool {
        let it = &self.sessions[&number];
        it.dialect == Dialect::Telnet || it.watches
    }

    fn announce_by_operator(&mut self, room: Option<&str>, words: &str) -> Result<String, String> {
        let rooms = match room {
            Some(name) => {
                let room = self.find_room(name);
                vec![room.ok_or_else(|| format!("no such room: {name}"))?]
            }
            None => self.rooms.keys().copied().collect(),
        };
        let mut count = 0;
        for room in rooms {
            let members = self.meant(|it| it.room == room);
            let hearing = members
                .iter()
                .filter(|number| self.hears_operators(**number));
            count += hearing.count();
            let line = format!("-- announcement: {words}\r\n");
            let wire = wire_line("TELL", &["chatd", &format!("announcement: {words}")]) + "\n";
            let bytes = [line.into_bytes(), Vec::new(), wire.into_bytes()];
            let public = Public {
                about: None,
                is_presence: false,
                bytes,
            };
            self.publish(room, public);
        }
        self.hit("announcement");
        Ok(format!("{} told", sessions(count)))
    }
}
