//! `chatd ctl`: sends commands of an operator to a running server, and prints what it answers.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use getopts::{Options, ParsingStyle};
use socket2::{Domain, SockAddr, Socket, Type};

/// Where the server is, unless it is said otherwise.
const DEFAULT_PATH: &str = "/run/chatd/ops.sock";

/// An answer is waited for as long as some of it comes at least this often.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something was refused.
const REFUSED: u8 = 1;
/// It was called in a wrong way.
const WRONG_USAGE: u8 = 2;
/// Nobody could be reached, or the answer is not whole.
const UNREACHED: u8 = 3;

const USAGE: &str = "\
Usage: chatd ctl [-s PATH]... [COMMAND...]

Sends COMMAND to a running chatd, or each line of standard input. The command help lists commands.
With several -s COMMAND goes to each, and PATH: stands before each answer.
Status: 0 all was done, 1 something was refused, 2 wrong usage, 3 a server could not be reached.";

/// Does what the arguments behind `ctl` say; gives the exit status.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let call = match Call::parse(arguments) {
        Ok(Some(call)) => call,
        Ok(None) => return print_usage(),
        Err(what) => return complain(&format!("{what}; see chatd ctl --help"), WRONG_USAGE),
    };
    let are_several = call.paths.len() > 1;
    let statuses = call.paths.iter().map(|path| {
        if are_several && print(format!("{}:\n", path.display()).as_bytes()).is_err() {
            return UNREACHED;
        }
        let outcome = Conversation::begin(path).and_then(|mut conversation| {
            let refused = conversation.introduce(user().as_deref())?;
            match &call.command {
                _ if refused => Ok(true),
                Some(command) => conversation.ask(command),
                None => conversation.pass_on(),
            }
        });
        match outcome {
            Ok(true) => REFUSED,
            Ok(false) => 0,
            Err(failure) => complain(&failure, UNREACHED),
        }
    });
    statuses.max().unwrap_or(UNREACHED)
}

fn print_usage() -> u8 {
    let text = options().usage(USAGE);
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => UNREACHED,
    }
}

/// One line that says why; standard error may be closed, and then nobody wants to know.
fn complain(why: &dyn fmt::Display, status: u8) -> u8 {
    let _ = writeln!(io::stderr(), "chatd: {why}");
    status
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .parsing_style(ParsingStyle::StopAtFirstFree)
        .optmulti(
            "s",
            "socket",
            "where a server listens for operators, else $CHATD_OPS or /run/chatd/ops.sock; may be repeated",
            "PATH",
        )
        .optflag("h", "help", "print this text");
    options
}

/// What is to be done.
struct Call {
    /// At least one.
    paths: Vec<PathBuf>,
    /// `None`: standard input has commands.
    command: Option<String>,
}

impl Call {
    /// `None` if the usage is asked for.
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, String> {
        let matches = options()
            .parse(arguments)
            .map_err(|fail| fail.to_string())?;
        if matches.opt_present("help") {
            return Ok(None);
        }
        let paths = matches.opt_strs("socket").into_iter().map(PathBuf::from);
        let mut paths: Vec<PathBuf> = paths.collect();
        if paths.is_empty() {
            let named = env::var_os("CHATD_OPS").filter(|path| !path.is_empty());
            paths.push(named.map_or_else(|| DEFAULT_PATH.into(), PathBuf::from));
        }
        let command = (!matches.free.is_empty()).then(|| matches.free.join(" "));
        if let Some(command) = &command {
            if command.trim().is_empty() {
                return Err("the command is empty".to_owned());
            }
            if command.contains('\n') {
                return Err("a command is one line".to_owned());
            }
        }
        if command.is_none() && paths.len() > 1 {
            return Err("several servers are asked one command".to_owned());
        }
        Ok(Some(Self { paths, command }))
    }
}

/// Who calls, as far as the environment tells.
fn user() -> Option<String> {
    let mut names = ["SUDO_USER", "USER"].into_iter();
    names.find_map(|name| {
        let user = env::var(name).ok()?;
        let is_word = !user.is_empty() && !user.contains(|char: char| char.is_whitespace());
        is_word.then_some(user)
    })
}

