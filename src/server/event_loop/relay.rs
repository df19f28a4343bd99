//! The other servers that share the chat: the connections to the engine, and what goes to it and comes from it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Instant;

use log::info;

use super::EventLoop;
use crate::fields::LOG_TARGET;
use crate::hub::Ending;
use crate::relay::{Line, Options, Relay, State, To};
use crate::server::exchange::Exchange;
use crate::server::files::relay_password;
#[cfg(feature = "tls")]
use crate::server::files::relay_roots;
use crate::server::metrics::RelayState;
use crate::server::network::{Network, Owner, Place};

use crate::settings::{Engine, Settings};
#[cfg(feature = "tls")]
use crate::stream::tls::Proof;
use crate::stream::{Edge, Read, Readiness, Write};

/// What the loop keeps of the other servers.
#[derive(Debug)]
pub(super) struct Relaying<S> {
    exchange: Exchange,
    /// Where the engine is, or each sentinel that knows.
    places: Vec<Place>,
    connections: [Connection<S>; 2],
}

/// One connection to the engine.
#[derive(Debug)]
struct Connection<S> {
    stream: Option<S>,
    is_connected: bool,
    readiness: Readiness,
    /// The last write would have blocked.
    is_blocked: bool,
}

impl<S> Default for Connection<S> {
    fn default() -> Self {
        Self {
            stream: None,
            is_connected: false,
            readiness: Readiness::default(),
            is_blocked: false,
        }
    }
}

impl<S> Relaying<S> {
    pub(super) fn new(relay: Relay, places: Vec<Place>) -> Self {
        Self {
            exchange: Exchange::new(relay),
            places,
            connections: [Connection::default(), Connection::default()],
        }
    }

    fn connection(&mut self, line: Line) -> &mut Connection<S> {
        &mut self.connections[line as usize]
    }
}

impl<N: Network> EventLoop<N> {
    /// Shares the chat with other servers from now on, if the settings say so.
    ///
    /// # Errors
    /// If a name has no address, or the password cannot be read.
    pub(in crate::server) fn begin_relay(&mut self) -> io::Result<()> {
        let settings = self.configuration.settings();
        let Some(engine) = &settings.relay.engine else {
            return Ok(());
        };
        let (places, sentinels) = resolve(engine, settings)?;
        let options = options(settings, sentinels, self.label())?;
        let seed = self.network.seed()?;
        let seed = seed.chunks_exact(8).fold(0, |bits, chunk| {
            chunk.iter().fold(bits, |bits: u64, byte| {
                (bits.rotate_left(8)) ^ u64::from(*byte)
            })
        });
        let relay = Relay::new(options, seed, self.now());
        self.hub.begin_relayed(settings.relay.lease);
        self.relaying = Some(Box::new(Relaying::new(relay, places)));
        Ok(())
    }

    /// What the operators of other servers call this one: where it listens first.
    fn label(&self) -> String {
        let listen = &self.configuration.settings().listen;
        let first = listen.first().map_or_else(String::new, ToString::to_string);
        format!("{first} pid {}", std::process::id())
    }

    pub(super) fn note_relay(&mut self, line: Line, edge: Edge) {
        if let Some(relaying) = &mut self.relaying {
            let connection = relaying.connection(line);
            connection.readiness.note(edge);
            connection.is_blocked &= !(edge.writable || edge.closed);
        }
    }

    /// Whether something may be read that no edge will tell of.
    pub(super) fn is_relay_ready(&self) -> bool {
        let connections = self.relaying.iter().flat_map(|it| &it.connections);
        let mut connections = connections.filter(|it| it.is_connected);
        connections.any(|it| it.readiness.is_readable())
    }

    pub(super) fn relay_wakes_at(&self, now: Instant) -> Option<Instant> {
        self.relaying.as_ref()?.exchange.relay.wake_at(now)
    }

