//! A server of its own inside the test, on free ports, with a listener for each dialect.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use chatd::server::{Dialect, Report, Server, ShutdownHandle};
use chatd::settings::{self, Invocation};

/// Nothing that a test waits for takes so long, however loaded the machine is.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A server that runs in a thread, and is stopped when this is dropped.
pub(crate) struct InProcess {
    addresses: Vec<(Dialect, SocketAddr)>,
    shutdown_handle: ShutdownHandle,
    thread: Option<JoinHandle<Report>>,
}

impl InProcess {
    /// A server with settings as after `-o`.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut arguments = vec!["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"];
        for option in options {
            arguments.extend(["-o", option]);
        }
        let settings = match settings::parse(arguments) {
            Ok(Invocation::Run(settings)) => settings,
            other => panic!("{other:?}"),
        };
        let mut server = Server::bind(*settings).expect("a free port");
        Self {
            addresses: server.addresses().to_vec(),
            shutdown_handle: server.shutdown_handle(),
            thread: Some(std::thread::spawn(move || {
                server.run().expect("it serves");
                server.report()
            })),
        }
    }

    /// Where it listens for `dialect`.
    pub(crate) fn address(&self, dialect: Dialect) -> SocketAddr {
        let of_dialect = |(listens, _): &&(Dialect, SocketAddr)| *listens == dialect;
        self.addresses.iter().find(of_dialect).expect("both").1
    }

    /// Stops it, and gives what it had to say at its end.
    pub(crate) fn stop(mut self) -> Report {
        self.shutdown_handle.stop().expect("it runs");
        let thread = self.thread.take().expect("not stopped yet");
        thread.join().expect("it did not panic")
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Twice is at once. A test that has failed already says why itself.
            let _ = self.shutdown_handle.stop();
            let _ = self.shutdown_handle.stop();
            let _ = thread.join();
        }
    }
}
