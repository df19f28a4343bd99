//! Connections in TLS: what the client has sent is encrypted when the server reads it, in pieces cut anywhere, and what the
//! server's kernel takes is decrypted as soon as its record is whole.

use std::io::IoSlice;

use super::super::connection::Secured;
use super::SimulatedNetwork;
use crate::stream::tls::tests::peer::pair;
use crate::stream::tls::{Raw, READ_BYTES_MIN};
use crate::stream::{Read, Write};

/// What the server's TLS reads, in pieces.
struct Pieces<'a> {
    network: &'a mut SimulatedNetwork,
    ciphertext: &'a [u8],
    /// What comes behind that.
    end: Read,
}

impl Raw for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Read {
        if self.ciphertext.is_empty() {
            return self.end;
        }
        let most = self.ciphertext.len().min(buffer.len());
        let length = match self.network.random.within(0..=2) {
            0 => 1,
            1 => self.network.random.within(1..=most),
            _ => most,
        };
        let (piece, rest) = self.ciphertext.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.ciphertext = rest;
        Read::Bytes(length)
    }

    fn write(&mut self, _: &[u8]) -> Write {
        unreachable!("nothing is wrong with what the client sends")
    }
}

/// The server's socket, which takes ciphertext.
struct Taking<'a> {
    network: &'a mut SimulatedNetwork,
    client: usize,
}

impl Raw for Taking<'_> {
    fn read(&mut self, _: &mut [u8]) -> Read {
        Read::Blocked
    }

    fn write(&mut self, bytes: &[u8]) -> Write {
        let (network, client) = (&mut *self.network, self.client);
        Write::by(|| network.write_once(client, &[IoSlice::new(bytes)]))
    }
}

impl SimulatedNetwork {
    /// A connection that is accepted has shaken hands, if it speaks TLS.
    pub(super) fn secure_accepted(&mut self, client: usize) {
        if self.is_in_tls && !self.is_operator(client) {
            let (tls, peer) = pair();
            self.connections[client].secured = Some(Box::new(Secured { tls, peer }));
        }
    }

    pub(super) fn read_secured(
        &mut self,
        client: usize,
        secured: &mut Secured,
        buffer: &mut [u8],
    ) -> Read {
        let Secured { tls, peer } = secured;
        let most = match self.random.within(0..=2) {
            0 => self.random.within(1..=buffer.len().min(50)),
            _ => buffer.len(),
        };
        let mut said = vec![0; most];
        let read = Read::by(|| self.read_once(client, &mut said));
        let (ciphertext, end) = match read {
            Read::Bytes(length) => {
                said.truncate(length);
                (peer.encrypt(&said), Read::Blocked)
            }
            Read::Ended => {
                said.clear();
                (peer.finish(), Read::Ended)
            }
            end => (Vec::new(), end),
        };
        let mut plaintext = vec![0; READ_BYTES_MIN];
        let mut pieces = Pieces {
            network: self,
            ciphertext: &ciphertext,
            end,
        };
        let (mut heard, mut records) = (Vec::new(), 0);
        loop {
            match tls.read(&mut pieces, &mut plaintext) {
                Read::Records {
                    bytes,
                    records: more,
                } => {
                    heard.extend_from_slice(&plaintext[..bytes]);
                    records += more;
                }
                Read::Blocked if !ciphertext.is_empty() => break,
                end => return end,
            }
        }
        assert_eq!(heard, said, "what {client} said in TLS");
        buffer[..heard.len()].copy_from_slice(&heard);
        let bytes = heard.len();
        Read::Records { bytes, records }
    }

    pub(super) fn write_secured(
        &mut self,
        client: usize,
        secured: &mut Secured,
        slices: &[IoSlice<'_>],
    ) -> Write {
        let before = self.connections[client].fresh.len();
        let network = &mut *self;
        let written = secured.tls.write(&mut Taking { network, client }, slices);
        self.decrypt_fresh(client, secured, before);
        written
    }

    pub(super) fn finish_secured(&mut self, client: usize) {
        let Some(mut secured) = self.connections[client].secured.take() else {
            return;
        };
        // To one who has gone it is written in vain.
        let connection = &self.connections[client];
        if connection.failed || connection.is_broken() {
            self.connections[client].secured = Some(secured);
            return;
        }
        let before = connection.fresh.len();
        let network = &mut *self;
        secured.tls.finish(&mut Taking { network, client });
        self.decrypt_fresh(client, &mut secured, before);
        self.connections[client].secured = Some(secured);
    }

    /// What was taken since then is what its client is told, as far as its records are whole.
    fn decrypt_fresh(&mut self, client: usize, secured: &mut Secured, before: usize) {
        let fresh = &mut self.connections[client].fresh;
        let taken = fresh.split_off(before);
        fresh.append(&mut secured.peer.decrypt(&taken));
    }
}
