//! The real network: mio's poll, listeners and streams, signals, and the waker of a [`ShutdownHandle`].

use std::fmt;
use std::io::{self, IoSlice, IsTerminal};
use std::iter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::net::{TcpListener, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token, Waker};
#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use socket2::SockRef;

use crate::hub::{Ending, SessionId};
use crate::origin::Origin;
use crate::relay::Line;
use crate::server::listener::{Listener, OperatorSocket};
use crate::server::network::{Network, Owner, Peer, Place, Wakeup};
use crate::server::notify::notify;
use crate::server::signals::unblock_handled;
use crate::server::socket_file::SocketFile;
#[cfg(feature = "tls")]
use crate::stream::tls::{Handshake, Identity};
use crate::stream::{tune_listener, Edge, Read, Socket, Stream, Write};

/// Tokens of sessions are below the half of the range, see [`SessionId::to_bits`]; listeners, and slots of connections
/// that are no sessions, count from an eighth of the range each. An event that is read after its stream was closed
/// cannot be: streams are closed between the events of one poll and the next.
const EIGHTH: usize = 1 << (usize::BITS - 3);
const FIRST_LISTENER: usize = 4 * EIGHTH;
const FIRST_DOOR: usize = 5 * EIGHTH;
const FIRST_CONTROL: usize = 6 * EIGHTH;
const FIRST_MONITOR: usize = 7 * EIGHTH;
const WAKER: Token = Token(usize::MAX - 1);
const SIGNALS: Token = Token(usize::MAX - 2);
const RELAY_PEN: usize = usize::MAX - 3;
const RELAY_EAR: usize = usize::MAX - 4;

/// At most 1024 events are taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

/// The kernel's side of the server.
pub(super) struct Kernel {
    poll: Poll,
    events: Events,
    /// By their numbers; those that were closed leave a gap.
    listeners: Vec<Option<Acceptor>>,
    remote: Arc<Remote>,
    signals: Option<Signals>,
    /// What SIGHUP asks for.
    on_hangup: Wakeup,
    held_elsewhere: bool,
}

/// A socket that listens.
enum Acceptor {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// It goes with the listener.
        #[allow(dead_code, reason = "it is held")]
        file: Option<SocketFile>,
    },
}

/// Where a socket listens.
pub(super) enum ListenAddress {
    Inet(SocketAddr),
    Path(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Stops a server from anywhere, once it runs or before, or asks it for a report.
#[derive(Debug, Clone)]
pub struct ShutdownHandle(Arc<Remote>);

/// What was asked for from elsewhere, and what wakes the loop to see it: several wake-ups may come as one event.
#[derive(Debug)]
struct Remote {
    waker: Waker,
    stops: AtomicUsize,
    report: AtomicBool,
}

impl ShutdownHandle {
    /// Asks the server to stop as SIGTERM does; the second time it stops at once.
    ///
    /// # Errors
    /// If the kernel does not take the wake-up.
    pub fn stop(&self) -> io::Result<()> {
        self.0.stops.fetch_add(1, Ordering::Release);
        self.0.waker.wake()
    }

    /// Asks the server to write a report into its log, as SIGUSR1 does.
    ///
    /// # Errors
    /// If the kernel does not take the wake-up.
    pub fn report(&self) -> io::Result<()> {
        self.0.report.store(true, Ordering::Release);
        self.0.waker.wake()
    }
}

impl Remote {
    fn take_events(&self, events: &mut Vec<Wakeup>) {
        let stops = self.stops.swap(0, Ordering::Acquire);
        events.extend(iter::repeat_n(Wakeup::Stop, stops));
        if self.report.swap(false, Ordering::Acquire) {
            events.push(Wakeup::Report);
        }
    }
}

impl Kernel {
    /// `held_elsewhere` if somebody else goes on to hold the listeners when we close them.
    pub(super) fn new(held_elsewhere: bool) -> io::Result<Self> {
        let poll = Poll::new()?;
        let remote = Arc::new(Remote {
            waker: Waker::new(poll.registry(), WAKER)?,
            stops: AtomicUsize::new(0),
            report: AtomicBool::new(false),
        });
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listeners: Vec::new(),
            remote,
            signals: None,
            on_hangup: Wakeup::Reload,
            held_elsewhere,
        })
    }

