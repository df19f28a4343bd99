//! Operators: what they are told by and by, how long they may be silent, and what they cannot do to the chat.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::super::{OPERATORS, WAITING_MAX};
use super::{ms, Bench};
use crate::hub::SessionId;
use crate::random::Random;
use crate::test_folder::Folder;

const IDLE: Duration = Duration::from_secs(600);

impl Bench {
    /// An operator connects, whose kernel takes `window` bytes for them until they read.
    fn operator(&mut self, window: Option<usize>) -> usize {
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let client = self.network().connect(OPERATORS, from, window);
        self.settle();
        client
    }

    /// What an operator is answered at once.
    fn ask(&mut self, operator: usize, command: &str) -> String {
        self.send(operator, format!("{command}\n"));
        self.settle();
        self.screen(operator)
    }

    /// This many sessions come that say nothing.
    fn crowd(&mut self, sessions: usize) {
        self.is_checked = false;
        for _ in 0..sessions {
            self.knock();
        }
        self.settle();
        assert_eq!(self.sessions(), sessions);
    }
}

#[test]
fn an_operator_who_is_silent_for_ten_minutes_is_let_go() {
    let mut bench = Bench::new();
    let operator = bench.operator(None);
    assert_eq!(bench.ask(operator, "sessions"), "-- 0 sessions\n");
    bench.pass(IDLE.saturating_sub(ms(1)));
    assert!(!bench.is_closed(operator));
    // Half a line is something, too.
    bench.send(operator, "sess");
    bench.settle();
    assert!(bench.pass(IDLE.saturating_sub(ms(1))) < 10);
    assert!(!bench.is_closed(operator));
    bench.pass(ms(1));
    assert!(bench.is_closed(operator));
    assert_eq!(bench.screen(operator), "");
}

#[test]
fn an_operator_who_watches_may_be_silent() {
    let mut bench = Bench::new();
    let operator = bench.operator(None);
    assert_eq!(bench.ask(operator, "watch error"), "");
    assert!(bench.pass(3 * IDLE) < 10);
    assert!(!bench.is_closed(operator));
    assert!(bench.ask(operator, "").ends_with("-- watched\n"));
    bench.pass(IDLE);
    assert!(bench.is_closed(operator));
}

#[test]
fn a_long_list_is_told_in_parts_in_the_order_of_ids() {
    const SESSIONS: usize = 1000;
    let mut bench = Bench::new();
    bench.crowd(SESSIONS);
    let operators = [bench.operator(None), bench.operator(None)];
    for operator in operators {
        bench.send(operator, "sessions\n");
    }
    let mut told = [0; 2];
    let mut texts = [String::new(), String::new()];
    for _ in 0..20 {
        bench.turn();
        let mut in_turn = 0;
        for (index, operator) in operators.into_iter().enumerate() {
            texts[index] += &bench.screen(operator);
            let lines = texts[index]
                .lines()
                .filter(|line| line.starts_with("id="))
                .count();
            in_turn += lines - told[index];
            told[index] = lines;
        }
        assert!(in_turn <= 256, "{in_turn} lines in a turn");
    }
    for text in texts {
        let ids = text.lines().filter_map(|line| {
            let id = line.strip_prefix("id=")?.split(' ').next()?;
            id.parse::<usize>().ok()
        });
        assert_eq!(ids.collect::<Vec<_>>(), (1..=SESSIONS).collect::<Vec<_>>());
        assert!(text.ends_with("-- 1000 sessions\n"));
    }
}

