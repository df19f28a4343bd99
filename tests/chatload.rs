//! The load test itself, tested: what it says of a server that is well, of one that leaks, and of none.

#![cfg(target_os = "linux")]

mod support;

use std::net::SocketAddr;
use std::process::{Command, Output};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use support::planted;
use support::server::Server;

/// A round like that of the story, in a second. All that one client hears fits into its queue and the kernel's
/// buffers, so that nobody is too slow for it however slow the machine is.
const SHORT: [&str; 6] = [
    "--clients",
    "500",
    "--interval",
    "0.02-0.06",
    "--message-bytes",
    "48",
];

/// Rust links with one, so it is hardly ever missing where this was built.
const NO_COMPILER: &str = "a leak is planted with a C compiler, `cc`";

fn chatload() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatload"));
    command.env_remove("RUST_LOG").env_remove("RUST_LOG_STYLE");
    // Where a heap profile goes, if that is built in.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it with `--json`; gives the report, which must go with the exit status.
#[track_caller]
fn report(command: &mut Command) -> Value {
    let output = run(command.arg("--json"));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let passed = report["verdict"] == "PASS";
    assert_eq!(output.status.code(), Some(i32::from(!passed)), "{report:#}");
    report
}

/// One line, and nothing on standard output.
#[track_caller]
fn complaint(command: &mut Command, status: i32) -> String {
    let output = run(command);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{complaint}");
    assert_eq!(text(&output.stdout), "");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint
}

#[test]
fn a_short_round_with_a_server_of_its_own_passes() {
    let report = report(chatload().args(SHORT));
    assert_eq!(report["verdict"], "PASS", "{report:#}");
    for round in report["rounds"].as_array().expect("rounds") {
        for (key, value) in [
            ("connected", 500),
            ("sent", 5500),
            ("expected", 2_744_500),
            ("received", 2_744_500),
            ("lost", 0),
            ("duplicated", 0),
            ("out_of_order", 0),
            ("client_opens", 500),
            ("client_closes", 500),
            ("server_opens", 500),
            ("server_closes", 500),
        ] {
            assert_eq!(round[key], value, "{key}: {round:#}");
        }
        assert_eq!(
            round["before"]["descriptors"],
            round["after"]["descriptors"]
        );
        assert_eq!(round["after"]["sessions"], 0);
        assert!(round["latency_us"]["max"].as_u64() > Some(0), "{round:#}");
    }
}

#[test]
fn who_stalls_breaks_off_or_takes_turns_harms_nobody() {
    let report = report(chatload().args([
        "--clients",
        "60",
        "--interval",
        "0.02-0.06",
        "--rounds",
        "2",
        "--churn",
        "--stall",
        "5",
        "--abort",
        "10",
        "--storm",
    ]));
    assert_eq!(report["verdict"], "PASS", "{report:#}");
    let round = &report["rounds"][1];
    // Half of those who neither stall nor break off have somebody come after them.
    assert_eq!(round["server_opens"], 60 + 22, "{round:#}");
    assert_eq!(round["connected"], 60);
}

#[test]
fn a_running_server_is_loaded_in_either_dialect_and_watched() {
    let server = Server::start(&["history-lines=20"]);
    let targets = [
        format!("wire://{}", server.wire()),
        format!("telnet://{}", server.telnet()),
    ];
    for target in targets {
        let report = report(
            chatload()
                .args(["--clients", "50", "--interval", "0.02-0.06"])
                // The second time the server shows newcomers what was said the first time.
                .args(["--rounds", "2"])
                .args(["--pid", &server.pid().to_string(), &target]),
        );
        assert_eq!(report["verdict"], "PASS", "{report:#}");
        let round = &report["rounds"][1];
        assert_eq!(round["received"], 50 * 49 * 11);
        assert_eq!(round["after"]["threads"], 1);
        assert!(round["server_opens"].is_null(), "the log is not seen");
        assert!(report["not_watched"].is_string());
    }
}

