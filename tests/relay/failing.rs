//! What people see when the engine fails, or a server does.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::engine::{meet, Engine};
use super::support::eventually;
use super::support::server::Server;

/// A server is gone a second after it was last heard, and is alone after half of one.
const HASTY: [&str; 2] = ["relay-lease-seconds=1", "relay-patience-seconds=0.5"];

pub(crate) fn a_server_is_killed() {
    let engine = Engine::start();
    let [home, away] = engine.two_servers(&HASTY);
    let mut bob = home.join("bob");
    let ann = away.join("ann");
    bob.expect("-- ann joined (2 here)");
    away.signal(Signal::KILL);
    drop(ann);
    bob.expect("-- ann left (1 here)");
    home.log.wait_for("relay verdict node=");
    // Her name is free, and the engine forgets that server.
    let mut cleo = home.join("cleo");
    bob.expect("-- cleo joined (2 here)");
    cleo.say("/name ann");
    cleo.skip_until("-- you are ann");
    eventually("the engine forgets it", || {
        engine.ask("HLEN {chatd}:nodes") == ":1"
    });
    drop(away);
    let again = engine.server(&HASTY);
    let mut dora = again.join("dora");
    bob.skip_until("-- dora joined (3 here)");
    dora.say("/who");
    dora.skip_until("-- 3 here: bob, ann, dora");
}

pub(crate) fn a_server_was_stopped() {
    let engine = Engine::start();
    let [home, away] = engine.two_servers(&HASTY);
    let mut bob = home.join("bob");
    let mut ann = away.join("ann");
    bob.expect("-- ann joined (2 here)");
    away.signal(Signal::STOP);
    ann.say("said while it stood still");
    bob.expect("-- ann left (1 here)");
    bob.say("is anybody here?");
    away.signal(Signal::CONT);
    // She is told of nothing but what was said; he sees her come again.
    ann.skip_until("<bob> is anybody here?");
    bob.skip_until("-- ann joined (2 here)");
    bob.skip_until("<ann> said while it stood still");
    ann.say("yes");
    bob.expect("<ann> yes");
    bob.say("/who");
    bob.expect("-- 2 here: bob, ann");
}

pub(crate) fn alone_and_back() {
    let mut engine = Engine::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let [home, away] = engine.two_servers(&HASTY);
    let mut ann = home.join("ann");
    let mut bob = away.join("bob");
    ann.expect("-- bob joined (2 here)");
    bob.say("/who");
    bob.skip_until("-- 2 here: ann, bob");
    engine.kill();
    ann.say("into the void");
    for person in [&mut ann, &mut bob] {
        person.expect("-- the other servers cannot be reached; 1 here hears you");
    }
    ann.say("/who");
    ann.expect("-- 2 here: ann, bob (unreachable)");
    ann.say("/msg bob psst");
    ann.expect("!! bob cannot be reached just now");
    // Each chats on.
    let mut cleo = home.join("cleo");
    ann.expect("-- cleo joined (3 here)");
    cleo.say("hello");
    ann.expect("<cleo> hello");
    ann.say("/join games");
    ann.expect("-- you left lobby and are in games, a new room");
    ann.expect("-- 1 here: ann");
    cleo.expect("-- ann left for games (2 here)");
    engine.begin();
    for person in [&mut ann, &mut bob, &mut cleo] {
        person.skip_until("-- the other servers are back");
    }
    // What was said meanwhile comes now, once and in order.
    bob.expect("<ann> into the void");
    bob.expect("-- cleo joined (3 here)");
    bob.expect("<cleo> hello");
    bob.expect("-- ann left for games (2 here)");
    bob.say("together");
    cleo.expect("<bob> together");
    bob.say("/who");
    bob.expect("-- 2 here: bob, cleo");
    bob.say("/who games");
    bob.expect("-- 1 in games: ann");
    ann.expect_silence();
}

