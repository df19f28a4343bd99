//! One connection, and what becomes of its readiness: the same for the server and for its clients.
//!
//! A [`Stream`] is a socket that never waits. What a call on it came to is a [`Read`] or a [`Write`]. Events are
//! edge-triggered: an [`Edge`] hints at a change and is not repeated, so a [`Readiness`] keeps what edges and reads have
//! told, and alone decides when a stream need not be read any more. The streams of a simulation are kept in the same way.

use std::io::{self, IoSlice, Read as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::time::Duration;

use mio::event::{Event, Source};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};

#[cfg(feature = "tls")]
mod secured;
#[cfg(feature = "tls")]
pub(crate) mod tls;

/// A dead peer is noticed after a minute of silence and three unanswered probes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes that stay unacknowledged for a minute break the connection (`TCP_USER_TIMEOUT`, RFC 5482).
#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);

/// Five hundred clients that connect during one slow turn must find room; mio's own default is 128.
const BACKLOG: i32 = 1024;

/// Linux gives each connection the options of the listener that it came to.
const LISTENERS_PASS_ON: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Sets the options of a listener that its connections are to have. So none of them costs seven calls.
///
/// Urgent bytes are left in their place among the others: Telnet's Synch puts its mark into urgent data (RFC 854); out of
/// line, the byte behind it would be torn off.
pub(crate) fn tune_listener(listener: &TcpListener) {
    let socket = SockRef::from(listener);
    tune(&socket);
    let _ = socket.set_out_of_band_inline(true);
}

/// Sets the options of a connection. Each makes it better but none is worth losing it for.
fn tune(socket: &SockRef<'_>) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
    #[cfg(not(target_os = "openbsd"))]
    let keepalive = keepalive
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
}

/// Listens on an address; `[::]` takes connections of IPv4, too, unless `only_v6`. A server that was stopped a moment ago
/// does not hold the address any more.
pub(crate) fn listen(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Whatever the system does by default.
        socket.set_only_v6(only_v6)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// At least one byte was read. Fewer than there was room for: see [`Readiness::handle_read`].
    Bytes(usize),
    /// There is nothing to be read now; an edge tells when there is.
    Blocked,
    /// The peer has ended its side of the stream, and everything before was read.
    Ended,
    /// So many bytes, perhaps none, came out of so many records of TLS. There may be more, whatever there was room for.
    #[cfg(feature = "tls")]
    Records { bytes: usize, records: usize },
    /// The stream has ended below TLS, whose own end did not come: something may be missing.
    #[cfg(feature = "tls")]
    Truncated,
    /// The connection is broken.
    Broken(io::ErrorKind),
}

impl Read {
    /// What this call comes to, which is made again when a signal has interrupted it.
    pub(crate) fn by(call: impl FnMut() -> io::Result<usize>) -> Self {
        match uninterrupted(call) {
            Ok(0) => Self::Ended,
            Ok(bytes) => Self::Bytes(bytes),
            Err(io::ErrorKind::WouldBlock) => Self::Blocked,
            Err(kind) => Self::Broken(kind),
        }
    }
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// This many bytes were taken, at least one.
    Taken(usize),
    /// Nothing is taken now; an edge tells when something is. The same bytes must be offered again then.
    Blocked,
    /// No byte will ever be taken again. What the peer has sent may still lie unread, and no edge may come for it.
    Broken(io::ErrorKind),
}

impl Write {
    /// What this call comes to, which offers at least one byte and is made again when a signal has interrupted it.
    pub(crate) fn by(call: impl FnMut() -> io::Result<usize>) -> Self {
        match uninterrupted(call) {
            Ok(0) => Self::Broken(io::ErrorKind::WriteZero),
            Ok(bytes) => Self::Taken(bytes),
            Err(io::ErrorKind::WouldBlock) => Self::Blocked,
            Err(kind) => Self::Broken(kind),
        }
    }
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> Result<usize, io::ErrorKind> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome.map_err(|error| error.kind()),
        }
    }
}

/// What one event hints at. None of it is repeated while nothing changes.
#[allow(
    clippy::struct_excessive_bools,
    reason = "the flags of an event, each for itself"
)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    /// There may be something to read.
    pub(crate) readable: bool,
    /// There may be room to write.
    pub(crate) writable: bool,
    /// The stream may have ended or broken.
    pub(crate) closed: bool,
    /// There may be urgent data, at which a read stops short of what is there.
    pub(crate) urgent: bool,
}