/// Those who go while a list is told are not in it, and no one is in it twice, though slots are used again.
#[test]
fn a_list_of_who_comes_and_goes_has_nobody_twice() {
    const SESSIONS: usize = 3000;
    let mut bench = Bench::new();
    bench.is_checked = false;
    let people: Vec<usize> = (0..SESSIONS).map(|_| bench.knock()).collect();
    bench.settle();
    let operator = bench.operator(None);
    bench.send(operator, "sessions\n");
    bench.turn();
    for person in people[50..].iter().rev() {
        bench.end(*person);
    }
    for _ in 0..100 {
        bench.knock();
    }
    bench.settle();
    let text = bench.screen(operator);
    let mut ids: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
        .collect();
    let lines = ids.len();
    assert!((256..SESSIONS).contains(&lines), "{lines}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), lines);
    assert!(text.ends_with(&format!("-- {lines} sessions\n")));
}

/// An operator who asks and asks and does not read is read no further, costs no turn while nothing changes, and goes in
/// the end.
#[test]
fn an_operator_who_does_not_read_is_bounded_and_costs_no_turns() {
    let mut bench = Bench::new();
    bench.crowd(500);
    let operator = bench.operator(Some(1000));
    bench.send(operator, "sessions\n".repeat(20_000));
    bench.settle();
    assert!(bench.server.event_loop.waiting_for_operators() <= WAITING_MAX);
    assert_eq!(bench.pass(IDLE.saturating_sub(ms(1))), 0);
    assert!(!bench.is_closed(operator));
    bench.pass(ms(1));
    assert!(bench.is_closed(operator));
}

/// The same, and then they read: everything that they asked for is answered.
#[test]
fn an_operator_who_reads_late_is_answered() {
    const COMMANDS: usize = 100;
    let mut bench = Bench::new();
    bench.crowd(500);
    let operator = bench.operator(Some(1000));
    bench.send(operator, "sessions\n".repeat(COMMANDS));
    bench.end(operator);
    bench.settle();
    let mut text = String::new();
    while !bench.is_closed(operator) {
        bench.network().take(operator, usize::MAX);
        bench.settle();
        assert!(bench.server.event_loop.waiting_for_operators() <= WAITING_MAX);
        text += &bench.screen(operator);
    }
    bench.network().take(operator, usize::MAX);
    text += &bench.screen(operator);
    assert_eq!(text.matches("id=500 ").count(), COMMANDS);
    assert_eq!(text.matches("-- 500 sessions\n").count(), COMMANDS);
}

/// However many commands lie there, a turn obeys one of each operator, and people are heard in it.
#[test]
fn commands_take_turns_with_people() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    let operator = bench.operator(None);
    bench.send(operator, "accept\n".repeat(100));
    for turn in 1..=50 {
        bench.send(ann, "hello\n");
        for _ in 0..2 {
            bench.turn();
            let answers = bench.screen(operator).matches("-- newcomers").count();
            assert!(answers <= 1, "{answers} in turn {turn}");
        }
        assert!(bench.screen(bob).contains("hello"), "{turn}");
    }
}

#[test]
fn an_operator_who_breaks_off_leaves_no_trace() {
    let mut bench = Bench::new();
    bench.crowd(600);
    for rest in ["", "sess", "sessions\n", "watch\n", "sessions\nstop"] {
        let operator = bench.operator(Some(100));
        bench.send(operator, rest);
        bench.turn();
        bench.network().reset(operator, false);
        bench.settle();
        bench.pass(ms(1));
        assert!(bench.is_closed(operator), "{rest}");
    }
    assert_eq!(bench.server.event_loop.waiting_for_operators(), 0);
    assert_eq!(bench.opened(), 600);
}

#[test]
fn operators_are_no_sessions() {
    let mut bench = Bench::new();
    let ann = bench.join();
    let operator = bench.operator(None);
    assert!(bench.ask(operator, "sessions").starts_with("id=1 "));
    assert_eq!(bench.sessions(), 1);
    bench.send(ann, "/who\nhello\n");
    bench.settle();
    assert!(!bench.screen(ann).contains("2 here"));
    assert_eq!(bench.screen(operator), "");
    assert_eq!(bench.id(ann).slot(), SessionId::new(0, 0).slot());
}

/// The order in the turn: who is told that the server stops is told by an operator's word, and the operator first.
#[test]
fn a_stop_is_answered_before_people_are_told() {
    let mut bench = Bench::new();
    let ann = bench.join();
    let operator = bench.operator(None);
    bench.send(operator, "stop\nsessions\n");
    assert!(bench.turn());
    assert_eq!(bench.screen(operator), "-- stopping\n");
    assert_eq!(
        bench.screen(ann),
        "-- goodbye: the server is going down\r\n"
    );
    assert!(bench.turn());
    assert!(bench.screen(operator).starts_with("id=1 "));
    bench.end(ann);
    while bench.turn() {}
    assert_eq!(bench.sessions(), 0);
}

/// Those who talk, by the last part of their address.
const HOSTS: std::ops::RangeInclusive<usize> = 1..=6;
/// The operator makes rules for these, and the others are in the file by hand.
const BY_ORDER: usize = 3;

