//! What a seed decides before anything happens: the limits of the server and how bad the world is.

use std::time::Duration;

use super::server::Terms;
use crate::hub::Limits;
use crate::limits::QueueLimits;
use crate::random::Random;
use crate::rate::Rate;
use crate::server::admission::AdmissionLimits;

/// The settings of one run.
#[expect(clippy::struct_excessive_bools, reason = "each is on or off in a run")]
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) terms: Terms,
    pub(super) batch_max: usize,
    pub(super) write_cost: Duration,
    pub(super) descriptors_max: usize,
    /// How likely short writes, interruptions and invented events are, in percent.
    pub(super) short_writes: usize,
    pub(super) interrupted: usize,
    pub(super) spurious: usize,
    pub(super) repeated_edges: usize,
    /// The server is stopped before this many steps are left, perhaps twice.
    pub(super) stops_at: Option<usize>,
    pub(super) stops_twice: bool,
    /// Somebody sends an endless line.
    pub(super) floods: bool,
    /// People send much at once.
    pub(super) masses: bool,
    /// Newcomers are shown a message.
    pub(super) has_message: bool,
}

impl Profile {
    /// Limits to go on with: all other ones, or only another rate. How long a line may be is known to those who write.
    pub(super) fn others(&self, terms: &Terms, random: &mut Random) -> Terms {
        let limits = terms.limits;
        let others = if self.masses {
            limits_of_masses(random)
        } else {
            any_limits(random, self.floods)
        };
        let others = Limits {
            line_bytes_max: limits.line_bytes_max,
            ..others
        };
        let is_rate_alone = !self.floods && random.percent(40);
        let limits = if is_rate_alone {
            let line_rate = if limits.line_rate.is_unlimited() {
                any_rate(random)
            } else {
                random.pick(&[others.line_rate, Rate::UNLIMITED])
            };
            Limits {
                line_rate,
                ..limits
            }
        } else {
            others
        };
        // What is as before is not taken up anew, and the model does not know when it would have been.
        let rooms = if limits == terms.limits {
            terms.rooms
        } else {
            any_rooms(random)
        };
        Terms {
            limits,
            admission: any_admission(random, self.masses),
            rooms,
        }
    }

    pub(super) fn any(random: &mut Random, steps: usize) -> Self {
        let floods = random.percent(3);
        let masses = !floods && random.percent(8);
        let calm = random.percent(20);
        let mut chance = |most: usize| if calm { 0 } else { random.within(0..=most) };
        let (short_writes, interrupted) = (chance(60), chance(10));
        let (spurious, repeated_edges) = (chance(40), chance(60));
        Self {
            terms: Terms {
                limits: if masses {
                    limits_of_masses(random)
                } else {
                    any_limits(random, floods)
                },
                admission: any_admission(random, masses),
                rooms: any_rooms(random),
            },
            batch_max: random.pick(&[1, 2, 3, 8, 1024]),
            write_cost: Duration::from_micros(random.pick(&[0, 10, 400, 1500])),
            descriptors_max: if random.percent(25) {
                random.within(5..=15)
            } else {
                usize::MAX
            },
            short_writes,
            interrupted,
            spurious,
            repeated_edges,
            stops_at: random.percent(25).then(|| random.within(0..=steps)),
            stops_twice: random.percent(50),
            floods,
            masses,
            has_message: random.percent(30),
        }
    }
}

fn any_admission(random: &mut Random, masses: bool) -> AdmissionLimits {
    AdmissionLimits {
        sessions_max: if !masses && random.percent(25) {
            random.within(3..=12)
        } else {
            500
        },
        per_address_max: random.percent(25).then(|| random.within(2..=4) as u32),
        connects_per_minute: random.percent(30).then(|| random.pick(&[7, 60, 600])),
        exempt: Vec::new(),
        proxy_from: Vec::new(),
    }
}

/// The rooms that are always there.
fn any_rooms(random: &mut Random) -> &'static [&'static str] {
    random.pick(&[&[], &[], &["help"], &["games", "help"]])
}

fn any_rate(random: &mut Random) -> Rate {
    let (per_second, burst) = random.pick(&[(10, 40), (5, 2), (100, 10)]);
    Rate { per_second, burst }
}

/// Wide enough that much can wait for somebody, and much can be done in a turn.
fn limits_of_masses(random: &mut Random) -> Limits {
    let line_rate = Rate {
        per_second: 100,
        burst: 400,
    };
    Limits {
        line_bytes_max: 4096,
        queue: QueueLimits {
            bytes_max: 1 << 20,
            bytes_soft: 1 << 18,
            soft: Duration::from_secs(5),
            stall: Some(Duration::from_secs(30)),
        },
        line_rate: if random.percent(50) {
            line_rate
        } else {
            Rate::UNLIMITED
        },
        // More long lines than this are not kept, by their bytes.
        history_lines: 3,
        ..any_limits(random, true)
    }
}

fn any_limits(random: &mut Random, floods: bool) -> Limits {
    let seconds = |seconds: usize| Duration::from_secs(seconds as u64);
    let bytes_max = random.pick(&[960, 2_000, 8_000, 24_000, 64_000]);
    let rate = any_rate(random);
    Limits {
        web_history_lines: 0,
        line_bytes_max: random.pick(&[96, 200, 512]),
        queue: QueueLimits {
            bytes_max,
            bytes_soft: bytes_max / random.within(1..=8),
            soft: seconds(random.within(1..=10)),
            stall: random.percent(70).then(|| seconds(random.within(1..=30))),
        },
        line_rate: if !floods && random.percent(30) {
            rate
        } else {
            Rate::UNLIMITED
        },
        memory_max: if random.percent(12) {
            random.pick(&[4_000, 20_000])
        } else {
            usize::MAX
        },
        idle: random.percent(35).then(|| seconds(random.within(10..=60))),
        drain: seconds(random.within(1..=5)),
        pace_max: random.percent(50).then_some(Duration::from_millis(100)),
        rooms_max: random.pick(&[200, 200, 3, 1, 0]),
        names_kept_max: random.pick(&[10_000, 10_000, 2, 0]),
        names_kept_days: Some(180),
        history_lines: random.pick(&[0, 3, 20]),
    }
}
