//! The clients: what they do while all goes wrong, while all heals, and as they leave.
//!
//! The first one is the witness: it reads at once, never speaks and never goes, so what it hears is what was said.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use rustix::io::Errno;

use super::connection::{Connection, End};
use super::network::{Faults, SimulatedNetwork, World};
use super::profile::{Profile, LINE_BYTES_MAX};
use crate::dialect::Dialect;
use crate::server::network::Wakeup;

pub(super) type SimulatedWorld = SimulatedNetwork<Crowd>;

/// The dialects of the listeners, by their number.
pub(super) const LISTENERS: [Dialect; 2] = [Dialect::Telnet, Dialect::Wire];

pub(super) const WITNESS: usize = 0;

/// No more than so many at a time, storms apart.
const CROWD_MAX: usize = 24;
/// Who never ends a line is cut off after 16 MiB.
const FLOOD_BYTES: u64 = 17 * 1024 * 1024;
const FLOOD_STEP: usize = 32 * 1024;

/// How a client means to go, or has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    Stays,
    Quit,
    End,
    Reset,
}

/// What is said: by whom, and as her how-manieth words.
pub(super) type Words = (usize, u32);

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) dialect: Dialect,
    pub(super) leave: Leave,
    /// It spoke another protocol first.
    pub(super) foreign: bool,
    /// It sends a line without an end.
    pub(super) flooding: bool,
    flooded: u64,
    pub(super) said: u32,
    pub(super) heard: Vec<Words>,
    /// How much of what it received was looked through for that.
    parsed: usize,
    /// Its number in the ledger.
    pub(super) number: Option<u64>,
    /// What everybody had said, and what was heard of it, when it was accepted.
    pub(super) said_before: Vec<u32>,
    pub(super) heard_before: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// So many steps are left.
    Faults(usize),
    Healing,
    Leaving,
    Stopping,
}

pub(super) struct Crowd {
    pub(super) profile: Profile,
    pub(super) clients: Vec<Client>,
    pub(super) stage: Stage,
    pub(super) stopped_at: Option<Duration>,
    pub(super) stops: u32,
    next_at: Duration,
    heartbeat_at: Duration,
}

impl World for Crowd {
    fn next_at(&self, network: &SimulatedWorld) -> Option<Duration> {
        let moves = |(client, connection): (&Client, &Connection)| {
            connection.is_deliverable()
                || connection.is_takeable()
                || is_to_answer_end(connection)
                || Self::is_flooding(client, connection)
        };
        let goes_on = matches!(self.stage, Stage::Faults(_))
            || self.clients.iter().zip(&network.connections).any(moves);
        goes_on.then_some(self.next_at)
    }

    fn act(&mut self, network: &mut SimulatedWorld) {
        match self.stage {
            Stage::Faults(0) => self.heal(network),
            Stage::Faults(left) => {
                self.stage = Stage::Faults(left - 1);
                self.step(network, left - 1);
            }
            _ => {
                for client in 0..self.clients.len() {
                    self.flood(network, client);
                    network.deliver(client, 10_000);
                    network.take(client, usize::MAX);
                    answer_end(&mut network.connections[client]);
                }
                self.next_at = network.elapsed + Duration::from_millis(1);
            }
        }
    }

    fn accepted(&mut self, network: &SimulatedWorld, client: usize) {
        self.listen(&network.connections, WITNESS);
        let said_before = self.clients.iter().map(|client| client.said).collect();
        let heard_before = self.clients[WITNESS].heard.len();
        let client = &mut self.clients[client];
        client.number = Some(network.accepts);
        client.said_before = said_before;
        client.heard_before = heard_before;
    }
}

/// The server said that no more comes, and its client has not said so yet.
fn is_to_answer_end(connection: &Connection) -> bool {
    connection.end == Some(End::Orderly) && !connection.has_ended() && !connection.is_over()
}

fn answer_end(connection: &mut Connection) {
    if is_to_answer_end(connection) {
        connection.end_sending();
    }
}