impl From<&Event> for Edge {
    fn from(event: &Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            closed: event.is_read_closed() || event.is_error(),
            urgent: event.is_priority(),
        }
    }
}

/// What edges and reads have told of a stream that is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    due: Due,
    /// An edge said that the stream has ended or broken: read until that is seen.
    may_have_ended: bool,
    /// An edge told of urgent data: a short read does not tell that there is no more.
    may_stop_short: bool,
}

/// Whether a stream is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Due {
    /// Not before an edge tells of it.
    #[default]
    No,
    /// There may be something that no edge will tell of again.
    Yes,
    /// There may be, and it is not to be read for now.
    Later,
}

impl Readiness {
    /// Notes what an event hints at; gives whether the stream is to be read and was not before.
    pub(crate) fn note(&mut self, edge: Edge) -> bool {
        self.may_have_ended |= edge.closed;
        self.may_stop_short |= edge.urgent;
        (edge.readable || edge.closed || edge.urgent) && self.look()
    }

    /// The stream is to be read, whatever was told; gives whether it was not before.
    pub(crate) fn look(&mut self) -> bool {
        std::mem::replace(&mut self.due, Due::Yes) != Due::Yes
    }

    /// The stream is to be read until its end; gives whether it was not to be read before.
    pub(crate) fn look_for_end(&mut self) -> bool {
        self.may_have_ended = true;
        self.look()
    }

    /// The stream is not to be read for now, whatever lies there; [`Readiness::go_on`] ends that.
    pub(crate) fn set_aside(&mut self) {
        self.due = Due::Later;
    }

    /// The stream is to be read again if it was set aside; gives whether it was.
    pub(crate) fn go_on(&mut self) -> bool {
        self.due == Due::Later && self.look()
    }

    /// Whether the stream is to be read.
    pub(crate) fn is_readable(self) -> bool {
        self.due == Due::Yes
    }

    /// Whether an end may lie in the stream, behind what is unread.
    pub(crate) fn may_have_ended(self) -> bool {
        self.may_have_ended
    }

    /// Forgets that there may be an end; gives whether there may have been one.
    pub(crate) fn take_end(&mut self) -> bool {
        std::mem::take(&mut self.may_have_ended)
    }

    /// What a read into `room` bytes came to. A short one has emptied the socket, unless its end is all that is left or
    /// the read stopped at urgent data.
    pub(crate) fn handle_read(&mut self, read: Read, room: usize) {
        match read {
            Read::Bytes(bytes) => {
                let may_be_more = bytes == room || self.may_have_ended || self.may_stop_short;
                self.due = if may_be_more { Due::Yes } else { Due::No };
            }
            // An end or urgent data yet to come has an edge of its own.
            Read::Blocked => *self = Self::default(),
            Read::Ended | Read::Broken(_) => self.due = Due::No,
            #[cfg(feature = "tls")]
            Read::Records { .. } => self.due = Due::Yes,
            #[cfg(feature = "tls")]
            Read::Truncated => self.due = Due::No,
        }
    }
}

/// What reads and writes a connection: a [`Stream`], or a test.
pub(crate) trait Socket {
    /// Whether the connection that was begun stands by now, and sets its options if so; an error says why it never will.
    fn connected(&mut self) -> io::Result<bool>;

    /// Our own address, where it is one of the network.
    fn local_address(&self) -> Option<SocketAddr>;

    /// Reads what is there.
    fn read(&mut self, buffer: &mut [u8]) -> Read;

    /// Writes what goes without waiting.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> Write;

    /// Tells the peer that nothing more will be written.
    fn finish(&mut self);

    /// The error that the connection has met, if no call has told of it yet. It is told once.
    fn take_error(&mut self) -> Option<io::ErrorKind>;
}

/// A connected socket, or one that is about to be.
#[derive(Debug)]
pub(crate) enum Stream {
    /// To a peer in the network.
    Tcp(Tcp),
    /// To a peer on this machine.
    Unix(UnixStream),
    /// To a server that speaks TLS.
    #[cfg(feature = "tls")]
    Dialled(Box<tls::Dialled>),
}

