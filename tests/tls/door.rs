//! Who comes to a door where TLS is spoken: with something else, in pieces, or with half of a handshake.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use socket2::{Domain, Socket, Type};

use rustls::version::{TLS12, TLS13};
use rustls::HandshakeKind;

use super::certificate::Certificate;
use super::support::server::{chatd, Server};
use super::support::session::value;
use super::support::{tcp_states, DEADLINE};

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the server listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time");
    stream
}

/// What comes until the end.
fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

pub(crate) fn in_clear() {
    const WORDS: &str = "!! this port speaks TLS: telnet-ssl, openssl s_client or ncat --ssl\r\n";
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets", "wires", "https"], &[]);
    let mut talks = connect(server.address("telnets"));
    talks.write_all(b"hello\r\n").expect("it is taken");
    assert_eq!(rest(talks), WORDS);
    server.log.wait_for("reason=wrong-protocol ");
    // A program is closed without a word, and a browser is told in its own.
    let mut program = connect(server.address("wires"));
    program.write_all(b"NAME YW5u\r\n").expect("it is taken");
    assert_eq!(rest(program), "");
    let mut browser = connect(server.address("https"));
    browser
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .expect("it is taken");
    assert!(rest(browser).starts_with("HTTP/1.1 400 Bad Request\r\n"));
    server.log.wait_for_count("reason=wrong-protocol ", 3);
    // Who waits to be greeted is told when their time is over, and is nobody whom the log knows.
    assert_eq!(rest(connect(server.address("telnets"))), WORDS);
    assert_eq!(server.log.matching(" open id=").len(), 3);
}

/// The first record that a client sends.
fn hello(certificate: &Certificate, to: SocketAddr) -> Vec<u8> {
    let mut stream = certificate.connect(to);
    let mut hello = Vec::new();
    stream.conn.write_tls(&mut hello).expect("a hello");
    hello
}

/// More handshakes than there is room for stop behind the hello: others come in all the same, and these are closed.
pub(crate) fn half_open() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &[]);
    let to = server.address("telnets");
    let hello = hello(&certificate, to);
    let stopped: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = connect(to);
            stream.write_all(&hello).expect("it is taken");
            stream
        })
        .collect();
    let mut ann = certificate.shake_hands(to).expect("there is room");
    let mut greeting = String::new();
    BufReader::new(&mut ann)
        .read_line(&mut greeting)
        .expect("it is greeted");
    assert!(
        greeting.starts_with("-- Welcome! You are guest"),
        "{greeting}"
    );
    for mut stream in stopped {
        // The server's flight, and then the end.
        let mut flight = Vec::new();
        let _ = stream.read_to_end(&mut flight);
        assert!(flight.is_empty() || flight[0] == 0x16, "{}", flight[0]);
    }
    super::support::eventually("only ann is left", || {
        tcp_states(to.port()).get("01") == Some(&1)
    });
    let told = server.log.matching(" handshakes failed:");
    assert!(!told.is_empty() && told.len() < 30, "{told:#?}");
}

/// More handshakes of one address stop behind the hello than it may have sessions: those beyond are closed at once, and
/// so the place is for others.
pub(crate) fn crowd_of_one_address() {
    // An address for documentation (RFC 5737), and with it all of its network.
    let added = Command::new("ip")
        .args(["addr", "add", "192.0.2.1/24", "dev", "lo"])
        .status();
    assert!(added.expect("it was there before").success());
    let certificate = Certificate::new();
    let files = certificate.settings();
    let mut command = chatd();
    command.args(["-l", "telnets://192.0.2.1:0", "-o", "history-lines=0"]);
    for setting in &files {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(&mut command);
    let to = server.address("telnets");
    let hello = {
        let mut stream = certificate.connect(to);
        let mut hello = Vec::new();
        stream.conn.write_tls(&mut hello).expect("a hello");
        hello
    };
    let mut crowd: Vec<TcpStream> = (0..300)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            let from: SocketAddr = "192.0.2.66:0".parse().expect("an address");
            socket.bind(&from.into()).expect("it is ours");
            socket.connect(&to.into()).expect("it listens");
            let mut stream = TcpStream::from(socket);
            stream.set_read_timeout(Some(DEADLINE)).expect("a time");
            // It may have been closed by then.
            let _ = stream.write_all(&hello);
            stream
        })
        .collect();
    // As many as it may have sessions are answered.
    let answered = crowd.iter_mut().filter_map(|stream| {
        let mut first = [0];
        matches!(stream.read(&mut first), Ok(1)).then_some(first[0])
    });
    assert_eq!(answered.collect::<Vec<_>>(), [0x16; 64]);
    server.log.wait_for(" failed: per-address=");
    // Others come in, with no place to be waited for.
    let mut ann = certificate.shake_hands(to).expect("there is room");
    let mut greeting = String::new();
    BufReader::new(&mut ann)
        .read_line(&mut greeting)
        .expect("it is greeted");
    assert!(greeting.starts_with("-- Welcome!"), "{greeting}");
}

