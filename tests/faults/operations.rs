//! Descriptors, signals, ports and the end: what the operator's side does.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{getrlimit, kill_process, prlimit, Pid, Resource, Rlimit, Signal};

use super::session::{connect_narrow, expect_close, value};
use super::support::person::Person;
use super::support::server::{chatd, Server};
use super::support::{eventually, DEADLINE};
use super::{trial_if, Test};

pub(crate) const TESTS: &[Test] = tests![
    f009_a_low_limit_of_descriptors_is_told_of,
    f009_too_few_descriptors_are_an_error,
    f104_a_log_that_nobody_reads_stops_nobody,
    f106_a_report_is_short_whoever_is_there,
    f114_f118_a_restart_under_a_supervisor_refuses_nobody,
    f115_a_port_is_not_shared,
    f116_it_stops_in_the_middle_of_everything,
];

/// Tests that need a program.
pub(crate) fn trials() -> Vec<Trial> {
    let openssl = Command::new("openssl").arg("version").output().is_ok();
    vec![trial_if(
        openssl,
        (
            "f064_a_client_of_tls_is_refused",
            f064_a_client_of_tls_is_refused,
        ),
    )]
}

/// A chatd with so many descriptors at most.
fn limited(descriptors: u32) -> Command {
    let mut command = Command::new("sh");
    let limit = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    command.args(["-c", &limit]).arg(chatd().get_program());
    command.args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
    command
}

fn f009_a_low_limit_of_descriptors_is_told_of() {
    let mut server = Server::spawn(limited(80).args(["-o", "sessions-max=1000"]));
    server.output.wait_for("listening wire://");
    let warning = "sessions-max is lowered from 1000 to 16: the descriptor limit is 80";
    server.log.wait_for(warning);
    let mut people: Vec<Person> = (0..16).map(|_| server.connect()).collect();
    people.iter_mut().for_each(Person::skip_greeting);
    // What is kept back is enough for many who are refused at the same time.
    let mut refused: Vec<Person> = (0..100).map(|_| server.connect()).collect();
    for person in &mut refused {
        person.expect("!! goodbye: the server is full");
        person.expect_end();
    }
    drop((people, refused));
    server.log.wait_for_count(" close id=", 116);
    assert_eq!(server.stop().code(), Some(0));
    let warnings = server.log.matching(" WARN ");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
}

fn f009_too_few_descriptors_are_an_error() {
    let mut server = Server::spawn(&mut limited(64));
    assert_eq!(server.wait().code(), Some(1));
    assert_eq!(
        server.log.all(),
        ["chatd: a descriptor limit of 64 leaves none for sessions: 64 are kept back"]
    );
    assert_eq!(server.output.all(), [""; 0]);
}

fn f104_a_log_that_nobody_reads_stops_nobody() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut chatd = chatd()
        .args(["-l", "127.0.0.1:0", "-o", "history-lines=0"])
        .args(["-o", "lines-per-second=0"])
        .env("RUST_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(writer)
        .spawn()
        .expect("the program can be run");
    let mut line = String::new();
    let stdout = chatd.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("UTF-8");
    let address = line.trim().strip_prefix("listening telnet://");
    let address = address
        .and_then(|address| address.parse().ok())
        .expect("an address");
    let mut ann = Person::connect(address);
    let mut bob = Person::connect(address);
    ann.skip_greeting();
    bob.skip_greeting();
    // More than the pipe and the server's own buffer take, and then nobody reads the log at all.
    for n in 0..3000 {
        drop(TcpStream::connect(address).expect("the server listens"));
        if n % 100 == 0 {
            ann.say(&format!("line {n}"));
            bob.skip_until(&format!("<guest1> line {n}"));
        }
    }
    // What is not in the log is counted.
    let mut log = String::new();
    while ![" WARN dropped ", " WARN suppressed "]
        .iter()
        .any(|told| log.contains(told))
    {
        let mut piece = [0; 4096];
        let waits = Timespec::try_from(DEADLINE).expect("it is short");
        let ready = poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&waits));
        assert_eq!(ready, Ok(1), "nothing told of it in {log}");
        let length = reader.read(&mut piece).expect("a log");
        log += &String::from_utf8_lossy(&piece[..length]);
    }
    drop(reader);
    ann.say("the log is closed");
    bob.skip_until("<guest1> the log is closed");
    drop(Person::connect(address));
    ann.expect_silence();
    let pid = Pid::from_child(&chatd);
    kill_process(pid, Signal::TERM).expect("it runs");
    bob.skip_until("-- goodbye: the server is going down");
    drop((ann, bob));
    assert_eq!(chatd.wait().expect("it is our child").code(), Some(0));
}

