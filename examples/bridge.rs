//! A bot that bridges two servers: what is said in one is said in the other, as `ann: hello`.
//!
//! `cargo run --example bridge -- telnet://127.0.0.1:3333 wire://127.0.0.1:4444 bridge`
//!
//! It passes on nothing of anybody who has its own name on either side, so it does not echo itself, not even where both
//! sides are one room. What another bridge says it cannot tell from what people say: there is to be one between two
//! rooms.

use std::error::Error;
use std::io;
use std::time::Duration;

use chatd::client::{
    ClientId, Clients, Connection, Event, Message, Options, Reason, Reconnect, Refusal, Request,
    SendError, Target,
};

/// The bot: a client on either side.
pub(crate) struct Bridge {
    clients: Clients,
    ids: [ClientId; 2],
    /// The name that it would have on both sides.
    name: String,
    /// The names that it has. Without one it says nothing there, for it would not know itself.
    names: [Option<String>; 2],
    /// What was heard in this turn, and on which side it is to be said.
    heard: Vec<(usize, String)>,
}

impl Bridge {
    /// Begins to connect to both servers. A lost connection is dialled again, for ever.
    pub(crate) fn new(addresses: [&str; 2], name: &str) -> Result<Self, Box<dyn Error>> {
        let mut clients = Clients::new()?;
        let options = Options::default().reconnect(Reconnect::default());
        let mut dial = |address: &str| -> Result<ClientId, Box<dyn Error>> {
            let id = clients.dial(&Target::resolve(address)?, options.clone());
            let connection = clients.connection_mut(id).ok_or(SendError::Closed)?;
            connection.set_name(name)?;
            Ok(id)
        };
        Ok(Self {
            ids: [dial(addresses[0])?, dial(addresses[1])?],
            clients,
            name: name.to_owned(),
            names: [None, None],
            heard: Vec::new(),
        })
    }

    /// The names that it has.
    #[allow(dead_code, reason = "a test asks for it")]
    pub(crate) fn names(&self) -> &[Option<String>; 2] {
        &self.names
    }

    /// Waits at most for `timeout` (`None`: for ever) until something happens, and sees to it; gives whether the bot
    /// lives on.
    pub(crate) fn turn(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let Self {
            clients,
            ids,
            name: wanted,
            names,
            heard,
        } = self;
        clients.poll_with(timeout, |connection, event| {
            let side = usize::from(connection.id() == ids[1]);
            // Where both sides are one room, each hears the other.
            let is_own = |name: &str| names.iter().flatten().any(|own| own == name);
            match event {
                Event::Message(Message::Said { name, words }) if !is_own(&name) => {
                    heard.push((1 - side, format!("{name}: {words}")));
                }
                Event::Message(Message::Did { name, words }) if !is_own(&name) => {
                    heard.push((1 - side, format!("{name} {words}")));
                }
                Event::Message(Message::Named(name)) => {
                    eprintln!("side {side}: here as {name}");
                    names[side] = Some(name.into_owned());
                }
                Event::Message(Message::Refused(refusal)) => {
                    eprintln!("side {side}: refused: {refusal}");
                    take_another_name(connection, wanted, &refusal);
                }
                Event::Message(Message::Goodbye(words)) => {
                    eprintln!("side {side}: the server says {words}");
                }
                Event::Interrupted { why, retry_in } => {
                    eprintln!("side {side}: {why}; again in {retry_in:.1?}");
                    names[side] = None;
                }
                Event::Closed { why, unsent } => {
                    eprintln!("side {side}: closed: {why}; {unsent} messages were not sent");
                }
                _ => {}
            }
        })?;
        for (side, words) in heard.drain(..) {
            let connection = clients.connection_mut(ids[side]);
            let named = connection.filter(|_| names[side].is_some());
            let said = named
                .ok_or(SendError::Closed)
                .and_then(|it| it.send(&words));
            if let Err(error) = said {
                eprintln!("side {side}: not said: {words}: {error}");
            }
        }
        // One side alone is no bridge.
        Ok(clients.open() == ids.len())
    }
}

/// Who has the name may be the bot itself, on a connection that the server does not know to be lost.
fn take_another_name(connection: &mut Connection, wanted: &str, refusal: &Refusal<'_>) {
    let Request::Name(refused) = &refusal.request else {
        return;
    };
    let number = refused
        .strip_prefix(wanted)
        .and_then(|rest| rest.strip_prefix('-'));
    let number: u32 = number.and_then(|number| number.parse().ok()).unwrap_or(1);
    let next = format!("{wanted}-{}", number + 1);
    if refusal.reason != Reason::NameTaken || connection.set_name(&next).is_err() {
        connection.close();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (first, second, name) = match arguments.as_slice() {
        [first, second] => (first, second, "bridge"),
        [first, second, name] => (first, second, name.as_str()),
        _ => return Err("usage: bridge ADDRESS ADDRESS [NAME]".into()),
    };
    let mut bridge = Bridge::new([first, second], name)?;
    while bridge.turn(None)? {}
    Err("a side is closed for good".into())
}
