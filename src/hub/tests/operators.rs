//! What operators do to people, and the rules that they make.

use std::time::Duration;

use crate::dialect::Dialect;
use crate::hub::operators::outcome::{Asked, Denied, Done, Kept, Reader, Who};
use crate::hub::rules::rule::Kind;
use crate::hub::tests::world::{limits, World, AFTERNOON};
use crate::hub::SessionId;
use crate::ledger::CloseReason;
use crate::origin::Origin;
use crate::when::Span;

const HOUR: Span = Span::Seconds(3600);
const HERE: &str = "198.51.100.7";
const THERE: &str = "203.0.113.9";

pub(super) fn who(text: &str) -> Who {
    Who::parse(text).unwrap()
}

pub(super) fn told(done: Result<Done, Denied>) -> String {
    match done {
        Ok(done) => format!("-- {}", done.words(&Kept::UntilStop, Reader::Operator)),
        Err(denied) => format!("!! {}", denied.words(Reader::Operator)),
    }
}

impl World {
    pub(super) fn ban(&mut self, text: &str, span: Span, reason: &str) -> String {
        self.rule(Kind::Ban, text, span, reason)
    }

    pub(super) fn mute(&mut self, text: &str, span: Span, reason: &str) -> String {
        self.rule(Kind::Mute, text, span, reason)
    }

    pub(super) fn rule(&mut self, kind: Kind, text: &str, span: Span, reason: &str) -> String {
        let (force, text) = text
            .strip_prefix("force ")
            .map_or((false, text), |it| (true, it));
        let whom = if kind == Kind::Name { "nobody" } else { text };
        let asked = Asked {
            who: &who(whom),
            span,
            reason,
            by: "alice",
            force,
        };
        let done = match kind {
            Kind::Ban => self.hub.ban(&asked, self.now),
            Kind::Mute => self.hub.mute(&asked, self.now),
            Kind::Name => self.hub.forbid(text, &asked, self.now),
        };
        let told = told(done);
        self.turn();
        self.check();
        told
    }

    fn kick(&mut self, text: &str, reason: &str) -> String {
        let done = self.hub.kick(&who(text), reason, self.now);
        self.turn();
        self.check();
        told(done)
    }

    pub(super) fn lift(&mut self, number: u64) -> String {
        let done = self.hub.lift(number, "alice", self.now);
        self.turn();
        self.check();
        told(done)
    }

    fn rename(&mut self, text: &str, name: &str) -> String {
        let done = self.hub.rename(&who(text), name, self.now);
        self.turn();
        self.check();
        told(done)
    }

    /// What is read by a session that is gone.
    fn last_words(&mut self, id: SessionId) -> Vec<String> {
        let lines = self.lines(id);
        self.hub.handle_eof(id, self.now);
        self.turn();
        self.check();
        lines
    }
}

fn world() -> World {
    World::new(limits())
}

#[test]
fn a_kick_closes_with_its_reason_and_the_others_are_not_told_it() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let bob = world.join_at("bob", THERE);
    assert_eq!(world.kick("name=ann", "spam\tagain"), "-- 1 session kicked");
    assert_eq!(world.lines(bob), ["-- ann left: kicked (1 here)"]);
    assert_eq!(
        world.last_words(ann).last().unwrap(),
        "!! goodbye: you were kicked: spam again"
    );
    assert_eq!(world.closes(), [("ann".to_owned(), CloseReason::Kicked)]);
    assert_eq!(world.kick("ann", ""), "!! nobody here is called ann");
    assert_eq!(world.kick("id=1", ""), "!! no session 1");
    assert_eq!(world.kick("id=2", ""), "-- 1 session kicked");
    assert_eq!(world.last_words(bob), ["!! goodbye: you were kicked"]);
    assert_eq!(world.kick(HERE, ""), "-- 0 sessions kicked");
    assert_eq!(world.kick("room=games", ""), "!! no such room: games");
    assert_eq!(world.kick("room=lobby", ""), "-- 0 sessions kicked");
}

