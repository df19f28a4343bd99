//! A server in a thread of this process, whose heap is counted.

use std::net::SocketAddr;
use std::sync::{mpsc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use chatd::server::{Server, ShutdownHandle};
use chatd::settings::{self, Invocation};
use log::{LevelFilter, Log, Metadata, Record};

use super::crowd::Watched;
use super::{heap, Counts, SETTINGS};
use crate::support::DEADLINE;

/// The last of the lines of a report.
const LAST_OF_REPORT: &str = "report turns=";

pub(super) struct Inside {
    addresses: [SocketAddr; 2],
    shutdown_handle: ShutdownHandle,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    pub(super) fn start() -> Self {
        log::set_logger(&REPORTS).expect("the first logger");
        log::set_max_level(LevelFilter::Info);
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            heap::count_this_thread();
            let mut arguments = vec!["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"];
            arguments.extend(SETTINGS.iter().flat_map(|setting| ["-o", setting]));
            let Ok(Invocation::Run(settings)) = settings::parse(arguments) else {
                panic!("settings");
            };
            let mut server = Server::bind(*settings).expect("a free port");
            let addresses = [server.addresses()[0].1, server.addresses()[1].1];
            sender
                .send((addresses, server.shutdown_handle()))
                .expect("awaited");
            server.run().expect("it serves");
        });
        let (addresses, shutdown_handle) = receiver.recv().expect("it starts");
        Self {
            addresses,
            shutdown_handle,
            thread: Some(thread),
        }
    }
}

impl Watched for Inside {
    fn telnet(&self) -> SocketAddr {
        self.addresses[0]
    }

    fn wire(&self) -> SocketAddr {
        self.addresses[1]
    }

    fn report(&self) -> Counts {
        let seen = REPORTS.lines.lock().unwrap_or_else(PoisonError::into_inner);
        self.shutdown_handle.report().expect("it runs");
        let lacks_end =
            |lines: &mut Vec<String>| !lines.iter().any(|line| line.starts_with(LAST_OF_REPORT));
        let waited = REPORTS.grown.wait_timeout_while(seen, DEADLINE, lacks_end);
        let (mut lines, waited) = waited.expect("nobody panics with it");
        assert!(!waited.timed_out(), "no report, but {lines:?}");
        let words = std::mem::take(&mut *lines).join(" ");
        let pairs = words.split(' ').filter_map(|word| word.split_once('='));
        pairs
            .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
            .collect()
    }

    fn rest(&self) -> Counts {
        let report = self.report();
        let mut counts = Counts::new();
        for name in ["sessions", "names", "here", "queued_bytes", "input_bytes"] {
            counts.insert(name.to_owned(), report[name]);
        }
        counts.insert(
            "opens without a close".to_owned(),
            report["opens"] - report["closes"],
        );
        counts
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // A test that has failed already says why itself.
        let _ = self.shutdown_handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps the lines of reports; what that takes is not the server's.
struct Reports {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

static REPORTS: Reports = Reports {
    lines: Mutex::new(Vec::new()),
    grown: Condvar::new(),
};

impl Log for Reports {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "chatd::report"
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            heap::not_counted(|| {
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(record.args().to_string());
                self.grown.notify_all();
            });
        }
    }

    fn flush(&self) {}
}