impl Crowd {
    pub(super) fn new(profile: Profile, steps: usize) -> Self {
        Self {
            profile,
            clients: Vec::new(),
            stage: Stage::Faults(steps),
            stopped_at: None,
            stops: 0,
            next_at: Duration::ZERO,
            heartbeat_at: Duration::ZERO,
        }
    }

    pub(super) fn stop(&mut self, network: &mut SimulatedWorld) {
        network.trace.note(format_args!("-- stop"));
        network.signals.push_back(Wakeup::Stop);
        self.stopped_at.get_or_insert(network.elapsed);
        self.stops += 1;
    }

    /// Those who may do something.
    fn talkers(&self, network: &SimulatedWorld) -> Vec<usize> {
        let talks = |client: &usize| {
            let connection = &network.connections[*client];
            !connection.has_ended()
                && !connection.is_over()
                && connection.end.is_none()
                && self.clients[*client].leave == Leave::Stays
                && !self.clients[*client].flooding
        };
        (WITNESS + 1..self.clients.len()).filter(talks).collect()
    }

    pub(super) fn connect(&mut self, network: &mut SimulatedWorld) -> usize {
        let random = &mut network.random;
        let is_witness = self.clients.is_empty();
        let listener = usize::from(!is_witness && random.percent(30));
        let host = random.within(1..=6) as u8;
        let address = if is_witness || random.percent(40) {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::new(192, 0, 2, host)
        };
        let from = SocketAddr::from((address, 1000 + self.clients.len() as u16));
        let slow = !is_witness && random.percent(40);
        let window = slow.then(|| random.pick(&[300, 1000, 4000]));
        let client = network.connect(listener, from, window);
        self.clients.push(Client {
            dialect: LISTENERS[listener],
            leave: Leave::Stays,
            foreign: false,
            flooding: false,
            flooded: 0,
            said: 0,
            heard: Vec::new(),
            parsed: 0,
            number: None,
            said_before: Vec::new(),
            heard_before: 0,
        });
        client
    }

    pub(super) fn say(&mut self, network: &mut SimulatedWorld, client: usize) {
        let padding = "x".repeat(network.random.within(0..=LINE_BYTES_MAX - 40));
        let line_end = network.random.pick(&["\r\n", "\n"]);
        let speaker = &mut self.clients[client];
        speaker.said += 1;
        let words = format!("said {client}.{} {padding}", speaker.said);
        let line = match speaker.dialect {
            Dialect::Telnet => words,
            Dialect::Wire => format!("CHAT {} {}", BASE64.encode("x"), BASE64.encode(words)),
        };
        network.connections[client].send(format!("{line}{line_end}").as_bytes());
    }

    /// Looks through what a client received for what was said.
    pub(super) fn listen(&mut self, connections: &[Connection], client: usize) {
        let received = &connections[client].received;
        let client = &mut self.clients[client];
        while let Some(length) = memchr::memchr(b'\n', &received[client.parsed..]) {
            let line = String::from_utf8_lossy(&received[client.parsed..client.parsed + length]);
            client.parsed += length + 1;
            client.heard.extend(words_of(&line));
        }
    }

    /// Whether a client that never ends its line has more of it, and room to send it.
    fn is_flooding(client: &Client, connection: &Connection) -> bool {
        client.flooding
            && client.flooded < FLOOD_BYTES
            && connection.to_send.len() < FLOOD_STEP
            && !connection.is_over()
    }

    fn flood(&mut self, network: &mut SimulatedWorld, client: usize) {
        let connection = &mut network.connections[client];
        if Self::is_flooding(&self.clients[client], connection) {
            connection.send("x".repeat(FLOOD_STEP).as_bytes());
            self.clients[client].flooded += FLOOD_STEP as u64;
        }
    }
}

