//! Starting and stopping as a supervisor sees it: sockets that are handed on, READY and STOPPING, restarts, and
//! SIGTERM when it is least convenient.

#[path = "activation/sigterm.rs"]
mod sigterm;
mod support;
#[path = "activation/watched.rs"]
mod watched;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use command_fds::{CommandFdExt, FdMapping};
use rustix::io::ioctl_fionbio;
use rustix::pipe::pipe;
use rustix::process::{kill_process, Pid, Signal};
use socket2::{Domain, Socket, Type};
use support::operator::Place;
use support::person::{NoLine, Person};
use support::server::{chatd, Server};
use support::session::deafen;
use support::{eventually, DEADLINE};

/// The first descriptor that is handed on (`sd_listen_fds(3)`).
const FIRST_LISTENER: i32 = 3;

/// Listeners as a supervisor holds them: they outlive the servers.
struct Supervisor(Vec<TcpListener>);

impl Supervisor {
    fn new(listeners: usize) -> Self {
        let listen = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self((0..listeners).map(listen).collect())
    }

    fn address(&self, listener: usize) -> SocketAddr {
        self.0[listener].local_addr().expect("it listens")
    }

    /// Starts a server with the listeners, by their names, and waits until it serves them.
    #[track_caller]
    fn start(&self, names: &str, settings: &[&str]) -> Server {
        let copy = |listener: &TcpListener| listener.try_clone().expect("a descriptor").into();
        let mut command = handing_on(self.0.iter().map(copy).collect());
        command.env("LISTEN_FDNAMES", names);
        for setting in ["history-lines=0", "lines-per-second=0"]
            .iter()
            .chain(settings)
        {
            command.args(["-o", setting]);
        }
        let server = Server::spawn(&mut command);
        server.output.wait_for_count("listening ", self.0.len());
        server
    }
}

/// A server that is handed on these descriptors.
fn handing_on(descriptors: Vec<OwnedFd>) -> Command {
    // The shell becomes the server, and knows its process id before that.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"LISTEN_PID=$$ exec "$0" "$@""#])
        .arg(env!("CARGO_BIN_EXE_chatd"))
        .env_remove("RUST_LOG")
        .env("LISTEN_FDS", descriptors.len().to_string());
    let mappings = descriptors.into_iter().zip(FIRST_LISTENER..);
    let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping {
        parent_fd,
        child_fd,
    });
    command
        .fd_mappings(mappings.collect())
        .expect("each has its own number");
    command
}

#[test]
fn f131_what_is_handed_on_and_does_not_listen_is_told_in_one_line() {
    let listener = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let connected = TcpStream::connect(listener().local_addr().expect("it listens"));
    let strangers: [(&str, OwnedFd); 5] = [
        (
            "does not listen",
            connected.map_or_else(|_| unbound(), OwnedFd::from),
        ),
        ("does not listen", unbound()),
        (
            "tcp socket",
            UdpSocket::bind("127.0.0.1:0").expect("a port").into(),
        ),
        (
            "tcp socket",
            UnixDatagram::unbound().expect("a socket").into(),
        ),
        (
            "not a socket",
            fs::File::open("/dev/null").expect("it is there").into(),
        ),
    ];
    for (why, stranger) in strangers {
        let mut server = Server::spawn(&mut handing_on(vec![listener().into(), stranger]));
        assert_eq!(server.wait().code(), Some(1), "{why}");
        let log = server.log.all();
        assert_eq!(log.len(), 1, "{log:#?}");
        assert!(
            log[0].starts_with("chatd: ") && log[0].contains(why),
            "{log:#?}"
        );
        assert_eq!(server.output.all(), [""; 0]);
    }
}

#[test]
fn f131_a_number_of_listeners_that_cannot_be_is_told_in_one_line() {
    for count in ["4000000000", "99999999999"] {
        let mut server = Server::spawn(handing_on(Vec::new()).env("LISTEN_FDS", count));
        assert_eq!(server.wait().code(), Some(1), "{count}");
        assert_eq!(server.log.all(), ["chatd: LISTEN_FDS: more than 1024"]);
    }
}

/// A socket of TCP that is nothing yet.
fn unbound() -> OwnedFd {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None);
    socket.expect("a socket").into()
}

