//! The page, and what must be known of where it is served.

use bytes::Bytes;
use sha1_smol::Sha1;

use crate::dialect::web::head::Authority;

/// The page with its style and its script.
const PAGE: &str = include_str!("page.html");

/// What stands in the page for the port of those who have no script.
const TELNET_PORT: &str = "TELNET_PORT";

/// What the page may load: its own style and script, by their digests, and its own socket (W3C CSP 3). `page_policy` of
/// the tests works the digests out anew.
pub(super) const POLICY: &str = concat!(
    "default-src 'none'; ",
    "script-src 'sha256-AvMsNb1uEESvISeuGHL01pbXip3Md/c5mHmt+QiAC1w='; ",
    "style-src 'sha256-u5ETAN56VEvV/oRcTNt3GpTlBesNgiPvnLf6nNZNzk8='; ",
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What is served over HTTP, and under which names.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Under which names people reach it, beside the addresses; with their ports, where these are not the usual ones.
    hosts: Vec<Authority>,
    pub(super) page: Bytes,
    /// Names this version of the page.
    pub(super) tag: String,
}

impl Default for Site {
    fn default() -> Self {
        Self::new(&[], None)
    }
}

impl Site {
    /// A site that people reach under these names, with a telnet listener at this port.
    pub(crate) fn new(hosts: &[Authority], telnet: Option<u16>) -> Self {
        let (page, hosts) = (page(telnet), hosts.to_vec());
        let tag = format!("\"{}\"", &Sha1::from(&page).digest().to_string()[..16]);
        Self { hosts, page, tag }
    }

    /// Whether a page may be asked for under this name by who has connected to this port. Any other name could have been
    /// made to point here by a page elsewhere, which would then have the right origin.
    pub(super) fn is_called(&self, host: &Authority, port: u16) -> bool {
        let is_known = |known: &Authority| {
            let is_port = match known.port {
                None => matches!(host.port, None | Some(80 | 443)) || host.port == Some(port),
                wanted => host.port == wanted,
            };
            known.host.eq_ignore_ascii_case(&host.host) && is_port
        };
        host.is_local() || self.hosts.iter().any(is_known)
    }
}

/// The page, with the port of those who have no script.
fn page(telnet: Option<u16>) -> Bytes {
    let port = telnet.map_or_else(|| "23".to_owned(), |port| port.to_string());
    PAGE.replacen(TELNET_PORT, &port, 1).into()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as BASE64;
    use base64::Engine;
    use sha2::{Digest, Sha256};

    use super::*;

    /// What stands between the tags of this element, which is there once.
    fn inside(element: &str) -> &'static str {
        let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
        let mut parts = PAGE.split(&*begin);
        let (Some(_), Some(rest), None) = (parts.next(), parts.next(), parts.next()) else {
            panic!("{element} is not there once");
        };
        rest.split_once(&*end).unwrap().0
    }

    #[test]
    fn the_policy_allows_the_page_its_own_style_and_script_and_no_others() {
        for element in ["script", "style"] {
            let digest = BASE64.encode(Sha256::digest(inside(element)));
            let rule = format!("{element}-src 'sha256-{digest}'; ");
            assert!(POLICY.contains(&rule), "the policy lacks {rule}");
        }
    }

    #[test]
    fn the_page_is_small_and_makes_no_markup_of_text() {
        assert!(PAGE.len() <= 28 * 1024, "{} bytes", PAGE.len());
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
        for attribute in [" style=", " onclick=", " onload="] {
            assert!(
                !PAGE.contains(attribute),
                "{attribute} is against the policy"
            );
        }
        assert_eq!(PAGE.matches(TELNET_PORT).count(), 1);
    }

    #[test]
    fn a_page_that_has_changed_has_another_tag() {
        let [plain, other] = [None, Some(3333)].map(|port| Site::new(&[], port));
        assert_ne!(plain.tag, other.tag);
        assert!(String::from_utf8_lossy(&other.page).contains("port 3333"));
    }

    #[test]
    fn the_page_is_asked_for_under_names_that_are_ours() {
        let hosts =
            ["chat.example.org", "other.example.org:8443"].map(|host| host.parse().unwrap());
        let site = Site::new(&hosts, None);
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "198.51.100.7",
            "chat.example.org",
            "Chat.Example.Org:8080",
            "chat.example.org:443",
            "other.example.org:8443",
        ] {
            assert!(site.is_called(&host.parse().unwrap(), 8080), "{host}");
        }
        for host in [
            "example.org",
            "chat.example.org:81",
            "other.example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "[chat.example.org]",
        ] {
            assert!(!site.is_called(&host.parse().unwrap(), 8080), "{host}");
        }
        for wrong in [
            "",
            ":80",
            "a b",
            "chat.example.org:",
            "chat.example.org:x",
            "[::1",
            "[::1]x",
            "a/b",
            "h:65536",
        ] {
            assert!(wrong.parse::<Authority>().is_err(), "{wrong}");
        }
    }
}
