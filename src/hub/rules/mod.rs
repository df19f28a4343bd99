//! Bans, mutes and forbidden names: what there is, and whom it meets.
//!
//! A rule is in force while its end is later than the wall clock, which each call is told: there is no timer, and a
//! clock that leaps only shortens or lengthens it. One that is over stays for a day, for the clock may have been wrong.
//! Loopback is met by none.
//!
//! Invariants: the tables hold exactly the rules of `by_number`; a rule with an end is in `ends` or, if it was seen to
//! be over, in `over`.

pub(crate) mod guard;
pub(crate) mod lines;
pub(crate) mod pattern;
pub(crate) mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::name::Keys;
use crate::net::{Net, Nets};

use pattern::Patterns;
use rule::{Kind, Rule, Target, Terms, RULES_MAX};

/// A rule that is over is kept for so long.
const KEPT_SECONDS: u64 = 86_400;

/// There are as many rules as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    by_number: BTreeMap<u64, Rule>,
    bans: Nets<Vec<u64>>,
    mutes: Nets<Vec<u64>>,
    /// The mutes of single sessions, by the session's number.
    sessions: BTreeMap<u64, Vec<u64>>,
    patterns: Patterns,
    /// The number that was given last.
    last: u64,
    /// When each rule ends that is in force, with its number.
    ends: BTreeSet<(u64, u64)>,
    /// The same of those that were seen to be over.
    over: BTreeSet<(u64, u64)>,
    /// How often rules of each kind kept somebody from something.
    hits: [u64; Kind::ALL.len()],
    /// What the file should hold has changed since this was last asked.
    changed: bool,
    unsaved: Unsaved,
}

/// How the file differs from what it should hold: it has not the rules of the numbers `made`, and it has those of `gone`.
#[derive(Debug, Default)]
struct Unsaved {
    made: BTreeSet<u64>,
    gone: Vec<Terms>,
}

impl Rules {
    /// Adds a rule; gives its number.
    ///
    /// # Errors
    /// [`Full`] if there are 10,000; nothing has changed then.
    pub(crate) fn add(&mut self, terms: Terms, wall_seconds: u64) -> Result<u64, Full> {
        if self.by_number.len() >= RULES_MAX {
            return Err(Full);
        }
        let is_durable = is_durable(&terms);
        let number = self.put_in(terms, wall_seconds);
        if is_durable {
            self.changed = true;
            self.unsaved.made.insert(number);
        }
        Ok(number)
    }

    fn put_in(&mut self, terms: Terms, wall_seconds: u64) -> u64 {
        self.last += 1;
        let number = self.last;
        if let Some(until) = terms.until {
            let is_over = !terms.holds_at(wall_seconds);
            let ends = if is_over {
                &mut self.over
            } else {
                &mut self.ends
            };
            ends.insert((until, number));
        }
        match &terms.target {
            Target::Net(net) => self.nets(terms.kind).or_default(*net).push(number),
            Target::Session(session) => self.sessions.entry(*session).or_default().push(number),
            Target::Pattern(pattern) => self.patterns.insert(pattern, number),
        }
        let rule = Rule {
            number,
            terms,
            hits: 0,
            last: None,
        };
        self.by_number.insert(number, rule);
        number
    }

