//! What rooms cost: many people in few rooms and in many, a crowd that moves, two who talk beside rooms in which nothing
//! happens, and the memory of a room.
//!
//! ```text
//! cargo bench --bench rooms               5,000 people in rooms, 15,000 who move
//! cargo bench --bench rooms -- --test     for a moment, with few
//! ```
//!
//! `CHATD_BENCH_SERVER` names another server binary than the one just built. The exit status is 1 when something could not
//! be measured or a bound does not hold: beside quiet rooms a line costs at most 1.25 times what it costs alone; while a
//! crowd moves, of the lines of two in another room 99 in 100 come within 50 ms; a room with one person in it and no
//! history takes at most 1 kB.

#![forbid(unsafe_code)]
// The clock is what a bench is about.
#![allow(clippy::disallowed_methods)]

#[cfg(target_os = "linux")]
#[path = "../src/bin/chatload/load/mod.rs"]
#[allow(dead_code, reason = "benches with a load use more of it")]
mod load;
#[cfg(target_os = "linux")]
#[path = "support/process.rs"]
#[allow(dead_code, reason = "the same")]
mod process;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    process::main("rooms", rooms::bench)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("rooms: reads CPU time and memory from /proc, so it measures on Linux only");
}

#[cfg(target_os = "linux")]
mod rooms {
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use crate::process::{chatd_path, launcher, Process};

    const PATIENCE: Duration = Duration::from_secs(60);
    /// Words of every line that is measured, so that each has the same length.
    const WORDS: &str = "0123456789abcdef0123456789abcdef";
    /// A line beside quiet rooms may cost this much of what it costs alone.
    const BESIDE_MOST: f64 = 1.25;
    /// Of the lines of two beside a crowd that moves, 99 in 100 come within this.
    const MOVING_MOST: Duration = Duration::from_millis(50);
    /// They all go within this.
    const MOVING: Duration = Duration::from_secs(1);
    /// A room with one person in it and no history takes at most this many bytes.
    const ROOM_BYTES_MOST: usize = 1024;

    /// How many of everything.
    struct Size {
        people: usize,
        rooms: &'static [usize],
        /// Lines that are delivered in each case, about.
        deliveries: usize,
        /// Lines that two say to each other.
        lines: usize,
        movers: usize,
        /// Runs of those two, of which the cheapest counts.
        runs: usize,
    }

    const SIZE: Size = Size {
        people: 5_000,
        rooms: &[1, 10, 500, 2_500],
        deliveries: 200_000,
        lines: 5_000,
        movers: 15_000,
        runs: 5,
    };
    const TEST_SIZE: Size = Size {
        people: 20,
        rooms: &[1, 10],
        deliveries: 100,
        lines: 20,
        movers: 20,
        runs: 1,
    };

    fn start() -> io::Result<Process> {
        let mut command = launcher(None, &chatd_path())?;
        command.args(["-l", "telnet://127.0.0.1:0", "-o", "lines-per-second=0"]);
        command.args(["-o", "rooms-max=20000", "-o", "history-lines=0"]);
        Process::start(&mut command, "rooms-server.log")
    }

    fn name(number: usize) -> String {
        format!("n{number:05}")
    }

    /// What comes when somebody else says [`WORDS`].
    fn heard_bytes() -> usize {
        format!("<{}> {WORDS}\r\n", name(0)).len()
    }

    /// People with names who are told of nothing but what is said.
    fn people(address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
        let mut people = Vec::with_capacity(count);
        for number in 0..count {
            let mut person = TcpStream::connect(address)?;
            person.set_read_timeout(Some(PATIENCE))?;
            person.set_nodelay(true)?;
            write!(person, "/name {}\n/quiet on\n", name(number))?;
            people.push(person);
        }
        settle(&mut people)?;
        Ok(people)
    }

    /// Reads all that was said to them up to now.
    fn settle(people: &mut [TcpStream]) -> io::Result<()> {
        for person in people.iter_mut() {
            person.write_all(b"/msg nobody psst\n")?;
        }
        for person in people.iter_mut() {
            read_to(person, "!! nobody here is called nobody\r\n")?;
        }
        Ok(())
    }

    /// Reads until this is the last that was said.
    fn read_to(person: &mut TcpStream, end: &str) -> io::Result<()> {
        let (mut read, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        while !read.ends_with(end.as_bytes()) {
            match person.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => read.extend_from_slice(&buffer[..bytes]),
            }
        }
        Ok(())
    }

    /// They go to this many rooms in turn.
    fn spread(people: &mut [TcpStream], rooms: usize) -> io::Result<()> {
        for (number, person) in people.iter_mut().enumerate() {
            writeln!(person, "/join r{}x{rooms}", number % rooms)?;
        }
        settle(people)
    }

    /// In each room one says a line, each time another, and all others hear it.
    fn talk(server: &Process, size: &Size, rooms: usize) -> io::Result<()> {
        let mut people = people(server.address, size.people)?;
        spread(&mut people, rooms)?;
        let in_room = size.people / rooms;
        let rounds = (size.deliveries / (rooms * (in_room - 1))).clamp(2, 200);
        let mut heard = vec![0; heard_bytes()];
        let before = server.core_time()?.ran;
        for round in 0..rounds {
            let talkers = (round % in_room) * rooms..(round % in_room + 1) * rooms;
            for talker in talkers.clone() {
                writeln!(people[talker], "{WORDS}")?;
            }
            for (number, person) in people.iter_mut().enumerate() {
                if !talkers.contains(&number) {
                    person.read_exact(&mut heard)?;
                }
            }
        }
        let ran = server.core_time()?.ran.saturating_sub(before);
        let said = rounds * rooms;
        println!(
            "  {rooms:5} rooms of {in_room:5}: {:8.2} us a line said, {:6.2} us a line delivered",
            micros(ran) / said as f64,
            micros(ran) / (said * (in_room - 1)) as f64
        );
        Ok(())
    }

