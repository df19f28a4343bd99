//! The clients of a round, and what must be as before when they have gone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Counts;
use crate::support::eventually;
use crate::support::person::Person;
use crate::support::session::connect_narrow;

/// Clients that leave in each of the six ways; those who quit are two more.
const GROUP: usize = 83;
/// Sessions that come before the first round.
const WARM_UP: usize = 1000;
/// How many of them say as much at once as is heard in one turn.
const TALKATIVE: usize = 20;
const TURN_LINES: usize = 64;
/// The server is to be at rest by then.
const REST_MAX: Duration = Duration::from_secs(5);
/// Whatever the server still has to do, it does within this time.
const QUIET: Duration = Duration::from_millis(1500);
/// The words that fill queues, a line of about 1.4 KB: they fit into a queue some 40 times.
const WORDS_BASE64_BYTES: usize = 1368;
/// A queue with so much in it is called full; it is not so full that its session is closed.
const FULL_BYTES: u64 = 16 * 1024;

/// A server that can be looked at.
pub(super) trait Watched {
    fn telnet(&self) -> SocketAddr;
    fn wire(&self) -> SocketAddr;
    /// What it says of itself.
    fn report(&self) -> Counts;
    /// What must be the same whenever nobody is there.
    fn rest(&self) -> Counts;
}

/// Fills what is meant to fill up and then stay so: every list and buffer, which keep room, up to a bound, for as much
/// as was ever in them: more at once than in any round, and numbers of four digits.
pub(super) fn warm_up(server: &impl Watched) {
    let mut people = Vec::new();
    for number in 0..WARM_UP / 2 {
        let mut person = Person::connect(server.telnet());
        person.say(&format!("/name zoe{number}"));
        let mut program = Person::program(server.wire());
        program.say(&format!(
            "NAME {}",
            base64(format!("max{number}").as_bytes())
        ));
        people.extend([person, program]);
    }
    let named = WARM_UP as u64;
    eventually("all have come", || {
        let report = server.report();
        report["opens"] >= named && report["here"] >= named
    });
    // Much in one turn: lines for all, and answers for one.
    for _ in 0..4 {
        for person in people.iter_mut().take(TALKATIVE) {
            let lines = if person.is_program() {
                "CHAT bWF4 aGk=\nPING x\n"
            } else {
                "hi\r\n/x\r\n"
            };
            person.send(lines.repeat(TURN_LINES / 2).as_bytes());
        }
    }
    people.into_iter().for_each(Person::reset);
    wait_for_nobody(server);
    play(server);
}

/// Five hundred clients come, and leave in six ways.
pub(super) fn play<S: Watched>(server: &S) {
    let before = server.report();
    for leave in [
        quit,
        half_close,
        break_off,
        die_in_mid_line,
        be_too_slow,
        be_kicked,
    ] {
        leave(server);
        wait_for_nobody(server);
    }
    let after = server.report();
    let closed = |reason: &str| {
        let count = |counts: &Counts| counts.get(reason).copied().unwrap_or(0);
        count(&after) - count(&before)
    };
    let group = GROUP as u64;
    // And the talkers: one among those who are too slow, and one among those who are kicked.
    assert_eq!(closed("quit"), group + 2 + 2, "{after:?}");
    assert_eq!(closed("slow-consumer"), group, "{after:?}");
    assert_eq!(closed("wrong-protocol"), group, "{after:?}");
    assert_eq!(closed("eof") + closed("reset"), 3 * group, "{after:?}");
    assert_eq!(closed("opens"), 6 * group + 4, "{after:?}");
}

