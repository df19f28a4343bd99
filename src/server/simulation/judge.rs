//! What must be so in the end: everybody heard what was said, went for a reason, and left nothing behind.

use std::collections::BTreeMap;

use super::connection::End;
use super::crowd::{Client, Crowd, Leave, SimulatedWorld, Words, WITNESS};
use super::Simulation;
use crate::dialect::Dialect;
use crate::ledger::CloseReason;
use crate::test_log;

/// Why sessions were closed, by their number.
type Reasons = BTreeMap<u64, CloseReason>;

impl Simulation {
    /// Looks at all that the clients said and heard. `complete` if all of it has arrived.
    pub(super) fn judge(&mut self, complete: bool) {
        let closes = test_log::closes().into_iter();
        let reasons: Reasons = closes.map(|close| (close.id, close.reason)).collect();
        let network = self.event_loop.network_mut();
        let Some(mut crowd) = network.world.take() else {
            return;
        };
        for client in 0..crowd.clients.len() {
            crowd.listen(&network.connections, client);
        }
        let witnessed = &crowd.clients[WITNESS].heard;
        judge_order(witnessed);
        for (number, client) in crowd.clients.iter().enumerate() {
            let reason = client
                .number
                .and_then(|number| reasons.get(&number))
                .copied();
            judge_speaker(number, client, reason, witnessed, complete, &crowd);
            judge_listener(number, client, reason, witnessed, complete);
            if let Some(reason) = reason {
                judge_reason(number, client, reason, &crowd, network);
                // Who stops a server twice wants no words.
                if crowd.stops < 2 {
                    judge_farewell(number, client, reason, network);
                }
            }
            let still_waits = client.number.is_none() && !network.connections[number].closed;
            assert!(
                !complete || !still_waits || network.connections[number].is_over(),
                "{number} waits at the door for ever"
            );
        }
        network.world = Some(crowd);
    }
}

/// Whatever somebody said was heard in the order in which she said it, without gaps.
fn judge_order(witnessed: &[Words]) {
    let mut last: BTreeMap<usize, u32> = BTreeMap::new();
    for (client, count) in witnessed {
        let before = last.insert(*client, *count).unwrap_or(0);
        assert_eq!(*count, before + 1, "what {client} said, in its order");
    }
}

/// What was said by somebody who was not cut off was heard.
fn judge_speaker(
    number: usize,
    client: &Client,
    reason: Option<CloseReason>,
    witnessed: &[Words],
    complete: bool,
    crowd: &Crowd,
) {
    let heard = witnessed.iter().filter(|words| words.0 == number).count();
    let left_in_order = match (client.leave, reason) {
        (Leave::Stays, None) => client.number.is_some(),
        (Leave::Quit, Some(CloseReason::Quit)) => true,
        // Of somebody who has gone only so much is heard as her rate allows in five seconds.
        (Leave::End, Some(CloseReason::Eof)) => crowd.profile.limits.line_rate.is_unlimited(),
        _ => false,
    };
    assert!(heard <= client.said as usize, "{number} is made to speak");
    if complete && left_in_order && !client.foreign && !client.flooding {
        assert_eq!(heard, client.said as usize, "what {number} said is lost");
    }
}

/// Somebody heard a part of what was said, without gaps: from her coming on, and if she stays, to the end.
fn judge_listener(
    number: usize,
    client: &Client,
    reason: Option<CloseReason>,
    witnessed: &[Words],
    complete: bool,
) {
    let due: Vec<(usize, Words)> = (witnessed.iter().copied().enumerate())
        .filter(|(_, words)| words.0 != number)
        .collect();
    if matches!(reason, Some(CloseReason::Full | CloseReason::PerAddress))
        || client.number.is_none()
    {
        assert!(client.heard.is_empty(), "{number} was never let in");
        return;
    }
    let from = due
        .iter()
        .position(|(_, words)| Some(words) == client.heard.first())
        .unwrap_or(due.len());
    let heard: Vec<Words> = (due[from..].iter().map(|(_, words)| *words))
        .take(client.heard.len())
        .collect();
    assert_eq!(client.heard, heard, "what {number} heard");
    if let Some((place, _)) = due.get(from) {
        assert!(
            *place >= client.heard_before,
            "{number} hears what was said before it came"
        );
    }
    let after = |words: &Words| {
        let before = client.said_before.get(words.0).copied().unwrap_or(0);
        words.1 > before
    };
    let first_due = due.iter().position(|(_, words)| after(words));
    if let (false, Some(first_due)) = (client.heard.is_empty(), first_due) {
        assert!(from <= first_due, "{number} missed the first words");
    }
    if complete && reason.is_none() {
        let missed = due[from..].len() - heard.len();
        assert_eq!(missed, 0, "{number} is to hear more");
        assert!(
            !client.heard.is_empty() || first_due.is_none(),
            "{number} heard nothing"
        );
    }
}

/// Nobody is closed for what she did not do.
fn judge_reason(
    number: usize,
    client: &Client,
    reason: CloseReason,
    crowd: &Crowd,
    network: &SimulatedWorld,
) {
    let connection = &network.connections[number];
    let limits = &crowd.profile.limits;
    let admission = &crowd.profile.admission;
    let reads = connection.window.is_none();
    let may_be_full = crowd.clients.len() > admission.sessions_max;
    let allowed = match reason {
        CloseReason::Quit => client.leave == Leave::Quit,
        CloseReason::Eof => connection.has_ended(),
        CloseReason::Reset => connection.is_broken() || !connection.ever_registered,
        CloseReason::SlowConsumer => !reads || limits.memory_max < usize::MAX,
        CloseReason::WriteStall => !reads && limits.queue.stall.is_some(),
        CloseReason::Idle => limits.idle.is_some() || may_be_full,
        CloseReason::Flood => client.flooding,
        CloseReason::Full => may_be_full,
        CloseReason::PerAddress => {
            admission.per_address_max.is_some() && !connection.from.ip().is_loopback()
        }
        CloseReason::Shutdown => crowd.stops > 0,
        CloseReason::WrongProtocol => client.foreign,
    };
    assert!(allowed, "{number} is closed for {reason}");
}

/// Who reads is told why, before the end.
fn judge_farewell(number: usize, client: &Client, reason: CloseReason, network: &SimulatedWorld) {
    let connection = &network.connections[number];
    let is_told = matches!(
        reason,
        CloseReason::Quit
            | CloseReason::Full
            | CloseReason::PerAddress
            | CloseReason::Idle
            | CloseReason::WrongProtocol
    );
    let reads = connection.window.is_none() && !connection.is_broken();
    if !is_told || !reads || !connection.ever_registered || client.dialect != Dialect::Telnet {
        return;
    }
    let received = String::from_utf8_lossy(&connection.received);
    let last = received.lines().last().unwrap_or_default();
    let words = match reason {
        CloseReason::WrongProtocol => "!! this is a chat in plain text",
        _ => "goodbye",
    };
    assert!(
        last.contains(words) && received.ends_with("\r\n"),
        "{number} is closed for {reason}, but told: {last}"
    );
    assert_eq!(connection.end, Some(End::Orderly), "the end of {number}");
}
