//! The real binary, looked at from outside.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use chatd::server::Process;

use super::crowd::Watched;
use super::{Counts, SETTINGS};
use crate::support::server::Server;
use crate::support::tcp_states;

/// `CLOSE_WAIT` in `/proc/net/tcp`.
const CLOSE_WAIT: &str = "08";

pub(super) struct Outside(Server);

impl Outside {
    /// Starts what `command` runs.
    pub(super) fn start(mut command: Command) -> Self {
        command.args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
        for setting in SETTINGS {
            command.args(["-o", setting]);
        }
        let server = Server::spawn(&mut command);
        server.output.wait_for("listening wire://");
        Self(server)
    }

    /// How many descriptors epoll watches: the `tfd:` lines of proc(5).
    fn registrations(&self) -> usize {
        let folder = format!("/proc/{}/fdinfo", self.0.pid());
        let entries = fs::read_dir(folder).expect("the server runs");
        let of_all = entries
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path()).ok());
        of_all
            .map(|text| text.lines().filter(|line| line.starts_with("tfd:")).count())
            .sum()
    }
}

impl Watched for Outside {
    fn telnet(&self) -> SocketAddr {
        self.0.telnet()
    }

    fn wire(&self) -> SocketAddr {
        self.0.wire()
    }

    fn report(&self) -> Counts {
        self.0.report()
    }

    fn rest(&self) -> Counts {
        let report = self.report();
        let mut counts = Counts::new();
        for name in ["sessions", "names", "here", "queued_bytes", "input_bytes"] {
            counts.insert(name.to_owned(), report[name]);
        }
        let process = Process::of(&self.0.pid().to_string());
        let close_wait = [self.telnet(), self.wire()]
            .into_iter()
            .filter_map(|address| tcp_states(address.port()).get(CLOSE_WAIT).copied());
        let descriptors = process.open_descriptors();
        for (name, count) in [
            ("opens without a close", report["opens"] - report["closes"]),
            ("descriptors", descriptors as u64),
            ("threads", process.threads as u64),
            ("registered with epoll", self.registrations() as u64),
            ("in CLOSE_WAIT", close_wait.sum::<usize>() as u64),
        ] {
            counts.insert(name.to_owned(), count);
        }
        counts
    }
}