#[test]
fn listeners_are_taken_over_with_the_dialects_that_name_them() {
    let supervisor = Supervisor::new(3);
    let mut server = supervisor.start("wire:telnet:other", &[]);
    let listening = [("wire", 0), ("telnet", 1), ("telnet", 2)];
    let expected = listening.map(|(dialect, listener)| {
        format!("listening {dialect}://{}", supervisor.address(listener))
    });
    assert_eq!(server.output.all(), expected);
    let mut program = Person::program(supervisor.address(0));
    program.expect_silence();
    for listener in [1, 2] {
        Person::connect(supervisor.address(listener)).skip_greeting();
    }
    assert_eq!(server.stop().code(), Some(0));
}

/// The file of the socket belongs to the parent, which made it.
#[test]
fn a_socket_for_operators_is_taken_over_and_its_file_left_alone() {
    let place = Place::new();
    let listener = UnixListener::bind(place.path()).expect("nothing is there");
    let permissions = fs::Permissions::from_mode(0o660);
    fs::set_permissions(place.path(), permissions).expect("it is ours");
    let identity = || {
        let file = fs::symlink_metadata(place.path()).expect("it is there");
        (file.ino(), file.mode())
    };
    let before = identity();
    let telnet = TcpListener::bind("127.0.0.1:0").expect("a free port");
    for _ in 0..2 {
        let copy = listener.try_clone().expect("a descriptor");
        let mut command = handing_on(vec![
            telnet.try_clone().expect("a descriptor").into(),
            copy.into(),
        ]);
        let mut server = Server::spawn(command.env("LISTEN_FDNAMES", "telnet:ops"));
        let listening = server.output.wait_for("listening ops://");
        assert_eq!(listening, format!("listening {}", place.endpoint()));
        place.connect().order("sessions", "-- 0 sessions");
        assert_eq!(server.stop().code(), Some(0));
        assert_eq!(identity(), before);
    }
}

/// A name that asks for TLS is never taken for one of telnet in clear.
#[test]
fn a_listener_in_tls_needs_a_certificate_or_a_chatd_that_has_tls() {
    let telnet = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut command = handing_on(vec![telnet.into()]);
    let mut server = Server::spawn(command.env("LISTEN_FDNAMES", "telnets"));
    assert_eq!(server.wait().code(), Some(2));
    let why = if cfg!(feature = "tls") {
        "chatd: listen: telnets needs tls-cert and tls-key"
    } else {
        "chatd: this chatd was built without tls"
    };
    assert_eq!(server.log.all(), [why]);
}

/// What is meant for another process is left alone.
#[test]
fn listeners_for_another_process_are_not_taken() {
    let mut command = chatd();
    command
        .args(["-l", "127.0.0.1:0"])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1");
    let server = Server::spawn(&mut command);
    server.join("ann").expect_silence();
    assert_eq!(server.output.all().len(), 1);
}

/// Somebody who connects all the time, one connection after the other, while servers come and go.
struct Knocker {
    stop: AtomicBool,
    served: AtomicUsize,
}

impl Knocker {
    /// Connects until told to stop; each connection must be greeted.
    fn knock(&self, address: SocketAddr) -> Result<(), String> {
        while !self.stop.load(Ordering::Relaxed) {
            let stream =
                TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
            stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
            let mut line = String::new();
            let read = BufReader::new(stream).read_line(&mut line);
            if read.is_err() || !line.starts_with("-- Welcome! ") {
                return Err(format!("{read:?}: {line:?}"));
            }
            self.served.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn f114_nobody_is_refused_while_an_activated_server_is_restarted() {
    let supervisor = Supervisor::new(1);
    let address = supervisor.address(0);
    let knocker = Knocker {
        stop: AtomicBool::new(false),
        served: AtomicUsize::new(0),
    };
    let knocks = || knocker.served.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let knocking = scope.spawn(|| knocker.knock(address));
        for _ in 0..5 {
            let mut server = supervisor.start("telnet", &[]);
            let before = knocks();
            eventually("twenty more are served", || {
                knocks() >= before + 20 || knocking.is_finished()
            });
            assert_eq!(server.stop().code(), Some(0));
        }
        // The last one is served by nobody until another server is there.
        let _server = supervisor.start("telnet", &[]);
        knocker.stop.store(true, Ordering::Relaxed);
        assert_eq!(knocking.join().expect("it does not panic"), Ok(()));
    });
    assert!(knocks() >= 100);
}

/// The connections of the old server are still closing, from its side; their port is free all the same.
#[test]
fn f111_a_restarted_server_binds_at_once() {
    let mut server = Server::start(&[]);
    let address = server.telnet();
    let mut ann = server.join("ann");
    assert_eq!(server.stop().code(), Some(0));
    let mut server = Server::spawn(chatd().args(["-l", &address.to_string()]));
    server
        .output
        .wait_for(&format!("listening telnet://{address}"));
    ann.skip_until("-- goodbye: the server is going down");
    ann.expect_end();
    server.join("ann").expect_silence();
    assert_eq!(server.stop().code(), Some(0));
}

/// Where a service tells its supervisor how it is.
struct Notifications {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Notifications {
    fn new(purpose: &str) -> Self {
        let name = format!("chatd-notify-{purpose}-{}", std::process::id());
        let path = env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
        Self { socket, path }
    }

