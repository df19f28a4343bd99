//! The buffers through which all that is read and written in TLS passes.

use std::io::IoSlice;

/// A record has at most 16 KiB of plaintext (RFC 8446, section 5.1).
pub(super) const PLAINTEXT_MAX: usize = 16 * 1024;

/// Room for a record, and for what a key update makes us send before it.
const SEALED_BYTES: usize = 17 * 1024;

/// What all streams of a thread share, because each is done with it before the next one begins.
#[derive(Default)]
pub(super) struct Scratch {
    ciphertext: Vec<u8>,
    plaintext: Vec<u8>,
    sealed: Vec<u8>,
}

impl Scratch {
    pub(super) fn ciphertext(&mut self, bytes: usize) -> &mut [u8] {
        if self.ciphertext.len() < bytes {
            self.ciphertext = vec![0; bytes];
        }
        &mut self.ciphertext[..bytes]
    }

    /// The first 16 KiB of the slices in one piece, and room for their record.
    pub(super) fn for_writing<'a>(
        &'a mut self,
        slices: &'a [IoSlice<'_>],
    ) -> (&'a [u8], &'a mut [u8]) {
        self.sealed.resize(SEALED_BYTES, 0);
        let sealed = &mut self.sealed;
        if let [slice] = slices {
            return (&slice[..slice.len().min(PLAINTEXT_MAX)], sealed);
        }
        self.plaintext.clear();
        for slice in slices {
            let room = PLAINTEXT_MAX - self.plaintext.len();
            self.plaintext
                .extend_from_slice(&slice[..slice.len().min(room)]);
        }
        (&self.plaintext, sealed)
    }
}
