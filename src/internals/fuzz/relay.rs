//! What an engine says, however it is cut into packets, against a relay that has all of it at once.

use std::time::Instant;

use crate::relay::record::Event;
use crate::relay::{Line, News, Options, Relay};

/// Between what the pen hears and what the ear hears.
const EAR: u8 = 0xff;

/// The first byte says how long the packets are; then comes what the pen hears, and behind a byte 255 what the ear hears.
#[allow(
    clippy::disallowed_methods,
    reason = "there is no other way to have an instant"
)]
pub(super) fn check(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let now = Instant::now();
    let whole = heard(bytes, usize::MAX, now);
    assert_eq!(heard(bytes, usize::from(first) + 1, now), whole);
    if let Ok(event) = Event::parse(bytes) {
        assert_eq!(Event::parse(event.encode().as_bytes()), Ok(event));
    }
}

/// What a relay tells that hears this in packets of this length, and its state then.
fn heard(bytes: &[u8], packet: usize, now: Instant) -> (Vec<News>, &'static str) {
    let mut relay = Relay::new(Options::for_tests(), 1, now);
    while let Some((line, _)) = relay.take_dial(now) {
        relay.handle_connected(line, now);
    }
    let mut parts = bytes.splitn(2, |byte| *byte == EAR);
    for line in [Line::Pen, Line::Ear] {
        for packet in parts.next().unwrap_or_default().chunks(packet) {
            relay.handle_input(line, packet, now);
            // What it answers is written somewhere.
            relay.output(line, now).clear();
        }
    }
    let mut news = Vec::new();
    while let Some(next) = relay.take_news() {
        news.push(next);
    }
    (news, relay.state().word())
}