/// The words in a line that tells of something said.
fn words_of(line: &str) -> Option<Words> {
    let decoded;
    let words = if let Some(values) = line.strip_prefix("CHAT ") {
        let words = BASE64.decode(values.trim_end().split(' ').nth(1)?).ok()?;
        decoded = String::from_utf8(words).ok()?;
        decoded.as_str()
    } else {
        line.split_once("> ")?.1
    };
    let (client, count) = words
        .strip_prefix("said ")?
        .split(' ')
        .next()?
        .split_once('.')?;
    Some((client.parse().ok()?, count.trim_end().parse().ok()?))
}

/// While all goes wrong.
impl Crowd {
    fn step(&mut self, network: &mut SimulatedWorld, left: usize) {
        self.keep_the_witness(network);
        if self.clients[WITNESS].number.is_none() {
            // Nothing begins without it.
            self.next_at = network.elapsed + Duration::from_millis(1);
            return;
        }
        for client in 0..self.clients.len() {
            self.flood(network, client);
            if network.random.percent(60) {
                let bytes_max = network.random.pick(&[1, 7, 100, 3000, usize::MAX]);
                network.deliver(client, bytes_max);
            }
            // One in three never reads before all heals.
            if client % 3 != 0 && network.random.percent(40) {
                let bytes_max = network.random.within(0..=1500);
                network.take(client, bytes_max);
            }
            if network.random.percent(30) {
                answer_end(&mut network.connections[client]);
            }
        }
        let again = self.stops == 1 && self.profile.stops_twice && network.random.percent(20);
        if again || self.profile.stops_at == Some(left) {
            self.stop(network);
        }
        match network.random.within(0..=99) {
            0..=19 => self.come(network),
            20..=59 => self.talk(network),
            60..=69 => self.go(network),
            70..=89 => self.trouble(network),
            _ => {}
        }
        if network.random.percent(2) {
            self.leap(network);
        }
        self.next_at = network.elapsed + Self::gap(network);
    }

    /// The machine sleeps: all timers are late.
    fn leap(&mut self, network: &mut SimulatedWorld) {
        let leap = network.random.pick(&[10, 60, 24 * 60 * 60]);
        let leap = self.patient(Duration::from_secs(leap));
        network.trace.note(format_args!("a leap of {leap:?}"));
        network.hit("leap of the clock");
        network.elapsed += leap;
        self.stopped_at = self.stopped_at.map(|at| at + leap);
    }

    /// No longer than what leaves the witness time to be heard.
    fn patient(&self, gap: Duration) -> Duration {
        let idle = self.profile.limits.idle;
        idle.map_or(gap, |idle| gap.min(idle / 3))
    }

    fn gap(network: &mut SimulatedWorld) -> Duration {
        let random = &mut network.random;
        let gap_ms = match random.within(0..=99) {
            0..=39 => 0,
            40..=69 => random.within(1..=20),
            70..=89 => random.within(20..=300),
            _ => random.within(1_000..=3_000),
        };
        Duration::from_millis(gap_ms as u64)
    }

    fn keep_the_witness(&mut self, network: &mut SimulatedWorld) {
        if self.clients.is_empty() {
            self.connect(network);
            network.connections[WITNESS].send(b"/name witness\r\n");
        }
        network.deliver(WITNESS, usize::MAX);
        if network.elapsed >= self.heartbeat_at {
            network.connections[WITNESS].send(b"\r\n");
            network.deliver(WITNESS, usize::MAX);
            self.heartbeat_at = network.elapsed + Duration::from_secs(5);
        }
    }

    fn come(&mut self, network: &mut SimulatedWorld) {
        let count = match network.random.within(0..=29) {
            0 => 90,
            1..=4 => 5,
            _ => 1,
        };
        let here = self.talkers(network).len();
        if here >= CROWD_MAX && count < 90 {
            return;
        }
        for _ in 0..count {
            self.connect(network);
        }
    }

