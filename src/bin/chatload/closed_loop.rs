//! Opens against closes, on both sides, client by client: each connection of the load must have one session at the
//! server, opened from its address, and closed once for the reason that the load gave it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use crate::crowd::{Ending, Visit};
use crate::server_log::ServerLog;

/// At most this many faults are told of one by one.
const EXAMPLES_MAX: usize = 3;

/// What the books of both sides say.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClosedLoop {
    /// Connections that stood, and those that ended.
    pub(crate) opens_here: u64,
    pub(crate) closes_here: u64,
    /// The server's book; `None` if its log cannot be seen.
    pub(crate) there: Option<ServersBook>,
    /// What does not fit together.
    pub(crate) faults: Vec<String>,
}

/// What the server wrote down.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServersBook {
    pub(crate) opens: u64,
    /// By reason.
    pub(crate) closes: BTreeMap<String, u64>,
}

impl ClosedLoop {
    /// Compares the books; without a log only our own.
    pub(crate) fn compare(visits: &[Visit], log: Option<&ServerLog>) -> Self {
        let mut book = Self::default();
        let mut faults = Vec::new();
        let mut seen: HashMap<SocketAddr, usize> = HashMap::new();
        for visit in visits {
            let Some(address) = visit.address else {
                continue;
            };
            book.opens_here += 1;
            book.closes_here += u64::from(visit.closed.is_some());
            if visit.closed.is_none() {
                faults.push(format!("{address} was opened and not closed here"));
            }
            let Some(log) = log else { continue };
            let nth = seen.entry(address).or_default();
            match log.sessions_from(address).nth(*nth) {
                None => faults.push(format!("{address} was opened here and not there")),
                Some((id, reasons)) => faults.extend(fault(visit, address, id, reasons)),
            }
            *nth += 1;
        }
        if let Some(log) = log {
            let there = ServersBook {
                opens: log.opened(),
                closes: log.closed(),
            };
            if there.opens != book.opens_here {
                faults.push(format!(
                    "{} were opened there, {} here",
                    there.opens, book.opens_here
                ));
            }
            book.there = Some(there);
        }
        let more = faults.len().saturating_sub(EXAMPLES_MAX);
        faults.truncate(EXAMPLES_MAX);
        if more > 0 {
            faults.push(format!("{more} more do not match"));
        }
        book.faults = faults;
        book
    }
}

/// What is wrong with the session of one connection, if anything is.
fn fault(visit: &Visit, address: SocketAddr, id: u64, reasons: &[String]) -> Option<String> {
    let [reason] = reasons else {
        return Some(format!(
            "{address} is session {id} there, which has {} closes",
            reasons.len()
        ));
    };
    let fits: &[&str] = match visit.ending {
        Ending::Quit => &["quit"],
        Ending::Reset => &["reset"],
        Ending::Stalled => &["slow-consumer", "write-stall", "reset"],
        // That it was closed at all is a trouble of its own.
        Ending::None => return None,
    };
    (!fits.contains(&reason.as_str())).then(|| {
        format!(
            "{address} is session {id} there, closed for {reason}, and not for {}",
            fits.join(" or ")
        )
    })
}

#[cfg(test)]
mod tests {
    use chatd::client::Why;

    use super::*;
    use crate::rooms::LOBBY;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn visit(address: SocketAddr, ending: Ending, closed: Option<Why>) -> Visit {
        Visit {
            seat: 0,
            address: Some(address),
            ending,
            named: true,
            room: LOBBY,
            seated: true,
            closed,
        }
    }

    fn log(lines: &[&str]) -> ServerLog {
        let mut log = ServerLog::default();
        for line in lines {
            log.note(line);
        }
        log
    }

    #[track_caller]
    fn faults(visits: &[Visit], lines: &[&str]) -> Vec<String> {
        ClosedLoop::compare(visits, Some(&log(lines))).faults
    }

    #[test]
    fn books_that_match_have_no_fault() {
        let visits = [
            visit(address(1), Ending::Quit, Some(Why::Left)),
            visit(address(2), Ending::Reset, Some(Why::Left)),
            // The kernel gave the same port again.
            visit(address(1), Ending::Quit, Some(Why::Left)),
        ];
        let lines = [
            "open id=1 from=127.0.0.1:1",
            "open id=2 from=127.0.0.1:2",
            "close id=1 reason=quit",
            "open id=3 from=127.0.0.1:1",
            "close id=3 reason=quit",
            "close id=2 reason=reset",
        ];
        let book = ClosedLoop::compare(&visits, Some(&log(&lines)));
        assert_eq!(book.faults, Vec::<String>::new());
        assert_eq!((book.opens_here, book.closes_here), (3, 3));
        let there = book.there.expect("there is a log");
        assert_eq!((there.opens, there.closes["quit"]), (3, 2));
    }

    #[test]
    fn an_open_without_its_close_is_found_on_either_side() {
        let open = "open id=1 from=127.0.0.1:1";
        let left = visit(address(1), Ending::Quit, Some(Why::Left));
        assert_eq!(
            faults(std::slice::from_ref(&left), &[open]),
            ["127.0.0.1:1 is session 1 there, which has 0 closes"]
        );
        assert_eq!(
            faults(
                &[visit(address(1), Ending::Quit, None)],
                &[open, "close id=1 reason=quit"]
            ),
            ["127.0.0.1:1 was opened and not closed here"]
        );
        assert_eq!(
            faults(&[left], &[]),
            [
                "127.0.0.1:1 was opened here and not there",
                "0 were opened there, 1 here"
            ]
        );
    }

    #[test]
    fn a_second_close_and_another_reason_are_found() {
        let visit = [visit(address(1), Ending::Quit, Some(Why::Left))];
        let open = "open id=1 from=127.0.0.1:1";
        assert_eq!(
            faults(&visit, &[open, "close id=1 reason=eof"]),
            ["127.0.0.1:1 is session 1 there, closed for eof, and not for quit"]
        );
        assert_eq!(
            faults(
                &visit,
                &[open, "close id=1 reason=quit", "close id=1 reason=quit"]
            ),
            ["127.0.0.1:1 is session 1 there, which has 2 closes"]
        );
    }

    #[test]
    fn many_faults_are_summed_up() {
        let visits: Vec<Visit> = (1..=10)
            .map(|port| visit(address(port), Ending::Quit, Some(Why::Left)))
            .collect();
        let faults = faults(&visits, &[]);
        assert_eq!(faults.len(), EXAMPLES_MAX + 1);
        assert_eq!(faults[EXAMPLES_MAX], "8 more do not match");
    }
}
