//! What sessions cost as such: to start the server, to be idle, to come and to go.
//!
//! Only chatd is measured here, against fixed bounds. What a client does beside it costs the load, not the server.

use std::io;
use std::time::{Duration, Instant};

use super::clients::{name, Crowd, CLIENTS_MAX, NAME_BYTES};
use super::server::{ServerProcess, Subject};
use super::workload::{Arrivals, Conditions, Pace, Room, Talkers, Workload};
use crate::load::latency::Latencies;

const STARTS: usize = 20;
/// Memory is looked at when the server has been at rest for this long.
const REST: Duration = Duration::from_millis(1500);
/// How many leave between two turns of the load.
const LEAVING_PER_TURN: usize = 64;
/// Until all that was said has been heard, and all presence told.
const TOLD_SECONDS_MAX: u64 = 30;
const STAYING: usize = 10;
/// Two chat beside the crowd, with names that nobody in it has.
const PAIR: usize = 2;
const PAIR_NAMES: usize = CLIENTS_MAX;
const PRIVATE_GAP: Duration = Duration::from_millis(5);
const ALOUD_GAP: Duration = Duration::from_millis(200);

/// One number and what it must be at most.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) clients: usize,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) at_most: Option<f64>,
}

/// Takes how many come and go.
type Measurement = fn(&Conditions, usize) -> io::Result<Vec<Figure>>;

/// All of them by name, in the order in which they are made.
pub(super) const MEASUREMENTS: [(&str, Measurement); 4] = [
    ("start-up", start_up),
    ("memory", memory),
    ("joining", joining),
    ("shrunk-room", shrunk_room),
];

fn start_up(conditions: &Conditions, _: usize) -> io::Result<Vec<Figure>> {
    let mut times_ms = Vec::new();
    for _ in 0..STARTS {
        let server = ServerProcess::start_bare(&conditions.settings)?;
        times_ms.push(server.started_in.as_secs_f64() * 1000.0);
        server.stop()?;
    }
    times_ms.sort_unstable_by(f64::total_cmp);
    Ok(vec![Figure {
        what: format!("start to `listening`, median of {STARTS}"),
        clients: 0,
        value: times_ms[STARTS / 2],
        unit: "ms",
        at_most: Some(10.0),
    }])
}

fn memory(conditions: &Conditions, clients: usize) -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (what, are_named, counts) in [
        ("idle session, connected", false, [clients * 2 / 3, clients]),
        ("idle session, named", true, [clients * 2 / 3, clients]),
    ] {
        let server = conditions.start(Subject::Chatd)?;
        let mut crowd = Crowd::new(&server, 0)?;
        let empty_bytes = server.resident_bytes()?;
        for clients in counts {
            crowd.join(clients, are_named, || Ok(()))?;
            crowd.listen(REST)?;
            let grown_bytes = server.resident_bytes()?.saturating_sub(empty_bytes);
            figures.push(Figure {
                what: what.to_owned(),
                clients,
                value: grown_bytes as f64 / clients as f64,
                unit: "B",
                at_most: Some(400.0),
            });
        }
        server.stop()?;
    }
    Ok(figures)
}

/// Two people chat while all the others come at once, and while they go at once. When they chat privately, often, their
/// lines tell how long the server's turns are; when they chat aloud, seldom, each line goes to all who are there.
fn joining(conditions: &Conditions, clients: usize) -> io::Result<Vec<Figure>> {
    let mut figures = come_and_go(conditions, clients / 3, Voice::Private)?;
    figures.extend(come_and_go(conditions, clients, Voice::Private)?);
    figures.extend(come_and_go(conditions, clients, Voice::Aloud)?);
    Ok(figures)
}

fn come_and_go(conditions: &Conditions, clients: usize, voice: Voice) -> io::Result<Vec<Figure>> {
    let server = conditions.start(Subject::Chatd)?;
    let mut pair = Pair::join(&server, voice)?;
    let mut crowd = Crowd::new(&server, 0)?;

    crowd.join(clients, true, || pair.chat(Duration::ZERO))?;
    let come = pair.figures(&mut crowd, "joining", clients)?;
    // The two have heard how many joined while the server still tells the others; that is not yet leaving.
    crowd.listen(REST)?;
    pair.begin_anew()?;

    while crowd.len() > 0 {
        crowd.leave(crowd.len().saturating_sub(LEAVING_PER_TURN));
        pair.chat(Duration::ZERO)?;
        crowd.turn(Duration::ZERO, |_, _, _| {})?;
    }
    let gone = pair.figures(&mut crowd, "leaving", clients)?;
    server.stop()?;
    Ok(come.into_iter().chain(gone).collect())
}

