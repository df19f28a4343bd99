//! Between the chat and the relay: what happens here is told to the other servers, and what comes from the log happens.

use std::time::Instant;

use crate::hub::relayed::Backlog;
use crate::hub::Hub;
use crate::relay::{News, Relay, State};

/// When fewer numbers of guests are left than this, more are asked for.
const GUESTS_LOW: u64 = 500;

/// This server's side of a chat that several share.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) relay: Relay,
    /// More numbers of guests are asked for.
    wants_guests: bool,
}

impl Exchange {
    pub(super) fn new(relay: Relay) -> Self {
        Self {
            relay,
            wants_guests: false,
        }
    }

    /// Whether something waits for the next turn, so that nothing more is to be read before.
    pub(super) fn has_put_off(&self) -> bool {
        self.relay.has_news()
    }

    /// Goes on with all that is due: once in each turn.
    pub(super) fn go_on<T>(&mut self, hub: &mut Hub<T>, now: Instant) {
        self.relay.tick(now);
        'news: loop {
            for it in hub.take_outgoing() {
                match it.to {
                    None => self.relay.submit(it.event, it.digest, now),
                    Some(node) => self.relay.submit_to(node, it.event, now),
                }
            }
            for session in hub.take_told_again() {
                self.relay.tell_again(session.to_bits() as u64, now);
            }
            if !self.relay.has_news() {
                break;
            }
            while let Some(news) = self.relay.take_news() {
                if let Some(rest) = apply(news, hub, now) {
                    self.relay.put_back(rest);
                    break 'news;
                }
            }
        }
        hub.set_backlog(match self.relay.waiting_share() {
            0..50 => Backlog::Little,
            50..100 => Backlog::Much,
            100.. => Backlog::TooMuch,
        });
        let is_low = hub.guests_left().is_some_and(|left| left < GUESTS_LOW);
        let is_attached = self.relay.state() == State::Attached;
        if is_low && is_attached && !self.wants_guests {
            self.relay.want_guests(now);
        }
        self.wants_guests = is_low && is_attached;
    }
}

/// Lets something happen; gives what of it is left for the next turn.
fn apply<T>(news: News, hub: &mut Hub<T>, now: Instant) -> Option<News> {
    match news {
        News::Heard { node, event } => hub.relayed(node, event, now),
        News::Settled(who, place) => hub.settle_name(&who, place),
        News::Unsettled(session) => hub.unsettle_name(session),
        News::RosterBegins(node) => hub.begin_roster(node),
        News::Person(node, entry) => hub.note_in_roster(node, entry, now),
        News::RosterEnds(node) if hub.end_roster(node, now) => return Some(news),
        News::NodeGone(node) if hub.lose_node(node, now) => return Some(news),
        News::RosterEnds(_) | News::NodeGone(_) => {}
        News::Past(past) => hub.set_past(&past),
        News::Epoch(epoch) => hub.set_epoch(epoch),
        News::Guests { first, count } => hub.add_guests(first, count),
        News::Alone => {
            hub.set_alone(true);
            hub.tell_of_others(|here| {
                let hear = if here == 1 { "hears" } else { "hear" };
                format!("the other servers cannot be reached; {here} here {hear} you")
            });
        }
        News::Back { lost_lines } => {
            hub.set_alone(false);
            hub.tell_of_others(|_| "the other servers are back".to_owned());
            if lost_lines > 0 {
                let lines = crate::log::counted(lost_lines, "line");
                hub.tell_of_others(|_| format!("{lines} did not reach the other servers"));
            }
        }
    }
    None
}
