//! Who may come in: edges of listeners that are remembered, errors that are waited out, and the limits on sessions.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use log::warn;
use rustix::io::Errno;

use crate::hub::SessionId;
use crate::ledger::CloseReason;
use crate::origin::Prefix;
use crate::rate::Window;

/// How long the next try waits after an accept that failed for want of descriptors or memory; doubled each time …
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
/// … up to this. No edge will tell when there is a descriptor again, so the timer must.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// At most 32 who were refused are kept until they have read why; any more are told and dropped.
const REFUSED_MAX: usize = 32;

/// The limits on sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdmissionLimits {
    /// Sessions at a time.
    pub(super) sessions_max: usize,
    /// Sessions of one prefix; `None` for any number.
    pub(super) per_address_max: Option<u32>,
}

/// What is to be done with a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Let it in.
    Admit,
    /// Tell it why it cannot stay, and see that it can read that.
    Refuse(CloseReason),
    /// Tell it why it cannot stay, and drop it.
    TurnAway(CloseReason),
}

/// Which count a session is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountedAs {
    /// Those who are only told why they cannot stay.
    Refused,
    /// None: its origin may have any number.
    Exempt,
    /// Those of this prefix.
    Of(Prefix),
}

impl CountedAs {
    /// The count of a session that is let in, or is not.
    pub(super) fn of(admitted: bool, prefix: Option<Prefix>) -> Self {
        match prefix {
            _ if !admitted => Self::Refused,
            None => Self::Exempt,
            Some(prefix) => Self::Of(prefix),
        }
    }
}

/// Who may come in, and when to try again.
///
/// Invariant: `per_address` has an entry for exactly the prefixes of sessions that are held.
#[derive(Debug)]
pub(super) struct Admission {
    limits: AdmissionLimits,
    /// Listeners that may have connections waiting: their edge came and they were not emptied since.
    ready: Vec<bool>,
    /// The listener that was accepted from last.
    last: usize,
    retry_at: Option<Instant>,
    back_off: Duration,
    complaints: Window<1>,
    per_address: HashMap<Prefix, u32>,
    refused: usize,
    /// An operator turns newcomers away.
    pub(super) drains: bool,
    /// Accepts that failed because the newcomer had gone again, or the like.
    pub(super) passing_errors: u64,
    /// Accepts that failed for want of something.
    pub(super) shortages: u64,
}