/// A stream to a peer in the network.
#[derive(Debug)]
pub(crate) struct Tcp {
    socket: TcpStream,
    /// What lies between the socket and us, if it speaks TLS.
    #[cfg(feature = "tls")]
    tls: Option<Box<tls::Tls>>,
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(Tcp {
            socket,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl Stream {
    /// Begins to connect to an address; [`Socket::connected`] tells what came of it.
    pub(crate) fn connect(
        address: SocketAddr,
        receive_buffer_bytes: Option<usize>,
    ) -> io::Result<Self> {
        let stream = Self::from(TcpStream::connect(address)?);
        if let Some(bytes) = receive_buffer_bytes {
            stream.socket().set_recv_buffer_size(bytes)?;
        }
        Ok(stream)
    }

    /// Sets the options of a stream that was accepted, where its listener did not pass them on.
    pub(crate) fn tune_accepted(&self) {
        if let (Self::Tcp(stream), false) = (self, LISTENERS_PASS_ON) {
            let socket = SockRef::from(&stream.socket);
            tune(&socket);
            let _ = socket.set_out_of_band_inline(true);
        }
    }

    /// Asks for its events under `token`, those of urgent data only if `urgent`.
    pub(crate) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        urgent: bool,
    ) -> io::Result<()> {
        registry.register(self.source(), token, interest(urgent))
    }

    /// Asks for its events under another token. What is ready is told of again.
    pub(crate) fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        urgent: bool,
    ) -> io::Result<()> {
        registry.reregister(self.source(), token, interest(urgent))
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => &mut stream.socket,
            Self::Unix(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Dialled(stream) => stream.below_mut().source(),
        }
    }

    /// Closes with a reset, so that the kernel does not keep for minutes what the peer does not take. Dropping a stream
    /// closes it in good order.
    pub(crate) fn reset(self) {
        let _ = self.socket().set_linger(Some(Duration::ZERO));
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(&stream.socket),
            Self::Unix(stream) => SockRef::from(stream),
            #[cfg(feature = "tls")]
            Self::Dialled(stream) => stream.below().socket(),
        }
    }
}

impl Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> Read {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.read(&mut self.socket, buffer);
        }
        Read::by(|| self.socket.read(buffer))
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> Write {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.write(&mut self.socket, slices);
        }
        Write::by(|| write(&mut self.socket, slices))
    }
}

