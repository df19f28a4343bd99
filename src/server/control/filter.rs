//! Which sessions are meant by `KEY=VALUE` of `sessions`.

use std::net::IpAddr;

use super::command::{no_address, no_session, Refusal};
use crate::dialect::Dialect;
use crate::fields;
use crate::hub::{Hub, Look, SessionId, State};
use crate::net::Net;

/// What must hold of a session, all of it.
#[derive(Debug, Default)]
pub(in crate::server) struct Filter(Vec<Condition>);

#[derive(Debug)]
enum Condition {
    Id(u64),
    /// Whose name it was when that was asked; nobody's if `None`.
    Session(Option<SessionId>),
    Address(IpAddr),
    Net(Net),
    Room(String),
    Dialect(Dialect),
    State(State),
}

impl Filter {
    /// Reads `KEY=VALUE` as often as it is there.
    pub(in crate::server) fn parse<T>(text: &str, hub: &Hub<T>) -> Result<Self, Refusal> {
        let conditions = text.split_whitespace().map(|word| {
            let (key, value) = word.split_once('=').ok_or(Refusal::Usage)?;
            let value = fields::read(value).ok_or(Refusal::Usage)?;
            Ok(match key {
                "id" => Condition::Id(value.parse().map_err(|_| no_session(&value))?),
                "name" => Condition::Session(hub.who_is(&value)),
                "addr" => Condition::Address(address(&value)?),
                "net" => Condition::Net(value.parse().map_err(|_| no_address(&value))?),
                "room" => Condition::Room(value),
                "dialect" => Condition::Dialect(value.parse().map_err(|_| Refusal::Usage)?),
                "state" => Condition::State(State::of_word(&value).ok_or(Refusal::Usage)?),
                _ => return Err(Refusal::Usage),
            })
        });
        conditions.collect::<Result<_, _>>().map(Self)
    }

    /// Whether all of it holds of this session.
    pub(super) fn holds(&self, id: SessionId, look: &Look<'_>) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::Id(number) => look.number == *number,
            Condition::Session(found) => *found == Some(id),
            Condition::Address(address) => look.from.address() == Some(*address),
            Condition::Net(net) => look.from.address().is_some_and(|it| net.contains(it)),
            Condition::Room(room) => look.room == room,
            Condition::Dialect(dialect) => look.dialect == *dialect,
            Condition::State(state) => look.state == *state,
        })
    }
}

fn address(text: &str) -> Result<IpAddr, Refusal> {
    let address = text.parse::<IpAddr>();
    Ok(address.map_err(|_| no_address(text))?.to_canonical())
}