    /// Reads once from each connection to the engine. While a room has more to tell than is good nothing more is read of
    /// what the others say.
    pub(super) fn read_relay(&mut self, now: Instant) {
        let Some(relaying) = &mut self.relaying else {
            return;
        };
        let is_enough = self.hub.is_a_room_full();
        for line in Line::ALL {
            let connection = relaying.connection(line);
            let Some(stream) = &mut connection.stream else {
                continue;
            };
            if !connection.is_connected {
                match self.network.is_connected(stream) {
                    Ok(false) => continue,
                    Ok(true) => {
                        connection.is_connected = true;
                        relaying.exchange.relay.handle_connected(line, now);
                    }
                    Err(error) => {
                        lose(relaying, &mut self.network, line, &error.to_string(), now);
                        continue;
                    }
                }
            }
            let connection = relaying.connection(line);
            if !connection.readiness.is_readable() {
                continue;
            }
            // What has come before comes first.
            if relaying.exchange.has_put_off() || (line == Line::Ear && is_enough) {
                relaying.exchange.relay.put_off(line, now);
                continue;
            }
            let connection = relaying.connection(line);
            let Some(stream) = &mut connection.stream else {
                continue;
            };
            let read = self.network.read(stream, &mut self.buffer);
            connection.readiness.handle_read(read, self.buffer.len());
            let why = match read {
                Read::Bytes(bytes) => {
                    relaying
                        .exchange
                        .relay
                        .handle_input(line, &self.buffer[..bytes], now);
                    continue;
                }
                #[cfg(feature = "tls")]
                Read::Records { bytes, .. } => {
                    let input = &self.buffer[..bytes];
                    relaying.exchange.relay.handle_input(line, input, now);
                    continue;
                }
                Read::Blocked => continue,
                Read::Ended => "the engine has closed the connection".to_owned(),
                #[cfg(feature = "tls")]
                Read::Truncated => "the engine has closed the connection".to_owned(),
                Read::Broken(kind) => kind.to_string(),
            };
            lose(relaying, &mut self.network, line, &why, now);
        }
    }

    /// Tells the others what has happened here, and lets happen what comes from them, or from here by way of the log.
    pub(super) fn exchange_with_others(&mut self, now: Instant) {
        if let Some(relaying) = &mut self.relaying {
            relaying.exchange.go_on(&mut self.hub, now);
        }
    }

    /// Writes to the engine what goes.
    pub(super) fn write_to_relay(&mut self, now: Instant) {
        let Some(relaying) = &mut self.relaying else {
            return;
        };
        for line in Line::ALL {
            let Relaying {
                exchange,
                connections,
                ..
            } = &mut **relaying;
            let relay = &mut exchange.relay;
            let connection = &mut connections[line as usize];
            let Some(stream) = &mut connection.stream else {
                continue;
            };
            if !connection.is_connected || connection.is_blocked {
                continue;
            }
            let out = relay.output(line, now);
            let mut taken = 0;
            let broken = loop {
                if taken == out.len() {
                    break None;
                }
                match self.network.write(stream, &[IoSlice::new(&out[taken..])]) {
                    Write::Taken(bytes) => taken += bytes,
                    Write::Blocked => {
                        connection.is_blocked = true;
                        break None;
                    }
                    Write::Broken(kind) => break Some(kind),
                }
            };
            out.drain(..taken);
            if out.is_empty() && out.capacity() > OUT_KEPT_MAX {
                *out = Vec::new();
            }
            if let Some(kind) = broken {
                lose(relaying, &mut self.network, line, &kind.to_string(), now);
            }
        }
    }

    /// Closes and dials connections to the engine.
    pub(super) fn dial_relay(&mut self, now: Instant) {
        let Some(relaying) = &mut self.relaying else {
            return;
        };
        while let Some(line) = relaying.exchange.relay.take_close() {
            let connection = std::mem::take(relaying.connection(line));
            if let Some(stream) = connection.stream {
                self.network.close(stream, Ending::Orderly);
            }
        }
        while let Some((line, to)) = relaying.exchange.relay.take_dial(now) {
            let place = match to {
                To::Engine => relaying.places.first().cloned(),
                To::Sentinel(index) => relaying.places.get(index).cloned(),
                To::Address { host, port } => {
                    let address = host.parse().ok();
                    address.map(|ip| Place::Inet(SocketAddr::new(ip, port)))
                }
            };
            let dialled = match place {
                Some(place) => self.network.dial(&place),
                // Names are resolved at the start alone, for that blocks.
                None => Err(io::Error::other("a sentinel gives a name, and no address")),
            };
            let registered = dialled.and_then(|mut stream| {
                self.network.register(&mut stream, Owner::Relay(line))?;
                Ok(stream)
            });
            match registered {
                Ok(stream) => relaying.connection(line).stream = Some(stream),
                Err(error) => relaying
                    .exchange
                    .relay
                    .handle_lost(line, &error.to_string(), now),
            }
        }
    }

    /// This server stops, of which the others are told.
    pub(super) fn leave_others(&mut self, now: Instant) {
        // What was said before goes before it.
        self.exchange_with_others(now);
        if let Some(relaying) = &mut self.relaying {
            relaying.exchange.relay.leave(now);
        }
    }

