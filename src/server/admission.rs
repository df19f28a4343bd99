//! Who may come in: edges of listeners that are remembered, errors that are waited out, and the limits on sessions.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use log::warn;
use rustix::io::Errno;

use crate::hub::SessionId;
use crate::ledger::CloseReason;

/// After an accept that failed for want of descriptors or memory the next try waits so long, then twice as long …
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
/// … up to so long. No edge will tell when there is a descriptor again, so the timer must.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// At most so many who were refused are kept until they have read why; any more are told and dropped.
const REFUSED_MAX: usize = 32;

/// The limits on sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission {
    /// At most so many sessions at a time.
    pub(super) sessions_max: usize,
    /// At most so many of one address; `None` for any number.
    pub(super) per_address_max: Option<u32>,
}

/// An address that is counted: an IPv4 address, or an IPv6 network of 64 bits. Loopback is exempt.
///
/// The first half is 0 for IPv4 and for no network that there is, for `::/8` is reserved (RFC 4291, section 2.4). An
/// `IpAddr` would take twice as much of each session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin([u32; 2]);

impl Origin {
    pub(super) fn of(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        let halves = match address {
            IpAddr::V4(address) => [0, address.into()],
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                [(bits >> 96) as u32, (bits >> 64) as u32]
            }
        };
        (!address.is_loopback()).then_some(Self(halves))
    }
}

/// What is to be done with a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let it in.
    Admit,
    /// Tell it why it cannot stay, and see that it can read that.
    Refuse(CloseReason),
    /// Tell it why it cannot stay, and drop it.
    TurnAway(CloseReason),
}

/// What a session counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// One that is only told why it cannot stay.
    Refused,
    /// One from an address that may have any number.
    Uncounted,
    /// One of those from this address.
    Counted(Origin),
}

impl Place {
    /// The place of a session that is let in.
    pub(super) fn of(origin: Option<Origin>) -> Self {
        origin.map_or(Self::Uncounted, Self::Counted)
    }
}

/// The state of accepting.
///
/// Invariant: `per_address` has an entry for exactly the origins of sessions that are held.
#[derive(Debug)]
pub(super) struct Acceptor {
    admission: Admission,
    /// Listeners that may have connections waiting: their edge came and they were not emptied since.
    ready: Vec<bool>,
    /// The listener that was accepted from last.
    last: usize,
    retry_at: Option<Instant>,
    back_off: Duration,
    complained_at: Option<Instant>,
    per_address: HashMap<Origin, u32>,
    refused: usize,
    /// Accepts that failed because the newcomer had gone again, or the like.
    pub(super) passing_errors: u64,
    /// Accepts that failed for want of something.
    pub(super) shortages: u64,
}

impl Acceptor {
    pub(super) fn new(admission: Admission, listeners: usize) -> Self {
        Self {
            admission,
            ready: vec![false; listeners],
            last: 0,
            retry_at: None,
            back_off: BACK_OFF_MIN,
            complained_at: None,
            per_address: HashMap::new(),
            refused: 0,
            passing_errors: 0,
            shortages: 0,
        }
    }

    /// Remembers an edge.
    pub(super) fn note(&mut self, listener: usize) {
        if let Some(ready) = self.ready.get_mut(listener) {
            *ready = true;
        }
    }

    /// A listener to accept from, unless a shortage is being waited out. They take turns, so that a storm at one of
    /// them keeps nobody waiting at the others.
    pub(super) fn next_ready(&mut self, now: Instant) -> Option<usize> {
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        self.retry_at = None;
        let listeners = self.ready.len();
        let mut in_turn = (1..=listeners).map(|step| (self.last + step) % listeners);
        let next = in_turn.find(|listener| self.ready[*listener])?;
        self.last = next;
        Some(next)
    }

