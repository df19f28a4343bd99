//! How fast a crowded room is told what was said.
//!
//! To tell five hundred people is five hundred `send` calls, whether each carries one line or ten. So when lines come
//! faster than they can be sent one by one they should share their sends. Sending is paid for with a credit, as in a
//! token bucket: the credit grows with time, but only at a share of it, up to what it takes to tell everybody twice. After
//! a quiet time a line is with everybody at once. Under load the room is told in rounds that are so much slower, a few
//! people at a time, and each hears at once all that was said since the last round. The more lines are to share a round,
//! the larger is the share, for then there is less to be won by waiting for another one.
//!
//! Talkers are not slowed here: for that see `rate` and [`keeping_up`](super::keeping_up).

use std::time::{Duration, Instant};

/// Sending takes `lines / (lines + OTHERS)` of the time: half of it when nine lines share the sends, where each line
/// more would save a tenth of what is left.
const OTHERS: u32 = 9;
/// At least this many lines are counted, so that sending takes a third of the time or more.
const FEW_LINES: u32 = 4;
/// A line that has no other to share with counts as this many: it is not worth delaying as much.
const LONE_LINE: u32 = 9;
/// More are not told apart.
const LINES_MAX: u32 = 1000;

/// At most what this many rounds cost is saved, so that one slow round of somebody who talks alone delays no line.
const CREDIT_ROUNDS: u32 = 2;

/// A round that takes less is not worth slowing down: the timer itself is no finer.
const WORTH_WAITING: Duration = Duration::from_millis(1);
/// At most this many steps make a round, and none of them takes less than `WORTH_WAITING`: the loop goes on in between.
const STEPS: u32 = 16;

/// At most this much time per turn goes into telling a room, so that input does not wait for all of a huge room.
pub(in crate::hub) const TURN_MAX: Duration = Duration::from_millis(10);

/// At most this long presence waits for those who leave to be gone.
const PRESENCE_WAITS: Duration = Duration::from_secs(1);

/// The pace at which people are told.
#[derive(Debug)]
pub(in crate::hub) struct Pace {
    delay_max: Option<Duration>,
    /// What it cost to tell one person in each of the last two rounds, in ns, the latest first; zero where there was none.
    costs: [u32; 2],
    /// How many were told since then, and what it took: of as many as there are in the room that is a round.
    round: (usize, Duration),
    /// How much time may be spent sending, as of `counted_at`.
    credit: Duration,
    counted_at: Option<Instant>,
    presence_waits_since: Option<Instant>,
    somebody_left_at: Option<Instant>,
}

/// What waits to be told to all.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) struct Waiting {
    /// How many lines are on their way, in a round or to the next one.
    pub(in crate::hub) lines: usize,
    /// How many people are to hear them.
    pub(in crate::hub) people: usize,
    /// Whether nobody is being told yet, and they tell of nothing but who came and went.
    pub(in crate::hub) is_presence: bool,
    /// Whether it must be told before anything else is done.
    pub(in crate::hub) is_urgent: bool,
}

impl Pace {
    /// `delay_max` is how much later than without a pace a line may be with everybody; `None` for no pace.
    pub(in crate::hub) fn new(delay_max: Option<Duration>) -> Self {
        Self {
            delay_max,
            costs: [0; 2],
            round: (0, Duration::ZERO),
            credit: Duration::ZERO,
            counted_at: None,
            presence_waits_since: None,
            somebody_left_at: None,
        }
    }

    /// A line may be so much later from now on.
    pub(in crate::hub) fn set_delay_max(&mut self, delay_max: Option<Duration>) {
        self.delay_max = delay_max;
    }

    /// Somebody has left.
    pub(in crate::hub) fn note_leave(&mut self, now: Instant) {
        self.somebody_left_at = Some(now);
    }