/// What a line costs in a room of ten, and what in one of ten that has been large.
fn shrunk_room(conditions: &Conditions, clients: usize) -> io::Result<Vec<Figure>> {
    let clients = clients.max(STAYING + 1);
    let workload = Workload {
        name: "shrunk-room",
        clients: STAYING,
        talkers: Talkers::All,
        line_bytes: 64,
        // One after the other, so that the turns are the same before and after.
        pace: Pace::InFlight(1),
        arrivals: Arrivals::Even,
        bound: 1.0,
        p99_ms_max: f64::INFINITY,
    };
    let open = || Room::open(Subject::Chatd, STAYING, conditions);
    let mut rooms = [open()?, open()?];
    come_and_leave(&mut rooms[1], clients)?;
    let mut costs_ns = Vec::new();
    for measured in workload.measure_by_turns(&mut rooms, conditions.time)? {
        if let Some(fault) = measured.fault {
            return Err(io::Error::other(fault));
        }
        costs_ns.push(measured.cpu_ns);
    }
    rooms.into_iter().try_for_each(Room::close)?;
    let (fresh, shrunk) = (costs_ns[0], costs_ns[1]);
    let figure = |what: &str, value, unit, at_most| Figure {
        what: what.to_owned(),
        clients: STAYING,
        value,
        unit,
        at_most,
    };
    Ok(vec![
        figure("fresh room, per delivered line", fresh, "ns", None),
        figure(
            &format!("room that held {clients}, per delivered line"),
            shrunk,
            "ns",
            None,
        ),
        figure(
            "room that was large : fresh room",
            shrunk / fresh,
            "x",
            Some(1.10),
        ),
    ])
}

/// Has the room filled up to this many clients, and those who came leave again.
fn come_and_leave(room: &mut Room, clients: usize) -> io::Result<()> {
    let mut pair = Pair::join(&room.server, Voice::Silent)?;
    let mut visitors = Crowd::new(&room.server, STAYING)?;
    visitors.join(clients - STAYING, true, || pair.chat(Duration::ZERO))?;
    pair.until_told_of(&mut visitors, clients + PAIR)?;
    visitors.leave(0);
    pair.until_told_of(&mut visitors, STAYING + PAIR)?;
    drop(pair);
    room.crowd.listen(REST)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Silent,
    Private,
    Aloud,
}

/// Two clients beside the crowd, who chat with each other by a fixed schedule and hear what presence is told. They have a
/// poll of their own, so that what they wait for is the server and not the load's reading of everybody else.
struct Pair<'a> {
    server: &'a ServerProcess,
    crowd: Crowd,
    voice: Voice,
    cpu_before: Duration,
    began_at: Instant,
    next_at: Instant,
    due_at: Vec<Instant>,
    latencies: Latencies,
    heard: usize,
    /// How many are here, as last told to the first.
    here: usize,
}

impl<'a> Pair<'a> {
    fn join(server: &'a ServerProcess, voice: Voice) -> io::Result<Self> {
        let mut crowd = Crowd::new(server, PAIR_NAMES)?;
        crowd.join(PAIR, true, || Ok(()))?;
        let now = Instant::now();
        Ok(Self {
            server,
            crowd,
            voice,
            cpu_before: server.cpu()?,
            began_at: now,
            next_at: now,
            due_at: Vec::new(),
            latencies: Latencies::new()?,
            heard: 0,
            here: 0,
        })
    }

    /// Says what is due, and hears what comes within `timeout`.
    fn chat(&mut self, timeout: Duration) -> io::Result<()> {
        let now = Instant::now();
        while self.next_at <= now {
            let number = self.due_at.len();
            let (talker, other) = (number % 2, name(PAIR_NAMES + 1 - number % 2));
            let (line, gap) = match self.voice {
                Voice::Silent => break,
                Voice::Private => (format!("/msg {other} {number:08} hello\n"), PRIVATE_GAP),
                Voice::Aloud => (format!("{number:08} hello\n"), ALOUD_GAP),
            };
            self.due_at.push(self.next_at);
            self.next_at += gap;
            self.crowd.client(talker).say(line.as_bytes());
        }
        self.hear(timeout)
    }

