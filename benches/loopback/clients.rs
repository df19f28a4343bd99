//! The load: many clients on one `Poll`, with as little work as can be for each byte that comes.
//!
//! It knows sockets and how a client comes into the room. What is said there and what is counted is the caller's
//! business.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use memchr::{memchr, memmem};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::server::{ServerProcess, Subject};

/// Few, so that the load looks at its clock often, even while thousands of sockets are ready.
const EVENTS_PER_TURN_MAX: usize = 256;
const BUFFER_BYTES: usize = 256 * 1024;

/// Connections that may be under way at once. More would only overflow the queue of the listener, and then the kernel's
/// retries after a second would be what is measured.
const CONNECTS_PENDING_MAX: usize = 512;
const CONNECTS_PER_TURN_MAX: usize = 16;
const CLIENTS_PER_ADDRESS: usize = 500;
const JOIN_SECONDS_MAX: u64 = 60;

/// Names are made of three of these. They look like no other of them, and no name of three is a reserved one.
const NAME_LETTERS: &[u8] = b"abcdefghjkpqstuvxyz23456789";
/// How many clients can have names of their own, a few more aside that are beside the crowd.
pub(super) const CLIENTS_MAX: usize = 19_600;
/// How long a name is, in bytes.
pub(super) const NAME_BYTES: usize = 3;

/// All clients of one server, told by their index.
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    buffer: Box<[u8]>,
    address: SocketAddr,
    subject: Subject,
    clients: Vec<Client>,
    /// The number of the first one's name.
    first_name: usize,
    /// Sessions that the server, and not the load, has ended.
    pub(super) dropped: usize,
}

pub(super) struct Client {
    stream: TcpStream,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    is_gone: bool,
    is_greeted: bool,
    /// It is greeted and, if need be, has its name.
    is_here: bool,
    /// What has come of a line that is not ended, if its lines are read.
    partial: Vec<u8>,
}

impl Crowd {
    /// Nobody yet. Where a server has several crowds, their names begin at different numbers.
    pub(super) fn new(server: &ServerProcess, first_name: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_TURN_MAX),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            address: server.address,
            subject: server.subject,
            clients: Vec::new(),
            first_name,
            dropped: 0,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn client(&mut self, index: usize) -> &mut Client {
        &mut self.clients[index]
    }

    /// Waits for at most `timeout`, then reads what has come and hands it to `heard`, with whose it is.
    pub(super) fn turn(
        &mut self,
        timeout: Duration,
        mut heard: impl FnMut(usize, &mut Client, &[u8]),
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            let index = event.token().0;
            // Those who left are no longer there, but their last events may be.
            let Some(client) = self.clients.get_mut(index) else {
                continue;
            };
            if event.is_writable() && !client.unsent.is_empty() {
                client.send_rest();
            }
            let was_gone = client.is_gone;
            while !client.is_gone {
                match client.stream.read(&mut self.buffer) {
                    Ok(0) => client.is_gone = true,
                    Ok(taken) => {
                        heard(index, client, &self.buffer[..taken]);
                        // A short read took everything, unless the stream has ended behind it.
                        if taken < self.buffer.len() && !event.is_read_closed() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => break,
                    Err(_) => client.is_gone = true,
                }
            }
            self.dropped += usize::from(client.is_gone && !was_gone);
        }
        Ok(())
    }