/// Waits until nothing differs from `rest`, and gives what still does when it takes too long.
pub(super) fn differences_at_rest(server: &impl Watched, rest: &Counts) -> Vec<String> {
    let give_up_at = Instant::now() + REST_MAX;
    loop {
        let differences = differences(rest, &server.rest());
        if differences.is_empty() || Instant::now() >= give_up_at {
            return differences;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the server has nothing more to do by itself, such as to tell how many left in the last second.
pub(super) fn wait_for_quiet(server: &impl Watched) {
    eventually("the server does nothing by itself", || {
        let turns = count(server, "turns");
        std::thread::sleep(QUIET);
        // The second report is a turn, too.
        count(server, "turns") == turns + 1
    });
}

fn differences(before: &Counts, after: &Counts) -> Vec<String> {
    let names = before
        .keys()
        .chain(after.keys().filter(|name| !before.contains_key(*name)));
    let count = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or(0);
    names
        .filter(|name| count(before, name) != count(after, name))
        .map(|name| {
            format!(
                "{name}: {} before, {} after",
                count(before, name),
                count(after, name)
            )
        })
        .collect()
}

fn quit(server: &impl Watched) {
    let mut people: Vec<Person> = (0..GROUP + 2)
        .map(|_| Person::connect(server.telnet()))
        .collect();
    for (number, person) in people.iter_mut().enumerate() {
        person.say(&format!("/name ann{number:04}"));
        person.skip_until(&format!("-- you are ann{number:04}"));
    }
    for person in &mut people {
        person.say("/quit");
    }
    for person in &mut people {
        person.read_to_end();
    }
}

fn half_close(server: &impl Watched) {
    let mut programs = programs(server, "bob");
    for program in &mut programs {
        program.finish();
        program.read_to_end();
    }
}

fn break_off(server: &impl Watched) {
    programs(server, "eve").into_iter().for_each(Person::reset);
}

/// As when a process is killed: the kernel closes its socket, and the line never ends.
fn die_in_mid_line(server: &impl Watched) {
    for mut program in programs(server, "joe") {
        program.send(b"CHAT am9l aGFs");
    }
}

fn be_too_slow(server: &impl Watched) {
    let slow_ones = readers_of_nothing(server.wire());
    let mut talker = Person::program(server.wire());
    let wanted = count(server, "slow-consumer") + slow_ones.len() as u64;
    talk_until(&mut talker, "all were too slow", || {
        count(server, "slow-consumer") >= wanted
    });
}

/// The queues are full when another protocol is heard, for which the server ends a session by itself.
fn be_kicked(server: &impl Watched) {
    let mut sheep = readers_of_nothing(server.telnet());
    let mut talker = Person::program(server.wire());
    let full = FULL_BYTES * sheep.len() as u64;
    talk_until(&mut talker, "the queues are full", || {
        count(server, "queued_bytes") >= full
    });
    let wanted = count(server, "wrong-protocol") + sheep.len() as u64;
    for one in &mut sheep {
        one.send(b"GET / HTTP/1.1\r\n\r\n");
    }
    eventually("all were kicked", || {
        count(server, "wrong-protocol") >= wanted
    });
}

/// Programs that have a name.
fn programs(server: &impl Watched, name: &str) -> Vec<Person> {
    let programs = (0..GROUP).map(|number| {
        let mut program = Person::program(server.wire());
        let name = base64(format!("{name}{number:03}").as_bytes());
        program.say(&format!("NAME {name}"));
        program.expect(&format!("NAME {name}"));
        program
    });
    programs.collect()
}

/// Clients that never read, and for which the kernel keeps as little as it can.
fn readers_of_nothing(address: SocketAddr) -> Vec<Person> {
    let clients = (0..GROUP).map(|_| Person::over(connect_narrow(address)));
    clients.collect()
}

/// Says long lines, and waits for the answer behind each, until `condition` holds; then quits.
fn talk_until(talker: &mut Person, what: &str, mut condition: impl FnMut() -> bool) {
    let words = "eHh4".repeat(WORDS_BASE64_BYTES / 4);
    eventually(what, || {
        talker.say(&format!("CHAT dGFsa2Vy {words}"));
        talker.expect_silence();
        condition()
    });
    talker.say("QUIT");
    talker.read_to_end();
}

fn count(server: &impl Watched, name: &str) -> u64 {
    server.report().get(name).copied().unwrap_or(0)
}

/// Waits until all have gone who have come.
fn wait_for_nobody(server: &impl Watched) {
    eventually("nobody is left", || count(server, "sessions") == 0);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