fn f106_a_report_is_short_whoever_is_there() {
    let server = Server::start(&[]);
    let mut crowd: Vec<Person> = (0..200).map(|_| server.connect()).collect();
    crowd.iter_mut().for_each(Person::skip_greeting);
    let report = server.report();
    assert_eq!((report["sessions"], report["opens"]), (200, 200));
    let lines = server.log.matching("report ");
    let bytes: usize = lines.iter().map(String::len).sum();
    assert!(bytes < 4096, "{bytes} bytes");
}

/// The listener is opened once and handed to each chatd, as systemd does it; so nobody is ever refused.
fn f114_f118_a_restart_under_a_supervisor_refuses_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let folder = std::env::temp_dir().join(format!("chatd-faults-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let told = UnixDatagram::bind(folder.join("notify")).expect("a socket");
    told.set_read_timeout(Some(DEADLINE)).expect("a socket");
    let tells = |state: &str| {
        let mut message = [0; 1024];
        let length = told.recv(&mut message).expect("a state");
        assert_eq!(String::from_utf8_lossy(&message[..length]).trim(), state);
    };
    for _ in 0..3 {
        // The first connection waits for a server that is not there yet.
        let mut ann = Person::connect(address);
        let mut chatd = Command::new("sh")
            .args(["-c", "LISTEN_PID=$$ exec \"$0\" 3<&0 </dev/null"])
            .arg(chatd().get_program())
            .env("LISTEN_FDS", "1")
            .env("NOTIFY_SOCKET", folder.join("notify"))
            .stdin(OwnedFd::from(listener.try_clone().expect("a descriptor")))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is sh");
        tells("READY=1");
        ann.skip_greeting();
        kill_process(Pid::from_child(&chatd), Signal::TERM).expect("it runs");
        tells("STOPPING=1");
        ann.expect("-- goodbye: the server is going down");
        ann.expect_end();
        drop(ann);
        assert_eq!(chatd.wait().expect("it is our child").code(), Some(0));
    }
    fs::remove_dir_all(&folder).expect("it is there");
}

/// Of two servers that shared a port, one would take connections with it when it goes.
fn f115_a_port_is_not_shared() {
    let server = Server::start(&[]);
    let address = server.telnet().to_string();
    let second = chatd().args(["-l", &address]).output();
    let second = second.expect("the program can be run");
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains(&address), "{told}");
    server.join("ann").expect_silence();
}

/// A stop while descriptors are short, somebody is paused, somebody never reads and somebody is being told goodbye.
fn f116_it_stops_in_the_middle_of_everything() {
    let mut server = Server::start(&[
        "lines-per-second=1",
        "lines-burst=60",
        "send-buffer-bytes=2k",
        "queue-bytes-max=16m",
        "queue-bytes-soft=16m",
        "drain-seconds=0.5",
    ]);
    let deaf = connect_narrow(server.telnet());
    let deaf_address = deaf.local_addr().expect("connected");
    server.log.wait_for(&format!(" from={deaf_address} "));
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    let filler = format!("{}\r\n", "x".repeat(4000)).repeat(100);
    ann.send(filler.as_bytes());
    eventually("something waits", || server.report()["queued_bytes"] > 0);
    let pid = Pid::from_raw(server.pid().try_into().expect("a process id"));
    let limit = Rlimit {
        current: Some(10),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    prlimit(pid, Resource::Nofile, limit).expect("it may be lowered");
    let late = server.connect();
    server.log.wait_for("cannot accept, trying again");
    server.signal(Signal::TERM);
    bob.skip_until("-- goodbye: the server is going down");
    let address = ann.address();
    drop((ann, bob));
    assert_eq!(server.wait().code(), Some(0));
    expect_close(&server, address, "shutdown");
    expect_close(&server, deaf_address, "shutdown");
    let opens = server.log.matching(" open id=").len();
    assert_eq!(server.log.matching(" close id=").len(), opens);
    drop((deaf, late));
}

fn f064_a_client_of_tls_is_refused() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let address = server.telnet().to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address])
        .stdin(Stdio::null())
        .output()
        .expect("it was there a moment ago");
    assert!(!output.status.success());
    let close = server.log.wait_for(" close id=2 ");
    assert_eq!(value(&close, "reason"), "wrong-protocol", "{close}");
    ann.expect_silence();
}
