//! Sessions of the server as its log and the kernel tell of them, and clients that misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::eventually;
use super::person::Person;
use super::server::Server;

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

/// How many lines the log says that it misses: those that nobody read in time, and those that were too many.
pub(crate) fn missed(lines: &[String]) -> usize {
    counted(lines, " WARN dropped ") + counted(lines, " WARN suppressed ")
}

/// The sum of the numbers in `before NUMBER lines` over all lines with that.
pub(crate) fn counted(lines: &[String], before: &str) -> usize {
    let counts = lines.iter().filter_map(|line| {
        let (_, behind) = line.split_once(before)?;
        behind.split(' ').next()?.parse::<usize>().ok()
    });
    counts.sum()
}

/// Connects somebody with the smallest receive buffer that there is.
#[track_caller]
pub(crate) fn connect_narrow(to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(1).expect("it can be set");
    socket.connect(&to.into()).expect("the server listens");
    socket.into()
}

/// Lets this many in, `deaf0` and so on, who read nothing any more, and says to them until the kernel takes no more and
/// the server keeps the rest; or until it has closed them all, where its limits are so low.
#[track_caller]
pub(crate) fn deafen(server: &Server, count: usize) -> Vec<Person> {
    let join = |n| {
        let mut person = Person::over(connect_narrow(server.telnet()));
        person.skip_greeting();
        person.say(&format!("/name deaf{n}"));
        person.skip_until(&format!("-- you are deaf{n}"));
        person
    };
    let deaf = (0..count).map(join).collect();
    let mut ann = server.join("ann");
    let filler = "x".repeat(4000);
    eventually("something waits for each of them", || {
        (0..10).for_each(|_| ann.say(&filler));
        let answer = ann.ask();
        ann.skip_until(&answer);
        let closed = server.log.matching(" name=deaf").len();
        server.report()["queued_bytes"] > (count * 64 * 1024) as u64 || closed >= count
    });
    deaf
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
#[track_caller]
pub(crate) fn kernel_queues(server: &Server, client: SocketAddr) -> (usize, usize) {
    kernel_queues_of(&kernel_line(server, client))
}

/// The same of all sessions of the listener for people.
pub(crate) fn all_kernel_queues(server: &Server) -> Vec<(usize, usize)> {
    const ESTABLISHED: &str = "01";
    let lines = kernel_lines(server).into_iter();
    let sessions = lines.filter(|fields| fields[3] == ESTABLISHED);
    sessions.map(|fields| kernel_queues_of(&fields)).collect()
}

fn kernel_queues_of(fields: &[String]) -> (usize, usize) {
    let number = |digits| usize::from_str_radix(digits, 16).expect("a number");
    let (sent, received) = fields[4].split_once(':').expect("two queues");
    (number(sent), number(received))
}

/// The inode of the server's end of a session, which `/proc/PID/fd` links to.
#[track_caller]
pub(crate) fn server_inode(server: &Server, client: SocketAddr) -> String {
    kernel_line(server, client).swap_remove(9)
}

/// The line of `/proc/net/tcp` for the server's end of a session, as fields.
#[track_caller]
fn kernel_line(server: &Server, client: SocketAddr) -> Vec<String> {
    let remote = format!(":{:04X}", client.port());
    kernel_lines(server)
        .into_iter()
        .find(|fields| fields[2].ends_with(&remote))
        .unwrap_or_else(|| panic!("no session of {client}"))
}

/// The lines of `/proc/net/tcp` for the server's end of the sessions of its listener for people, each once: the kernel
/// lists a socket twice while others come and go. The clients' own lines have the listener's port as their remote one.
fn kernel_lines(server: &Server) -> Vec<Vec<String>> {
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", server.pid()));
    let local = format!(":{:04X}", server.telnet().port());
    let table = table.expect("it runs");
    let lines = table
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .filter(|fields: &Vec<String>| fields[1].ends_with(&local));
    let by_remote_end: BTreeMap<String, Vec<String>> =
        lines.map(|fields| (fields[2].clone(), fields)).collect();
    by_remote_end.into_values().collect()
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
        ]
        .iter()
        .all(|key| now.get(*key) == before.get(*key))
    });
}