    /// Waits for connections on a listener, too; gives its address.
    pub(super) fn add_listener(
        &mut self,
        listener: Listener,
        send_buffer_bytes: Option<usize>,
    ) -> io::Result<ListenAddress> {
        let token = Token(FIRST_LISTENER + self.listeners.len());
        let registry = self.poll.registry();
        let (acceptor, address) = match listener {
            Listener::Inet { socket, .. } => {
                socket.set_nonblocking(true)?;
                tune_listener(&socket);
                // Accepted sockets inherit it. Without it the kernel takes megabytes for a client that never reads.
                if let Some(bytes) = send_buffer_bytes {
                    SockRef::from(&socket).set_send_buffer_size(bytes)?;
                }
                let mut socket = TcpListener::from_std(socket);
                registry.register(&mut socket, token, Interest::READABLE)?;
                let address = socket.local_addr()?;
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                (Acceptor::Tcp(socket), ListenAddress::Inet(address))
            }
            Listener::Operators(OperatorSocket { socket, file }) => {
                socket.set_nonblocking(true)?;
                let mut listener = UnixListener::from_std(socket);
                registry.register(&mut listener, token, Interest::READABLE)?;
                // The kernel goes on to tell the name that the socket was bound to, which is not ours any more.
                let address = listener.local_addr()?;
                let path = match &file {
                    Some(file) => file.path(),
                    None => address.as_pathname().unwrap_or(Path::new("")),
                };
                let path = ListenAddress::Path(path.to_owned());
                (Acceptor::Unix { listener, file }, path)
            }
        };
        self.listeners.push(Some(acceptor));
        Ok(address)
    }

    /// Lets signals come as events. Closing the window in which the server runs ends it: then
    /// SIGHUP is the same as SIGTERM.
    pub(super) fn handle_signals(&mut self) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP])?;
        self.poll
            .registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        if io::stderr().is_terminal() {
            self.on_hangup = Wakeup::Stop;
        }
        unblock_handled()
    }

    pub(super) fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle(Arc::clone(&self.remote))
    }
}

fn token_of(owner: Owner) -> Token {
    Token(match owner {
        Owner::Session(id) => id.to_bits(),
        Owner::Door(slot) => FIRST_DOOR + slot as usize,
        Owner::Control(slot) => FIRST_CONTROL + slot as usize,
        Owner::Monitor(slot) => FIRST_MONITOR + slot as usize,
        Owner::Relay(Line::Pen) => RELAY_PEN,
        Owner::Relay(Line::Ear) => RELAY_EAR,
    })
}

/// The owner whose stream has this token: one that [`token_of`] has given.
fn owner_of(Token(bits): Token) -> Owner {
    let slot = |first: usize| (bits - first) as u32;
    match bits {
        RELAY_PEN => Owner::Relay(Line::Pen),
        RELAY_EAR => Owner::Relay(Line::Ear),
        FIRST_MONITOR.. => Owner::Monitor(slot(FIRST_MONITOR)),
        FIRST_CONTROL.. => Owner::Control(slot(FIRST_CONTROL)),
        FIRST_DOOR.. => Owner::Door(slot(FIRST_DOOR)),
        _ => Owner::Session(SessionId::from_bits(bits)),
    }
}

impl Network for Kernel {
    type Stream = Stream;

