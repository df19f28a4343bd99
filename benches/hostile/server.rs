//! The server with its default settings, and what it tells of itself.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::process::CoreTime;
use crate::process::{chatd_path, launcher, target_path, Process};

/// What it writes to its standard error.
const LOG: &str = "hostile-server.log";
/// A server that does not report within this time is not measured.
const REPORT_SECONDS_MAX: u64 = 30;

pub(super) struct Server {
    process: Process,
    log: PathBuf,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts it on its core. The calling thread must live as long as the server.
    pub(super) fn start(core: Option<usize>) -> io::Result<Self> {
        let mut command = launcher(core, &chatd_path())?;
        command.args(["-l", "telnet://127.0.0.1:0"]);
        let process = Process::start(&mut command, LOG)?;
        Ok(Self {
            log: target_path(LOG)?,
            address: process.address,
            process,
        })
    }

    /// What all its threads have had of their core so far.
    pub(super) fn core_time(&self) -> io::Result<CoreTime> {
        self.process.core_time()
    }

    /// The same, since it was `before`.
    pub(super) fn spent_since(&self, before: CoreTime) -> io::Result<CoreTime> {
        let now = self.core_time()?;
        Ok(CoreTime {
            ran: now.ran.saturating_sub(before.ran),
            waited: now.waited.saturating_sub(before.waited),
        })
    }

    /// Bytes that it has read and not understood yet, of all sessions: it is asked for a report.
    pub(super) fn input_bytes(&self) -> io::Result<u64> {
        let reports = || -> io::Result<Vec<u64>> {
            let log = fs::read_to_string(&self.log)?;
            let told = log.lines().filter_map(|line| {
                let (_, told) = line.split_once(" input_bytes=")?;
                told.parse().ok()
            });
            Ok(told.collect())
        };
        let before = reports()?.len();
        self.process.signal(Signal::USR1)?;
        let deadline = Instant::now() + Duration::from_secs(REPORT_SECONDS_MAX);
        while Instant::now() < deadline {
            match reports()?.get(before) {
                Some(bytes) => return Ok(*bytes),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
        Err(io::Error::other("the server does not report"))
    }

    /// How long each slow turn took that it has told of so far, in ms; it tells of one in a second at most.
    pub(super) fn slow_turns(&self) -> io::Result<Vec<u64>> {
        let log = fs::read_to_string(&self.log)?;
        let told = log.lines().filter_map(|line| {
            let (_, told) = line.split_once("slow turn: ")?;
            told.split_once(' ')?.0.parse().ok()
        });
        Ok(told.collect())
    }
}