    /// How many people may be told now what waits.
    pub(in crate::hub) fn allows(&mut self, waiting: Option<Waiting>, now: Instant) -> usize {
        let Some(waiting) = waiting else {
            self.presence_waits_since = None;
            return 0;
        };
        let waits_since = self.presence_waits_since.filter(|_| waiting.is_presence);
        self.presence_waits_since = waiting.is_presence.then(|| waits_since.unwrap_or(now));
        let Some(delay_max) = self.worth_pacing(waiting) else {
            return if waiting.is_urgent {
                self.people_within_a_turn()
            } else {
                usize::MAX
            };
        };
        self.credit = self.credit_at(waiting, delay_max, now);
        self.counted_at = Some(now);
        let is_due = self.presence_until(waiting, delay_max, now) <= now;
        if !is_due || self.credit < self.step(waiting) {
            return 0;
        }
        let round = self.round_takes(waiting);
        if self.credit >= round && round <= TURN_MAX {
            return usize::MAX;
        }
        self.people_within(self.credit.min(TURN_MAX))
    }

    /// Whether a round of this is more than one turn may tell.
    pub(in crate::hub) fn needs_turns(&self, waiting: Waiting) -> bool {
        self.round_takes(waiting) > TURN_MAX
    }

    /// How many people can be told in one turn; where nothing is known of what that costs, all.
    fn people_within_a_turn(&self) -> usize {
        if self.cost().is_zero() {
            usize::MAX
        } else {
            self.people_within(TURN_MAX)
        }
    }

    /// How many may be told in a turn in which something is to be told in this many rooms.
    pub(in crate::hub) fn share_of(&self, rooms: usize) -> usize {
        if rooms < 2 || self.cost().is_zero() {
            return usize::MAX;
        }
        let share = TURN_MAX / u32::try_from(rooms).unwrap_or(u32::MAX);
        self.people_within(share.max(WORTH_WAITING))
    }

    /// How many people can be told in this time; one send alone may take longer.
    fn people_within(&self, time: Duration) -> usize {
        let people = time.as_nanos() / self.cost().as_nanos().max(1);
        usize::try_from(people).unwrap_or(usize::MAX).max(1)
    }

    /// When somebody may be told next.
    pub(in crate::hub) fn due_at(&self, waiting: Waiting, now: Instant) -> Instant {
        let Some(delay_max) = self.worth_pacing(waiting) else {
            return now;
        };
        let credit = self.credit_at(waiting, delay_max, now);
        let missing = self.step(waiting).saturating_sub(credit);
        let paid_at = if missing.is_zero() {
            now
        } else {
            let (round, period) = (self.round_takes(waiting), self.period(waiting, delay_max));
            // Not a moment too soon.
            now + scaled(missing, period, round) + Duration::from_nanos(1)
        };
        paid_at.max(self.presence_until(waiting, delay_max, now))
    }

    /// `told` of the `people` of a round were told, and it `took` this long.
    pub(in crate::hub) fn told(&mut self, told: usize, people: usize, took: Duration) {
        self.presence_waits_since = None;
        let count = |people| u32::try_from(people).unwrap_or(u32::MAX);
        self.credit = self.credit.saturating_sub(self.cost() * count(told));
        self.round = (self.round.0 + told, self.round.1 + took);
        let (told, took) = self.round;
        // Who said it is not told.
        if told + 1 >= people {
            self.costs.rotate_right(1);
            let cost = (took / count(told).max(1)).as_nanos();
            self.costs[0] = u32::try_from(cost).unwrap_or(u32::MAX);
            self.round = (0, Duration::ZERO);
        }
    }

    /// The longest delay, if there may be any and a round takes long enough.
    fn worth_pacing(&self, waiting: Waiting) -> Option<Duration> {
        let is_slow = self.round_takes(waiting) >= WORTH_WAITING;
        self.delay_max.filter(|_| is_slow && !waiting.is_urgent)
    }

    /// What it costs to tell one person. A round that was interrupted by something else does not tell.
    fn cost(&self) -> Duration {
        let known = self.costs.iter().filter(|cost| **cost > 0);
        Duration::from_nanos(known.min().map_or(0, |cost| u64::from(*cost)))
    }

    fn round_takes(&self, waiting: Waiting) -> Duration {
        self.cost() * u32::try_from(waiting.people).unwrap_or(u32::MAX)
    }

