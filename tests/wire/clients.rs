//! Programs in other languages: the client of `docs/wire.md`, and fifty of Go.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use chatd::client::{Clients, Connection, Dialect, Event, Message, Options, Target};

use crate::in_process::{InProcess, DEADLINE};
use crate::peer::Peer;

/// Every code of a refusal is in `docs/wire.md`.
pub(crate) fn the_documented_codes_are_all() {
    let page = include_str!("../../docs/wire.md");
    let source = include_str!("../../src/dialect/request.rs");
    let (_, codes) = source.split_once("fn code(&self)").expect("the codes");
    let (codes, _) = codes.split_once("\n    }\n").expect("their end");
    let codes: Vec<&str> = codes.split('"').skip(1).step_by(2).collect();
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        let row = format!("`{code}`");
        assert!(page.contains(&row), "put {code} into docs/wire.md");
    }
}

/// The whole client in `docs/wire.md`, as it stands there.
pub(crate) fn the_documented_client_works() {
    let page = include_str!("../../docs/wire.md");
    let block = page.split("```python\n").nth(1);
    let client = block.and_then(|rest| rest.split("```").next());
    let client = client.expect("a block of Python");
    assert!(client.lines().count() <= 30, "it is as short as promised");

    let server = InProcess::start(&[]);
    let mut ann = Peer::person(&server, "ann");
    let address = server.address(Dialect::Wire);
    let mut child = Command::new("python3")
        .args(["-c", client, &address.ip().to_string()])
        .args([&address.port().to_string(), "bot"])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    ann.read_to("-- bot joined (2 here)\r\n");
    let mut pat = Peer::person(&server, "pat");
    pat.read_to("<bot> Welcome, pat!\r\n");
    pat.send("hello 老罗\r\n/msg bot hi\r\n/msg bot bye\r\n");
    ann.read_to("-- bot left (2 here)\r\n");

    let mut printed = [String::new(), String::new()];
    let stdout = child.0.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut printed[0]).unwrap();
    let stderr = child.0.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut printed[1]).unwrap();
    assert_eq!(printed, ["<pat> hello 老罗\n", ""]);
    assert!(child.0.wait().unwrap().success());

    // Whatever the page says of lines and codes, the server says, too.
    let mut bot = Peer::connect(&server, Dialect::Wire);
    for verb in ["NAME", "CHAT", "TELL", "WATCH", "WHO", "PING", "QUIT"] {
        assert!(page.contains(&format!("| `{verb}")), "{verb}");
        let answer = bot.answer_to(format!("{verb} a b c d\n"));
        assert!(answer.ends_with(" usage\n"), "{verb}: {answer}");
    }
}

/// Compiles the client in `tests/peers/go`, without the network and with its cache below the target directory.
fn build_go_peer() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let binary = scratch.join("go-peer");
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/go"))
        .env("GOFLAGS", "-mod=mod -buildvcs=false")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", scratch.join("go-cache"))
        .env("GOPATH", scratch.join("go-path"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "go build: {errors}");
    binary
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A name and words.
type Line = (String, String);

pub(crate) fn fifty_go_clients() {
    const CLIENTS: usize = 50;
    const PEOPLE: usize = 4;
    const MESSAGES: usize = 5;
    let server = InProcess::start(&[]);
    let mut child = Command::new(build_go_peer())
        .arg(server.address(Dialect::Wire).to_string())
        .args([CLIENTS, MESSAGES].map(|number| number.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut stdin = child.0.stdin.take().unwrap();
    let stdout = BufReader::new(child.0.stdout.take().unwrap());
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    assert_eq!(printed.recv_timeout(DEADLINE).unwrap(), "named");

    // People: the first one says nothing, and so hears everything.
    let mut clients = Clients::new().unwrap();
    let target = Target::new(Dialect::Telnet, server.address(Dialect::Telnet));
    let people: Vec<_> = (0..PEOPLE)
        .map(|_| clients.dial(&target, Options::default()))
        .collect();
    let mut heard = vec![Vec::<Line>::new(); PEOPLE];
    for id in &people {
        let person = clients.connection_mut(*id).unwrap();
        person.set_name(&format!("person{}", id.index())).unwrap();
    }
    let all_named = |clients: &Clients| clients.iter().all(|person| !person.name().is_empty());
    listen(&mut clients, &mut heard, all_named);
    stdin.write_all(b"go\n").unwrap();
    for id in &people[1..] {
        let person = clients.connection_mut(*id).unwrap();
        for number in 0..MESSAGES {
            person
                .send(&format!("person{} says {number}", id.index()))
                .unwrap();
        }
    }
    let all = (CLIENTS + PEOPLE - 1) * MESSAGES;
    listen(&mut clients, &mut heard, |clients| {
        clients.iter().all(|person| {
            let own = person.counters().accepted;
            person.counters().heard + own >= all as u64
        })
    });
    // Whatever is heard twice is heard before this.
    let last = clients.connection_mut(people[1]).unwrap();
    last.send("end").unwrap();
    let is_end = |line: &Line| line.1 == "end";
    listen(&mut clients, &mut heard, |clients| {
        let hearers = clients.iter().filter(|person| person.id() != people[1]);
        let due = all as u64 + 1;
        hearers.into_iter().all(|person| {
            let own = person.counters().accepted;
            person.counters().heard + own >= due
        })
    });
    assert!(child.0.wait().unwrap().success());

    let order = heard[0].clone();
    let mut sorted = order.clone();
    sorted.sort();
    let mut due: Vec<Line> = (0..CLIENTS)
        .map(|index| format!("go{index}"))
        .chain((1..PEOPLE).map(|index| format!("person{index}")))
        .flat_map(|name| {
            (0..MESSAGES).map(move |number| (name.clone(), format!("{name} says {number}")))
        })
        .chain([("person1".to_owned(), "end".to_owned())])
        .collect();
    due.sort();
    assert_eq!(sorted, due, "every line once");
    assert!(order.last().is_some_and(is_end));

    let without = |name: &str| -> Vec<Line> {
        let others = order.iter().filter(|(speaker, _)| speaker != name);
        others.cloned().collect()
    };
    for (index, heard) in heard.iter().enumerate() {
        let name = format!("person{index}");
        assert_eq!(*heard, without(&name), "{name}");
    }
    let mut of_programs = vec![Vec::<Line>::new(); CLIENTS];
    for line in printed {
        let (client, rest) = line.split_once(' ').unwrap();
        let (name, words) = rest.split_once(' ').unwrap();
        let index: usize = client.strip_prefix("go").unwrap().parse().unwrap();
        of_programs[index].push((name.to_owned(), words.to_owned()));
    }
    for (index, heard) in of_programs.iter().enumerate() {
        let name = format!("go{index}");
        assert_eq!(*heard, without(&name), "{name}");
    }
}

/// Polls until `done`, and writes down what is said to each person.
#[track_caller]
fn listen(clients: &mut Clients, heard: &mut [Vec<Line>], done: impl Fn(&Clients) -> bool) {
    let give_up_at = Instant::now() + DEADLINE;
    let mut note = |person: &mut Connection, event: Event<'_>| {
        if let Event::Message(Message::Said { name, words }) = event {
            heard[person.id().index()].push((name.into_owned(), words.into_owned()));
        }
    };
    while !done(clients) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never came true");
        clients.poll_with(Some(left), &mut note).unwrap();
    }
}
