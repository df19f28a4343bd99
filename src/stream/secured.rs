//! What is TLS about a stream.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::{tls, Read, Stream, Tcp, Write};

impl tls::Raw for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> Read {
        Read::by(|| io::Read::read(self, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> Write {
        Write::by(|| io::Write::write(self, bytes))
    }
}

impl Stream {
    /// Begins to connect to an address in TLS, to whom proves who they are; [`Socket::connected`] tells what came of it.
    pub(crate) fn connect_in_tls(address: SocketAddr, proof: &tls::Proof) -> io::Result<Self> {
        let stream = Self::connect(address, None)?;
        Ok(Self::Dialled(Box::new(tls::Dialled::new(stream, proof)?)))
    }

    /// Lets the stream speak TLS from now on; these bytes were read of it before. A stream within this machine does not.
    pub(crate) fn secure(
        &mut self,
        identity: &tls::Identity,
        http: bool,
        read: Vec<u8>,
    ) -> io::Result<()> {
        if let Self::Tcp(stream) = self {
            stream.tls = Some(Box::new(tls::Tls::new(identity, http, read)?));
        }
        Ok(())
    }

    /// Goes on with the handshake of a stream that speaks TLS.
    pub(crate) fn shake_hands(&mut self, buffer: &mut [u8]) -> tls::Handshake {
        match self {
            Self::Tcp(Tcp {
                socket,
                tls: Some(tls),
            }) => tls.shake_hands(socket, buffer),
            _ => tls::Handshake::Failed("no-tls"),
        }
    }

    /// Tells the peer that nothing more will be written, but leaves the socket as it is.
    pub(crate) fn finish_tls(&mut self) {
        if let Self::Tcp(Tcp {
            socket,
            tls: Some(tls),
        }) = self
        {
            tls.finish(socket);
        }
    }

    /// Bytes that TLS keeps for the peer.
    pub(crate) fn held(&self) -> usize {
        self.tls().map_or(0, tls::Tls::held)
    }

    /// Whether bytes were promised to be taken, so that no others may be written.
    pub(crate) fn is_stuck(&self) -> bool {
        self.tls().is_some_and(tls::Tls::is_stuck)
    }

    fn tls(&self) -> Option<&tls::Tls> {
        match self {
            Self::Tcp(stream) => stream.tls.as_deref(),
            Self::Unix(_) | Self::Dialled(_) => None,
        }
    }
}
