//! Asking over HTTP as monitoring does, byte by byte as a test wants it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::DEADLINE;

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header fields, by their names in lower case.
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A connection that has asked for nothing yet.
#[track_caller]
pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
    stream
}

/// Sends a whole request, and reads to the end.
#[track_caller]
pub(crate) fn ask(to: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(to);
    stream.write_all(request.as_ref()).expect("it is taken");
    answer(stream)
}

/// Asks for a page.
#[track_caller]
pub(crate) fn get(to: SocketAddr, path: &str) -> Answer {
    ask(to, format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n\r\n"))
}

/// Reads an answer, to the end of the connection.
#[track_caller]
pub(crate) fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|line| line.get(..3)?.parse().ok());
    let fields = lines.map(|line| line.split_once(": ").expect("a field"));
    Answer {
        status: status.unwrap_or_else(|| panic!("no status in {text:?}")),
        fields: fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

/// Every series of `/metrics` with its value, as it stands there.
#[track_caller]
pub(crate) fn series(to: SocketAddr) -> BTreeMap<String, f64> {
    let answer = get(to, "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}