pub(crate) fn names_are_settled() {
    let mut engine = Engine::start();
    let [home, away] = engine.two_servers(&HASTY);
    let mut ann = home.join("ann");
    let mut bob = away.join("bob");
    ann.expect("-- bob joined (2 here)");
    bob.say("/who");
    bob.skip_until("-- 2 here: ann, bob");
    engine.kill();
    for person in [&mut ann, &mut bob] {
        person.expect("-- the other servers cannot be reached; 1 here hears you");
    }
    // A name that somebody is known to have elsewhere stays taken; one that nobody has can be taken twice.
    bob.say("/name ann");
    bob.expect("!! ann is taken");
    ann.say("/name zoe");
    ann.expect("-- you are zoe");
    bob.say("/name zoe");
    bob.expect("-- you are zoe");
    engine.begin();
    let outcome = |person: &mut super::support::person::Person| {
        person.skip_until("-- the other servers are back");
        person.say("/name");
        let mut lines = Vec::new();
        loop {
            let line = person.read_line().expect("an answer");
            if line.starts_with("!! usage: /name") {
                return lines;
            }
            lines.push(line);
        }
    };
    let is_refused = |lines: &[String]| {
        lines
            .iter()
            .any(|line| line.starts_with("!! zoe is taken; you are guest"))
    };
    let (mut of_ann, mut of_bob) = (outcome(&mut ann), outcome(&mut bob));
    eventually("one gives way", || {
        let new = |person: &mut super::support::person::Person| {
            person.say("/name");
            let mut lines = Vec::new();
            loop {
                match person.read_line().expect("an answer") {
                    line if line.starts_with("!! usage: /name") => return lines,
                    line => lines.push(line),
                }
            }
        };
        of_ann.extend(new(&mut ann));
        of_bob.extend(new(&mut bob));
        is_refused(&of_ann) != is_refused(&of_bob)
    });
    let (first, second) = if is_refused(&of_ann) {
        (&mut bob, &mut ann)
    } else {
        (&mut ann, &mut bob)
    };
    second.say("settled");
    let line = loop {
        let line = first.read_line().expect("a line");
        if line.ends_with("> settled") {
            break line;
        }
    };
    assert!(line.starts_with("<guest"), "{line}");
}

pub(crate) fn missing_at_the_start() {
    let mut engine = Engine::start();
    engine.kill();
    let mut server = engine.start_server(&HASTY);
    server.log.wait_for("relay state=alone");
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    bob.say("hello");
    ann.expect("<bob> hello");
    engine.begin();
    for person in [&mut ann, &mut bob] {
        person.skip_until("-- the other servers are back");
    }
    let other = engine.server(&HASTY);
    let mut cleo = other.join("cleo");
    ann.expect("-- cleo joined (3 here)");
    cleo.say("/who");
    let list = cleo.read_line().expect("a list");
    // Those who were there before stand in any order.
    let is_whole = list.starts_with("-- 3 here: ") && list.contains("ann") && list.contains("bob");
    assert!(is_whole && list.ends_with(", cleo"), "{list}");
    engine.kill();
    assert!(server.stop().success());
}

pub(crate) fn rubbish() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"*1\r\n",
        b"+OK\r\n",
        b"$99999999\r\n",
        b"",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked);
                let _ = stream.write_all(&answer.repeat(1000));
            }
        });
        let relay = format!("relay=redis://{address}");
        let mut server = Server::start(&[&*relay, HASTY[0], HASTY[1]]);
        server.log.wait_for("relay state=alone");
        drop(server.join("ann"));
        server.log.wait_for(" WARN relay: ");
        assert!(server.stop().success());
    }
}

pub(crate) fn password() {
    let engine = Engine::start();
    // The line of docs/relay.md.
    let page = include_str!("../../docs/relay.md");
    let user = page
        .lines()
        .find(|line| line.starts_with("user chatd on "))
        .expect("it is told");
    let rights = user.strip_prefix("user ").expect("it begins so");
    assert_eq!(engine.ask(&format!("ACL SETUSER {rights}")), "+OK");
    assert_eq!(engine.ask("ACL SETUSER default off"), "+OK");
    let file = engine.socket().with_file_name("password");
    fs::write(&file, "SECRET\n").expect("a folder");
    let file = format!("relay-password-file={}", file.display());
    let settings = ["relay-user=chatd", &file, HASTY[0], HASTY[1]];
    let [home, away] = engine.two_traced_servers(&settings);
    let mut ann = home.join("ann");
    let mut bob = away.join("bob");
    ann.expect("-- bob joined (2 here)");
    ann.say("/join den sesame");
    ann.skip_until("-- you left lobby and are in den, a new room with a key");
    bob.skip_until("-- ann left (1 here)");
    bob.say("/msg ann psst");
    ann.skip_until("[bob] psst");
    away.signal(Signal::KILL);
    home.log.wait_for("relay verdict node=");
    // Without the password, or with less than these rights, it stays alone, and the log says why.
    let without = engine.start_server(&HASTY);
    without.log.wait_for("NOAUTH");
    without.log.wait_for("relay state=alone");
    drop(without.join("cleo"));
    for secret in ["SECRET", "sesame"] {
        assert_eq!(home.log.matching(secret), [""; 0]);
        assert_eq!(away.log.matching(secret), [""; 0]);
    }
}

