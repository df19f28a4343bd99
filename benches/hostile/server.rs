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

    /// What a report tells of `key`, the sessions and the bytes they hold: it is asked for one.
    pub(super) fn reported(&self, key: &str) -> io::Result<u64> {
        let key = format!(" {key}=");
        let reports = || -> io::Result<Vec<u64>> {
            let log = fs::read_to_string(&self.log)?;
            let told = log.lines().filter_map(|line| {
                let (_, told) = line.split_once(" report")?;
                let (_, told) = told.split_once(&key)?;
                told.split(' ').next()?.parse().ok()
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

    /// The most memory that it ever had resident, in bytes.
    pub(super) fn peak_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.child.id()))?;
        let told = status.lines().find_map(|line| {
            let kibibytes = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
            kibibytes.parse::<u64>().ok()
        });
        told.map(|kibibytes| kibibytes * 1024)
            .ok_or_else(|| io::Error::other("the system tells no memory of the server"))
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