#[test]
fn rooms_are_kept_apart_by_a_server_that_is_well() {
    let server = Server::start(&["rooms-max=10"]);
    // The second one has rooms for all, and newcomers pass through the lobby while others talk there.
    for target in [
        vec!["--rooms", "300", "--storm"],
        vec!["--rooms", "11", &format!("wire://{}", server.wire())],
        vec!["--rooms", "11", &format!("telnet://{}", server.telnet())],
    ] {
        let report = report(
            chatload()
                .args(["--clients", "600", "--interval", "0.02-0.06"])
                .args(["--churn", "--abort", "30"])
                .args(&target),
        );
        assert_eq!(report["verdict"], "PASS", "{report:#}");
        let round = &report["rounds"][0];
        assert_eq!(round["connected"], 600, "{round:#}");
        assert_eq!(round["leaked"], 0);
        assert!(round["received"].as_u64() > Some(0), "{round:#}");
    }
}

#[test]
fn rooms_that_are_refused_fail() {
    let server = Server::start(&["rooms-max=2"]);
    let report = report(
        chatload()
            .args(["--clients", "20", "--rooms", "5", "--messages", "2"])
            .args(["--interval", "0.01", &format!("wire://{}", server.wire())]),
    );
    assert_fails_for(&report, "12 of 20 clients connected");
    assert_fails_for(&report, "8 x refused: there are 2 rooms already");
}

#[test]
fn lines_in_wrong_rooms_twice_or_late_fail() {
    let address = careless::serve();
    let report = report(
        chatload()
            .args(["--clients", "20", "--rooms", "5", "--messages", "12"])
            .args(["--interval", "0.01", &format!("wire://{address}")]),
    );
    let round = &report["rounds"][0];
    assert_eq!(round["lost"], 0, "{round:#}");
    // Of twelve messages three each, to the three others of the room or to the sixteen of other rooms.
    assert_fails_for(&report, &format!("{} deliveries duplicated", 20 * 3 * 3));
    assert_fails_for(&report, &format!("{} deliveries out of order", 20 * 3 * 3));
    assert_fails_for(&report, &format!("{} heard in a wrong room", 20 * 3 * 16));
}

/// A server of the wire dialect that is careless with every fourth message of each client.
mod careless {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};
    use std::thread;

    /// Who is there: the room, and where to write.
    type Members = Arc<Mutex<Vec<(String, TcpStream)>>>;

    pub(super) fn serve() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let members = Members::default();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let members = Arc::clone(&members);
                thread::spawn(move || attend(stream, &members));
            }
        });
        address
    }

    fn attend(stream: TcpStream, members: &Members) {
        let own = stream.peer_addr().expect("it is connected");
        let lines = BufReader::new(stream.try_clone().expect("a descriptor")).lines();
        members
            .lock()
            .expect("no poison")
            .push((String::new(), stream));
        let mut chats = Vec::new();
        // Until it asks to leave, or is gone.
        for line in lines.map_while(Result::ok) {
            let mut members = members.lock().expect("no poison");
            let Some(at) = place_of(own, &members) else {
                return;
            };
            match line.split(' ').next() {
                Some("NAME") => answer(&members[at].1, &line),
                Some("JOIN") => {
                    members[at].0.clone_from(&line);
                    answer(&members[at].1, &line);
                }
                Some("CHAT") => {
                    chats.push(line);
                    say(&chats, at, &members);
                }
                _ => break,
            }
        }
        let mut members = members.lock().expect("no poison");
        if let Some(at) = place_of(own, &members) {
            members.swap_remove(at);
        }
    }

    fn place_of(own: SocketAddr, members: &[(String, TcpStream)]) -> Option<usize> {
        let is_own = |stream: &TcpStream| stream.peer_addr().is_ok_and(|address| address == own);
        members.iter().position(|(_, stream)| is_own(stream))
    }

    /// Of four, the first goes to everybody, the second comes behind the third, and the fourth comes twice.
    fn say(chats: &[String], author: usize, members: &[(String, TcpStream)]) {
        let (last, before) = chats.split_last().expect("one was said");
        let told: &[&String] = match before.len() % 4 {
            0 => &[last],
            1 => &[],
            2 => &[last, &before[before.len() - 1]],
            _ => &[last, last],
        };
        for (at, (room, stream)) in members.iter().enumerate() {
            let is_for_it = *room == members[author].0 || before.len() % 4 == 0;
            if at != author && is_for_it {
                for line in told {
                    answer(stream, line);
                }
            }
        }
    }

    fn answer(mut stream: &TcpStream, line: &str) {
        // A client that has gone does not hear it.
        let _ = stream.write_all(format!("{line}\n").as_bytes());
    }
}

