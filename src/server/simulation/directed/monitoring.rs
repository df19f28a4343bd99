//! What monitoring is told of a server in situations made by hand.

use std::time::Duration;

use super::{Bench, ADMISSION, LIMITS};
use crate::limits::Limits;
use crate::server::admission::AdmissionLimits;
use crate::server::meter::Phase;
use crate::server::metrics::State;
use crate::server::network::Wakeup;

impl Bench {
    fn state(&self) -> State {
        self.server.event_loop.measure()
    }

    #[track_caller]
    fn expect_unready(&self, why: Option<&str>) {
        assert_eq!(self.server.event_loop.unready(), why);
        assert_eq!(self.state().accepts, why.is_none_or(|why| why == "full"));
    }
}

#[test]
fn a_server_is_ready_unless_it_is_full_or_drains_or_stops() {
    let admission = AdmissionLimits {
        sessions_max: 1,
        ..ADMISSION
    };
    let mut bench = Bench::with(LIMITS, admission);
    bench.expect_unready(None);
    let ann = bench.join();
    bench.expect_unready(Some("full"));
    bench.server.event_loop.set_drains(true);
    bench.expect_unready(Some("draining"));
    bench.server.event_loop.set_drains(false);
    bench.send(ann, "/quit\r\n");
    bench.settle();
    bench.expect_unready(None);
    bench.network().signals.push_back(Wakeup::Stop);
    bench.server.event_loop.set_drains(true);
    bench.turn();
    bench.expect_unready(Some("stopping"));
}

#[test]
fn accepts_that_failed_are_told_by_kind_and_limits_as_they_are() {
    use rustix::io::Errno;

    let mut bench = Bench::with(
        Limits {
            memory_max: 12_345,
            ..LIMITS
        },
        ADMISSION,
    );
    bench.network().faults.passing.push_back(Errno::CONNABORTED);
    bench.knock();
    bench.settle();
    let state = bench.state();
    assert_eq!((state.accepts_passing, state.accepts_short), (1, 0));
    bench.network().faults.shortage = Some(Errno::MFILE);
    bench.knock();
    bench.turn();
    let state = bench.state();
    assert_eq!((state.accepts_passing, state.accepts_short), (1, 1));
    assert_eq!(state.sessions_max, 20_000);
    assert_eq!(state.hub.memory_max_bytes, 12_345);
}

/// What the turns took is what their phases took, and a line that costs time to send is delivered late.
#[test]
fn all_of_a_turn_is_measured() {
    let mut bench = Bench::new();
    let (ann, _bob) = (bench.join(), bench.join());
    let write_cost = Duration::from_millis(3);
    bench.network().write_cost = write_cost;
    let before = bench.state();
    bench.send(ann, "hello\r\n");
    bench.settle();
    let after = bench.state();
    let flushed = Phase::Flush as usize;
    assert_eq!(after.phases[flushed], before.phases[flushed] + write_cost);
    let in_phases = |state: &State| state.phases.iter().sum::<Duration>();
    assert_eq!(
        after.turns.sum() + in_phases(&before),
        before.turns.sum() + in_phases(&after)
    );
    assert_eq!(after.hub.delivery.count(), 1);
    assert_eq!(after.hub.delivery.sum(), write_cost);
}