/// A rule for an address: `ban` or `mute`, and the last part of it.
type Ruled = (&'static str, usize);

/// A server with a file of rules that are changed by an operator and by hand, people whom they meet, and one whom none
/// meets.
struct Ruling {
    bench: Bench,
    operator: usize,
    listener: usize,
    people: [Option<usize>; 6],
    /// The rules that must be in force.
    in_force: BTreeSet<Ruled>,
    /// Those that stand in the file.
    written: BTreeSet<Ruled>,
    said: usize,
}

impl Ruling {
    fn new(file: &Path, in_force: BTreeSet<Ruled>) -> Self {
        let mut bench = Bench::keeping(file);
        let (listener, operator) = (bench.join(), bench.operator(None));
        Self {
            bench,
            operator,
            listener,
            people: [None; 6],
            written: in_force.clone(),
            in_force,
            said: 0,
        }
    }

    /// The operator makes a rule or ends it: then what was changed by hand holds, too, if it can be understood.
    fn order(&mut self, (verb, host): Ruled, is_broken: bool) {
        let ruled = (verb, host);
        let is_new = self.in_force.insert(ruled);
        if !is_new {
            self.in_force.remove(&ruled);
        }
        let (verb, span) = match (is_new, verb) {
            (true, verb) => (verb, " forever"),
            (false, "ban") => ("unban", ""),
            (false, _) => ("unmute", ""),
        };
        let command = format!("{verb} 192.0.2.{host}{span}");
        let answer = self.bench.ask(self.operator, &command);
        assert!(answer.starts_with("-- "), "{command}: {answer}");
        assert_eq!(answer.contains("; not saved: "), is_broken, "{answer}");
        let ours = self.in_force.iter().filter(|ruled| ruled.1 <= BY_ORDER);
        let theirs = self.written.iter().filter(|ruled| ruled.1 > BY_ORDER);
        if !is_broken {
            self.in_force = ours.chain(theirs).copied().collect();
            self.written = self.in_force.clone();
        }
    }

    /// Somebody adds a line to the file, or takes it away.
    fn edit(&mut self, file: &Path, ruled: Ruled) {
        let line = format!("{} 192.0.2.{}\n", ruled.0, ruled.1);
        let text = fs::read_to_string(file).unwrap();
        let text = if self.written.insert(ruled) {
            text + &line
        } else {
            self.written.remove(&ruled);
            text.replace(&line, "")
        };
        fs::write(file, text).unwrap();
    }

    fn reload(&mut self) {
        assert_eq!(self.bench.ask(self.operator, "reload"), "-- reloaded\n");
        self.in_force = self.written.clone();
    }

    /// Who is banned is closed, or turned away; all others say something, and who is muted is not heard.
    fn look(&mut self) {
        self.bench.settle();
        for host in HOSTS {
            let is_banned = self.in_force.contains(&("ban", host));
            let client = match self.people[host - 1] {
                Some(client) => client,
                None => self.bench.knock_from([192, 0, 2, host as u8], None),
            };
            self.bench.settle();
            self.people[host - 1] = Some(client).filter(|_| !is_banned);
            let told = self.bench.screen(client);
            let is_told = told.contains("!! goodbye: you are banned");
            assert_eq!(is_told, is_banned, "{host} is told {told:?}");
            if is_banned {
                self.bench.end(client);
                continue;
            }
            self.said += 1;
            let words = format!("words {}.", self.said);
            self.bench.send(client, format!("{words}\n"));
            self.bench.settle();
            let is_heard = self.bench.screen(self.listener).contains(&words);
            let is_muted = self.in_force.contains(&("mute", host));
            assert_eq!(is_heard, !is_muted, "{host} says {words}");
        }
    }
}

/// Whatever an operator and a hand at the file do, in any order: who may be heard is known, and after a restart, too.
#[test]
fn a_file_of_rules_in_the_middle_of_everything_lets_nobody_be_heard_who_is_muted() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let folder = Folder::new("ruling");
        let file = folder.path().join("bans");
        fs::write(&file, "# ours\n").unwrap();
        let mut ruling = Ruling::new(&file, BTreeSet::new());
        for _ in 0..25 {
            let verb = random.pick(&["ban", "mute", "mute"]);
            match random.within(0..=9) {
                0..=2 => ruling.order((verb, random.within(1..=BY_ORDER)), false),
                3..=6 => ruling.edit(&file, (verb, random.within(BY_ORDER + 1..=6))),
                7..=8 => ruling.reload(),
                _ => {
                    // Broken by hand: all stays as it is, and what is ordered is in force, and not saved.
                    let text = fs::read_to_string(&file).unwrap();
                    fs::write(&file, text.clone() + "ban everybody\n").unwrap();
                    let answer = ruling.bench.ask(ruling.operator, "reload");
                    assert!(answer.starts_with("!! reload: "), "{answer}");
                    let ruled = (verb, random.within(1..=BY_ORDER));
                    ruling.order(ruled, true);
                    ruling.look();
                    fs::write(&file, text).unwrap();
                    // The next one saves both.
                    let other = (verb, ruled.1 % BY_ORDER + 1);
                    ruling.order(other, false);
                }
            }
            ruling.look();
        }
        // Killed, and started anew: what stands in the file holds.
        let written = ruling.written.clone();
        drop(ruling);
        Ruling::new(&file, written).look();
    }
}
