//! What settings come to: the values of all of them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::listen::Endpoint;
use super::relay::Engine;
use crate::dialect::web::Authority;
use crate::limits::Limits;
use crate::net::Net;
use crate::room_name::RoomName;

/// What the server is told. `None` is a limit that is off, where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to accept connections; never empty.
    pub listen: Vec<Endpoint>,
    /// Sessions at a time; `None`: as many as the descriptor limit allows, less 64.
    pub sessions_max: Option<usize>,
    /// Sessions from one IPv4 address or IPv6 /64.
    pub sessions_per_address_max: Option<u32>,
    /// Connections that one IPv4 address or IPv6 /64 may make in a minute, after a first burst.
    pub connects_per_minute: Option<u32>,
    /// What is free of all limits by address, as loopback is.
    pub exempt: Vec<Net>,
    /// Front ends whose PROXY header is believed, beside loopback.
    pub proxy_from: Vec<Net>,
    /// `SO_SNDBUF` of each session, in bytes; `None`: what the system gives.
    pub send_buffer_bytes: Option<usize>,
    /// What is shown after the greeting; `None`: nothing.
    pub motd_file: Option<PathBuf>,
    /// Where the rules are kept; `None`: they last until the server stops.
    pub bans_file: Option<PathBuf>,
    /// Where kept names are written; `None`: they are kept until the server stops.
    pub names_file: Option<PathBuf>,
    /// Where what is said in rooms without a key is written; `None`: nowhere.
    pub transcript_file: Option<PathBuf>,
    /// What listeners in TLS are made with.
    #[cfg(feature = "tls")]
    pub tls: TlsSettings,
    /// Rooms that are always there, beside the lobby.
    pub rooms: Vec<RoomName>,
    /// Under which names people reach the page, beside addresses and `localhost`.
    pub web_hosts: Vec<Authority>,
    /// What the server is called in IRC: a word with a dot in it.
    pub irc_name: Box<str>,
    /// How it shares its chat with other servers.
    pub relay: RelaySettings,
    /// The bounds of the chat itself.
    pub limits: Limits,
}

/// How several servers share one chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// Where the engine is; `None`: this server is alone.
    pub engine: Option<Engine>,
    /// What the engine knows this server as; `None`: as its default user.
    pub user: Option<Box<str>>,
    /// Where the password for the engine is; `None`: it wants none.
    pub password_file: Option<PathBuf>,
    /// What stands before every key.
    pub prefix: Box<str>,
    /// Entries that the log keeps.
    pub log_entries: usize,
    /// So long the engine may be silent before the server goes on alone.
    pub patience: Duration,
    /// So long a server may be silent before its people have left.
    pub lease: Duration,
    /// What may wait for the engine, in bytes.
    pub queue_bytes_max: usize,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            engine: None,
            user: None,
            password_file: None,
            prefix: "chatd".into(),
            log_entries: 10_000,
            patience: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            queue_bytes_max: 1024 * 1024,
        }
    }
}

/// What listeners in TLS are made with.
#[cfg(feature = "tls")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate, and behind it its issuers, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub oldest: TlsVersion,
    /// The certificates that the engine's is trusted by, in PEM.
    pub roots: Option<PathBuf>,
}

/// A version of TLS.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// When a setting can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// While the server runs.
    Now,
    /// Only at the start.
    Start,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Now => "now",
            Change::Start => "start",
        })
    }
}