#[test]
fn a_leak_in_its_own_server_fails() {
    let leak = planted::leak().expect(NO_COMPILER);
    let report = report(
        chatload()
            .args(SHORT)
            .args(["--messages", "2"])
            .env("LD_PRELOAD", leak),
    );
    assert_fails_for(&report, "descriptors: ");
}

#[test]
fn a_leak_in_another_server_fails() {
    let leak = planted::leak().expect(NO_COMPILER);
    let mut command = planted::leaking_chatd(&leak);
    let server =
        Server::spawn(command.args(["-l", "wire://127.0.0.1:0", "-o", "lines-per-second=0"]));
    let report = report(
        chatload()
            .args(SHORT)
            .args(["--messages", "2"])
            .args(["--pid", &server.pid().to_string()])
            .arg(format!("wire://{}", server.wire())),
    );
    assert_fails_for(&report, "descriptors: ");
}

#[track_caller]
fn assert_fails_for(report: &Value, reason: &str) {
    assert_eq!(report["verdict"], "FAIL", "{report:#}");
    let reasons = report["reasons"].as_array().expect("reasons");
    let named = reasons
        .iter()
        .any(|found| found.as_str().is_some_and(|found| found.contains(reason)));
    assert!(named, "{reasons:?}");
}

#[test]
fn a_target_that_is_not_there_is_one_line() {
    // A port that is taken, so that nobody else gets it, and at which nobody listens.
    let nobody = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    nobody.bind(&any.into()).expect("a free port");
    let address = nobody.local_addr().expect("it is bound").as_socket();
    let target = format!("wire://{}", address.expect("an address of IPv4"));
    let complaint = complaint(chatload().arg(&target), 1);
    assert!(complaint.contains(&target), "{complaint}");
    assert!(complaint.contains("nobody is there"), "{complaint}");
}

#[test]
fn other_machines_are_not_loaded() {
    // An address for documentation (RFC 5737), to which nothing is sent.
    let complaint = complaint(chatload().arg("wire://192.0.2.1:3334"), 2);
    assert!(complaint.contains("not this machine"), "{complaint}");
}

#[test]
fn wrong_usage_is_one_line() {
    for arguments in [
        &["--clients", "none"][..],
        &["--interval", "3-1"],
        &["--no-such-option"],
        &["udp://127.0.0.1:1"],
        &["--pid", "1"],
        &["--rooms", "0"],
        &["--clients", "10", "--rooms", "11"],
        &["--pid", "1", "--pid", "2", "wire://127.0.0.1:1"],
        &["--clients", "2", "wire://h:1", "wire://h:2", "wire://h:3"],
        &["wire://127.0.0.1:1", "wire://127.0.0.1:1"],
    ] {
        complaint(chatload().args(arguments), 2);
    }
    let server = Server::start(&[]);
    let no_process = complaint(
        chatload().args(["--pid", "4194999", &format!("wire://{}", server.wire())]),
        1,
    );
    assert!(no_process.contains("4194999"), "{no_process}");
}

#[test]
fn the_report_for_people_ends_in_the_verdict_and_csv_has_a_line_for_each_round() {
    let quick = ["--clients", "10", "--messages", "2", "--interval", "0.01"];
    let output = run(chatload().args(quick));
    let report = text(&output.stdout);
    assert!(
        report.contains("180 expected, 180 received: 0 lost"),
        "{report}"
    );
    assert!(report.ends_with("\nPASS\n"), "{report}");
    let output = run(chatload().args(quick).args(["--rounds", "3", "--csv"]));
    let csv = text(&output.stdout);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 4, "{csv}");
    assert!(
        lines[0].starts_with("round,verdict,connected,sent,"),
        "{csv}"
    );
    assert!(lines[3].starts_with("3,PASS,10,20,"), "{csv}");
    let columns = |line: &str| line.split(',').count();
    assert!(
        lines.iter().all(|line| columns(line) == columns(lines[0])),
        "{csv}"
    );
}