    /// What is paid for at once, which is one person at least. At a third of the time, [`WORTH_WAITING`] passes between two.
    fn step(&self, waiting: Waiting) -> Duration {
        let step = self.round_takes(waiting) / STEPS;
        step.max(WORTH_WAITING / 3).max(self.cost())
    }

    /// How long a round is to take under load.
    fn period(&self, waiting: Waiting, delay_max: Duration) -> Duration {
        let lines = u32::try_from(waiting.lines).unwrap_or(u32::MAX);
        let round = self.round_takes(waiting);
        // Without a pace a line waits for its own round, and for another one that is under way when it comes; but if only
        // a few are on their way, hardly any comes so early.
        let at_once = if lines > FEW_LINES { 2 * round } else { round };
        // The last step begins a part of the round later.
        let longest = (at_once + delay_max) * STEPS / (STEPS + 1);
        let lines = match lines {
            1 => LONE_LINE,
            _ => lines.clamp(FEW_LINES, LINES_MAX),
        };
        (round * (lines + OTHERS) / lines).min(longest.max(round))
    }

    fn credit_at(&self, waiting: Waiting, delay_max: Duration, now: Instant) -> Duration {
        let round = self.round_takes(waiting);
        let full = CREDIT_ROUNDS * round;
        self.counted_at.map_or(full, |counted_at| {
            let period = self.period(waiting, delay_max);
            let time = now.saturating_duration_since(counted_at);
            full.min(self.credit + scaled(time, round, period))
        })
    }

    /// People seldom leave alone, and those who leave need not be told who else does.
    fn presence_until(&self, waiting: Waiting, delay_max: Duration, now: Instant) -> Instant {
        match self.somebody_left_at.filter(|_| waiting.is_presence) {
            None => now,
            Some(left_at) => {
                let waits_since = self.presence_waits_since.unwrap_or(now);
                (waits_since + PRESENCE_WAITS).min(left_at + delay_max)
            }
        }
    }
}

