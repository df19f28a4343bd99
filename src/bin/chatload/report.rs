//! The report: for people, as JSON, or as CSV.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use serde_json::{json, Map, Value};

use crate::crowd::QUANTILES;
use crate::figures::{grouped, kibibytes};
use crate::options::{Format, Options};
use crate::subject::Holdings;
use crate::verdict::{Round, FIRST_JUDGED_ROUND, HEAP_GROWTH_MAX, RESIDENT_GROWTH_MAX};

/// Where a number could not be seen.
const UNSEEN: &str = "not seen";

/// All rounds and what became of them.
pub(crate) struct Report<'a> {
    pub(crate) options: &'a Options,
    /// Where the servers listened.
    pub(crate) address: String,
    /// What could not be watched, and why.
    pub(crate) blind: Option<&'static str>,
    pub(crate) rounds: &'a [Round],
    /// How a server of our own has ended.
    pub(crate) ending: io::Result<()>,
}

impl Report<'_> {
    pub(crate) fn show(&self) -> String {
        match self.options.format {
            Format::Text => self.text(),
            Format::Json => format!("{:#}\n", self.json()),
            Format::Csv => self.csv(),
        }
    }

    /// Whether all is as it should be.
    pub(crate) fn has_passed(&self) -> bool {
        self.ending.is_ok() && self.rounds.iter().all(|round| round.faults.is_empty())
    }

    /// Why it is not.
    pub(crate) fn faults(&self) -> Vec<String> {
        let of_round = |round: &Round| {
            let number = round.number;
            let faults = round.faults.iter();
            let told = faults.map(|fault| format!("round {number}: {fault}"));
            told.collect::<Vec<_>>()
        };
        let ending = self.ending.as_ref().err();
        let ending = ending.map(|error| format!("the server ended badly: {error}"));
        self.rounds
            .iter()
            .flat_map(of_round)
            .chain(ending)
            .collect()
    }

    fn text(&self) -> String {
        let options = self.options;
        let mut out = format!(
            "{} clients{}, {} messages of {} bytes each, every {} to {} s, seed {}\nagainst {}\n",
            grouped(options.clients as u64),
            match options.rooms {
                1 => String::new(),
                rooms => format!(" in {} rooms", grouped(rooms as u64)),
            },
            options.messages,
            options.message_bytes,
            options.interval_min.as_secs_f64(),
            options.interval_max.as_secs_f64(),
            options.seed,
            self.address,
        );
        if let Some(blind) = self.blind {
            let _ = writeln!(out, "{blind}");
        }
        for round in self.rounds {
            let _ = writeln!(out, "\nround {} of {}", round.number, options.rounds);
            round.describe(options.rooms, &mut out);
        }
        let _ = writeln!(out, "\n{}\n", legend(options));
        let faults = self.faults();
        for fault in &faults {
            let _ = writeln!(out, "{fault}");
        }
        let _ = writeln!(out, "{}", verdict(&faults));
        out
    }

    fn json(&self) -> Value {
        let options = self.options;
        let faults = self.faults();
        json!({
            "verdict": verdict(&faults),
            "reasons": faults,
            "server": self.address,
            "not_watched": self.blind,
            "clients": options.clients,
            "rooms": options.rooms,
            "messages": options.messages,
            "message_bytes": options.message_bytes,
            "interval_seconds": [options.interval_min.as_secs_f64(), options.interval_max.as_secs_f64()],
            "seed": options.seed,
            "stall": options.stall,
            "abort": options.abort,
            "churn": options.churn,
            "storm": options.storm,
            "rounds": self.rounds.iter().map(Round::fields).collect::<Vec<_>>(),
        })
    }

    /// The same fields as in JSON, flat.
    fn csv(&self) -> String {
        let mut out = String::new();
        for (index, round) in self.rounds.iter().enumerate() {
            let mut columns = Vec::new();
            flatten("", &round.fields(), &mut columns);
            let joined = |of: fn(&(String, String)) -> &String| {
                let fields: Vec<&str> = columns.iter().map(|column| of(column).as_str()).collect();
                fields.join(",")
            };
            if index == 0 {
                let _ = writeln!(out, "{}", joined(|column| &column.0));
            }
            let _ = writeln!(out, "{}", joined(|column| &column.1));
        }
        out
    }
}

impl Round {
    fn deliveries_per_second(&self) -> u64 {
        let milliseconds = self.outcome.talk.as_millis().max(1) as u64;
        self.outcome.received * 1000 / milliseconds
    }