    fn hear(&mut self, timeout: Duration) -> io::Result<()> {
        self.crowd.turn(timeout, |index, client, bytes| {
            let now = Instant::now();
            client.each_line(bytes, |_, line| {
                if let (0, Some(here)) = (index, told_here(line)) {
                    self.here = here;
                } else if let Some(due_at) =
                    chat_number(line).and_then(|number| self.due_at.get(number))
                {
                    self.heard += 1;
                    self.latencies.record(*due_at, now);
                }
            });
        })
    }

    /// Chats on until told that `here` are here, while `others` read what comes.
    fn until_told_of(&mut self, others: &mut Crowd, here: usize) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(TOLD_SECONDS_MAX);
        while self.here != here {
            self.chat(Duration::from_millis(1))?;
            others.turn(Duration::ZERO, |_, _, _| {})?;
            if Instant::now() > deadline {
                let told = self.here;
                return Err(io::Error::other(format!(
                    "told of {told} people, not of {here}"
                )));
            }
        }
        Ok(())
    }

    /// Says nothing more until everything said has been heard: the late ones are what matters.
    fn until_heard(&mut self, others: &mut Crowd) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(TOLD_SECONDS_MAX);
        while self.heard < self.due_at.len() {
            self.hear(Duration::from_millis(1))?;
            others.turn(Duration::ZERO, |_, _, _| {})?;
            if Instant::now() > deadline {
                let lost = self.due_at.len() - self.heard;
                return Err(io::Error::other(format!(
                    "{lost} lines between two people were lost"
                )));
            }
        }
        Ok(())
    }

    /// Measures anew, as of now.
    fn begin_anew(&mut self) -> io::Result<()> {
        self.latencies = Latencies::new()?;
        self.cpu_before = self.server.cpu()?;
        self.began_at = Instant::now();
        self.next_at = self.began_at;
        Ok(())
    }

    /// What it costs that `crowd` has come or gone, of `clients` in all, and what the two have felt of it. They chat on
    /// until everybody's coming or going is told.
    fn figures(
        &mut self,
        crowd: &mut Crowd,
        verb: &str,
        clients: usize,
    ) -> io::Result<[Figure; 3]> {
        self.until_told_of(crowd, crowd.len() + PAIR)?;
        let cpu = self.server.cpu()?.saturating_sub(self.cpu_before);
        let elapsed = self.began_at.elapsed();
        self.until_heard(crowd)?;
        let chat = match self.voice {
            Voice::Private => "privately",
            _ => "aloud",
        };
        let figure = |what: &str, value, unit, at_most| Figure {
            what: format!("{verb} while two chat {chat}: {what}"),
            clients,
            value,
            unit,
            at_most,
        };
        // Aloud, each line of the two is a line to everybody, which costs what it costs without anybody coming.
        let judged = |bound| (self.voice == Voice::Private).then_some(bound);
        let cpu_us = cpu.as_secs_f64() * 1e6 / clients as f64;
        let p99_ms = self.latencies.quantile(0.99).as_secs_f64() * 1e3;
        Ok([
            figure("server CPU per client", cpu_us, "us", judged(40.0)),
            figure("until all is told", elapsed.as_secs_f64(), "s", None),
            figure("p99 of the two", p99_ms, "ms", judged(50.0)),
        ])
    }
}

/// The number in `-- ann joined (4 here)`.
fn told_here(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line.strip_prefix(b"-- ")?).ok()?;
    let (_, count) = text.strip_suffix(" here)")?.rsplit_once('(')?;
    count.parse().ok()
}

/// The number in `[ann] 00000017 hello` and `<ann> 00000017 hello`, not in one's own copy.
fn chat_number(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    if text.starts_with("[to ") || !text.starts_with(['[', '<']) {
        return None;
    }
    text.get(NAME_BYTES + 3..NAME_BYTES + 11)?.parse().ok()
}
