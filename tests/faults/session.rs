//! One session of the server as its log tells of it, and clients that misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::support::eventually;
use crate::support::person::Person;
use crate::support::server::Server;

/// Waits until a session of the listener for people is closed; gives the line of the log that tells of it.
#[track_caller]
pub(crate) fn close_line(server: &Server, client: SocketAddr) -> String {
    close_line_at(server, server.telnet(), client)
}

/// The same for a session of any listener. Its client's address alone does not tell it from others: the same port may
/// be connected to each listener.
#[track_caller]
pub(crate) fn close_line_at(server: &Server, listener: SocketAddr, client: SocketAddr) -> String {
    let dialect = if listener == server.wire() {
        "wire"
    } else {
        "telnet"
    };
    let open = format!(" dialect={dialect} from={client} ");
    let open = server.log.wait_for(&open);
    let close = format!(" close id={} ", value(&open, "id"));
    server.log.wait_for(&close)
}

/// Waits until a session of the listener for people is closed, and sees why.
#[track_caller]
pub(crate) fn expect_close(server: &Server, client: SocketAddr, reason: &str) {
    let line = close_line(server, client);
    assert_eq!(value(&line, "reason"), reason, "{line}");
}

/// What `key` is in a line of the log.
#[track_caller]
pub(crate) fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let find = |word: &'a str| word.strip_prefix(key)?.strip_prefix('=');
    let found = line.split_whitespace().find_map(find);
    found.unwrap_or_else(|| panic!("no {key} in {line}"))
}

/// Connects somebody with the smallest receive buffer that there is.
#[track_caller]
pub(crate) fn connect_narrow(to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(1).expect("it can be set");
    socket.connect(&to.into()).expect("the server listens");
    socket.into()
}

/// Breaks a connection.
pub(crate) fn reset(stream: TcpStream) {
    let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    linger.expect("a TCP socket");
    drop(stream);
}

/// Two people who know of each other.
#[track_caller]
pub(crate) fn ann_and_bob(server: &Server) -> (Person, Person) {
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    (ann, bob)
}

/// What the kernel keeps of a session on the server's side: bytes sent that were not taken, and bytes that were not
/// read.
pub(crate) fn kernel_queues(server: &Server, client: SocketAddr) -> (usize, usize) {
    let number = |digits| usize::from_str_radix(digits, 16).expect("a number");
    let fields = kernel_line(server, client);
    let (sent, received) = fields[4].split_once(':').expect("two queues");
    (number(sent), number(received))
}

/// The inode of the server's end of a session, which `/proc/PID/fd` links to.
pub(crate) fn server_inode(server: &Server, client: SocketAddr) -> String {
    kernel_line(server, client).swap_remove(9)
}

/// The line of `/proc/net/tcp` for the server's end of a session, as fields.
#[track_caller]
fn kernel_line(server: &Server, client: SocketAddr) -> Vec<String> {
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", server.pid()));
    let remote = format!(":{:04X}", client.port());
    // The client's own line has the listener's port as its remote one.
    let local = format!(":{:04X}", server.telnet().port());
    table
        .expect("it runs")
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .find(|fields: &Vec<String>| fields[2].ends_with(&remote) && fields[1].ends_with(&local))
        .unwrap_or_else(|| panic!("no session of {client}"))
}

/// Waits until the server holds as many descriptors as at a time when `sessions` fewer were open.
#[track_caller]
pub(crate) fn expect_at_rest(server: &Server, before: &BTreeMap<String, u64>) {
    eventually("the server holds what it held before", || {
        let now = server.report();
        [
            "sessions",
            "names",
            "here",
            "queued_bytes",
            "input_bytes",
            "descriptors",
            "socket",
        ]
        .iter()
        .all(|key| now.get(*key) == before.get(*key))
    });
}
