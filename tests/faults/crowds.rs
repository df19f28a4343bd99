//! Many at once, at the door and inside.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::support::person::Person;
use super::support::server::Server;
use super::support::session::{ann_and_bob, close_line, close_line_at, expect_close, value};
use super::support::DEADLINE;
use super::Test;

pub(crate) const TESTS: &[Test] = tests![
    f012_a_crowd_at_the_door_is_let_in_by_and_by,
    f021_signals_disturb_nobody,
    f084_names_are_held_by_the_living_only,
    f089_an_old_and_silent_stranger_makes_room_for_a_newcomer,
    f102_one_event_is_one_line_of_the_log,
];

fn f012_a_crowd_at_the_door_is_let_in_by_and_by() {
    const CROWD: usize = 600;
    let server = Server::start(&[]);
    let (ann, mut bob) = ann_and_bob(&server);
    server.signal(Signal::STOP);
    // The signal takes hold a while after it was sent; until then the server would let the crowd in.
    wait_until_stopped(server.pid());
    let mut crowd: Vec<Person> = (0..CROWD).map(|_| server.connect()).collect();
    let address = ann.address();
    ann.reset();
    server.signal(Signal::CONT);
    bob.expect("-- ann left (1 here)");
    // All of them come in, though no edge tells of those whom the first turn has left.
    crowd.iter_mut().for_each(Person::skip_greeting);
    expect_close(&server, address, "reset");
    let log = server.log.all();
    let close = log.iter().position(|line| line.contains(" name=ann "));
    let before = &log[..close.expect("it is there")];
    let let_in = before.iter().filter(|line| line.contains(" open id="));
    // Their session is found to have gone in the same turn as the first of the crowd are let in, or in the next one.
    let let_in = let_in.count();
    assert!(
        let_in <= 2 + 2 * 64,
        "{let_in} came in before ann could leave"
    );
}

/// Waits, for at most [`DEADLINE`], until the process is stopped (state `T`, `proc_pid_stat(5)`).
fn wait_until_stopped(pid: u32) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
        // Its name, in parentheses, may hold anything, so what follows the last of them counts.
        let (_, rest) = stat.rsplit_once(") ").expect("a name in parentheses");
        if rest.starts_with('T') {
            return;
        }
        assert!(Instant::now() < deadline, "not stopped: {stat}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn f021_signals_disturb_nobody() {
    let mut server = Server::start(&["idle-seconds=2"]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let mut silent = server.connect();
    silent.skip_greeting();
    for n in 0..1000 {
        server.signal(Signal::USR1);
        ann.say(&format!("line {n}"));
        bob.expect(&format!("<ann> line {n}"));
        bob.say("yes");
        ann.expect("<bob> yes");
    }
    let reports = server.log.matching("report turns=").len();
    assert!(reports > 0, "no report");
    // Deadlines are kept, too.
    ann.say("/nosuch");
    silent.skip_until("!! goodbye: nothing heard for 2 s");
    expect_close(&server, silent.address(), "idle");
    drop((ann, bob, silent));
    assert_eq!(server.stop().code(), Some(0));
}

fn f084_names_are_held_by_the_living_only() {
    let server = Server::start(&["drain-seconds=0.2"]);
    let mut ann = server.join("ann");
    // Few enough that everybody is told of by name.
    for n in 0..3 {
        let mut bob = server.join("bob");
        ann.expect("-- bob joined (2 here)");
        bob.say("/name carl");
        bob.expect("-- you are carl");
        ann.expect("-- bob is now known as carl");
        let mut other = server.connect();
        other.skip_greeting();
        other.say("/name bob");
        other.expect("-- you are bob");
        bob.expect("-- bob joined (3 here)");
        ann.expect("-- bob joined (3 here)");
        let addresses = [bob.address(), other.address()];
        match n {
            0 => bob.say("/quit"),
            1 => bob.finish(),
            _ => drop(bob),
        }
        other.reset();
        // In whatever order they are found to have gone.
        let mut left = [ann.read_line(), ann.read_line()].map(|line| line.expect("a line"));
        left.sort();
        assert!(left[0].starts_with("-- bob left ("), "{left:?}");
        assert!(left[1].starts_with("-- carl left ("), "{left:?}");
        for address in addresses {
            let _ = close_line(&server, address);
        }
    }
    assert_eq!(server.report()["names"], 1);
    ann.expect_silence();
}

/// The only way to be let in where silent strangers fill the house.
fn f089_an_old_and_silent_stranger_makes_room_for_a_newcomer() {
    let server = Server::start(&["sessions-max=3"]);
    let mut ann = server.join("ann");
    let mut spoke = server.connect();
    spoke.skip_greeting();
    spoke.say("hello");
    ann.expect("-- guest2 joined (2 here)");
    ann.expect("<guest2> hello");
    let mut silent = server.connect();
    silent.skip_greeting();
    let give_up_at = Instant::now() + DEADLINE;
    let mut refused = 0;
    let mut newcomer = loop {
        let mut newcomer = server.connect();
        match newcomer.read_line().expect("a line").as_str() {
            "!! goodbye: the server is full" => refused += 1,
            line => {
                assert!(line.starts_with("-- Welcome!"), "{line}");
                break newcomer;
            }
        }
        assert!(Instant::now() < give_up_at, "never let in");
        thread::sleep(Duration::from_millis(100));
    };
    assert!(refused > 0, "somebody who has just come keeps their place");
    let farewell = silent.read_line().expect("a farewell");
    let begins = "!! goodbye: nothing heard for 1";
    assert!(farewell.starts_with(begins), "{farewell}");
    silent.expect_end();
    expect_close(&server, silent.address(), "idle");
    let here = newcomer.read_line().expect("who is here");
    assert!(here.starts_with("-- 2 here: ann, guest2; "), "{here}");
    ann.expect_silence();
    spoke.expect_silence();
}

/// Whatever people call themselves or say when they leave: a line of the log is an event, and has no control
/// character.
fn f102_one_event_is_one_line_of_the_log() {
    let mut server = Server::start(&[]);
    let words: [&[u8]; 6] = [
        b"/name a\x1b[31mb",
        b"/name x\x7f\x0by",
        b"/name \xc2\x9b1m",
        b"/name a open id=99 dialect=telnet",
        b"/quit \x1b]0;x\x07\x0cclose id=1 name=ann reason=quit",
        b"/name a\rclose id=99 name=b\r/quit",
    ];
    for line in words {
        for to in [server.telnet(), server.wire()] {
            let mut stream = TcpStream::connect(to).expect("the server listens");
            stream.write_all(line).expect("connected");
            stream.write_all(b"\r\n").expect("connected");
            let address = stream.local_addr().expect("connected");
            drop(stream);
            let line = close_line_at(&server, to, address);
            assert_ne!(value(&line, "id"), "99");
        }
    }
    assert_eq!(server.stop().code(), Some(0));
    let log = server.log.all();
    for line in &log {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    let events = |part: &str| log.iter().filter(|line| line.contains(part)).count();
    assert_eq!(
        (events(" INFO open id="), events(" INFO close id=")),
        (12, 12)
    );
    // The names are `y` and `a`; and it starts and stops.
    assert_eq!(events(" INFO name id="), 2);
    assert_eq!(log.len(), 12 + 12 + 2 + 2, "{log:#?}");
}