    /// Reads what comes for as long, and heeds none of it.
    pub(super) fn listen(&mut self, time: Duration) -> io::Result<()> {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.turn(Duration::from_millis(50), |_, _, _| {})?;
        }
        Ok(())
    }

    /// Connects until there are `count`, waits until each is greeted and, when `are_named`, has taken a name. `meanwhile` is
    /// called between the turns.
    pub(super) fn join(
        &mut self,
        count: usize,
        are_named: bool,
        mut meanwhile: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(JOIN_SECONDS_MAX);
        let takes_names = are_named && self.subject == Subject::Chatd;
        let (first, first_name) = (self.clients.len(), self.first_name);
        let (mut greeted, mut here, mut refusal) = (0, 0, None);
        while first + here < count {
            let pending = self.clients.len() - first - greeted;
            let more = (count - self.clients.len())
                .min(CONNECTS_PENDING_MAX - pending)
                .min(CONNECTS_PER_TURN_MAX);
            for _ in 0..more {
                self.connect()?;
            }
            meanwhile()?;
            let timeout = Duration::from_millis(u64::from(more == 0));
            self.turn(timeout, |index, client, bytes| {
                if !client.is_here {
                    let was_greeted = client.is_greeted;
                    let name = takes_names.then_some(first_name + index);
                    refusal = refusal.take().or(client.come_in(name, bytes));
                    greeted += usize::from(client.is_greeted && !was_greeted);
                    here += usize::from(client.is_here);
                }
            })?;
            if let Some(refusal) = refusal {
                return Err(io::Error::other(format!("a client cannot join: {refusal}")));
            }
            if self.dropped > 0 {
                return Err(io::Error::other("a client was dropped while joining"));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "{} of {count} clients joined within {JOIN_SECONDS_MAX} s",
                    first + here
                )));
            }
        }
        Ok(())
    }

    /// Closes the connections of the last ones, until `count` are left.
    pub(super) fn leave(&mut self, count: usize) {
        self.clients.truncate(count);
    }

    fn connect(&mut self) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.bind(&source(self.address, self.clients.len()).into())?;
        match socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        self.poll.registry().register(
            &mut stream,
            Token(self.clients.len()),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.clients.push(Client {
            stream,
            unsent: Vec::new(),
            is_gone: false,
            is_greeted: false,
            is_here: false,
            partial: Vec::new(),
        });
        Ok(())
    }
}

impl Client {
    /// Sends it now, or later what the socket does not take now.
    pub(super) fn say(&mut self, line: &[u8]) {
        let is_waiting = !self.unsent.is_empty();
        self.unsent.extend_from_slice(line);
        if !is_waiting {
            self.send_rest();
        }
    }

    /// Goes on into the room, under the name of this number if it is to have one; gives what the server refuses it with.
    fn come_in(&mut self, name_number: Option<usize>, bytes: &[u8]) -> Option<String> {
        let mut refusal = None;
        self.each_line(bytes, |client, line| {
            if line.starts_with(b"!! ") {
                refusal.get_or_insert_with(|| String::from_utf8_lossy(line).into_owned());
            } else if !client.is_greeted && is_end_of_greeting(line) {
                client.is_greeted = true;
                match name_number {
                    Some(number) => client.say(format!("/name {}\n", name(number)).as_bytes()),
                    None => client.is_here = true,
                }
            } else if line.starts_with(b"-- you are ") {
                client.is_here = true;
            }
        });
        if self.is_here {
            // What reads lines from now on begins here, maybe within one.
            self.partial = Vec::new();
        }
        refusal
    }

    /// Cuts bytes that it was sent into lines without their ends; what is left of the last one is kept until the next time.
    pub(super) fn each_line(&mut self, bytes: &[u8], mut heard: impl FnMut(&mut Self, &[u8])) {
        let mut bytes = bytes;
        let mut partial = mem::take(&mut self.partial);
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if partial.is_empty() {
                heard(self, line.strip_suffix(b"\r").unwrap_or(line));
            } else {
                partial.extend_from_slice(line);
                heard(self, partial.strip_suffix(b"\r").unwrap_or(&partial));
                partial.clear();
            }
            bytes = rest;
        }
        partial.extend_from_slice(bytes);
        self.partial = partial;
    }

    fn send_rest(&mut self) {
        while !self.unsent.is_empty() {
            // A broken connection is told by the next read.
            let taken = self.stream.write(&self.unsent).unwrap_or(0);
            if taken == 0 {
                return;
            }
            self.unsent.drain(..taken);
        }
    }
}

/// Where a client comes from. The kernel takes long to find a free port once half of an address's ports are in use, or
/// were a minute ago, so each few hundred clients of each server have an address of their own.
fn source(server: SocketAddr, index: usize) -> SocketAddr {
    let [high, low] = server.port().to_be_bytes();
    let last = (index / CLIENTS_PER_ADDRESS % 250) as u8 + 1;
    SocketAddr::from((Ipv4Addr::new(127, high | 1, low, last), 0))
}

/// The name of a client, unlike that of any other.
pub(super) fn name(index: usize) -> String {
    let letters = NAME_LETTERS.len();
    [
        index / letters / letters % letters,
        index / letters % letters,
        index % letters,
    ]
    .iter()
    .map(|&letter| char::from(NAME_LETTERS[letter]))
    .collect()
}

/// chatd's second line tells who is here; the floor says but one.
fn is_end_of_greeting(line: &[u8]) -> bool {
    let tells_who_is_here = |words: &[u8]| memmem::find(line, words).is_some();
    line == b"-- floor" || tells_who_is_here(b" here: ") || tells_who_is_here(b" here yet; ")
}
