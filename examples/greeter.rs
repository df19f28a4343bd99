//! A bot that greets everybody who speaks or joins for the first time.
//!
//! `cargo run --example greeter -- telnet://127.0.0.1:3333 greeter`
//!
//! Over telnet it is always told who joins, over the wire dialect because it asks to be.

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::time::Duration;

use chatd::client::{
    Client, Connection, Event, Message, Options, Reason, Reconnect, Request, SendError,
};

/// When the bot knows this many names it begins anew: it must not grow for ever.
const KNOWN_MAX: usize = 10_000;

/// The bot: a client, and whom it has greeted.
pub(crate) struct Greeter {
    client: Client,
    /// The name that it would have.
    name: String,
    /// How many names were refused, and so the number behind the next one.
    refusals: usize,
    known: HashSet<String>,
}

impl Greeter {
    /// Begins to connect. A lost connection is dialled again, for ever.
    pub(crate) fn new(address: &str, name: &str) -> Result<Self, Box<dyn Error>> {
        let options = Options::default().reconnect(Reconnect::default());
        let mut client = Client::dial(address, options)?;
        client.set_name(name)?;
        match client.watch(true) {
            Ok(()) | Err(SendError::WrongDialect) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            client,
            name: name.to_owned(),
            refusals: 0,
            known: HashSet::new(),
        })
    }

    /// The name that the server has confirmed; empty before.
    #[allow(dead_code, reason = "a test asks for it")]
    pub(crate) fn name(&self) -> &str {
        self.client.connection().name()
    }

    /// Waits at most for `timeout` (`None`: for ever) until something happens, and sees to it; gives whether the bot
    /// lives on.
    pub(crate) fn turn(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let Self {
            client,
            name,
            refusals,
            known,
        } = self;
        client.poll_with(timeout, |connection, event| match event {
            Event::Message(message) => match message {
                Message::Said { name, .. } | Message::Did { name, .. } => {
                    greet(connection, known, &name);
                }
                Message::Joined { name, .. } => greet(connection, known, &name),
                // Whom it knows by one name it does not greet by another.
                Message::Renamed { from, to } if known.contains(&*from) => {
                    known.insert(to.into_owned());
                }
                Message::Named(name) => eprintln!("here as {name}"),
                Message::Refused(refusal) => {
                    eprintln!("refused: {refusal}");
                    // Perhaps the bot itself, on a connection that the server does not know to be lost.
                    let is_taken = refusal.reason == Reason::NameTaken;
                    if is_taken && matches!(refusal.request, Request::Name(_)) {
                        *refusals += 1;
                        ask_for_name(connection, &format!("{name}-{refusals}"));
                    }
                }
                Message::Goodbye(words) => eprintln!("the server says {words}"),
                _ => {}
            },
            Event::Interrupted { why, retry_in } => eprintln!("{why}; again in {retry_in:.1?}"),
            Event::Closed { why, .. } => eprintln!("closed: {why}"),
            _ => {}
        })?;
        Ok(!self.client.is_closed())
    }
}

fn greet(connection: &mut Connection, known: &mut HashSet<String>, name: &str) {
    if known.len() == KNOWN_MAX {
        known.clear();
    }
    if known.insert(name.to_owned()) {
        if let Err(error) = connection.send(&format!("Welcome, {name}!")) {
            eprintln!("{name} is not greeted: {error}");
        }
    }
}

fn ask_for_name(connection: &mut Connection, name: &str) {
    if let Err(error) = connection.set_name(name) {
        eprintln!("{name} cannot be asked for: {error}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: greeter ADDRESS [NAME]")?;
    let name = arguments.next().unwrap_or_else(|| "greeter".to_owned());
    let mut greeter = Greeter::new(&address, &name)?;
    while greeter.turn(None)? {}
    Err("the connection is closed for good".into())
}
