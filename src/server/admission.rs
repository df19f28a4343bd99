//! Who may come in: edges of listeners that are remembered, errors that are waited out, and the limits on sessions.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use log::warn;
use rustix::io::Errno;

use crate::debts::Debts;
use crate::hub::{Rejection, SessionId};
use crate::ledger::CloseReason;
use crate::net::Net;
use crate::origin::{Origin, Prefix};
use crate::rate::Window;
use crate::settings::Settings;

/// How long the next try waits after an accept that failed for want of descriptors or memory; doubled each time …
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
/// … up to this. No edge will tell when there is a descriptor again, so the timer must.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// A listener where as many wait for us as may is not accepted from for 5 ms, which is a turn with 16 handshakes.
const HELD_BACK: Duration = Duration::from_millis(5);

/// At most 32 who were refused are kept until they have read why; any more are told and dropped.
const REFUSED_MAX: usize = 32;

/// The limits on sessions.
#[derive(Debug, Clone)]
pub(super) struct AdmissionLimits {
    /// Sessions at a time, and connections at the door.
    pub(super) sessions_max: usize,
    /// Sessions of one prefix; `None` for any number.
    pub(super) per_address_max: Option<u32>,
    /// How often one prefix may connect in a minute, after a first burst of `per_address_max`; `None` for any number.
    pub(super) connects_per_minute: Option<u32>,
    /// What is free of all limits by address.
    pub(super) exempt: Vec<Net>,
    /// The front ends whose PROXY header is believed, beside loopback.
    pub(super) proxy_from: Vec<Net>,
}

impl AdmissionLimits {
    /// What the settings say, where descriptors allow `allowed` sessions.
    pub(super) fn of(settings: &Settings, allowed: usize) -> Self {
        let wanted = settings.sessions_max;
        Self {
            sessions_max: wanted.map_or(allowed, |wanted| wanted.min(allowed)),
            per_address_max: settings.sessions_per_address_max,
            connects_per_minute: settings.connects_per_minute,
            exempt: settings.exempt.clone(),
            proxy_from: settings.proxy_from.clone(),
        }
    }
}

/// A first burst of connections where there is no `per_address_max`.
const CONNECTS_BURST: u32 = 64;

