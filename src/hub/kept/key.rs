//! The key of a kept name: made by the server, shown once, and known afterwards by its digest alone.
//!
//! A key is 100 random bits, so a digest that is fast to make is enough: nobody finds it by trying (NIST SP 800-63B,
//! section 5.1.2, look-up secrets).

use std::fmt;
use std::hint::black_box;

use sha2::{Digest as _, Sha256};

/// The letters of Douglas Crockford's base 32: without those that are mistaken for others.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A key has 20 letters, which are shown in fours.
const LETTERS_MAX: usize = 20;
const GROUP: usize = 4;

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key([u8; LETTERS_MAX]);

impl Key {
    /// The key that these random bytes make: five bits of each letter's own byte.
    pub(crate) fn of_random(bytes: &[u8; 32]) -> Self {
        let mut letters = [0; LETTERS_MAX];
        for (letter, byte) in letters.iter_mut().zip(bytes) {
            *letter = LETTERS[usize::from(byte % 32)];
        }
        Self(letters)
    }

    /// The key that somebody has typed, in any case, with or without `-`, `o` for 0, `i` and `l` for 1; `None` if it is
    /// none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut letters = [0; LETTERS_MAX];
        let mut typed = text.bytes().filter(|byte| *byte != b'-');
        for letter in &mut letters {
            let byte = match typed.next()?.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                byte => byte,
            };
            *letter = *LETTERS.iter().find(|known| **known == byte)?;
        }
        typed.next().is_none().then_some(Self(letters))
    }

    /// What is kept of it.
    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }
}

/// `k7fq-2p9m-x3wd-8htn-4c6y`
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, letters) in self.0.chunks(GROUP).enumerate() {
            let separator = if index > 0 { "-" } else { "" };
            write!(f, "{separator}{}", String::from_utf8_lossy(letters))?;
        }
        Ok(())
    }
}

/// A key is in no log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The SHA-256 of a key's letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Whether it is that of this key, in a time that does not tell how much of it is right.
    pub(crate) fn is_of(&self, key: &Key) -> bool {
        let differs = |differs, (a, b): (&u8, &u8)| black_box(differs | (a ^ b));
        self.0.iter().zip(&key.digest().0).fold(0, differs) == 0
    }

    /// The digest that these 64 hexadecimal digits tell.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_hex = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_hex {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

/// Random bytes from a seed that is given from outside, as many as are wanted: SHA-256 of the seed and a count.
#[derive(Default)]
pub(in crate::hub) struct Seed {
    bytes: [u8; 32],
    used: u64,
}

impl Seed {
    pub(in crate::hub) fn new(bytes: [u8; 32]) -> Self {
        Self { bytes, used: 0 }
    }

    /// Whether it has been used, so that a fresh one is wanted.
    pub(in crate::hub) fn is_used(&self) -> bool {
        self.used > 0
    }

    pub(in crate::hub) fn key(&mut self) -> Key {
        Key::of_random(&self.bytes())
    }

    /// 128 random bits.
    pub(in crate::hub) fn bits(&mut self) -> u128 {
        let bytes = self.bytes();
        bytes[..16]
            .iter()
            .fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }

    fn bytes(&mut self) -> [u8; 32] {
        self.used += 1;
        let hash = Sha256::new().chain_update(self.bytes);
        hash.chain_update(self.used.to_le_bytes()).finalize().into()
    }
}

/// What comes of it is secret.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_is_read_in_any_spelling() {
        let key = Key::parse("k7fq-2p9m-x3wd-8htn-4c6y").unwrap();
        assert_eq!(key.to_string(), "k7fq-2p9m-x3wd-8htn-4c6y");
        for typed in [
            "k7fq2p9mx3wd8htn4c6y",
            "K7FQ2P9M-X3WD8HTN-4C6Y",
            "k-7fq2p9mx3wd8htn4c6y-",
        ] {
            assert_eq!(Key::parse(typed), Some(key.clone()), "{typed}");
        }
        let confused = Key::parse("o0Oi-1IlL-0000-0000-0000").unwrap();
        assert_eq!(confused.to_string(), "0001-1111-0000-0000-0000");
        for typed in [
            "",
            "k7fq",
            "k7fq2p9mx3wd8htn4c6",
            "k7fq2p9mx3wd8htn4c6y0",
            "u7fq2p9mx3wd8htn4c6y",
            "k7fq 2p9m-x3wd-8htn-4c6y",
            "ключ",
        ] {
            assert_eq!(Key::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_digest_is_that_of_one_key_and_is_read_back() {
        let key = Key::parse("k7fq-2p9m-x3wd-8htn-4c6y").unwrap();
        let digest = key.digest();
        assert!(digest.is_of(&key));
        assert!(!digest.is_of(&Key::parse("k7fq-2p9m-x3wd-8htn-4c6z").unwrap()));
        // printf k7fq2p9mx3wd8htn4c6y | sha256sum
        let hex = "d5277af9c670db73cc728c173db8f7011981a9e5ecc886977b40eaaa37609683";
        assert_eq!(digest.to_string(), hex);
        assert_eq!(Digest::parse(hex), Some(digest));
        assert_eq!(Digest::parse(&hex.to_uppercase()), Some(digest));
        for wrong in [
            "",
            "00",
            &hex[1..],
            &format!("{hex}0"),
            &format!("é{}", &hex[2..]),
        ] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{key:?} {digest:?}"), "Key Digest");
    }

    #[test]
    fn a_key_has_a_hundred_random_bits_and_that_of_a_page_a_hundred_and_twenty_eight() {
        let mut seed = Seed::new([7; 32]);
        let keys: Vec<Key> = (0..1000).map(|_| seed.key()).collect();
        for place in 0..LETTERS_MAX {
            let letters: HashSet<u8> = keys.iter().map(|key| key.0[place]).collect();
            assert_eq!(letters.len(), LETTERS.len(), "at {place}");
        }
        let bits = (0..1000).map(|_| seed.bits());
        let (always, never) = bits.fold((u128::MAX, u128::MAX), |(always, never), bits| {
            (always & bits, never & !bits)
        });
        assert_eq!((always, never), (0, 0));
    }

    #[test]
    fn a_seed_makes_each_key_once() {
        let mut seed = Seed::new([7; 32]);
        assert!(!seed.is_used());
        let keys: HashSet<String> = (0..1000).map(|_| seed.key().to_string()).collect();
        assert!(seed.is_used());
        assert_eq!(keys.len(), 1000);
        assert!(!keys.contains(&Seed::new([8; 32]).key().to_string()));
        assert!(keys.iter().all(|key| Key::parse(key).is_some()));
    }
}
