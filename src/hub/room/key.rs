//! What must be known to go to a room.
//!
//! A node where somebody has typed the key knows it; the others know a digest, which is not worth more than the key is
//! hard to guess. So the key itself never leaves its node.

use std::hint::black_box;

use sha2::{Digest as _, Sha256};

use crate::relay::record::Digest;

/// No key is longer than this, in bytes; none takes longer to be compared.
const BYTES_MAX: usize = 256;

/// A room's key.
#[derive(Debug, Clone)]
pub(in crate::hub) enum RoomKey {
    /// As it was typed.
    Text(Box<str>),
    /// Another node has opened the room, when the engine's memory was called so.
    Digest(Digest, Box<str>),
}

impl RoomKey {
    /// Whether a key that was typed for the room of this name is the one, in a time that does not tell how much of it is
    /// right.
    pub(in crate::hub) fn is(&self, room: &str, typed: &str) -> bool {
        match self {
            Self::Text(key) => {
                let (key, typed) = (key.as_bytes(), typed.as_bytes());
                let differs = (0..BYTES_MAX).fold(key.len() ^ typed.len(), |differs, at| {
                    let byte = |text: &[u8]| text.get(at).copied().unwrap_or(0);
                    black_box(differs | usize::from(byte(key) ^ byte(typed)))
                });
                differs == 0
            }
            Self::Digest(digest, epoch) => {
                let pairs = digest.iter().zip(digest_of(epoch, room, typed));
                pairs.fold(0, |differs, (a, b)| black_box(differs | (a ^ b))) == 0
            }
        }
    }

    /// What the others are to know of it, when the engine's memory is called so.
    pub(in crate::hub) fn digest(&self, epoch: &str, room: &str) -> Digest {
        match self {
            Self::Text(key) => digest_of(epoch, room, key),
            Self::Digest(digest, _) => *digest,
        }
    }
}

fn digest_of(epoch: &str, room: &str, key: &str) -> Digest {
    let mut hash = Sha256::new();
    for part in [epoch, "\t", room, "\t", key] {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_by_its_text_or_by_what_is_left_of_it() {
        let text = RoomKey::Text("sesame".into());
        let digest = RoomKey::Digest(text.digest("epoch", "games"), "epoch".into());
        for key in [&text, &digest] {
            assert!(key.is("games", "sesame"));
            for wrong in ["", "sesam", "sesame ", "Sesame"] {
                assert!(!key.is("games", wrong), "{wrong:?}");
            }
        }
        assert!(!digest.is("other", "sesame"));
        let later = RoomKey::Digest(text.digest("later", "games"), "epoch".into());
        assert!(!later.is("games", "sesame"));
    }
}
