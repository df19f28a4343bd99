//! IRC clients that say too little: at the door, and as sessions.

use std::net::SocketAddr;

use super::super::OPERATORS;
use super::*;

/// What a client has to be registered.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a session may be silent before it is asked whether it is there, and as long again until it is over.
const SILENCE: Duration = Duration::from_secs(120);

/// Keepalives are not looked at more often.
const LOOKED_AT: Duration = Duration::from_secs(6);

const COMES: &str = "NICK ann\r\nUSER ann 0 * :x\r\nJOIN #lobby\r\n";
const ASKED: &str = "PING :chatd.local\r\n";

impl Bench {
    fn knock_in_irc(&mut self) -> usize {
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let client = self.network().connect(OPERATORS + 1, from, None);
        self.settle();
        client
    }

    /// All that a client has got until now.
    fn told(&mut self, client: usize) -> String {
        self.settle();
        while self.network().connections[client].is_takeable() {
            self.network().take(client, usize::MAX);
            self.settle();
        }
        self.screen(client)
    }
}

#[test]
fn who_never_ends_the_talk_of_capabilities_is_turned_away_after_30_s() {
    for begin in ["CAP LS 302\r\n", "CAP REQ :server-time\r\n"] {
        let mut bench = Bench::new();
        let client = bench.knock_in_irc();
        bench.send(client, format!("{begin}NICK ann\r\nUSER ann 0 * :x\r\n"));
        assert!(bench.told(client).contains(" CAP * "));
        // Nothing of what it goes on to say gives it more time.
        bench.pass(PATIENCE / 2);
        bench.send(client, "PING x\r\n");
        assert_eq!(bench.told(client), ":chatd.local PONG chatd.local :x\r\n");
        bench.pass((PATIENCE / 2).saturating_sub(ms(100)));
        assert_eq!(bench.told(client), "");
        assert!(!bench.is_closed(client));
        bench.pass(ms(200));
        let told = bench.told(client);
        assert!(told.starts_with("ERROR :goodbye: nothing heard"), "{told}");
        bench.end(client);
        bench.pass(LIMITS.drain);
        assert!(bench.is_closed(client));
    }
}

#[test]
fn who_is_silent_for_120_s_is_asked_and_goes_after_as_long_without_an_answer() {
    let mut bench = Bench::new();
    let client = bench.knock_in_irc();
    bench.send(client, COMES);
    assert!(bench.told(client).contains(" 366 "));
    for _ in 0..2 {
        bench.pass(SILENCE.saturating_sub(ms(100)));
        assert_eq!(bench.told(client), "");
        bench.pass(LOOKED_AT);
        assert_eq!(bench.told(client), ASKED);
        bench.send(client, "PONG :chatd.local\r\n");
        assert_eq!(bench.told(client), "");
    }
    bench.pass(SILENCE + LOOKED_AT);
    assert_eq!(bench.told(client), ASKED);
    bench.pass(SILENCE.saturating_sub(LOOKED_AT + ms(100)));
    assert_eq!(bench.told(client), "");
    assert!(bench.reasons().is_empty());
    bench.pass(LOOKED_AT * 2);
    let told = bench.told(client);
    assert!(told.starts_with("ERROR :goodbye: nothing heard"), "{told}");
    bench.end(client);
    bench.pass(LIMITS.drain);
    assert_eq!(bench.reasons(), [CloseReason::Idle]);
}