    #[allow(
        clippy::disallowed_methods,
        reason = "the clock of the loop is asked here and nowhere else"
    )]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the time of day is asked here and nowhere else"
    )]
    fn wall_seconds(&self) -> u64 {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    fn seed(&mut self) -> io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }

    fn poll(&mut self, events: &mut Vec<Wakeup>, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            outcome => outcome?,
        }
        for event in &self.events {
            match event.token() {
                WAKER => self.remote.take_events(events),
                SIGNALS => {
                    let pending = self.signals.iter_mut().flat_map(Signals::pending);
                    events.extend(pending.map(|signal| match signal {
                        SIGUSR1 => Wakeup::Report,
                        SIGHUP => self.on_hangup,
                        _ => Wakeup::Stop,
                    }));
                }
                Token(token @ FIRST_LISTENER..FIRST_DOOR) => {
                    events.push(Wakeup::Listener(token - FIRST_LISTENER));
                }
                token => events.push(Wakeup::Stream {
                    owner: owner_of(token),
                    edge: Edge::from(event),
                }),
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Stream, Origin)> {
        let Some(Some(listener)) = self.listeners.get(listener) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        match listener {
            Acceptor::Tcp(listener) => {
                let (stream, from) = listener.accept()?;
                let stream = Stream::from(stream);
                stream.tune_accepted();
                Ok((stream, from.into()))
            }
            Acceptor::Unix { listener, .. } => {
                let (stream, _) = listener.accept()?;
                Ok((stream.into(), Origin::Local))
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn peer(&self, stream: &Stream) -> Option<Peer> {
        let Stream::Unix(stream) = stream else {
            return None;
        };
        let credentials = getsockopt(stream, PeerCredentials).ok()?;
        Some(Peer {
            uid: credentials.uid(),
            pid: credentials.pid(),
        })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn peer(&self, _: &Stream) -> Option<Peer> {
        None
    }

    fn dial(&mut self, place: &Place) -> io::Result<Stream> {
        match place {
            Place::Inet(address) => Stream::connect(*address, None),
            #[cfg(feature = "tls")]
            Place::Secured(address, proof) => Stream::connect_in_tls(*address, proof),
            Place::Path(path) => Ok(UnixStream::connect(path)?.into()),
        }
    }

    fn is_connected(&mut self, stream: &mut Stream) -> io::Result<bool> {
        stream.connected()
    }

    fn register(&mut self, stream: &mut Stream, owner: Owner) -> io::Result<()> {
        // Urgent data must be known of, for a read stops short at it.
        stream.register(self.poll.registry(), token_of(owner), true)
    }

    fn hand_over(&mut self, stream: &mut Stream, owner: Owner) -> io::Result<()> {
        stream.reregister(self.poll.registry(), token_of(owner), true)
    }

    fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Read {
        stream.read(buffer)
    }

    fn is_broken(&mut self, stream: &mut Stream) -> bool {
        stream.take_error().is_some()
    }

    fn write(&mut self, stream: &mut Stream, slices: &[IoSlice<'_>]) -> Write {
        stream.write(slices)
    }

    fn finish(&mut self, stream: &mut Stream) {
        stream.finish();
    }

    fn close(&mut self, stream: Stream, ending: Ending) {
        match ending {
            Ending::Orderly => drop(stream),
            Ending::Abrupt => stream.reset(),
        }
    }

    #[cfg(feature = "tls")]
    fn secure(
        &mut self,
        stream: &mut Stream,
        identity: &Identity,
        http: bool,
        read: Vec<u8>,
    ) -> io::Result<()> {
        stream.secure(identity, http, read)
    }

    #[cfg(feature = "tls")]
    fn shake_hands(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Handshake {
        stream.shake_hands(buffer)
    }

    #[cfg(feature = "tls")]
    fn finish_tls(&mut self, stream: &mut Stream) {
        stream.finish_tls();
    }

    #[cfg(feature = "tls")]
    fn held(&self, stream: &Stream) -> usize {
        stream.held()
    }

    #[cfg(feature = "tls")]
    fn is_stuck(&self, stream: &Stream) -> bool {
        stream.is_stuck()
    }

    fn keeps_listening(&self) -> bool {
        self.held_elsewhere
    }

    fn stop_listening(&mut self, kept: &[usize]) {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            if !kept.contains(&number) {
                *listener = None;
            }
        }
        // Where nobody can be told, that was said at the start.
        let _ = notify("STOPPING=1", Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_stream_survives_the_way_through_a_token() {
        for owner in [
            Owner::Session(SessionId::new(0, 0)),
            Owner::Session(SessionId::new(SessionId::SLOTS_MAX, u32::MAX)),
            Owner::Door(0),
            Owner::Door(255),
            Owner::Control(7),
            Owner::Monitor(15),
        ] {
            assert_eq!(owner_of(token_of(owner)), owner);
        }
    }
}
