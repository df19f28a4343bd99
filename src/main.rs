//! chatd: settings, then a server, then an exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use chatd::server::Server;
use chatd::settings::{self, Invocation, Settings};

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
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

fn finish(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chatd: {error}");
            ExitCode::FAILURE
        }
    }
}
