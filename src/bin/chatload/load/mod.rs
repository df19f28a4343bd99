//! What the load test `chatload` and the bench over loopback have in common: cores, time, latency, arguments.
//!
//! ```text
//! cores     one for the server, one for the load     latency   from when a line was due to when it was heard
//! process   what the kernel knows of the server      options   numbers on the command line
//! ```
//!
//! The clients themselves are not shared. Those of `chatload` are the crate's own, so that it is under load as well, and
//! each line is parsed and accounted for. Those of the bench only count marks in the bytes that come, for they must be
//! cheaper than the bare floor, to which they talk as well, and which has no dialect.

pub(crate) mod cores;
pub(crate) mod latency;
pub(crate) mod options;
pub(crate) mod process;