    /// When to try again: `None` if nobody waits, else not before this.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        self.ready
            .contains(&true)
            .then(|| self.retry_at.unwrap_or(now))
    }

    /// A connection was accepted.
    pub(super) fn accepted(&mut self) {
        self.back_off = BACK_OFF_MIN;
    }

    /// An accept failed; the edge is forgotten only if nobody waits any more.
    pub(super) fn failed(&mut self, listener: usize, error: &io::Error, now: Instant) {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.ready[listener] = false,
            _ if is_passing(error) => self.passing_errors += 1,
            _ => {
                self.shortages += 1;
                self.retry_at = Some(now + self.back_off);
                self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
                if self
                    .complained_at
                    .is_none_or(|at| now >= at + Duration::from_secs(1))
                {
                    self.complained_at = Some(now);
                    warn!("cannot accept, trying again: {error}");
                }
            }
        }
    }

    /// Judges a newcomer, where `sessions` are open.
    pub(super) fn judge(&self, origin: Option<Origin>, sessions: usize) -> Verdict {
        let of_origin = origin
            .and_then(|origin| self.per_address.get(&origin))
            .copied()
            .unwrap_or(0);
        let of_origin_max = self.admission.per_address_max.filter(|_| origin.is_some());
        let reason = if of_origin_max.is_some_and(|max| of_origin >= max) {
            CloseReason::PerAddress
        } else if sessions >= self.admission.sessions_max.min(SessionId::SLOTS_MAX) {
            CloseReason::Full
        } else {
            return Verdict::Admit;
        };
        if self.refused < REFUSED_MAX {
            Verdict::Refuse(reason)
        } else {
            Verdict::TurnAway(reason)
        }
    }

    /// A session holds a descriptor from now on.
    pub(super) fn hold(&mut self, place: Place) {
        match place {
            Place::Refused => self.refused += 1,
            Place::Uncounted => {}
            Place::Counted(origin) => *self.per_address.entry(origin).or_default() += 1,
        }
    }

    /// A session's descriptor is free again, so that an accept that failed for want of one may succeed.
    pub(super) fn release(&mut self, place: Place) {
        self.retry_at = None;
        self.back_off = BACK_OFF_MIN;
        match place {
            Place::Refused => self.refused -= 1,
            Place::Uncounted => {}
            Place::Counted(origin) => {
                if let Some(count) = self.per_address.get_mut(&origin) {
                    *count -= 1;
                    if *count == 0 {
                        self.per_address.remove(&origin);
                    }
                }
            }
        }
    }

    /// Nobody comes in any more.
    pub(super) fn stop(&mut self) {
        self.ready.clear();
    }
}

