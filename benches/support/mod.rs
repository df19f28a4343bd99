//! What the benches of the hub and of framing share: a hub without sockets, and flamegraphs.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::Path;
use std::time::{Duration, Instant};

use chatd::dialect::Dialect;
use chatd::hub::{Hub, Limits, Origin, QueueLimits, Rate, SessionId, Sink};
use criterion::profiler::Profiler;
use criterion::Criterion;
use pprof::ProfilerGuard;

/// Samples of the stack in a second; not a round number, so that it does not beat with timers.
const SAMPLES_PER_SECOND: i32 = 997;

/// Few samples, for there are many cases.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .with_profiler(Flamegraph(None))
}

/// Writes `flamegraph.svg` beside criterion's own output, with `--profile-time`.
struct Flamegraph(Option<ProfilerGuard<'static>>);

impl Profiler for Flamegraph {
    fn start_profiling(&mut self, benchmark_id: &str, _folder: &Path) {
        match ProfilerGuard::new(SAMPLES_PER_SECOND) {
            Ok(guard) => self.0 = Some(guard),
            Err(error) => eprintln!("{benchmark_id} is not profiled: {error}"),
        }
    }

    fn stop_profiling(&mut self, benchmark_id: &str, folder: &Path) {
        let Some(guard) = self.0.take() else { return };
        let file = folder.join("flamegraph.svg");
        let written = || -> Result<(), Box<dyn std::error::Error>> {
            fs::create_dir_all(folder)?;
            guard.report().build()?.flamegraph(File::create(&file)?)?;
            Ok(())
        };
        match written() {
            Ok(()) => println!("{benchmark_id}: {}", file.display()),
            Err(error) => eprintln!("{benchmark_id} has no flamegraph: {error}"),
        }
    }
}

/// How a socket that is none takes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Socket {
    /// All at once.
    Quick,
    /// Half of them; then it blocks until the next turn.
    Lagging {
        /// It has taken its half.
        full: bool,
    },
}

/// Counts what the sinks take.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) bytes: u64,
}

impl Sink<Socket> for Counter {
    fn write(
        &mut self,
        _: SessionId,
        sink: &mut Socket,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = match sink {
            Socket::Quick => offered,
            Socket::Lagging { full } if *full => return Err(io::ErrorKind::WouldBlock.into()),
            Socket::Lagging { full } => {
                *full = true;
                offered.div_ceil(2)
            }
        };
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn finish(&mut self, _: &mut Socket) {}
}

/// A hub and those who are connected to it. Time stands still.
pub(crate) struct Room {
    pub(crate) hub: Hub<Socket>,
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) counter: Counter,
    now: Instant,
}

impl Room {
    /// A room with nobody in it, with the usual limits but for those on speed.
    pub(crate) fn new() -> Self {
        let queue = QueueLimits {
            bytes_max: 256 * 1024,
            bytes_soft: 64 * 1024,
            soft: Duration::from_secs(10),
            stall: Some(Duration::from_secs(30)),
        };
        let hub = Hub::new(Limits {
            line_bytes_max: 4096,
            queue,
            line_rate: Rate::UNLIMITED,
            memory_max: 1 << 30,
            idle: None,
            drain: Duration::from_secs(5),
            history_lines: 0,
            pace_max: None,
        });
        Self {
            hub,
            sessions: Vec::new(),
            counter: Counter::default(),
            now: Instant::now(),
        }
    }

    /// Somebody connects.
    pub(crate) fn connect(&mut self, sink: Socket, dialect: Dialect) -> SessionId {
        let id = self.hub.connect(sink, dialect, Origin::Local, self.now);
        self.sessions.push(id);
        id
    }

    /// One session sends `bytes`, and all of it is understood and flushed.
    pub(crate) fn hear(&mut self, id: SessionId, bytes: &[u8]) {
        self.hub.handle_input(id, bytes, self.now);
        while self.hub.has_carry(id) {
            if self.hub.has_said_enough() {
                self.flush();
            }
            self.hub.resume(id, self.now);
        }
        self.flush();
    }

    /// The end of a turn. Whoever lags takes more in the next one.
    pub(crate) fn flush(&mut self) {
        self.hub.flush(self.now, &mut self.counter);
    }

    /// Those who lag can take bytes again.
    pub(crate) fn unblock(&mut self) {
        for id in &self.sessions {
            if let Some(Socket::Lagging { full }) = self.hub.transport(*id) {
                *full = false;
                self.hub.handle_writable(*id);
            }
        }
    }
}
