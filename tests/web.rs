//! Browsers over real sockets: the page, its socket, and what happens at the door.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use support::browser::Browser;
use support::operator::Place;
use support::server::{chatd, Server};
use support::{eventually, DEADLINE};
use tungstenite::Message;

/// As many connections as may wait at one listener.
const WAITING_MAX: usize = 256;

fn server(settings: &[&str]) -> Server {
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0", "-l", "http://127.0.0.1:0"]);
    for setting in settings {
        command.args(["-o", setting]);
    }
    // A key is in no log, whatever that is asked for.
    let server = Server::spawn(command.env("RUST_LOG", "trace"));
    server.output.wait_for("listening http://");
    server
}

fn http(server: &Server) -> SocketAddr {
    server.address("http")
}

fn open(server: &Server) -> Browser {
    let browser = Browser::open(http(server), "", &[]);
    browser.unwrap_or_else(|refused| panic!("{refused:?}"))
}

/// What is answered to these bytes until the server closes, which it does if they ask for that.
fn answer(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("it listens");
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("a TCP socket");
    stream.write_all(bytes).expect("it listens");
    let mut read = Vec::new();
    stream.read_to_end(&mut read).expect("it closes");
    String::from_utf8(read).expect("UTF-8")
}

fn get(to: SocketAddr, path: &str, fields: &str) -> String {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
    answer(to, head.as_bytes())
}