    /// Ends a rule.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Rule> {
        let rule = self.take_out(number)?;
        if is_durable(&rule.terms) {
            self.changed = true;
            if !self.unsaved.made.remove(&number) {
                self.unsaved.gone.push(rule.terms.clone());
            }
        }
        Some(rule)
    }

    fn take_out(&mut self, number: u64) -> Option<Rule> {
        let rule = self.by_number.remove(&number)?;
        let terms = &rule.terms;
        if let Some(until) = terms.until {
            self.ends.remove(&(until, number));
            self.over.remove(&(until, number));
        }
        match &terms.target {
            Target::Net(net) => {
                let nets = self.nets(terms.kind);
                let numbers = nets.or_default(*net);
                numbers.retain(|known| *known != number);
                if numbers.is_empty() {
                    nets.remove(*net);
                }
            }
            Target::Session(session) => {
                if let Some(numbers) = self.sessions.get_mut(session) {
                    numbers.retain(|known| *known != number);
                    if numbers.is_empty() {
                        self.sessions.remove(session);
                    }
                }
            }
            Target::Pattern(pattern) => self.patterns.remove(pattern, number),
        }
        Some(rule)
    }

    /// A session goes on under another number, and so do its mutes.
    pub(crate) fn renumber_session(&mut self, from: u64, to: u64) {
        let Some(numbers) = self.sessions.remove(&from) else {
            return;
        };
        for number in &numbers {
            if let Some(rule) = self.by_number.get_mut(number) {
                rule.terms.target = Target::Session(to);
            }
        }
        self.sessions.insert(to, numbers);
    }

    /// Takes out the mutes of a session that has ended, and gives them.
    pub(crate) fn end_session(&mut self, session: u64) -> Vec<Rule> {
        let numbers = self.sessions.get(&session).cloned().unwrap_or_default();
        numbers
            .into_iter()
            .filter_map(|it| self.remove(it))
            .collect()
    }

    /// The rule of this number, in force or not.
    pub(crate) fn get(&self, number: u64) -> Option<&Rule> {
        self.by_number.get(&number)
    }

    /// The rules in force that come behind this number, in their order.
    pub(crate) fn after(&self, number: u64, wall_seconds: u64) -> impl Iterator<Item = &Rule> {
        let rules = self.by_number.range(number.saturating_add(1)..);
        let rules = rules.map(|(_, rule)| rule);
        rules.filter(move |rule| rule.terms.holds_at(wall_seconds))
    }

    /// The rule in force that keeps this address out for longest.
    pub(crate) fn banned(&self, address: IpAddr, wall_seconds: u64) -> Option<&Rule> {
        if address.to_canonical().is_loopback() {
            return None;
        }
        let numbers = self.bans.around(address).flatten();
        self.longest(numbers, wall_seconds)
    }

    /// The rule in force that keeps for longest a session from being heard: that with this number, from this address.
    pub(crate) fn muted(
        &self,
        address: Option<IpAddr>,
        session: u64,
        wall_seconds: u64,
    ) -> Option<&Rule> {
        let address = address.filter(|address| !address.to_canonical().is_loopback());
        let by_address = address
            .into_iter()
            .flat_map(|address| self.mutes.around(address));
        let by_session = self.sessions.get(&session);
        self.longest(by_address.chain(by_session).flatten(), wall_seconds)
    }

    /// The rule in force that forbids for longest a name with these keys.
    pub(crate) fn forbidden(&self, name: &Keys, wall_seconds: u64) -> Option<&Rule> {
        self.longest(&self.patterns.find(name), wall_seconds)
    }

    /// Whether there is any rule on names, over or not.
    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether there is any mute, over or not.
    pub(crate) fn has_mutes(&self) -> bool {
        !self.mutes.is_empty() || !self.sessions.is_empty()
    }

    /// The numbers of the rules in force with exactly this target.
    pub(crate) fn exactly(&self, kind: Kind, net: Net, wall_seconds: u64) -> Vec<u64> {
        let nets = match kind {
            Kind::Ban => &self.bans,
            Kind::Mute => &self.mutes,
            Kind::Name => return Vec::new(),
        };
        self.in_force(nets.get(net).into_iter().flatten(), wall_seconds)
    }

    /// The numbers of the mutes in force of this session alone.
    pub(crate) fn of_session(&self, session: u64, wall_seconds: u64) -> Vec<u64> {
        let numbers = self.sessions.get(&session).into_iter().flatten();
        self.in_force(numbers, wall_seconds)
    }

    /// The rule in force that covers a network from wider around it, and lasts longest.
    pub(crate) fn covering(&self, kind: Kind, net: Net, wall_seconds: u64) -> Option<&Rule> {
        let rules = self.after(0, wall_seconds);
        let covers = |rule: &&Rule| match &rule.terms.target {
            Target::Net(wider) => rule.terms.kind == kind && wider.covers(net),
            _ => false,
        };
        rules.filter(covers).max_by_key(|rule| lasts(rule))
    }

    /// A rule kept somebody from something.
    pub(crate) fn hit(&mut self, number: u64, wall_seconds: u64) {
        if let Some(rule) = self.by_number.get_mut(&number) {
            rule.hits += 1;
            rule.last = Some(wall_seconds);
            self.hits[rule.terms.kind as usize] += 1;
        }
    }

    /// How often rules of each kind kept somebody from something, by [`Kind`].
    pub(crate) fn hits(&self) -> [u64; Kind::ALL.len()] {
        self.hits
    }

    /// How many rules of each kind are in force, by [`Kind`].
    pub(crate) fn count(&self, wall_seconds: u64) -> [usize; Kind::ALL.len()] {
        let mut counts = [0; Kind::ALL.len()];
        for rule in self.after(0, wall_seconds) {
            counts[rule.terms.kind as usize] += 1;
        }
        counts
    }

    /// When the first of those in force ends, in seconds since 1970.
    pub(crate) fn first_end(&self) -> Option<u64> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// The numbers of those that have ended since this was last asked.
    pub(crate) fn take_ended(&mut self, wall_seconds: u64) -> Vec<u64> {
        let mut ended = Vec::new();
        while let Some(first) = self.ends.first().copied() {
            if first.0 > wall_seconds {
                break;
            }
            self.ends.pop_first();
            self.over.insert(first);
            ended.push(first.1);
        }
        ended
    }

    /// The clock was set back: gives whether rules are in force again that were over.
    pub(crate) fn reopen(&mut self, wall_seconds: u64) -> bool {
        let again = self.over.split_off(&(wall_seconds.saturating_add(1), 0));
        let is_any = !again.is_empty();
        self.ends.extend(again);
        is_any
    }

    /// Drops the rules that have been over for a day, and gives them.
    pub(crate) fn drop_old(&mut self, wall_seconds: u64) -> Vec<Rule> {
        let until = wall_seconds.saturating_sub(KEPT_SECONDS);
        let old = self.over.iter().take_while(|(end, _)| *end <= until);
        let old: Vec<u64> = old.map(|(_, number)| *number).collect();
        old.into_iter().filter_map(|it| self.remove(it)).collect()
    }

    /// What the file does not hold yet, in the order in which it was made.
    pub(crate) fn unsaved(&self) -> impl Iterator<Item = &Terms> {
        let numbers = self.unsaved.made.iter();
        let rules = numbers.filter_map(|number| self.by_number.get(number));
        rules.map(|rule| &rule.terms)
    }

    /// What the file still holds, and should not.
    pub(crate) fn unsaved_ends(&self) -> &[Terms] {
        &self.unsaved.gone
    }

    /// The file holds what it should.
    pub(crate) fn note_saved(&mut self) {
        self.unsaved = Unsaved::default();
        self.changed = false;
    }

    /// The file holds nothing.
    pub(crate) fn note_nothing_saved(&mut self) {
        let durable = self.by_number.values().filter(|it| is_durable(&it.terms));
        let mut unsaved = Unsaved::default();
        for rule in durable {
            unsaved.made.insert(rule.number);
        }
        self.unsaved = unsaved;
    }

    /// Whether what the file is to hold has changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Follows a file out of which `gone` were taken and into which `new` were put, in whatever way these are written;
    /// gives the rules that ended, and the numbers of new ones. What was changed here and is not saved stays.
    ///
    /// # Errors
    /// [`Full`] if there would be more than 10,000; nothing has changed then.
    pub(crate) fn follow(
        &mut self,
        mut gone: Vec<Terms>,
        mut new: Vec<Terms>,
        wall_seconds: u64,
    ) -> Result<(Vec<Rule>, Vec<u64>), Full> {
        lines::leave_differences(&mut gone, &mut new);
        let mut ending: BTreeSet<u64> = BTreeSet::new();
        // What ended here, too, and need not be taken out of the file any more.
        let mut ended_here = gone;
        ended_here.retain(|terms| {
            let of_target = self.of_target(terms).iter().rev();
            let mut same = of_target.filter(|number| {
                let is_it = self.by_number.get(number).map(|rule| &rule.terms) == Some(terms);
                is_it && !self.unsaved.made.contains(number) && !ending.contains(number)
            });
            let number = same.next().copied();
            ending.extend(number);
            number.is_none()
        });
        if self.by_number.len() + new.len() > RULES_MAX + ending.len() {
            return Err(Full);
        }
        for terms in &ended_here {
            let gone = &mut self.unsaved.gone;
            if let Some(place) = gone.iter().position(|it| it == terms) {
                gone.remove(place);
            }
        }
        let ended = ending.into_iter().filter_map(|it| self.take_out(it));
        let ended = ended.collect();
        let new = new.into_iter().map(|it| self.put_in(it, wall_seconds));
        Ok((ended, new.collect()))
    }

    /// The numbers of the rules of this kind for this target, and of some like it, in their order.
    fn of_target(&self, terms: &Terms) -> &[u64] {
        let nets = match terms.kind {
            Kind::Ban => &self.bans,
            Kind::Mute | Kind::Name => &self.mutes,
        };
        match &terms.target {
            Target::Net(net) => nets.get(*net).map_or(&[], Vec::as_slice),
            Target::Session(number) => self.sessions.get(number).map_or(&[], Vec::as_slice),
            Target::Pattern(pattern) => self.patterns.like(pattern),
        }
    }

    /// Counts again what the tables hold.
    ///
    /// # Panics
    /// If a table holds a rule that there is not, or does not hold one that there is.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn check_invariants(&self) {
        let with_end = self
            .by_number
            .values()
            .filter(|it| it.terms.until.is_some());
        assert_eq!(
            with_end.count(),
            self.ends.len() + self.over.len(),
            "ends of rules"
        );
        assert!(self.by_number.len() <= RULES_MAX);
        assert!(self.by_number.keys().all(|number| *number <= self.last));
        let of_sessions = self.sessions.values().map(Vec::len).sum::<usize>();
        let alone = self.by_number.values().filter(|it| !is_durable(&it.terms));
        assert_eq!(of_sessions, alone.count(), "mutes of sessions");
        let made = self.unsaved.made.iter();
        let are_there = made.map(|number| self.by_number.get(number).map(|it| &it.terms));
        assert!(are_there.into_iter().all(|it| it.is_some_and(is_durable)));
    }

    fn in_force<'a>(&self, numbers: impl IntoIterator<Item = &'a u64>, wall: u64) -> Vec<u64> {
        let holds = |number: &u64| {
            let rule = self.by_number.get(number);
            rule.is_some_and(|rule| rule.terms.holds_at(wall))
        };
        numbers.into_iter().copied().filter(holds).collect()
    }

    /// Of these, the rule in force that lasts longest, and of equal ones the first.
    fn longest<'a>(&self, numbers: impl IntoIterator<Item = &'a u64>, wall: u64) -> Option<&Rule> {
        let rules = numbers.into_iter().filter_map(|it| self.by_number.get(it));
        let in_force = rules.filter(|rule| rule.terms.holds_at(wall));
        in_force.max_by_key(|rule| (lasts(rule), std::cmp::Reverse(rule.number)))
    }

    fn nets(&mut self, kind: Kind) -> &mut Nets<Vec<u64>> {
        match kind {
            Kind::Ban => &mut self.bans,
            Kind::Mute | Kind::Name => &mut self.mutes,
        }
    }
}

