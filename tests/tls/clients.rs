//! Clients that speak TLS, and programs that speak it for others.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::certificate::Certificate;
use super::support::eventually;
use super::support::person::Person;
use super::support::server::{Lines, Server};
use super::support::session::value;

/// A client that passes on what it is given and shows what it gets, with HOST, PORT and ROOT in their places.
pub(crate) const CLIENTS: &[&[&str]] = &[
    &[
        "openssl",
        "s_client",
        "-quiet",
        "-no_ign_eof",
        "-verify_return_error",
        "-CAfile",
        "ROOT",
        "-connect",
        "HOST:PORT",
    ],
    &[
        "openssl",
        "s_client",
        "-quiet",
        "-no_ign_eof",
        "-tls1_2",
        "-CAfile",
        "ROOT",
        "-connect",
        "HOST:PORT",
    ],
    &[
        "openssl",
        "s_client",
        "-quiet",
        "-no_ign_eof",
        "-tls1_3",
        "-CAfile",
        "ROOT",
        "-connect",
        "HOST:PORT",
    ],
    &["ncat", "--ssl", "HOST", "PORT"],
    &[
        "ncat",
        "--ssl-verify",
        "--ssl-trustfile",
        "ROOT",
        "localhost",
        "PORT",
    ],
    &[
        "socat",
        "-",
        "OPENSSL:HOST:PORT,cafile=ROOT,commonname=localhost",
    ],
    &[
        "gnutls-cli",
        "--logfile=/dev/null",
        "--x509cafile",
        "ROOT",
        "-p",
        "PORT",
        "localhost",
    ],
    &[
        "telnet-ssl",
        "-z",
        "ssl,secure,cacert=ROOT",
        "localhost",
        "PORT",
    ],
    &["python3", "-c", PYTHON, "PORT", "ROOT"],
];

/// Passes bytes on in both directions and checks the certificate. At the end of its input it says `close_notify`, and
/// reads on to that of the other side. All that in one thread, for no TLS stream may be used by two at a time.
const PYTHON: &str = "
import os, select, socket, ssl, sys
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
heard, to_say = ssl.MemoryBIO(), ssl.MemoryBIO()
context = ssl.create_default_context(cafile=sys.argv[2])
stream = context.wrap_bio(heard, to_say, server_hostname='localhost')
def pump(step):
    while True:
        try:
            return step()
        except ssl.SSLWantReadError:
            plain.sendall(to_say.read())
            more = plain.recv(4096)
            heard.write(more) if more else heard.write_eof()
        finally:
            plain.sendall(to_say.read())
def hear():
    said = stream.read(4096)
    sys.stdout.buffer.write(said)
    sys.stdout.flush()
    return said
def hear_all():
    try:
        while hear():
            pass
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLZeroReturnError:
        pass
    return False
pump(stream.do_handshake)
is_open = True
while is_open:
    ready, _, _ = select.select([0, plain], [], [])
    if plain in ready:
        more = plain.recv(4096)
        heard.write(more) if more else heard.write_eof()
        is_open = hear_all()
    if 0 in ready and is_open:
        line = os.read(0, 65536)
        if not line:
            break
        stream.write(line)
        plain.sendall(to_say.read())
try:
    stream.unwrap()
except ssl.SSLWantReadError:
    pass
plain.sendall(to_say.read())
while is_open:
    try:
        pump(hear)
    except ssl.SSLZeroReturnError:
        is_open = False
";

/// A client under test.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Lines,
    complaints: Lines,
}

impl Client {
    fn start(client: &[&str], to: SocketAddr, certificate: &Certificate) -> Self {
        let (host, port) = (to.ip().to_string(), to.port().to_string());
        let root = certificate.path("cert.pem");
        let fill = |word: &&str| {
            let word = word.replace("HOST", &host).replace("PORT", &port);
            word.replace("ROOT", &root)
        };
        let words: Vec<String> = client.iter().map(fill).collect();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is installed");
        Self {
            stdin: child.stdin.take(),
            said: Lines::collect(child.stdout.take().expect("it is piped")),
            complaints: Lines::collect(child.stderr.take().expect("it is piped")),
            child,
        }
    }

    fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it is open");
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .expect("it reads");
        stdin.flush().expect("it reads");
    }

    /// Waits for its end; nothing about that was strange to it.
    fn end(mut self) {
        self.said.wait_for_end();
        self.complaints.wait_for_end();
        let _ = self.child.wait();
        for line in self.complaints.all() {
            let line = line.to_lowercase();
            for strange in [
                "truncat",
                "reset",
                "unexpected",
                "broken pipe",
                "error",
                "premature",
            ] {
                assert!(!line.contains(strange), "{line}");
            }
        }
    }
}