#[test]
fn the_page_is_served_with_its_policy_and_once() {
    let server = server(&[]);
    let page = get(http(&server), "/", "");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    assert_eq!(field("Content-Length"), Some(&*body.len().to_string()));
    assert_eq!(field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(field("Cache-Control"), Some("no-cache"));
    assert_eq!(field("Server"), None);
    assert!(field("Content-Security-Policy")
        .unwrap()
        .starts_with("default-src 'none'; "));
    let port = server.telnet().port();
    assert!(
        body.contains(&format!("port {port}")),
        "without a script: {body}"
    );
    let tag = field("ETag").unwrap();
    let known = get(http(&server), "/", &format!("If-None-Match: {tag}\r\n"));
    assert!(
        known.starts_with("HTTP/1.1 304 Not Modified\r\n"),
        "{known}"
    );
    assert!(known.ends_with("\r\n\r\n"));
}

#[test]
fn a_browser_and_a_telnet_hear_each_other() {
    let server = server(&[]);
    let mut bob = server.join("bob");
    let mut ann = open(&server);
    let hi = ann.read();
    assert_eq!(hi["t"], "hi");
    assert_eq!(
        (&hi["here"], &hi["n"]),
        (&serde_json::json!(["bob"]), &1.into())
    );
    ann.expect(r#"{"t":"old","lines":[]}"#);
    ann.say("/name ann");
    ann.expect(r#"{"t":"you","n":"ann"}"#);
    bob.expect("-- ann joined (2 here)");
    ann.say("hello <b> 老罗 \"x\"");
    bob.expect("<ann> hello <b> 老罗 \"x\"");
    let said = ann.read();
    assert_eq!((&said["t"], &said["i"]), (&"said".into(), &1.into()));
    assert_eq!(said["x"], "hello <b> 老罗 \"x\"");
    bob.say("/me waves");
    bob.expect("* bob waves");
    let did = ann.read();
    assert_eq!(
        (&did["t"], &did["n"], &did["x"]),
        (&"did".into(), &"bob".into(), &"waves".into())
    );
    bob.say("/msg ann psst");
    bob.expect("[to ann] psst");
    ann.expect(r#"{"t":"told","n":"bob","x":"psst"}"#);
    ann.say("/msg bob psst yourself");
    ann.expect(r#"{"t":"you-told","n":"bob","x":"psst yourself"}"#);
    bob.expect("[ann] psst yourself");
    for refused in ["/edit on", "/time on", "/bell on"] {
        ann.say(refused);
        ann.expect(r#"{"t":"fail","x":"that is for terminals"}"#);
    }
    ann.say("two\nlines");
    ann.expect(r#"{"t":"fail","x":"a message is one line; not sent"}"#);
    ann.say(&"x".repeat(5000));
    ann.expect(r#"{"t":"fail","x":"line too long: 5000 bytes, at most 4096; not sent"}"#);
    ann.say("/join games");
    ann.expect(r#"{"t":"note","x":"you left lobby and are in games, a new room"}"#);
    ann.expect(r#"{"t":"room","room":"games","here":["ann"],"n":1,"listening":0}"#);
    ann.expect(r#"{"t":"old","lines":[]}"#);
    bob.expect("-- ann left for games (1 here)");
    bob.say("/quit");
    ann.say("/quit");
    ann.expect(r#"{"t":"bye","x":"goodbye"}"#);
    assert_eq!(ann.expect_close(), 1000);
}

#[test]
fn a_page_whose_connection_breaks_comes_back_and_nobody_hears_of_it() {
    let server = server(&[]);
    let mut bob = server.join("bob");
    let mut ann = open(&server);
    let hi = ann.read();
    ann.say("/name ann");
    ann.skip_until("you");
    bob.expect("-- ann joined (2 here)");
    ann.say("one");
    bob.expect("<ann> one");
    let heard = ann.skip_until("said")["i"].clone();
    ann.stream().shutdown(Shutdown::Both).unwrap();
    eventually("its connection is known to be broken", || {
        bob.say("/who");
        bob.read_line().unwrap() == "-- 2 here: bob, ann (unreachable)"
    });
    bob.say("two");
    let text = |key: &str| hi[key].as_str().unwrap().to_owned();
    let query = format!("?run={}&i={heard}&key={}", text("run"), text("key"));
    let mut ann = Browser::open(http(&server), &query, &[]).unwrap_or_else(|it| panic!("{it:?}"));
    let again = ann.read();
    assert_eq!((&again["you"], &again["run"]), (&"ann".into(), &hi["run"]));
    let old = ann.read();
    let words: Vec<_> = old["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["x"])
        .collect();
    assert_eq!(words, ["two"]);
    ann.say("three");
    bob.expect("<ann> three");
    server.log.wait_for("close id=2 name=ann reason=replaced");
    assert_eq!(
        server.log.matching(&text("key")),
        [""; 0],
        "keys are in no log"
    );
    // The same page in another window.
    let query = format!(
        "?run={}&i={heard}&key={}",
        text("run"),
        again["key"].as_str().unwrap()
    );
    let mut other = Browser::open(http(&server), &query, &[]).unwrap_or_else(|it| panic!("{it:?}"));
    assert_eq!(other.read()["you"], "ann");
    ann.skip_until("bye");
    assert_eq!(ann.expect_close(), 1008);
    // A key that was used is void: they are somebody new.
    let mut late = Browser::open(http(&server), &query, &[]).unwrap_or_else(|it| panic!("{it:?}"));
    assert_ne!(late.read()["you"], "ann");
    other.say("/quit");
    bob.expect("-- ann left (1 here)");
}

#[test]
fn only_pages_of_ours_open_a_socket() {
    let server = server(&["web-host=chat.example.org"]);
    let to = http(&server);
    let port = to.port();
    let of = |host: &str, origin: &str| {
        let opened = Browser::open(to, "", &[("host", host), ("origin", origin)]);
        opened.map_or_else(|(status, _)| status, |_| 101)
    };
    let local = format!("127.0.0.1:{port}");
    assert_eq!(of(&local, &format!("http://{local}")), 101);
    assert_eq!(of("chat.example.org", "https://chat.example.org"), 101);
    assert_eq!(of(&local, "http://evil.example.org"), 403);
    assert_eq!(of(&local, &format!("http://localhost:{port}")), 403);
    assert_eq!(of("evil.example.org", "http://evil.example.org"), 421);
}

#[test]
fn who_cannot_come_in_is_told_so_over_http() {
    let place = Place::new();
    let mut command = chatd();
    command.args(["-l", "http://127.0.0.1:0", "-l", &place.endpoint()]);
    command.args([
        "-o",
        "sessions-per-address-max=1",
        "-o",
        "proxy-from=127.0.0.1",
    ]);
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    let from = |address: &str| Browser::open(http(&server), "", &[("x-forwarded-for", address)]);
    let _first = from("198.51.100.7").unwrap_or_else(|it| panic!("{it:?}"));
    server
        .log
        .wait_for("open id=1 dialect=web from=198.51.100.7:0");
    let refused = from("203.0.113.9, 198.51.100.7").err();
    let many = "goodbye: too many connections from your address\n";
    assert_eq!(refused, Some((429, many.to_owned())));
    let mut operator = place.connect();
    operator.ask("ban 203.0.113.9 1h spam");
    let (status, words) = from("203.0.113.9").err().expect("it is banned");
    assert_eq!(status, 403);
    assert!(
        words.starts_with("goodbye: you are banned until "),
        "{words}"
    );
    let page = get(http(&server), "/", "X-Forwarded-For: 203.0.113.9\r\n");
    assert!(page.starts_with("HTTP/1.1 403 "), "{page}");
    operator.order("drain", "-- newcomers are turned away");
    let draining = "goodbye: the server takes no newcomers just now\n";
    assert_eq!(from("192.0.2.1").err(), Some((503, draining.to_owned())));
}

#[test]
fn the_server_says_why_it_closes() {
    let place = Place::new();
    let mut command = chatd();
    command.args(["-l", "http://127.0.0.1:0", "-l", &place.endpoint()]);
    let mut server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    let mut kicked = open(&server);
    kicked.say("/name ann");
    kicked.skip_until("you");
    place.connect().ask("kick ann flooding");
    assert_eq!(kicked.skip_until("bye")["x"], "you were kicked: flooding");
    assert_eq!(kicked.expect_close(), 1008);
    let mut binary = open(&server);
    binary.send(Message::binary(vec![1, 2, 3]));
    binary.skip_until("old");
    assert_eq!(binary.expect_close(), 1003);
    server.log.wait_for("name=guest2 reason=wrong-protocol");
    let mut last = open(&server);
    last.skip_until("old");
    server.signal(Signal::TERM);
    assert_eq!(last.skip_until("bye")["x"], "the server is going down");
    assert_eq!(last.expect_close(), 1001);
    drop(last);
    server.wait();
}

#[test]
fn requests_may_follow_each_other_and_a_head_may_come_in_pieces() {
    let server = server(&[]);
    let to = http(&server);
    let one = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let all = answer(to, format!("{}{last}", one.repeat(40)).as_bytes());
    assert_eq!(all.matches("HTTP/1.1 404 Not Found\r\n").count(), 41);
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // The first frame may come right behind the head: a masked ping.
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    for byte in [head.as_bytes(), &[0x89, 0x82, 0, 0, 0, 0, b'h', b'i']].concat() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut read = Vec::new();
    let pong = [0x8a, 2, b'h', b'i'];
    while !read.windows(4).any(|window| window == pong) {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).expect("a pong");
        assert_ne!(length, 0);
        read.extend_from_slice(&buffer[..length]);
    }
    assert!(read.starts_with(b"HTTP/1.1 101 "));
}

/// How much of its memory the server uses, in bytes.
fn resident(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .expect("a number");
    kilobytes.parse::<usize>().expect("a number") * 1024
}

#[test]
fn who_asks_and_takes_no_answer_is_not_read_on() {
    let server = server(&[]);
    let before = resident(&server);
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    let greedy: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(http(&server)).expect("it listens");
            stream.set_nonblocking(true).expect("a TCP socket");
            let mut refusals = 0;
            while refusals < 20 {
                // It is full, or was closed.
                if stream.write(&request).is_err() {
                    refusals += 1;
                    thread::sleep(Duration::from_millis(10));
                }
            }
            stream
        })
        .collect();
    assert_eq!(open(&server).read()["t"], "hi");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 2 << 20, "it has grown by {grown} bytes");
    drop(greedy);
}

#[test]
fn those_who_never_finish_a_head_keep_nobody_out() {
    let server = server(&[]);
    let to = http(&server);
    let halves: Vec<TcpStream> = (0..4 * WAITING_MAX)
        .map(|_| {
            let mut stream = TcpStream::connect(to).expect("it listens");
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: loc")
                .expect("it listens");
            stream
        })
        .collect();
    let mut ann = open(&server);
    assert_eq!(ann.read()["t"], "hi");
    assert!(get(to, "/", "").starts_with("HTTP/1.1 200 OK\r\n"));
    drop(halves);
}