/// How long a rule lasts, to be compared.
fn lasts(rule: &Rule) -> u64 {
    rule.terms.until.unwrap_or(u64::MAX)
}

/// Whether a rule may outlive the sessions that there are.
fn is_durable(terms: &Terms) -> bool {
    !matches!(terms.target, Target::Session(_))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(kind: Kind, target: &str, until: Option<u64>) -> Terms {
        let target = match kind {
            Kind::Name => Target::Pattern(target.parse().unwrap()),
            _ => Target::Net(target.parse().unwrap()),
        };
        Terms {
            kind,
            target,
            until,
            by: "alice".into(),
            at: Some(1),
            name: "".into(),
            reason: "".into(),
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn rules(all: &[(Kind, &str, Option<u64>)]) -> Rules {
        let mut rules = Rules::default();
        for (kind, target, until) in all {
            rules.add(terms(*kind, target, *until), 0).unwrap();
        }
        rules.check_invariants();
        rules
    }

    fn number(rule: Option<&Rule>) -> Option<u64> {
        rule.map(|rule| rule.number)
    }

    #[test]
    fn a_rule_is_met_while_its_end_is_later_than_the_clock() {
        let rules = rules(&[
            (Kind::Ban, "198.51.100.7", Some(100)),
            (Kind::Ban, "198.51.100.0/24", Some(50)),
        ]);
        let banned = |wall| number(rules.banned(address("198.51.100.7"), wall));
        assert_eq!([banned(0), banned(49), banned(50)], [Some(1); 3]);
        assert_eq!([banned(99), banned(100)], [Some(1), None]);
        // A clock that is set back lengthens it.
        assert_eq!(number(rules.banned(address("198.51.100.8"), 49)), Some(2));
        assert_eq!(number(rules.banned(address("198.51.100.8"), 50)), None);
    }

    #[test]
    fn rules_that_overlap_stand_side_by_side_and_numbers_are_not_used_again() {
        let mut rules = rules(&[
            (Kind::Ban, "10.1.2.3", Some(100)),
            (Kind::Ban, "10.1.2.3", None),
            (Kind::Mute, "10.1.2.3", None),
        ]);
        let net: Net = "10.1.2.3".parse().unwrap();
        assert_eq!(rules.exactly(Kind::Ban, net, 0), [1, 2]);
        assert_eq!(rules.exactly(Kind::Ban, net, 100), [2]);
        assert_eq!(number(rules.banned(address("10.1.2.3"), 0)), Some(2));
        assert!(rules.remove(2).is_some() && rules.remove(2).is_none());
        assert_eq!(number(rules.banned(address("10.1.2.3"), 0)), Some(1));
        assert_eq!(
            number(rules.muted(Some(address("10.1.2.3")), 9, 0)),
            Some(3)
        );
        rules.remove(3);
        assert_eq!(rules.add(terms(Kind::Ban, "10.0.0.0/16", None), 0), Ok(4));
        assert_eq!(number(rules.covering(Kind::Ban, net, 0)), Some(1));
        rules.remove(1);
        assert_eq!(
            number(rules.covering(Kind::Ban, "10.0.9.9".parse().unwrap(), 0)),
            Some(4)
        );
        rules.check_invariants();
    }

    #[test]
    fn loopback_is_met_by_no_rule() {
        let rules = rules(&[(Kind::Ban, "0.0.0.0/0", None), (Kind::Mute, "::/0", None)]);
        for loopback in ["127.0.0.1", "::ffff:127.0.0.1", "::1"] {
            assert!(rules.banned(address(loopback), 0).is_none());
            assert!(rules.muted(Some(address(loopback)), 1, 0).is_none());
        }
        assert!(rules.banned(address("128.0.0.1"), 0).is_some());
    }

    #[test]
    fn one_session_alone_is_muted_wherever_it_comes_from() {
        let mut rules = Rules::default();
        let alone = Terms {
            target: Target::Session(17),
            ..terms(Kind::Mute, "10.0.0.1", Some(60))
        };
        assert_eq!(rules.add(alone, 0), Ok(1));
        assert!(!rules.take_changed(), "no file holds it");
        assert_eq!(number(rules.muted(None, 17, 59)), Some(1));
        assert_eq!(
            number(rules.muted(Some(address("127.0.0.1")), 17, 0)),
            Some(1)
        );
        assert_eq!(number(rules.muted(None, 18, 0)), None);
        assert_eq!(rules.of_session(17, 0), [1]);
        assert_eq!(rules.unsaved().count(), 0);
        rules.check_invariants();
        rules.remove(1);
        assert!(!rules.has_mutes() && !rules.take_changed());
    }

    #[test]
    fn ends_are_told_once_and_the_old_are_dropped_a_day_later() {
        let day = KEPT_SECONDS;
        let mut rules = rules(&[
            (Kind::Ban, "10.0.0.1", Some(100)),
            (Kind::Ban, "10.0.0.2", Some(50)),
            (Kind::Ban, "10.0.0.3", None),
        ]);
        assert_eq!(rules.first_end(), Some(50));
        assert!(rules.take_ended(49).is_empty());
        assert_eq!(rules.take_ended(100), [2, 1]);
        assert_eq!(rules.take_ended(100), [0; 0]);
        assert_eq!(rules.first_end(), None);
        assert!(!rules.reopen(100));
        assert!(rules.reopen(99));
        assert_eq!(rules.first_end(), Some(100));
        assert_eq!(rules.take_ended(200), [1]);
        let dropped = |rules: &mut Rules, wall| -> Vec<u64> {
            rules
                .drop_old(wall)
                .iter()
                .map(|rule| rule.number)
                .collect()
        };
        assert_eq!(dropped(&mut rules, 49 + day), [0; 0]);
        assert_eq!(dropped(&mut rules, 50 + day), [2]);
        assert_eq!(dropped(&mut rules, 500 + day), [1]);
        assert_eq!(rules.count(0), [1, 0, 0]);
        rules.check_invariants();
    }

    #[test]
    fn hits_are_counted_by_rule_and_kind() {
        let mut rules = rules(&[(Kind::Ban, "10.0.0.1", None), (Kind::Name, "spam*", None)]);
        rules.hit(1, 7);
        rules.hit(1, 9);
        rules.hit(2, 9);
        rules.hit(99, 9);
        let first = rules.get(1).unwrap();
        assert_eq!((first.hits, first.last), (2, Some(9)));
        assert_eq!(rules.hits(), [2, 0, 1]);
        assert_eq!(rules.count(0), [1, 0, 1]);
        rules.remove(1);
        assert_eq!(rules.hits(), [2, 0, 1], "a counter does not fall");
    }

    #[test]
    fn names_are_forbidden_by_their_keys() {
        let rules = rules(&[(Kind::Name, "spam*", Some(9))]);
        assert_eq!(number(rules.forbidden(&Keys::of("SPAM4"), 8)), Some(1));
        assert_eq!(number(rules.forbidden(&Keys::of("SPAM4"), 9)), None);
        assert_eq!(number(rules.forbidden(&Keys::of("ham"), 8)), None);
        assert!(rules.has_patterns());
    }

    #[test]
    fn ten_thousand_rules_fit() {
        let mut rules = Rules::default();
        for n in 0..RULES_MAX as u32 {
            let net = std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
            assert_eq!(
                rules.add(terms(Kind::Ban, &net, None), 0),
                Ok(u64::from(n) + 1)
            );
        }
        assert_eq!(rules.add(terms(Kind::Ban, "10.9.9.9", None), 0), Err(Full));
        assert_eq!(number(rules.banned(address("10.0.0.5"), 0)), Some(6));
    }

    #[test]
    fn rules_that_stay_in_the_file_keep_their_number() {
        let mut rules = rules(&[
            (Kind::Ban, "10.0.0.1", None),
            (Kind::Ban, "10.0.0.1", None),
            (Kind::Mute, "10.0.0.2", None),
        ]);
        rules.note_saved();
        let gone = vec![
            terms(Kind::Ban, "10.0.0.1", None),
            terms(Kind::Mute, "10.0.0.2", None),
        ];
        let new = vec![terms(Kind::Name, "spam*", None)];
        let (ended, added) = rules.follow(gone, new, 0).unwrap();
        let ended: Vec<u64> = ended.iter().map(|rule| rule.number).collect();
        assert_eq!((ended, added), (vec![2, 3], vec![4]));
        assert!(!rules.take_changed() && rules.unsaved().next().is_none());
        rules.check_invariants();
        let new = vec![terms(Kind::Name, "eggs*", None); RULES_MAX];
        assert_eq!(rules.follow(Vec::new(), new, 0).err(), Some(Full));
        assert_eq!(rules.count(0), [1, 0, 1]);
    }

    proptest! {
        #[test]
        fn look_ups_find_what_a_walk_finds(
            nets in prop::collection::vec((0..8u32, 24..=32u8, 0..4u64, any::<bool>()), 0..20),
            lifted in prop::collection::vec(1..20u64, 0..8),
            host in 0..8u32,
            wall in 0..4u64,
        ) {
            let mut rules = Rules::default();
            let net = |host: u32, length: u8| {
                format!("{}/{length}", std::net::Ipv4Addr::from(0xc633_6400 + host * 32))
            };
            for (host, length, until, is_ban) in &nets {
                let kind = if *is_ban { Kind::Ban } else { Kind::Mute };
                rules.add(terms(kind, &net(*host, *length), Some(*until)), 0).unwrap();
            }
            for number in &lifted {
                rules.remove(*number);
            }
            rules.check_invariants();
            let address = address(&std::net::Ipv4Addr::from(0xc633_6400 + host * 32).to_string());
            for (kind, found) in [
                (Kind::Ban, rules.banned(address, wall)),
                (Kind::Mute, rules.muted(Some(address), 1, wall)),
            ] {
                let mut walked: Vec<&Rule> = rules
                    .after(0, wall)
                    .filter(|rule| rule.terms.kind == kind)
                    .filter(|rule| matches!(rule.terms.target, Target::Net(net) if net.contains(address)))
                    .collect();
                walked.sort_by_key(|rule| (std::cmp::Reverse(lasts(rule)), rule.number));
                prop_assert_eq!(number(found), number(walked.first().copied()));
            }
        }
    }
}
