//! What the server is measured by: one table, from which the text for Prometheus is made, and what operators are told.
//!
//! Every series is there from the start. No label has a name, an address, a number or a room in it: so nobody can make
//! their number grow.

mod series;
mod state;
mod table;

use std::fmt::Write;

use table::{Metric, METRICS};

pub(super) use state::{Extras, RelayState, Reload, State};

impl State {
    /// The text that Prometheus reads: the exposition format 0.0.4.
    pub(super) fn prometheus(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        for metric in METRICS {
            let Metric { name, help, .. } = metric;
            let kind = metric.kind.word();
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            metric.measure(self, |name, labels, value| {
                let _ = write!(text, "{name}");
                for (index, (label, value)) in labels.iter().enumerate() {
                    let before = if index == 0 { '{' } else { ',' };
                    let _ = write!(text, "{before}{label}=\"{value}\"");
                }
                let after = if labels.is_empty() { "" } else { "}" };
                let _ = writeln!(text, "{after} {value}");
            });
        }
        text
    }

    /// The same as an operator is told it: `chatd_opens_total{dialect=telnet}=3`, one series a line.
    pub(super) fn stats(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for metric in METRICS {
            metric.measure(self, |name, labels, value| {
                let labels: Vec<String> = labels
                    .iter()
                    .map(|(label, value)| format!("{label}={value}"))
                    .collect();
                lines.push(match labels.as_slice() {
                    [] => format!("{name}={value}"),
                    labels => format!("{name}{{{}}}={value}", labels.join(",")),
                });
            });
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use std::time::Duration;

    use super::*;
    use crate::histogram::Bound;
    use crate::hub::DELIVERY_BOUNDS;
    use crate::server::meter::{Phase, TURN_BOUNDS};

    /// The table of docs/metrics.md.
    fn documented() -> Vec<&'static str> {
        let text = include_str!("../../docs/metrics.md");
        let (_, table) = text.split_once("## What is measured").expect("a heading");
        let rows = table.lines().skip_while(|line| !line.starts_with("|---"));
        let rows = rows.skip(1).take_while(|line| !line.is_empty());
        let is_here = |row: &&str| cfg!(feature = "tls") || !row.starts_with("| `chatd_tls_");
        rows.filter(is_here).collect()
    }

    #[test]
    fn the_documentation_tells_of_each_metric() {
        let rows = METRICS.iter().map(|metric| {
            let Metric {
                name, labels, help, ..
            } = metric;
            let kind = metric.kind.word();
            format!("| `{name}` | {kind} | {labels} | {help} |")
        });
        assert_eq!(documented(), rows.collect::<Vec<_>>());
    }

    #[test]
    fn a_series_has_its_labels_in_either_form() {
        let mut state = State::default();
        state.hub.opens = [3, 1, 0, 0];
        state.hub.sessions = [[2, 0, 1], [0; 3], [0; 3], [0; 3]];
        state.phases[Phase::Flush as usize] = Duration::from_micros(1500);
        state.turns.add(Duration::from_millis(2), &TURN_BOUNDS);
        let (text, lines) = (state.prometheus(), state.stats());
        for (line, stat) in [
            (
                "chatd_opens_total{dialect=\"telnet\"} 3",
                "chatd_opens_total{dialect=telnet}=3",
            ),
            (
                "chatd_sessions{dialect=\"telnet\",state=\"lingering\"} 1",
                "chatd_sessions{dialect=telnet,state=lingering}=1",
            ),
            (
                "chatd_phase_seconds_total{phase=\"flush\"} 0.0015",
                "chatd_phase_seconds_total{phase=flush}=0.0015",
            ),
            (
                "chatd_turn_seconds_bucket{le=\"0.001\"} 0",
                "chatd_turn_seconds_bucket{le=0.001}=0",
            ),
            (
                "chatd_turn_seconds_bucket{le=\"0.0025\"} 1",
                "chatd_turn_seconds_bucket{le=0.0025}=1",
            ),
            (
                "chatd_turn_seconds_bucket{le=\"+Inf\"} 1",
                "chatd_turn_seconds_bucket{le=+Inf}=1",
            ),
            (
                "chatd_turn_seconds_sum 0.002",
                "chatd_turn_seconds_sum=0.002",
            ),
            ("chatd_rooms 0", "chatd_rooms=0"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
            assert!(
                lines.iter().any(|found| found == stat),
                "{stat}\n{lines:#?}"
            );
        }
        let series = text.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(series.count(), lines.len());
        let names: BTreeSet<&str> = lines
            .iter()
            .filter_map(|stat| Some(stat.rsplit_once('=')?.0))
            .collect();
        assert_eq!(names.len(), lines.len(), "a series is there twice");
    }

    #[test]
    fn bounds_are_written_as_they_are() {
        for Bound(micros, le) in TURN_BOUNDS.iter().chain(&DELIVERY_BOUNDS) {
            let seconds = Duration::from_micros((*micros).into()).as_secs_f64();
            assert_eq!(&seconds.to_string(), le);
        }
    }

    #[test]
    fn a_reload_that_fails_leaves_when_one_last_went_well() {
        let mut reload = Reload::default();
        let told = |reload: Reload| (reload.is_good, reload.good_at);
        assert_eq!(told(reload), (true, 0));
        reload.note(false, 5);
        assert_eq!(told(reload), (false, 0));
        reload.note(true, 7);
        reload.note(false, 9);
        assert_eq!(told(reload), (false, 7));
    }
}