    fn talk(&mut self, network: &mut SimulatedWorld) {
        let talkers = self.talkers(network);
        if talkers.is_empty() {
            return;
        }
        let client = network.random.pick(&talkers);
        let dialect = self.clients[client].dialect;
        let is_new = self.clients[client].said == 0;
        match network.random.within(0..=19) {
            0 => {
                for _ in 0..network.random.within(60..=150) {
                    self.say(network, client);
                }
            }
            1 if dialect == Dialect::Telnet => {
                let name = format!("/name n{}\r\n", network.random.within(1..=9));
                network.connections[client].send(name.as_bytes());
            }
            2 => network.connections[client].send(&[&[b'y'; 4000][..], b"\r\n"].concat()),
            3 if is_new && network.connections[client].to_send.is_empty() => {
                // Only what comes first is foreign.
                self.clients[client].foreign = true;
                network.connections[client].send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            }
            4 if dialect == Dialect::Telnet => {
                // Telnet's Synch: its mark is urgent (RFC 854).
                network.connections[client].send(b"\xff\xf2");
                network.connections[client].mark_urgent();
                network.hit("urgent data");
                self.say(network, client);
            }
            5 if self.profile.floods => {
                self.clients[client].flooding = true;
            }
            _ => {
                for _ in 0..network.random.within(1..=4) {
                    self.say(network, client);
                }
            }
        }
    }

    fn go(&mut self, network: &mut SimulatedWorld) {
        let talkers = self.talkers(network);
        if talkers.is_empty() {
            return;
        }
        let mass = network.random.percent(5);
        let some = if mass {
            talkers
        } else {
            vec![network.random.pick(&talkers)]
        };
        for client in some {
            if network.random.percent(50) {
                self.say(network, client);
            }
            let leave = network.random.pick(&[
                Leave::Quit,
                Leave::Quit,
                Leave::End,
                Leave::End,
                Leave::Reset,
            ]);
            self.leave(network, client, leave);
        }
    }

    pub(super) fn leave(&mut self, network: &mut SimulatedWorld, client: usize, leave: Leave) {
        network
            .trace
            .note(format_args!("{client} leaves: {leave:?}"));
        self.clients[client].leave = leave;
        let dialect = self.clients[client].dialect;
        let connection = &mut network.connections[client];
        match leave {
            Leave::Stays => {}
            Leave::Quit => connection.send(match dialect {
                Dialect::Telnet => b"/quit\r\n",
                Dialect::Wire => b"QUIT\n",
            }),
            Leave::End => connection.end_sending(),
            Leave::Reset => {
                let loses_unread = network.random.percent(50);
                network.reset(client, loses_unread);
            }
        }
    }

    fn trouble(&mut self, network: &mut SimulatedWorld) {
        let random = &mut network.random;
        match random.within(0..=6) {
            0 | 1 => {
                let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::PERM];
                let ends = network.faults.shortage.is_some();
                network.faults.shortage = (!ends).then(|| random.pick(&shortages));
                let shortage = network.faults.shortage;
                network.trace.note(format_args!("shortage: {shortage:?}"));
            }
            2 => {
                let errors = [
                    Errno::CONNABORTED,
                    Errno::PROTO,
                    Errno::INTR,
                    Errno::NETDOWN,
                ];
                let error = random.pick(&errors);
                network.faults.passing.push_back(error);
            }
            3 if self.clients.len() > 1 => network.faults.registrations += 1,
            4 => {
                network.wall_seconds = random.next() % (1 << 34);
                network.hit("leap of the time of day");
            }
            5 => network.signals.push_back(Wakeup::Report),
            _ => network.signals.push_back(Wakeup::Reload),
        }
    }
}

/// When all is well again.
impl Crowd {
    fn heal(&mut self, network: &mut SimulatedWorld) {
        network.trace.note(format_args!("-- all heals"));
        self.stage = Stage::Healing;
        self.next_at = network.elapsed;
        network.faults = Faults::default();
        network.descriptors_max = usize::MAX;
    }

    pub(super) fn leave_all(&mut self, network: &mut SimulatedWorld) {
        network.trace.note(format_args!("-- all leave"));
        self.stage = Stage::Leaving;
        self.next_at = network.elapsed;
        for client in 0..self.clients.len() {
            let connection = &mut network.connections[client];
            if !connection.has_ended() && !connection.is_over() {
                connection.end_sending();
            }
        }
    }
}
