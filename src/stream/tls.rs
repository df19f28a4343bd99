//! TLS between a stream and its socket, here on the side of the server. This file and what lies below it alone know rustls.
//!
//! A [`Tls`] owns no buffer while it is idle: what is read and what is written passes through a scratch buffer of the
//! thread. What comes as half a record waits in `partial`, and what the socket does not take in `stuck`.
//!
//! **Writing is a promise.** Ciphertext that was made cannot be taken back, and its plaintext must not be encrypted again.
//! So a write whose ciphertext the socket takes only in part is [`Write::Blocked`], and promises that exactly these bytes
//! are [`Write::Taken`] once the ciphertext is gone: whoever writes offers them again at the next edge, as it must in any
//! case, and whoever throws them away must never write again. So whoever writes has nothing left only when the socket
//! has taken all, and needs no other waker.
//!
//! **Reading**: the plaintext of what was read is handed on at once and whole, so none waits here of which no edge would
//! tell. How much lies in the socket cannot be seen from how much came out: [`Read::Records`].
//!
//! Invariants: `partial` is shorter than a record; `promised` is 0 where nothing is stuck.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{AlertDescription, Error, ProtocolVersion};

use super::{Read, Write};

mod dialled;
mod identity;
mod not_after;
mod scratch;

pub(crate) use dialled::{Dialled, Proof};
pub(crate) use identity::{Identity, Unfit};

pub use dialled::Roots;

use scratch::{Scratch, PLAINTEXT_MAX};

/// Around the plaintext of a record are at most 256 bytes (RFC 8446, section 5.2) and its header.
const RECORD_MAX: usize = PLAINTEXT_MAX + 256 + 5;

/// At most 18 KiB are kept of a handshake: a hello with everything in it has 2 KiB.
const HANDSHAKE_BYTES_MAX: usize = 18 * 1024;

/// A stream that speaks TLS is read into a buffer of at least 17 KiB, so that a whole record always fits.
pub(crate) const READ_BYTES_MIN: usize = 17 * 1024;

/// The first byte of a client that speaks TLS: that of a handshake record (RFC 8446, section 5.1).
pub(crate) const FIRST_BYTE: u8 = 0x16;

/// The socket under TLS.
pub(crate) trait Raw {
    /// Reads what is there.
    fn read(&mut self, buffer: &mut [u8]) -> Read;

    /// Writes what goes without waiting.
    fn write(&mut self, bytes: &[u8]) -> Write;
}

/// Which TLS it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// How far a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// The client has not sent all yet; if not `blocked`, there may be more to be read.
    Waits { blocked: bool },
    /// It is over, and this many bytes of plaintext came with it.
    Done { version: Version, bytes: usize },
    /// There will be none, for this reason.
    Failed(&'static str),
}

/// The TLS of one stream.
pub(crate) struct Tls {
    connection: UnbufferedServerConnection,
    /// The beginning of a record.
    partial: Vec<u8>,
    /// Ciphertext that the socket did not take.
    stuck: Vec<u8>,
    /// How many bytes of plaintext are taken when that is gone.
    promised: usize,
    /// How reading has ended, if it has.
    end: Option<Read>,
    /// Which bytes are promised.
    #[cfg(debug_assertions)]
    promise: u64,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("partial", &self.partial.len())
            .field("stuck", &self.stuck.len())
            .field("promised", &self.promised)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Tls {
    /// A stream of which no handshake was made yet, of which these bytes were read before. With HTTP inside if `http`.
    ///
    /// # Errors
    /// If rustls cannot make a connection, for there is no chance to be had from the system.
    pub(crate) fn new(identity: &Identity, http: bool, read: Vec<u8>) -> io::Result<Self> {
        let config = if http {
            &identity.http
        } else {
            &identity.config
        };
        let connection = UnbufferedServerConnection::new(Arc::clone(config));
        Ok(Self {
            connection: connection.map_err(io::Error::other)?,
            partial: read,
            stuck: Vec::new(),
            promised: 0,
            end: None,
            #[cfg(debug_assertions)]
            promise: 0,
        })
    }

    /// Bytes that it keeps for its peer.
    pub(crate) fn held(&self) -> usize {
        self.partial.capacity() + self.stuck.capacity()
    }

    /// Whether bytes were promised: then nothing else may be written before them.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// Goes on with the handshake; what comes behind it goes into `plaintext`.
    pub(crate) fn shake_hands(&mut self, raw: &mut impl Raw, plaintext: &mut [u8]) -> Handshake {
        SCRATCH.with_borrow_mut(|scratch| {
            let room = plaintext.len().min(HANDSHAKE_BYTES_MAX);
            let ciphertext = scratch.ciphertext(room);
            let kept = self.partial.len();
            if kept >= room {
                return Handshake::Failed("too-long");
            }
            ciphertext[..kept].copy_from_slice(&self.partial);
            let (read, blocked) = match raw.read(&mut ciphertext[kept..]) {
                Read::Bytes(bytes) => (bytes, false),
                Read::Blocked if kept == 0 => return Handshake::Waits { blocked: true },
                // What was read before is looked at.
                Read::Blocked => (0, true),
                _ => return Handshake::Failed("hangup"),
            };
            let found = self.decrypt(&mut ciphertext[..kept + read], plaintext);
            let flight = mem::take(&mut self.stuck);
            let is_sent = flight.is_empty() || raw.write(&flight) == Write::Taken(flight.len());
            match found {
                Err(kind) => Handshake::Failed(kind),
                Ok(_) if !is_sent => Handshake::Failed("no-room"),
                Ok(_) if self.connection.is_handshaking() && self.end.is_some() => {
                    Handshake::Failed("hangup")
                }
                Ok(_) if self.connection.is_handshaking() => Handshake::Waits { blocked },
                Ok(found) => Handshake::Done {
                    version: self.version(),
                    bytes: found.bytes,
                },
            }
        })
    }

    fn version(&self) -> Version {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Version::Tls13,
            _ => Version::Tls12,
        }
    }

