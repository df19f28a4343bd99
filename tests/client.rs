//! The client library against the real server, and against servers that do what no server should.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

#[path = "client/closing.rs"]
mod closing;
mod in_process;
#[path = "client/nasty_servers.rs"]
mod nasty_servers;
#[path = "client/the_real_server.rs"]
mod the_real_server;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use chatd::client::{
    Client, ClientId, Clients, Connection, Dialect, Event, Leave, Message, Options, Reason,
    Reconnect, Refusal, Request, SendError, Target, Why, WAITING_MAX,
};
use socket2::{Domain, SockRef, Socket, Type};

use in_process::{InProcess, DEADLINE};

/// Polls until `done` is true of what happened; gives all of it.
#[track_caller]
fn until(
    client: &mut Client,
    mut done: impl FnMut(&[Event<'static>]) -> bool,
) -> Vec<Event<'static>> {
    let give_up_at = Instant::now() + DEADLINE;
    let mut events = Vec::new();
    while !done(&events) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never came true; happened: {events:?}");
        events.extend(client.poll(Some(left)).unwrap());
    }
    events
}

/// The first refusal that comes.
#[track_caller]
fn until_refused(client: &mut Client) -> Refusal<'static> {
    let mut refusals = Vec::new();
    until(client, |events| {
        refusals = events.iter().filter_map(refusal).cloned().collect();
        !refusals.is_empty()
    });
    refusals.remove(0)
}

fn refusal<'a>(event: &'a Event<'static>) -> Option<&'a Refusal<'static>> {
    match event {
        Event::Message(Message::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

#[track_caller]
fn until_closed(client: &mut Client) -> Vec<Event<'static>> {
    until(client, |events| {
        matches!(events.last(), Some(Event::Closed { .. }))
    })
}

#[track_caller]
fn poll_all_until(
    clients: &mut Clients,
    mut handler: impl FnMut(&mut Connection, Event<'_>),
    mut done: impl FnMut(&Clients) -> bool,
) {
    let give_up_at = Instant::now() + DEADLINE;
    while !done(clients) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never came true");
        clients.poll_with(Some(left), &mut handler).unwrap();
    }
}

fn said(name: &str, words: &str) -> Event<'static> {
    Event::Message(Message::Said {
        name: name.to_owned().into(),
        words: words.to_owned().into(),
    })
}

fn named(name: &str) -> Event<'static> {
    Event::Message(Message::Named(name.to_owned().into()))
}

fn dial(dialect: Dialect, address: SocketAddr, options: Options) -> Client {
    Client::dial(&format!("{dialect}://{address}"), options).unwrap()
}

/// A client of the real server that has its name.
fn join(server: &InProcess, dialect: Dialect, name: &str) -> Client {
    let mut client = dial(dialect, server.address(dialect), Options::default());
    client.set_name(name).unwrap();
    until(&mut client, |events| events.contains(&named(name)));
    client
}

/// The end of a client that has said everything.
const LEFT: Event<'static> = Event::Closed {
    why: Why::Left,
    unsent: 0,
};