/// What is to be done with a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Let it in.
    Admit,
    /// Tell it why it cannot stay, and see that it can read that.
    Refuse(Rejection),
    /// Tell it why it cannot stay, and drop it.
    TurnAway(Rejection),
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
    /// Listeners that are not accepted from before this time.
    held_back: Vec<(Instant, usize)>,
    retry_at: Option<Instant>,
    back_off: Duration,
    complaints: Window<1>,
    per_address: HashMap<Prefix, u32>,
    /// Until when what each prefix has connected is more than nothing.
    connects: Debts,
    /// The same of handshakes.
    #[cfg(feature = "tls")]
    handshakes: Debts,
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
            held_back: Vec::new(),
            retry_at: None,
            back_off: BACK_OFF_MIN,
            complaints: Window::default(),
            per_address: HashMap::new(),
            connects: Debts::default(),
            #[cfg(feature = "tls")]
            handshakes: Debts::default(),
            refused: 0,
            drains: false,
            passing_errors: 0,
            shortages: 0,
        }
    }

    /// Newcomers are held to these limits from now on. Sessions that are in stay.
    pub(super) fn set_limits(&mut self, limits: AdmissionLimits) {
        self.limits = limits;
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
        let ready = self.ready.contains(&true);
        let ready = ready.then(|| self.retry_at.unwrap_or(now));
        let held_back = self.held_back.iter().map(|(until, _)| *until);
        held_back.chain(ready).min()
    }

    /// A listener is not to be accepted from for a moment, but others are.
    pub(super) fn hold_back(&mut self, listener: usize, now: Instant) {
        self.ready[listener] = false;
        self.held_back.push((now + HELD_BACK, listener));
    }

    /// How many sessions one address may have; `None` for any number.
    pub(super) fn per_address_max(&self) -> Option<u32> {
        self.limits.per_address_max
    }

    /// Goes on with the listeners that were held back for long enough.
    pub(super) fn go_on(&mut self, now: Instant) {
        for (_, listener) in self.held_back.extract_if(.., |(until, _)| *until <= now) {
            self.ready[listener] = true;
        }
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

    /// Where a newcomer is from, marked if it is exempt from the limits by address.
    pub(super) fn mark(&self, from: Origin) -> Origin {
        let is_exempt = |address| self.limits.exempt.iter().any(|net| net.contains(address));
        match from.address() {
            Some(address) if is_exempt(address) => from.exempted(),
            _ => from,
        }
    }

    /// Whether the PROXY header of this front end is believed.
    pub(super) fn believes(&self, front_end: Origin) -> bool {
        let listed = |address| {
            self.limits
                .proxy_from
                .iter()
                .any(|net| net.contains(address))
        };
        let address = front_end.address();
        address.is_none_or(|address| address.is_loopback() || listed(address))
    }

    /// For whom a connection comes, where a front end that is believed says so: the last in the list that is no such front
    /// end itself.
    pub(super) fn client(&self, from: Origin, forwarded: &[IpAddr]) -> Origin {
        let mut client = from;
        for address in forwarded.iter().rev() {
            if !self.believes(client) {
                break;
            }
            client = SocketAddr::new(*address, 0).into();
        }
        client
    }

    /// Decides on a newcomer, whose connection counts from now on. `is_full`: there is no place for one more.
    pub(super) fn decide(
        &mut self,
        prefix: Option<Prefix>,
        is_full: bool,
        now: Instant,
    ) -> Decision {
        let of_prefix = prefix
            .and_then(|prefix| self.per_address.get(&prefix))
            .copied()
            .unwrap_or(0);
        let of_prefix_max = self.limits.per_address_max.filter(|_| prefix.is_some());
        let rejection = if self.drains {
            CloseReason::Drain.into()
        } else if of_prefix_max.is_some_and(|max| of_prefix >= max) {
            CloseReason::PerAddress.into()
        } else if let Some(seconds) = prefix.and_then(|prefix| self.connect(prefix, now)) {
            let reason = CloseReason::ConnectRate;
            Rejection { reason, seconds }
        } else {
            return self.admit_unless_full(is_full);
        };
        self.reject(rejection)
    }

    /// Decides on a newcomer whom nothing else keeps out.
    pub(super) fn admit_unless_full(&self, is_full: bool) -> Decision {
        if is_full {
            self.reject(CloseReason::Full.into())
        } else {
            Decision::Admit
        }
    }

    /// How a newcomer is told that it cannot come in.
    pub(super) fn reject(&self, rejection: Rejection) -> Decision {
        if self.refused < REFUSED_MAX {
            Decision::Refuse(rejection)
        } else {
            Decision::TurnAway(rejection)
        }
    }

    /// Whether there is no place for one more, where there are so many `sessions`.
    pub(super) fn is_full(&self, sessions: usize) -> bool {
        sessions >= self.limits.sessions_max.min(SessionId::SLOTS_MAX)
    }

    /// Counts a connection of this prefix, unless it connects too often: then gives in how many seconds it may again.
    fn connect(&mut self, prefix: Prefix, now: Instant) -> Option<u64> {
        let interval = Duration::from_secs(60) / self.limits.connects_per_minute?;
        let burst = self.limits.per_address_max.unwrap_or(CONNECTS_BURST);
        let paid_at = self.connects.paid_at(prefix, now).unwrap_or(now) + interval;
        let too_early = paid_at.saturating_duration_since(now + interval * burst);
        if too_early.is_zero() {
            self.connects.note(prefix, paid_at, now);
            return None;
        }
        Some(too_early.as_millis().div_ceil(1000) as u64)
    }

    /// Counts a handshake that a prefix begins, unless it has begun twice as many as it may connect: so who connects too
    /// often is told so, but not without end. Gives whether it is counted.
    #[cfg(feature = "tls")]
    pub(super) fn shakes_hands(&mut self, prefix: Prefix, now: Instant) -> bool {
        let Some(rate) = self.limits.connects_per_minute else {
            return true;
        };
        let interval = Duration::from_secs(60) / rate.saturating_mul(2);
        let burst = self.limits.per_address_max.unwrap_or(CONNECTS_BURST);
        let burst = burst.saturating_mul(2);
        let paid_at = self.handshakes.paid_at(prefix, now).unwrap_or(now) + interval;
        let is_counted = paid_at <= now + interval * burst;
        if is_counted {
            self.handshakes.note(prefix, paid_at, now);
        }
        is_counted
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
        connects_per_minute: None,
        exempt: Vec::new(),
        proxy_from: Vec::new(),
    };

    fn prefix(address: &str) -> Option<Prefix> {
        Origin::from(SocketAddr::new(address.parse().unwrap(), 1)).prefix()
    }

    #[test]
    fn f007_addresses_are_counted_and_forgotten() {
        let mut admission = Admission::new(LIMITS, 1);
        let here = prefix("192.0.2.1");
        for _ in 0..2 {
            assert_eq!(admission.decide(here, false, outset()), Decision::Admit);
            admission.hold(CountedAs::of(true, here));
        }
        assert_eq!(
            admission.decide(here, false, outset()),
            Decision::Refuse(CloseReason::PerAddress.into())
        );
        assert_eq!(
            admission.decide(prefix("192.0.2.2"), false, outset()),
            Decision::Admit
        );
        assert_eq!(admission.decide(None, false, outset()), Decision::Admit);
        // Nobody is to make room for one who could not stay.
        assert_eq!(
            admission.decide(here, true, outset()),
            Decision::Refuse(CloseReason::PerAddress.into())
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
                admission.decide(None, true, outset()),
                Decision::Refuse(CloseReason::Full.into())
            );
            admission.hold(CountedAs::Refused);
        }
        assert_eq!(
            admission.decide(None, true, outset()),
            Decision::TurnAway(CloseReason::Full.into())
        );
        admission.release(CountedAs::Refused);
        assert_eq!(
            admission.decide(None, true, outset()),
            Decision::Refuse(CloseReason::Full.into())
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

    #[test]
    fn an_address_that_connects_too_often_is_told_when_it_may_again() {
        let limits = AdmissionLimits {
            connects_per_minute: Some(30),
            exempt: vec!["198.51.100.0/24".parse().unwrap()],
            ..LIMITS
        };
        let (mut admission, outset) = (Admission::new(limits, 1), outset());
        let at = |seconds: f64| outset + Duration::from_secs_f64(seconds);
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(prefix);
        let too_often = |seconds| {
            let reason = CloseReason::ConnectRate;
            Decision::Refuse(Rejection { reason, seconds })
        };
        for _ in 0..2 {
            assert_eq!(admission.decide(here, false, outset), Decision::Admit);
        }
        // A try that fails costs nothing.
        for _ in 0..100 {
            assert_eq!(admission.decide(here, false, outset), too_often(2));
        }
        assert_eq!(admission.decide(here, false, at(0.5)), too_often(2));
        assert_eq!(admission.decide(here, true, at(1.5)), too_often(1));
        assert_eq!(admission.decide(there, false, at(1.5)), Decision::Admit);
        assert_eq!(admission.decide(here, false, at(2.0)), Decision::Admit);
        assert_eq!(admission.decide(here, false, at(2.0)), too_often(2));
        // Addresses that an operator has freed, and those of this machine, are not counted.
        let freed: SocketAddr = "198.51.100.7:1".parse().unwrap();
        let freed = admission.mark(freed.into());
        for prefix in [None, freed.prefix()] {
            for _ in 0..100 {
                assert_eq!(admission.decide(prefix, false, at(2.0)), Decision::Admit);
            }
        }
        assert_eq!(freed.address(), Some("198.51.100.7".parse().unwrap()));
        assert_eq!(admission.mark(Origin::Local), Origin::Local);
    }

    #[test]
    fn front_ends_are_believed_that_are_named_or_of_this_machine() {
        let limits = AdmissionLimits {
            proxy_from: vec!["10.0.0.0/24".parse().unwrap()],
            ..LIMITS
        };
        let admission = Admission::new(limits, 1);
        let believes = |address: &str| {
            let address = SocketAddr::new(address.parse().unwrap(), 1);
            admission.believes(address.into())
        };
        for named in ["10.0.0.9", "::ffff:10.0.0.9", "127.0.0.9", "::1"] {
            assert!(believes(named), "{named}");
        }
        for other in ["10.0.1.9", "2001:db8::1"] {
            assert!(!believes(other), "{other}");
        }
        assert!(admission.believes(Origin::Local));
    }
}