/// A talk both ways with 4,096 bytes in one line, ended by a word, by the server, and by the end of the input.
pub(crate) fn talk(client: &[&str]) {
    let certificate = Certificate::new();
    let mut server = super::server(&certificate, &["telnets"], &[]);
    let to = server.address("telnets");
    let mut bob = server.join("bob");
    let open = |number: usize| {
        let client = Client::start(client, to, &certificate);
        server.log.wait_for_count(" dialect=telnet tls=1.", number);
        client.said.wait_for("-- Welcome! You are guest");
        client
    };
    let mut ann = open(1);
    ann.say("/name ann");
    ann.said.wait_for("-- you are ann");
    bob.expect("-- ann joined (2 here)");
    let long = "好x".repeat(1024);
    bob.say(&long);
    ann.said.wait_for(&format!("<bob> {long}"));
    ann.say(&long);
    bob.expect(&format!("<ann> {long}"));
    ann.say("/quit");
    ann.said.wait_for("-- goodbye");
    bob.expect("-- ann left (1 here)");
    ann.stdin = None;
    ann.end();
    // The input ends.
    let mut cy = open(2);
    cy.say("/name cy");
    cy.said.wait_for("-- you are cy");
    cy.stdin = None;
    bob.skip_until("-- cy left (1 here)");
    server.log.wait_for("name=cy reason=eof ");
    cy.end();
    // The server ends.
    let mut dora = open(3);
    dora.say("/name dora");
    bob.skip_until("-- dora joined (2 here)");
    drop(bob);
    dora.said.wait_for("-- bob left (1 here)");
    assert!(server.stop().success());
    dora.said.wait_for("-- goodbye: the server is going down");
    dora.stdin = None;
    dora.end();
    let closes = server.log.matching(" close id=");
    let reasons: Vec<_> = closes.iter().map(|close| value(close, "reason")).collect();
    assert!(!reasons.contains(&"reset"), "{closes:#?}");
}

pub(crate) fn a_page() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["https"], &[]);
    let port = server.address("https").port();
    let page = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--cacert",
            &certificate.path("cert.pem"),
        ])
        .args([&format!("https://localhost:{port}/"), "--resolve"])
        .arg(format!("localhost:{port}:127.0.0.1"))
        .output()
        .expect("it is installed");
    assert!(page.status.success(), "{page:?}");
    let page = String::from_utf8_lossy(&page.stdout);
    assert!(
        page.starts_with("<!doctype html>") && page.contains("</html>"),
        "{page}"
    );
}

/// A program that is killed with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, address: SocketAddr) -> Self {
        let running = Self(command.spawn().expect("it is installed"));
        eventually("it listens", || TcpStream::connect(address).is_ok());
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

fn talk_through(server: &Server, address: SocketAddr) {
    let mut ann = Person::connect(address);
    ann.skip_greeting();
    ann.say("/name ann");
    ann.skip_until("-- you are ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    bob.say("hello");
    ann.expect("<bob> hello");
    ann.say("/quit");
    ann.expect("-- goodbye");
    ann.expect_end();
    bob.skip_until("-- ann left (1 here)");
}

/// `HAProxy` speaks TLS to the server, for a person who does not, and says in a header who they are.
pub(crate) fn behind_haproxy() {
    let certificate = Certificate::new();
    for version in ["send-proxy", "send-proxy-v2"] {
        let server = super::server(&certificate, &["telnets+proxy"], &[]);
        let address = free_address();
        let conf = certificate.path("haproxy.cfg");
        certificate.write(
            "haproxy.cfg",
            &format!(
                "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
                 listen chat\n bind {address}\n server chatd {} {version} ssl verify required ca-file {} sni str(localhost) verifyhost localhost\n",
                server.address("telnets+proxy"),
                certificate.path("cert.pem"),
            ),
        );
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(Path::new(&conf));
        let _front_end = Running::start(&mut command, address);
        talk_through(&server, address);
    }
}

/// stunnel speaks TLS to the server, for a program that does not.
pub(crate) fn behind_stunnel() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &[]);
    let address = free_address();
    certificate.write(
        "stunnel.conf",
        &format!(
            "foreground = yes\npid =\n[chat]\nclient = yes\naccept = {address}\nconnect = {}\nCAfile = {}\nverifyChain = yes\ncheckHost = localhost\n",
            server.address("telnets"),
            certificate.path("cert.pem"),
        ),
    );
    let mut command = Command::new("stunnel4");
    command
        .arg(certificate.path("stunnel.conf"))
        .stderr(Stdio::null());
    let _tunnel = Running::start(&mut command, address);
    talk_through(&server, address);
}

/// Nothing below TLS 1.2, no compression, no renegotiation, no weak cipher.
pub(crate) fn nothing_old() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &[]);
    let found = Command::new("sslscan")
        .args(["--no-colour", &server.address("telnets").to_string()])
        .output()
        .expect("it is installed");
    let found = String::from_utf8_lossy(&found.stdout);
    let has = |name: &str, is: &str| {
        let mut lines = found.lines().filter(|line| line.starts_with(name));
        lines.any(|line| line.ends_with(is))
    };
    for old in ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"] {
        assert!(has(old, "disabled"), "{old}\n{found}");
    }
    for new in ["TLSv1.2", "TLSv1.3"] {
        assert!(has(new, "enabled"), "{new}\n{found}");
    }
    assert!(!found.contains("Compression enabled"), "{found}");
    assert!(
        found.contains("Session renegotiation not supported"),
        "{found}"
    );
    assert!(
        !found.contains(" vulnerable")
            || !found.replace("not vulnerable", "").contains("vulnerable"),
        "{found}"
    );
    for weak in ["RC4", "3DES", "CBC", "NULL", "EXP", "MD5"] {
        assert!(!found.contains(weak), "{weak}\n{found}");
    }
}