    /// Waits for the next message.
    #[track_caller]
    fn expect(&self, message: &str) {
        let mut buffer = [0; 1000];
        let length = self.socket.recv(&mut buffer).expect("a message");
        let got = String::from_utf8_lossy(&buffer[..length]);
        assert_eq!(got.trim_end(), message);
    }

    /// The message that waits, if one does.
    #[track_caller]
    fn take(&self) -> Option<String> {
        let mut buffer = [0; 1000];
        self.socket.set_nonblocking(true).expect("a socket");
        let waiting = self.socket.recv(&mut buffer);
        self.socket.set_nonblocking(false).expect("a socket");
        match waiting {
            Ok(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                None
            }
        }
    }

    /// Sees that no message waits.
    #[track_caller]
    fn expect_none(&self) {
        assert_eq!(self.take(), None, "nothing was to be told");
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn f118_ready_is_told_when_it_listens_and_stopping_while_it_drains() {
    let notifications = Notifications::new("ready");
    let mut command = chatd();
    command
        .args(["-l", "127.0.0.1:0", "-o", "lines-per-second=0"])
        .args(["-o", "send-buffer-bytes=4k", "-o", "drain-seconds=3600"])
        .args(["-o", "queue-bytes-max=64m", "-o", "queue-bytes-soft=64m"])
        .env("NOTIFY_SOCKET", &notifications.path);
    let mut server = Server::spawn(&mut command);
    notifications.expect("READY=1");
    let deaf = deafen(&server, 1);
    notifications.expect_none();
    // A session that does not read keeps it from ending.
    server.signal(Signal::TERM);
    notifications.expect("STOPPING=1");
    assert!(
        TcpStream::connect(server.telnet()).is_err(),
        "nobody is let in any more"
    );
    let _ = server.report();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    notifications.expect_none();
    drop(deaf);
}

/// A shell that changes something in the world of the server before it becomes the server.
fn in_a_world(change: &str, notifications: &Notifications) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!(r#"{change} exec "$0" "$@""#)])
        .arg(env!("CARGO_BIN_EXE_chatd"))
        .args(["-l", "127.0.0.1:0"])
        .env_remove("RUST_LOG")
        .env("NOTIFY_SOCKET", &notifications.path);
    command
}

#[test]
fn f131_closed_and_full_descriptors_do_not_keep_it_from_serving() {
    let notifications = Notifications::new("descriptors");
    for change in [
        "exec <&- >&- 2>&-;",
        "exec >/dev/full;",
        "exec >/dev/full 2>/dev/full;",
        "export RUST_LOG=a=b=c; exec 2>/dev/full;",
        "ulimit -f 0; exec >/dev/full;",
    ] {
        let mut server = Server::spawn(&mut in_a_world(change, &notifications));
        notifications.expect("READY=1");
        server.signal(Signal::TERM);
        notifications.expect("STOPPING=1");
        assert_eq!(server.wait().code(), Some(0), "{change}");
    }
    let mut server = Server::spawn(&mut in_a_world("exec >/dev/full;", &notifications));
    notifications.expect("READY=1");
    server
        .log
        .wait_for("WARN cannot write to standard output where it listens: ");
    assert_eq!(server.stop().code(), Some(0));
}

/// Standard output and standard error are pipes without room, and nobody reads them.
#[test]
fn f131_pipes_that_nobody_reads_do_not_keep_it_from_serving() {
    let notifications = Notifications::new("pipes");
    let full = || {
        let (reader, writer) = pipe().expect("a pipe");
        ioctl_fionbio(&writer, true).expect("a pipe");
        while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
        ioctl_fionbio(&writer, false).expect("a pipe");
        (reader, writer)
    };
    let (out, err) = (full(), full());
    let mut child = in_a_world("", &notifications)
        .stdin(Stdio::null())
        .stdout(out.1)
        .stderr(err.1)
        .spawn()
        .expect("it can be run");
    notifications.expect("READY=1");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    notifications.expect("STOPPING=1");
    let status = child.wait().expect("our child");
    assert_eq!(status.code(), Some(0));
    // And what cannot start ends.
    let err = full();
    let status = chatd().arg("--nosuch").stderr(err.1).status();
    assert_eq!(status.expect("it can be run").code(), Some(2));
    drop((out.0, err.0));
}

#[test]
fn f131_a_limit_on_files_ends_the_log_and_not_the_server() {
    let notifications = Notifications::new("files");
    let log = env::temp_dir().join(format!("chatd-limited-{}.log", std::process::id()));
    let change = format!("ulimit -f 0; exec 2>{};", log.display());
    let mut server = Server::spawn(&mut in_a_world(&change, &notifications));
    notifications.expect("READY=1");
    server.join("ann").expect_silence();
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(fs::read(&log).expect("it was made"), b"");
    fs::remove_file(&log).expect("it is there");
}

#[test]
fn f131_a_supervisor_of_any_kind_does_not_keep_it_from_serving() {
    let mut notifications = Notifications::new("kinds");
    // A queue that nobody empties.
    let filler = UnixDatagram::unbound().expect("a socket");
    filler.set_nonblocking(true).expect("a socket");
    while filler.send_to(b"full", &notifications.path).is_ok() {}
    let stream = notifications.path.with_extension("stream");
    let _listener = UnixListener::bind(&stream).expect("a socket");
    let full = notifications.path.clone();
    for place in [
        full.as_path(),
        &stream,
        Path::new("/dev/null"),
        Path::new("/nonexistent"),
        Path::new("@chatd-nobody"),
        Path::new("vsock:2:3"),
        Path::new("x"),
    ] {
        notifications.path = place.to_owned();
        let mut server = Server::spawn(&mut in_a_world("", &notifications));
        let warning = format!("WARN cannot tell NOTIFY_SOCKET {}: ", place.display());
        server.log.wait_for(&warning);
        server.join("ann").expect_silence();
        assert_eq!(server.stop().code(), Some(0), "{warning}");
        assert_eq!(server.log.matching(" WARN ").len(), 1);
    }
    for path in [&full, &stream] {
        fs::remove_file(path).expect("it is there");
    }
}

#[test]
fn a_supervisor_with_an_abstract_name_is_told() {
    let name = format!("chatd-notify-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let notifications = Notifications {
        socket: UnixDatagram::bind_addr(&address).expect("a socket"),
        path: format!("@{name}").into(),
    };
    let mut server = Server::spawn(&mut in_a_world("", &notifications));
    notifications.expect("READY=1");
    assert_eq!(server.stop().code(), Some(0));
    notifications.expect("STOPPING=1");
}

#[test]
fn f109_what_cannot_start_is_never_ready() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = other.local_addr().expect("it listens").to_string();
    for (arguments, status) in [
        (&["-l", "127.0.0.1:0", "-l", &address][..], 1),
        (
            &["-l", "127.0.0.1:0", "-o", "motd-file=/nonexistent/motd"],
            1,
        ),
        (&["-l", "127.0.0.1:0", "-o", "nosuch=1"], 2),
    ] {
        let notifications = Notifications::new("failing");
        let output = chatd()
            .args(arguments)
            .env("NOTIFY_SOCKET", &notifications.path)
            .output()
            .expect("it can be run");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{complaint}");
        assert_eq!(complaint.matches('\n').count(), 1, "{complaint}");
        assert_eq!(output.stdout, b"", "it does not listen");
        notifications.expect_none();
    }
}