/// `time * by / of`
fn scaled(time: Duration, by: Duration, of: Duration) -> Duration {
    let nanos = time.as_nanos() * by.as_nanos() / of.as_nanos().max(1);
    Duration::from_nanos(nanos as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;

    const PEOPLE: usize = 1000;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const fn chat(lines: usize) -> Waiting {
        Waiting {
            lines,
            people: PEOPLE,
            is_presence: false,
            is_urgent: false,
        }
    }

    const fn presence(lines: usize) -> Waiting {
        Waiting {
            is_presence: true,
            ..chat(lines)
        }
    }

    /// A pace that knows what a round takes, and has just spent all of its credit.
    fn paced(round: Duration, delay_max: Option<Duration>) -> (Pace, Instant) {
        let (mut pace, now) = (Pace::new(delay_max), outset());
        assert_eq!(
            pace.allows(Some(chat(1)), now),
            usize::MAX,
            "nothing is known"
        );
        pace.told(PEOPLE, PEOPLE, round);
        assert!(pace.allows(Some(chat(1)), now) > 0, "nothing was paced");
        for _ in 0..CREDIT_ROUNDS {
            pace.told(PEOPLE, PEOPLE, round);
        }
        (pace, now)
    }

    /// Tells rounds of `lines` lines, one right after the other; gives how long one takes.
    fn average_round(pace: &mut Pace, lines: usize, began_at: Instant) -> Duration {
        const ROUNDS: u32 = 20;
        let cost = pace.cost();
        let (mut now, mut told) = (began_at, 0);
        while told < PEOPLE * ROUNDS as usize {
            now = pace.due_at(chat(lines), now);
            let people = pace.allows(Some(chat(lines)), now);
            assert!((1..PEOPLE).contains(&people), "{people} when it is due");
            let sending = cost * people as u32;
            pace.told(people, PEOPLE, sending);
            now += sending;
            told += people;
        }
        (now - began_at) / ROUNDS
    }

    #[test]
    fn under_load_a_round_is_as_slow_as_few_lines_wait() {
        for (lines, period) in [(1, 28), (2, 45), (3, 45), (9, 28), (126, 15)] {
            let (mut pace, now) = paced(ms(14), Some(ms(100)));
            let took = average_round(&mut pace, lines, now);
            assert!(
                took.abs_diff(ms(period)) <= ms(1),
                "{lines} lines: {took:?}"
            );
        }
    }

    #[test]
    fn people_are_told_a_few_at_a_time() {
        let (mut pace, mut now) = paced(ms(160), Some(ms(1000)));
        for _ in 0..32 {
            let due_at = pace.due_at(chat(9), now);
            assert!((due_at - now).abs_diff(ms(20)) < ms(1));
            let too_soon = now + ms(18);
            assert_eq!(pace.allows(Some(chat(9)), too_soon), 0);
            now = pace.due_at(chat(9), too_soon);
            let told = pace.allows(Some(chat(9)), now);
            assert_eq!(told, PEOPLE / 16);
            pace.told(told, PEOPLE, ms(10));
        }
    }

    #[test]
    fn what_is_due_is_allowed_however_long_one_send_takes() {
        let few = Waiting {
            people: 3,
            ..chat(1)
        };
        let (mut pace, now) = (Pace::new(Some(ms(100))), outset());
        pace.told(3, 3, ms(9));
        assert_eq!(pace.allows(Some(few), now), usize::MAX);
        for _ in 0..CREDIT_ROUNDS {
            pace.told(3, 3, ms(9));
        }
        let due_at = pace.due_at(few, now);
        assert!(due_at > now);
        assert_eq!(pace.allows(Some(few), due_at), 1);
    }

    #[test]
    fn after_a_quiet_time_a_line_is_with_everybody_at_once() {
        let (mut pace, now) = paced(ms(7), Some(ms(100)));
        let lone = chat(1);
        assert!(pace.allows(Some(lone), now + ms(13)) < PEOPLE);
        assert_eq!(pace.allows(Some(lone), now + ms(15)), usize::MAX);
        pace.told(PEOPLE, PEOPLE, ms(7));
        let later = now + Duration::from_secs(86_400);
        assert_eq!(pace.due_at(lone, later), later);
        let earlier = now + Duration::from_secs(3_600);
        assert_eq!(pace.allows(Some(lone), earlier), usize::MAX);
        for _ in 0..CREDIT_ROUNDS {
            assert_eq!(pace.allows(Some(lone), later), usize::MAX);
            pace.told(PEOPLE, PEOPLE, ms(7));
        }
        assert_eq!(pace.allows(Some(lone), later), 0, "it is paid for");
    }

    /// When everybody has heard lines that come at these times, each counted from when it came.
    fn delays(pace: &mut Pace, cost: Duration, came: &[Duration]) -> Vec<Duration> {
        let mut delays = vec![Duration::ZERO; came.len()];
        let (mut now, mut next) = (Duration::ZERO, 0);
        // What the round drops at its end, which lines each has heard, and who is told next.
        let (mut told_all, mut round_from, mut heard, mut at) = (0, 0, vec![0; PEOPLE], 0);
        while told_all < came.len() {
            while came.get(next).is_some_and(|came| *came <= now) {
                next += 1;
            }
            let mut most = 0;
            if told_all < next {
                let clock = outset() + now;
                most = pace.allows(Some(chat(next - told_all)), clock);
                if most == 0 {
                    let due_at = pace.due_at(chat(next - told_all), clock) - outset();
                    let comes = came.get(next).copied().unwrap_or(Duration::MAX);
                    now = due_at.min(comes);
                    continue;
                }
            } else {
                now = came[next];
            }
            let mut told = 0;
            while told < most && told_all < next {
                if at == 0 {
                    round_from = next;
                }
                if heard[at] < next {
                    now += cost;
                    told += 1;
                    heard[at] = next;
                    let all_heard = *heard.iter().min().expect("there are people");
                    for line in 0..all_heard {
                        if delays[line].is_zero() {
                            delays[line] = now.saturating_sub(came[line]);
                        }
                    }
                }
                at = (at + 1) % PEOPLE;
                if at == 0 {
                    told_all = round_from;
                }
            }
            pace.told(told, PEOPLE, cost * told as u32);
        }
        delays
    }

    #[test]
    fn no_turn_tells_all_of_a_huge_room() {
        let (mut pace, now) = paced(ms(160), Some(ms(100)));
        let later = now + ms(1000);
        for _ in 0..15 {
            assert_eq!(pace.due_at(chat(1), later), later);
            assert_eq!(pace.allows(Some(chat(1)), later), PEOPLE / 16);
            pace.told(PEOPLE / 16, PEOPLE, ms(10));
        }
    }

    #[test]
    fn a_line_is_not_later_than_it_may_be() {
        for (round, every, delay) in [
            (120, 23, 100),
            (120, 53, 100),
            (120, 127, 100),
            (120, 151, 1),
            (120, 199, 100),
            (120, 263, 100),
            (400, 97, 100),
            (400, 443, 100),
            (10, 3, 5),
            (10, 13, 100),
        ] {
            let cost = ms(round) / PEOPLE as u32;
            let came: Vec<Duration> = (0..40).map(|line| ms(line * every)).collect();
            let delays_max = |delay_max| {
                let mut pace = Pace::new(delay_max);
                pace.told(PEOPLE, PEOPLE, ms(round));
                delays(&mut pace, cost, &came).into_iter().max().unwrap()
            };
            let (paced, at_once) = (delays_max(Some(ms(delay))), delays_max(None));
            assert!(
                paced <= at_once + ms(delay),
                "a line every {every} ms, {round} ms a round: {paced:?} instead of {at_once:?}"
            );
        }
    }

    #[test]
    fn one_slow_round_is_no_reason_to_slow_down() {
        let (mut pace, _) = paced(ms(14), Some(ms(100)));
        for (took, known) in [(90, 14), (70, 70), (14, 14), (40, 14), (30, 30)] {
            pace.told(PEOPLE, PEOPLE, ms(took));
            assert_eq!(pace.round_takes(chat(1)), ms(known));
        }
    }

    #[test]
    fn a_room_that_has_shrunk_is_not_slow_for_ever() {
        let (mut pace, now) = paced(ms(140), Some(ms(100)));
        let few = Waiting {
            people: 5,
            ..chat(1)
        };
        assert_eq!(pace.due_at(few, now), now);
        assert_eq!(pace.allows(Some(few), now), usize::MAX);
    }

    #[test]
    fn small_rooms_and_what_is_urgent_and_those_who_switched_it_off_never_wait() {
        let urgent = Waiting {
            is_urgent: true,
            ..presence(1)
        };
        let all = usize::MAX;
        for (round, delay_max, waiting, told) in [
            (Duration::from_micros(900), Some(ms(100)), presence(1), all),
            (ms(80), None, presence(1), all),
            // However urgent it is, others are served in between.
            (ms(80), Some(ms(100)), urgent, PEOPLE / 8),
        ] {
            let (mut pace, now) = paced(round, delay_max);
            pace.note_leave(now);
            assert_eq!(pace.due_at(waiting, now), now);
            assert_eq!(pace.allows(Some(waiting), now), told);
        }
    }

    #[test]
    fn presence_waits_for_those_who_leave_but_not_for_ever() {
        let (mut pace, now) = paced(ms(2), Some(ms(100)));
        let begins_at = now + ms(5000);
        for left in [0, 90, 180, 270, 360, 450] {
            let now = begins_at + ms(left);
            pace.note_leave(now);
            assert_eq!(pace.allows(Some(presence(3)), now), 0);
            assert_eq!(pace.due_at(presence(3), now), now + ms(100), "more leave");
            assert_eq!(pace.due_at(chat(3), now), now, "chat does not wait");
        }
        let late = begins_at + ms(950);
        pace.note_leave(late);
        assert_eq!(pace.due_at(presence(3), late), begins_at + ms(1000));
        assert_eq!(
            pace.allows(Some(presence(3)), begins_at + ms(1000)),
            usize::MAX
        );
        pace.told(PEOPLE, PEOPLE, ms(2));
        // All was told, and later others leave.
        let later = begins_at + ms(9000);
        pace.note_leave(later);
        assert_eq!(pace.allows(Some(presence(1)), later), 0);
        assert_eq!(pace.due_at(presence(1), later), later + ms(100));
    }
}
