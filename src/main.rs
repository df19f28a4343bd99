//! chatd: settings, then a server, then an exit status.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use chatd::server::{Dialect, Server, StderrLog};
use chatd::settings::{self, Invocation, Settings};
use listenfd::ListenFd;
use sd_notify::NotifyState;

fn main() -> ExitCode {
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
    let mut stdout = io::stdout().lock();
    for (dialect, address) in server.addresses() {
        writeln!(stdout, "listening {dialect}://{address}")?;
    }
    stdout.flush()?;
    drop(stdout);
    // Who did not start us does not listen, and need not.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let outcome = server.run();
    log.finish();
    outcome
}

/// The listeners that whoever started us has opened already (`LISTEN_FDS`, see `sd_listen_fds(3)`). One that is named
/// `wire` is for programs, and any other for people.
fn inherited_listeners() -> io::Result<Vec<(Dialect, TcpListener)>> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut inherited = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..inherited.len() {
        let dialect = names
            .next()
            .and_then(|name| name.parse().ok())
            .unwrap_or(Dialect::Telnet);
        if let Some(listener) = inherited.take_tcp_listener(index)? {
            listeners.push((dialect, listener));
        }
    }
    Ok(listeners)
}

fn finish(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

/// One line that says why; standard error may be closed, and then nobody wants to know.
fn complain(error: &dyn std::error::Error, status: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "chatd: {error}");
    ExitCode::from(status)
}
