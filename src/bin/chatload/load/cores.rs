//! A core for the server and another one for the load, as they would have on machines of their own.
//!
//! Over loopback the kernel likes to run a process on the core from which it was woken: on the server's core the load
//! would delay the very lines that it times.

use std::io;

#[cfg(target_os = "linux")]
use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};

/// Moves the calling thread, which is the load, to a core of its own, and gives another one for the server. `None` where
/// this process may not use two, or the kernel does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn split() -> Option<usize> {
    let allowed = sched_getaffinity(None).ok()?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect();
    if cores.len() < 2 {
        return None;
    }
    // Loads that run at the same time take other cores, if there are.
    let first = std::process::id() as usize * 2 % cores.len();
    stay_on(cores[(first + 1) % cores.len()]).ok()?;
    Some(cores[first])
}

/// Lets the calling thread, and what it starts, run on this core alone.
///
/// # Errors
/// If the kernel refuses.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn split() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on(_: usize) -> io::Result<()> {
    Ok(())
}