/// Why there is no answer.
enum Failure {
    Unreachable(PathBuf, io::Error),
    /// The server has closed, or the connection broke.
    EndedEarly,
    Silent,
    /// What was to be printed cannot be.
    Unprintable(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(path, error) => {
                write!(f, "cannot reach {}: {error}", path.display())
            }
            Self::EndedEarly => f.write_str("the connection ended early"),
            Self::Silent => write!(f, "no answer came for {} s", PATIENCE.as_secs()),
            Self::Unprintable(error) => write!(f, "cannot write the answer: {error}"),
        }
    }
}

/// What comes from either side.
enum Came {
    /// A line of the server, with its end; an empty one is the end of the connection.
    Line(Vec<u8>),
    /// A line of standard input, without its end; `None`: there are no more.
    Typed(Option<Vec<u8>>),
}

/// What [`Conversation::pass_on`] waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// The next line of standard input.
    Input,
    /// The last line of an answer.
    Answer,
    /// Lines of the log, and a line of standard input that ends them.
    Log,
    /// The last line of the log, for that line has been sent.
    EndOfLog,
}

/// A connection, with a thread that reads it.
struct Conversation {
    stream: UnixStream,
    came: Receiver<Came>,
    sender: Sender<Came>,
}

impl Conversation {
    fn begin(path: &Path) -> Result<Self, Failure> {
        let unreachable = |error| Failure::Unreachable(path.to_owned(), error);
        let stream = connect(path).map_err(unreachable)?;
        let lines = BufReader::new(stream.try_clone().map_err(unreachable)?);
        let (sender, came) = channel();
        let lines_sender = sender.clone();
        thread::spawn(move || read_lines(lines, &lines_sender));
        Ok(Self {
            stream,
            came,
            sender,
        })
    }

    /// Says who calls; gives whether that was refused.
    fn introduce(&mut self, user: Option<&str>) -> Result<bool, Failure> {
        let Some(user) = user else { return Ok(false) };
        self.send(format!("as {user}").as_bytes());
        let line = self.next_line(Some(PATIENCE))?;
        let refused = line.starts_with(b"!! ");
        if refused {
            print(&line)?;
        }
        Ok(refused)
    }

    /// Sends a command and prints the answer; gives whether it was refused.
    fn ask(&mut self, command: &str) -> Result<bool, Failure> {
        self.send(command.as_bytes());
        let patience = (!begins_with(command.as_bytes(), b"watch")).then_some(PATIENCE);
        loop {
            let line = self.next_line(patience)?;
            print(&line)?;
            if let Some(refused) = ends_answer(&line) {
                return Ok(refused);
            }
        }
    }

