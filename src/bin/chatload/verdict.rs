//! Whether a round passed, and if not, why.

use std::time::Duration;

use crate::closed_loop::ClosedLoop;
use crate::crowd::Outcome;
use crate::rooms;
use crate::subject::Holdings;

/// Of the rounds after the first, half at least must leave memory no further above the round before than this. One that
/// needs more than any before may leave more behind, for allocators give back when they like; a leak grows in every
/// round.
pub(crate) const RESIDENT_GROWTH_MAX: u64 = 1024 * 1024;
/// The same for the live bytes of the heap.
pub(crate) const HEAP_GROWTH_MAX: u64 = 64 * 1024;

/// From this round on memory is judged: with only one round behind the first, nothing tells a leak from a peak.
pub(crate) const FIRST_JUDGED_ROUND: u32 = 3;

/// All that is known of one round.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) number: u32,
    pub(crate) outcome: Outcome,
    pub(crate) closed_loop: ClosedLoop,
    /// Of each process that is watched.
    pub(crate) cpu: Option<Vec<Duration>>,
    /// How many these are.
    pub(crate) processes: usize,
    pub(crate) before: Holdings,
    pub(crate) after: Holdings,
    /// The reasons why it did not pass; none if it did.
    pub(crate) faults: Vec<String>,
}

impl Round {
    /// Finds the reasons why it did not pass, after those `earlier` rounds.
    pub(crate) fn judge(&mut self, earlier: &[Round]) {
        let mut faults = self.outcome.faults();
        faults.extend(self.closed_loop.faults.iter().cloned());
        faults.extend(self.unreported());
        faults.extend(self.left_over());
        faults.extend(self.growth(earlier));
        self.faults = faults;
    }

    /// A server whose log is seen must report what it holds: of one that never does, nothing could differ.
    fn unreported(&self) -> Option<String> {
        let is_silent = |held: &Holdings| held.reported().contains(&None);
        let is_fault =
            self.closed_loop.there.is_some() && (is_silent(&self.before) || is_silent(&self.after));
        is_fault.then(|| "the server did not report what it holds".to_owned())
    }

    /// What is still held when all have gone.
    fn left_over(&self) -> impl Iterator<Item = String> + '_ {
        self.after
            .counts()
            .into_iter()
            .zip(self.before.counts())
            .filter(|((_, after), (_, before))| after != before)
            .map(|((what, after), (_, before))| {
                let told =
                    |count: Option<u64>| count.map_or("unknown".to_owned(), |n| n.to_string());
                format!("{what}: {} before, {} after", told(before), told(after))
            })
    }

    fn growth(&self, earlier: &[Round]) -> Vec<String> {
        if self.number < FIRST_JUDGED_ROUND {
            return Vec::new();
        }
        let held: Vec<_> = earlier
            .iter()
            .chain([self])
            .map(|round| round.after.memory())
            .collect();
        let bounds = [RESIDENT_GROWTH_MAX, HEAP_GROWTH_MAX]
            .into_iter()
            .enumerate();
        let faults = bounds.filter_map(|(kind, most)| {
            let levels: Option<Vec<u64>> = held.iter().map(|memory| memory[kind].1).collect();
            let growth = median_growth(&levels?);
            let most = most * self.processes as u64;
            let (what, _) = self.after.memory()[kind];
            (growth > most).then(|| {
                format!("{what} memory grows by {growth} bytes a round; {most} are allowed")
            })
        });
        faults.collect()
    }
}

/// By how much each level is above the one before: the median, and of two in the middle the lower one.
fn median_growth(levels: &[u64]) -> u64 {
    let mut growths: Vec<u64> = levels
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    growths.sort_unstable();
    match growths.len() {
        0 => 0,
        many => growths[(many - 1) / 2],
    }
}

impl Outcome {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.connected < self.seats {
            faults.push(format!(
                "{} of {} clients connected",
                self.connected, self.seats
            ));
        }
        if self.lost.all > 0 {
            let between = match self.lost.between_servers {
                0 => String::new(),
                count => format!(", {count} of them from one server to another"),
            };
            faults.push(format!("{} deliveries lost{between}", self.lost.all));
        }
        for (count, what) in [
            (self.duplicated, "duplicated"),
            (self.out_of_order, "out of order"),
        ] {
            if count > 0 {
                faults.push(format!("{count} deliveries {what}"));
            }
        }
        if let Some(leak) = self.first_leak {
            let [said, heard] = leak.map(|room| rooms::name(room).unwrap_or("lobby".to_owned()));
            let count = self.leaked;
            faults.push(format!(
                "{count} heard in a wrong room, the first one said in {said} and heard in {heard}"
            ));
        }
        let troubles = self.troubles.iter();
        faults.extend(troubles.map(|(what, count)| format!("{count} x {what}")));
        faults
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::closed_loop::ServersBook;
    use crate::tally::Lost;

