//! Somebody who talks to the server: a person with a client as plain as can be, or a program.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::DEADLINE;

/// One connection, read line by line with a deadline.
///
/// Every line from the server is checked on the way: whole, in UTF-8, without control characters, and ended as its
/// dialect has it.
pub(crate) struct Person {
    stream: TcpStream,
    address: SocketAddr,
    unread: Vec<u8>,
    is_program: bool,
    round_trips: u32,
}

/// Why no line could be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoLine {
    /// None came until the deadline.
    Late,
    /// The server has closed, in order.
    Ended,
    /// The connection was reset.
    Reset,
    /// Something came that is no line of the protocol.
    Malformed(String),
}

impl Person {
    /// Connects to a listener for people.
    #[track_caller]
    pub(crate) fn connect(to: SocketAddr) -> Self {
        Self::on(TcpStream::connect(to).expect("the server listens"), false)
    }

    /// Connects to a listener for programs.
    #[track_caller]
    pub(crate) fn program(to: SocketAddr) -> Self {
        Self::on(TcpStream::connect(to).expect("the server listens"), true)
    }

    /// Somebody who has connected already, to a listener for people.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self::on(stream, false)
    }

    fn on(stream: TcpStream, is_program: bool) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            address: stream.local_addr().expect("it is connected"),
            stream,
            unread: Vec::new(),
            is_program,
            round_trips: 0,
        }
    }

    /// The connection itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The end of the connection that is this person's, as it stands in the server's log.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a line.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        self.send(format!("{line}{}", self.line_end()).as_bytes());
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            panic!("cannot send: {error}");
        }
    }

    /// Reads one line, without its end.
    pub(crate) fn read_line(&mut self) -> Result<String, NoLine> {
        let give_up_at = Instant::now() + DEADLINE;
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.drain(..=end).collect();
                return self.checked(line);
            }
            match self.read_more(give_up_at) {
                Ok(()) => {}
                Err(NoLine::Ended) if !self.unread.is_empty() => {
                    let rest = std::mem::take(&mut self.unread);
                    return Err(malformed(&rest));
                }
                Err(why) => return Err(why),
            }
        }
    }

    /// Reads this very line next.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.read_line().as_deref(), Ok(line));
    }

    /// Reads lines until `line`, which must come.
    #[track_caller]
    pub(crate) fn skip_until(&mut self, line: &str) {
        let mut skipped = Vec::new();
        loop {
            match self.read_line() {
                Ok(read) if read == line => return,
                Ok(read) => skipped.push(read),
                Err(why) => panic!("{why:?} before {line:?}, after {skipped:#?}"),
            }
        }
    }

    /// Reads the two lines of the greeting.
    #[track_caller]
    pub(crate) fn skip_greeting(&mut self) {
        for begins in ["-- Welcome! You are guest", "-- "] {
            let line = self.read_line().expect("a greeting");
            assert!(line.starts_with(begins), "{line:?}");
        }
    }

    /// Sees that nothing has come from all that the server has done so far: the answer to a question is the next
    /// line.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        let answer = self.ask();
        self.expect(&answer);
    }

    /// Asks something that nobody else notices; gives the line that will answer it.
    #[track_caller]
    pub(crate) fn ask(&mut self) -> String {
        self.round_trips += 1;
        let n = self.round_trips;
        if self.is_program {
            self.say(&format!("PING silence-{n}"));
            return format!("PONG silence-{n}");
        }
        self.say(&format!("/silence-{n}"));
        format!("!! no such command: /silence-{n}; /help lists them, // says a slash")
    }

    /// Reads these very bytes next.
    #[track_caller]
    pub(crate) fn expect_bytes(&mut self, bytes: &[u8]) {
        let got = self.read_bytes(bytes.len()).escape_ascii().to_string();
        assert_eq!(got, bytes.escape_ascii().to_string());
    }

    /// Reads this many bytes, whatever they are.
    #[track_caller]
    pub(crate) fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let give_up_at = Instant::now() + DEADLINE;
        while self.unread.len() < count {
            if let Err(why) = self.read_more(give_up_at) {
                panic!("{why:?} after {}", self.unread.escape_ascii());
            }
        }
        self.unread.drain(..count).collect()
    }

    /// Sees that the server closes in order, with nothing more to say.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.read_line(), Err(NoLine::Ended));
    }

    /// Reads until the server closes, in whatever way; gives all that came.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let give_up_at = Instant::now() + DEADLINE;
        while self.read_more(give_up_at).is_ok() {}
        assert!(Instant::now() < give_up_at, "the server does not close");
        std::mem::take(&mut self.unread)
    }

    /// Says that nothing more will be sent. Reading goes on.
    #[track_caller]
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("connected");
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        let linger = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        linger.expect("a TCP socket");
    }

    /// What ends a line, in both directions.
    pub(crate) fn line_end(&self) -> &'static str {
        if self.is_program {
            "\n"
        } else {
            "\r\n"
        }
    }

    /// Whether it speaks the wire dialect.
    pub(crate) fn is_program(&self) -> bool {
        self.is_program
    }

    fn checked(&self, mut line: Vec<u8>) -> Result<String, NoLine> {
        if !line.ends_with(self.line_end().as_bytes()) {
            return Err(malformed(&line));
        }
        line.truncate(line.len() - self.line_end().len());
        match String::from_utf8(line) {
            Ok(line) if !line.contains(char::is_control) => Ok(line),
            Ok(line) => Err(malformed(line.as_bytes())),
            Err(error) => Err(malformed(error.as_bytes())),
        }
    }

    fn read_more(&mut self, give_up_at: Instant) -> Result<(), NoLine> {
        let left = give_up_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NoLine::Late);
        }
        let timeout = self.stream.set_read_timeout(Some(left));
        timeout.expect("more than nothing is left");
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(NoLine::Ended),
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Ok(())
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(NoLine::Late),
                _ => Err(NoLine::Reset),
            },
        }
    }
}

fn malformed(bytes: &[u8]) -> NoLine {
    NoLine::Malformed(bytes.escape_ascii().to_string())
}
