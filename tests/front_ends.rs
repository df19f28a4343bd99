//! Listeners behind a front end, which says in a PROXY header who connects: by hand, and behind `haproxy` and `nginx`
//! where they are installed.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use libtest_mimic::{Arguments, Trial};
use support::browser::Browser;
use support::eventually;
use support::operator::Place;
use support::own_network;
use support::person::Person;
use support::programs::is_installed;
use support::server::{chatd, Server};
use support::session::value;

const CLIENT: &str = "198.51.100.7:51234";
const LINE: &[u8] = b"PROXY TCP4 198.51.100.7 127.0.0.1 51234 3333\r\n";
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\x7f\0\0\x01\xc8\x22\x0d\x05";
const LOOK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// As many connections as may wait at one listener.
const WAITING_MAX: usize = 256;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, program, test) in [
        ("a header may come in any pieces", "", pieces as fn()),
        (
            "the address in the header is the session's",
            "",
            the_address_counts,
        ),
        (
            "a client that connects too often is told so",
            "",
            connects_are_counted,
        ),
        (
            "what is no header is closed without a word",
            "",
            wrong_is_closed,
        ),
        ("who only looks is not told of", "", looks_are_silent),
        (
            "a front end that says nothing is closed",
            "",
            silence_has_an_end,
        ),
        ("the door has a bound", "", the_door_is_bounded),
        ("sigterm closes the door", "", sigterm_closes_the_door),
        (
            "who is banned is the person, and not the front end",
            "",
            the_person_is_banned,
        ),
        ("behind haproxy", "haproxy", behind_haproxy),
        ("behind nginx", "nginx", behind_nginx),
        ("a page behind nginx", "nginx", page_behind_nginx),
    ] {
        let run = move || {
            test();
            Ok(())
        };
        let is_missing = !program.is_empty() && !is_installed(program);
        trials.push(Trial::test(name, run).with_ignored_flag(is_missing));
    }
    // From the loopback range nobody is banned, so this needs other addresses.
    for (name, program, test) in [
        (
            "who is banned behind haproxy is the person",
            "haproxy",
            banned_behind_haproxy as fn(),
        ),
        (
            "who is banned behind nginx is the person",
            "nginx",
            banned_behind_nginx,
        ),
    ] {
        for trial in own_network::trials(&[(name, test)]) {
            let is_ignored = trial.has_ignored_flag() || !is_installed(program);
            trials.push(trial.with_ignored_flag(is_ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A server that people reach through a front end, and programs directly.
fn server(settings: &[&str]) -> Server {
    let mut command = chatd();
    command.args([
        "-l",
        "telnet+proxy://127.0.0.1:0",
        "-l",
        "wire://127.0.0.1:0",
    ]);
    command.args(["-o", "history-lines=0", "-o", "lines-per-second=0"]);
    for setting in settings {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(command.env("RUST_LOG", "debug"));
    server.output.wait_for("listening wire://");
    server
}

fn door(server: &Server) -> SocketAddr {
    server.address("telnet+proxy")
}

/// Connects as a front end, and sends the first bytes.
fn knock(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(door(server)).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.write_all(bytes).expect("it is taken");
    stream
}

/// What comes until the end, or the reset for what was not read.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream
        .set_read_timeout(Some(support::DEADLINE))
        .expect("a time");
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// The log line of the `number`th close.
fn close_line(server: &Server, number: usize) -> String {
    server.log.wait_until("a close", |lines| {
        let mut closes = lines.iter().filter(|line| line.contains(" close id="));
        closes.nth(number - 1).cloned()
    })
}

fn pieces() {
    let server = server(&["connects-per-minute=0", "sessions-per-address-max=0"]);
    let mut number = 0;
    for header in [LINE, BINARY] {
        let whole = [header, b"/name ann\r\n"].concat();
        for split in 1..whole.len() {
            let mut person = Person::over(knock(&server, &whole[..split]));
            if split >= header.len() {
                person.skip_greeting();
            }
            person.send(&whole[split..]);
            person.skip_until("-- you are ann");
            person.say("/quit");
            person.expect("-- goodbye");
            person.expect_end();
            drop(person);
            number += 1;
            let close = close_line(&server, number);
            assert_eq!(value(&close, "from"), CLIENT, "split at {split}");
        }
    }
    let opens = server.log.matching(" open id=");
    assert!(opens.iter().all(|open| value(open, "from") == CLIENT));
}

fn the_address_counts() {
    let server = server(&["sessions-per-address-max=2", "exempt=192.0.2.0/24"]);
    let mut first: Vec<Person> = [LINE, BINARY]
        .map(|header| Person::over(knock(&server, header)))
        .into();
    first.iter_mut().for_each(Person::skip_greeting);
    let mut third = Person::over(knock(&server, LINE));
    third.expect("!! goodbye: too many connections from your address");
    third.expect_end();
    let abuse = server.log.wait_for(" abuse ");
    assert!(
        abuse.ends_with("INFO abuse from=198.51.100.7 reason=per-address id=3"),
        "{abuse}"
    );
    // Somebody else may come, and an address that is exempt as often as it likes.
    let other = b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n";
    Person::over(knock(&server, other)).skip_greeting();
    let mut exempt: Vec<Person> = (0..4)
        .map(|_| Person::over(knock(&server, b"PROXY TCP4 192.0.2.9 127.0.0.1 1 2\r\n")))
        .collect();
    exempt.iter_mut().for_each(Person::skip_greeting);
    // Without an address in the header it is the front end's.
    let mut unknown = Person::over(knock(&server, b"PROXY UNKNOWN\r\n"));
    unknown.skip_greeting();
    let address = unknown.address().to_string();
    server.log.wait_for(&format!(" from={address} "));
}

fn connects_are_counted() {
    let server = server(&["sessions-per-address-max=2", "connects-per-minute=1"]);
    for _ in 0..2 {
        let mut person = Person::over(knock(&server, LINE));
        person.skip_greeting();
        person.say("/quit");
        person.expect("-- goodbye");
        person.expect_end();
    }
    let mut third = Person::over(knock(&server, LINE));
    let told = third.read_line().expect("a farewell");
    let seconds = told
        .strip_prefix("!! goodbye: you connect too often; try again in ")
        .and_then(|rest| rest.strip_suffix(" s"))
        .and_then(|seconds| seconds.parse().ok());
    assert!(
        seconds.is_some_and(|seconds: u32| (1..=60).contains(&seconds)),
        "{told}"
    );
    third.expect_end();
    let close = close_line(&server, 3);
    assert_eq!(value(&close, "reason"), "connect-rate");
    server
        .log
        .wait_for("abuse from=198.51.100.7 reason=connect-rate id=3");
    // This machine itself may connect as often as it likes.
    (0..5).for_each(|_| server.program().finish());
}

fn the_person_is_banned() {
    let place = Place::new();
    let mut command = chatd();
    command.args(["-l", "telnet+proxy://127.0.0.1:0", "-l", &place.endpoint()]);
    let server = Server::spawn(command.args(["-o", "history-lines=0"]));
    server.output.wait_for("listening ops://");
    let mut ann = Person::over(knock(&server, LINE));
    ann.say("/name ann");
    ann.skip_until("-- you are ann");
    let mut bob = Person::over(knock(&server, b"PROXY TCP4 198.51.100.8 127.0.0.1 1 2\r\n"));
    bob.say("/name bob");
    bob.skip_until("-- you are bob");
    let mut operator = place.connect();
    let answer = operator.ask("ban ann forever").pop().expect("an answer");
    assert!(
        answer.starts_with("-- ban 1: 198.51.100.7 forever; 1 session closed"),
        "{answer}"
    );
    ann.skip_until("!! goodbye: you are banned");
    bob.skip_until("-- ann left: banned (1 here)");
    let mut again = Person::over(knock(&server, BINARY));
    again.expect("!! goodbye: you are banned");
    again.expect_end();
    operator.order(
        "ban force 127.0.0.1 1h",
        "!! 127.0.0.1 is the loopback address: front ends come from there",
    );
    bob.say("hello");
    bob.expect_silence();
}

fn wrong_is_closed() {
    let server = server(&[]);
    let malformed = b"PROXY TCP4 198.51.100.7 127.0.0.1 51234\r\n".as_slice();
    let endless = [b'P'; 1];
    for (number, (bytes, is_ended)) in [
        (b"hello\r\n".as_slice(), false),
        (b"GET / HTTP/1.1\r\n\r\n", false),
        (malformed, false),
        (&endless, true),
        (&LINE[..20], true),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = knock(&server, bytes);
        if is_ended {
            stream
                .shutdown(std::net::Shutdown::Write)
                .expect("it is open");
        }
        assert_eq!(rest(&stream), b"", "{bytes:?}");
        let close = close_line(&server, number + 1);
        assert_eq!(value(&close, "reason"), "wrong-protocol", "{bytes:?}");
        assert_eq!(value(&close, "bytes_out"), "0");
    }
    // Nobody has heard of them.
    let mut bot = server.program();
    bot.say("WHO");
    bot.expect("HERE 0");
    // It is written behind the close.
    server
        .log
        .wait_for_count(" abuse from=127.0.0.1 reason=wrong-protocol ", 5);
}

fn looks_are_silent() {
    let server = server(&[]);
    for bytes in [&b""[..], LOOK] {
        let stream = knock(&server, bytes);
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        assert_eq!(rest(&stream), b"");
    }
    server.log.wait_for_count(" said nothing", 2);
    // One that goes on is a session, of the front end itself.
    let mut person = Person::over(knock(&server, &[LOOK, b"/name ann\r\n"].concat()));
    person.skip_until("-- you are ann");
    server.log.wait_for(" open id=1 ");
    person.finish();
    server.log.wait_for(" close id=1 ");
    assert_eq!(server.log.matching(" open id=").len(), 1);
    assert_eq!(server.log.matching(" close id=").len(), 1);
}

fn silence_has_an_end() {
    let server = server(&[]);
    let silent = knock(&server, b"");
    let slow = knock(&server, &LINE[..30]);
    assert_eq!((rest(&silent), rest(&slow)), (Vec::new(), Vec::new()));
    server.log.wait_for(" said nothing");
    assert_eq!(value(&close_line(&server, 1), "reason"), "wrong-protocol");
}

fn the_door_is_bounded() {
    let server = server(&["connects-per-minute=0", "sessions-per-address-max=0"]);
    let waiting: Vec<TcpStream> = (0..WAITING_MAX)
        .map(|_| knock(&server, &LINE[..1]))
        .collect();
    let late = knock(&server, b"");
    assert_eq!(rest(&late), b"");
    assert_eq!(value(&close_line(&server, 1), "reason"), "full");
    // Programs have a listener of their own.
    let mut bot = server.program();
    bot.say("WHO");
    bot.expect("HERE 0");
    for mut stream in waiting {
        stream.write_all(&LINE[1..]).expect("it is open");
        Person::over(stream).skip_greeting();
    }
    Person::over(knock(&server, BINARY)).skip_greeting();
}

fn sigterm_closes_the_door() {
    let mut server = server(&[]);
    let waiting = knock(&server, &LINE[..9]);
    let mut ann = Person::over(knock(&server, LINE));
    ann.skip_greeting();
    assert!(server.stop().success());
    ann.skip_until("-- goodbye: the server is going down");
    assert_eq!(rest(&waiting), b"");
}

/// A front end that runs until this is dropped.
struct FrontEnd(Child);

impl FrontEnd {
    fn start(command: &mut Command, listens_on: SocketAddr) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let front_end = Self(command.spawn().expect("it is installed"));
        eventually("the front end listens", || {
            TcpStream::connect(listens_on).is_ok()
        });
        front_end
    }
}

impl Drop for FrontEnd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that is free at the moment.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it listens")
}

fn written(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("conf");
    fs::write(&file, text).expect("it can be written");
    file
}

/// As `docs/web.md` has it, but for TLS.
fn page_behind_nginx() {
    let mut command = chatd();
    command.args([
        "-l",
        "http://127.0.0.1:0",
        "-o",
        "web-host=chat.example.org",
    ]);
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening http://");
    let address = free_address();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nginx-page");
    let conf = written(
        "nginx-page",
        &format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log;\nevents {{}}\n\
             http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
             fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
             server {{ listen {address}; location / {{ proxy_pass http://{page}; proxy_http_version 1.1;\n\
             proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;\n\
             proxy_set_header Connection \"upgrade\";\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}\n",
            folder = folder.display(),
            page = server.address("http"),
        ),
    );
    let mut command = Command::new("nginx");
    command.arg("-e").arg(folder.join("log"));
    let _front_end = FrontEnd::start(command.arg("-c").arg(conf), address);
    let fields = [
        ("host", "chat.example.org"),
        ("origin", "https://chat.example.org"),
        ("x-forwarded-for", "198.51.100.7"),
    ];
    let mut ann = Browser::open(address, "", &fields).unwrap_or_else(|it| panic!("{it:?}"));
    assert_eq!(ann.read()["t"], "hi");
    // nginx says who connected to it, 127.0.0.1, behind what its client claimed: the last that is believed counts.
    server
        .log
        .wait_for("open id=1 dialect=web from=198.51.100.7:0");
    ann.say("/name ann");
    assert_eq!(ann.skip_until("you")["n"], "ann");
    let other = [
        ("host", "evil.example.org"),
        ("origin", "https://evil.example.org"),
    ];
    let refused = Browser::open(address, "", &other)
        .err()
        .expect("it is refused");
    assert_eq!(refused.0, 421);
}

/// Connects to a front end from this address.
fn come_from(address: [u8; 4], front_end: SocketAddr) -> Person {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let from = SocketAddr::from((address, 0));
    socket.bind(&from.into()).expect("it is ours");
    socket.connect(&front_end.into()).expect("it listens");
    Person::over(socket.into())
}

/// Talks through a front end from an address of its own, and looks that this is the one of the session.
fn talk_through(server: &Server, front_end: SocketAddr) {
    for host in [7, 8] {
        let mut person = come_from([127, 0, 0, host], front_end);
        let from = person.address();
        person.skip_greeting();
        person.say(&format!("/name ann{host}"));
        person.skip_until(&format!("-- you are ann{host}"));
        let open = server.log.wait_for(&format!(" from={from} "));
        assert!(open.contains(" open id="), "{open}");
    }
}

/// A proxy in front of this server, listening at `address`, which sends headers by this option.
fn haproxy(server: &Server, address: SocketAddr, version: &str, looks: &str) -> FrontEnd {
    let conf = written(
        &format!("haproxy-{version}-{}", address.port()),
        &format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen chat\n bind {address}\n server chatd {} {version} {looks}\n",
            door(server)
        ),
    );
    let mut command = Command::new("haproxy");
    FrontEnd::start(command.arg("-db").arg("-f").arg(conf), address)
}

fn behind_haproxy() {
    // Only version 2 can say that a front end comes for itself, to look whether we live.
    for (version, looks) in [("send-proxy", ""), ("send-proxy-v2", "check inter 100ms")] {
        let server = server(&[]);
        let address = free_address();
        let _front_end = haproxy(&server, address, version, looks);
        talk_through(&server, address);
        if !looks.is_empty() {
            server.log.wait_for(" said nothing");
        }
        // The probe that waited for it to listen came from the front end's own machine.
        let opens = server.log.matching(" open id=");
        let others = opens
            .iter()
            .filter(|open| !value(open, "from").starts_with("127.0.0.1:"));
        assert_eq!(others.count(), 2, "{opens:?}");
    }
}

/// nginx in front of this server, listening at `address`. It speaks version 1 alone.
fn nginx(server: &Server, address: SocketAddr) -> FrontEnd {
    let name = format!("nginx-{}", address.port());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    // A package of its own in Debian, built in elsewhere.
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load = if Path::new(module).is_file() {
        format!("load_module {module};\n")
    } else {
        String::new()
    };
    let conf = written(
        &name,
        &format!(
            "{load}daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log;\n\
             events {{}}\nstream {{ server {{ listen {address}; proxy_pass {door}; proxy_protocol on; }} }}\n",
            folder = folder.display(),
            door = door(server)
        ),
    );
    let mut command = Command::new("nginx");
    command
        .arg("-e")
        .arg(folder.join("log"))
        .arg("-c")
        .arg(conf);
    FrontEnd::start(&mut command, address)
}

fn behind_nginx() {
    let server = server(&[]);
    let address = free_address();
    let _front_end = nginx(&server, address);
    talk_through(&server, address);
}

/// Where the front end of a test with real addresses listens: an address for documentation (RFC 5737).
const FRONT_END: ([u8; 4], u16) = ([192, 0, 2, 1], 3333);
const ANN: [u8; 4] = [198, 51, 100, 7];
const BOB: [u8; 4] = [198, 51, 100, 8];
const EVE: [u8; 4] = [203, 0, 113, 9];

fn banned_behind_haproxy() {
    for version in ["send-proxy", "send-proxy-v2"] {
        banned_behind(|server, address| haproxy(server, address, version, ""));
    }
}

fn banned_behind_nginx() {
    banned_behind(nginx);
}

/// Bans and mutes people who come through a front end: it is their addresses that are met, and nobody else.
fn banned_behind(start: impl Fn(&Server, SocketAddr) -> FrontEnd) {
    let front_end = SocketAddr::from(FRONT_END);
    for address in [FRONT_END.0, ANN, BOB, EVE] {
        // It may be there from the time before.
        let address = format!("{}/32", std::net::Ipv4Addr::from(address));
        let added = Command::new("ip")
            .args(["addr", "replace", &address, "dev", "lo"])
            .status();
        assert!(added.expect("it is installed").success(), "{address}");
    }
    let place = Place::new();
    let mut command = chatd();
    command.args(["-l", "telnet+proxy://127.0.0.1:0", "-l", &place.endpoint()]);
    let server = Server::spawn(command.args(["-o", "history-lines=0"]));
    server.output.wait_for("listening ops://");
    let _front_end = start(&server, front_end);
    let join = |name: &str, from| {
        let mut person = come_from(from, front_end);
        person.say(&format!("/name {name}"));
        person.skip_until(&format!("-- you are {name}"));
        person
    };
    let [mut ann, mut bob, mut eve] =
        [("ann", ANN), ("bob", BOB), ("eve", EVE)].map(|(name, from)| join(name, from));
    let mut operator = place.connect();
    let mut order = |command: &str, begins: &str| {
        let answer = operator.ask(command).pop().expect("an answer");
        assert!(answer.starts_with(begins), "{command}: {answer}");
    };
    order("ban ann 1d spam", "-- ban 1: 198.51.100.7 until ");
    ann.skip_until("-- eve joined (3 here)");
    let told = ann.read_line().expect("a farewell");
    assert!(
        told.starts_with("!! goodbye: you are banned until "),
        "{told}"
    );
    ann.expect_end();
    order("mute bob 1h shouting", "-- mute 2: 198.51.100.8 until ");
    bob.say("hello");
    eve.skip_until("-- ann left: banned (2 here)");
    eve.expect_silence();
    // Neither comes back by connecting again, and everybody else may.
    let told = come_from(ANN, front_end).read_line().expect("a farewell");
    assert!(
        told.starts_with("!! goodbye: you are banned until "),
        "{told}"
    );
    let mut again = come_from(BOB, front_end);
    again.say("hello");
    let is_told = |line: String| line.starts_with("!! you are muted until ");
    while !is_told(again.read_line().expect("it is told")) {}
    eve.expect_silence();
    let _fay = join("fay", EVE);
    eve.expect("-- fay joined (3 here)");
    server
        .log
        .wait_for("abuse from=198.51.100.7 reason=banned id=");
    // The front end's own address is met as little.
    order(
        "ban force 127.0.0.1 1h",
        "!! 127.0.0.1 is the loopback address: front ends come from there",
    );
}