#[test]
fn a_ban_closes_who_is_there_and_keeps_newcomers_out() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let bob = world.join_at("bob", THERE);
    let guest = world.connect_at(Dialect::Wire, HERE);
    assert_eq!(
        world.ban("ann", HOUR, "spam"),
        format!("-- ban 1: {HERE} until 2024-10-04T15:05:30Z; 2 sessions closed; until the server stops")
    );
    assert_eq!(world.lines(bob), ["-- ann left: banned (1 here)"]);
    let farewell = "!! goodbye: you are banned until 2024-10-04 15:05 UTC: spam";
    assert_eq!(world.last_words(ann).last().unwrap(), farewell);
    let told = String::from_utf8(world.read(guest)).unwrap();
    assert!(
        told.starts_with("FAIL ") && told.ends_with(" banned\n"),
        "{told}"
    );
    let here = Origin::from(std::net::SocketAddr::new(HERE.parse().unwrap(), 9));
    assert!(world.hub.is_banned(here));
    let now = world.now;
    let newcomer = world
        .hub
        .turn_away(Dialect::Telnet, here, CloseReason::Banned.into());
    assert_eq!(
        String::from_utf8(newcomer).unwrap(),
        format!("{farewell}\r\n")
    );
    let rule = world.hub.rules().get(1).unwrap();
    assert_eq!((rule.hits, rule.last), (1, Some(AFTERNOON)));
    assert_eq!((&*rule.terms.name, &*rule.terms.by), ("ann", "alice"));
    // A clock that is over it lets them in again.
    world.set_wall_clock(AFTERNOON + 3600);
    assert!(!world.hub.is_banned(here));
    world.set_wall_clock(AFTERNOON);
    assert!(world.hub.is_banned(here));
    let done = world.hub.unban(HERE.parse().unwrap(), "alice", now);
    assert_eq!(self::told(done), format!("-- ban 1 lifted: {HERE}"));
    assert!(!world.hub.is_banned(here));
    world.check();
}

#[test]
fn a_ban_is_held_up_by_guards() {
    let mut world = world();
    for name in ["ann", "bob", "eve"] {
        world.join_at(name, HERE);
    }
    assert_eq!(
        world.ban("ann", HOUR, ""),
        format!("!! 2 others are here from {HERE}: bob, eve; kick or mute ann, or write force")
    );
    assert_eq!(
        world.ban("10.0.0.0/8", HOUR, ""),
        "!! 10.0.0.0/8 is wider than /16: write force"
    );
    world
        .hub
        .set_exempt([format!("{THERE}/24").parse().unwrap()]);
    assert_eq!(
        world.ban(THERE, HOUR, ""),
        format!("!! {THERE} is exempt: write force")
    );
    for _ in 0..18 {
        world.connect_at(Dialect::Telnet, HERE);
    }
    assert_eq!(
        world.ban(HERE, HOUR, ""),
        "!! 21 sessions would be met: write force"
    );
    assert_eq!(
        world.ban("127.0.0.1", HOUR, ""),
        "!! 127.0.0.1 is the loopback address: front ends come from there"
    );
    assert_eq!(
        world.ban("force ::1", HOUR, ""),
        "!! ::1 is the loopback address: front ends come from there"
    );
    let far = world.join_at("far", "127.0.0.1");
    assert_eq!(
        world.ban("force far", HOUR, ""),
        "!! 127.0.0.1 is the loopback address: front ends come from there"
    );
    assert_eq!(
        world.ban("room=lobby", HOUR, ""),
        "!! a rule is for an address or a name, not for a room"
    );
    assert_eq!(world.hub.rules().count(AFTERNOON), [0, 0, 0]);
    assert_eq!(
        world.ban("force 0.0.0.0/0", Span::Forever, ""),
        "-- ban 1: 0.0.0.0/0 forever; 21 sessions closed; until the server stops"
    );
    let left = |name, here| format!("-- {name} left: banned ({here} here)");
    let heard = [left("ann", 3), left("bob", 2), left("eve", 1)];
    assert_eq!(world.lines(far), heard);
    assert!(!world.hub.is_banned(Origin::Local));
    assert_eq!(world.hub.open_sessions(), 1);
}

