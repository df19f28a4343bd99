//! Tests that need a network of their own, where nobody else connects and which can be taken down: Linux gives one to
//! anybody (`unshare -rn`), unless that is forbidden.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::{pidfd_getfd, pidfd_open, Pid, PidfdFlags, PidfdGetfdFlags, Signal};
use socket2::{Domain, Socket, TcpKeepalive, Type};

use super::support::eventually;
use super::support::own_network;
use super::support::person::Person;
use super::support::server::{chatd, Server};
use super::support::session::{expect_close, server_inode, value};
use super::Test;

const TESTS: &[Test] = tests![
    f005_five_hundred_connect_while_the_server_stalls,
    f007_one_too_many_from_an_address_is_told_so_and_the_next_one_has_her_place,
    f038_who_vanishes_without_a_word_is_noticed,
    f133_both_families_have_listeners_on_one_port,
];

pub(crate) fn trials() -> Vec<Trial> {
    own_network::trials(TESTS)
}

fn f005_five_hundred_connect_while_the_server_stalls() {
    let server = Server::start(&[]);
    server.signal(Signal::STOP);
    let mut crowd: Vec<Person> = (0..500).map(|_| server.connect()).collect();
    server.signal(Signal::CONT);
    crowd.iter_mut().for_each(Person::skip_greeting);
    // Nobody else uses this network, so the numbers count from nothing.
    let counters = fs::read_to_string("/proc/self/net/netstat").expect("Linux tells");
    let mut lines = counters.lines().filter(|line| line.starts_with("TcpExt:"));
    let (keys, values) = (lines.next().expect("keys"), lines.next().expect("values"));
    let mut overflows = keys.split(' ').zip(values.split(' '));
    let overflows = overflows.find(|(key, _)| *key == "ListenOverflows");
    assert_eq!(overflows, Some(("ListenOverflows", "0")));
    assert_eq!(server.report()["open"], 500);
}

/// A client that connects from this machine to 192.0.2.1 has that address itself, and that is not loopback.
fn f007_one_too_many_from_an_address_is_told_so_and_the_next_one_has_her_place() {
    // An address for documentation (RFC 5737), and with it all of its network.
    let added = Command::new("ip")
        .args(["addr", "add", "192.0.2.1/24", "dev", "lo"])
        .status();
    assert!(added.expect("it was there before").success());
    let server = Server::spawn(
        chatd()
            .args(["-l", "telnet://192.0.2.1:0", "-l", "wire://192.0.2.1:0"])
            .args(["-o", "history-lines=0", "-o", "sessions-per-address-max=3"]),
    );
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    // Those of all listeners count together.
    let mut bot = server.program();
    for _ in 0..2 {
        let mut late = server.connect();
        late.expect("!! goodbye: too many connections from your address");
        late.expect_end();
        expect_close(&server, late.address(), "per-address");
    }
    // From the address of a neighbour somebody may come all the same.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let neighbour = SocketAddr::from(([192, 0, 2, 2], 0));
    socket.bind(&neighbour.into()).expect("it is ours");
    socket
        .connect(&server.telnet().into())
        .expect("the server listens");
    let mut neighbour = Person::over(TcpStream::from(socket));
    neighbour.skip_greeting();

    bob.say("/quit");
    bob.expect("-- goodbye");
    let address = bob.address();
    drop(bob);
    expect_close(&server, address, "quit");
    ann.expect("-- bob left (1 here)");
    let mut carl = server.join("carl");
    ann.expect("-- carl joined (2 here)");
    let mut late = server.connect();
    late.expect("!! goodbye: too many connections from your address");
    for person in [&mut ann, &mut carl, &mut bot] {
        person.expect_silence();
    }
}

fn f038_who_vanishes_without_a_word_is_noticed() {
    let server = Server::start(&[]);
    let mut silent = server.connect();
    let mut asks = server.connect();
    silent.skip_greeting();
    asks.skip_greeting();
    for client in [silent.address(), asks.address()] {
        let socket = session_socket(&server, client);
        let minute = Duration::from_secs(60);
        assert_eq!(socket.tcp_user_timeout().ok(), Some(Some(minute)));
        assert_eq!(socket.keepalive().ok(), Some(true));
        assert_eq!(socket.tcp_keepalive_time().ok(), Some(minute));
        // That is how the server sets it. Nobody wants to wait for so long here.
        let second = Duration::from_secs(1);
        let sooner = TcpKeepalive::new().with_time(second).with_interval(second);
        socket.set_tcp_keepalive(&sooner).expect("a TCP socket");
        let sooner = Some(Duration::from_millis(1500));
        socket.set_tcp_user_timeout(sooner).expect("a TCP socket");
    }
    // One of them is being answered when the wire is cut.
    server.signal(Signal::STOP);
    asks.say("/help");
    let cut = Command::new("ip")
        .args(["link", "set", "lo", "down"])
        .status();
    assert!(cut.expect("it was there before").success());
    server.signal(Signal::CONT);
    expect_close(&server, asks.address(), "reset");
    expect_close(&server, silent.address(), "reset");
    eventually("nothing is left", || server.report()["sessions"] == 0);
}

/// Nobody else is in this network, so any port is free.
fn f133_both_families_have_listeners_on_one_port() {
    const BY_EITHER: [&str; 2] = ["127.0.0.1:3333", "[::1]:3333"];
    for listeners in [
        &["0.0.0.0:3333", "[::]:3333"][..],
        &["[::]:3333", "0.0.0.0:3333"],
        &["[::]:3333", "127.0.0.1:3333"],
        &["[::]:3333"],
    ] {
        let mut command = chatd();
        for listener in listeners {
            command.args(["-l", listener]);
        }
        let mut server = Server::spawn(&mut command);
        server.output.wait_for_count("listening ", listeners.len());
        for (at, address) in BY_EITHER.into_iter().enumerate() {
            let mut person = Person::connect(address.parse().expect("an address"));
            person.skip_greeting();
            person.say("/quit");
            person.skip_until("-- goodbye");
            let close = server.log.wait_for(&format!(" close id={} ", at + 1));
            let host = address.trim_end_matches("3333");
            assert!(
                value(&close, "from").starts_with(host),
                "{listeners:?}: {close}"
            );
        }
        assert_eq!(server.stop().code(), Some(0), "{listeners:?}");
        assert_eq!(server.log.matching("::ffff:"), [""; 0]);
    }
}

/// The server's own end of a session.
#[track_caller]
fn session_socket(server: &Server, client: SocketAddr) -> Socket {
    let link = format!("socket:[{}]", server_inode(server, client));
    let folder = format!("/proc/{}/fd", server.pid());
    let numbers = fs::read_dir(folder).expect("it runs").flatten();
    let mut numbers = numbers.filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy() == link)
    });
    let number = numbers.next().expect("it holds the session");
    let number = number.file_name().to_string_lossy().parse();
    let pid = Pid::from_raw(server.pid().try_into().expect("a process id"));
    let process = pidfd_open(pid.expect("not 0"), PidfdFlags::empty());
    let socket = pidfd_getfd(
        process.expect("it runs"),
        number.expect("a number"),
        PidfdGetfdFlags::empty(),
    );
    socket.expect("it is our child").into()
}
