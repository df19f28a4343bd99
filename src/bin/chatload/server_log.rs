//! What the server's log says of sessions: opens, closes, and its report.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// What was logged in one round.
#[derive(Debug, Default)]
pub(crate) struct ServerLog {
    /// The numbers of the sessions from each address, in the order of their opens.
    opens: HashMap<SocketAddr, Vec<u64>>,
    /// The reasons for which a session was closed: one, if all is well.
    closes: HashMap<u64, Vec<String>>,
    /// `key=value` of the last report.
    report: HashMap<String, u64>,
}

impl ServerLog {
    /// Notes a line of the log: `LEVEL target: text`.
    pub(crate) fn note(&mut self, line: &str) {
        let Some((_, text)) = line.split_once(": ") else {
            return;
        };
        let mut words = text.split(' ');
        let verb = words.next();
        let value_of = |key: &str| {
            let mut pairs = text.split(' ').filter_map(|word| word.split_once('='));
            pairs.find(|(other, _)| *other == key).map(|pair| pair.1)
        };
        let id = || value_of("id")?.parse::<u64>().ok();
        match verb {
            Some("open") => {
                let from = value_of("from").and_then(|from| from.parse().ok());
                if let (Some(id), Some(from)) = (id(), from) {
                    self.opens.entry(from).or_default().push(id);
                }
            }
            Some("close") => {
                if let (Some(id), Some(reason)) = (id(), value_of("reason")) {
                    self.closes.entry(id).or_default().push(reason.to_owned());
                }
            }
            Some("report") => {
                let pairs = words.filter_map(|word| word.split_once('='));
                let numbers =
                    pairs.filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
                self.report.extend(numbers);
            }
            _ => {}
        }
    }

    /// Forgets the sessions, for the next round.
    pub(crate) fn forget_sessions(&mut self) {
        self.opens.clear();
        self.closes.clear();
    }

    /// A number of the last report.
    pub(crate) fn reported(&self, key: &str) -> Option<u64> {
        self.report.get(key).copied()
    }

    /// The sessions that were opened from an address, in order, each with the reasons for which it was closed.
    pub(crate) fn sessions_from(
        &self,
        address: SocketAddr,
    ) -> impl Iterator<Item = (u64, &[String])> {
        let opened = self
            .opens
            .get(&address)
            .map(Vec::as_slice)
            .unwrap_or_default();
        opened.iter().map(|id| {
            let reasons = self.closes.get(id).map(Vec::as_slice).unwrap_or_default();
            (*id, reasons)
        })
    }

    /// How many sessions were opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opens.values().map(|ids| ids.len() as u64).sum()
    }

    /// How often sessions were closed for each reason.
    pub(crate) fn closed(&self) -> BTreeMap<String, u64> {
        let mut reasons = BTreeMap::new();
        for reason in self.closes.values().flatten() {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_closes_and_reports_are_read() {
        let mut log = ServerLog::default();
        for line in [
            "INFO chatd::ledger: open id=17 dialect=wire from=127.0.0.1:51234 sessions=12",
            "INFO chatd::ledger: open id=18 dialect=wire from=127.0.0.1:51234 sessions=12",
            "INFO chatd::ledger: close id=17 name=ann reason=quit seconds=12.3 lines_in=4 bytes_out=830 sessions=11",
            "INFO chatd::report: report sessions=1 open=1 names=1 queued_bytes=77",
            "WARN chatd::server: something else id=9",
        ] {
            log.note(line);
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 51234));
        let sessions: Vec<_> = log.sessions_from(address).collect();
        assert_eq!(sessions, [(17, &["quit".to_owned()][..]), (18, &[][..])]);
        assert_eq!(log.opened(), 2);
        assert_eq!(
            log.closed().into_iter().collect::<Vec<_>>(),
            [("quit".to_owned(), 1)]
        );
        assert_eq!(log.reported("queued_bytes"), Some(77));
        assert_eq!(log.reported("opens"), None);
        log.forget_sessions();
        assert_eq!(log.opened(), 0);
    }
}
