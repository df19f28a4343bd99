//! What must be measured and how it must come out, and the rooms in which it is.

use std::io;
use std::time::Duration;

use super::clients::Crowd;
use super::server::{ServerProcess, Subject};
use super::talk::Talk;

/// Presence is summed up by the second; by then all of it is told.
const PRESENCE_TOLD: Duration = Duration::from_millis(1200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talkers {
    One,
    All,
}

/// When the next line is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// Closed loop: this many lines of the whole room are under way, each until everybody has had it.
    InFlight(u64),
    /// Open loop: lines in a second, of the whole room, by a schedule that waits for nobody.
    PerSecond(f64),
}

/// How the lines of an open loop lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrivals {
    /// As a clock ticks.
    Even,
    /// As people who do not know of each other talk: gaps of an exponential distribution, the same ones in each run.
    Random,
}

#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) clients: usize,
    pub(super) talkers: Talkers,
    /// What a talker sends, with the line end.
    pub(super) line_bytes: usize,
    pub(super) pace: Pace,
    pub(super) arrivals: Arrivals,
    /// CPU per delivered line, as a ratio to the floor's, at most.
    pub(super) bound: f64,
    /// The 99th percentile of the latency at most, beside [`P99_RATIO_MAX`].
    pub(super) p99_ms_max: f64,
}

/// The 99th percentile of the latency, as a ratio to the floor's, at most: of every workload.
pub(super) const P99_RATIO_MAX: f64 = 1.25;

const fn workload(
    name: &'static str,
    (clients, talkers): (usize, Talkers),
    line_bytes: usize,
    pace: Pace,
    bound: f64,
) -> Workload {
    Workload {
        name,
        clients,
        talkers,
        line_bytes,
        pace,
        arrivals: Arrivals::Even,
        bound,
        p99_ms_max: f64::INFINITY,
    }
}

/// What must be measured, and how it must come out.
pub(super) const WORKLOADS: [Workload; 7] = {
    use Pace::{InFlight, PerSecond};
    use Talkers::{All, One};
    [
        workload("burst", (500, One), 64, InFlight(64), 1.00),
        workload("crowd", (500, All), 64, InFlight(64), 1.10),
        workload("long-lines", (500, All), 512, InFlight(64), 1.10),
        workload("big-room", (5_000, All), 64, InFlight(64), 1.10),
        workload("lone-talker", (500, One), 64, PerSecond(100.0), 1.05),
        Workload {
            p99_ms_max: 25.0,
            ..workload("chatter", (500, All), 64, PerSecond(250.0), 0.65)
        },
        workload("huge-room", (15_000, All), 64, PerSecond(20.0), 0.60),
    ]
};

/// What came out for one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    pub(super) lines: u64,
    pub(super) deliveries: u64,
    /// Of the server process, for each delivered line.
    pub(super) cpu_ns: f64,
    pub(super) cpu_share: f64,
    /// Of the time, how much the server was ready to run while something else had its core.
    pub(super) waited_share: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// What was not as it must be.
    pub(super) fault: Option<String>,
}

impl Workload {
    /// Measures each subject for the time of the conditions.
    ///
    /// Where the descriptors of the load suffice, all rooms are filled first and then measured by turns, a second each,
    /// so that what else goes on in the machine meets all of them alike.
    pub(super) fn measure(
        &self,
        subjects: &[Subject],
        conditions: &Conditions,
    ) -> io::Result<Vec<Measured>> {
        let is_room_for_all = self.clients * subjects.len() <= conditions.clients_max;
        let at_once = if is_room_for_all { subjects.len() } else { 1 };
        let mut measured = Vec::new();
        for subjects in subjects.chunks(at_once) {
            let open = |&subject: &Subject| Room::open(subject, self.clients, conditions);
            let mut rooms: Vec<Room> = subjects.iter().map(open).collect::<io::Result<_>>()?;
            measured.extend(self.measure_by_turns(&mut rooms, conditions.time)?);
            rooms.into_iter().try_for_each(Room::close)?;
        }
        Ok(measured)
    }

    /// Has people talk in each of the rooms for `time`, after a warm-up; where there are several, a second in each.
    pub(super) fn measure_by_turns(
        &self,
        rooms: &mut [Room],
        time: Duration,
    ) -> io::Result<Vec<Measured>> {
        let warm_up = |room| Talk::warmed_up(self, room, time);
        let mut talks: Vec<Talk> = rooms.iter_mut().map(warm_up).collect::<io::Result<_>>()?;
        let turns = if talks.len() > 1 {
            time.as_secs().max(1) as u32
        } else {
            1
        };
        for _ in 0..turns {
            for talk in &mut talks {
                talk.go_on(time / turns)?;
            }
        }
        Ok(talks.into_iter().map(Talk::result).collect())
    }
}

/// How to measure.
pub(super) struct Conditions {
    /// That of the server; `None` where there is but one.
    pub(super) server_core: Option<usize>,
    /// Further settings of chatd.
    pub(super) settings: Vec<String>,
    /// The measured time.
    pub(super) time: Duration,
    /// How many clients the load can have at once.
    pub(super) clients_max: usize,
}

impl Conditions {
    pub(super) fn start(&self, subject: Subject) -> io::Result<ServerProcess> {
        ServerProcess::start(subject, self.server_core, &self.settings)
    }
}

/// A server and its clients, who have all joined.
pub(super) struct Room {
    pub(super) server: ServerProcess,
    pub(super) crowd: Crowd,
}

impl Room {
    pub(super) fn open(
        subject: Subject,
        clients: usize,
        conditions: &Conditions,
    ) -> io::Result<Self> {
        let server = conditions.start(subject)?;
        let mut crowd = Crowd::new(&server, 0)?;
        let joined = crowd.join(clients, true, || Ok(()));
        joined.map_err(|error| io::Error::other(format!("{}: {error}", subject.name())))?;
        if subject == Subject::Chatd {
            crowd.listen(PRESENCE_TOLD)?;
        }
        Ok(Self { server, crowd })
    }

    pub(super) fn close(self) -> io::Result<()> {
        drop(self.crowd);
        self.server.stop()
    }
}