impl Admission {
    pub(super) fn new(limits: AdmissionLimits, listeners: usize) -> Self {
        Self {
            limits,
            ready: vec![false; listeners],
            last: 0,
            retry_at: None,
            back_off: BACK_OFF_MIN,
            complaints: Window::default(),
            per_address: HashMap::new(),
            refused: 0,
            drains: false,
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
                if self.complaints.admits(now) {
                    warn!("cannot accept, trying again: {error}");
                }
            }
        }
    }

    /// How many sessions may be open.
    pub(super) fn sessions_max(&self) -> usize {
        self.limits.sessions_max.min(SessionId::SLOTS_MAX)
    }

    /// Decides on a newcomer, where `sessions` are open.
    pub(super) fn decide(&self, prefix: Option<Prefix>, sessions: usize) -> Decision {
        let of_prefix = prefix
            .and_then(|prefix| self.per_address.get(&prefix))
            .copied()
            .unwrap_or(0);
        let of_prefix_max = self.limits.per_address_max.filter(|_| prefix.is_some());
        let reason = if of_prefix_max.is_some_and(|max| of_prefix >= max) {
            CloseReason::PerAddress
        } else if sessions >= self.sessions_max() {
            CloseReason::Full
        } else {
            return Decision::Admit;
        };
        if self.refused < REFUSED_MAX {
            Decision::Refuse(reason)
        } else {
            Decision::TurnAway(reason)
        }
    }

    /// A session holds a descriptor from now on.
    pub(super) fn hold(&mut self, counted_as: CountedAs) {
        match counted_as {
            CountedAs::Refused => self.refused += 1,
            CountedAs::Exempt => {}
            CountedAs::Of(prefix) => *self.per_address.entry(prefix).or_default() += 1,
        }
    }

    /// A session's descriptor is free again, so that an accept that failed for want of one may succeed.
    pub(super) fn release(&mut self, counted_as: CountedAs) {
        self.retry_at = None;
        self.back_off = BACK_OFF_MIN;
        match counted_as {
            CountedAs::Refused => self.refused -= 1,
            CountedAs::Exempt => {}
            CountedAs::Of(prefix) => {
                if let Some(count) = self.per_address.get_mut(&prefix) {
                    *count -= 1;
                    if *count == 0 {
                        self.per_address.remove(&prefix);
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

/// Whether the error is about one newcomer that has gone again, so that the next one may be there already: an error of
/// its connection that was pending comes from accepting it (accept(2)).
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
    use std::net::{Ipv6Addr, SocketAddr};

    use super::*;
    use crate::origin::Origin;
    use crate::test_clock::outset;

    const LIMITS: AdmissionLimits = AdmissionLimits {
        sessions_max: 10,
        per_address_max: Some(2),
    };

    fn prefix(address: &str) -> Option<Prefix> {
        Origin::from(SocketAddr::new(address.parse().unwrap(), 1)).prefix()
    }

    #[test]
    fn f007_addresses_are_counted_and_forgotten() {
        let mut admission = Admission::new(LIMITS, 1);
        let here = prefix("192.0.2.1");
        for _ in 0..2 {
            assert_eq!(admission.decide(here, 0), Decision::Admit);
            admission.hold(CountedAs::of(true, here));
        }
        assert_eq!(
            admission.decide(here, 2),
            Decision::Refuse(CloseReason::PerAddress)
        );
        assert_eq!(admission.decide(prefix("192.0.2.2"), 2), Decision::Admit);
        assert_eq!(admission.decide(None, 2), Decision::Admit);
        // Nobody is to make room for one who could not stay.
        assert_eq!(
            admission.decide(here, LIMITS.sessions_max),
            Decision::Refuse(CloseReason::PerAddress)
        );
        for _ in 0..2 {
            admission.release(CountedAs::of(true, here));
        }
        assert!(admission.per_address.is_empty());
    }

    #[test]
    fn f008_the_table_of_addresses_holds_those_who_are_there() {
        let mut admission = Admission::new(LIMITS, 1);
        let mut held = VecDeque::new();
        for n in 0..100_000_u128 {
            let address = Ipv6Addr::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let place = CountedAs::of(
                true,
                Origin::from(SocketAddr::new(address.into(), 1)).prefix(),
            );
            admission.hold(place);
            held.push_back(place);
            if held.len() > LIMITS.sessions_max {
                held.pop_front()
                    .into_iter()
                    .for_each(|place| admission.release(place));
            }
            assert!(admission.per_address.len() <= held.len());
        }
        for place in held {
            admission.release(place);
        }
        assert!(admission.per_address.is_empty());
    }

    #[test]
    fn the_refused_are_kept_in_small_number() {
        let mut admission = Admission::new(LIMITS, 1);
        for _ in 0..REFUSED_MAX {
            assert_eq!(
                admission.decide(None, 10),
                Decision::Refuse(CloseReason::Full)
            );
            admission.hold(CountedAs::Refused);
        }
        assert_eq!(
            admission.decide(None, 10),
            Decision::TurnAway(CloseReason::Full)
        );
        admission.release(CountedAs::Refused);
        assert_eq!(
            admission.decide(None, 10),
            Decision::Refuse(CloseReason::Full)
        );
    }

    #[test]
    fn f002_a_shortage_is_waited_out_by_timer_and_the_edge_is_kept() {
        let mut admission = Admission::new(LIMITS, 1);
        let outset = outset();
        let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        admission.note(0);
        let mut expected = BACK_OFF_MIN;
        let mut now = outset;
        for shortage in shortages.into_iter().cycle().take(12) {
            assert_eq!(admission.next_ready(now), Some(0));
            admission.failed(0, &shortage.into(), now);
            assert_eq!(admission.next_ready(now), None);
            assert_eq!(admission.wake_at(now), Some(now + expected));
            now += expected;
            expected = (expected * 2).min(BACK_OFF_MAX);
        }
        admission.failed(0, &Errno::MFILE.into(), now);
        admission.release(CountedAs::Exempt);
        assert_eq!(
            admission.next_ready(now),
            Some(0),
            "a descriptor is free again"
        );
        admission.failed(0, &Errno::AGAIN.into(), now);
        assert_eq!(admission.wake_at(now), None);
    }

    #[test]
    fn f012_listeners_that_have_somebody_waiting_take_turns() {
        let mut admission = Admission::new(LIMITS, 3);
        let now = outset();
        admission.note(0);
        admission.note(2);
        for _ in 0..3 {
            let mut turns = [(); 2].map(|()| admission.next_ready(now));
            turns.sort();
            assert_eq!(turns, [Some(0), Some(2)]);
        }
        admission.failed(2, &Errno::AGAIN.into(), now);
        for _ in 0..3 {
            assert_eq!(admission.next_ready(now), Some(0));
        }
        admission.stop();
        assert_eq!(admission.next_ready(now), None);
    }

    #[test]
    fn f003_a_newcomer_who_has_gone_does_not_stop_the_others() {
        let mut admission = Admission::new(LIMITS, 1);
        let now = outset();
        admission.note(0);
        for error in [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::INTR,
            Errno::NETDOWN,
        ] {
            admission.failed(0, &error.into(), now);
            assert_eq!(admission.next_ready(now), Some(0), "{error}");
        }
        assert_eq!((admission.passing_errors, admission.shortages), (4, 0));
    }

    #[test]
    fn f001_a_shortage_that_lasts_is_complained_of_once_a_second() {
        let (mut admission, outset) = (Admission::new(LIMITS, 1), outset());
        admission.note(0);
        let mut complaints = Vec::new();
        for step in 0..300 {
            let time = Duration::from_millis(10 * step);
            // Each who leaves lets it be tried again, far more often than by the timer.
            admission.release(CountedAs::Exempt);
            assert_eq!(admission.next_ready(outset + time), Some(0));
            let may_complain = admission.complaints.full_until(outset + time).is_none();
            admission.failed(0, &Errno::MFILE.into(), outset + time);
            assert!(admission.complaints.full_until(outset + time).is_some());
            if may_complain {
                complaints.push(time);
            }
        }
        assert_eq!(admission.shortages, 300);
        assert_eq!(complaints, [0, 1, 2].map(Duration::from_secs));
    }
}