    fn micros(duration: Duration) -> f64 {
        duration.as_secs_f64() * 1e6
    }

    /// The two of a pair, in a room of their own.
    fn pair(address: SocketAddr) -> io::Result<[TcpStream; 2]> {
        let mut pair = Vec::new();
        for name in ["first", "other"] {
            let mut person = TcpStream::connect(address)?;
            person.set_read_timeout(Some(PATIENCE))?;
            person.set_nodelay(true)?;
            write!(person, "/name {name}\n/quiet on\n/join pair\n")?;
            pair.push(person);
        }
        settle(&mut pair)?;
        let pair = pair.try_into();
        pair.map_err(|_| io::Error::other("no pair"))
    }

    /// How long a line of the one takes to the other.
    fn pass(pair: &mut [TcpStream; 2]) -> io::Result<Duration> {
        let mut heard = [0; "<first> \r\n".len() + WORDS.len()];
        let begun = Instant::now();
        writeln!(pair[0], "{WORDS}")?;
        pair[1].read_exact(&mut heard)?;
        Ok(begun.elapsed())
    }

    /// CPU time of a line of two: the cheapest of some runs.
    fn alone(server: &Process, size: &Size) -> io::Result<f64> {
        let mut pair = pair(server.address)?;
        let mut cheapest = f64::MAX;
        for _ in 0..size.runs {
            let before = server.core_time()?.ran;
            for _ in 0..size.lines {
                pass(&mut pair)?;
            }
            let ran = server.core_time()?.ran.saturating_sub(before);
            cheapest = cheapest.min(micros(ran) / size.lines as f64);
        }
        Ok(cheapest)
    }

    /// Two who talk, alone and beside rooms of two in which nothing is said.
    fn beside_quiet_rooms(size: &Size) -> io::Result<bool> {
        let server = start()?;
        let by_themselves = alone(&server, size)?;
        let mut people = people(server.address, size.people)?;
        spread(&mut people, size.people / 2)?;
        let beside = alone(&server, size)?;
        let ratio = beside / by_themselves;
        println!(
            "two who talk: {by_themselves:.2} us a line, beside {} quiet rooms {beside:.2} us: {ratio:.2} times, at most {BESIDE_MOST}",
            size.people / 2
        );
        Ok(ratio <= BESIDE_MOST)
    }

    /// Everybody goes from the lobby to one room while two talk in another.
    fn moving(size: &Size) -> io::Result<bool> {
        let server = start()?;
        let mut pair = pair(server.address)?;
        let mut crowd = people(server.address, size.movers)?;
        let moved = Arc::new(AtomicBool::new(false));
        let before = server.core_time()?.ran;
        let talker = thread::spawn({
            let moved = Arc::clone(&moved);
            move || -> io::Result<Vec<Duration>> {
                let mut times = Vec::new();
                while !moved.load(Ordering::Relaxed) {
                    times.push(pass(&mut pair)?);
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(times)
            }
        });
        let begun = Instant::now();
        for (number, person) in crowd.iter_mut().enumerate() {
            let due = MOVING.mul_f64(number as f64 / size.movers as f64);
            thread::sleep(due.saturating_sub(begun.elapsed()));
            person.write_all(b"/join games\n")?;
        }
        let asked = begun.elapsed();
        settle(&mut crowd)?;
        let took = begun.elapsed();
        moved.store(true, Ordering::Relaxed);
        let times = talker.join();
        let mut times = times.map_err(|_| io::Error::other("the pair panicked"))??;
        let ran = server.core_time()?.ran.saturating_sub(before);
        times.sort_unstable();
        let p99 = times[(times.len() - 1) * 99 / 100];
        let latest = times[times.len() - 1];
        println!(
            "{} go to one room, asked for in {asked:.2?}, done in {took:.2?}: {:.1} us each; of {} lines of two elsewhere p99 {p99:.2?}, at most {latest:.2?}",
            size.movers,
            micros(ran) / size.movers as f64,
            times.len()
        );
        Ok(p99 < MOVING_MOST)
    }

    /// What everybody's going to a room of their own adds.
    fn memory(size: &Size) -> io::Result<bool> {
        let server = start()?;
        let mut people = people(server.address, size.people)?;
        let before = server.resident_bytes()?;
        spread(&mut people, size.people)?;
        let grown = server.resident_bytes()?.saturating_sub(before) as usize / size.people;
        println!("a room with one person in it: {grown} B, at most {ROOM_BYTES_MOST}");
        Ok(grown <= ROOM_BYTES_MOST)
    }

    pub(crate) fn bench(arguments: &[String]) -> io::Result<bool> {
        let is_test = arguments.iter().any(|argument| argument == "--test");
        let size = if is_test { &TEST_SIZE } else { &SIZE };
        println!("{} people, CPU of the server:", size.people);
        for rooms in size.rooms {
            talk(&start()?, size, *rooms)?;
        }
        let results = [beside_quiet_rooms(size)?, moving(size)?, memory(size)?];
        // So few say nothing of what each costs.
        Ok(is_test || results.iter().all(|holds| *holds))
    }
}
