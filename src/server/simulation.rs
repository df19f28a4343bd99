//! A simulation of the kernel below the server: the real loop over a simulated network.

mod connection;
mod directed;
mod network;
#[path = "../../tests/sim/random.rs"]
mod random;
#[path = "../../tests/sim/trace.rs"]
mod trace;

use std::collections::BTreeMap;

use crate::dialect::Dialect;

/// The dialects of the listeners, by their number.
const LISTENERS: [Dialect; 2] = [Dialect::Telnet, Dialect::Wire];

/// How often each thing was hit.
type Hits = BTreeMap<&'static str, u64>;
