//! An operator at the server's Unix socket.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::person::NoLine;
use super::server::{chatd, Server};
use super::DEADLINE;

/// A folder for a socket, with a path that is short enough. It goes with the test.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("chatd-ops-{}-{count}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }

    /// Where the socket is to be.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.join("ops.sock")
    }

    /// What `-l` is told.
    pub(crate) fn endpoint(&self) -> String {
        format!("ops://{}", self.path().display())
    }

    /// Starts a server that listens there, too, with settings `KEY=VALUE`.
    #[track_caller]
    pub(crate) fn start(&self, settings: &[&str]) -> Server {
        let mut command = chatd();
        command.args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
        command.args(["-l", &self.endpoint()]);
        for setting in ["history-lines=0", "lines-per-second=0"]
            .iter()
            .chain(settings)
        {
            command.args(["-o", setting]);
        }
        let server = Server::spawn(&mut command);
        server.output.wait_for("listening ops://");
        server
    }

    /// Connects to the server.
    #[track_caller]
    pub(crate) fn connect(&self) -> Operator {
        Operator::connect(&self.path())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One connection, read line by line with a deadline.
pub(crate) struct Operator(BufReader<UnixStream>);

impl Operator {
    #[track_caller]
    pub(crate) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server listens");
        let deadline = stream.set_read_timeout(Some(DEADLINE));
        deadline.expect("more than nothing");
        Self(BufReader::new(stream))
    }

    /// The connection itself.
    pub(crate) fn stream(&self) -> &UnixStream {
        self.0.get_ref()
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("it is connected");
    }

    /// Sends a line.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Says that nothing more will be sent. Reading goes on.
    #[track_caller]
    pub(crate) fn finish(&mut self) {
        let finished = self.stream().shutdown(Shutdown::Write);
        finished.expect("it is connected");
    }

    /// Reads one line, without its end.
    pub(crate) fn read_line(&mut self) -> Result<String, NoLine> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => Err(NoLine::Ended),
            Ok(_) => match line.strip_suffix('\n') {
                Some(line) if !line.contains(char::is_control) => Ok(line.to_owned()),
                _ => Err(NoLine::Malformed(line)),
            },
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(NoLine::Reset),
            Err(_) => Err(NoLine::Late),
        }
    }

    /// Reads this very line next.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.read_line().as_deref(), Ok(line));
    }

    /// Reads the lines of an answer up to the last one; gives all of them.
    #[track_caller]
    pub(crate) fn read_answer(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.read_line() {
                Ok(line) => lines.push(line),
                Err(why) => panic!("{why:?} after {lines:#?}"),
            }
            if is_last(&lines[lines.len() - 1]) {
                return lines;
            }
        }
    }

    /// Sends a command; gives all lines of the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, command: &str) -> Vec<String> {
        self.say(command);
        self.read_answer()
    }

    /// Sends a command whose answer is this one line.
    #[track_caller]
    pub(crate) fn order(&mut self, command: &str, answer: &str) {
        assert_eq!(self.ask(command), [answer], "{command}");
    }

    /// Sees that the server closes in order, with nothing more to say.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.read_line(), Err(NoLine::Ended));
    }

    /// Reads until the server closes, in whatever way.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        bytes
    }
}

/// Whether this line ends an answer.
pub(crate) fn is_last(line: &str) -> bool {
    line.starts_with("-- ") || line.starts_with("!! ")
}

/// What an operator is told, with `#` for each number: those, and the moments made of them, are other ones each time.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut without = String::new();
    for char in text.chars() {
        match char {
            '0'..='9' if without.ends_with('#') => {}
            '0'..='9' => without.push('#'),
            _ => without.push(char),
        }
    }
    without
}