    /// Reads what is there into a buffer of at least [`READ_BYTES_MIN`].
    pub(crate) fn read(&mut self, raw: &mut impl Raw, plaintext: &mut [u8]) -> Read {
        if let Some(end) = self.end {
            return end;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let ciphertext = scratch.ciphertext(plaintext.len());
            let kept = self.partial.len();
            ciphertext[..kept].copy_from_slice(&self.partial);
            let read = match raw.read(&mut ciphertext[kept..]) {
                Read::Bytes(bytes) => bytes,
                Read::Ended => return Read::Truncated,
                end => return end,
            };
            if let Ok(Found { bytes, records }) =
                self.decrypt(&mut ciphertext[..kept + read], plaintext)
            {
                // What is promised is gone on with by a write alone, which tells of it.
                if self.promised == 0 && self.is_stuck() {
                    // What does not go, goes with the next write.
                    let _ = self.send_stuck(raw);
                }
                return Read::Records { bytes, records };
            }
            // The alert is all that it still hears.
            if self.is_stuck() {
                let _ = raw.write(&mem::take(&mut self.stuck));
            }
            Read::Broken(io::ErrorKind::InvalidData)
        })
    }

    /// Decrypts all records, and keeps the beginning of one behind them; gives what came out.
    ///
    /// # Errors
    /// Something is wrong, and of this kind. What rustls wants to send of that is stuck.
    fn decrypt(
        &mut self,
        ciphertext: &mut [u8],
        plaintext: &mut [u8],
    ) -> Result<Found, &'static str> {
        let mut found = Found::default();
        let mut rest = ciphertext;
        let outcome = loop {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(rest);
            let mut done = discard;
            let outcome = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                    match traffic.next_record() {
                        None => break Ok(true),
                        Some(Err(error)) => break Err(kind_of(&error)),
                        Some(Ok(record)) => {
                            done += record.discard;
                            found.add(record.payload, plaintext);
                        }
                    }
                },
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    append(data, &mut self.stuck);
                    Ok(true)
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Ok(true)
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.end = Some(Read::Ended);
                    Ok(true)
                }
                Ok(
                    ConnectionState::WriteTraffic(_)
                    | ConnectionState::BlockedHandshake
                    | ConnectionState::Closed,
                ) => Ok(false),
                Ok(_) => Err("bad-message"),
                Err(error) => Err(kind_of(&error)),
            };
            rest = &mut mem::take(&mut rest)[done..];
            match outcome {
                Ok(true) => {}
                Ok(false) if rest.len() >= self.partial_max() => break Err("too-long"),
                Ok(false) => break Ok(found),
                Err(kind) => break Err(kind),
            }
        };
        if outcome.is_err() {
            self.end = Some(Read::Broken(io::ErrorKind::InvalidData));
            while self.connection.wants_write() {
                let status = self.connection.process_tls_records(rest);
                // It begins with what is to be sent.
                match status.state {
                    Ok(ConnectionState::EncodeTlsData(data)) => append(data, &mut self.stuck),
                    _ => break,
                }
            }
        }
        self.partial = match self.end {
            None => rest.to_vec(),
            Some(_) => Vec::new(),
        };
        outcome
    }

    /// What is not shorter than this is no beginning of a record.
    fn partial_max(&self) -> usize {
        if self.connection.is_handshaking() {
            HANDSHAKE_BYTES_MAX
        } else {
            RECORD_MAX
        }
    }

    /// Writes at most 16 KiB of the slices as one record, or goes on with what is promised.
    pub(crate) fn write(&mut self, raw: &mut impl Raw, slices: &[IoSlice<'_>]) -> Write {
        if let Some(Read::Broken(kind)) = self.end {
            return Write::Broken(kind);
        }
        if self.is_stuck() {
            if let Err(outcome) = self.send_stuck(raw) {
                return outcome;
            }
            let promised = mem::take(&mut self.promised);
            if promised > 0 {
                #[cfg(debug_assertions)]
                assert_eq!(self.promise, fingerprint(slices, promised), "other bytes");
                return Write::Taken(promised);
            }
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let (plaintext, sealed) = scratch.for_writing(slices);
            let taken = plaintext.len();
            let Some(length) = self.seal(plaintext, sealed) else {
                return Write::Broken(io::ErrorKind::ConnectionAborted);
            };
            match send(raw, &sealed[..length]) {
                (_, Ok(())) => Write::Taken(taken),
                (sent, Err(Write::Blocked)) => {
                    self.stuck = sealed[sent..length].to_vec();
                    self.promised = taken;
                    #[cfg(debug_assertions)]
                    {
                        self.promise = fingerprint(slices, taken);
                    }
                    Write::Blocked
                }
                (_, Err(outcome)) => outcome,
            }
        })
    }

    /// Goes on with what is stuck.
    ///
    /// # Errors
    /// If the socket does not take all of it.
    fn send_stuck(&mut self, raw: &mut impl Raw) -> Result<(), Write> {
        let (sent, outcome) = send(raw, &self.stuck);
        self.stuck.drain(..sent);
        outcome?;
        self.stuck = Vec::new();
        Ok(())
    }

    /// Encrypts a record; `None` if there is nothing to be written any more.
    fn seal(&mut self, plaintext: &[u8], sealed: &mut [u8]) -> Option<usize> {
        self.write_with(sealed, |traffic, sealed| {
            traffic.encrypt(plaintext, sealed).ok()
        })
    }

    fn write_with(
        &mut self,
        sealed: &mut [u8],
        write: impl FnOnce(
            &mut rustls::unbuffered::WriteTraffic<'_, ServerConnectionData>,
            &mut [u8],
        ) -> Option<usize>,
    ) -> Option<usize> {
        let mut filled = 0;
        loop {
            // It has noted where in there the beginning of a message stands.
            match self.connection.process_tls_records(&mut self.partial).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    filled += data.encode(&mut sealed[filled..]).ok()?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                // It comes once, and was noted where it was read.
                Ok(ConnectionState::PeerClosed) => {}
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return write(&mut traffic, &mut sealed[filled..]).map(|more| filled + more);
                }
                _ => return None,
            }
        }
    }

    /// Tells the peer that nothing more will be written (`close_notify`), if the socket takes that.
    pub(crate) fn finish(&mut self, raw: &mut impl Raw) {
        if self.is_stuck() || matches!(self.end, Some(Read::Broken(_))) {
            return;
        }
        let mut sealed = [0; 128];
        let length = self.write_with(&mut sealed, |traffic, sealed| {
            traffic.queue_close_notify(sealed).ok()
        });
        // The second time there is nothing to tell.
        if let Some(length) = length.filter(|length| *length > 0) {
            let _ = raw.write(&sealed[..length]);
        }
    }
}

