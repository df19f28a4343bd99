//! CPU time of the server for a line that is delivered: in IRC, to browsers, and in telnet.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::{people, read_frame, settle, start, Size, Speech};
use crate::process::Process;

/// A line in IRC, and a byte to a browser, may cost so many times what it costs in telnet.
const RATIO_MOST: f64 = 1.1;
/// So many say a line at once.
const AT_ONCE: usize = 64;
/// The same words in each line, so that each has the same length.
const WORDS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Who comes in a crowd is told of by the second; by then all of it is told.
const PRESENCE_TOLD: Duration = Duration::from_millis(1200);

/// A room of one dialect.
struct Room {
    speech: Speech,
    name: &'static str,
    people: Vec<TcpStream>,
    line: usize,
    /// Who says the next line.
    next: usize,
    /// Nanoseconds for each delivered line, and byte, by turn.
    costs: [Vec<[f64; 2]>; 2],
}

impl Room {
    fn open(
        speech: Speech,
        address: SocketAddr,
        name: &'static str,
        count: usize,
    ) -> io::Result<Self> {
        let people = people(speech, address, name, count)?;
        let line = speech.heard(&speech.name(0), name, WORDS).len();
        let mut room = Self {
            speech,
            name,
            people,
            line,
            next: 0,
            costs: [Vec::new(), Vec::new()],
        };
        thread::sleep(PRESENCE_TOLD);
        // In IRC everybody is made known before their first line at the latest.
        let words = speech.say(name, WORDS);
        for person in &mut room.people {
            person.write_all(&words)?;
        }
        thread::sleep(PRESENCE_TOLD);
        settle(speech, &mut room.people)?;
        Ok(room)
    }

    /// So many say a line at once, and all others hear it; gives how many lines were delivered, and bytes.
    fn round(&mut self, at_once: usize) -> io::Result<[usize; 2]> {
        let count = self.people.len();
        let at_once = at_once.min(count - 1);
        let next = self.next;
        let speaks = |number: usize| (number + count - next) % count < at_once;
        let words = self.speech.say(self.name, WORDS);
        for place in 0..at_once {
            let talker = (self.next + place) % count;
            self.people[talker].write_all(&words)?;
        }
        let mut delivered = [0, 0];
        for number in 0..count {
            if self.speech == Speech::Web {
                // Browsers hear their own lines, too.
                for _ in 0..at_once {
                    delivered[0] += 1;
                    delivered[1] += self.read_message(number)?;
                }
                continue;
            }
            let lines = at_once - usize::from(speaks(number));
            let mut heard = vec![0; lines * self.line];
            self.people[number].read_exact(&mut heard)?;
            for line in heard.chunks(self.line) {
                self.check(line)?;
            }
            delivered[0] += lines;
            delivered[1] += heard.len();
        }
        self.next = (self.next + at_once) % count;
        Ok(delivered)
    }

    /// Reads a line that a browser hears, and nothing else; gives its bytes.
    fn read_message(&mut self, number: usize) -> io::Result<usize> {
        let mut message = Vec::new();
        let bytes = read_frame(&mut self.people[number], &mut message)?;
        let end = self.speech.heard(&self.speech.name(0), self.name, WORDS);
        let begins_behind = message.len().checked_sub(end.len());
        let name = begins_behind.and_then(|at| message.get(at..)?.get(7..12));
        let number = name.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let end = number.map(|it| self.speech.heard(&self.speech.name(it), self.name, WORDS));
        let is_said = message.starts_with(b"{\"t\":\"said\",");
        if is_said && end.is_some_and(|end| message.ends_with(end.as_bytes())) {
            return Ok(bytes);
        }
        let text = String::from_utf8_lossy(&message);
        Err(io::Error::other(format!("it is no such line: {text:?}")))
    }

    /// Nothing but these words was heard, of one of them.
    fn check(&self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        // The name stands behind `<` or `:`.
        let number = text.get(2..7).and_then(|digits| digits.parse().ok());
        let name = number.map(|number| self.speech.name(number));
        let said = name.map(|name| self.speech.heard(&name, self.name, WORDS));
        if said.is_some_and(|said| said.as_bytes() == line) {
            return Ok(());
        }
        Err(io::Error::other(format!("it is no such line: {text:?}")))
    }

    /// A turn of some rounds, with so many lines in each.
    fn turn(&mut self, server: &Process, rounds: usize, at_once: usize) -> io::Result<()> {
        let before = server.core_time()?.ran;
        let mut delivered = [0, 0];
        for _ in 0..rounds {
            let [lines, bytes] = self.round(at_once)?;
            delivered = [delivered[0] + lines, delivered[1] + bytes];
        }
        let ran = server.core_time()?.ran.saturating_sub(before);
        let cost = delivered.map(|delivered| ran.as_nanos() as f64 / delivered as f64);
        self.costs[usize::from(at_once == 1)].push(cost);
        Ok(())
    }
}

pub(super) fn measure(size: &Size, core: Option<usize>) -> io::Result<bool> {
    let (server, [irc, web]) = start(core, &["lines-per-second=0", "history-lines=0"])?;
    let mut rooms = [
        Room::open(Speech::Telnet, server.address, "people", size.sessions)?,
        Room::open(Speech::Irc, irc, "client", size.sessions)?,
        Room::open(Speech::Web, web, "pagers", size.sessions)?,
    ];
    for _ in 0..size.turns {
        for room in &mut rooms {
            room.turn(&server, size.rounds, AT_ONCE)?;
        }
        for room in &mut rooms {
            room.turn(&server, size.rounds * 8, 1)?;
        }
    }
    let mut holds = true;
    println!(
        "{} sessions of each dialect, CPU of the server:",
        size.sessions
    );
    for (lines, way) in [(0, "64 lines at once"), (1, "one line at a time")] {
        let [telnet, irc, web] = rooms.each_ref().map(|room| &room.costs[lines]);
        // A line to a browser is longer, with its time and number.
        for (name, costs, unit, of) in [("IRC", irc, "line", 0), ("web", web, "byte", 1)] {
            let ratio = median(
                costs
                    .iter()
                    .zip(telnet)
                    .map(|(it, telnet)| it[of] / telnet[of]),
            );
            let [base, cost] = [telnet, costs].map(|costs| median(costs.iter().map(|it| it[of])));
            println!(
                "  {way}: telnet {base:.1} ns a delivered {unit}, {name} {cost:.1} ns: {ratio:.3} times, at most {RATIO_MOST}"
            );
            holds &= ratio <= RATIO_MOST;
        }
    }
    Ok(holds)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
