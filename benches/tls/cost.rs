//! What it costs those who mean well.

use std::io;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, Kind, Server};

const UNLIMITED: [&str; 2] = ["lines-per-second=0", "queue-bytes-max=64m"];

/// Resident memory for each idle session, and once each has said and heard 100 lines.
pub(crate) fn idle(core: Option<usize>, sessions: usize) -> io::Result<()> {
    println!("idle, {sessions} sessions     bytes each    after 100 lines each way");
    let mut each = Vec::new();
    for kind in Kind::BOTH {
        let server = Server::start(core, &UNLIMITED)?;
        let mut crowd = Crowd::new()?;
        // What the first ones make is made once.
        crowd.join(&server, kind, 16)?;
        crowd.listen(Duration::from_secs(2))?;
        let before = server.resident()?;
        crowd.join(&server, kind, sessions)?;
        crowd.listen(Duration::from_secs(3))?;
        let idle = server.resident()?;
        for _ in 0..100 {
            for client in &mut crowd.clients {
                client.say(b"/time\r\n")?;
            }
            crowd.listen(Duration::from_millis(20))?;
        }
        crowd.listen(Duration::from_secs(3))?;
        let after = server.resident()?;
        let of = |resident: usize| resident.saturating_sub(before) / sessions;
        println!(
            "  {:5}                 {:8}    {:8}",
            kind.word(),
            of(idle),
            of(after)
        );
        each.push((of(idle), of(after)));
    }
    if let [clear, tls] = each[..] {
        // What a session keeps of 100 lines in clear, too, is not the cost of TLS.
        let grown = |(idle, after): (usize, usize)| after.saturating_sub(idle);
        println!(
            "  more in TLS: {} (bar 3600), and {} more of what 100 lines leave (bar 100)",
            tls.0.saturating_sub(clear.0),
            grown(tls).saturating_sub(grown(clear))
        );
    }
    Ok(())
}

/// The server's CPU time for each delivered line of 64 bytes.
pub(crate) fn fan_out(core: Option<usize>, listeners: usize, seconds: u64) -> io::Result<()> {
    for (how, settings, per_second, bar) in [
        (
            "each line by itself",
            [UNLIMITED[0], UNLIMITED[1], "pace-ms-max=0"],
            40,
            1.35,
        ),
        (
            "with pacing",
            [UNLIMITED[0], UNLIMITED[1], "pace-ms-max=100"],
            400,
            1.15,
        ),
    ] {
        println!("fan-out to {listeners}, {how}     ns for a line");
        let mut costs = Vec::new();
        for kind in Kind::BOTH {
            let server = Server::start(core, &settings)?;
            let mut crowd = Crowd::new()?;
            crowd.join(&server, kind, listeners)?;
            for talker in 0..8 {
                crowd.clients[talker].say(b"hello\r\n")?;
            }
            crowd.listen(Duration::from_secs(2))?;
            let line = [&[b'x'; 62][..], b"\r\n"].concat();
            let (ran, began) = (server.ran()?, Instant::now());
            let (mut said, mut lines) = (0, 0);
            while began.elapsed() < Duration::from_secs(seconds) {
                let due = began.elapsed().as_millis() as usize * per_second / 1000;
                while said < due {
                    crowd.clients[said % 8].say(&line)?;
                    said += 1;
                }
                for client in crowd.turn(Duration::from_millis(1))? {
                    lines += crowd.clients[client].take_lines();
                }
            }
            lines += crowd.listen(Duration::from_secs(1))?;
            if lines + 8 < said * (crowd.clients.len() - 1) {
                return Err(io::Error::other(format!(
                    "{said} were said and {lines} heard"
                )));
            }
            let cost = (server.ran()?.saturating_sub(ran)).as_nanos() as f64 / lines as f64;
            println!("  {:5}  {cost:7.0}   ({lines} lines)", kind.word());
            costs.push(cost);
        }
        if let [clear, tls] = costs[..] {
            println!("  {:.2} times as much (bar {bar})", tls / clear);
        }
    }
    Ok(())
}

/// How long lines take among 100 who talk while many shake hands at once.
pub(crate) fn storm(core: Option<usize>, handshakes: usize) -> io::Result<()> {
    println!("{handshakes} handshakes at once     handshakes took    a line's p50, p99, longest");
    for count in [0, handshakes] {
        let server = Server::start(core, &UNLIMITED)?;
        let mut talking = Crowd::new()?;
        talking.join(&server, Kind::Tls, 100)?;
        talking.clients[0].say(b"hello\r\n")?;
        talking.listen(Duration::from_secs(1))?;
        let mut coming = Crowd::with_events(8)?;
        let began = Instant::now();
        for index in 0..count {
            let mut client = server.dial(Kind::Tls, 300 + index)?;
            client.turn();
            coming.add(client)?;
        }
        let (mut took, mut all_in) = (Vec::new(), None);
        while took.len() < 200 || (all_in.is_none() && count > 0) {
            let said_at = Instant::now();
            talking.clients[0].say(b"x\r\n")?;
            let mut heard = vec![false; talking.clients.len()];
            while heard.iter().skip(1).any(|heard| !heard) {
                for client in talking.turn(Duration::from_micros(200))? {
                    if talking.clients[client].heard.ends_with(b"> x\r\n") {
                        talking.clients[client].heard.clear();
                        heard[client] = true;
                        took.push(said_at.elapsed());
                    }
                }
                coming.turn(Duration::ZERO)?;
                if said_at.elapsed() > Duration::from_secs(20) {
                    return Err(io::Error::other("a line is lost"));
                }
            }
            let is_in = coming.clients.iter().all(|it| !it.heard.is_empty());
            if is_in && all_in.is_none() {
                all_in = Some(began.elapsed());
            }
            if coming.clients.iter().any(|it| it.is_gone) {
                return Err(io::Error::other("somebody was not let in"));
            }
        }
        took.sort_unstable();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
        let all_in = all_in.unwrap_or_default();
        println!(
            "  {count:5}                 {all_in:10.1?}    {:.1?} {:.1?} {:.1?} (bar 50 ms)",
            at(50),
            at(99),
            took[took.len() - 1]
        );
    }
    Ok(())
}