#[test]
fn rules_that_overlap_are_lifted_one_by_one() {
    let mut world = world();
    for (text, number) in [(HERE, 1), ("198.51.100.0/24", 2), (HERE, 3)] {
        let made = world.ban(text, Span::Forever, "");
        assert!(made.starts_with(&format!("-- ban {number}: ")), "{made}");
    }
    let unban = |world: &mut World, net: &str| {
        let done = world.hub.unban(net.parse().unwrap(), "alice", world.now);
        told(done)
    };
    assert_eq!(
        unban(&mut world, HERE),
        format!("-- 2 rules lifted: {HERE}")
    );
    assert_eq!(
        unban(&mut world, HERE),
        format!("!! {HERE} is banned by 198.51.100.0/24: lift 2")
    );
    assert_eq!(world.lift(2), "-- ban 2 lifted: 198.51.100.0/24");
    assert_eq!(world.lift(2), "!! no rule 2");
    assert_eq!(unban(&mut world, HERE), format!("!! {HERE} is not banned"));
    assert!(world.ban(HERE, HOUR, "").starts_with("-- ban 4: "));
    world.ban("2001:db8::7", HOUR, "");
    world.mute(THERE, HOUR, "");
    let listed = |net: Option<&str>| {
        let net = net.map(|net| net.parse().unwrap());
        let rules = world.hub.rules_after(0, net);
        rules.map(|rule| rule.number).collect::<Vec<_>>()
    };
    assert_eq!(listed(None), [4, 5, 6]);
    assert_eq!(listed(Some("0.0.0.0/0")), [4, 6]);
    assert_eq!(listed(Some("2001:db8::/16")), [5]);
    assert_eq!(listed(Some("192.0.2.1")), [0; 0]);
}

#[test]
fn a_forbidden_name_is_taken_from_who_has_it_and_by_nobody() {
    let mut world = world();
    let spammer = world.join_at("SPAM3", HERE);
    let bob = world.join_at("bob", THERE);
    assert_eq!(
        world.rule(Kind::Name, "spam*", Span::Forever, "ads"),
        "-- name 1: spam* forever; 1 session renamed; until the server stops"
    );
    assert_eq!(
        world.lines(spammer)[1..],
        ["-- an operator named you guest1"]
    );
    assert_eq!(world.lines(bob), ["-- SPAM3 is now known as guest1"]);
    assert_eq!(
        world.ask(bob, "/name sраm9"),
        ["!! sраm9 is not allowed here"]
    );
    assert_eq!(world.rename("bob", "spam9"), "!! spam9 is not allowed here");
    assert_eq!(world.hub.rules().get(1).unwrap().hits, 2);
    assert_eq!(
        world.rule(Kind::Name, "ab*", HOUR, ""),
        "!! a pattern is at least 3 letters of a name, with * at its end or beginning"
    );
    assert_eq!(world.lift(1), "-- name 1 lifted: spam*");
    assert_eq!(world.ask(bob, "/name spam9"), ["-- you are spam9"]);
}

#[test]
fn an_operator_names_people() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let bob = world.join_at("bob", THERE);
    world.read(ann);
    assert_eq!(world.rename("ann", "anna"), "-- ann is now anna");
    assert_eq!(world.lines(ann), ["-- an operator named you anna"]);
    assert_eq!(world.lines(bob), ["-- ann is now known as anna"]);
    assert_eq!(world.rename("anna", "bob"), "!! bob is taken");
    assert_eq!(world.rename("anna", "admin"), "!! admin is reserved");
    assert_eq!(world.rename("anna", "guest"), "-- anna is now guest1");
    assert_eq!(world.rename("guest1", "guest"), "-- guest1 is now guest1");
    assert_eq!(
        world.rename("0.0.0.0/0", "x"),
        "!! 2 sessions are meant: write id=N"
    );
    assert_eq!(
        world.rename("192.0.2.1", "x"),
        "!! 0 sessions are meant: write id=N"
    );
    let program = world.connect_to(Dialect::Wire);
    assert_eq!(world.rename("guest3", "robot"), "-- guest3 is now robot");
    assert_eq!(world.read(program), b"NAME cm9ib3Q=\n");
}

