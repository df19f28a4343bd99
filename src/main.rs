//! chatd: settings, then a server, then an exit status.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;

use chatd::server::{block_signals, print, Dialect, Server, StderrLog};
use chatd::settings::{self, Invocation, Settings, SettingsError};
use listenfd::ListenFd;
use log::warn;

/// At most 1024 listeners are taken over: each would be looked at, and a larger number is a mistake.
const INHERITED_MAX: u64 = 1024;

fn main() -> ExitCode {
    if let Err(error) = block_signals() {
        return complain(&error, 1);
    }
    match settings::parse(std::env::args_os().skip(1)) {
        Ok(Invocation::Print(text)) => finish(io::stdout().write_all(text.as_bytes())),
        Ok(Invocation::Run(settings)) => finish(serve(&settings)),
        Err(error) => complain(&error, error.exit_status()),
    }
}

fn serve(settings: &Settings) -> io::Result<()> {
    let log = StderrLog::from_env().install().map_err(io::Error::other)?;
    let inherited = inherited_listeners()?;
    let mut server = if inherited.is_empty() {
        Server::bind(settings)?
    } else {
        Server::adopt(settings, inherited)?
    };
    server.handle_signals()?;
    log.warn_of_filter();
    let mut listening = String::new();
    for (dialect, address) in server.addresses() {
        // Writing to a String cannot fail.
        let _ = writeln!(listening, "listening {dialect}://{address}");
    }
    // People can come all the same.
    if let Err(error) = print(io::stdout(), &listening) {
        warn!("cannot write to standard output where it listens: {error}");
    }
    server.tell_ready();
    let outcome = server.run();
    log.finish();
    outcome
}

/// The listeners that whoever started us has opened already (`LISTEN_FDS`, see `sd_listen_fds(3)`). One that is named
/// `wire` is for programs, and any other for people.
fn inherited_listeners() -> io::Result<Vec<(Dialect, TcpListener)>> {
    let count = std::env::var("LISTEN_FDS").ok();
    let count = count.and_then(|count| count.parse::<u64>().ok());
    if count.is_some_and(|count| count > INHERITED_MAX) {
        let what = format!("LISTEN_FDS: more than {INHERITED_MAX}");
        return Err(io::Error::other(what));
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut inherited = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..inherited.len() {
        let dialect = names
            .next()
            .and_then(|name| name.parse().ok())
            .unwrap_or(Dialect::Telnet);
        let explain = |error| io::Error::other(format!("LISTEN_FDS: {error}"));
        if let Some(listener) = inherited.take_tcp_listener(index).map_err(explain)? {
            listeners.push((dialect, listener));
        }
    }
    Ok(listeners)
}

fn finish(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let inner = error.get_ref();
            let wrong = inner.and_then(|inner| inner.downcast_ref::<SettingsError>());
            complain(&error, wrong.map_or(1, SettingsError::exit_status))
        }
    }
}

/// One line that says why; standard error may be closed, and then nobody wants to know.
fn complain(error: &dyn std::error::Error, status: u8) -> ExitCode {
    let _ = print(io::stderr(), &format!("chatd: {error}\n"));
    ExitCode::from(status)
}
