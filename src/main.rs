//! chatd: settings, then a server, then an exit status.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use chatd::server::Server;
use chatd::settings::{self, Invocation, Settings};

fn main() -> ExitCode {
    log_to_stderr();
    match settings::parse(std::env::args_os().skip(1)) {
        Ok(Invocation::Print(text)) => finish(io::stdout().write_all(text.as_bytes())),
        Ok(Invocation::Run(settings)) => finish(serve(&settings)),
        Err(error) => {
            eprintln!("chatd: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn serve(settings: &Settings) -> io::Result<()> {
    let mut server = Server::bind(settings)?;
    server.handle_signals()?;
    let mut stdout = io::stdout().lock();
    for (dialect, address) in server.addresses() {
        writeln!(stdout, "listening {dialect}://{address}")?;
    }
    stdout.flush()?;
    drop(stdout);
    server.run()
}

/// One physical line an event: the time, the level, the event.
fn log_to_stderr() {
    let level = env_logger::Env::default().default_filter_or("info");
    env_logger::Builder::from_env(level)
        .format(|out, record| {
            let now = humantime::format_rfc3339_millis(wall_clock());
            writeln!(out, "{now} {} {}", record.level(), record.args())
        })
        .init();
}

#[allow(
    clippy::disallowed_methods,
    reason = "the stamps of the log are the only use of the wall clock"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

fn finish(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chatd: {error}");
            ExitCode::FAILURE
        }
    }
}
