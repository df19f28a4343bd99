//! What the server and the clients do in the same way to a TCP stream: its options, one write, its end.

use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// A dead peer is noticed after a minute of silence and three unanswered probes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes that stay unacknowledged for a minute break the connection (`TCP_USER_TIMEOUT`, RFC 5482).
#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);

/// Five hundred clients that connect during one slow turn must find room; mio's own default is 128.
const BACKLOG: i32 = 1024;

/// Listens on an address. A server that was stopped a moment ago does not hold it any more.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets the options of a connected stream. Each makes it better but none is worth losing it for.
pub(crate) fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
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

/// Writes what goes without waiting; gives the number of bytes taken.
pub(crate) fn write(stream: &mut TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        // A plain send is cheaper than a gathering one.
        [slice] => stream.write(slice),
        slices => stream.write_vectored(slices),
    }
}

/// Tells the peer that nothing more will be written.
pub(crate) fn finish(stream: &TcpStream) {
    // It fails only where the peer has gone already.
    let _ = stream.shutdown(Shutdown::Write);
}

/// Closes with a reset, so that the kernel does not keep for minutes what the peer does not take.
pub(crate) fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}