    fn describe(&self, rooms: usize, out: &mut String) {
        let outcome = &self.outcome;
        let connected = [outcome.connected, outcome.seats].map(|count| grouped(count as u64));
        let [expected, received, lost, duplicated, out_of_order] = [
            outcome.expected,
            outcome.received,
            outcome.lost.all,
            outcome.duplicated,
            outcome.out_of_order,
        ]
        .map(grouped);
        let leaked = match rooms {
            1 => String::new(),
            _ => format!(", {} in a wrong room", grouped(outcome.leaked)),
        };
        let latency: Vec<String> = QUANTILES
            .iter()
            .zip(outcome.latency_us)
            .map(|((what, _), us)| format!("{what} {:.1} ms", us as f64 / 1000.0))
            .collect();
        let rate = grouped(self.deliveries_per_second());
        let cpu = self.cpu.as_ref().map(|cpu| {
            let each = cpu.iter().map(|cpu| format!("{:.2} s", cpu.as_secs_f64()));
            each.collect::<Vec<_>>().join(" and ")
        });
        let book = &self.closed_loop;
        let [opens, closes] = [book.opens_here, book.closes_here].map(grouped);
        let there = book.there.as_ref().map(|there| {
            let closes: u64 = there.closes.values().sum();
            let reasons = there.closes.iter();
            let reasons: Vec<String> = reasons
                .map(|(why, count)| format!("{why} {count}"))
                .collect();
            let (opens, closes) = (grouped(there.opens), grouped(closes));
            format!("{opens} opens, {closes} closes: {}", reasons.join(", "))
        });
        let unseen = || UNSEEN.to_owned();
        for (what, text) in [
            ("connected", connected.join(" of ")),
            ("sent", grouped(outcome.sent)),
            (
                "deliveries",
                format!(
                    "{expected} expected, {received} received: {lost} lost, {duplicated} duplicated, {out_of_order} out of order{leaked}"
                ),
            ),
            ("latency", latency.join(", ")),
            (
                "rate",
                format!("{rate} deliveries a second, for {:.1} s", outcome.talk.as_secs_f64()),
            ),
            ("server CPU", cpu.unwrap_or_else(unseen)),
            ("clients", format!("{opens} opens, {closes} closes")),
            ("server", there.unwrap_or_else(unseen)),
        ] {
            let _ = writeln!(out, "  {what:<13} {text}");
        }
        self.describe_rest(out);
    }

    /// What was held before and after.
    fn describe_rest(&self, out: &mut String) {
        let _ = writeln!(out, "  {:<13} {:>12} {:>12}", "at rest", "before", "after");
        let mut row = |what: &str, ends: [Option<u64>; 2], told: fn(u64) -> String| {
            let [before, after] = ends.map(|end| end.map_or(UNSEEN.to_owned(), told));
            let _ = writeln!(out, "    {what:<11} {before:>12} {after:>12}");
        };
        for ((what, before), (_, after)) in
            self.before.counts().into_iter().zip(self.after.counts())
        {
            row(what, [before, after], grouped);
        }
        for ((what, before), (_, after)) in
            self.before.memory().into_iter().zip(self.after.memory())
        {
            if before.is_some() || after.is_some() {
                row(what, [before, after], kibibytes);
            }
        }
    }

    fn fields(&self) -> Value {
        let outcome = &self.outcome;
        let book = &self.closed_loop;
        let there = book.there.as_ref();
        let closes = there.map(|there| there.closes.values().sum::<u64>());
        let cpu = self.cpu.as_ref().map(|cpu| cpu.iter().sum::<Duration>());
        let latency_us: Map<String, Value> = QUANTILES
            .iter()
            .zip(outcome.latency_us)
            .map(|((what, _), us)| (what.replace('.', "_"), us.into()))
            .collect();
        json!({
            "round": self.number,
            "verdict": verdict(&self.faults),
            "connected": outcome.connected,
            "sent": outcome.sent,
            "expected": outcome.expected,
            "received": outcome.received,
            "lost": outcome.lost.all,
            "lost_between_servers": outcome.lost.between_servers,
            "duplicated": outcome.duplicated,
            "out_of_order": outcome.out_of_order,
            "leaked": outcome.leaked,
            "latency_us": latency_us,
            "seconds": outcome.talk.as_secs_f64(),
            "deliveries_per_second": self.deliveries_per_second(),
            "server_cpu_seconds": cpu.map(|cpu| cpu.as_secs_f64()),
            "client_opens": book.opens_here,
            "client_closes": book.closes_here,
            "server_opens": there.map(|there| there.opens),
            "server_closes": closes,
            "before": held(&self.before),
            "after": held(&self.after),
        })
    }
}

fn verdict(faults: &[String]) -> &'static str {
    if faults.is_empty() {
        "PASS"
    } else {
        "FAIL"
    }
}

fn held(holdings: &Holdings) -> Value {
    json!({
        "descriptors": holdings.descriptors,
        "threads": holdings.threads,
        "sessions": holdings.sessions,
        "names": holdings.names,
        "queued_bytes": holdings.queued_bytes,
        "close_wait": holdings.close_wait,
        "resident_bytes": holdings.resident_bytes,
        "heap_bytes": holdings.heap_bytes,
    })
}

/// Names and values of all fields, those within others as `outer_inner`. None has a comma in it.
fn flatten(outer: &str, value: &Value, columns: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = if outer.is_empty() {
                    name.clone()
                } else {
                    format!("{outer}_{name}")
                };
                flatten(&name, value, columns);
            }
        }
        Value::Null => columns.push((outer.to_owned(), String::new())),
        Value::String(text) => columns.push((outer.to_owned(), text.clone())),
        value => columns.push((outer.to_owned(), value.to_string())),
    }
}

/// What the report cannot say beside its numbers.
fn legend(options: &Options) -> String {
    let memory = if options.rounds < FIRST_JUDGED_ROUND {
        format!("Memory is judged from round {FIRST_JUDGED_ROUND} on.")
    } else {
        format!(
            "Memory may grow by {} resident and {} of heap a round{}, in the median of those after the first.",
            kibibytes(RESIDENT_GROWTH_MAX),
            kibibytes(HEAP_GROWTH_MAX),
            if options.pids.len() > 1 { " and process" } else { "" }
        )
    };
    format!("Latency is counted from the moment at which a message was due. {memory}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_within_others_become_columns() {
        let mut columns = Vec::new();
        flatten(
            "",
            &json!({"a": 1, "b": {"c": null, "d": 2.5}}),
            &mut columns,
        );
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(columns, [("a", "1"), ("b_c", ""), ("b_d", "2.5")]);
    }
}