/// What came out of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    bytes: usize,
    records: usize,
}

impl Found {
    /// Adds what was in one record: there is room, for ciphertext is longer.
    fn add(&mut self, payload: &[u8], plaintext: &mut [u8]) {
        let end = self.bytes + payload.len();
        if let Some(room) = plaintext.get_mut(self.bytes..end) {
            room.copy_from_slice(payload);
            self.bytes = end;
        }
        self.records += 1;
    }
}

/// Writes until all is sent or the socket takes no more, so that an edge tells when it does; gives how much went.
fn send(raw: &mut impl Raw, bytes: &[u8]) -> (usize, Result<(), Write>) {
    let mut sent = 0;
    while sent < bytes.len() {
        match raw.write(&bytes[sent..]) {
            Write::Taken(taken) => sent += taken,
            outcome => return (sent, Err(outcome)),
        }
    }
    (sent, Ok(()))
}

fn append(mut data: EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) {
    let filled = out.len();
    let sized = data.encode(&mut []);
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = sized {
        out.resize(filled + required_size, 0);
        // It has just said how much room it takes.
        let _ = data.encode(&mut out[filled..]);
    }
}

/// The word in the log for what went wrong.
fn kind_of(error: &Error) -> &'static str {
    match error {
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => "certificate-refused",
        Error::AlertReceived(_) => "alert",
        Error::PeerIncompatible(_) => "nothing-in-common",
        Error::NoApplicationProtocol => "no-http",
        Error::DecryptError => "bad-record",
        _ => "bad-message",
    }
}

#[cfg(debug_assertions)]
fn fingerprint(slices: &[IoSlice<'_>], bytes: usize) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    let all = slices.iter().flat_map(|slice| slice.iter());
    all.take(bytes).for_each(|byte| hasher.write_u8(*byte));
    hasher.finish()
}

#[cfg(test)]
pub(crate) mod tests;