pub(crate) fn full() {
    let engine = Engine::start();
    let [home, away] = engine.two_servers(&HASTY);
    let mut ann = home.join("ann");
    let mut bob = away.join("bob");
    ann.expect("-- bob joined (2 here)");
    assert_eq!(engine.ask("CONFIG SET maxmemory-policy noeviction"), "+OK");
    assert_eq!(engine.ask("CONFIG SET maxmemory 1"), "+OK");
    ann.say("hello");
    ann.expect("-- the other servers cannot be reached; 1 here hears you");
    home.log.wait_for("OOM");
    assert_eq!(engine.ask("CONFIG SET maxmemory 0"), "+OK");
    ann.expect("-- the other servers are back");
    bob.skip_until("<ann> hello");
    meet(&[home, away]);
}

/// A sentinel, and an engine with a replica that it watches.
struct Failover {
    running: Vec<Child>,
    ports: [u16; 3],
    folder: std::path::PathBuf,
}

impl Failover {
    fn start() -> Self {
        let free = |_| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("an address").port()
        };
        let ports: [u16; 3] = [0, 1, 2].map(free);
        let folder = std::env::temp_dir().join(format!("relay-failover-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut this = Self {
            running: Vec::new(),
            ports,
            folder,
        };
        let [first, second, sentinel] = ports.map(|port| port.to_string());
        this.begin(&["--port", &first, "--repl-diskless-sync-delay", "0"]);
        this.begin(&["--port", &second, "--replicaof", "127.0.0.1", &first]);
        let file = this.folder.join("sentinel.conf");
        let watched = format!(
            "port {sentinel}\nsentinel monitor chat 127.0.0.1 {first} 1\n\
             sentinel down-after-milliseconds chat 300\nsentinel failover-timeout chat 2000\n"
        );
        fs::write(&file, watched).expect("a folder");
        let file = file.to_string_lossy().into_owned();
        eventually("the replica follows", || {
            this.ask(1, "INFO replication")
                .contains("master_link_status:up")
        });
        this.begin(&[&file, "--sentinel"]);
        eventually("the sentinel knows the replica", || {
            this.ask(2, "SENTINEL master chat")
                .contains("num-slaves\r\n$1\r\n1\r\n")
        });
        this
    }

    fn begin(&mut self, options: &[&str]) {
        let child = Command::new("redis-server")
            .args(options)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.running.push(child.expect("it is installed"));
    }

    fn ask(&self, which: usize, command: &str) -> String {
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.ports[which])) else {
            return String::new();
        };
        let _ = stream.write_all(format!("{command}\r\n").as_bytes());
        // A sentinel closes no connection; an answer is as much as comes at once.
        let timeout = stream.set_read_timeout(Some(Duration::from_millis(300)));
        timeout.expect("it is more than nothing");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Failover {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn failover() {
    let mut engines = Failover::start();
    let relay = format!("relay=sentinel://127.0.0.1:{}/chat", engines.ports[2]);
    let servers = [(); 2].map(|()| {
        let server = Server::start(&[
            &relay,
            "relay-lease-seconds=20",
            "relay-patience-seconds=20",
        ]);
        server.log.wait_for("relay state=attached");
        server
    });
    meet(&servers);
    let mut ann = servers[0].join("ann");
    let mut bob = servers[1].join("bob");
    ann.expect("-- bob joined (2 here)");
    ann.say("before");
    // They may have come before their server knew of ann.
    bob.skip_until("<ann> before");
    let _ = engines.running[0].kill();
    ann.say("meanwhile");
    bob.expect("<ann> meanwhile");
    bob.say("after");
    ann.expect("<bob> after");
    ann.expect_silence();
    bob.expect_silence();
    assert!(engines.ask(1, "INFO replication").contains("role:master"));
}
