//! chatd: settings, then a server, then an exit status; or, as `chatd ctl`, an operator's end of a running one.

#![forbid(unsafe_code)]

mod ctl;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use chatd::server::{self, block_signals, print, Dialect, Listener, Server, StderrLog};
use chatd::settings::{self, Configuration, Invocation, Service, SettingsError};
use listenfd::ListenFd;
use log::warn;

/// At most 1024 listeners are taken over: each would be looked at, and a larger number is a mistake.
const INHERITED_MAX: u64 = 1024;

/// What a call begins with that is for a running server.
const CTL: &str = "ctl";

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    if std::env::args_os().nth(1).is_some_and(|first| first == CTL) {
        return ctl::run(arguments.skip(1)).into();
    }
    if let Err(error) = block_signals() {
        return complain(&error, 1);
    }
    match settings::parse(arguments) {
        Ok(Invocation::Print(text)) => finish(io::stdout().write_all(text.as_bytes())),
        Ok(Invocation::Run(configuration)) => finish(serve(*configuration)),
        Ok(Invocation::Check(configuration)) => finish(check(&configuration)),
        Err(error) => complain(&error, error.exit_status()),
    }
}

/// Says that the server could be started with these settings, if it could.
fn check(configuration: &Configuration) -> io::Result<()> {
    server::check(configuration.settings()).map_err(io::Error::other)?;
    io::stdout().write_all(b"settings are good\n")
}

fn serve(configuration: Configuration) -> io::Result<()> {
    let log = StderrLog::from_env().install().map_err(io::Error::other)?;
    let inherited = inherited_listeners()?;
    let mut server = if inherited.is_empty() {
        Server::bind(configuration)?
    } else {
        Server::adopt(configuration, inherited)?
    };
    server.handle_signals()?;
    log.warn_of_filter();
    let mut listening = String::new();
    for place in server.listening() {
        // Writing to a String cannot fail.
        let _ = writeln!(listening, "listening {place}");
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

/// The listeners that our parent has opened already (`LISTEN_FDS`, see `sd_listen_fds(3)`). Each is called by the
/// word of what is offered there, and one with another name is for people.
fn inherited_listeners() -> io::Result<Vec<Listener>> {
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
        let service = names
            .next()
            .and_then(|name| name.parse().ok())
            .unwrap_or(Service::Chat {
                dialect: Dialect::Telnet,
                tls: false,
                behind_proxy: false,
            });
        let listener = if service == Service::Operators {
            let socket = inherited.take_unix_listener(index);
            socket.map(|socket| socket.map(|socket| Listener::Operators(socket.into())))
        } else {
            let socket = inherited.take_tcp_listener(index);
            socket.map(|socket| socket.map(|socket| Listener::Inet { service, socket }))
        };
        let explain = |error| io::Error::other(format!("LISTEN_FDS: {error}"));
        listeners.extend(listener.map_err(explain)?);
    }
    Ok(listeners)
}

fn finish(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            complain(&error, inner.map_or(1, SettingsError::exit_status))
        }
    }
}

/// One line that says why; standard error may be closed, and then nobody wants to know.
fn complain(error: &dyn std::error::Error, status: u8) -> ExitCode {
    let _ = print(io::stderr(), &format!("chatd: {error}\n"));
    ExitCode::from(status)
}