/// Whether the error is about one newcomer who has gone again, so that the next one may be there already: an error of
/// her connection that was pending comes from accepting it (accept(2)).
///
/// That something is not permitted does not count: where a security module says so, the newcomer stays in the queue,
/// and to try again at once would be to try for ever.
pub(super) fn is_passing(error: &io::Error) -> bool {
    let passing = [
        Errno::INTR,
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::TIMEDOUT,
        #[cfg(target_os = "linux")]
        Errno::NONET,
    ];
    Errno::from_io_error(error).is_some_and(|error| passing.contains(&error))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::Ipv6Addr;

    use super::*;
    use crate::test_clock::outset;

    const ADMISSION: Admission = Admission {
        sessions_max: 10,
        per_address_max: Some(2),
    };

    fn origin(address: &str) -> Option<Origin> {
        Origin::of(address.parse().unwrap())
    }

    #[test]
    fn f007_origins_are_addresses_or_networks_and_loopback_is_none() {
        assert_eq!(origin("127.0.0.9"), None);
        assert_eq!(origin("::1"), None);
        assert_eq!(origin("::ffff:127.0.0.1"), None);
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
    }

    #[test]
    fn f007_addresses_are_counted_and_forgotten() {
        let mut acceptor = Acceptor::new(ADMISSION, 1);
        let here = origin("192.0.2.1");
        for _ in 0..2 {
            assert_eq!(acceptor.judge(here, 0), Verdict::Admit);
            acceptor.hold(Place::of(here));
        }
        assert_eq!(
            acceptor.judge(here, 2),
            Verdict::Refuse(CloseReason::PerAddress)
        );
        assert_eq!(acceptor.judge(origin("192.0.2.2"), 2), Verdict::Admit);
        assert_eq!(acceptor.judge(None, 2), Verdict::Admit);
        // Nobody is to make room for one who could not stay.
        assert_eq!(
            acceptor.judge(here, ADMISSION.sessions_max),
            Verdict::Refuse(CloseReason::PerAddress)
        );
        for _ in 0..2 {
            acceptor.release(Place::of(here));
        }
        assert!(acceptor.per_address.is_empty());
    }

    #[test]
    fn f008_the_table_of_addresses_holds_those_who_are_there() {
        let mut acceptor = Acceptor::new(ADMISSION, 1);
        let mut held = VecDeque::new();
        for n in 0..100_000_u128 {
            let address = Ipv6Addr::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let place = Place::of(Origin::of(address.into()));
            acceptor.hold(place);
            held.push_back(place);
            if held.len() > ADMISSION.sessions_max {
                held.pop_front()
                    .into_iter()
                    .for_each(|place| acceptor.release(place));
            }
            assert!(acceptor.per_address.len() <= held.len());
        }
        for place in held {
            acceptor.release(place);
        }
        assert!(acceptor.per_address.is_empty());
    }

    #[test]
    fn the_refused_are_kept_in_small_number() {
        let mut acceptor = Acceptor::new(ADMISSION, 1);
        for _ in 0..REFUSED_MAX {
            assert_eq!(acceptor.judge(None, 10), Verdict::Refuse(CloseReason::Full));
            acceptor.hold(Place::Refused);
        }
        assert_eq!(
            acceptor.judge(None, 10),
            Verdict::TurnAway(CloseReason::Full)
        );
        acceptor.release(Place::Refused);
        assert_eq!(acceptor.judge(None, 10), Verdict::Refuse(CloseReason::Full));
    }

    #[test]
    fn f002_a_shortage_is_waited_out_by_timer_and_the_edge_is_kept() {
        let mut acceptor = Acceptor::new(ADMISSION, 1);
        let outset = outset();
        let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        acceptor.note(0);
        let mut expected = BACK_OFF_MIN;
        let mut now = outset;
        for shortage in shortages.into_iter().cycle().take(12) {
            assert_eq!(acceptor.next_ready(now), Some(0));
            acceptor.failed(0, &shortage.into(), now);
            assert_eq!(acceptor.next_ready(now), None);
            assert_eq!(acceptor.wake_at(now), Some(now + expected));
            now += expected;
            expected = (expected * 2).min(BACK_OFF_MAX);
        }
        acceptor.failed(0, &Errno::MFILE.into(), now);
        acceptor.release(Place::Uncounted);
        assert_eq!(
            acceptor.next_ready(now),
            Some(0),
            "a descriptor is free again"
        );
        acceptor.failed(0, &Errno::AGAIN.into(), now);
        assert_eq!(acceptor.wake_at(now), None);
    }

    #[test]
    fn f012_listeners_that_have_somebody_waiting_take_turns() {
        let mut acceptor = Acceptor::new(ADMISSION, 3);
        let now = outset();
        acceptor.note(0);
        acceptor.note(2);
        for _ in 0..3 {
            let mut turns = [(); 2].map(|()| acceptor.next_ready(now));
            turns.sort();
            assert_eq!(turns, [Some(0), Some(2)]);
        }
        acceptor.failed(2, &Errno::AGAIN.into(), now);
        for _ in 0..3 {
            assert_eq!(acceptor.next_ready(now), Some(0));
        }
        acceptor.stop();
        assert_eq!(acceptor.next_ready(now), None);
    }

    #[test]
    fn f003_a_newcomer_who_has_gone_does_not_stop_the_others() {
        let mut acceptor = Acceptor::new(ADMISSION, 1);
        let now = outset();
        acceptor.note(0);
        for error in [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::INTR,
            Errno::NETDOWN,
        ] {
            acceptor.failed(0, &error.into(), now);
            assert_eq!(acceptor.next_ready(now), Some(0), "{error}");
        }
        assert_eq!((acceptor.passing_errors, acceptor.shortages), (4, 0));
    }

    #[test]
    fn f001_a_shortage_that_lasts_is_complained_of_once_a_second() {
        let (mut acceptor, outset) = (Acceptor::new(ADMISSION, 1), outset());
        acceptor.note(0);
        let mut complaints = Vec::new();
        for step in 0..300 {
            let time = Duration::from_millis(10 * step);
            // Each who leaves lets it be tried again, far more often than by the timer.
            acceptor.release(Place::Uncounted);
            assert_eq!(acceptor.next_ready(outset + time), Some(0));
            acceptor.failed(0, &Errno::MFILE.into(), outset + time);
            if acceptor.complained_at == Some(outset + time) {
                complaints.push(time);
            }
        }
        assert_eq!(acceptor.shortages, 300);
        assert_eq!(complaints, [0, 1, 2].map(Duration::from_secs));
    }
}
