//! Everything at once: each attacker does another thing, in a crowded room with readers on ordinary lines.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::cases::CASES;
use super::crowd::{connect, Member};
use super::options::Options;
use super::pair::send;
use super::report::{since, Heard};
use super::{attack, Attacker, Room};

/// Readers on ordinary lines, each of which takes a megabit a second: 125,000 bytes.
const READERS: usize = 16;
const READER_STEP: Duration = Duration::from_millis(20);
const READER_STEP_BYTES: usize = 125_000 / 50;
/// What the kernel keeps for such a reader.
const READER_BUFFER_BYTES: usize = 64 * 1024;

/// What is left of attackers is looked at so long after they have gone.
const GONE: Duration = Duration::from_secs(1);

/// What must hold with default settings.
const P99_MAX: Duration = Duration::from_millis(60);
const MEMORY_MAX_BYTES: u64 = (256 + 64) * 1024 * 1024;

/// Has all attack at once and prints what came of it; gives whether all that must hold did.
pub(super) fn run(room: &mut Room, options: &Options) -> io::Result<bool> {
    let attackers = options.attackers.iter().copied().max().unwrap_or(1);
    let readers = Readers::start(room)?;
    let (joined, first) = room.crowd.join(attackers)?;
    for (member, case) in joined.iter().zip(CASES.iter().cycle()) {
        send(&member.stream, &case.setup())?;
    }
    room.rest(options)?;
    let sessions_before = room.server.reported("sessions")? - attackers as u64;
    let slow_before = room.server.slow_turns()?.len();
    let armed = armed(&joined);
    let (began_at, before) = (Instant::now(), room.server.core_time()?);
    attack(armed, began_at + options.time);
    let (time, spent) = (since(began_at), room.server.spent_since(before)?);
    let ended_at = Instant::now();
    let closed = joined.iter().filter(|member| member.is_gone()).count();
    room.crowd.leave(joined, first)?;
    thread::sleep(GONE);
    let sessions = room.server.reported("sessions")?;
    let input = room.server.reported("input_bytes")?;
    let slow_turns = room.server.slow_turns()?.split_off(slow_before);
    let aloud = Heard::of(&room.aloud.samples(began_at, ended_at))?;
    let private = Heard::of(&room.private.samples(began_at, ended_at))?;
    let peak = room.server.peak_bytes()?;
    let readers_closed = readers.closed();

    println!(
        "everything at once: {attackers} attackers in a room of {}, {:.0} s",
        room.members,
        time.as_secs_f64()
    );
    let share = |part: Duration| part.as_secs_f64() / time.as_secs_f64() * 100.0;
    println!(
        "the server had {:.0} % of its core and waited for it {:.0} %; slow turns, ms: {slow_turns:?}",
        share(spent.ran),
        share(spent.waited)
    );
    println!("attackers closed: {closed}; bytes of input left: {input}");
    let lost = aloud.lost + private.lost;
    let mebibytes = |bytes: u64| format!("{} MiB", bytes / 1024 / 1024);
    let checks = [
        check(
            "p99 in the room",
            &ms(aloud.p99),
            &ms(P99_MAX),
            aloud.p99 < P99_MAX,
        ),
        check(
            "p99 by /msg",
            &ms(private.p99),
            &ms(P99_MAX),
            private.p99 < P99_MAX,
        ),
        check("longest in the room", &ms(aloud.longest), &"-", true),
        check("longest by /msg", &ms(private.longest), &"-", true),
        check("lines of the pairs lost", &lost, &0, lost == 0),
        check(
            "resident memory at most",
            &mebibytes(peak),
            &mebibytes(MEMORY_MAX_BYTES),
            peak < MEMORY_MAX_BYTES,
        ),
        check(
            "readers of 1 Mbit/s closed",
            &readers_closed,
            &0,
            readers_closed == 0,
        ),
        check(
            "sessions a second after they have gone",
            &sessions,
            &sessions_before,
            sessions == sessions_before,
        ),
    ];
    Ok(checks.into_iter().all(|holds| holds))
}

/// Prints a row; gives whether it holds.
fn check(what: &str, is: &impl Display, bound: &impl Display, holds: bool) -> bool {
    let verdict = if holds { "" } else { " EXCEEDED" };
    println!("| {what} | {is} | {bound}{verdict} |");
    holds
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Each attacker with what it repeats: the cases go round.
fn armed(joined: &[Arc<Member>]) -> Vec<Attacker> {
    let cases = CASES.iter().cycle();
    let numbered = joined.iter().zip(cases).enumerate();
    let armed = numbered
        .map(|(number, (member, case))| Attacker::new(Arc::clone(member), case.payload(number)));
    armed.collect()
}

/// Sessions on ordinary lines, which read until this is dropped.
struct Readers {
    is_over: Arc<AtomicBool>,
    closed: Arc<AtomicUsize>,
}

impl Readers {
    fn start(room: &Room) -> io::Result<Self> {
        let mut streams = Vec::new();
        for _ in 0..READERS {
            let stream = connect(room.server.address, 251)?;
            SockRef::from(&stream).set_recv_buffer_size(READER_BUFFER_BYTES)?;
            stream.set_nonblocking(true)?;
            streams.push(stream);
        }
        let readers = Self {
            is_over: Arc::default(),
            closed: Arc::default(),
        };
        let (is_over, closed) = (Arc::clone(&readers.is_over), Arc::clone(&readers.closed));
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                streams.retain_mut(|stream| {
                    let is_open = take(stream);
                    closed.fetch_add(usize::from(!is_open), Ordering::Relaxed);
                    is_open
                });
                thread::sleep(READER_STEP);
            }
        });
        Ok(readers)
    }

    fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Reads as much as comes in one step; gives whether the connection stands.
fn take(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; READER_STEP_BYTES]) {
        Ok(bytes) => bytes > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}