    /// Sends each line of standard input when the one before is answered, or, while the log is watched, at once; gives
    /// whether any was refused.
    fn pass_on(&mut self) -> Result<bool, Failure> {
        let (more, wanted) = channel();
        let sender = self.sender.clone();
        thread::spawn(move || read_typed(&wanted, &sender));
        let want_more = || {
            // Without the thread nothing more is typed, which it has said.
            let _ = more.send(());
        };
        want_more();
        let mut waits_for = WaitsFor::Input;
        let (mut any_refused, mut has_quit, mut typed_all, mut has_ended) = Default::default();
        loop {
            let patience = (waits_for == WaitsFor::Answer).then_some(PATIENCE);
            match self.next(patience)? {
                Came::Typed(None) if waits_for == WaitsFor::Input => return Ok(any_refused),
                Came::Typed(None) => {
                    // That nothing more comes ends a watch.
                    let _ = self.stream.shutdown(Shutdown::Write);
                    (typed_all, waits_for) = (true, WaitsFor::Answer);
                }
                Came::Typed(Some(_)) if has_ended => return Err(Failure::EndedEarly),
                Came::Typed(Some(line)) => match waits_for {
                    WaitsFor::Input if line.trim_ascii().is_empty() => want_more(),
                    WaitsFor::Input if begins_with(&line, b"watch") => {
                        self.send(&line);
                        waits_for = WaitsFor::Log;
                        want_more();
                    }
                    _ => {
                        self.send(&line);
                        has_quit = begins_with(&line, b"quit");
                        waits_for = match waits_for {
                            WaitsFor::Log => WaitsFor::EndOfLog,
                            _ => WaitsFor::Answer,
                        };
                    }
                },
                Came::Line(line) if line.is_empty() => match waits_for {
                    WaitsFor::Input if has_quit => return Ok(any_refused),
                    // Perhaps nothing more is to be passed on.
                    WaitsFor::Input => has_ended = true,
                    _ => return Err(Failure::EndedEarly),
                },
                Came::Line(line) => {
                    print(&line)?;
                    let Some(refused) = ends_answer(&line) else {
                        continue;
                    };
                    any_refused |= refused;
                    match waits_for {
                        _ if typed_all => return Ok(any_refused),
                        // The watch was refused, and what was to end it is a command.
                        WaitsFor::EndOfLog if refused => waits_for = WaitsFor::Answer,
                        // The next line is wanted already.
                        WaitsFor::Log => waits_for = WaitsFor::Input,
                        _ => {
                            waits_for = WaitsFor::Input;
                            want_more();
                        }
                    }
                }
            }
        }
    }

    /// Sends a line. If it cannot be sent, reading will tell.
    fn send(&mut self, line: &[u8]) {
        let _ = self.stream.write_all(&[line, b"\n"].concat());
    }

    fn next_line(&mut self, patience: Option<Duration>) -> Result<Vec<u8>, Failure> {
        match self.next(patience)? {
            Came::Line(line) if !line.is_empty() => Ok(line),
            _ => Err(Failure::EndedEarly),
        }
    }

    fn next(&mut self, patience: Option<Duration>) -> Result<Came, Failure> {
        let Some(patience) = patience else {
            return self.came.recv().map_err(|_| Failure::EndedEarly);
        };
        self.came
            .recv_timeout(patience)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => Failure::Silent,
                RecvTimeoutError::Disconnected => Failure::EndedEarly,
            })
    }
}

/// Connects, and waits no longer than for an answer where the queue of the server is full.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

fn read_lines(mut lines: impl BufRead, to: &Sender<Came>) {
    loop {
        let mut line = Vec::new();
        let read = lines.read_until(b'\n', &mut line);
        // What came of a line that is not whole is no line.
        if read.is_err() || !line.ends_with(b"\n") {
            line.clear();
        }
        let is_end = line.is_empty();
        if to.send(Came::Line(line)).is_err() || is_end {
            return;
        }
    }
}

/// Reads a line of standard input for each that is `wanted`.
fn read_typed(wanted: &Receiver<()>, to: &Sender<Came>) {
    let mut lines = io::stdin().lock().split(b'\n');
    while wanted.recv().is_ok() {
        let line = lines.next().and_then(Result::ok);
        let is_end = line.is_none();
        if to.send(Came::Typed(line)).is_err() || is_end {
            return;
        }
    }
}

/// Whether a command has this verb.
fn begins_with(command: &[u8], verb: &[u8]) -> bool {
    let mut words = command.split(u8::is_ascii_whitespace);
    let first = words.find(|word| !word.is_empty());
    first.is_some_and(|first| first.eq_ignore_ascii_case(verb))
}

/// Whether the line is the last one of an answer, and then whether that refuses.
fn ends_answer(line: &[u8]) -> Option<bool> {
    let refused = line.starts_with(b"!! ");
    (refused || line.starts_with(b"-- ")).then_some(refused)
}

/// Prints a line where it belongs.
fn print(line: &[u8]) -> Result<(), Failure> {
    let printed = if line.starts_with(b"!! ") {
        io::stderr().write_all(line)
    } else {
        let mut stdout = io::stdout().lock();
        stdout.write_all(line).and_then(|()| stdout.flush())
    };
    printed.map_err(Failure::Unprintable)
}
