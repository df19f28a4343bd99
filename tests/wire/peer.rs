//! One connection to a server, bytes in and out, and how the bytes of programs are made.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use chatd::client::Dialect;

use crate::in_process::{InProcess, DEADLINE};

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes)
}

/// One connection, bytes in and out.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    dialect: Dialect,
}

impl Peer {
    pub(crate) fn connect(server: &InProcess, dialect: Dialect) -> Self {
        let stream = TcpStream::connect(server.address(dialect)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, dialect }
    }

    /// A program that has taken a name.
    pub(crate) fn program(server: &InProcess, name: &str) -> Self {
        let mut peer = Self::connect(server, Dialect::Wire);
        let line = format!("NAME {}\n", b64(name));
        assert_eq!(peer.answer_to(&line), line);
        peer
    }

    /// A person who has taken a name, and read all that was said until then.
    pub(crate) fn person(server: &InProcess, name: &str) -> Self {
        let mut peer = Self::connect(server, Dialect::Telnet);
        peer.send(format!("/name {name}\r\n"));
        peer.read_to(&format!("-- you are {name}\r\n"));
        peer
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads up to and with `end`; gives what came before that.
    #[track_caller]
    pub(crate) fn read_to(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(end.as_bytes()) {
            match self.stream.read(&mut byte) {
                Ok(1) => read.push(byte[0]),
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&read)),
            }
        }
        read.truncate(read.len() - end.len());
        String::from_utf8(read).expect("the server speaks UTF-8")
    }

    /// What the server has said until now and in answer to `bytes`.
    #[track_caller]
    pub(crate) fn answer_to(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes);
        match self.dialect {
            Dialect::Wire => {
                self.send("PING end\n");
                self.read_to("PONG end\n")
            }
            Dialect::Telnet => {
                self.send("/msg\r\n");
                self.read_to("!! usage: /msg NAME TEXT\r\n")
            }
            Dialect::Web => unreachable!("nobody here has a page"),
        }
    }
}

pub(crate) fn fail(reason: &str, code: &str) -> String {
    format!("FAIL {} {code}\n", b64(reason))
}
