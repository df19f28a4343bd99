//! What somebody asks for over HTTP/1.1 (RFC 9112): a page, or what the server has no answer to but a status.

use httparse::{Error, Status, EMPTY_HEADER};

/// The head of a request may have 4 KiB.
pub(super) const HEAD_BYTES_MAX: usize = 4096;

/// More header fields than this are too many.
const FIELDS_MAX: usize = 64;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Page {
    Metrics,
    /// Whether the server works.
    Health,
    /// Whether newcomers find room.
    Readiness,
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Verdict {
    Page(Page),
    /// No request of HTTP.
    Malformed,
    NotFound,
    /// Pages are asked for, and no more.
    MethodNotAllowed,
    TooLarge,
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Request {
    pub(in crate::server) verdict: Verdict,
    /// It is answered with the head alone.
    pub(in crate::server) head_only: bool,
}

impl Request {
    fn refused(verdict: Verdict) -> Self {
        Self {
            verdict,
            head_only: false,
        }
    }

    /// What was sent up to now: `None` if it is no whole head, but may become one. A body is not looked at.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(Status::Complete(_)) => Some(Self::of(
                request.method.unwrap_or_default(),
                request.path.unwrap_or_default(),
            )),
            Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => None,
            Ok(Status::Partial) | Err(Error::TooManyHeaders) => {
                Some(Self::refused(Verdict::TooLarge))
            }
            Err(_) => Some(Self::refused(Verdict::Malformed)),
        }
    }

    fn of(method: &str, target: &str) -> Self {
        let head_only = method == "HEAD";
        let verdict = match page(target) {
            None => Verdict::NotFound,
            Some(page) if head_only || method == "GET" => Verdict::Page(page),
            Some(_) => Verdict::MethodNotAllowed,
        };
        Self { verdict, head_only }
    }
}

/// The page that a target names, in either form: `/metrics?x=1`, `http://host/metrics`.
fn page(target: &str) -> Option<Page> {
    let path = match target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/')?..],
        None => target,
    };
    match path.split('?').next()? {
        "/metrics" => Some(Page::Metrics),
        "/healthz" => Some(Page::Health),
        "/readyz" => Some(Page::Readiness),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn verdict(request: &str) -> Verdict {
        Request::parse(request.as_bytes())
            .expect("it is whole")
            .verdict
    }

    #[test]
    fn a_target_names_a_page() {
        for (target, expected) in [
            ("/metrics", Verdict::Page(Page::Metrics)),
            ("/metrics?collect[]=x", Verdict::Page(Page::Metrics)),
            (
                "http://127.0.0.1:9333/metrics",
                Verdict::Page(Page::Metrics),
            ),
            ("/healthz", Verdict::Page(Page::Health)),
            ("/readyz", Verdict::Page(Page::Readiness)),
            ("/", Verdict::NotFound),
            ("/metrics/", Verdict::NotFound),
            ("/Metrics", Verdict::NotFound),
            ("//metrics", Verdict::NotFound),
            ("http://metrics", Verdict::NotFound),
            ("*", Verdict::NotFound),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(verdict(&request), expected, "{target}");
        }
    }

    #[test]
    fn pages_are_asked_for_and_no_more() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "Q"] {
            let request = |path| format!("{method} {path} HTTP/1.1\r\n\r\n");
            assert_eq!(verdict(&request("/metrics")), Verdict::MethodNotAllowed);
            assert_eq!(verdict(&request("/x")), Verdict::NotFound);
        }
        let head = Request::parse(b"HEAD /healthz HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(head.verdict, Verdict::Page(Page::Health));
        assert!(head.head_only);
    }

    #[test]
    fn a_head_that_is_not_whole_is_waited_for_until_it_is_too_long() {
        let head = |bytes: usize| {
            let mut head = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
            head.resize(bytes - 4, b'x');
            head.extend(b"\r\n\r\n");
            head
        };
        let longest = head(HEAD_BYTES_MAX);
        for bytes in 0..longest.len() {
            assert_eq!(Request::parse(&longest[..bytes]), None, "{bytes}");
        }
        let request = Request::parse(&longest).unwrap();
        assert_eq!(request.verdict, Verdict::Page(Page::Metrics));
        let longer = head(HEAD_BYTES_MAX + 1);
        let request = Request::parse(&longer[..HEAD_BYTES_MAX]).unwrap();
        assert_eq!(request.verdict, Verdict::TooLarge);
        let fields = "X: y\r\n".repeat(FIELDS_MAX + 1);
        assert_eq!(
            verdict(&format!("GET / HTTP/1.1\r\n{fields}\r\n")),
            Verdict::TooLarge
        );
    }

    #[test]
    fn what_is_no_http_is_malformed() {
        for text in [
            "\u{16}\u{3}\u{1}\u{2}",
            "GET /metrics\r\n\r\n",
            "GET /metrics HTTP/2.0\r\n\r\n",
            "GET /metrics HTTP/1.1\r\nno field\r\n\r\n",
            "GET  HTTP/1.1\r\n\r\n",
            "/name ann\r\n",
        ] {
            assert_eq!(verdict(text), Verdict::Malformed, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_panics(bytes in any::<Vec<u8>>(), text in "[GETHAD]{3,4} /?[a-z?/:]{0,9} HTTP/1.[01]\r\n") {
            Request::parse(&bytes);
            Request::parse(text.as_bytes());
        }
    }
}
