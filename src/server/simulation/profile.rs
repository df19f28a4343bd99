//! What a seed decides before anything happens: the limits of the server and how bad the world is.

use std::time::Duration;

use super::random::Random;
use crate::hub::{Limits, QueueLimits, Rate};
use crate::server::admission::AdmissionLimits;

pub(super) const LINE_BYTES_MAX: usize = 200;

/// The settings of one run.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) limits: Limits,
    pub(super) admission: AdmissionLimits,
    pub(super) pace_max: Option<Duration>,
    pub(super) batch_max: usize,
    pub(super) write_cost: Duration,
    pub(super) descriptors_max: usize,
    /// How likely short writes, interruptions and invented events are, in percent.
    pub(super) short_writes: usize,
    pub(super) interrupted: usize,
    pub(super) spurious: usize,
    pub(super) repeated_edges: usize,
    /// The server is stopped before so many steps are left, perhaps twice.
    pub(super) stops_at: Option<usize>,
    pub(super) stops_twice: bool,
    /// Somebody sends an endless line.
    pub(super) floods: bool,
}

impl Profile {
    pub(super) fn any(random: &mut Random, steps: usize) -> Self {
        let floods = random.percent(3);
        let seconds = |seconds: usize| Duration::from_secs(seconds as u64);
        let bytes_max = random.pick(&[2_000, 8_000, 64_000]);
        let idle = random.percent(25).then(|| seconds(random.within(20..=60)));
        // Who is heard slowly must not seem idle to the witness, nor the witness to the server.
        let slow_rate = random.pick(&[(10, 40), (5, 2), (100, 10)]);
        let rate = idle.map_or(slow_rate, |_| (100, 10));
        let line_rate = if !floods && random.percent(45) {
            Rate {
                per_second: rate.0,
                burst: rate.1,
            }
        } else {
            Rate::UNLIMITED
        };
        let limits = Limits {
            line_bytes_max: LINE_BYTES_MAX,
            queue: QueueLimits {
                bytes_max,
                bytes_soft: bytes_max / 2,
                soft: seconds(random.within(1..=4)),
                stall: random.percent(70).then(|| seconds(random.within(1..=8))),
            },
            line_rate,
            memory_max: if random.percent(15) {
                4_000
            } else {
                usize::MAX
            },
            idle,
            drain: seconds(random.within(1..=5)),
            history_lines: 0,
            pace_max: None,
        };
        let admission = AdmissionLimits {
            sessions_max: if random.percent(25) {
                random.within(3..=12)
            } else {
                500
            },
            per_address_max: random.percent(25).then(|| random.within(2..=4) as u32),
        };
        let calm = random.percent(20);
        let mut chance = |most: usize| if calm { 0 } else { random.within(0..=most) };
        let (short_writes, interrupted) = (chance(60), chance(10));
        let (spurious, repeated_edges) = (chance(40), chance(60));
        // A server that is so slow would not hear the witness in time.
        let dearest = if idle.is_some() { 400 } else { 1500 };
        Self {
            limits,
            admission,
            pace_max: random.percent(50).then_some(Duration::from_millis(100)),
            batch_max: random.pick(&[1, 2, 3, 8, 1024]),
            write_cost: Duration::from_micros(random.pick(&[0, 10, 400, dearest])),
            descriptors_max: if random.percent(25) {
                random.within(5..=15)
            } else {
                usize::MAX
            },
            short_writes,
            interrupted,
            spurious,
            repeated_edges,
            stops_at: random.percent(20).then(|| random.within(0..=steps)),
            stops_twice: random.percent(50),
            floods,
        }
    }
}
