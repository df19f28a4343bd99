//! Monitoring over HTTP, as a scraper meets it, and as a client that breaks the rules does. What needs promtool is
//! reported as ignored where there is none.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Trial};
use rustix::process::Signal;
use support::eventually;
use support::http::{self, Answer};
use support::person::Person;
use support::programs::is_installed;
use support::server::{chatd, Server};
use support::session::{deafen, value};

fn main() {
    let arguments = Arguments::from_args();
    let trials = [
        trial("pages are got by GET and HEAD", pages_and_methods),
        trial("what is no request is refused with a status", refusals),
        trial("a request may come in pieces", pieces),
        trial("a request has 4k", requests_have_a_size),
        trial("who asks for nothing is let go", silence_ends),
        trial("a seventeenth waits until another one goes", seventeenth),
        trial(
            "who does not take their answer delays nobody",
            slow_scrapers,
        ),
        trial("readyz tells when the server is full", full),
        trial("readyz tells when the server stops, to its end", stopping),
        trial("every series is there from the start", all_from_the_start),
        trial("what people do is counted exactly", exact_counts),
        trial("why sessions are gone is counted", closes_by_reason),
        trial("descriptors and accepts are counted", descriptors),
        trial("a reload is told of", reloads),
        trial("lines of the log that are lost are counted", lost_lines),
        trial("monitoring is no session", no_session),
        trial("a listener for metrics is handed on by its name", handed_on),
        Trial::test("promtool finds nothing", || {
            promtool_finds_nothing();
            Ok(())
        })
        .with_ignored_flag(!is_installed("promtool")),
    ];
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A server for people, programs and monitoring.
#[track_caller]
fn start(settings: &[&str]) -> Server {
    spawn(&mut chatd(), settings)
}

#[track_caller]
fn spawn(command: &mut Command, settings: &[&str]) -> Server {
    for address in ["telnet", "wire", "metrics"] {
        command.args(["-l", &format!("{address}://127.0.0.1:0")]);
    }
    let usual = ["history-lines=0", "lines-per-second=0"];
    for setting in usual.iter().chain(settings) {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(command);
    server.output.wait_for("listening metrics://");
    server
}

/// Waits until these series have these values.
#[track_caller]
fn expect(server: &Server, expected: &[(&str, f64)]) {
    let mut seen = BTreeMap::new();
    let is_so = |seen: &BTreeMap<String, f64>| {
        expected
            .iter()
            .all(|(name, value)| seen.get(*name) == Some(value))
    };
    let what = format!("{expected:?}");
    eventually(&what, || {
        seen = http::series(server.metrics());
        is_so(&seen)
    });
}

#[track_caller]
fn expect_text(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, body));
    assert_eq!(answer.fields["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.fields["content-length"], body.len().to_string());
    assert_eq!(answer.fields["connection"], "close");
}

fn pages_and_methods() {
    let server = start(&[]);
    let to = server.metrics();
    expect_text(&http::get(to, "/healthz"), 200, "ok");
    expect_text(&http::get(to, "/readyz"), 200, "ok");
    let metrics = http::get(to, "/metrics");
    assert_eq!(metrics.status, 200);
    assert_eq!(
        metrics.fields["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(metrics.fields["connection"], "close");
    assert_eq!(
        metrics.fields["content-length"],
        metrics.body.len().to_string()
    );
    for path in ["/metrics", "/healthz", "/readyz", "/nosuch"] {
        let got = http::get(to, path);
        let head = http::ask(to, format!("HEAD {path} HTTP/1.1\r\n\r\n"));
        assert_eq!(
            (head.status, head.body.as_str()),
            (got.status, ""),
            "{path}"
        );
        assert_eq!(head.fields["content-type"], got.fields["content-type"]);
        let length: usize = head.fields["content-length"].parse().expect("a number");
        // The numbers themselves may be longer or shorter by now.
        assert!(length.abs_diff(got.body.len()) < 1000, "{path}: {length}");
    }
    // A client that speaks an older HTTP, or asks by a whole address, is answered as well.
    let old = http::ask(to, "GET /healthz HTTP/1.0\r\n\r\n");
    expect_text(&old, 200, "ok");
    let whole = http::ask(to, format!("GET http://{to}/readyz?x HTTP/1.1\r\n\r\n"));
    expect_text(&whole, 200, "ok");
}

fn refusals() {
    let server = start(&[]);
    let to = server.metrics();
    for path in ["/", "/metrics/", "/metricsx", "*"] {
        assert_eq!(http::get(to, path).status, 404, "{path}");
        let post = http::ask(to, format!("POST {path} HTTP/1.1\r\n\r\n"));
        assert_eq!(post.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
        let answer = http::ask(to, request);
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.fields["allow"], "GET, HEAD");
        assert_eq!(answer.fields["connection"], "close");
    }
    for garbage in [
        &b"/name ann\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nno field\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: a\0b\r\n\r\n",
    ] {
        let answer = http::ask(to, garbage);
        assert_eq!(answer.status, 400, "{}", garbage.escape_ascii());
    }
    expect_text(&http::get(to, "/healthz"), 200, "ok");
}

fn pieces() {
    let server = start(&[]);
    let mut stream = http::connect(server.metrics());
    stream.set_nodelay(true).expect("a socket");
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for byte in request {
        stream.write_all(&[*byte]).expect("it is taken");
    }
    // A client that has sent its whole request may end its side.
    stream.shutdown(Shutdown::Write).expect("connected");
    expect_text(&http::answer(stream), 200, "ok");
    // Of several requests the first one is answered.
    let answer = http::ask(server.metrics(), request.repeat(3));
    expect_text(&answer, 200, "ok");
}

fn requests_have_a_size() {
    let server = start(&[]);
    let to = server.metrics();
    let request = |bytes: usize| {
        let start = "GET /healthz HTTP/1.1\r\nX: ";
        let filler = "x".repeat(bytes - start.len() - 4);
        format!("{start}{filler}\r\n\r\n")
    };
    expect_text(&http::ask(to, request(4096)), 200, "ok");
    assert_eq!(http::ask(to, request(4097)).status, 431);
    assert_eq!(http::ask(to, request(60_000)).status, 431);
    let fields = "X: y\r\n".repeat(100);
    let many = format!("GET /healthz HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(http::ask(to, many).status, 431);
}

fn silence_ends() {
    let server = start(&[]);
    let to = server.metrics();
    let mut silent = [http::connect(to), http::connect(to), http::connect(to)];
    silent[1]
        .write_all(b"GET /metrics HT")
        .expect("it is taken");
    silent[2].write_all(b"\r\n").expect("it is taken");
    for mut stream in silent {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).expect("the end");
        assert_eq!(got, b"");
    }
}

fn seventeenth() {
    let server = start(&[]);
    let to = server.metrics();
    let mut silent: Vec<TcpStream> = (0..16).map(|_| http::connect(to)).collect();
    let mut next = http::connect(to);
    next.write_all(b"GET /healthz HTTP/1.1\r\n\r\n")
        .expect("the kernel takes it");
    // People do not wait for that.
    server.join("ann").expect_silence();
    drop(silent.pop());
    expect_text(&http::answer(next), 200, "ok");
}

fn slow_scrapers() {
    let server = start(&["send-buffer-bytes=4k"]);
    let to = server.metrics();
    let slow: Vec<TcpStream> = (0..15)
        .map(|_| {
            let mut stream = support::session::connect_narrow(to);
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\n\r\n")
                .expect("it is taken");
            stream
        })
        .collect();
    let (mut ann, mut bob) = support::session::ann_and_bob(&server);
    ann.say("hello");
    bob.expect("<ann> hello");
    expect_text(&http::get(to, "/healthz"), 200, "ok");
    drop(slow);
}

/// Waits until newcomers find no room, which must be for this reason.
#[track_caller]
fn expect_unready(server: &Server, why: &str) {
    let to = server.metrics();
    eventually(why, || http::get(to, "/readyz").status == 503);
    expect_text(&http::get(to, "/readyz"), 503, why);
    expect_text(&http::get(to, "/healthz"), 200, "ok");
    let head = http::ask(to, "HEAD /readyz HTTP/1.1\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (503, ""));
}

fn full() {
    let server = start(&["sessions-max=2"]);
    let to = server.metrics();
    let (ann, bob) = (server.join("ann"), server.join("bob"));
    expect_unready(&server, "full");
    expect(
        &server,
        &[("chatd_accepting", 1.0), ("chatd_sessions_max", 2.0)],
    );
    drop(bob);
    eventually("there is room again", || {
        http::get(to, "/readyz").status == 200
    });
    drop(ann);
}

fn stopping() {
    let mut server = start(&[
        "send-buffer-bytes=4k",
        "drain-seconds=3600",
        "queue-bytes-max=64m",
        "queue-bytes-soft=64m",
    ]);
    let deaf = deafen(&server, 1);
    // A session that does not read keeps it from ending.
    server.signal(Signal::TERM);
    expect_unready(&server, "stopping");
    expect(
        &server,
        &[
            ("chatd_accepting", 0.0),
            ("chatd_sessions{dialect=\"telnet\",state=\"draining\"}", 1.0),
        ],
    );
    assert!(
        TcpStream::connect(server.telnet()).is_err(),
        "nobody is let in any more"
    );
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    drop(deaf);
}

/// The names in the table of the documentation.
fn documented() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = fs::read_to_string(path).expect("it is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned()));
    // A program without TLS has no certificate to tell of.
    let is_told = |name: &String| cfg!(feature = "tls") || !name.starts_with("chatd_tls_");
    let names = names.filter(|name| !name.starts_with('/'));
    names.filter(is_told).collect()
}

fn all_from_the_start() {
    let server = start(&[]);
    let before = http::series(server.metrics());
    let text = http::get(server.metrics(), "/metrics").body;
    let told: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(told, documented());
    let nonzero: BTreeSet<&str> = before
        .iter()
        .filter(|(_, value)| **value != 0.0)
        .map(|(name, _)| name.split(['{', ' ']).next().unwrap_or_default())
        .collect();
    let expected = [
        "chatd_accepting",
        "chatd_build_info",
        "chatd_last_reload_successful",
        "chatd_memory_max_bytes",
        "chatd_phase_seconds_total",
        "chatd_rooms",
        "chatd_sessions_max",
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ];
    let turns = [
        "chatd_turn_seconds_bucket",
        "chatd_turn_seconds_count",
        "chatd_turn_seconds_sum",
    ];
    let expected: BTreeSet<&str> = expected.into_iter().chain(turns).collect();
    assert!(nonzero.is_subset(&expected), "{nonzero:?}");
    let (mut ann, mut bob) = support::session::ann_and_bob(&server);
    ann.say("hello");
    bob.expect("<ann> hello");
    server.program();
    drop((ann, bob));
    let after = http::series(server.metrics());
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
}

/// Counts what goes over one connection of somebody who talks.
struct Talker {
    stream: TcpStream,
    sent: u64,
}

impl Talker {
    fn connect(to: SocketAddr) -> Self {
        Self {
            stream: http::connect(to),
            sent: 0,
        }
    }

    fn send(&mut self, bytes: &str) {
        self.stream
            .write_all(bytes.as_bytes())
            .expect("it is taken");
        self.sent += bytes.len() as u64;
    }

    /// Reads to the end; gives how many bytes there were since `seen`.
    fn read_to_end(mut self, seen: u64) -> (u64, u64) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("the end");
        (self.sent, seen + rest.len() as u64)
    }
}

fn exact_counts() {
    let server = start(&[]);
    let mut ann = Talker::connect(server.telnet());
    let mut bot = Talker::connect(server.wire());
    expect(
        &server,
        &[
            ("chatd_opens_total{dialect=\"telnet\"}", 1.0),
            ("chatd_opens_total{dialect=\"wire\"}", 1.0),
            ("chatd_sessions{dialect=\"telnet\",state=\"open\"}", 1.0),
            ("chatd_sessions{dialect=\"wire\",state=\"open\"}", 1.0),
            ("chatd_present", 0.0),
            ("chatd_lines_in_total{dialect=\"telnet\"}", 0.0),
            ("chatd_delivery_seconds_count", 0.0),
        ],
    );
    // One line a round: the next one is said when this one was heard.
    for round in 1..=5_u32 {
        ann.send(&format!("line {round}\r\n"));
        expect(
            &server,
            &[
                ("chatd_lines_in_total{dialect=\"telnet\"}", round.into()),
                ("chatd_delivery_seconds_count", round.into()),
                ("chatd_delivery_seconds_bucket{le=\"+Inf\"}", round.into()),
                ("chatd_present", 1.0),
            ],
        );
    }
    bot.send("PING a\nPING b\nPING c\n");
    expect(&server, &[("chatd_lines_in_total{dialect=\"wire\"}", 3.0)]);
    ann.send("/quit\r\n");
    bot.stream.shutdown(Shutdown::Write).expect("connected");
    let sums = [ann.read_to_end(0), bot.read_to_end(0)];
    let (sent, got) = sums
        .iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let as_float = |count: u64| f64::from(u32::try_from(count).expect("few bytes"));
    expect(
        &server,
        &[
            ("chatd_closes_total{reason=\"quit\"}", 1.0),
            ("chatd_closes_total{reason=\"eof\"}", 1.0),
            ("chatd_sessions{dialect=\"telnet\",state=\"open\"}", 0.0),
            ("chatd_sessions{dialect=\"telnet\",state=\"draining\"}", 0.0),
            (
                "chatd_sessions{dialect=\"telnet\",state=\"lingering\"}",
                0.0,
            ),
            ("chatd_sessions{dialect=\"wire\",state=\"open\"}", 0.0),
            ("chatd_lines_in_total{dialect=\"telnet\"}", 6.0),
            ("chatd_lines_in_total{dialect=\"wire\"}", 3.0),
            ("chatd_received_bytes_total", as_float(sent)),
            ("chatd_sent_bytes_total", as_float(got)),
            ("chatd_queued_bytes", 0.0),
            ("chatd_input_bytes", 0.0),
            ("chatd_pauses_total", 0.0),
        ],
    );
    // The log says the same.
    server.log.wait_for_count(" close id=", 2);
    let closes = server.log.matching(" close id=");
    let sum = |key| {
        let numbers = closes.iter().map(|line| value(line, key).parse::<u64>());
        numbers.map(|number| number.expect("a number")).sum::<u64>()
    };
    assert_eq!((sum("lines_in"), sum("bytes_out")), (9, got));
}

fn closes_by_reason() {
    let server = start(&["sessions-max=2", "lines-per-second=1", "lines-burst=3"]);
    let mut ann = server.connect();
    ann.skip_greeting();
    let mut bob = server.connect();
    bob.skip_greeting();
    let mut cut = Person::connect(server.telnet());
    cut.read_to_end();
    expect(
        &server,
        &[
            ("chatd_opens_total{dialect=\"telnet\"}", 3.0),
            ("chatd_closes_total{reason=\"full\"}", 1.0),
        ],
    );
    bob.send(b"GET / HTTP/1.1\r\n\r\n");
    bob.read_to_end();
    expect(
        &server,
        &[("chatd_closes_total{reason=\"wrong-protocol\"}", 1.0)],
    );
    (0..5).for_each(|line| ann.say(&format!("line {line}")));
    eventually("ann is paused", || {
        http::series(server.metrics())["chatd_pauses_total"] >= 1.0
    });
    ann.reset();
    expect(&server, &[("chatd_closes_total{reason=\"reset\"}", 1.0)]);
    // People who take nothing are blocked.
    let server = start(&["send-buffer-bytes=4k", "queue-bytes-max=64m"]);
    let deaf = deafen(&server, 1);
    eventually("somebody is blocked", || {
        let series = http::series(server.metrics());
        series["chatd_blocked"] >= 1.0 && series["chatd_queued_bytes"] > 0.0
    });
    drop(deaf);
    expect(
        &server,
        &[("chatd_blocked", 0.0), ("chatd_queued_bytes", 0.0)],
    );
}

fn descriptors() {
    let server = start(&[]);
    let outside = || {
        let folder = format!("/proc/{}/fd", server.pid());
        fs::read_dir(folder).expect("it runs").count() as u64
    };
    let people: Vec<Person> = (0..20).map(|_| server.connect()).collect();
    expect(
        &server,
        &[("chatd_sessions{dialect=\"telnet\",state=\"open\"}", 20.0)],
    );
    let told = http::series(server.metrics())["process_open_fds"];
    // The connection that asks is one as well, and those that asked before may not be closed yet.
    let expected = f64::from(u32::try_from(outside()).expect("few"));
    assert!(
        (expected..=expected + 16.0).contains(&told),
        "{told} of {expected}"
    );
    let report = server.report();
    eventually("the report tells what is open", || {
        server.report()["descriptors"] == outside()
    });
    assert!(!report.contains_key("socket"));
    drop(people);
    // A shortage is counted, and what comes is let in when there is a descriptor again.
    let raised = 1000;
    server.leave_no_descriptor();
    let waiting = TcpStream::connect(server.telnet()).expect("the kernel takes it");
    server.log.wait_for("WARN cannot accept, trying again: ");
    server.limit_descriptors(raised);
    eventually("it was counted", || {
        http::series(server.metrics())["chatd_accept_failures_total{kind=\"shortage\"}"] >= 1.0
    });
    drop(waiting);
}

fn reloads() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("chatd-metrics-motd-{}", std::process::id()));
    fs::write(&path, "hello\n").expect("a file");
    let server = start(&[&format!("motd-file={}", path.display())]);
    let series = || {
        let series = http::series(server.metrics());
        let at = series["chatd_last_reload_success_timestamp_seconds"];
        let started_at = series["process_start_time_seconds"];
        (series["chatd_last_reload_successful"], at, at >= started_at)
    };
    assert_eq!(series(), (1.0, 0.0, false));
    fs::remove_file(&path).expect("it is there");
    server.signal(Signal::HUP);
    eventually("it failed", || series() == (0.0, 0.0, false));
    fs::write(&path, "hello\n").expect("a file");
    server.signal(Signal::HUP);
    eventually("it went well", || {
        let (is_good, _, is_later) = series();
        is_good > 0.5 && is_later
    });
    fs::remove_file(&path).expect("it is there");
}

fn lost_lines() {
    let mut command = chatd();
    for address in ["telnet", "metrics"] {
        command.args(["-l", &format!("{address}://127.0.0.1:0")]);
    }
    let mut child = command
        .args(["-o", "sessions-per-address-max=0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    // Nobody reads its log.
    let log = child.stderr.take().expect("it is piped");
    let output = support::server::Lines::collect(child.stdout.take().expect("it is piped"));
    let address = |word: &str| {
        let prefix = format!("listening {word}://");
        let line = output.wait_for(&prefix);
        line[prefix.len()..]
            .parse::<SocketAddr>()
            .expect("an address")
    };
    let (telnet, metrics) = (address("telnet"), address("metrics"));
    eventually("lines are lost", || {
        for _ in 0..50 {
            drop(TcpStream::connect(telnet).expect("it listens"));
        }
        let series = http::series(metrics);
        let lost = |cause| series[&format!("chatd_log_lines_lost_total{{cause=\"{cause}\"}}")];
        lost("rate") + lost("blocked") > 0.0
    });
    drop(log);
    let _ = child.kill();
    let _ = child.wait();
}

fn no_session() {
    let server = start(&["sessions-max=1"]);
    let before = server.report();
    let mut ann = server.connect();
    ann.skip_greeting();
    for _ in 0..20 {
        http::series(server.metrics());
        http::ask(server.metrics(), "nonsense\r\n");
    }
    let report = server.report();
    assert_eq!((report["sessions"], report["opens"]), (1, 1));
    assert_eq!(server.log.matching(" open ").len(), 1);
    drop(ann);
    support::session::expect_at_rest(&server, &before);
}

fn handed_on() {
    use command_fds::{CommandFdExt, FdMapping};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = listener.local_addr().expect("it listens");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"LISTEN_PID=$$ exec "$0""#])
        .arg(env!("CARGO_BIN_EXE_chatd"))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "metrics")
        .fd_mappings(vec![FdMapping {
            parent_fd: listener.into(),
            child_fd: 3,
        }])
        .expect("one number");
    let mut server = Server::spawn(&mut command);
    server.output.wait_for(&format!("listening metrics://{to}"));
    expect_text(&http::get(to, "/readyz"), 200, "ok");
    assert_eq!(server.stop().code(), Some(0));
}

fn promtool_finds_nothing() {
    let server = start(&[]);
    server.join("ann").say("hello");
    let text = http::get(server.metrics(), "/metrics").body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let mut input = promtool.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes()).expect("it is taken");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let found = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&found), "");
    assert!(output.status.success());
}
