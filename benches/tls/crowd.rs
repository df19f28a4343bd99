//! A server, and clients of it in clear or in TLS.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rcgen::{generate_simple_self_signed, CertifiedKey};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::{Domain, Socket, Type};

use crate::process::{chatd_path, launcher, target_path, Process};

/// What goes over the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Clear,
    Tls,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Clear, Self::Tls];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Tls => "TLS",
        }
    }
}

/// A server that listens in clear and in TLS.
pub(crate) struct Server {
    process: Process,
    in_tls: SocketAddr,
    pub(crate) config: Arc<ClientConfig>,
}

impl Server {
    pub(crate) fn start(core: Option<usize>, settings: &[&str]) -> io::Result<Self> {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).map_err(io::Error::other)?;
        let (certificate, key) = (
            target_path("tls-bench-cert.pem")?,
            target_path("tls-bench-key.pem")?,
        );
        fs::write(&certificate, cert.pem())?;
        fs::write(&key, signing_key.serialize_pem())?;
        // Nobody else takes it in that moment.
        let in_tls = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = launcher(core, &chatd_path())?;
        command.args([
            "-l",
            "telnet://127.0.0.1:0",
            "-l",
            &format!("telnets://{in_tls}"),
        ]);
        command.args(["-o", "history-lines=0"]);
        command
            .arg("-o")
            .arg(format!("tls-cert={}", certificate.display()));
        command.arg("-o").arg(format!("tls-key={}", key.display()));
        for setting in settings {
            command.args(["-o", setting]);
        }
        let process = Process::start(&mut command, "tls-server.log")?;
        Ok(Self {
            process,
            in_tls,
            config: Arc::new(config(cert.der().clone())?),
        })
    }

    /// CPU time so far.
    pub(crate) fn ran(&self) -> io::Result<Duration> {
        Ok(self.process.core_time()?.ran)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> io::Result<usize> {
        Ok(self.process.resident_bytes()? as usize)
    }

    pub(crate) fn address(&self, kind: Kind) -> SocketAddr {
        match kind {
            Kind::Clear => self.process.address,
            Kind::Tls => self.in_tls,
        }
    }

    /// Connects without waiting, from an address of its own for each few hundred.
    pub(crate) fn dial(&self, kind: Kind, index: usize) -> io::Result<Client> {
        let address = self.address(kind);
        let [high, low] = address.port().to_be_bytes();
        let source = Ipv4Addr::new(127, high | 1, low, (index / 300 % 250) as u8 + 1);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect(&address.into())?;
        socket.set_nonblocking(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = match kind {
            Kind::Clear => None,
            Kind::Tls => {
                let connection = ClientConnection::new(Arc::clone(&self.config), name);
                Some(Box::new(connection.map_err(io::Error::other)?))
            }
        };
        Ok(Client {
            stream: socket.into(),
            tls,
            heard: Vec::new(),
            is_gone: false,
        })
    }
}

fn config(certificate: CertificateDer<'static>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.enable_secret_extraction = true;
    Ok(config)
}

/// One connection, which never waits.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) tls: Option<Box<ClientConnection>>,
    /// What it was told and nobody has looked at.
    pub(crate) heard: Vec<u8>,
    pub(crate) is_gone: bool,
}

impl Client {
    /// Reads what there is; answers what TLS asks for.
    pub(crate) fn turn(&mut self) {
        let Self {
            stream,
            tls,
            heard,
            is_gone,
        } = self;
        let Some(tls) = tls else {
            let mut buffer = [0; 16 * 1024];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return *is_gone = true,
                    Ok(taken) => heard.extend_from_slice(&buffer[..taken]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                    Err(_) => return *is_gone = true,
                }
            }
        };
        loop {
            while tls.wants_write() {
                if tls.write_tls(stream).is_err() {
                    break;
                }
            }
            match tls.read_tls(stream) {
                Ok(0) => return *is_gone = true,
                Ok(_) if tls.process_new_packets().is_ok() => _ = tls.reader().read_to_end(heard),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => return *is_gone = true,
            }
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.stream)?;
                }
                Ok(())
            }
        }
    }

    /// How many whole lines it was told since this was last asked.
    pub(crate) fn take_lines(&mut self) -> usize {
        let lines = memchr::memchr_iter(b'\n', &self.heard).count();
        let end = self.heard.iter().rposition(|byte| *byte == b'\n');
        self.heard.drain(..end.map_or(0, |end| end + 1));
        lines
    }
}

/// Many clients on one poll.
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    pub(crate) clients: Vec<Client>,
}

impl Crowd {
    pub(crate) fn new() -> io::Result<Self> {
        Self::with_events(1024)
    }

    /// One that looks after so many in a turn at most: what they do to shake hands takes its time here, too.
    pub(crate) fn with_events(most: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(most),
            clients: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, client: Client) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let descriptor = client.stream.as_raw_fd();
        let mut source = mio::unix::SourceFd(&descriptor);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(self.clients.len());
        self.poll
            .registry()
            .register(&mut source, token, interest)?;
        self.clients.push(client);
        Ok(())
    }

    /// Waits until something comes, at most so long; gives who heard something.
    pub(crate) fn turn(&mut self, timeout: Duration) -> io::Result<Vec<usize>> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for client in &ready {
            self.clients[*client].turn();
        }
        Ok(ready)
    }

    /// Lets so many come in, each of whom is greeted, a few at a time.
    pub(crate) fn join(&mut self, server: &Server, kind: Kind, count: usize) -> io::Result<()> {
        for begun in (0..count).step_by(16) {
            let first = self.clients.len();
            for index in begun..count.min(begun + 16) {
                self.add(server.dial(kind, index)?)?;
            }
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.clients[first..].iter().any(|it| it.heard.is_empty()) {
                self.turn(Duration::from_millis(10))?;
                if Instant::now() > deadline || self.clients[first..].iter().any(|it| it.is_gone) {
                    return Err(io::Error::other("somebody was not let in"));
                }
            }
        }
        Ok(())
    }

    /// Reads for so long; gives how many lines came.
    pub(crate) fn listen(&mut self, time: Duration) -> io::Result<usize> {
        let (deadline, mut lines) = (Instant::now() + time, 0);
        while Instant::now() < deadline {
            for client in self.turn(Duration::from_millis(10))? {
                lines += self.clients[client].take_lines();
            }
        }
        Ok(lines)
    }
}
