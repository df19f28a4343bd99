//! What the pen writes: entries of the log, and with them what they change in the hash of this node's people.

use std::time::Instant;

use crate::relay::data::{Asked, Leaving, Line};
use crate::relay::node::Relay;

impl Relay {
    /// What is to be written to a connection now; what of it was taken is to be removed.
    pub(crate) fn output(&mut self, line: Line, now: Instant) -> &mut Vec<u8> {
        if line == Line::Pen && self.attach.is_done {
            self.write_entries(now);
        }
        self.link_of(line).out()
    }

    /// Writes what is to go into the log, with what it changes in the hash of this node's people. One entry is on its way
    /// at a time, so that no error of the engine changes the order.
    fn write_entries(&mut self, now: Instant) {
        if !self.is_adding && self.ring.has_unwritten() {
            let (log, lines) = (self.key("log"), self.options.log_entries.to_string());
            let (prefix, lease) = (self.options.prefix.clone(), self.options.lease);
            let entry = self.ring.take_entry();
            let Some(first) = entry.first() else {
                return;
            };
            self.is_adding = true;
            let (stream, number) = (first.stream, first.number);
            let key = match stream {
                None => log,
                Some(node) => format!("{{{prefix}}}:to:{node}"),
            };
            let most = if stream.is_some() { "1000" } else { &lines };
            let (node, number_text) = (self.node.to_string(), number.to_string());
            let mut words: Vec<&[u8]> = vec![b"XADD", key.as_bytes(), b"MAXLEN", b"~"];
            words.extend([most.as_bytes(), b"*", b"n", node.as_bytes()]);
            words.extend([b"s", number_text.as_bytes()]);
            for sent in &entry {
                words.extend([b"e", sent.encoded.as_bytes()]);
            }
            let count = entry.len() as u64;
            self.figures.resent +=
                entry.iter().filter(|sent| sent.was_sent_before()).count() as u64;
            match stream {
                Some(node) => {
                    let last = number + count - 1;
                    self.pen.ask(Asked::AddedTo(node, last), &words, now);
                    let expires = (2 * lease.as_millis()).to_string();
                    let words = [&b"PEXPIRE"[..], key.as_bytes(), expires.as_bytes()];
                    self.pen.ask(Asked::Done, &words, now);
                }
                None if self.changed.is_empty() => self.pen.ask(Asked::Added, &words, now),
                None => {
                    self.pen.ask(Asked::Done, &[b"MULTI"], now);
                    self.pen.ask(Asked::Done, &words, now);
                    self.write_changed(now);
                    self.pen.ask(Asked::Added, &[b"EXEC"], now);
                }
            }
        }
        // What has come back of names; what is still to be told is written with its entry.
        if !self.is_adding && !self.changed.is_empty() {
            self.write_changed(now);
        }
        if self.leaving == Leaving::Says && !self.ring.has_unwritten() {
            self.write_end(now);
        }
    }

    /// Writes what has changed in the hash of this node's people.
    pub(super) fn write_changed(&mut self, now: Instant) {
        let key = self.key_of("people", self.node);
        // To say the same twice does no harm.
        for session in std::mem::take(&mut self.changed) {
            let field = session.to_string();
            if let Some(entry) = self.people.get(&session) {
                let value = entry.encode();
                let words = ["HSET", &key, &field, &value].map(str::as_bytes);
                self.pen.ask(Asked::Done, &words, now);
            } else {
                let words = ["HDEL", &key, &field].map(str::as_bytes);
                self.pen.ask(Asked::Done, &words, now);
            }
        }
    }

    /// Nothing of this node stays in the engine.
    fn write_end(&mut self, now: Instant) {
        let (people, lease) = (
            self.key_of("people", self.node),
            self.key_of("lease", self.node),
        );
        let to = self.key_of("to", self.node);
        let words = [
            &b"DEL"[..],
            people.as_bytes(),
            lease.as_bytes(),
            to.as_bytes(),
        ];
        self.pen.ask(Asked::Done, &words, now);
        let (nodes, node) = (self.key("nodes"), self.node.to_string());
        let words = [&b"HDEL"[..], nodes.as_bytes(), node.as_bytes()];
        self.pen.ask(Asked::Done, &words, now);
        self.leaving = Leaving::Said;
    }
}
