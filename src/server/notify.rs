//! What a supervisor is told (`sd_notify(3)`): one datagram to the socket that it names.
//!
//! Whatever stands there, nothing waits for it for long: a queue that is full is waited for at the start only.

use std::env;
use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};

/// Where the supervisor listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells the supervisor, if there is one, and waits for its queue at most for `patience`.
///
/// # Errors
/// If it cannot be told; the message says where.
pub(super) fn notify(state: &str, patience: Duration) -> io::Result<()> {
    let Some(place) = env::var_os(SOCKET).filter(|place| !place.is_empty()) else {
        return Ok(());
    };
    tell(place.as_bytes(), state, patience).map_err(|error| {
        let what = format!("cannot tell {SOCKET} {}: {error}", place.display());
        io::Error::new(error.kind(), what)
    })
}

fn tell(place: &[u8], state: &str, patience: Duration) -> io::Result<()> {
    let address = match place {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    let timeout = Timespec {
        tv_sec: patience.as_secs().cast_signed(),
        tv_nsec: patience.subsec_nanos().into(),
    };
    // Where nothing comes of it, the send says why.
    let _ = poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&timeout));
    socket.send(state.as_bytes()).map(|_| ())
}
