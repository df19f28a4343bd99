//! What the server holds, for an operator to look at: sessions, closes, descriptors, threads, memory, turns.
//!
//! A server looks at its own process in a moment, however much that holds ([`Usage`]); to look at each descriptor takes
//! the kernel hundreds of milliseconds where there are thousands, and is for others to do ([`Process`]).

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use log::info;
use rustix::process::{getrlimit, Resource};
use rustix::time::{clock_gettime, ClockId};

use crate::hub::Census;
use crate::ledger::{CloseReason, Ledger};

/// The target of the lines of a report, which tells them from others in the log.
pub(crate) const LOG_TARGET: &str = module_path!();

/// The state of a server at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Sessions by state, names, queued bytes.
    pub census: Census,
    /// How many sessions were opened.
    pub opens: u64,
    /// How many sessions were closed, for each reason that occurred.
    pub closes: Vec<(CloseReason, u64)>,
    /// What this process uses.
    pub process: Usage,
    /// How many turns the loop has made.
    pub turns: u64,
    /// The longest of them, without the waiting.
    pub longest_turn: Duration,
}

impl Report {
    pub(crate) fn new(
        census: Census,
        ledger: &Ledger,
        process: Usage,
        turns: u64,
        longest_turn: Duration,
    ) -> Self {
        let counted = CloseReason::ALL
            .into_iter()
            .map(|reason| (reason, ledger.closed_for(reason)));
        Self {
            census,
            opens: ledger.opened(),
            closes: counted.filter(|(_, count)| *count > 0).collect(),
            process,
            turns,
            longest_turn,
        }
    }

    /// Writes the report into the log.
    pub(crate) fn log(&self) {
        let Census {
            open,
            draining,
            lingering,
            names,
            here,
            queued_bytes,
            input_bytes,
        } = self.census;
        info!(
            "report sessions={} open={open} draining={draining} lingering={lingering} names={names} here={here} \
             queued_bytes={queued_bytes} input_bytes={input_bytes}",
            open + draining + lingering
        );
        let closed: u64 = self.closes.iter().map(|(_, count)| count).sum();
        info!(
            "report opens={} closes={closed}{}",
            self.opens,
            listed(self.closes.iter().copied())
        );
        let Usage {
            descriptors,
            threads,
            resident_bytes,
            ..
        } = self.process;
        info!("report descriptors={descriptors} threads={threads} resident_bytes={resident_bytes}");
        info!(
            "report turns={} longest_turn_us={}",
            self.turns,
            self.longest_turn.as_micros()
        );
    }
}

/// ` key=value` for each pair.
fn listed<K: Display, V: Display>(pairs: impl IntoIterator<Item = (K, V)>) -> String {
    pairs.into_iter().fold(String::new(), |text, (key, value)| {
        text + &format!(" {key}={value}")
    })
}

/// What the server's own process uses, as far as the system tells (`/proc` on Linux; elsewhere what is only there is 0).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Open descriptors. Where the system does not tell (Linux before 6.2): those of sessions and listeners.
    pub descriptors: usize,
    /// How many descriptors it may have.
    pub descriptors_max: u64,
    /// Threads.
    pub threads: usize,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Processor time, that of all threads, in the kernel and out of it.
    pub cpu: Duration,
}

impl Usage {
    /// Looks at this process, in which `descriptors_known` are those of sessions and listeners.
    pub(crate) fn of_this_process(descriptors_known: usize) -> Self {
        let status = Status::of("self");
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            descriptors: open_descriptors().unwrap_or(descriptors_known),
            descriptors_max: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            threads: status.threads,
            resident_bytes: status.resident_bytes,
            cpu: Duration::new(
                cpu.tv_sec.cast_unsigned(),
                cpu.tv_nsec.cast_unsigned() as u32,
            ),
        }
    }
}

/// How many descriptors are open: the size of a folder that lists them, which is 0 before Linux 6.2.
fn open_descriptors() -> Option<usize> {
    let folder = fs::metadata("/proc/self/fd").ok()?;
    Some(folder.len() as usize).filter(|count| *count > 0)
}

/// What stands in the file `status` of a process.
struct Status {
    threads: usize,
    resident_bytes: u64,
}

impl Status {
    fn of(process: &str) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Self {
            threads: number("Threads:").unwrap_or(0) as usize,
            resident_bytes: number("VmRSS:").unwrap_or(0) * 1024,
        }
    }
}

/// What a process holds, as far as the system tells (`/proc` on Linux; elsewhere all is 0).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// How many descriptors of each kind are open: `eventpoll`, `file`, `pipe`, `socket`, …
    pub descriptors: Vec<(String, usize)>,
    /// Threads.
    pub threads: usize,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
}

impl Process {
    /// Looks at a process: `self`, or its number. It takes long where thousands of descriptors are open.
    #[must_use]
    pub fn of(process: &str) -> Self {
        let Status {
            threads,
            resident_bytes,
        } = Status::of(process);
        Self {
            descriptors: descriptors(process),
            threads,
            resident_bytes,
        }
    }

    /// How many descriptors are open.
    #[must_use]
    pub fn open_descriptors(&self) -> usize {
        self.descriptors.iter().map(|(_, count)| count).sum()
    }
}

fn descriptors(process: &str) -> Vec<(String, usize)> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return kinds;
    };
    for entry in entries.flatten() {
        // One that is gone in the meantime is the one that the directory itself was read through.
        if let Ok(target) = fs::read_link(entry.path()) {
            let target = target.to_string_lossy();
            let kind = kind(&target);
            match kinds.binary_search_by(|(known, _)| known.as_str().cmp(kind)) {
                Ok(at) => kinds[at].1 += 1,
                Err(at) => kinds.insert(at, (kind.to_owned(), 1)),
            }
        }
    }
    kinds
}

/// `socket:[123]` is a socket, `anon_inode:[eventpoll]` an eventpoll, a path a file.
fn kind(target: &str) -> &str {
    match target.strip_prefix("anon_inode:") {
        Some(inode) => inode.trim_matches(['[', ']']),
        None if target.starts_with('/') => "file",
        None => target.split(':').next().unwrap_or(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_have_kinds() {
        assert_eq!(kind("socket:[123]"), "socket");
        assert_eq!(kind("anon_inode:[eventpoll]"), "eventpoll");
        assert_eq!(kind("anon_inode:[eventfd]"), "eventfd");
        assert_eq!(kind("pipe:[7]"), "pipe");
        assert_eq!(kind("/dev/null"), "file");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_threads_memory_and_descriptors() {
        let process = Process::of("self");
        assert!(process.threads >= 1);
        assert!(process.resident_bytes > 0);
        assert!(process.open_descriptors() >= 3);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_what_the_system_tells() {
        let usage = Usage::of_this_process(12_345);
        assert!(usage.threads >= 1);
        assert!(usage.resident_bytes > 0);
        assert!(usage.cpu > Duration::ZERO);
        assert!((3..=usage.descriptors_max).contains(&(usage.descriptors as u64)));
    }
}