/// The header of a front end, the handshake and the first line, in pieces of each size.
pub(crate) fn pieces() {
    const HEADER: &[u8] = b"PROXY TCP4 198.51.100.7 127.0.0.1 51234 3333\r\n";
    let certificate = Certificate::new();
    let unlimited = ["connects-per-minute=0", "sessions-per-address-max=0"];
    let server = super::server(&certificate, &["telnets+proxy"], &unlimited);
    let to = server.address("telnets+proxy");
    for (number, size) in [1, 2, 5, 50, 1000].into_iter().enumerate() {
        let mut stream = certificate.connect(to);
        stream.sock.set_nodelay(true).expect("a TCP socket");
        let mut hello = HEADER.to_vec();
        stream.conn.write_tls(&mut hello).expect("a hello");
        for piece in hello.chunks(size) {
            stream.sock.write_all(piece).expect("it is taken");
        }
        let mut stream = BufReader::new(stream);
        let mut greeting = String::new();
        stream.read_line(&mut greeting).expect("it is greeted");
        assert!(
            greeting.starts_with("-- Welcome! You are guest"),
            "{greeting}"
        );
        stream.get_mut().write_all(b"/quit\n").expect("it is taken");
        server.log.wait_for_count("reason=quit ", number + 1);
    }
    for open in server.log.matching(" open id=") {
        assert_eq!(value(&open, "from"), "198.51.100.7:51234");
        assert_eq!(value(&open, "tls"), "1.3");
    }
}

/// A client that comes again and would go on with what it had makes a whole handshake: it is given no ticket and no
/// session, and so nothing that early data could be sent with.
pub(crate) fn nothing_is_resumed() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &[]);
    for version in [&TLS12, &TLS13] {
        let client = certificate.client(&[version]);
        for number in 1..=3 {
            let mut stream = BufReader::new(super::certificate::connect(
                &client,
                server.address("telnets"),
            ));
            // A ticket would come before the greeting.
            let mut greeting = String::new();
            stream.read_line(&mut greeting).expect("it is greeted");
            assert!(greeting.starts_with("-- Welcome! "), "{greeting}");
            let connection = &mut stream.get_mut().conn;
            let kind = connection.handshake_kind();
            let is_whole = matches!(
                kind,
                Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)
            );
            assert!(is_whole, "{kind:?} of connection {number}");
            assert_eq!(connection.tls13_tickets_received(), 0);
            assert!(connection.early_data().is_none());
        }
    }
}

pub(crate) fn failures() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &[]);
    let to = server.address("telnets");
    // A client that does not trust it.
    let error = Certificate::new()
        .shake_hands(to)
        .expect_err("it is another one");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    server
        .log
        .wait_for("tls: 1 handshake failed: certificate-refused=1");
    // One that hangs up, and one that sends nonsense.
    let mut nonsense = connect(to);
    nonsense
        .write_all(b"\x16\x03\x01\0\x05\x01\0\0\x01\0")
        .expect("it is taken");
    assert_eq!(rest(nonsense).as_bytes()[0], 0x15, "an alert");
    let hello = hello(&certificate, to);
    connect(to)
        .write_all(&hello[..hello.len() - 1])
        .expect("it is taken");
    server.log.wait_for("bad-message=1");
    server.log.wait_for("hangup=1");
    assert_eq!(server.log.matching(" open id=").len(), 0);
}
