//! What a page says of itself when it opens its socket, so that one that was here before can go on.

use std::fmt;

/// What opens a page's session for it again: 128 random bits, known to that page alone. It is in no log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PageKey(pub(crate) u128);

/// As in JSON and in a query: 32 hexadecimal digits.
impl fmt::Display for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageKey")
    }
}

/// What the query of a page's socket says: `run=RUN&i=4711&key=KEY`, each of them or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Coming {
    /// Of which run of the server it was a page.
    pub(crate) run: Option<u64>,
    /// The last line that it has heard, by its number in its room.
    pub(crate) heard: Option<u64>,
    /// What takes its former session back.
    pub(crate) key: Option<PageKey>,
}

impl Coming {
    /// What a query says; whatever in it is wrong or unknown says nothing.
    pub(super) fn parse(query: &str) -> Self {
        let mut coming = Self::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "run" => coming.run = hexadecimal(value, 16).map(|run| run as u64),
                "i" => coming.heard = value.parse().ok(),
                "key" => coming.key = hexadecimal(value, 32).map(PageKey),
                _ => {}
            }
        }
        coming
    }
}

/// The number that a text of exactly this many hexadecimal digits stands for.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hexadecimal && text.len() == digits)
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_in_a_query_is_taken() {
        let key = "00112233445566778899aabbccddeeff";
        assert_eq!(
            Coming::parse(&format!("run=00000000000005f3&i=4711&key={key}&x=1&y")),
            Coming {
                run: Some(0x5f3),
                heard: Some(4711),
                key: Some(PageKey(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
            }
        );
        for wrong in [
            "",
            "run=5f3&i=-1&key=1",
            "run=+0000000000005f3",
            "i=99999999999999999999",
        ] {
            assert_eq!(Coming::parse(wrong), Coming::default(), "{wrong}");
        }
    }
}
