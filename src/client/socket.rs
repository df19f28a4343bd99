//! A client's socket, with TLS or without.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use mio::{Registry, Token};

use crate::client::connection::Connection;
#[cfg(feature = "tls")]
use crate::stream::tls::Dialled;
use crate::stream::{Read, Socket, Stream, Write};

#[derive(Debug)]
pub(super) enum ClientSocket {
    Plain(Stream),
    #[cfg(feature = "tls")]
    Secured(Box<Dialled>),
}

impl ClientSocket {
    /// Begins to connect a client to an address, and asks for its events.
    pub(super) fn dial(
        address: SocketAddr,
        connection: &Connection,
        registry: &Registry,
    ) -> io::Result<Self> {
        let mut stream = Stream::connect(address, connection.options.receive_buffer_bytes)?;
        stream.register(registry, Token(connection.id().slot), false)?;
        #[cfg(feature = "tls")]
        if let Some(proof) = &connection.target.proof {
            return Ok(Self::Secured(Box::new(Dialled::new(stream, proof)?)));
        }
        Ok(Self::Plain(stream))
    }

    /// As [`Stream::reset`].
    pub(super) fn reset(self) {
        match self {
            Self::Plain(stream) => stream.reset(),
            #[cfg(feature = "tls")]
            Self::Secured(stream) => stream.reset(),
        }
    }

    fn as_dyn(&mut self) -> &mut dyn Socket {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Secured(stream) => &mut **stream,
        }
    }
}

impl Socket for ClientSocket {
    fn connected(&mut self) -> io::Result<bool> {
        self.as_dyn().connected()
    }

    fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.local_address(),
            #[cfg(feature = "tls")]
            Self::Secured(stream) => stream.local_address(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        self.as_dyn().read(buffer)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> Write {
        self.as_dyn().write(slices)
    }

    fn finish(&mut self) {
        self.as_dyn().finish();
    }

    fn take_error(&mut self) -> Option<io::ErrorKind> {
        self.as_dyn().take_error()
    }
}