impl Socket for Stream {
    fn connected(&mut self) -> io::Result<bool> {
        #[cfg(feature = "tls")]
        if let Self::Dialled(stream) = self {
            return stream.connected();
        }
        if let Some(error) = self.socket().take_error()? {
            return Err(error);
        }
        match self.socket().peer_addr() {
            Ok(_) => {
                if let Self::Tcp(stream) = self {
                    tune(&SockRef::from(&stream.socket));
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.socket().local_addr().ok()?.as_socket()
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => Read::by(|| stream.read(buffer)),
            #[cfg(feature = "tls")]
            Self::Dialled(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> Write {
        match self {
            Self::Tcp(stream) => stream.write(slices),
            Self::Unix(stream) => Write::by(|| write(stream, slices)),
            #[cfg(feature = "tls")]
            Self::Dialled(stream) => stream.write(slices),
        }
    }

    fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Self::Dialled(stream) = self {
            return stream.finish();
        }
        #[cfg(feature = "tls")]
        self.finish_tls();
        // It fails only where the peer has gone already.
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    fn take_error(&mut self) -> Option<io::ErrorKind> {
        let error = self.socket().take_error().unwrap_or_else(Some);
        error.map(|error| error.kind())
    }
}

fn interest(urgent: bool) -> Interest {
    let interest = Interest::READABLE | Interest::WRITABLE;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if urgent {
        return interest | Interest::PRIORITY;
    }
    interest
}

fn write(stream: &mut impl io::Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        // A plain send is cheaper than a gathering one.
        [slice] => stream.write(slice),
        slices => stream.write_vectored(slices),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use io::ErrorKind::{BrokenPipe, ConnectionReset, Interrupted, WouldBlock};
    use mio::{Events, Poll};

    const ROOM: usize = 8;

    fn edge(flags: &str) -> Edge {
        Edge {
            readable: flags.contains('r'),
            writable: flags.contains('w'),
            closed: flags.contains('c'),
            urgent: flags.contains('u'),
        }
    }

    #[test]
    fn only_a_short_read_of_an_open_stream_empties_it() {
        for (flags, bytes, reads_on) in [
            ("r", ROOM - 1, false),
            ("r", ROOM, true),
            ("rc", 1, true),
            ("ru", 1, true),
            ("u", 1, true),
        ] {
            let mut readiness = Readiness::default();
            assert!(readiness.note(edge(flags)), "{flags}");
            assert!(!readiness.note(edge(flags)), "{flags} was told before");
            readiness.handle_read(Read::Bytes(bytes), ROOM);
            assert_eq!(readiness.is_readable(), reads_on, "{bytes} after {flags}");
        }
        assert!(!Readiness::default().note(edge("w")));
    }

    #[test]
    fn what_hints_meant_is_over_when_a_read_finds_nothing() {
        let mut readiness = Readiness::default();
        readiness.note(edge("rcu"));
        readiness.handle_read(Read::Blocked, ROOM);
        assert_eq!(readiness, Readiness::default());
        readiness.note(edge("r"));
        readiness.handle_read(Read::Bytes(1), ROOM);
        assert!(!readiness.is_readable());
    }

    #[test]
    fn what_is_set_aside_keeps_its_end() {
        let mut readiness = Readiness::default();
        readiness.note(edge("rc"));
        readiness.set_aside();
        assert!(!readiness.is_readable() && readiness.may_have_ended());
        assert!(readiness.look());
        for end in [Read::Ended, Read::Broken(ConnectionReset)] {
            readiness.handle_read(end, ROOM);
            assert!(!readiness.is_readable(), "nothing is read behind {end:?}");
            assert!(readiness.look_for_end());
        }
        assert!(readiness.take_end() && !readiness.take_end());
    }

    #[test]
    fn an_interrupted_call_is_made_again() {
        let mut outcomes = vec![Ok(3), Err(Interrupted), Err(Interrupted)];
        let read = Read::by(|| outcomes.pop().unwrap().map_err(Into::into));
        assert_eq!(read, Read::Bytes(3));
        for (outcome, read, write) in [
            (Ok(0), Read::Ended, Write::Broken(io::ErrorKind::WriteZero)),
            (Ok(1), Read::Bytes(1), Write::Taken(1)),
            (Err(WouldBlock), Read::Blocked, Write::Blocked),
            (
                Err(ConnectionReset),
                Read::Broken(ConnectionReset),
                Write::Broken(ConnectionReset),
            ),
        ] {
            assert_eq!(Read::by(|| outcome.map_err(Into::into)), read);
            assert_eq!(Write::by(|| outcome.map_err(Into::into)), write);
        }
    }

    /// The next edge of the one stream on a poll.
    fn next_edge(poll: &mut Poll) -> Edge {
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, None).unwrap();
        events.iter().next().unwrap().into()
    }

    #[test]
    fn a_unix_socket_is_a_stream() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut ours, mut theirs) = (Stream::from(ours), Stream::from(theirs));
        let mut poll = Poll::new().unwrap();
        ours.register(poll.registry(), Token(0), true).unwrap();
        let mut readiness = Readiness::default();
        let mut buffer = [0; ROOM];
        assert_eq!(ours.read(&mut buffer), Read::Blocked);
        assert!(ours.connected().unwrap());
        assert_eq!((ours.local_address(), ours.take_error()), (None, None));
        ours.tune_accepted();

        let slices = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
        assert_eq!(theirs.write(&slices), Write::Taken(5));
        assert_eq!(theirs.write(&slices[..1]), Write::Taken(3));
        theirs.finish();
        while !readiness.may_have_ended() {
            readiness.note(next_edge(&mut poll));
        }
        let mut got = Vec::new();
        let end = loop {
            assert!(readiness.is_readable(), "no edge will tell of the rest");
            let read = ours.read(&mut buffer);
            readiness.handle_read(read, ROOM);
            match read {
                Read::Bytes(bytes) => got.extend_from_slice(&buffer[..bytes]),
                end => break end,
            }
        };
        assert_eq!((got.as_slice(), end), (&b"hellohel"[..], Read::Ended));

        // It takes what there is room for, and an edge tells when there is more.
        let bytes = vec![b'x'; 64 * 1024];
        let mut sent = 0;
        while let Write::Taken(taken) = ours.write(&[IoSlice::new(&bytes)]) {
            sent += taken;
        }
        assert_eq!(ours.write(&[IoSlice::new(&bytes)]), Write::Blocked);
        let mut heard = 0;
        while let Read::Bytes(read) = theirs.read(&mut vec![0; 1 << 20]) {
            heard += read;
        }
        assert_eq!(heard, sent);
        while !next_edge(&mut poll).writable {}
        assert!(matches!(
            ours.write(&[IoSlice::new(&bytes)]),
            Write::Taken(_)
        ));
        theirs.reset();
        assert!(next_edge(&mut poll).closed);
        assert!(matches!(
            ours.write(&[IoSlice::new(b"x")]),
            Write::Broken(BrokenPipe | ConnectionReset)
        ));
    }
}