    /// Whether the others know that this server stops, or are not waited for any more.
    pub(super) fn have_others_heard(&self, until: Instant, now: Instant) -> bool {
        let half = self.configuration.settings().limits.drain / 2;
        let relaying = self.relaying.as_ref();
        relaying.is_none_or(|it| it.exchange.relay.has_left() || until <= now + half)
    }

    /// When they are not waited for any more.
    pub(super) fn others_are_waited_for_until(&self, until: Instant) -> Option<Instant> {
        let half = self.configuration.settings().limits.drain / 2;
        let half_way = until.checked_sub(half);
        self.relaying.as_ref().and(half_way)
    }

    /// What is measured of it.
    pub(super) fn relay_state(&self) -> RelayState {
        let Some(relaying) = &self.relaying else {
            return RelayState::default();
        };
        let relay = &relaying.exchange.relay;
        let (waiting, ring_bytes) = relay.kept();
        RelayState {
            state: Some(relay.state()),
            nodes: relay.nodes() as u64,
            people: self.hub.people_abroad() as u64,
            waiting: waiting as u64,
            ring_bytes: ring_bytes as u64,
            missing: relay.missing() as u64,
            figures: relay.figures(),
        }
    }

    /// The same for the log.
    pub(super) fn log_relay(&self) {
        let state = self.relay_state();
        let Some(word) = state.state.map(State::word) else {
            return;
        };
        let figures = state.figures;
        info!(
            target: LOG_TARGET,
            "report relay={word} nodes={} people={} lag_us={} waiting={} ring_bytes={} resent={} dropped={} missing={} \
             unread={} verdicts={} errors={} lost={}",
            state.nodes,
            state.people,
            figures.lag.as_micros(),
            state.waiting,
            state.ring_bytes,
            figures.resent,
            figures.dropped_again,
            state.missing,
            figures.unread,
            figures.verdicts,
            figures.errors,
            figures.lost_lines
        );
    }
}

/// A buffer for the engine is given back when it is empty and larger than this, in bytes.
const OUT_KEPT_MAX: usize = 64 * 1024;

/// A connection is closed, or did not come about.
fn lose<N: Network>(
    relaying: &mut Relaying<N::Stream>,
    network: &mut N,
    line: Line,
    why: &str,
    now: Instant,
) {
    let connection = std::mem::take(relaying.connection(line));
    if let Some(stream) = connection.stream {
        network.close(stream, Ending::Orderly);
    }
    relaying.exchange.relay.handle_lost(line, why, now);
}

/// Where the engine is, or the sentinels that know; and how many sentinels these are. For names the system is asked, which
/// blocks.
#[cfg_attr(
    not(feature = "tls"),
    allow(unused_variables, reason = "roots are of TLS alone")
)]
fn resolve(engine: &Engine, settings: &Settings) -> io::Result<(Vec<Place>, usize)> {
    let address = |place: &crate::settings::Place| {
        let explain = |error: io::Error| {
            io::Error::new(error.kind(), format!("relay: {}: {error}", place.host))
        };
        let addresses = place.resolve().map_err(explain)?;
        Ok::<_, io::Error>(addresses[0])
    };
    let first = |place: &crate::settings::Place| address(place).map(Place::Inet);
    Ok(match engine {
        Engine::Redis(place) => (vec![first(place)?], 0),
        #[cfg(feature = "tls")]
        Engine::Secured(place) => {
            let roots = relay_roots(settings).map_err(io::Error::other)?;
            // The settings were looked at before.
            let roots = roots.ok_or(io::ErrorKind::InvalidInput)?;
            let proof = Proof::new(&roots, &place.host)?;
            (vec![Place::Secured(address(place)?, proof)], 0)
        }
        Engine::Unix(path) => (vec![Place::Path(path.clone())], 0),
        Engine::Sentinels { places, .. } => {
            let places = places.iter().map(first).collect::<io::Result<Vec<_>>>()?;
            let count = places.len();
            (places, count)
        }
    })
}

fn options(settings: &Settings, sentinels: usize, label: String) -> io::Result<Options> {
    let relay = &settings.relay;
    let password = relay_password(settings).map_err(io::Error::other)?;
    let service = match &relay.engine {
        Some(Engine::Sentinels { service, .. }) => service.clone(),
        _ => "".into(),
    };
    Ok(Options {
        sentinels,
        service,
        user: relay.user.clone(),
        password,
        prefix: relay.prefix.clone(),
        log_entries: relay.log_entries,
        patience: relay.patience,
        lease: relay.lease,
        queue_bytes_max: relay.queue_bytes_max,
        label: label.into(),
    })
}