    const MIB: u64 = 1024 * 1024;

    fn round(number: u32, resident_bytes: u64) -> Round {
        let held = Holdings {
            descriptors: Some(10),
            sessions: Some(0),
            resident_bytes: Some(resident_bytes),
            ..Holdings::default()
        };
        Round {
            number,
            outcome: Outcome {
                seats: 2,
                connected: 2,
                sent: 2,
                expected: 2,
                received: 2,
                lost: Lost::default(),
                duplicated: 0,
                out_of_order: 0,
                leaked: 0,
                first_leak: None,
                latency_us: [1; 4],
                talk: Duration::from_secs(1),
                troubles: BTreeMap::new(),
            },
            closed_loop: ClosedLoop::default(),
            cpu: None,
            processes: 1,
            before: held.clone(),
            after: held,
            faults: Vec::new(),
        }
    }

    /// The faults of the last round that leaves this.
    fn judged(levels: &[u64]) -> Vec<String> {
        let mut rounds = Vec::new();
        for (number, level) in (1..).zip(levels) {
            let mut round = round(number, *level);
            round.judge(&rounds);
            rounds.push(round);
        }
        rounds.pop().expect("there is one").faults
    }

    #[test]
    fn a_round_in_which_all_is_well_passes() {
        assert_eq!(judged(&[MIB]), Vec::<String>::new());
    }

    #[test]
    fn a_peak_is_no_leak_and_steady_growth_is_one() {
        assert_eq!(judged(&[MIB, 9 * MIB]), Vec::<String>::new());
        assert_eq!(judged(&[MIB, MIB, 9 * MIB, 9 * MIB]), Vec::<String>::new());
        assert_eq!(
            judged(&[MIB, 3 * MIB, 5 * MIB]),
            ["resident memory grows by 2097152 bytes a round; 1048576 are allowed"]
        );
        assert_eq!(judged(&[4 * MIB, 3 * MIB, 2 * MIB]), Vec::<String>::new());
    }

    #[test]
    fn of_several_processes_each_may_grow_as_much_as_one() {
        let mut rounds = [round(1, MIB), round(2, 3 * MIB), round(3, 5 * MIB)];
        let [first, second, third] = &mut rounds;
        third.processes = 2;
        third.judge(&[first.clone(), second.clone()]);
        assert_eq!(third.faults, Vec::<String>::new());
        third.processes = 1;
        third.judge(&[first.clone(), second.clone()]);
        assert_eq!(third.faults.len(), 1);
    }

    #[test]
    fn what_is_left_over_is_named() {
        let mut round = round(1, MIB);
        round.after.descriptors = Some(11);
        round.after.sessions = None;
        round.judge(&[]);
        assert_eq!(
            round.faults,
            [
                "descriptors: 10 before, 11 after",
                "sessions: 0 before, unknown after"
            ]
        );
    }

    #[test]
    fn a_server_that_could_report_and_does_not_is_named() {
        let mut round = round(1, MIB);
        assert_eq!(round.before.names, None);
        round.judge(&[]);
        assert_eq!(round.faults, Vec::<String>::new(), "its log is not seen");
        round.closed_loop.there = Some(ServersBook::default());
        round.judge(&[]);
        assert_eq!(round.faults, ["the server did not report what it holds"]);
    }

    #[test]
    fn a_leak_between_rooms_is_named() {
        let mut round = round(1, MIB);
        round.outcome.leaked = 2;
        round.outcome.first_leak = Some([1, rooms::LOBBY]);
        round.judge(&[]);
        let named = rooms::name(1).expect("it is not the lobby");
        let leak =
            format!("2 heard in a wrong room, the first one said in {named} and heard in lobby");
        assert_eq!(round.faults, [leak]);
    }

    #[test]
    fn what_went_wrong_with_deliveries_and_clients_is_named() {
        let mut round = round(1, MIB);
        round.outcome.lost.all = 3;
        round.outcome.connected = 1;
        round
            .outcome
            .troubles
            .insert("lost its connection: left".to_owned(), 2);
        round.judge(&[]);
        assert_eq!(
            round.faults,
            [
                "1 of 2 clients connected",
                "3 deliveries lost",
                "2 x lost its connection: left"
            ]
        );
        round.outcome.lost.between_servers = 2;
        round.judge(&[]);
        let lost = "3 deliveries lost, 2 of them from one server to another";
        assert_eq!(round.faults[1], lost);
    }
}