#[test]
fn what_operators_say_is_heard_by_people_and_by_programs_that_watch() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let [deaf, watcher] = [(); 2].map(|()| world.connect_to(Dialect::Wire));
    world.send(watcher, "WATCH on\n");
    world.enter(ann, "/quiet on");
    for id in [ann, watcher] {
        world.read(id);
    }
    let said = world
        .hub
        .announce(Some("Lobby"), "the server moves  at noon");
    assert_eq!(told(said), "-- 2 sessions told");
    world.turn();
    assert_eq!(
        world.lines(ann),
        ["-- announcement: the server moves  at noon"]
    );
    let now = world.now;
    let tells = |world: &mut World, whom: &str, words: &str| {
        let done = world.hub.tell_by_operator(&who(whom), words, now);
        world.turn();
        told(done)
    };
    assert_eq!(tells(&mut world, "ann", "psst"), "-- 1 session told");
    assert_eq!(world.lines(ann), ["-- an operator tells you: psst"]);
    assert_eq!(
        tells(&mut world, "room=lobby", "psst"),
        "-- 2 sessions told"
    );
    assert_eq!(
        tells(&mut world, "ann", " \u{200b}"),
        "!! you have no text to send"
    );
    assert_eq!(
        told(world.hub.announce(None, "")),
        "!! you have no text to send"
    );
    assert_eq!(
        told(world.hub.announce(Some("x"), "y")),
        "!! no such room: x"
    );
    let heard = String::from_utf8(world.read(watcher)).unwrap();
    let verbs: Vec<&str> = heard.lines().map(|line| &line[..14]).collect();
    assert_eq!(verbs, ["TELL Y2hhdGQ= "; 2], "{heard}");
    assert_eq!(world.read(deaf), b"");
    // What operators say is no history.
    assert_eq!(world.ask(ann, "/history"), ["-- earlier:", "-- now"]);
}

#[test]
fn what_meets_thousands_is_worked_off_within_the_work_of_a_turn() {
    let mut world = world();
    let ann = world.join("ann");
    for _ in 0..5000 {
        world.connect_at(Dialect::Telnet, HERE);
    }
    world.turn();
    let asked = Asked {
        who: &who(HERE),
        span: HOUR,
        reason: "",
        by: "",
        force: true,
    };
    let done = world.hub.ban(&asked, world.now).unwrap();
    assert!(matches!(done, Done::Made { sessions: 5000, .. }));
    let left = world.hub.open_sessions();
    assert!((2000..5000).contains(&left), "{left} after the first turn");
    let mut turns = 0;
    while world.hub.open_sessions() > 1 {
        assert_eq!(world.hub.wake_at(world.now), Some(world.now));
        world.turn();
        world.check();
        turns += 1;
    }
    assert!((1..20).contains(&turns), "{turns} turns");
    assert_eq!(world.ask(ann, "/who"), ["-- 1 here: ann"]);
}

#[test]
fn rules_of_the_file_meet_who_is_here() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let bob = world.join_at("bob", THERE);
    let spam = world.join_at("spam", "192.0.2.1");
    let text = format!("ban {HERE} forever x\nmute {THERE} forever y\nname spam* forever\n");
    let rules = crate::hub::rules::lines::parse(text.as_bytes()).unwrap();
    for id in [ann, bob, spam] {
        world.read(id);
    }
    let now = world.now;
    world
        .hub
        .follow_rules(Vec::new(), rules.clone(), now)
        .unwrap();
    world.turn();
    world.check();
    assert_eq!(
        world.last_words(ann).last().unwrap(),
        "!! goodbye: you are banned: x"
    );
    assert!(world.lines(bob).contains(&"!! you are muted: y".to_owned()));
    assert!(world
        .lines(spam)
        .contains(&"-- an operator named you guest3".to_owned()));
    world.hub.follow_rules(rules, Vec::new(), now).unwrap();
    world.turn();
    world.check();
    assert_eq!(world.lines(bob), ["-- you may speak again"]);
    assert_eq!(world.hub.rules().count(AFTERNOON), [0, 0, 0]);
}

#[test]
fn the_hub_wakes_for_the_first_end_of_a_rule_and_for_no_other_reason() {
    let mut world = world();
    assert_eq!(world.hub.wake_at(world.now), None);
    world.ban(HERE, HOUR, "");
    world.ban(THERE, Span::Forever, "");
    let end = world.now + Duration::from_secs(3600);
    assert_eq!(world.hub.wake_at(world.now), Some(end));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.hub.wake_at(world.now), None);
    assert_eq!(world.hub.rules().count(AFTERNOON + 3600), [1, 0, 0]);
    world.pass(Duration::from_secs(86_400));
    world.ban(THERE, Span::Forever, "");
    assert!(world.hub.rules().get(1).is_none(), "it is over for a day");
    assert!(world.hub.rules().get(2).is_some());
}
